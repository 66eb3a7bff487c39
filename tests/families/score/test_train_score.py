"""A score transformer of a person's own: learnt from MIDI, MusicXML and ABC, killed and gone on with, composing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from studio.errors import Cancelled, InvalidInput
from studio.families import family
from studio.families.family import MODEL
from studio.families.score import pipeline, train_score
from studio.families.score.composer import compose
from studio.families.score.midi import write_midi
from studio.families.score.score_set import read_scores, style_named
from studio.music.files import read_score, write_score
from studio.types import Input, Request
from tests.families.causal_lm.test_train_transformer import Learner, context
from tests.families.diffusion.listener import CPU

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SMALL = {"seconds": 600, "hidden_size": 64, "num_hidden_layers": 1, "train_batch_size": 4, "max_train_steps": 12}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten jigs and marches by rule, as MIDI, MusicXML and ABC; two are held out; one is in five beats."""
    folder = tmp_path_factory.mktemp("tunes")
    items: list[dict[str, Any]] = []
    for k in range(10):
        style = ("jig", "march")[k % 2]
        file = folder / f"{k}.mid"
        write_midi(compose(style, k), file)
        if k in (2, 3, 8):
            other = file.with_suffix(".musicxml")
            other.write_bytes(write_score(read_score(file.read_bytes(), file.name), "musicxml"))
            file = other
        split = "held_out" if k >= 8 else "train"
        items.append({"file": str(file), "sha256": f"{k:064x}", "caption": f"a {style}", "split": split})
    odd = folder / "odd.abc"
    odd.write_text("X:1\nM:5/4\nL:1/4\nK:C\n" + "CDEFG|" * 12 + "\n", "utf-8")
    items.append({"file": str(odd), "sha256": "f" * 64, "caption": "", "split": "train"})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


def asked(**params: Any) -> Request:
    given = (Input(role="dataset", artifact="0" * 64),)
    request = Request(task="train_score", model="", prompt="tunes", seed=3, inputs=given, params={**SMALL, **params})
    return family("score").validate(request)


@pytest.fixture(scope="module")
def taught(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    made = context(tmp_path_factory.mktemp("taught"), manifest)
    train_score.run(Path(), asked(max_train_steps=60), made)
    return made


def test_every_format_is_read_into_whole_bars(manifest: Path) -> None:
    found = read_scores(json.loads(manifest.read_text()))
    assert found.scores == 10 and found.unused == 1
    assert found.styles == ("jig", "march")
    for piece in [*found.train, *found.held_out]:
        assert piece.metre == {"jig": (6, 8)}.get(piece.style, piece.metre) and piece.bars >= 4 and len(piece.notes) > 8
    assert style_named("a slow waltz in D") == "waltz" and style_named("") == style_named("Opus 3") == "piano"


def test_it_learns_and_says_what_it_did(taught: Learner) -> None:
    card = json.loads(taught.outputs[0].read_text("utf-8"))
    figures = card["figures"]
    assert figures["bits_a_token"]["high"] < figures["bits_a_token_by_frequency"]["value"]
    assert {"like_pitch_class", "like_interval", "like_rhythm", "monotonous", "copied_runs"} <= set(figures)
    assert card["knows"] == {"styles": ["jig", "march"], "metres": card["knows"]["metres"]}
    assert card["trained"]["scores"] == 10 and any("1 of 11 scores" in said for said in taught.warnings)
    samples = taught.kept / "samples"
    first, last = (sorted(samples.glob("*-0.webp"))[k] for k in (0, -1))
    with Image.open(last) as sheet:
        assert first != last and sheet.size[0] == 720 and last.with_suffix(".mid").is_file()


def test_it_composes_in_its_panel(taught: Learner, tmp_path: Path) -> None:
    loaded = pipeline.load(taught.kept / MODEL, CPU)
    assert loaded.styles == ("jig", "march")
    listener = context(tmp_path, tmp_path / "none")
    listener.inputs = {}
    request = Request(task="text_to_score", model="tunes", prompt="a jig", seed=1, params={"bars": 8})
    loaded.run(family("score").validate(request), listener)
    score = read_score(listener.outputs[0].read_bytes(), "take")
    assert score.bars == 8 and score.notes > 4 and not listener.warnings
    waltz = request.replace(prompt="a waltz")
    loaded.run(family("score").validate(waltz), listener)
    assert any("does not know the style waltz" in said for said in listener.warnings)


def test_a_stopped_one_goes_on_to_the_same_weights(manifest: Path, tmp_path: Path) -> None:
    whole, stopped = (context(tmp_path / name, manifest) for name in ("whole", "stopped"))
    train_score.run(Path(), asked(), whole)
    stopped.stop_at = 9
    with pytest.raises(Cancelled):
        train_score.run(Path(), asked(), stopped)
    assert json.loads(stopped.outputs[0].read_text("utf-8"))["stopped"] is True  # what is there is kept
    shutil.rmtree(stopped.kept / MODEL)
    stopped.stop_at = None
    train_score.run(Path(), asked(), stopped)
    one, other = (pipeline.load(made.kept / MODEL, CPU).model.state_dict() for made in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_scores_of_which_nothing_can_be_learnt_are_refused(manifest: Path, tmp_path: Path) -> None:
    items = json.loads(manifest.read_text())["items"][-1:]
    (tmp_path / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    with pytest.raises(InvalidInput, match="no score with four whole bars"):
        train_score.run(Path(), asked(), context(tmp_path, tmp_path / "manifest.json"))
