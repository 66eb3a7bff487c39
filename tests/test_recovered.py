"""The settings inside a take that is dropped again: its own, not those of its batch, whatever kind of file it is."""

import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio import adoption
from studio.design.glb import with_about
from studio.design.mesh_files import glb_of
from studio.design.meshes import Mesh
from studio.library import a1111, provenance
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Job, JobState, Request

BATCH = {"num_images_per_prompt": 4, "num_inference_steps": 12}
VARIED = {**BATCH, "variation_seed": 70, "variation_strength": 0.2}


@pytest.mark.parametrize("params", [BATCH, VARIED])
def test_a_dropped_take_restores_itself(home: Path, params: dict[str, object]) -> None:
    with Studio(Settings(home=home)) as studio:
        request = Request(task="text_to_image", model="starter-image", prompt="a fox", seed=5, params=params)
        now = time.time()
        job = Job(id="job1", request=request, state=JobState.done, created=now, position=now, panel="image")
        studio.library.add_job(job)
        seed = 5 if "variation_seed" in params else 7
        file = home / "take.png"
        provenance.write_png(Image.new("RGB", (64, 64), "red"), file, studio.record(job, 2, {"seed": seed}))
        kept = studio.library.keep(file, media_type="image/png", job="job1", index=2, meta={"seed": seed})
        recovered = studio.recover(kept.path)
        assert recovered and recovered.request
        assert Request.from_dict(recovered.request) == studio.take(kept.sha256)
        assert recovered.params["num_images_per_prompt"] == 1 and recovered.params["seed"] == seed
        text = a1111.parameters(studio.record(job, 2, {"seed": seed}).a1111().rpartition("\n")[2])
        assert text["Seed"] == str(seed) and text.get("Variation seed") == (
            "72" if "variation_seed" in params else None
        )


def shape() -> bytes:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]], np.int32)
    return with_about(glb_of(Mesh(corners, faces), {}), {})


def gif() -> bytes:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    path = Path("film.gif")
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path.read_bytes()


@pytest.mark.parametrize(("suffix", "media_type"), [(".glb", "model/gltf-binary"), (".gif", "image/gif")])
def test_an_upload_without_a_suffix_is_known_by_its_name(
    tmp_path: Path, suffix: str, media_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    finished = tmp_path / f"0{suffix}"
    finished.write_bytes(shape() if suffix == ".glb" else gif())
    request = Request(task="text_to_shape", model="a-model", prompt="a lamp", seed=3)
    adoption.embed(finished, media_type, provenance.Provenance(request=request.to_dict(), prompt="a lamp", seed=3))
    upload = finished.rename(tmp_path / "0a1b2c3d")
    found = adoption.recover(upload, f"My Lamp{suffix.upper()}")
    assert found and found.prompt == "a lamp" and found.request and found.request["seed"] == 3
