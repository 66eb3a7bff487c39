"""Weights in the prompt: how they are written, and what they do to pictures of tiny pipelines of the real classes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from studio.errors import InvalidInput
from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import PicturePipeline
from studio.families.diffusion.weighted_words import escaped, read
from studio.types import Request
from tests.families.diffusion.listener import Listener

Picture = Callable[..., np.ndarray]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def picture(models: dict[str, PicturePipeline], tmp_path: Path, told: list[str]) -> Picture:
    def make(kind: str, prompt: str, negative: str = "", count: int = 1, seed: int = 5) -> np.ndarray:
        params = {"num_inference_steps": 2, "width": 64, "height": 64, "num_images_per_prompt": count}
        asked = Request(task="text_to_image", model=kind, prompt=prompt, seed=seed,
                        params={**params, "negative_prompt": negative, "guidance_scale": 6.0})  # fmt: skip
        listener = Listener(tmp_path)
        models[kind].run(FAMILY.validate(asked), listener)
        told[:] = listener.warnings
        return np.asarray(listener.pictures()[-1], float)

    return make


@pytest.mark.parametrize(
    ("prompt", "runs"),
    [
        ("a red fox", [("a red fox", 1)]),
        ("a (red) fox", [("a ", 1), ("red", 1.1), (" fox", 1)]),
        ("((red))", [("red", 1.21)]),
        ("[red]", [("red", 1 / 1.1)]),
        ("(red:1.3) fox", [("red", 1.3), (" fox", 1)]),
        ("(a (red:2) fox:0.5)", [("a ", 0.5), ("red", 1), (" fox", 0.5)]),
        (r"a \(red\) fox \\", [("a (red) fox \\", 1)]),
        ("a smile :) (and [one more", [("a smile :) (and [one more", 1)]),
        ("(at 10:30) [x)", [("at 10", 30)]),
        ("(at 10:30 sharp)", [("at 10:30 sharp", 1.1)]),
        ("(red : .5 )", [("red ", 0.5)]),
        ("", []),
    ],
)
def test_weights_are_read_as_others_read_them(prompt: str, runs: list[tuple[str, float]]) -> None:
    if "10:30)" in prompt:
        with pytest.raises(InvalidInput, match="30 in the prompt"):
            read(prompt)
        return
    found = [(run.text, run.weight) for run in read(prompt).runs]
    assert [text for text, _ in found] == [text for text, _ in runs]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in runs])


def test_a_text_that_is_no_prompt_can_be_kept_as_it_is() -> None:
    text = r"a photo (blurred) [1] \( :1.3)"
    assert read(escaped(text)).text == text and not read(escaped(text)).weighted


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_weight_of_1_changes_nothing_and_0_leaves_the_word_out(picture: Picture, kind: str) -> None:
    plain = picture(kind, "a red fox", "blue")
    assert (picture(kind, "a (red:1) fox", "(blue:1.0)") == plain).all()
    assert (picture(kind, r"a (red:1) fox \\", "blue") == picture(kind, "a red fox \\", "blue")).all()
    without = picture(kind, "a  fox", "blue")
    assert np.abs(picture(kind, "a (red:0) fox", "blue") - without).max() <= 1
    assert np.abs(plain - without).max() > 2


@pytest.mark.parametrize("kind", ["sd", "sdxl"])
def test_a_larger_weight_moves_the_picture_further(picture: Picture, kind: str) -> None:
    plain = picture(kind, "a red fox")
    for weights in ((0.8, 0.5, 0.0), (1.2, 1.6, 2.4)):
        moved = [float(np.abs(picture(kind, f"a (red:{weight}) fox") - plain).mean()) for weight in weights]
        assert 0 < moved[0] < moved[1] < moved[2], (weights, moved)
    avoided = picture(kind, "a red fox", "(blue:1.6) sky")
    assert np.abs(avoided - picture(kind, "a red fox", "blue sky")).max() > 1


def test_a_take_alone_is_the_take_of_the_batch(picture: Picture) -> None:
    together = picture("sd", "a (red:1.4) [fox]", count=3, seed=5)
    assert np.abs(together - picture("sd", "a (red:1.4) [fox]", seed=7)).max() <= 2


def test_a_model_without_weights_says_so_and_reads_the_words(picture: Picture, told: list[str]) -> None:
    plain = picture("sd3", "a red fox")
    assert not told
    assert (picture("sd3", "a (red:1.4) fox") == plain).all()
    assert any("reads no weights" in line for line in told)
    brackets = picture("sd3", "a (red) fox")
    assert not told and (brackets != plain).any()
    assert (picture("sd3", r"a \(red\) fox") == brackets).all()
