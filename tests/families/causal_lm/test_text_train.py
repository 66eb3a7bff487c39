"""The recipe end to end at tiny size, and a run that is killed and goes on."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.errors import InvalidInput
from studio.families.causal_lm import figures, train
from studio.families.causal_lm.briefs import Brief
from studio.families.causal_lm.drafts import draft
from studio.families.causal_lm.recipe import Recipe
from studio.families.training import causal_attention
from studio.families.training.starter_card import add_figures
from tests.families.causal_lm.tiny_books import write_books, write_recipe

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def signals_as_before() -> Iterator[None]:
    """A training takes Ctrl+C for a wish to stop; the tests that come after want it for themselves."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_books(tmp_path_factory.mktemp("books"))


@pytest.fixture(scope="module")
def run(books: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run, uninterrupted."""
    folder = tmp_path_factory.mktemp("run")
    assert train.main([str(write_recipe(folder)), "--data", str(books), "--out", str(folder)]) == 0
    return folder


def test_export_loads_and_writes_drafts(run: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    assert model.dtype == torch.bfloat16
    briefs = [Brief("poem", keywords=("fox",)), Brief("letter", "children", "whole", ("river", "lamp"), "Chapter 1")]
    texts = draft(model, tokenizer, briefs, seed=1, max_new_tokens=20)
    assert len(texts) == 2
    assert texts == draft(model, tokenizer, briefs, seed=1, max_new_tokens=20)
    assert "<|" not in "".join(texts)
    card = tomllib.loads((run / "model" / "card.toml").read_text("utf-8"))
    assert card["id"] == "starter-text"
    assert card["trained"]["tokens"] == 12 * 4 * 128


def test_keyword_bias_brings_the_keywords(run: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    briefs = [Brief("story", keywords=("badan", "lighthouse")), Brief("story", keywords=("kurus",))]
    one, two = draft(model, tokenizer, briefs, seed=1, max_new_tokens=30, keyword_bias=50.0)
    assert " badan" in one and " lighthouse" in one
    assert two.count(" kurus") < 5


def test_run_leaves_curves_and_samples(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    losses = [row["held_out_loss"] for row in rows if "held_out_loss" in row]
    assert losses[-1] < 5.9  # ln 400 = 6.0
    assert "genre: poem" in (run / "samples_000012.txt").read_text("utf-8")


def test_killed_run_goes_on_to_the_same_weights(run: Path, books: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, save_every=2)
    command = [sys.executable, "-m", "studio.families.causal_lm.train", str(recipe), "--data", str(books)]
    child = subprocess.Popen([*command, "--out", str(tmp_path / "run")], cwd=ROOT, env={**os.environ})
    until = time.monotonic() + 100
    while not (tmp_path / "run" / "model.pt").exists() and time.monotonic() < until:
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = torch.load(tmp_path / "run" / "model.pt", weights_only=True)
    assert kept["step"] < 12
    assert train.main([str(recipe), "--out", str(tmp_path / "run")]) == 0
    one, two = (torch.load(folder / "model.pt", weights_only=True)["model"] for folder in (run, tmp_path / "run"))
    for name, value in one.items():
        assert torch.equal(value, two[name]), name


def test_stop_file_saves_and_says_so(run: Path, books: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "stop").touch()
    assert train.main([str(recipe), "--data", str(books), "--out", str(tmp_path / "run")]) == 3
    assert torch.load(tmp_path / "run" / "model.pt", weights_only=True)["step"] == 1
    assert not (tmp_path / "run" / "model").exists()


def test_every_row_comes_once_an_epoch() -> None:
    recipe = Recipe.read(ROOT / "presets" / "recipes" / "starter-text.toml")
    rows, steps = recipe.training.batch * 5, 5
    for epoch in (0, 1):
        seen = [
            int(row)
            for step in range(epoch * steps, (epoch + 1) * steps)
            for row in train.rows_of_step(recipe, rows, step, train.Crew())
        ]
        assert sorted(seen) == list(range(rows))


def test_attention_is_torchs() -> None:
    torch.manual_seed(0)
    parts = [torch.randn(2, 3, 17, 8, requires_grad=True) for _ in range(3)]
    ours = causal_attention.CausalAttention.apply(*parts, 8**-0.5)
    theirs = functional.scaled_dot_product_attention(*parts, is_causal=True)
    assert torch.allclose(ours, theirs, atol=1e-6)
    for a, b in zip(
        torch.autograd.grad(ours.sin().sum(), parts), torch.autograd.grad(theirs.sin().sum(), parts), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-5)


def test_all_figures_are_measured_and_kept(run: Path, books: Path) -> None:
    add_figures(run / "model", figures.measure(run / "model", books, drafts=2, judged=25))
    card = tomllib.loads((run / "model" / "card.toml").read_text("utf-8"))
    found = card["figures"]
    assert 0.5 < found["bits_a_byte"] < 8
    assert found["bits_a_byte_5_grams"] < 4
    assert found["bits_a_byte_xz"] < 3
    assert found["judge_on_held_out_texts"] >= 0.6
    assert found["drafts"] > 0
    assert card["id"] == "starter-text"


def test_a_folder_without_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no card"):
        figures.measure(tmp_path, tmp_path)
