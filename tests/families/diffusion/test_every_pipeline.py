"""Every listed class of picture pipeline, tiny, through the studio and its worker: from words, from a picture, inside a
mask, with a LoRA; and what a class cannot do is said in a sentence.
"""

from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from studio.hub.listed import listed
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Adapter, Input, Job, JobState, Request, Value
from tests.families.diffusion import tiny_pipelines
from tests.lengths import ALL

STARTS = {"sd", "sdxl", "sd3", "flux", "lcm", "sana-sprint", "flux2-klein", "z-image", "chroma", "qwen-image"}
PAINTS = {"sd", "sdxl", "sd3", "flux", "flux2-klein", "z-image", "qwen-image"}
NO_LORA = {"pixart-sigma", "ovis", "prx", "dreamlite"}
UNGUIDED = {"flux", "dreamlite"}  # guidance is told to the model, or was distilled away: words to avoid say nothing
USUAL = ("flux2-klein", "qwen-image", "prx")  # those that were mended in most places
SMALL: dict[str, Value] = {"width": 64, "height": 64, "num_inference_steps": 2, "guidance_scale": 3.0}
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One worker for all of them."""
    home = tmp_path_factory.mktemp("every")
    for kind in tiny_pipelines.KINDS if ALL else USUAL:
        folder = tiny_pipelines.build(kind, home / "models" / kind)
        tiny_pipelines.write_lora(folder, home / "adapters" / f"{kind}-style.safetensors")
    with Studio(Settings.load({"home": str(home), "device": "cpu"})) as running:
        yield running


@pytest.fixture(scope="module")
def inputs(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> tuple[Input, ...]:
    """A start picture and a mask over its left half."""
    folder = tmp_path_factory.mktemp("inputs")
    Image.new("RGB", (64, 64), "orange").save(folder / "start.png")
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (0, 0, 32, 64))
    mask.save(folder / "mask.png")
    roles = {"init_image": "start.png", "mask_image": "mask.png"}
    return tuple(
        Input(role=role, artifact=studio.adopt(folder / name, role=role).sha256) for role, name in roles.items()
    )


def made(studio: Studio, request: Request) -> tuple[Job, list[np.ndarray]]:
    """The finished job and its pictures."""
    job = studio.wait(studio.submit(request, panel="image").id, timeout=120)
    return job, [
        np.asarray(Image.open(kept.path).convert("RGB")).astype(int) for kept in studio.library.outputs(job.id)
    ]


def asked(kind: str, task: str = "text_to_image", seed: int = 3, **changes: Value) -> Request:
    return Request(task=task, model=kind, prompt="a red fox", seed=seed, params={**SMALL, **changes})


@pytest.mark.parametrize(
    "kind", [kind if kind in USUAL else pytest.param(kind, marks=pytest.mark.full) for kind in tiny_pipelines.KINDS]
)
def test_a_pipeline_does_what_its_class_can(kind: str, studio: Studio, inputs: tuple[Input, ...]) -> None:
    job, both = made(studio, asked(kind, num_images_per_prompt=2))
    assert job.state is JobState.done, job.error
    assert [one.shape for one in both] == [(64, 64, 3)] * 2 and abs(both[0] - both[1]).max() > 8
    assert job.step == job.steps > 0
    _, [alone] = made(studio, asked(kind, seed=4, num_images_per_prompt=1))
    assert abs(alone - both[1]).max() <= 2  # a take of a batch is what its seed makes alone
    if kind not in UNGUIDED:
        strict = asked(kind, seed=4, num_images_per_prompt=1, guidance_scale=15.0, negative_prompt="snow and zebras")
        assert (made(studio, strict)[1][0] != alone).any()
    for task, able, refusal in (
        ("image_to_image", STARTS, "cannot start from a picture"),
        ("inpaint", PAINTS, "cannot paint inside a mask"),
    ):
        given = inputs[: 2 if task == "inpaint" else 1]
        job, pictures = made(studio, asked(kind, task, num_images_per_prompt=1, strength=0.6).replace(inputs=given))
        assert job.state is (JobState.done if kind in able else JobState.failed), job.error
        assert kind in able or refusal in job.error
        if task == "inpaint" and kind in able:
            assert (pictures[0][:, 40:] == (255, 165, 0)).all()  # what is not under the mask stays
    style = Adapter(id=f"{kind}-style", weight=1.0)
    job, pictures = made(studio, asked(kind, seed=4, num_images_per_prompt=1).replace(adapters=(style,)))
    if kind in NO_LORA:
        assert job.state is JobState.failed and "takes no LoRA" in job.error
    else:
        assert job.state is JobState.done and abs(pictures[0] - alone).max() > 8, job.error


def test_every_listed_class_is_among_them() -> None:
    assert {entry.pipeline for entry in listed() if "text_to_image" in entry.tasks} <= tiny_pipelines.CLASSES
    assert len(tiny_pipelines.KINDS) == len(tiny_pipelines.CLASSES) == 18
