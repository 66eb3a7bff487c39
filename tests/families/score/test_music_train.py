"""The recipe end to end at tiny size on tunes that the test writes, stopping and going on, and the figures."""

import json
import signal
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from studio.errors import InvalidInput
from studio.families.score import figures, train
from studio.families.score.decoding import drawn
from studio.families.score.generate import generate
from studio.families.score.recipe import Recipe
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Wish
from studio.families.training.starter_card import add_figures
from tests.families.score.tiny_tunes import write_recipe, write_tunes


@pytest.fixture(scope="module", autouse=True)
def signals_as_before() -> Iterator[None]:
    """A training takes Ctrl+C for a wish to stop; the tests that come after want it for themselves."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tunes(tmp_path_factory.mktemp("tunes"))


@pytest.fixture(scope="module")
def run(tunes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a whole run, uninterrupted."""
    folder = tmp_path_factory.mktemp("run")
    assert train.main([str(write_recipe(folder)), "--data", str(tunes), "--out", str(folder)]) == 0
    return folder


def test_the_run_leaves_samples_metrics_and_a_model(run: Path) -> None:
    assert len(list((run / "samples_000008").glob("*.mid"))) == len(train.SHEET)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert {row["stage"] for row in rows} == {"read", "prepare", "model"}
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0]
    card = tomllib.loads((run / "model" / "card.toml").read_text("utf-8"))
    assert card["family"] == "score"
    assert card["trained"]["tokens"] > 0


def test_the_export_composes_the_same_piece_for_the_same_seed(run: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(run / "model")
    assert model.dtype == torch.bfloat16
    vocabulary = Vocabulary.load(run / "model")
    wishes = [Wish("hymn", 3, (3, 4), 2, 1), Wish("blues", 2, (4, 4), 7)]
    made = generate(model.float(), vocabulary, wishes, seed=4, most=120)
    for one, other in zip(made, generate(model, vocabulary, wishes, seed=4, most=120), strict=True):
        assert (one == other).all()
    for tokens, wish in zip(made, wishes, strict=True):
        piece = vocabulary.decode(tokens)
        assert (piece.bars, piece.metre, piece.tonic) == (wish.bars, wish.metre, wish.tonic)
        assert figures.bars_that_add_up(tokens, vocabulary, wish) == (wish.bars, wish.bars)


def test_a_stopped_run_goes_on_to_the_same_weights(run: Path, tunes: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    arguments = [str(recipe), "--data", str(tunes), "--out", str(tmp_path)]
    assert train.main([*arguments, "--stage", "prepare"]) == 0
    for _ in range(2):
        (tmp_path / "stop").touch()
        assert train.main(arguments) == 3, "stopped after one step"
    assert train.main(arguments) == 0
    whole = torch.load(run / "model.pt", weights_only=True)
    parts = torch.load(tmp_path / "model.pt", weights_only=True)
    assert whole["step"] == parts["step"] == 8
    assert whole["tokens"] == parts["tokens"]
    for name, weights in whole["model"].items():
        assert torch.equal(weights, parts["model"][name]), name


def test_figures_are_measured_and_written_to_the_card(run: Path) -> None:
    found = figures.measure(run / "model", run, many=15, composed=2, judge_steps=5)
    assert found["bars_exact"] == 1.0
    assert 0 <= found["overlap"]["rhythm"] <= 1
    add_figures(run / "model", found)
    card = tomllib.loads((run / "model" / "card.toml").read_text("utf-8"))
    assert card["figures"]["bars_exact"] == 1.0
    assert card["figures"]["style_found_by_style"].keys() <= set(card["knows"]["styles"])


def test_what_is_copied_and_what_is_not() -> None:
    pieces = list(figures.composed_pieces(1))
    learned = set().union(*(figures.runs(piece) for piece in pieces))
    assert figures.copied(pieces, learned) == 1.0
    assert figures.copied(list(figures.composed_pieces(1, 50)), learned) < 0.3
    assert figures.overlaps(pieces, pieces) == {"pitch_class": 1.0, "interval": 1.0, "rhythm": 1.0}


def test_draws_come_from_the_likeliest() -> None:
    logits = np.array([-np.inf, *np.log([0.1, 0.6, 0.3])])
    draws = np.random.default_rng(0).random(400).tolist()
    found = [drawn(logits, 1.0, 0.8, draw) for draw in draws]
    assert set(found) == {2, 3}
    assert 0.6 < found.count(2) / 400 < 0.74
    assert {drawn(logits, 1.0, 1.0, draw) for draw in draws} == {1, 2, 3}
    assert {drawn(logits, 0.01, 1.0, draw) for draw in (*draws, 0.0, 1.0)} == {2}


def test_a_recipe_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text("id = 'a'", "utf-8")
    with pytest.raises(InvalidInput, match="cannot be read"):
        Recipe.read(path)


def test_training_without_tunes_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--data"):
        train.main([str(write_recipe(tmp_path)), "--out", str(tmp_path)])
