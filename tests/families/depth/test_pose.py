"""The pose of somebody as a skeleton: joints where the model sees them, limbs in OpenPose's colours, its real class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio.catalog import Catalog, read_model
from studio.errors import InvalidInput, NotFound
from studio.families.depth.pipeline import load
from studio.families.depth.pose import COLOURS, Posed, peaks, skeleton
from studio.settings import Settings
from studio.types import Input, Request
from tests.families.depth import tiny_maps
from tests.families.desk import CPU, Desk, asked
from tests.families.diffusion import tiny
from tests.families.diffusion.test_controlnet import build_controlnet

STANDING = (  # COCO's joints of somebody who faces us, in a picture of 100 x 200
    *((50, 20), (54, 16), (46, 16), (60, 18), (40, 18), (70, 50), (30, 50), (80, 80), (20, 80)),
    *((84, 110), (16, 110), (62, 110), (38, 110), (62, 150), (38, 150), (62, 190), (38, 190)),
)
POINTS = np.array(STANDING, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_maps.vitpose(tmp_path_factory.mktemp("pose") / "vitpose")


def test_limbs_and_joints_have_openposes_colours() -> None:
    drawn = skeleton(POINTS, np.ones(17, np.float32), (100, 200))
    assert drawn.getpixel((50, 50)) == COLOURS[1]  # the neck, between the shoulders
    assert drawn.getpixel((50, 20)) == COLOURS[0] and drawn.getpixel((62, 190)) == COLOURS[13]
    half = tuple(round(0.6 * part) for part in COLOURS[0])
    assert drawn.getpixel((40, 50)) == half  # from the neck to the right shoulder
    assert drawn.getpixel((5, 5)) == (0, 0, 0)


def test_what_is_not_sure_is_not_drawn() -> None:
    sure = np.ones(17, np.float32)
    sure[[6, 13]] = 0.1
    drawn = skeleton(POINTS, sure, (100, 200))
    assert drawn.getpixel((30, 50)) == drawn.getpixel((50, 50)) == (0, 0, 0)  # no shoulder, so no neck
    assert drawn.getpixel((62, 150)) == (0, 0, 0) and drawn.getpixel((62, 110)) == COLOURS[11]


def test_peaks_lie_between_pixels() -> None:
    heat = np.zeros((2, 9, 7), np.float32)
    heat[0, 4, 3], heat[0, 4, 4], heat[0, 3, 3] = 1, 0.5, 0.2
    heat[1, 0, 6] = 0.7
    found, sure = peaks(heat)
    assert found.tolist() == [[3.25, 3.75], [6, 0]] and sure.tolist() == pytest.approx([1, 0.7])


def test_the_model_is_read_and_its_joints_lie_in_the_picture(folder: Path, tmp_path: Path) -> None:
    found = read_model(folder, "local")
    assert found and (found.family, found.tasks) == ("depth", ("pose_map",))
    picture = tmp_path / "somebody.png"
    Image.radial_gradient("L").resize((120, 90)).convert("RGB").save(picture)
    model = load(folder, CPU)
    desk = Desk(tmp_path / "out", source=picture)
    model.run(asked("depth", "pose_map"), desk)
    drawn = np.asarray(Image.open(desk.files[0]))
    assert drawn.shape == (90, 120, 3) and drawn.max() == 255 and desk.metas[0]["map"] == "pose"
    assert isinstance(model.model, Posed)
    points, sure = model.model.joints(Image.open(picture))
    again, _ = model.model.joints(Image.open(picture).resize((240, 180), Image.Resampling.BILINEAR))
    assert points.shape == (17, 2) and (sure > 1).all() and np.median(np.abs(again - 2 * points)) < 12
    with torch.no_grad():
        dict(model.model.model.named_parameters())["head.conv.bias"].fill_(-50)
    with pytest.raises(InvalidInput, match="No person"):
        model.run(asked("depth", "pose_map"), Desk(tmp_path / "none", source=picture))


def test_a_controlnet_asks_for_what_sees_a_pose(tmp_path: Path) -> None:
    settings = Settings.load({"home": tmp_path / "home"})
    settings.models.mkdir(parents=True)
    build_controlnet("sd", tiny.build("sd", settings.models / "sd"), settings.models / "openpose")
    params = {"controlnet": "openpose", "control_kind": "pose"}
    wanted = Request(
        task="text_to_image", model="sd", prompt="", params=params, inputs=(Input(role="control", artifact="0" * 64),)
    )
    catalog = Catalog(settings)
    with pytest.raises(NotFound, match="can see the pose"):
        catalog.check_beside(wanted, catalog.model("sd"))
    seer = tiny_maps.vitpose(settings.models / "vitpose")
    assert catalog.beside(wanted, catalog.model("sd"))["seer"] == [str(seer)]
