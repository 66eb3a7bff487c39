"""`bench shapes` and `bench explore`: other readers find in our files what we say of them, and what is wrong."""

from pathlib import Path

import pytest

from studio.bench import explore
from studio.bench.shapes import requests, summed, table
from studio.bench.shapes_sides import complaints, sides_of
from studio.design.mesh_files import glb_of, three_mf_of
from studio.design.meshes import Mesh, on_the_ground
from studio.families.shapes.printable import printable
from studio.families.shapes.solids import box
from studio.settings import Settings
from studio.types import Artifact


def cup() -> Mesh:
    """A square cup of 60 mm whose walls are 6 mm thick."""
    import numpy as np

    axis = (np.arange(40, dtype=np.float32) + 0.5) / 20 - 1
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    solid = np.maximum(box(points, (0, 0, 0), (0.75,) * 3), -box(points, (0, 0.3, 0), (0.6, 0.9, 0.6)))
    return printable(solid.reshape(40, 40, 40).astype(np.float32), 60.0, 2.0).mesh


def kept(path: Path, mesh: Mesh) -> Artifact:
    path.write_bytes(glb_of(mesh, {}))
    size = [float(side) for side in mesh.vertices.max(0) - mesh.vertices.min(0)]
    meta = {"size_mm": size, "wall_mm": 5.9, "class": "cup", "seed": 1}
    return Artifact(sha256="0" * 64, path=path, media_type="model/gltf-binary", size=1, created=0.0, meta=meta)


def test_a_cup_passes_and_an_open_one_does_not(tmp_path: Path) -> None:
    pytest.importorskip("lib3mf")
    mesh = cup()
    shape = kept(tmp_path / "cup.glb", mesh)
    good = sides_of(shape.path)
    assert good.watertight and good.bodies == 1 and good.stands and good.complaints == []
    assert good.thinnest == pytest.approx(6.0, abs=0.7)
    figures = summed([(shape, 5.0, 60.0, good)])
    assert set(figures["passed"].values()) == {1} and not figures["failed"] and len(table(figures)) > 8
    assert "wall as asked (triangles)" in summed([(shape, 9.0, 60.0, good)])["failed"]
    opened = on_the_ground(Mesh(mesh.vertices, mesh.faces[40:]))
    bad = sides_of(kept(tmp_path / "open.glb", opened).path)
    assert not bad.watertight and complaints(three_mf_of(opened)) == ["a mesh is not manifold and oriented"]


def test_every_kind_is_asked_for_and_some_are_made_of_others() -> None:
    asked = list(requests("starter-shape", 20))
    shape = Artifact(sha256="0" * 64, path=Path("x.glb"), media_type="model/gltf-binary", size=1, created=0.0, meta={})
    tasks = [make([shape, shape]).task for make in asked]
    assert tasks.count("morph_shapes") == 2 and tasks.count("vary_shape") == 2 and tasks[0] == "text_to_shape"


@pytest.mark.model
def test_pictures_walks_and_sprites_are_measured() -> None:
    figures = explore.run(Settings(device="cpu"), repeats=1)
    assert figures["pictures"] == 64 and figures["processor_seconds"] < 6
    assert figures["walk"] == {"frames": 96, "fps": 24, "duration": 4.0}
    assert figures["flicker"]["moving"] < 0.5 < 1.3 < figures["flicker"]["still"]
    assert figures["sprites"]["apart"] == figures["sprites"]["count"] == 16
