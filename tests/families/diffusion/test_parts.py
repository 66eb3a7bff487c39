"""Painting a part of a picture: beyond its edges, and around a mask at the size of the model."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.errors import InvalidInput
from studio.families.diffusion import FAMILY
from studio.families.diffusion.detail import around, part_of
from studio.families.diffusion.outpaint import extended, sides_of
from studio.families.diffusion.pipeline import PicturePipeline, load
from studio.types import Input, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener

Start = Callable[..., Listener]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PicturePipeline]:
    place = tmp_path_factory.mktemp("models")
    folders = {kind: tiny.build(kind, place / kind) for kind in ("sd", "flux")}
    folders["sd16"] = tiny.build("sd", place / "sd16", channels=16)
    return {kind: load(folder, CPU) for kind, folder in folders.items()}


@pytest.fixture
def run(models: dict[str, PicturePipeline], tmp_path: Path) -> Start:
    numbers = itertools.count()

    def start(
        kind: str, task: str, picture: Image.Image, mask: Image.Image | None = None, seed: int = 5, **params: Any
    ) -> Listener:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        inputs = {"init_image": (folder / "init.png",)}
        picture.save(inputs["init_image"][0])
        if mask is not None:
            inputs["mask_image"] = (folder / "mask.png",)
            mask.save(inputs["mask_image"][0])
        size = {"num_inference_steps": 3, "width": 64, "height": 64}
        asked = Request(task=task, model=kind, prompt="a red fox", seed=seed, params={**size, **params},
                        inputs=tuple(Input(role=role, artifact="0" * 64) for role in inputs))  # fmt: skip
        listener = Listener(folder, inputs=inputs)
        models[kind].run(FAMILY.validate(asked), listener)
        return listener

    return start


def scene(width: int, height: int) -> Image.Image:
    across, down = np.linspace(0, 255, width)[None, :], np.linspace(255, 0, height)[:, None]
    planes = [np.broadcast_to(plane, (height, width)) for plane in (across, down, (across + down) / 2)]
    return Image.fromarray(np.stack(planes, 2).round().astype(np.uint8))


def spot(width: int, height: int, box: tuple[int, int, int, int]) -> Image.Image:
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


@pytest.mark.parametrize("kind", ["sd", "sd16", "flux"])
def test_a_grown_picture_keeps_its_pixels(run: Start, kind: str) -> None:
    picture = scene(61, 45)
    heard = run(kind, "outpaint", picture, num_images_per_prompt=2, extend_left=17, extend_bottom=24)
    for made in heard.pictures():
        assert made.size == (78, 69)
        assert (np.asarray(made)[:45, 17:] == np.asarray(picture)).all()
    first, second = (np.asarray(made, float) for made in heard.pictures())
    assert np.abs(first[:, :17] - second[:, :17]).mean() > 1  # the border is made, by each seed another one
    assert (heard.metas[0]["width"], heard.metas[0]["height"]) == (78, 69)
    alone = run(kind, "outpaint", picture, num_images_per_prompt=1, seed=6, extend_left=17, extend_bottom=24)
    assert np.abs(np.asarray(alone.pictures()[0], float) - second).max() <= 2


def test_the_seam_is_blended(run: Start) -> None:
    """At the edge the border goes on as the picture does; with no blur it need not."""
    picture = scene(64, 64)
    steps = []
    for blur in (0, 16):
        made = np.asarray(run("sd", "outpaint", picture, num_images_per_prompt=1, extend_right=32, mask_blur=blur,
                              strength=1.0).pictures()[0], float)  # fmt: skip
        steps.append(np.abs(made[:, 64] - made[:, 63]).mean())
    assert steps[1] < steps[0] / 2 and steps[1] < 8


def test_sides_and_shapes() -> None:
    assert sides_of((512, 512), {"extend_to": "16:9"}) == (199, 199, 0, 0)
    assert sides_of((512, 512), {"extend_to": "2:3", "extend_left": 10}) == (10, 0, 135, 136)
    assert sides_of((512, 256), {"extend_top": 7}) == (0, 0, 7, 0)
    for params, said in (({}, "at no side"), ({"extend_to": "1:1"}, "shape 1:1 already")):
        with pytest.raises(InvalidInput, match=said):
            sides_of((512, 512), params)
    with pytest.raises(InvalidInput, match="64 megapixels"):
        sides_of((8000, 8000), {"extend_left": 4000})
    whole, mask = extended(scene(10, 8), (30, 0, 0, 3))  # more than the picture itself
    assert whole.size == mask.size == (40, 11)
    assert mask.crop((30, 0, 40, 8)).getextrema() == (0, 0) and mask.crop((0, 0, 30, 11)).getextrema() == (255, 255)


def test_only_around_the_mask_at_the_size_of_the_model(run: Start, models: dict[str, PicturePipeline]) -> None:
    picture, mask = scene(300, 200), spot(300, 200, (200, 40, 230, 70))
    seen = []
    pipe: Any = models["sd"]._own
    hook = pipe.unet.register_forward_pre_hook(lambda _, given: seen.append(tuple(given[0].shape[2:])))
    heard = run("sd", "inpaint", picture, mask, num_images_per_prompt=2, strength=1.0, padding_mask_crop=16)
    hook.remove()
    assert set(seen) == {(16, 16)}  # 64 px, though the picture has 300
    kept = np.asarray(mask) == 0
    for made in heard.pictures():
        assert made.size == (300, 200)
        assert (np.asarray(made)[kept] == np.asarray(picture)[kept]).all()
        assert np.abs(np.asarray(made, float)[~kept] - np.asarray(picture, float)[~kept]).mean() > 5
    nothing = run("sd", "inpaint", picture, mask, num_images_per_prompt=1, strength=0.0, padding_mask_crop=16)
    assert (np.asarray(nothing.pictures()[0]) == np.asarray(picture)).all()


@pytest.mark.parametrize("sampler", ["default", "euler_a", "heun", "lcm"])
def test_latents_of_many_channels_keep_what_is_not_painted(
    run: Start, models: dict[str, PicturePipeline], sampler: str
) -> None:
    """diffusers paints inside masks with four channels alone; with more, what is kept leads the rest as well."""
    picture, mask = scene(64, 64), spot(64, 64, (16, 16, 47, 47))
    heard = run("sd16", "inpaint", picture, mask, num_images_per_prompt=1, strength=1.0, scheduler=sampler)
    made, kept = np.asarray(heard.pictures()[0]), np.asarray(mask) == 0
    assert (made[kept] == np.asarray(picture)[kept]).all()
    again = run("sd16", "inpaint", picture, mask, num_images_per_prompt=2, seed=4, strength=1.0, scheduler=sampler)
    assert np.abs(np.asarray(again.pictures()[1], float) - made).max() <= 2
    ends = []  # the latents that are decoded: those of the picture itself outside the mask
    vae: Any = models["sd16"]._own.vae  # type: ignore[attr-defined]
    hook = vae.decoder.register_forward_pre_hook(lambda _, given: ends.append(given[0].detach().clone()))
    for strength in (1.0, 0.5):
        run("sd16", "inpaint", picture, mask, num_images_per_prompt=1, strength=strength, scheduler=sampler)
    hook.remove()
    difference = (ends[0] - ends[1]).abs().amax(1)[0]
    assert difference[:3].max() < 1e-4 < difference[6:10, 6:10].min()


def test_the_crop_stays_in_the_picture_and_is_not_too_flat() -> None:
    assert around(spot(300, 200, (100, 80, 119, 99)), 10) == (90, 70, 130, 110)
    assert around(spot(300, 200, (0, 0, 9, 9)), 20) == (0, 0, 50, 50)  # moved inside, as large as in the middle
    left, top, right, bottom = around(spot(300, 200, (10, 90, 209, 99)), 5)
    assert (right - left, bottom - top) == (210, 105)
    assert around(spot(300, 50, (0, 0, 299, 49)), 99) == (0, 0, 300, 50)


def test_what_cannot_be_painted_is_said(tmp_path: Path) -> None:
    scene(64, 64).save(tmp_path / "a.png")
    Image.new("L", (64, 64)).save(tmp_path / "empty.png")
    files = {"init_image": (tmp_path / "a.png",), "mask_image": (tmp_path / "empty.png",)}
    with pytest.raises(InvalidInput, match="mask is empty"):
        part_of("inpaint", {"padding_mask_crop": 8}, files, (64, 64), 8)
    with pytest.raises(InvalidInput, match="whole pictures only"):
        part_of("inpaint", {"padding_mask_crop": 8}, {**files, "control": files["init_image"]}, (64, 64), 8)
    large = part_of("outpaint", {"extend_left": 640}, files, (64, 64), 8)
    assert large and large.size[0] * large.size[1] <= 2.6 * 64 * 64 and large.whole.size == (704, 64)
    assert part_of("inpaint", {}, files, (64, 64), 8) is None
