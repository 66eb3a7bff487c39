"""A language model measured on texts: with and without a LoRA, by probes of words, killed in between, refused."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from studio.errors import Cancelled, InvalidInput
from studio.families import family
from studio.families.causal_lm import evaluate_texts
from studio.families.causal_lm.evaluate_texts import first_of
from studio.lab.probe import Probe
from studio.types import Adapter, Request
from tests.families.causal_lm import test_text_lora
from tests.families.causal_lm.test_train_transformer import Learner, context

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
manifest, model, taught = test_text_lora.manifest, test_text_lora.model, test_text_lora.taught
SMALL = {"drafts": 4, "draft_tokens": 24, "max_length": 48}


def asked(*probes: Probe, adapters: tuple[Adapter, ...] = (), **params: Any) -> Request:
    given = {**SMALL, **params, "probes": json.dumps([probe.to_dict() for probe in probes])}
    request = Request(task="evaluate_texts", model="tiny", prompt="look", seed=3, adapters=adapters, params=given)
    return family("causal_lm").validate(request)


def measured(listener: Learner) -> dict[str, Any]:
    return json.loads(listener.outputs[0].read_text("utf-8"))


def evaluator(folder: Path, manifest: Path | None, adapters: Sequence[tuple[Path, float]] = ()) -> Learner:
    made = context(folder, manifest) if manifest else context(folder, folder / "none")
    made.inputs = {"dataset": [manifest]} if manifest else {}
    made.adapters = adapters
    return made


def test_a_lora_is_measured_before_and_after(model: Path, manifest: Path, taught: Learner, tmp_path: Path) -> None:
    listener = evaluator(tmp_path, manifest, [(taught.outputs[0], 1.0)])
    request = asked(adapters=(Adapter(id="tales"),))
    evaluate_texts.run(model, request, listener)
    result = measured(listener)
    figures, before = result["figures"], result["before"]
    assert figures["gain"]["low"] > 0.02  # held-out texts of the kind that it was taught
    assert figures["bits_a_byte"]["high"] < before["bits_a_byte"]["low"]
    assert {"bits_a_byte_xz", "bits_a_byte_5_grams", "variety", "copied_run"} <= set(before)
    assert any("worse than a packer" in alarm for alarm in result["alarms"])  # its weights were random
    assert "without the LoRA" in result["card"] and "> " in result["card"]
    run = listener.kept
    assert (run / "card.md").is_file() and len((run / "samples" / "card-drafts.txt").read_text("utf-8")) > 20
    stamps = [file.stat().st_mtime_ns for file in sorted(run.rglob("measured/*/*.json"))]
    again = evaluator(tmp_path, manifest, [(taught.outputs[0], 1.0)])
    evaluate_texts.run(model, request, again)
    assert measured(again) == result and len(stamps) == 2
    assert stamps == [file.stat().st_mtime_ns for file in sorted(run.rglob("measured/*/*.json"))]


def test_a_stopped_one_goes_on_to_the_same_result(model: Path, manifest: Path, taught: Learner, tmp_path: Path) -> None:
    adapters, request = [(taught.outputs[0], 1.0)], asked(adapters=(Adapter(id="tales"),))
    whole = evaluator(tmp_path / "whole", manifest, adapters)
    evaluate_texts.run(model, request, whole)
    stopped = evaluator(tmp_path / "stopped", manifest, adapters)
    stopped.stop_at = len(whole.steps) - 2  # in the second set
    with pytest.raises(Cancelled):
        evaluate_texts.run(model, request, stopped)
    assert not stopped.outputs and len(list(stopped.kept.rglob("measured/*/*.json"))) == 1
    stopped.stop_at = None
    evaluate_texts.run(model, request, stopped)
    assert measured(stopped) == measured(whole)


def test_a_probe_finds_the_skew_in_the_data(model: Path, tmp_path: Path) -> None:
    said = ["he was late."] * 27 + ["she was late."] * 3
    (tmp_path / "a.txt").write_text("\n".join(f"The doctor said that {end}" for end in said), "utf-8")
    item = {"file": str(tmp_path / "a.txt"), "sha256": "0" * 64, "caption": "", "split": "train"}
    (tmp_path / "manifest.json").write_text(json.dumps({"trigger": "", "items": [item]}))
    listener = evaluator(tmp_path / "run", tmp_path / "manifest.json")
    probe = Probe.of(["The doctor said that"], words="he, she", seeds=4)
    evaluate_texts.run(model, asked(probe), listener)
    result = measured(listener)
    (row,) = result["probe"]
    assert row["sets"]["data"]["shares"]["he"]["count"] == 27 and row["sets"]["data"]["leaning"] == "he"
    assert row["sets"]["data"]["low"] > 0 and row["attribute"] == "words"
    assert any("The data set leans to he" in alarm for alarm in result["alarms"])
    assert any("Nothing was held out" in limit for limit in result["limits"])
    assert "“The doctor said that”: words" in result["card"]


def test_the_first_whole_word_counts() -> None:
    assert first_of("There SHE is, and he is here.", ("he", "she")) == "she"
    assert first_of("The others", ("he", "she")) == ""


@pytest.mark.parametrize(
    ("probes", "said"),
    [((), "nothing to measure"), ((Probe.of(["The doctor said"], seeds=2),), "needs the words")],
)
def test_what_cannot_be_measured_is_said(model: Path, tmp_path: Path, probes: tuple[Probe, ...], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        evaluate_texts.run(model, asked(*probes), evaluator(tmp_path, None))
