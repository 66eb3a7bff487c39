"""Shapes of a data set: read in every format, mended or refused with one sentence, brought to one size, told apart."""

from pathlib import Path

import numpy as np
import pytest
import trimesh

from studio.design.mending import encloses, lighter
from studio.design.mesh_files import found_in, read_mesh, write_mesh
from studio.design.meshes import Mesh, is_closed, volume
from studio.lab import shape_checks
from studio.lab.dataset import Dataset
from studio.lab.duplicates import ShapeLooks
from studio.lab.items import Cleaned
from studio.lab.shape_checks import MOST_FACES, clean_shape
from tests.lab.solids import box, stl, together, turned, vase


def cleaned(data: bytes, folder: Path, name: str = "a.stl") -> Cleaned:
    (found,) = clean_shape(data, name, folder)
    return found


def kinds(found: Cleaned) -> list[str]:
    return [problem.kind for problem in found.problems]


def in_format(mesh: Mesh, kind: str) -> bytes:
    if kind == "ply" or kind == "stl_ascii":
        z_up = np.stack([mesh.vertices[:, 0], -mesh.vertices[:, 2], mesh.vertices[:, 1]], 1)
        made = trimesh.Trimesh(z_up, mesh.faces, process=False).export(file_type=kind)
        return made if isinstance(made, bytes) else str(made).encode()
    return write_mesh(mesh, kind)


@pytest.mark.parametrize("kind", ["stl", "stl_ascii", "obj", "glb", "3mf", "ply"])
def test_every_format_becomes_one_standard_copy(tmp_path: Path, kind: str) -> None:
    mesh = turned(vase(3), scale=2.5)
    found = cleaned(in_format(mesh, kind), tmp_path, f"a.{kind.removesuffix('_ascii')}")
    assert not found.problems and found.file is not None and found.suffix == ".glb"
    assert found.length == len(mesh.faces)
    assert found.size_mm == pytest.approx(np.ptp(mesh.vertices, axis=0), abs=0.02)
    low, high = found_in(found.file.read_bytes(), "a.glb").vertices.min(0), read_mesh(found.file).vertices.max(0)
    assert low[1] == pytest.approx(0, abs=0.01) and (high - low).max() == pytest.approx(100, abs=0.01)
    assert (low + high)[[0, 2]] == pytest.approx(0, abs=0.02)
    assert is_closed(read_mesh(found.file))


def holed(seed: int = 3) -> tuple[Mesh, Mesh, Mesh]:
    """A vase with one face missing, one without its floor, one without its top."""
    made = vase(seed)
    f = made.faces
    return (
        Mesh(made.vertices, np.delete(f, 700, 0)),
        Mesh(made.vertices, np.delete(f, slice(-64, -32), 0)),
        Mesh(made.vertices, f[:-32]),
    )


def test_holes_are_closed_where_nothing_must_be_guessed(tmp_path: Path) -> None:
    whole = volume(vase(3))
    for mesh, sentence in zip(holed()[:2], ("It had 1 small hole.", "It was open beneath."), strict=True):
        found = cleaned(stl(mesh), tmp_path)
        assert kinds(found) == ["holes"] and found.problems[0].sentence == sentence and found.problems[0].mended
        assert found.file is not None
        copy = read_mesh(found.file)
        assert is_closed(copy)
        assert volume(copy) / (100 / max(found.size_mm)) ** 3 == pytest.approx(whole, rel=0.01)
    found = cleaned(stl(holed()[2]), tmp_path)
    assert kinds(found) == ["open"] and found.file is None
    assert "1 large hole" in found.problems[0].sentence and "encloses nothing" in found.problems[0].sentence


def test_faces_are_turned_outwards_and_hollows_stay_hollows(tmp_path: Path) -> None:
    made = vase(3)
    some = made.faces.copy()
    some[5:40] = some[5:40, ::-1]
    for faces, sentence in ((some, "35 of its faces looked inwards."), (made.faces[:, ::-1], "Its faces looked")):
        found = cleaned(stl(Mesh(made.vertices, faces)), tmp_path)
        assert kinds(found) == ["flipped"] and found.problems[0].sentence.startswith(sentence)
        assert found.file is not None and volume(read_mesh(found.file)) > 0
    inner = box(20, 20, 10)
    hollow = Mesh(inner.vertices + np.array([10, 10, 5], np.float32), inner.faces[:, ::-1])
    both = together(box(), hollow)
    for faces in (both.faces, both.faces[:, ::-1]):
        found = cleaned(stl(Mesh(both.vertices, faces)), tmp_path)
        assert found.file is not None
        assert volume(read_mesh(found.file)) == pytest.approx((48_000 - 4_000) * (100 / 60) ** 3, rel=1e-3)


def test_crumbs_are_swept_and_bodies_kept(tmp_path: Path) -> None:
    found = cleaned(stl(together(vase(3), box(1, 1, 1, 60), box(1, 1, 1, 70))), tmp_path)
    assert kinds(found) == ["crumbs"] and found.problems[0].sentence == "2 loose crumbs lay about."
    assert found.length == len(vase(3).faces)
    found = cleaned(stl(together(vase(3), box(20, 60, 20, 60))), tmp_path)
    assert kinds(found) == ["bodies"] and not found.problems[0].mended and found.file is not None
    assert not cleaned(stl(together(box(), box(20, 80, 20, 10))), tmp_path).problems, "they run through each other"


