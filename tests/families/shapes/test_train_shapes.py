"""A shape model of a person's own at tiny size: learnt, killed and gone on with, opened as the Design panel does."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from studio.design.glb import about_inside
from studio.design.mesh_files import read_mesh
from studio.design.meshes import is_closed
from studio.errors import Cancelled, InvalidInput
from studio.families import family, shapes
from studio.families.family import MODEL
from studio.families.shapes import train_shapes
from studio.families.shapes.manifold import Manifold
from studio.families.shapes.pipeline import load
from studio.families.shapes.prior import carried
from studio.families.shapes.taught import TaughtPipeline
from studio.families.shapes.voxels import grid_of
from studio.lab.shape_checks import clean_shape
from studio.types import Input, Request
from tests.families.causal_lm.test_train_transformer import Learner, context
from tests.families.desk import CPU, Desk, asked
from tests.lab.solids import box, stl, together, vase

pytestmark = pytest.mark.timeout(300)
SMALL: dict[str, Any] = {"seconds": 600, "base_channels": 16, "latent_channels": 8, "cells": 16, "max_train_steps": 8}
QUICK: dict[str, Any] = {"num_inference_steps": 4, "cells": 32}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six vases and four blocks; two are held out."""
    folder, items = tmp_path_factory.mktemp("mine"), []
    for k in range(10):
        mesh = vase(k + 1) if k < 6 else box(40, 20 + 10 * k, 30)
        (made,) = clean_shape(stl(mesh), f"{k}.stl", folder)
        caption, split = ("a slim vase", "a block")[k >= 6], "held_out" if k in (5, 9) else "train"
        items.append({"file": str(made.file), "sha256": f"{k:064x}", "caption": caption, "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


def wanted(**params: Any) -> Request:
    given = (Input(role="dataset", artifact="0" * 64),)
    request = Request(task="train_shapes", model="", prompt="mine", seed=3, inputs=given, params={**SMALL, **params})
    return family("shapes").validate(request)


@pytest.fixture(scope="module")
def taught(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    made = context(tmp_path_factory.mktemp("taught"), manifest)
    train_shapes.run(Path(), wanted(max_train_steps=60), made)
    return made


@pytest.fixture(scope="module")
def opened(taught: Learner) -> TaughtPipeline:
    made = load(taught.kept / MODEL, CPU)
    assert isinstance(made, TaughtPipeline)
    return made


def test_it_learns_and_says_what_it_did(taught: Learner) -> None:
    card = json.loads(taught.outputs[0].read_text("utf-8"))
    figures = card["figures"]
    assert {"held_out_iou", "rebuilt_iou", "diversity", "copying", "nearest_iou"} <= set(figures)
    assert {"one_piece", "watertight"} <= set(figures)
    assert figures["rebuilt_iou"]["value"] > 0.5
    assert card["family"] == "shapes" and card["knows"]["words"] == ["block", "slim", "vase"]
    assert card["trained"]["meshes"] == 8 and card["trained"]["held_out"] == 2
    rows = [json.loads(line) for line in (taught.kept / "metrics.jsonl").read_text().splitlines()]
    held = [row["held_out"] for row in rows if "held_out" in row]
    assert held[-1] < held[0]
    with Image.open(max((taught.kept / "samples").glob("0*-0.webp"))) as sheet:
        assert sheet.size == (8 * 96, 2 * 96)
    assert (taught.kept / "samples" / "nearest.webp").is_file()


def test_what_it_makes_can_be_printed(opened: TaughtPipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    opened.run(asked("shapes", "text_to_shape", "a block, 5 cm tall", num_return_sequences=2, **QUICK), desk)
    assert not desk.warnings and len(desk.files) == 2
    for file, meta in zip(desk.files, desk.metas, strict=True):
        assert meta["watertight"] and meta["pieces"] == 1 and meta["size_mm"][1] == pytest.approx(50, abs=0.1)
        assert meta["class"] == "a block" and is_closed(read_mesh(file))
    again = Desk(tmp_path / "again")
    opened.run(asked("shapes", "text_to_shape", "a block, 5 cm tall", num_return_sequences=2, **QUICK), again)
    latents = [about_inside(file.read_bytes())["latent"] for file in (*desk.files, *again.files)]
    assert latents[:2] == latents[2:] and latents[0] != latents[1]


def test_what_it_does_not_know_is_told(opened: TaughtPipeline, tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    opened.run(asked("shapes", "text_to_shape", "a rook", kind="bowl", ribs=0.5, num_return_sequences=1, **QUICK), desk)
    assert "nothing of: rook. It knows block, slim, vase." in desk.warnings[0]
    assert "which change nothing: Kind, Ribs." in desk.warnings[1]


def test_takes_are_varied_morphed_and_mixed(opened: TaughtPipeline, tmp_path: Path) -> None:
    first = Desk(tmp_path / "first")
    opened.run(asked("shapes", "text_to_shape", num_return_sequences=2, **QUICK), first)
    one, other = first.files
    for task, inputs, many in (
        ("vary_shape", {"source": one}, 1),
        ("morph_shapes", {"from": one, "to": other}, 3),
    ):
        more: dict[str, Any] = {"steps": 3} if task == "morph_shapes" else {"num_return_sequences": 1, **QUICK}
        desk = Desk(tmp_path / task, **inputs)
        opened.run(asked("shapes", task, **more), desk)
        assert len(desk.files) == many and all(meta["watertight"] for meta in desk.metas)
    ends = [about_inside(desk.files[k].read_bytes())["latent"] for k in (0, -1)]
    assert np.allclose(ends, [about_inside(file.read_bytes())["latent"] for file in (one, other)], atol=1e-3)


def test_a_stopped_one_goes_on_to_the_same_weights(manifest: Path, tmp_path: Path) -> None:
    whole, stopped = context(tmp_path / "whole", manifest), context(tmp_path / "stopped", manifest, until=4)
    train_shapes.run(Path(), wanted(), whole)
    with pytest.raises(Cancelled):
        train_shapes.run(Path(), wanted(), stopped)
    assert json.loads(stopped.outputs[0].read_text("utf-8"))["stopped"] is True  # what is there is kept
    shutil.rmtree(stopped.kept / MODEL)
    stopped.stop_at = stopped.until = None
    train_shapes.run(Path(), wanted(), stopped)
    for name in ("autoencoder", "manifold"):
        one, other = (load_file(made.kept / MODEL / f"{name}.safetensors") for made in (whole, stopped))
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_sets_of_which_nothing_can_be_learnt_are_refused(manifest: Path, tmp_path: Path) -> None:
    items = json.loads(manifest.read_text())["items"]
    gone = [*items, {**items[0], "file": "/no.glb"}]
    for some, sentence in ((items[:1], "one shape to learn from"), (gone, "is gone")):
        (tmp_path / "manifest.json").write_text(json.dumps({"trigger": "", "items": some}))
        with pytest.raises(InvalidInput, match=sentence):
            train_shapes.run(Path(), wanted(), context(tmp_path / "kept", tmp_path / "manifest.json"))


def test_the_flow_leads_to_the_latents_and_back() -> None:
    drawn = torch.randn(60, 6, generator=torch.Generator().manual_seed(1)) * torch.tensor([3.0, 2, 1, 1, 1, 0.5]) + 4
    model = Manifold.fitted(drawn)
    noise = torch.randn(2000, 6, generator=torch.Generator().manual_seed(2))
    made = model.sample(model.anything(2000), noise, 24)
    assert made.mean(0) == pytest.approx(drawn.mean(0).numpy(), abs=0.4)
    assert (made.std(0) / drawn.std(0)).numpy() == pytest.approx(1, abs=0.25)
    placed = (made[:50] - model.mean) / model.spread
    back = carried(model.free, carried(model.free, placed, 1, 0, 60), 0, 1, 60)
    assert (back - placed).norm(dim=1).median() < 0.1
    only = torch.full((60,), -60.0).index_fill(0, torch.tensor([7]), 0.0)
    assert (model.sample(only.repeat(200, 1), noise[:200]).mean(0) - drawn[7]).abs().max() < 0.5


def test_bodies_that_run_through_each_other_are_one_solid() -> None:
    crossed = grid_of(together(box(60, 60, 60), box(30, 90, 30, 15)), 24)
    alone = grid_of(box(60, 90, 60), 24)
    assert (crossed < 0).sum() > 0.5 * (alone < 0).sum() and (crossed[12, 4:20, 9] < 0).all()
    assert shapes.FAMILY.scratch == ("train_shapes",)
