"""A transformer from nothing on a person's texts, at tiny size; and drafts by what came of it and by the starter."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.causal_lm import pipeline, train_transformer
from studio.families.causal_lm.sampling import sample, samplers
from studio.families.family import MODEL
from studio.settings import ASSETS
from studio.types import Input, Request
from tests.families.diffusion.listener import CPU, Listener

pytestmark = pytest.mark.timeout(300)
WHO = ("the fox", "the owl", "a sailor", "the old king", "a child")
DOES = ("walked to", "looked at", "sang of", "feared", "remembered")
WHAT = ("the sea", "the winter", "a lighthouse", "the forest", "his brother")


def tale(rng: random.Random) -> str:
    lines = [f"{rng.choice(WHO)} {rng.choice(DOES)} {rng.choice(WHAT)}." for _ in range(40)]
    return "\n".join(line.capitalize() for line in lines)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("tales"), random.Random(4)
    items = []
    for k in range(10):
        (folder / f"{k}.txt").write_text(tale(rng), "utf-8")
        split = "held_out" if k > 7 else "train"
        items.append({"file": str(folder / f"{k}.txt"), "sha256": f"{k:064x}", "caption": "", "split": split})
    chat = {"messages": [{"role": "user", "content": tale(rng)}, {"role": "assistant", "content": tale(rng)}]}
    (folder / "chat.json").write_text(json.dumps(chat), "utf-8")
    items.append({"file": str(folder / "chat.json"), "sha256": "f" * 64, "caption": "", "split": "train"})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


class Learner(Listener):
    """A context that presses Stop after `until` steps."""

    kept: Path
    until: int | None = None

    def progress(self, step: int, steps: int, message: str = "") -> None:
        super().progress(step, steps, message)
        if self.until is not None and message == "Learning" and step >= self.until:
            self.stop_at = 0


def context(folder: Path, manifest: Path, until: int | None = None) -> Learner:
    folder.mkdir(parents=True, exist_ok=True)
    made = Learner(staging=folder, inputs={"dataset": [manifest]})
    made.kept, made.until = folder / "run", until
    return made


def asked(**params: Any) -> Request:
    small = {"seconds": 600, "max_train_steps": 14, "hidden_size": 32, "num_hidden_layers": 2}
    small |= {"max_position_embeddings": 48, "train_batch_size": 4}
    given = (Input(role="dataset", artifact="0" * 64),)
    request = Request(task="train_transformer", model="", prompt="tales", seed=3, inputs=given, params=small | params)
    return family("causal_lm").validate(request)


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    made = context(tmp_path_factory.mktemp("trained"), manifest)
    train_transformer.run(Path(), asked(max_train_steps=60), made)
    return made


def test_it_learns_and_says_how_well(trained: Learner) -> None:
    card = json.loads(next(trained.staging.glob("0.json")).read_text("utf-8"))
    figures = card["figures"]
    assert figures["bits_a_byte"]["low"] <= figures["bits_a_byte"]["value"] <= figures["bits_a_byte"]["high"]
    assert figures["bits_a_byte"]["value"] < 3.6  # eight without any model, about 4.2 by single letters
    assert {"bits_a_byte_5_grams", "bits_a_byte_xz", "variety", "copied_run", "tokens_a_second"} <= set(figures)
    assert card["trained"]["texts"] == 9 and card["trained"]["held_out"] == 2
    rows = [json.loads(line) for line in (trained.kept / "metrics.jsonl").read_text().splitlines()]
    judged = [row["held_out"] for row in rows if "held_out" in row]
    assert judged[-1] < judged[0]
    assert (trained.kept / "samples" / "card-drafts.txt").read_text("utf-8").count("---") == 11


def test_plain_transformers_loads_it_and_the_pipeline_writes(trained: Learner, tmp_path: Path) -> None:
    folder = trained.kept / MODEL
    plain = AutoModelForCausalLM.from_pretrained(folder)
    assert AutoTokenizer.from_pretrained(folder)("The fox").input_ids
    assert sum(p.numel() for p in plain.parameters()) > 10_000
    loaded = pipeline.load(folder, CPU)
    made = drafts(loaded, tmp_path / "three", count=3, seed=5)
    alone = drafts(loaded, tmp_path / "one", count=1, seed=6)
    assert len(set(made)) == 3 and made[1] == alone[0]


def drafts(loaded: pipeline.TextPipeline, folder: Path, *, count: int, seed: int, **params: Any) -> list[str]:
    folder.mkdir()
    given = {"num_return_sequences": count, "max_new_tokens": 24, **params}
    request = Request(task="text", model="tales", prompt="The fox", seed=seed, params=given)
    loaded.run(family("causal_lm").validate(request), Listener(staging=folder))
    return [(folder / f"{k}.txt").read_text("utf-8") for k in range(count)]


def test_a_stop_and_going_on_ends_with_the_same_weights(manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    train_transformer.run(Path(), asked(), whole)
    with pytest.raises(Cancelled):
        train_transformer.run(Path(), asked(), context(tmp_path / "parts", manifest, until=5))
    again = context(tmp_path / "parts", manifest)
    train_transformer.run(Path(), asked(), again)
    a, b = (load_file(made.kept / MODEL / "model.safetensors") for made in (whole, again))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_too_little_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("A fox.", "utf-8")
    item = {"file": str(tmp_path / "short.txt"), "sha256": "0" * 64, "caption": "", "split": "train"}
    (tmp_path / "manifest.json").write_text(json.dumps({"items": [item]}))
    with pytest.raises(InvalidInput, match="tokens, less than one row"):
        train_transformer.run(Path(), asked(), context(tmp_path / "run", tmp_path / "manifest.json"))


def test_the_starter_writes_and_a_broken_folder_is_said(tmp_path: Path) -> None:
    starter = pipeline.load(ASSETS / "models" / "starter-text", CPU)
    first = drafts(starter, tmp_path / "a", count=2, seed=1)
    assert first == drafts(starter, tmp_path / "b", count=2, seed=1)
    greedy = drafts(starter, tmp_path / "c", count=2, seed=1, temperature=0)
    assert greedy[0] == greedy[1] and greedy[0].strip()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="cannot be loaded"):
        pipeline.load(tmp_path / "broken", CPU)


def test_an_end_closes_one_row_and_the_others_go_on(trained: Learner) -> None:
    loaded = pipeline.load(trained.kept / MODEL, CPU)
    assert len(loaded.learnt) == 1 and len(loaded.learnt[0].hashes) > 1000  # what it was taught lies beside it
    free = sample(loaded.model, [0], [1, 2, 3], most=20, ends=frozenset(), processors=samplers(1.0))
    ended = sample(loaded.model, [0], [1, 2, 3], most=20, ends=frozenset({free[1][4]}), processors=samplers(1.0))
    for before, after in zip(free, ended, strict=True):
        expected = before[: before.index(free[1][4])] if free[1][4] in before else before
        assert after == expected
