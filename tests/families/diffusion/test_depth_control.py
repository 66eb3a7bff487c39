"""A ControlNet that follows the depth of a picture, as a model of the real class at tiny size sees it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from studio.catalog import Catalog
from studio.errors import NotFound
from studio.families.diffusion import FAMILY
from studio.families.diffusion.depth_control import seen_in
from studio.families.diffusion.pipeline import load
from studio.settings import Settings
from studio.types import Input, Request
from tests.families.depth import tiny_maps
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener
from tests.families.diffusion.test_controlnet import build_controlnet


def test_a_picture_is_followed_by_its_depth(tmp_path: Path) -> None:
    settings = Settings.load({"home": tmp_path / "home"})
    settings.models.mkdir(parents=True)
    folder = tiny.build("sd", settings.models / "sd")
    net = build_controlnet("sd", folder, settings.models / "depth-sd")
    photo = tmp_path / "photo.png"
    Image.radial_gradient("L").convert("RGB").resize((80, 64)).save(photo)
    roles = tuple(Input(role="control", artifact="0" * 64) for _ in range(1))
    params = {"num_inference_steps": 2, "width": 64, "height": 64, "num_images_per_prompt": 1, "controlnet": "depth-sd"}
    asked = Request(task="text_to_image", model="sd", prompt="a fox", seed=5, inputs=roles,
                    params={**params, "control_kind": "depth"})  # fmt: skip
    catalog = Catalog(settings)
    with pytest.raises(NotFound, match="can see the depth"):
        catalog.check_beside(asked, catalog.model("sd"))
    seer = tiny_maps.depth_anything(settings.models / "seer")
    catalog.check_beside(asked, catalog.model("sd"))
    assert catalog.beside(asked, catalog.model("sd")) == {"controlnet": [str(net)], "seer": [str(seer)]}

    seen = seen_in(photo, seer, CPU)
    assert seen.size == (80, 64) and seen.mode == "RGB" and seen_in(photo, seer, CPU) is seen
    seen.save(tmp_path / "depth.png")
    model = load(folder, CPU)

    def made(control: Path, kind: str) -> np.ndarray:
        given = {"control": (control,), "controlnet": (net,), "seer": (seer,)}
        listener = Listener(tmp_path, inputs=given)
        model.run(FAMILY.validate(asked.with_params(control_kind=kind)), listener)
        return np.asarray(listener.pictures()[0], float)

    followed = made(photo, "depth")
    assert np.abs(followed - made(tmp_path / "depth.png", "as it is")).max() <= 2
    assert np.abs(followed - made(photo, "as it is")).max() > 2
