"""A model that brings a safety filter: it acts, says so, and can be switched off; its real class at tiny size."""

from pathlib import Path

import numpy as np
import pytest
from diffusers import StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from studio.families.diffusion import FAMILY
from studio.families.diffusion.pipeline import load
from studio.types import Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener


def guarded(folder: Path, strict: bool) -> Path:
    """A tiny folder whose filter takes every picture for unsafe, or none."""
    pipe = StableDiffusionPipeline.from_pretrained(tiny.build("sd", folder / "plain"), safety_checker=None)
    seen = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**seen, "image_size": 32, "patch_size": 16, "projection_dim": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, text_config=seen, projection_dim=8))
    checker.concept_embeds_weights.data.fill_(-2.0 if strict else 2.0)
    checker.special_care_embeds_weights.data.fill_(2.0)
    pipe.register_modules(
        safety_checker=checker,
        feature_extractor=CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
    )
    pipe.save_pretrained(folder / "guarded")
    return folder / "guarded"


def made(folder: Path, out: Path, **params: object) -> Listener:
    out.mkdir()
    few = {"num_inference_steps": 2, "width": 64, "height": 64, "num_images_per_prompt": 2, **params}
    heard = Listener(out)
    request = Request(task="text_to_image", model="guarded", prompt="a fox", seed=3, params=few)
    load(folder, CPU).run(FAMILY.validate(request), heard)
    return heard


@pytest.mark.filterwarnings("ignore:.*safety checker.*")
def test_what_the_filter_takes_for_unsafe_is_black_and_said(tmp_path: Path) -> None:
    folder = guarded(tmp_path, strict=True)
    heard = made(folder, tmp_path / "on")
    assert all(not np.asarray(picture).any() for picture in heard.pictures())
    assert [heard.metas[k].get("made_black") for k in (0, 1)] == [True, True]
    assert len(heard.warnings) == 1 and "safety filter" in heard.warnings[0]
    free = made(folder, tmp_path / "off", safety_filter="off")
    assert all(np.asarray(picture).std() > 1 for picture in free.pictures())
    assert not free.warnings and "made_black" not in free.metas[0]
    assert free.metas[0]["safety_filter"] == "off"


def test_what_it_lets_through_is_as_without_it(tmp_path: Path) -> None:
    folder = guarded(tmp_path, strict=False)
    plain = made(tmp_path / "plain", tmp_path / "without")
    let = made(folder, tmp_path / "with")
    for one, other in zip(plain.pictures(), let.pictures(), strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(other))
    assert not let.warnings and "made_black" not in let.metas[0]
