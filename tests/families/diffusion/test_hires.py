"""The second pass on tiny pipelines of the real classes: sizes, what it keeps, progress, refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from studio.errors import Cancelled, InvalidInput
from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import PicturePipeline
from studio.types import Request
from tests.families.diffusion.listener import Listener

Run = Callable[..., Listener]


@pytest.fixture
def run(models: dict[str, PicturePipeline], tmp_path: Path) -> Run:
    def start(kind: str, seed: int = 5, stop_at: int | None = None, **params: Any) -> Listener:
        size = {"num_inference_steps": 4, "width": 80, "height": 64, "num_images_per_prompt": 1}
        asked = Request(task="text_to_image", model=kind, prompt="a fox", seed=seed, params={**size, **params})
        listener = Listener(tmp_path, stop_at=stop_at)
        models[kind].run(FAMILY.validate(asked), listener)
        return listener

    return start


@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_a_take_gets_larger_and_stays_the_same_picture(run: Run, kind: str) -> None:
    plain = np.asarray(run(kind).pictures()[0].resize((120, 96), Image.Resampling.LANCZOS), float)
    heard = run(kind, hires_scale=1.5)
    made = heard.pictures()[0]
    assert made.size == (120, 96)
    told = {name: heard.metas[0][name] for name in ("width", "height", "base_width", "base_height", "hires_scale")}
    assert told == {"width": 120, "height": 96, "base_width": 80, "base_height": 64, "hires_scale": 1.5}
    little, much = (
        np.abs(np.asarray(run(kind, hires_scale=1.5, hires_strength=change).pictures()[0], float) - plain).mean()
        for change in (0.3, 1.0)
    )
    assert little < much or kind != "sd"  # the others' random autoencoders keep little of any picture
    nothing = run(kind, hires_scale=1.5, hires_strength=0.0)
    assert np.abs(np.asarray(nothing.pictures()[0], float) - plain).mean() < little


def test_the_take_of_a_batch_is_the_take_alone_and_progress_grows(run: Run) -> None:
    heard = run("sd", num_images_per_prompt=3, hires_scale=2.0, hires_strength=0.5, hires_steps=6)
    together = np.asarray(heard.pictures()[2], float)
    steps = heard.steps
    assert [step for step, _ in steps] == sorted(step for step, _ in steps)
    assert {total for _, total in steps} == {4 + 3 * 3} and steps[-1][0] == 13
    assert {index for index, _ in heard.previews} == {0, 1, 2}
    alone = run("sd", seed=7, hires_scale=2.0, hires_strength=0.5, hires_steps=6)
    assert np.abs(np.asarray(alone.pictures()[0], float) - together).max() <= 2


def test_one_times_is_no_second_pass_and_stop_is_heard_in_it(run: Run) -> None:
    assert run("sd", hires_scale=1.0).pictures()[0].size == (80, 64)
    with pytest.raises(Cancelled):
        run("sd", hires_scale=2.0, hires_strength=1.0, stop_at=6)
    with pytest.raises(InvalidInput, match="second pass would make"):
        run("sd", width=2048, height=2048, num_inference_steps=1, hires_scale=4.0)
