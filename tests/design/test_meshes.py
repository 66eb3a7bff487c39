"""Meshes: measured, written in four formats and read again by others, drawn; and walls that are made thick enough."""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from studio.design import mesh_files
from studio.design.films import durations, write_film
from studio.design.glb import about_inside, picture_inside, with_about
from studio.design.mesh_files import FORMATS, glb_of, read_mesh, write_mesh
from studio.design.meshes import Mesh, checked, is_closed, print_estimate, stands
from studio.design.rendering import render, turntable
from studio.design.walls import thicken, thicknesses, thinnest
from studio.errors import InvalidInput


def block(wide: float = 40, high: float = 60, deep: float = 20, lean: float = 0.0) -> Mesh:
    """A box in mm that stands on the ground; `lean` moves its top sideways."""
    found = trimesh.creation.box((wide, high, deep))
    places = np.asarray(found.vertices, np.float32) + np.float32([0, high / 2, 0])
    places[:, 0] += lean * (places[:, 1] / high)
    return Mesh(places, np.asarray(found.faces, np.int32))


def ball(many: int = 3) -> Mesh:
    found = trimesh.creation.icosphere(many, 30)
    return Mesh(np.asarray(found.vertices, np.float32), np.asarray(found.faces, np.int32))


def test_a_block_has_its_figures() -> None:
    found = checked(block())
    assert found.watertight and found.pieces == 1 and found.stands
    assert found.size_mm == (40, 60, 20) and found.volume_cm3 == 48 and found.area_cm2 == 88
    assert found.base_mm2 == 800 and found.faces == 12 and found.print_minutes > 20 and 5 < found.grams < 60
    assert not stands(block(lean=90)) and not stands(ball())
    assert not is_closed(Mesh(block().vertices, block().faces[1:]))


def test_more_plastic_takes_longer() -> None:
    assert print_estimate(48_000, 8_800, 60) < print_estimate(96_000, 17_600, 60)
    assert print_estimate(48_000, 8_800, 60)[0] < print_estimate(48_000, 8_800, 200)[0]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_by_another_program_at_its_size(kind: str, tmp_path: Path) -> None:
    mesh, path = block(), tmp_path / f"block.{kind}"
    path.write_bytes(write_mesh(mesh, kind, "a <block> & more"))
    assert path.read_bytes() == write_mesh(mesh, kind, "a <block> & more"), "the same mesh, the same bytes"
    other = trimesh.load_scene(path).to_mesh()
    scale, size = (1000, (40, 60, 20)) if kind == "glb" else (1, (40, 20, 60))
    assert np.allclose(other.extents * scale, size, atol=0.1)
    other.merge_vertices(merge_norm=True)
    assert other.is_watertight and other.volume > 0
    again = read_mesh(path)
    assert checked(again).size_mm == (40, 60, 20) and is_closed(again)


def test_a_3mf_package_is_whole(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(write_mesh(block(), "3mf"))) as package:
        assert package.testzip() is None
        assert package.namelist() == ["[Content_Types].xml", "_rels/.rels", "3D/3dmodel.model"]
    lib3mf = pytest.importorskip("lib3mf", reason="the consortium's own reader")
    path = tmp_path / "block.3mf"
    path.write_bytes(write_mesh(block(), "3mf", "title"))
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(path))
    assert reader.GetWarningCount() == 0


def test_a_glb_keeps_what_it_says_and_its_picture() -> None:
    data = glb_of(block(), {"wish": "a vase"}, b"picture")
    assert picture_inside(data) == b"picture" and picture_inside(with_about(data, {})) == b"picture"
    assert about_inside(with_about(data, {"record": {"seed": 7}})) == {"wish": "a vase", "record": {"seed": 7}}
    length = struct.unpack_from("<I", data, 8)[0]
    assert length == len(data) and length % 4 == 0


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in (
        ("a.stl", b"nothing"),
        ("b.glb", b"glTF"),
        ("c.3mf", b"PK"),
        ("d.obj", b"v 0 0 0\n"),
        ("e.txt", b""),
        ("f.ply", b"ply\nformat ascii 1.0\nend_header\n"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match=name):
            read_mesh(tmp_path / name)
    monkeypatch.setattr(mesh_files, "MOST_FACES", 100)
    (tmp_path / "many.stl").write_bytes(write_mesh(ball(), "stl"))
    with pytest.raises(InvalidInput, match="1,280 faces"):
        read_mesh(tmp_path / "many.stl")


def test_a_picture_shows_the_nearest_face_and_the_ground() -> None:
    picture = np.asarray(render(*ball(), side=64, background=None))
    assert picture.shape == (64, 64, 4) and picture[32, 32, 3] == 255 and picture[0, 0, 3] == 0
    assert picture[20, 24, :3].mean() > picture[48, 44, :3].mean() + 20, "light comes from above"
    tinted = np.asarray(render(*ball(), side=32, colours=np.tile(np.uint8([200, 20, 20]), (len(ball().vertices), 1))))
    assert tinted[16, 16, 0] > 2 * tinted[16, 16, 1]


def test_a_turn_is_a_film_at_its_pace(tmp_path: Path) -> None:
    frames = list(turntable(*block(), frames=6, side=32))
    write_film(tmp_path / "turn.gif", frames, 24)
    with Image.open(tmp_path / "turn.gif") as film:
        assert film.n_frames == 6 and film.size == (32, 32)
    assert sum(durations(24, 24)) == 1000 and set(durations(24, 24)) == {40, 50}


def plate(thick: float) -> np.ndarray:
    """A standing plate on a grid of 40 cells a side, `thick` cells thick."""
    at = np.stack(np.meshgrid(*[np.arange(40) - 19.5] * 3, indexing="ij"))
    return np.maximum(np.abs(at[0]) - thick / 2, np.maximum(np.abs(at[1]), np.abs(at[2])) - 14).astype(np.float32)


def test_walls_are_measured_and_thickened() -> None:
    side = np.float32([[19.5 + 1.5, y, z] for y in range(12, 28) for z in range(12, 28)])
    assert thicknesses(plate(3), side) == pytest.approx(3, abs=0.15)
    assert np.array_equal(thicken(plate(6), 2.0), plate(6)), "what is thick enough stays as it is"
    thicker = thicken(plate(3), 2.5)
    first = np.argmax(thicker[:, 20, 20] < 0), 39 - np.argmax(thicker[::-1, 20, 20] < 0)
    assert first[1] - first[0] + 1 >= 5
    assert thinnest(thicker, np.float32([[first[1] + 0.3, 20, 20]])) >= 4.6


@pytest.mark.parametrize(("unit", "size"), [("inch", 25.4), ("meter", 1000), ("micron", 0.001), ("", 1)])
def test_a_3mf_in_other_units_keeps_its_size(tmp_path: Path, unit: str, size: float) -> None:
    whole = zipfile.ZipFile(io.BytesIO(write_mesh(block(), "3mf")))
    path = tmp_path / "block.3mf"
    with zipfile.ZipFile(path, "w") as package:
        for name in whole.namelist():
            said = f' unit="{unit}"' if unit else ""
            package.writestr(name, whole.read(name).replace(b' unit="millimeter"', said.encode()))
    wide = np.ptp(read_mesh(path).vertices, axis=0)
    assert wide == pytest.approx(np.ptp(block().vertices, axis=0) * size, rel=1e-4)
