"""Films by pipelines of the real classes at tiny size: what they make, how they stop, what they cannot do."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from studio.cli import parser
from studio.design.films import frame_of, record_inside
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.video.film_folders import suggested, tasks_of
from studio.families.video.pipeline import FilmPipeline, chunks_of, load
from studio.image_commands import image_request
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Device, Input, JobState, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener
from tests.families.video import tiny_films
from tests.lengths import ALL

USUAL = ("ltx", "wan", "motion")
LONGER = ("cogvideox", "animatediff", "anyflow")  # of whose parts the others have some
SMALL = {"width": 64, "height": 64, "num_frames": 9, "frame_rate": 8, "num_inference_steps": 2, "guidance_scale": 3.0}


@dataclass
class Impatient(Listener):
    """Presses Stop at the nth look, which is inside a step."""

    looks: int = 12

    def check(self) -> None:
        self.looks -= 1
        if self.looks == 0:
            raise Cancelled("Stopped.")


def asked(task: str = "text_to_video", seed: int = 3, **changes: Any) -> Request:
    return family("video").validate(
        Request(
            task=task,
            model="film",
            prompt="a red fox",
            seed=seed,
            params={**SMALL, "num_images_per_prompt": 1, **changes},
            inputs=(Input(role="init_image", artifact="0" * 64),) if task == "image_to_video" else (),
        )
    )


def listener(folder: Path, name: str, **more: Any) -> Listener:
    (folder / name).mkdir()
    return Listener(folder / name, **more)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, FilmPipeline]:
    """The pipelines by kind, loaded once."""
    folder = tmp_path_factory.mktemp("films")
    tiny.build("sd", folder / "sd15")
    kinds = (*USUAL, *LONGER) if ALL else USUAL
    made = {kind: load(tiny_films.build(kind, folder / kind), CPU) for kind in kinds}
    made["wan-ti"] = load(tiny_films.build("wan", folder / "wan-ti", expand_timesteps=True), CPU)
    if ALL:
        made["cogvideox-i2v"] = load(tiny_films.build("cogvideox", folder / "i2v", begins=True), CPU)
    return made


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")  # AnyFlow on a processor
@pytest.mark.parametrize("kind", [*USUAL, *(pytest.param(kind, marks=pytest.mark.full) for kind in LONGER)])
def test_words_become_films(films: Mapping[str, FilmPipeline], kind: str, tmp_path: Path) -> None:
    both, alone = listener(tmp_path, "both"), listener(tmp_path, "alone")
    films[kind].run(asked(num_images_per_prompt=2), both)
    films[kind].run(asked(seed=4), alone)
    rounds = 2 if kind == "anyflow" else 1  # it makes its latent frames in two chunks
    assert both.steps == [(k + 1, 4 * rounds) for k in range(4 * rounds)] and not both.warnings
    assert [index for index, _ in both.previews] in ([0] * 2 * rounds + [1] * 2 * rounds, [])
    assert both.outputs[1].read_bytes() == alone.outputs[0].read_bytes() != both.outputs[0].read_bytes()
    meta = both.metas[1]
    assert (meta["seed"], meta["num_frames"], meta["frame_rate"], meta["duration"]) == (4, 9, 8, 1.125)
    assert frame_of(both.outputs[0]).size == (64, 64)
    assert frame_of(both.outputs[0], 0.0).tobytes() != frame_of(both.outputs[0], 1.0).tobytes()


@pytest.mark.parametrize("kind", ["ltx", "wan-ti", pytest.param("cogvideox-i2v", marks=pytest.mark.full)])
def test_a_picture_begins_a_film(films: Mapping[str, FilmPipeline], kind: str, tmp_path: Path) -> None:
    made = []
    for colour in ("red", "blue"):
        Image.new("RGB", (90, 50), colour).save(tmp_path / f"{colour}.png")
        heard = listener(tmp_path, colour, inputs={"init_image": [tmp_path / f"{colour}.png"]})
        films[kind].run(asked("image_to_video"), heard)
        made.append(heard.outputs[0].read_bytes())
    assert made[0] != made[1]


def test_latent_frames_are_made_in_chunks_where_a_model_does_so() -> None:
    denoiser = SimpleNamespace(config={"chunk_partition": (1, 3, 3, 2)})
    chunked = SimpleNamespace(components={"transformer": denoiser}, vae_scale_factor_temporal=4)
    assert chunks_of(chunked, 33) == (1, 3, 3, 2) and chunks_of(chunked, 13) == (1, 3) and chunks_of(chunked, 1) == (1,)
    assert chunks_of(SimpleNamespace(components={}), 9) == ()


def test_what_a_model_cannot_make_becomes_the_nearest(films: Mapping[str, FilmPipeline], tmp_path: Path) -> None:
    heard = listener(tmp_path, "ltx")
    films["ltx"].run(asked(width=72, num_frames=12, num_inference_steps=1), heard)
    assert (heard.metas[0]["width"], heard.metas[0]["num_frames"]) == (64, 9)
    assert heard.warnings == [
        "This model works in steps of 32 px: 64 × 64 is the nearest to 72 × 64.",
        "This model makes 8, 16, 24 … frames and one more: 9 instead of 12.",
    ]
    heard = listener(tmp_path, "motion")
    films["motion"].run(asked(num_frames=20, num_inference_steps=1), heard)
    assert heard.warnings == ["This model makes at most 12 frames: 12 instead of 20."]


def test_stop_is_heard_inside_a_step(films: Mapping[str, FilmPipeline], tmp_path: Path) -> None:
    for looks in (2, 4, 12):
        heard = Impatient(tmp_path, looks=looks)
        with pytest.raises(Cancelled):
            films["wan"].run(asked(num_inference_steps=20), heard)
        assert len(heard.steps) < looks - 1 and not heard.outputs


def test_settings_change_the_film(films: Mapping[str, FilmPipeline], tmp_path: Path) -> None:
    changes = (
        {},
        {"negative_prompt": "snow"},
        {"variation_seed": 9, "variation_strength": 0.5},
        {"scheduler": "euler_a"},
    )
    made = set()
    for number, change in enumerate(changes):
        heard = listener(tmp_path, str(number))
        films["motion"].run(asked(**change), heard)
        made.add(heard.outputs[0].read_bytes())
    assert len(made) == len(changes)


def test_a_lora_changes_the_film(films: Mapping[str, FilmPipeline], tmp_path: Path) -> None:
    pipe = films["ltx"]._own
    keys = [name for name, _ in pipe.transformer.named_modules() if name.endswith(("to_q", "to_k"))]
    weights = {}
    for key in keys:
        weights[f"transformer.{key}.lora_A.weight"] = torch.randn(2, 16)
        weights[f"transformer.{key}.lora_B.weight"] = torch.randn(16, 2)
    save_file(weights, tmp_path / "lora.safetensors")
    made = []
    for number, adapters in enumerate(([], [(tmp_path / "lora.safetensors", 4.0)], [])):
        heard = listener(tmp_path, str(number), adapters=adapters)
        films["ltx"].run(asked(), heard)
        made.append(heard.outputs[0].read_bytes())
    assert made[0] == made[2] != made[1]


def test_a_small_device_decodes_in_tiles(tmp_path: Path) -> None:
    folder = tiny_films.build("ltx", tmp_path / "ltx")
    heard = listener(tmp_path, "small")
    load(folder, Device(kind="cpu", name="CPU", memory=2**20)).run(asked(), heard)
    assert heard.warnings == ["Memory is short: films are decoded in tiles."] and heard.outputs


def test_folders_tell_what_they_can(tmp_path: Path) -> None:
    folders = {kind: tiny_films.build(kind, tmp_path / kind) for kind in ("ltx", "wan", "motion")}
    assert tasks_of(folders["ltx"]) == ("text_to_video", "image_to_video")
    assert tasks_of(folders["wan"]) == tasks_of(folders["motion"]) == ("text_to_video",)
    assert tasks_of(tiny.build("sd", tmp_path / "sd")) == ()
    assert suggested(folders["wan"])["num_frames"] == 81
    with pytest.raises(ModelError, match="moves the pictures of 'sd15', which is not installed"):
        load(folders["motion"], CPU)
    with pytest.raises(InvalidInput, match="cannot start from a picture"):
        load(folders["wan"], CPU).run(asked("image_to_video"), listener(tmp_path, "heard"))


@pytest.mark.timeout(300)
def test_a_film_goes_through_the_studio(tmp_path: Path) -> None:
    """Found by the catalog, made by the worker, kept with its settings, shown as its middle frame."""
    home = tmp_path / "home"
    tiny_films.build("ltx", home / "models" / "a-film-model")
    Image.new("RGB", (64, 48), "green").save(tmp_path / "start.png")
    with Studio(Settings.load({"home": str(home), "device": "cpu"})) as studio:
        assert [model.id for model in studio.catalog.models("image_to_video")] == ["a-film-model"]
        start = studio.adopt(tmp_path / "start.png", role="init_image")
        requests = [
            Request(task="text_to_video", model="a-film-model", prompt="a fox", params=SMALL, seed=5),
            Request(
                task="image_to_video",
                model="a-film-model",
                prompt="a fox",
                params={**SMALL, "num_images_per_prompt": 1},
                inputs=(Input(role="init_image", artifact=start.sha256),),
            ),
        ]
        jobs = [studio.wait(studio.submit(one, panel="test").id, timeout=200) for one in requests]
        assert [job.state for job in jobs] == [JobState.done] * 2, jobs
        made = studio.library.outputs(jobs[0].id)
        assert [(kept.media_type, kept.duration, kept.width) for kept in made] == [("video/mp4", 1.125, 64)] * 4
        assert '"text_to_video"' in record_inside(made[0].path)
        recovered = studio.recover(made[1].path)
        assert recovered and recovered.request and recovered.request["seed"] == 6
        with Image.open(studio.library.thumbnail(made[0].sha256)) as small:
            assert small.size == (64, 64)


def test_a_command_asks_for_a_film(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tiny_films.build("ltx", home / "models" / "films")
    Image.new("RGB", (64, 48), "green").save(tmp_path / "start.png")
    with Studio(Settings.load({"home": str(home), "device": "cpu"})) as studio:
        for more, task in (((), "text_to_video"), (("--init", str(tmp_path / "start.png")), "image_to_video")):
            words = ["image", "a fox", "--model", "films", "--frames", "17", "--fps", "12", "--size", "64x64", *more]
            request = studio.check(image_request(studio, parser().parse_args(words)))
            assert request.task == task and len(request.inputs) == bool(more)
            assert (request.params["num_frames"], request.params["frame_rate"], request.params["width"]) == (17, 12, 64)
            assert request.params["num_inference_steps"] == 40 and request.params["num_images_per_prompt"] == 1
