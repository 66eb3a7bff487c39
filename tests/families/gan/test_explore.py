"""Pictures, maps, mixtures, walks, sprites and land of a tiny generator; sprites and land also of drawings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from studio.design.terrain import block_of, heights_of, skyline
from studio.errors import InvalidInput
from studio.families.gan.drawn import CLASSES, drawing
from studio.families.gan.networks import GanConfig, Generator
from studio.families.gan.one_pass import OnePass
from studio.families.gan.pipeline import ExplorePipeline
from studio.families.gan.places import at_even_pace, between, steadied
from studio.families.gan.sheets import flicker, sprite_sheet
from tests.families.desk import Desk, asked


@pytest.fixture(scope="module")
def tiny() -> ExplorePipeline:
    torch.manual_seed(0)
    sizes = GanConfig(side=16, latent=8, style=16, channels=(16, 8), trunk=(8, 16))
    generator = Generator(sizes, 3).eval().requires_grad_(False)
    return ExplorePipeline(OnePass(generator, ("knight", "wizard", "hills")))


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGBA"))


def test_a_take_alone_is_the_take_among_sixty_four(tiny: ExplorePipeline, tmp_path: Path) -> None:
    many, alone = Desk(tmp_path / "many"), Desk(tmp_path / "alone")
    tiny.run(asked("gan", "explore", seed=3, num_images_per_prompt=64), many)
    tiny.run(asked("gan", "explore", seed=40, num_images_per_prompt=1), alone)
    assert [meta["seed"] for meta in many.metas] == list(range(3, 67))
    assert many.files[37].read_bytes() == alone.files[0].read_bytes()
    assert {meta["label"] for meta in many.metas} == {"knight", "wizard", "hills"}


def test_steps_along_directions_change_the_picture(tiny: ExplorePipeline, tmp_path: Path) -> None:
    plain, same, moved = (Desk(tmp_path / name) for name in ("plain", "same", "moved"))
    for desk, axes in ((plain, None), (same, [0, 0]), (moved, ["2.5"])):
        tiny.run(asked("gan", "explore", num_images_per_prompt=1, label="wizard", axes=axes), desk)
    assert plain.files[0].read_bytes() == same.files[0].read_bytes() != moved.files[0].read_bytes()
    found = tiny.space.directions(1)
    assert list(found.shares) == sorted(found.shares, reverse=True) and sum(found.shares) == pytest.approx(1, abs=0.01)
    for axes in (["x"], [99]):
        with pytest.raises(InvalidInput, match="directions"):
            tiny.run(asked("gan", "explore", axes=axes), plain)


def test_the_middle_of_a_map_is_the_picture_itself(tiny: ExplorePipeline, tmp_path: Path) -> None:
    one, whole, near = (Desk(tmp_path / name) for name in ("one", "whole", "near"))
    tiny.run(asked("gan", "explore", num_images_per_prompt=1, label="knight"), one)
    tiny.run(asked("gan", "map_latents", label="knight", columns=5), whole)
    tiny.run(asked("gan", "map_latents", label="knight", columns=3, span=0.02, centre_x=1.25), near)
    meta, sheet = whole.metas[0], pixels(whole.files[0])
    assert (meta["columns"], meta["rows"], meta["cell"]) == (5, 5, 16) and sheet.shape == (80, 80, 4)
    assert meta["x"] == [-2.5, -1.25, 0, 1.25, 2.5] == meta["y"][::-1]
    middle = pixels(one.files[0])
    assert np.abs(sheet[32:48, 32:48].astype(int) - middle).max() <= 1
    closer = pixels(near.files[0])[16:32, 16:32].astype(int)
    assert np.abs(closer - sheet[32:48, 48:64]).max() <= 1, "a nearer look at the same place"
    tiny.run(asked("gan", "latent_directions", label="knight", rows=2, columns=3), one)
    assert one.metas[1]["rows"] == 2 and len(one.metas[1]["shares"]) == 2


def test_a_mixture_runs_from_one_to_the_other(tiny: ExplorePipeline, tmp_path: Path) -> None:
    ends = Desk(tmp_path / "ends")
    tiny.run(asked("gan", "explore", seed=5, num_images_per_prompt=1, label="knight"), ends)
    tiny.run(asked("gan", "explore", seed=9, num_images_per_prompt=1, label="wizard"), ends)
    wanted = [pixels(ends.staging / "0.png")]
    for way in ("blend", "layers"):
        desk = Desk(tmp_path / way)
        request = asked("gan", "mix_pictures", label="knight", to_seed=9, to_label="wizard", way=way, steps=5)
        tiny.run(request, desk)
        assert [meta["amount"] for meta in desk.metas] == [0, 0.25, 0.5, 0.75, 1]
        assert np.abs(pixels(desk.files[4]).astype(int) - wanted[0]).max() <= 1
        assert len({file.read_bytes() for file in desk.files}) == 5


def test_a_walk_is_a_film_at_its_pace_without_flicker(tiny: ExplorePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    tiny.run(asked("gan", "walk_latents", stops=["1:knight", "7:wizard", "3"], frames=12, scale=2), desk)
    with Image.open(desk.files[0]) as film:
        assert film.n_frames == 36 and film.size == (32, 32)
        lengths = []
        for k in range(film.n_frames):
            film.seek(k)
            lengths.append(film.info["duration"])
    assert sum(lengths) == 1500 and desk.metas[0]["duration"] == 1.5
    assert desk.metas[0]["flicker"] < 0.5 < flicker(np.random.default_rng(0).random((20, 8, 8), np.float32))
    for stops, said in ((["one"], "no stop"), (["4"], "two stops"), (["4:dragon", "5"], "dragon")):
        with pytest.raises(InvalidInput, match=said):
            tiny.run(asked("gan", "walk_latents", stops=stops), desk)


def test_ways_pass_their_stops_and_even_pace_is_even() -> None:
    stops = torch.tensor([[0.0, 0], [1, 0], [1, 2]])
    way = between(stops, 4, closed=False)
    assert way.shape == (9, 2) and torch.allclose(way[[0, 4, 8]], stops)
    assert len(between(stops, 4, closed=True)) == 12
    uneven = torch.linspace(0, 1, 20)[:, None] ** 3
    steps = at_even_pace(uneven, uneven, closed=False).diff(dim=0)
    assert steps.max() / steps.min() < uneven.diff(dim=0).max() / uneven.diff(dim=0)[1:].min() / 4


def test_sprites_stand_in_cells_on_clear_ground(tiny: ExplorePipeline, tmp_path: Path) -> None:
    drawings = [drawing([1], CLASSES.index("wizard") + 16 * k, 32) for k in range(5)]
    sheet, atlas = sprite_sheet(drawings, columns=3, scale=2, padding=1)
    seen = np.asarray(sheet)
    assert sheet.mode == "RGBA" and len(atlas["frames"]) == 5 and (seen[..., 3] == 0).mean() > 0.2
    assert (seen[seen[..., 3] == 0] == 0).all(), "no colour hides under clear ground"
    for entry in atlas["frames"].values():
        x, y, w, h = (entry["frame"][name] for name in "xywh")
        cell = seen[y : y + h, x : x + w, 3]
        assert cell[-2:].max() == 0 < cell[-4:].max(), "feet on one line"
    with pytest.raises(InvalidInput, match="fill their frame"):
        sprite_sheet([drawing([1], CLASSES.index("sea"), 32)], 1, 1, 0)
    desk = Desk(tmp_path)
    try:
        tiny.run(asked("gan", "sprite_sheet", num_images_per_prompt=3, label="knight"), desk)
    except InvalidInput as refused:  # what random weights draw may fill its frame
        assert "transparent" in refused.hint
    else:
        assert len(json.loads(desk.files[1].read_text("utf-8"))["frames"]) == 3


def test_a_landscape_becomes_land(tiny: ExplorePipeline, tmp_path: Path) -> None:
    picture = Image.fromarray(drawing([1], CLASSES.index("mountains"), 64)).convert("RGB")
    picture.save(tmp_path / "source.png")
    desk = Desk(tmp_path / "out", source=tmp_path / "source.png")
    tiny.run(asked("gan", "terrain", cells=48, size_mm=80, relief_mm=20, base_mm=2), desk)
    assert [meta["media_type"] for meta in desk.metas] == ["image/png", "model/obj", "model/gltf-binary"]
    with Image.open(desk.files[0]) as grey:
        assert grey.mode == "I;16" and grey.size == (48, 48) and grey.getextrema() == (0, 65535)
    for file, scale, size in ((desk.files[1], 1, (80, 80, 22)), (desk.files[2], 1000, (80, 22, 80))):
        read = trimesh.load_scene(file).to_mesh()
        read.merge_vertices(merge_norm=True, merge_tex=True)
        assert read.is_watertight and read.volume > 0 and np.allclose(read.extents * scale, size, atol=0.1)
    assert desk.metas[2]["stands"] and desk.metas[2]["pieces"] == 1


def test_the_skyline_is_where_land_begins() -> None:
    at = np.arange(64)
    ridge = (34 + 8 * np.sin(at / 9)).astype(int)
    pixels = np.where((at[:, None] >= ridge)[..., None], np.float32([0.2, 0.4, 0.2]), np.float32([0.6, 0.8, 1.0]))
    assert np.abs(skyline(pixels.astype(np.float32)) - ridge).mean() < 2
    picture = Image.fromarray((pixels * 255).astype(np.uint8))
    heights, colours = heights_of(picture, 64)
    assert np.corrcoef(heights[14], -ridge)[0, 1] > 0.8, "the ridge is high where the skyline is"
    mesh, tints = block_of(heights, colours, 50, 10, 2)
    assert len(tints) == len(mesh.vertices) and np.array_equal(heights, heights_of(picture, 64)[0])


def test_a_film_is_steadied_and_its_ends_stay() -> None:
    film = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    for closed in (True, False):
        calm = steadied(film, closed)
        assert flicker(calm.numpy()) < 0.75 * flicker(film.numpy())
        assert torch.allclose(calm[5], (film[4] + 2 * film[5] + film[6]) / 4)
        assert torch.equal(calm[[0, -1]], film[[0, -1]]) != closed
    assert torch.allclose(steadied(film, True)[0], (film[-1] + 2 * film[0] + film[1]) / 4)