def test_what_is_there_twice_or_is_no_number_goes(tmp_path: Path) -> None:
    found = cleaned(stl(together(vase(3), vase(3))), tmp_path)
    assert kinds(found) == ["doubled"] and found.length == len(vase(3).faces)
    wrong = vase(3).vertices.copy()
    wrong[100] = np.nan
    found = cleaned(stl(Mesh(wrong, vase(3).faces)), tmp_path)
    assert kinds(found) == ["no_numbers", "holes"] and found.file is not None and is_closed(read_mesh(found.file))


def test_too_many_faces_are_gathered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shape_checks, "MOST_FACES", 3000)
    found = trimesh.creation.icosphere(5, 30)
    ball = Mesh(np.asarray(found.vertices, np.float32), np.asarray(found.faces, np.int32))
    copy = cleaned(stl(ball), tmp_path)
    assert kinds(copy) == ["many_faces"] and "20,480 faces" in copy.problems[0].sentence
    assert copy.file is not None and 1000 < copy.length <= 3000
    made = read_mesh(copy.file)
    assert encloses(made) and volume(made) == pytest.approx(4 / 3 * np.pi * 50**3, rel=0.03)
    assert len(lighter(ball, MOST_FACES).faces) == 20_480


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.stl", b"", "empty"),
        ("a.stl", stl(vase(1))[:-30], "truncated"),
        ("a.stl", in_format(vase(1), "stl_ascii")[:-500], "truncated"),
        ("a.stl", b"nothing at all", "truncated"),
        ("a.stl", bytes(84), "broken"),
        ("a.glb", write_mesh(vase(1), "glb")[:-30], "truncated"),
        ("a.glb", b"glTX" + write_mesh(vase(1), "glb")[4:], "broken"),
        ("a.obj", b"v 0 0 0\nf 1 2 3\n", "broken"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "flat"),
        ("a.3mf", write_mesh(vase(1), "3mf")[:900], "broken"),
        ("a.ply", b"ply\nformat ascii 1.0\nend_header\n", "broken"),
        ("a.stl", stl(box(40, 0.1, 40)), "flat"),
        ("a.stl", stl(Mesh(box().vertices * np.array([1, 1, 0], np.float32), box().faces)), "flat"),
    ],
)
def test_what_is_refused_is_told_in_one_sentence(tmp_path: Path, name: str, data: bytes, kind: str) -> None:
    found = cleaned(data, tmp_path, name)
    assert kinds(found) == [kind] and found.file is None and found.problems[0].how == "Left out."
    assert found.problems[0].sentence.endswith(".") and not list(tmp_path.iterdir())


def test_damaged_bytes_never_break_the_cleaner(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    for kind in ("stl", "stl_ascii", "obj", "glb", "3mf", "ply"):
        whole = in_format(box(), kind)
        for _ in range(25):
            data = bytearray(whole)
            for place in chance.integers(0, len(data), 3):
                data[place] = int(chance.integers(256))
            found = cleaned(bytes(data[: int(chance.integers(1, len(data)))]), tmp_path, f"a.{kind[:3]}")
            assert found.file is not None or found.problems


def test_shapes_alike_are_found_however_they_are_turned_and_scaled(tmp_path: Path) -> None:
    one = vase(3)
    finer = trimesh.Trimesh(one.vertices, one.faces, process=False).subdivide()
    again = (
        stl(turned(one, 0.7, 3.0)),
        write_mesh(turned(one, 2.0, 0.2), "obj"),
        stl(Mesh(np.asarray(finer.vertices, np.float32), np.asarray(finer.faces, np.int32))),
    )
    looks = [cleaned(stl(one), tmp_path).look]
    looks += [cleaned(data, tmp_path, name).look for data, name in zip(again, ("a.stl", "a.obj", "a.stl"), strict=True)]
    assert [list(ShapeLooks(looks).before(k)) != [] for k in range(4)] == [False, True, True, True]
    others = ShapeLooks([cleaned(stl(vase(seed)), tmp_path).look for seed in range(1, 41)])
    assert sum(len(others.before(k)) for k in range(40)) == 0


def test_a_data_set_of_shapes(tmp_path: Path) -> None:
    sources = tmp_path / "mine"
    sources.mkdir()
    for seed in range(1, 9):
        (sources / f"slim vase {seed}.stl").write_bytes(stl(vase(seed)))
    (sources / "turned.obj").write_bytes(write_mesh(turned(vase(2), 1.0, 2.0), "obj"))
    (sources / "copy.stl").write_bytes(stl(vase(5)))
    (sources / "open.stl").write_bytes(stl(holed()[2]))
    made = Dataset.create(tmp_path / "sets", "Vases", "shape")
    report = made.add([sources])
    items = {item.name: item for item in made.items}
    assert report.items == 11 and report.included == 8
    twin = items["turned.obj"]
    assert not twin.included and [p.kind for p in twin.problems] == ["near_duplicate"]
    assert twin.split == items["slim vase 2.stl"].split
    assert [p.kind for p in items["copy.stl"].problems + items["slim vase 5.stl"].problems] == ["duplicate"]
    assert items["slim vase 1.stl"].caption == "slim vase"
    (again,) = (item for item in Dataset.open(made.folder).items if item.name == "slim vase 1.stl")
    assert again == items[again.name] and len(again.size_mm) == 3 and items["open.stl"].size_mm == ()
    told = " ".join(report.sentences)
    assert "8 shapes of 11 will be used" in told and "1 file encloses nothing and was left out." in told
    assert "Their longest sides run from" in told and "the copies have one size" in told
    assert made.undo() and not made.items and made.redo() and len(made.items) == 11
    made.set_consent(True)
    assert all(item["file"].endswith(".glb") for item in made.manifest()["items"])
