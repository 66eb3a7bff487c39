"""Every task of the family on the starter, coarse and with few steps: takes repeat, and what is made can be printed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh

from studio.design.glb import about_inside, picture_inside
from studio.design.mesh_files import read_mesh, write_mesh
from studio.design.meshes import Mesh, checked
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import shapes
from studio.families.shapes import measures
from studio.families.shapes.briefs import read_brief
from studio.families.shapes.fitting import fitted_latent
from studio.families.shapes.meshes import largest_share
from studio.families.shapes.modelled import NAMES, nth
from studio.families.shapes.pipeline import ShapePipeline, load
from studio.families.shapes.printable import longer_legs, printable, together
from studio.families.shapes.prior import Between
from studio.families.shapes.train import overlap
from studio.families.shapes.voxels import grid_of
from tests.families.desk import CPU, Desk, asked

STARTER = Path(__file__).resolve().parents[3] / "assets" / "models" / "starter-shape"
QUICK: dict[str, Any] = {"num_inference_steps": 2, "cells": 32}

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def starter() -> ShapePipeline:
    return load(STARTER, CPU)


@pytest.fixture(scope="module")
def vases(starter: ShapePipeline, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("vases"))
    words = "a purple tall vase with a narrow neck, 15 cm tall"
    starter.run(asked("shapes", "text_to_shape", words, num_return_sequences=2, **QUICK), desk)
    return desk


def test_a_brief_becomes_shapes_that_can_be_printed(vases: Desk) -> None:
    assert [meta["seed"] for meta in vases.metas] == [5, 6] and len(vases.previews) == 2
    assert vases.warnings and "purple" in vases.warnings[0]
    for file, meta in zip(vases.files, vases.metas, strict=True):
        read = trimesh.load_scene(file).to_mesh()
        read.merge_vertices(merge_norm=True)
        assert read.is_watertight and read.body_count == 1 and read.volume > 0
        assert read.extents[1] * 1000 == pytest.approx(150, abs=0.1), "millimetres, as metres"
        assert (meta["class"], meta["pieces"], meta["media_type"]) == ("vase", 1, "model/gltf-binary")
        assert meta["watertight"] and meta["stands"] and meta["wall_mm"] >= 1.6 and meta["print_minutes"] > 0
        assert set(meta["attributes"]) <= set(measures.NAMES)
        assert picture_inside(file.read_bytes()).startswith(b"\x89PNG")
        assert about_inside(file.read_bytes())["kind"] == "vase"


def test_a_take_alone_is_the_take_in_its_batch(starter: ShapePipeline, vases: Desk, tmp_path: Path) -> None:
    alone = Desk(tmp_path)
    words = "a purple tall vase with a narrow neck, 15 cm tall"
    starter.run(asked("shapes", "text_to_shape", words, seed=6, num_return_sequences=1, **QUICK), alone)
    assert alone.files[0].read_bytes() == vases.files[1].read_bytes()


def test_varying_nothing_is_the_same_shape_and_more_is_another(
    starter: ShapePipeline, vases: Desk, tmp_path: Path
) -> None:
    wanted = [about_inside(vases.files[0].read_bytes())["latent"]]
    for k, strength in enumerate((0.0, 1.0)):
        desk = Desk(tmp_path / str(k), source=vases.files[0])
        starter.run(asked("shapes", "vary_shape", strength=strength, num_return_sequences=1, **QUICK), desk)
        wanted.append(about_inside(desk.files[0].read_bytes())["latent"])
    apart = [float(np.abs(np.subtract(wanted[0], other)).mean()) for other in wanted[1:]]
    assert apart[0] < 1e-4 and apart[1] > 0.05


def test_a_shape_of_other_weights_is_read_anew_and_keeps_its_wish(
    starter: ShapePipeline, vases: Desk, tmp_path: Path
) -> None:
    """A latent means nothing to weights that did not make it, as after an update."""
    newer = ShapePipeline(starter.model, "starter-shape of tomorrow")
    vary = asked("shapes", "vary_shape", strength=0.0, num_return_sequences=1, **QUICK)
    own, foreign = (Desk(tmp_path / name, source=vases.files[0]) for name in ("own", "foreign"))
    starter.run(vary, own)
    newer.run(vary, foreign)
    before, same, read = (about_inside(desk.files[0].read_bytes()) for desk in (vases, own, foreign))
    assert same["latent"] == pytest.approx(before["latent"], abs=1e-4) and same["shape_model"] == before["shape_model"]
    assert read["latent"] != pytest.approx(before["latent"], abs=1e-2)
    assert (read["kind"], read["shape_model"]) == ("vase", "starter-shape of tomorrow")


def test_a_morph_begins_and_ends_with_its_shapes(starter: ShapePipeline, vases: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path, **{"from": vases.files[0], "to": vases.files[1]})
    starter.run(asked("shapes", "morph_shapes", steps=2, cells=32), desk)
    ends = [about_inside(file.read_bytes())["latent"] for file in desk.files]
    assert np.allclose(ends, [about_inside(file.read_bytes())["latent"] for file in vases.files], atol=1e-5)
    assert [meta["amount"] for meta in desk.metas] == [0, 1] and all(m["watertight"] for m in desk.metas)


def test_between_two_kinds_shapes_hang_together(starter: ShapePipeline) -> None:
    """More often than halfway between their latents, where parts of both stand about."""
    model = starter.model
    kinds = ("chair", "lamp", "mug", "stool", "table", "bowl", "lamp", "planter", "chair", "pendant", "mug", "bottle")
    pairs = torch.cat([model.latents(model.wish(kind=kind), [k]) for k, kind in enumerate(kinds)]).split(2)
    ours = [Between(model.prior, pair).at([0.5, 0.5]) for pair in pairs]
    plain = [pair.mean(0, keepdim=True) for pair in pairs]
    whole = [
        float(np.mean([largest_share(grid) for grid in model.autoencoder.decode(torch.cat(some), 48).numpy()]))
        for some in (ours, plain)
    ]
    assert whole[0] > 0.9 and whole[0] > whole[1]


def test_picks_are_mixed_by_weight(starter: ShapePipeline, vases: Desk, tmp_path: Path) -> None:
    desk = Desk(tmp_path, pick=vases.files)
    starter.run(asked("shapes", "mix_shapes", weights=[3, 1], cells=32), desk)
    assert desk.metas[0]["weights"] == [0.75, 0.25]
    for weights in ([1], [0, 0], ["x", 1], [-1, 2]):
        with pytest.raises(InvalidInput, match="weights"):
            starter.run(asked("shapes", "mix_shapes", weights=weights), Desk(tmp_path, pick=vases.files))
    with pytest.raises(InvalidInput, match="1 shapes"):
        starter.run(asked("shapes", "mix_shapes"), Desk(tmp_path, pick=vases.files[:1]))


def test_foreign_meshes_are_read_and_open_ones_are_not(starter: ShapePipeline, tmp_path: Path) -> None:
    turned = trimesh.creation.cylinder(radius=20, height=80)
    turned.export(tmp_path / "foreign.stl")
    desk = Desk(tmp_path / "out", source=tmp_path / "foreign.stl")
    starter.run(asked("shapes", "vary_shape", strength=0.0, num_return_sequences=1, **QUICK), desk)
    assert desk.metas[0]["watertight"]
    mesh = read_mesh(tmp_path / "foreign.stl")
    (tmp_path / "open.stl").write_bytes(write_mesh(Mesh(mesh.vertices, mesh.faces[:-2]), "stl"))
    with pytest.raises(InvalidInput, match="not closed"):
        starter.run(asked("shapes", "vary_shape"), Desk(tmp_path, source=tmp_path / "open.stl"))


def test_a_shape_that_is_brought_is_read_closer_than_by_the_encoder_alone(starter: ShapePipeline) -> None:
    model = starter.model.autoencoder
    truth = nth([1, 3], 0).grid(model.config.cells)[None]
    grid = torch.from_numpy(truth)
    latent = fitted_latent(model, grid, steps=40)
    with torch.no_grad():
        at_once = model.encode(grid)[0]
    before, after = overlap(
        np.repeat(truth, 2, 0), model.decode(torch.cat((at_once, latent)), model.config.cells).numpy()
    )
    assert after > before + 0.02
    assert torch.equal(fitted_latent(model, grid, steps=3), fitted_latent(model, grid, steps=3))
    assert torch.equal(fitted_latent(model, torch.ones_like(grid), steps=3), model.encode(torch.ones_like(grid))[0])

    def stop(step: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        fitted_latent(model, grid, each=stop)


def test_stop_is_heard_between_takes(starter: ShapePipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path, stop_after=3)
    with pytest.raises(Cancelled):
        starter.run(asked("shapes", "text_to_shape", "a mug", num_return_sequences=3, **QUICK), desk)
    assert len(desk.files) == 1


def test_a_folder_of_something_else_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="cannot be opened"):
        load(tmp_path, CPU)


def test_briefs_are_read() -> None:
    brief = read_brief("two very wide vases with a narrow neck, 4.5 in wide")
    assert (brief.kind, brief.measured, brief.unknown) == ("vase", "width", ("two",))
    assert brief.size_mm == pytest.approx(114.3)
    assert brief.shares["width"] > 0.9 and brief.shares["neck"] < 0.3
    assert read_brief("a three legged stool").legs == 3 and read_brief("a coffee mug").kind == "mug"
    assert read_brief("").kind == "" and not read_brief("").shares


def test_the_declaration_names_what_is_modelled() -> None:
    assert tuple(shapes.KINDS) == NAMES and tuple(shapes.SLIDERS) == measures.NAMES


def ball(x: float, y: float, radius: float, cells: int = 40) -> np.ndarray:
    at = np.stack(np.meshgrid(*[np.arange(cells, dtype=np.float32)] * 3, indexing="ij"))
    return np.sqrt((at[0] - x) ** 2 + (at[1] - y) ** 2 + (at[2] - 20) ** 2) - np.float32(radius)


def test_what_is_torn_is_joined_and_crumbs_are_swept_up() -> None:
    torn = np.minimum(np.minimum(ball(12, 20, 6), ball(27, 20, 6)), ball(20, 36, 0.6))
    whole, joined, dropped = together(torn.astype(np.float32))
    made = printable((torn / 20).astype(np.float32), 60, 2.0)
    assert (joined, dropped) == (1, 0) and whole[20, 20, 20] < 0 and whole[20, 36, 20] > 0
    found = checked(made.mesh)
    assert found.watertight and found.pieces == 1 and found.stands and found.base_mm2 > 5
    assert max(found.size_mm) == pytest.approx(60, abs=0.05) and made.wall_mm >= 2.0
    assert made.repairs[0] == "1 loose pieces joined"


def test_short_legs_reach_the_ground() -> None:
    at = np.stack(np.meshgrid(*[np.arange(40, dtype=np.float32)] * 3, indexing="ij"))
    top = np.maximum(np.abs(at[0] - 20), np.maximum(np.abs(at[1] - 32), np.abs(at[2] - 20) - 8)) - 3
    top = np.maximum(np.abs(at[1] - 32) - 2, np.maximum(np.abs(at[0] - 20), np.abs(at[2] - 20)) - 12)
    legs = [
        np.maximum(np.hypot(at[0] - x, at[2] - 20) - 2, np.maximum(foot - at[1], at[1] - 32))
        for x, foot in ((10, 4), (30, 8))
    ]
    longer, many = longer_legs(np.minimum(np.minimum(top, legs[0]), legs[1]).astype(np.float32))
    assert many == 1 and longer[30, 5, 20] < 0 < longer[20, 5, 20]


def test_a_mesh_becomes_the_grid_that_it_was_made_of() -> None:
    grid = nth([1, 9], 0).grid(32)
    made = printable(grid, 100, 0.4)
    again = grid_of(made.mesh, 32)
    low = np.flatnonzero((again < 0).any((0, 2)))[0]
    assert low in (0, 1) and 0.6 < (again < 0).sum() / (grid < 0).sum() < 1.8
