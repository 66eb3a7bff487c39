"""Depth and materials of pictures by the real classes at tiny size: maps of the picture's size, near is white, Stop."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from studio.catalog import read_model
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import depth
from studio.families.depth.pipeline import Looker, MapPipeline, grey, load, materials
from tests.families.depth import tiny_maps
from tests.families.desk import CPU, Desk, asked


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("maps")


@pytest.fixture(scope="module")
def picture(place: Path) -> Path:
    y, x = np.mgrid[0:60, 0:90]
    Image.fromarray(np.stack([x * 2, y * 4, x + y], -1).astype(np.uint8)).save(place / "picture.png")
    return place / "picture.png"


@pytest.fixture(scope="module")
def looker(place: Path) -> MapPipeline:
    return load(tiny_maps.depth_anything(place / "depth"), CPU)


@pytest.fixture(scope="module")
def marigold(place: Path) -> MapPipeline:
    return load(tiny_maps.marigold(place / "marigold"), CPU)


def test_folders_are_told_by_their_configs(looker: MapPipeline, marigold: MapPipeline, place: Path) -> None:
    for name in ("depth", "marigold"):
        found = read_model(place / name, "local")
        assert found and (found.family, found.tasks) == ("depth", ("depth_map",))
    assert depth.defaults(place / "marigold") == {"num_inference_steps": 2} and not depth.defaults(place / "depth")
    wants = place / "wants"
    wants.mkdir()
    config = {"architectures": ["PromptDepthAnythingForDepthEstimation"], "model_type": "prompt_depth_anything"}
    (wants / "config.json").write_text(json.dumps(config))
    assert not depth.able(wants) and not depth.able(place)


def test_a_picture_becomes_a_map_of_its_size(looker: MapPipeline, picture: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path, source=[picture, picture])
    looker.run(asked("depth", "depth_map"), desk)
    assert [meta["source"] for meta in desk.metas] == [0, 1] and desk.steps[-1] == (2, 2)
    one, other = (np.asarray(Image.open(file)) for file in desk.files)
    assert one.shape == (60, 90) and (one.min(), one.max()) == (0, 255) and np.array_equal(one, other)
    model = looker.model
    assert isinstance(model, Looker)
    given = model.processor(images=Image.open(picture).convert("RGB"), return_tensors="pt")
    with torch.inference_mode():
        told = model.model(**given).predicted_depth[0].numpy()
    flat = np.asarray(Image.fromarray(told).resize((90, 60), Image.Resampling.BICUBIC))
    assert np.corrcoef(flat.ravel(), one.ravel())[0, 1] > 0.99


def test_distances_are_turned_so_that_the_nearest_is_white(picture: Path, tmp_path: Path) -> None:
    model = load(tiny_maps.depth_anything(tmp_path / "metric", metric=True), CPU).model
    assert isinstance(model, Looker) and model.distances
    near = np.array([[1.0, 2.0], [4.0, 4.0]], np.float32)
    assert np.asarray(grey(1 / near)).tolist() == [[255, 85], [0, 0]]
    with pytest.raises(ModelError, match="no depth"):
        grey(np.full((2, 2), np.nan, np.float32))


def test_marigold_repeats_by_its_seed_and_hears_stop(marigold: MapPipeline, picture: Path, tmp_path: Path) -> None:
    made = []
    for k, seed in enumerate((5, 5, 6)):
        desk = Desk(tmp_path / str(k), source=picture)
        marigold.run(asked("depth", "depth_map", seed=seed, num_inference_steps=2), desk)
        made.append(np.asarray(Image.open(desk.files[0])))
    assert made[0].shape == (60, 90) and np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    stopped = Desk(tmp_path / "stopped", stop_after=2, source=picture)
    with pytest.raises(Cancelled):
        marigold.run(asked("depth", "depth_map", num_inference_steps=9), stopped)
    assert not stopped.files and stopped.steps[-1] == (1, 9)


def test_materials_are_what_a_renderer_takes() -> None:
    told = np.zeros((2, 4, 6, 3), np.float32)
    told[0], told[1, :, :, 0], told[1, :, :, 1] = 0.5, 0.25, 1.0
    made = materials(told, tiny_maps.MATERIALS)
    assert list(made) == ["albedo", "roughness", "metallicity"]
    assert made["albedo"].getpixel((0, 0)) == (128, 128, 128) and made["roughness"].getpixel((5, 3)) == 64
    assert made["metallicity"].getpixel((0, 0)) == 255 and made["metallicity"].size == (6, 4)
    linear = {"target_names": ["albedo"], "albedo": {"prediction_space": "linear", "up_to_scale": True}}
    assert materials(told[:1], linear)["albedo"].getpixel((0, 0)) == (255, 255, 255)


def test_what_cannot_be_read_is_said(looker: MapPipeline, place: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot do materials"):
        looker.run(asked("depth", "materials"), Desk(tmp_path))
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InvalidInput):
        looker.run(asked("depth", "depth_map"), Desk(tmp_path, source=tmp_path / "text.png"))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"architectures": ["DPTForDepthEstimation"], "model_type": "dpt"}')
    with pytest.raises(ModelError, match="cannot be opened as a model of depth"):
        load(broken, CPU)
