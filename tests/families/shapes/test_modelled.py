"""Modelled products, their measured attributes, words for them, and closed meshes from any grid."""

import numpy as np
import pytest
import trimesh

from studio.design.meshes import is_closed
from studio.errors import InvalidInput
from studio.families.shapes import measures, wording
from studio.families.shapes.meshes import largest_share, mesh_of
from studio.families.shapes.modelled import KINDS, NAMES, Modelled, middles, modelled, nth, packed
from studio.families.shapes.solids import box

CELLS = 40


def of(kind: str, **params: float) -> Modelled:
    """A shape of the kind with some parameters set and the rest drawn by a fixed lot."""
    return Modelled(kind, {**modelled(kind, np.random.default_rng(3)).params, **params})


def test_there_are_twelve_kinds_and_each_has_many_parameters() -> None:
    assert len(NAMES) >= 12
    assert all(len(modelled(kind, np.random.default_rng(0)).params) >= 8 for kind in NAMES)


@pytest.mark.parametrize("kind", NAMES)
def test_every_kind_fits_the_cube_in_one_piece_and_closes(kind: str) -> None:
    rng = np.random.default_rng(5)
    for _ in range(3):
        grid = modelled(kind, rng).grid(CELLS)
        assert (grid < 0).any() and largest_share(grid) > 0.99
        assert all((np.take(grid, [0, -1], axis) > 0).all() for axis in range(3))
        mesh = mesh_of(grid)
        read = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
        assert read.is_watertight and read.body_count == 1 and read.volume > 0 and is_closed(mesh)


def test_the_same_number_is_the_same_shape() -> None:
    assert nth([1, 2], 7) == nth([1, 2], 7) != nth([1, 3], 7)
    assert np.abs(packed(nth([1], 0).grid(16))).max() <= 127


@pytest.mark.parametrize(
    ("kind", "attribute", "parameter", "low", "high"),
    [
        ("vase", "height", "height", 1.2, 1.8),
        ("vase", "ribs", "depth", 0.0, 0.1),
        ("vase", "twist", "twist", 0.0, 1.5),
        ("mug", "thickness", "wall", 0.08, 0.13),
        ("mug", "handle", "reach", 0.25, 0.4),
        ("bowl", "width", "rim", 0.55, 0.85),
        ("planter", "squareness", "squareness", 2.0, 8.0),
        ("chair", "back", "back", 0.4, 0.9),
        ("table", "legs", "legs", 1, 4),
        ("bottle", "neck", "neck", 0.16, 0.24),
    ],
)
def test_a_parameter_moves_the_attribute_that_is_measured(
    kind: str, attribute: str, parameter: str, low: float, high: float
) -> None:
    fixed = {"ribs": 8, "depth": 0.08} if attribute in ("ribs", "twist") else {}
    one, two = (
        measures.measured(of(kind, **{**fixed, parameter: value}).grid(48), kind)[attribute] for value in (low, high)
    )
    assert one < two


@pytest.mark.parametrize("turn", [0.0, 0.7, 2.0])
def test_twist_and_ribs_are_measured_as_they_were_modelled(turn: float) -> None:
    twisted = of("vase", ribs=9, depth=0.07, twist=turn, belly=0.5, neck=0.35)
    found = measures.measured(twisted.grid(48), "vase")
    assert found["twist"] == pytest.approx(turn, abs=0.03) and found["ribs"] == pytest.approx(0.07, abs=0.015)
    plain = of("vase", ribs=0, depth=0.0, twist=0.0, belly=0.5, neck=0.35)
    smooth = measures.measured(plain.grid(48), "vase")
    assert smooth["ribs"] < 0.01 and smooth["twist"] == 0


def test_a_box_has_the_measures_of_a_box() -> None:
    grid = box(middles(CELLS), (0, 0, 0), (0.3, 0.6, 0.4)).reshape((CELLS,) * 3)
    found = measures.measured(grid, "knob")
    assert found["height"] == pytest.approx(1.2, abs=0.06) and found["width"] == pytest.approx(0.8, abs=0.06)
    assert measures.measured(np.full_like(grid, 0.1), "knob") == {}


def test_noise_still_makes_one_closed_mesh() -> None:
    rng = np.random.default_rng(0)
    for kind in ("vase", "chair", "pendant"):
        grid = modelled(kind, rng).grid(CELLS) + rng.normal(0, 0.02, (CELLS,) * 3).astype(np.float32)
        mesh = mesh_of(grid)
        assert is_closed(mesh) and trimesh.Trimesh(*mesh, process=False).body_count == 1


def test_a_hole_in_a_mesh_is_noticed_and_an_empty_grid_said_so() -> None:
    mesh = mesh_of(of("knob").grid(CELLS))
    assert not is_closed(mesh._replace(faces=mesh.faces[1:]))
    with pytest.raises(InvalidInput, match="empty"):
        mesh_of(np.full((8, 8, 8), 0.1, np.float32))


def test_a_caption_names_what_is_there_in_words_that_are_known() -> None:
    shares = np.full(len(measures.NAMES), np.nan, np.float32)
    shares[measures.NAMES.index("height")] = 1.0
    said = {wording.caption(np.random.default_rng(i), "vase", shares, np.nan) for i in range(40)}
    assert any("tall" in text or "high" in text for text in said) and not any("short" in text for text in said)
    for kind in KINDS:
        assert all(not wording.encoded(noun, 8)[1] for noun in wording.NOUNS[kind])


def test_unknown_words_are_told_and_plurals_understood() -> None:
    row, unknown = wording.encoded("Two tall vases, quixotic!", 6)
    assert unknown == ["two", "quixotic"]
    assert [wording.VOCABULARY[i] for i in row[:2]] == ["tall", "vase"] and row[2] == 0
