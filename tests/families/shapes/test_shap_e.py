"""Shap-E of the Hub: diffusers' own classes at tiny size with random weights, from the folder to printable shapes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from diffusers import HeunDiscreteScheduler, PriorTransformer, ShapEPipeline
from diffusers.pipelines.shap_e.renderer import ShapERenderer
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from studio.catalog import read_model
from studio.design.glb import about_inside
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import shapes
from studio.families.shapes.pipeline import load
from studio.families.shapes.shap_e import ShapERunner, distances_of
from tests.families.desk import CPU, Desk, asked
from tests.families.diffusion import tiny

QUICK: dict[str, Any] = {"num_inference_steps": 2, "cells": 32, "guidance_scale": 3.0}
LATENT, ROWS = 16, 32


def written(folder: Path) -> Path:
    """A Shap-E whose weights are random but for the bodies' middle, which is filled."""
    torch.manual_seed(3)
    text = CLIPTextConfig(
        hidden_size=16,
        intermediate_size=24,
        num_attention_heads=2,
        num_hidden_layers=1,
        vocab_size=200,
        projection_dim=16,
    )
    prior = PriorTransformer(
        num_attention_heads=2,
        attention_head_dim=8,
        embedding_dim=LATENT,
        num_embeddings=ROWS,
        num_layers=1,
        time_embed_dim=32,
        embedding_proj_dim=16,
        clip_embed_dim=2 * LATENT,
        additional_embeddings=0,
        time_embed_act_fn="gelu",
        norm_in_type="layer",
        embedding_proj_norm_type=None,
        encoder_hid_proj_type=None,
        added_emb_type=None,
    )
    renderer = ShapERenderer(param_shapes=((8, 93), (8, 8), (8, 8), (8, 8)), d_latent=LATENT, d_hidden=8)
    with torch.no_grad():
        renderer.mlp.mlp[-1].weight.mul_(6)
    pipe = ShapEPipeline(
        prior=prior,
        text_encoder=CLIPTextModelWithProjection(text),
        tokenizer=tiny.tokenizer(folder / "letters"),
        scheduler=HeunDiscreteScheduler(
            beta_schedule="exp",
            num_train_timesteps=1024,
            prediction_type="sample",
            use_karras_sigmas=True,
            clip_sample=True,
        ),
        shap_e_renderer=renderer,
    )
    pipe.save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("shap-e"))


@pytest.fixture(scope="module")
def runner(folder: Path) -> ShapERunner:
    found = load(folder, CPU)
    assert isinstance(found, ShapERunner) and found.size() > 1000
    return found


@pytest.fixture(scope="module")
def takes(runner: ShapERunner, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("takes"))
    runner.run(asked("shapes", "text_to_shape", "a shark, 9 cm wide", num_return_sequences=2, legs=0.5, **QUICK), desk)
    return desk


def test_the_folder_is_told_by_its_index(folder: Path, tmp_path: Path) -> None:
    model = read_model(folder, "home")
    assert model and (model.family, model.tasks) == ("shapes", ("text_to_shape",))
    assert shapes.defaults(folder)["guidance_scale"] == 15.0 and not shapes.able(tmp_path)
    (folder.parent / "broken").mkdir()
    (folder.parent / "broken" / "model_index.json").write_text('{"_class_name": "ShapEPipeline"}')
    with pytest.raises(ModelError, match="broken"):
        load(folder.parent / "broken", CPU)


def test_words_become_shapes_that_can_be_printed(takes: Desk) -> None:
    assert [meta["seed"] for meta in takes.metas] == [5, 6] and "words alone" in takes.warnings[0]
    for file, meta in zip(takes.files, takes.metas, strict=True):
        read = trimesh.load_scene(file).to_mesh()
        read.merge_vertices(merge_norm=True)
        assert read.is_watertight and read.body_count == 1
        assert max(read.extents[[0, 2]]) * 1000 == pytest.approx(90, abs=0.1)
        assert meta["watertight"] and meta["stands"] and float(str(meta["wall_mm"])) >= 1.6


def test_takes_repeat_and_lead_to_more(runner: ShapERunner, takes: Desk, tmp_path: Path) -> None:
    alone = Desk(tmp_path / "alone")
    fresh = ShapERunner(runner.pipe, runner.name)  # remembers nothing
    fresh.run(asked("shapes", "text_to_shape", "a shark, 9 cm wide", seed=6, num_return_sequences=1, **QUICK), alone)
    assert about_inside(alone.files[0].read_bytes())["seeds"] == [6]
    assert alone.metas[0]["volume_cm3"] == takes.metas[1]["volume_cm3"]
    one, other = takes.files
    varied = Desk(tmp_path / "varied", source=one)
    runner.run(asked("shapes", "vary_shape", "", seed=9, num_return_sequences=1, strength=0.3, **QUICK), varied)
    assert about_inside(varied.files[0].read_bytes())["seeds"] == [5, [9, 0.3]]
    ends = Desk(tmp_path / "ends", **{"from": one, "to": other})
    runner.run(asked("shapes", "morph_shapes", steps=2, cells=32, size_mm=90.0, measured="width"), ends)
    volumes = [meta["volume_cm3"] for meta in takes.metas]
    assert [meta["volume_cm3"] for meta in ends.metas] == pytest.approx(volumes, rel=1e-3)
    mixed = Desk(tmp_path / "mixed", pick=[one, other])
    runner.run(asked("shapes", "mix_shapes", weights=[1, 3], cells=32), mixed)
    assert mixed.metas[0]["weights"] == [0.25, 0.75]
    with pytest.raises(InvalidInput, match="from shapes that it made"):
        runner.run(asked("shapes", "vary_shape", "", **QUICK), Desk(tmp_path / "again", source=mixed.files))


def test_stop_is_heard_within_a_take(runner: ShapERunner, tmp_path: Path) -> None:
    desk = Desk(tmp_path, stop_after=3)
    with pytest.raises(Cancelled):
        runner.run(asked("shapes", "text_to_shape", "a whale", **QUICK), desk)
    assert not desk.files


def test_any_field_becomes_distances() -> None:
    axis = (np.arange(32, dtype=np.float32) + 0.5) / 16 - 1
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    ball = 0.6 - np.sqrt(x**2 + y**2 + z**2)
    found = distances_of(np.tanh(4 * ball))
    assert np.abs(found + ball)[np.abs(ball) < 0.06].max() < 0.012
    assert (np.sign(found) == -np.sign(ball)).all()
