"""Settings that a pipeline's class has no use for: told in a sentence where somebody chose them, else not at all."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import PicturePipeline, load
from studio.types import Input, Request, Value
from tests.families.diffusion import tiny_pipelines
from tests.families.diffusion.listener import CPU, Listener

Warned = Callable[..., list[str]]
TAKES_NONE = "takes no words to avoid"
AT_THIS = "At this guidance the words to avoid come to nothing"
TAUGHT = "This model was taught to do without words to avoid"
EDITS = "takes no strength: it edits the start picture by the words"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PicturePipeline]:
    place = tmp_path_factory.mktemp("models")
    kinds = ("sd", "lcm", "flux", "flux2-klein", "qwen-image")
    folders = {kind: tiny_pipelines.build(kind, place / kind) for kind in kinds}
    folders["lcm-as-sd"] = shutil.copytree(folders["lcm"], place / "lcm-as-sd")  # as a few fine-tuned ones are saved
    index = folders["lcm-as-sd"] / "model_index.json"
    index.write_text(index.read_text("utf-8").replace("LatentConsistencyModel", "StableDiffusion"), "utf-8")
    return {kind: load(folder, CPU) for kind, folder in folders.items()}


@pytest.fixture
def warned(models: dict[str, PicturePipeline], tmp_path: Path) -> Warned:
    Image.linear_gradient("L").resize((64, 64)).convert("RGB").save(tmp_path / "start.png")

    def warned(kind: str, *, start: bool = False, **params: Value) -> list[str]:
        """What was told while a picture was made."""
        plain = {"width": 64, "height": 64, "num_inference_steps": 2, "num_images_per_prompt": 1, "guidance_scale": 3.0}
        given = (Input(role="init_image", artifact="0" * 64),) if start else ()
        task = "image_to_image" if start else "text_to_image"
        asked = Request(task=task, model=kind, prompt="a fox", seed=5, params={**plain, **params}, inputs=given)
        listener = Listener(tmp_path, inputs={"init_image": (tmp_path / "start.png",)} if start else {})
        models[kind].run(FAMILY.validate(asked), listener)
        assert listener.outputs
        return listener.warnings

    return warned


@pytest.mark.parametrize(
    ("kind", "guidance", "said"),
    [
        ("sd", 3.0, None),
        ("sd", 1.0, AT_THIS),
        ("lcm", 3.0, TAKES_NONE),
        ("lcm-as-sd", 3.0, TAUGHT),
        ("qwen-image", 3.0, None),
        ("qwen-image", 1.0, AT_THIS),
        ("flux", 3.0, TAKES_NONE),
        ("flux2-klein", 3.0, TAKES_NONE),
    ],
)
def test_words_to_avoid_that_come_to_nothing_are_told(
    warned: Warned, kind: str, guidance: float, said: str | None
) -> None:
    told = warned(kind, negative_prompt="snow", guidance_scale=guidance)
    assert [said in one for one in told if said] == [True] * bool(said) and len(told) == bool(said), told
    assert not warned(kind, guidance_scale=guidance)


def test_a_strength_that_somebody_chose_is_told_where_it_is_not_taken(warned: Warned) -> None:
    (told,) = warned("flux2-klein", start=True, strength=0.3)
    assert EDITS in told and told.startswith("flux2-klein ")
    assert not warned("flux2-klein", start=True) and not warned("flux2-klein", start=True, strength=0.6)
    assert not warned("sd", start=True, strength=0.3)
    assert EDITS in warned("flux2-klein", hires_scale=1.5)[0]  # whose strength is always chosen
