"""Which checkpoints of a training stay, that their figures are made at the same seeds, and which one is suggested."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from studio.errors import Cancelled
from studio.families.diffusion import lora_card, lora_checkpoints
from studio.families.diffusion.train_lora import Training, run
from studio.lab.training_folders import begin_from, folder_of
from tests.families.diffusion import tiny
from tests.families.diffusion.lessons import asked, context, drawn_manifest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.build("sd", tmp_path_factory.mktemp("sd"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_manifest(tmp_path_factory.mktemp("set"))


@pytest.mark.parametrize("best", [20, 60, 400])
def test_what_stays_is_even_and_holds_the_best(best: int) -> None:
    left: list[int] = []
    for step in range(20, 420, 20):
        left = lora_checkpoints.thinned([*left, step], min(best, step))
    assert len(left) == lora_checkpoints.KEPT and best in left and left[-1] == 400
    gaps = [b - a for a, b in zip([0, *left], left, strict=False)]
    assert max(gaps) <= 160
    assert lora_checkpoints.thinned([20, 40], 20) == [20, 40]
    assert lora_checkpoints.thinned([20, 40, 60, 80], 20, 2) == [20, 80]


def test_few_checkpoints_are_compared_rather_than_by_few_pictures() -> None:
    steps = [20, 40, 60, 80, 100, 120]
    assert lora_checkpoints.to_compare(steps, 60, 100) == (steps, 7)
    some, count = lora_checkpoints.to_compare(steps, 60, 35)
    assert count >= lora_checkpoints.ENOUGH and len(some) == 3 and {60, 120} <= set(some)
    assert lora_checkpoints.to_compare(steps, 60, 10) == ([60], 2)


def rows(*given: tuple[int, float | None, float, float]) -> list[dict[str, Any]]:
    return [
        {"step": s, "held_out": h, "smoothed": h, "likeness": like, "drift": d, "memorised": 0.1}
        for s, h, like, d in given
    ]


def test_held_out_loss_comes_first_then_likeness_and_drift() -> None:
    found = rows((20, 0.90, 0.1, 0.1), (40, 0.81, 0.3, 0.2), (60, 0.80, 0.3, 0.9), (80, 0.95, 0.9, 0.0))
    assert lora_checkpoints.suggestion(found, 1.0, 60, 6)[0] == 40  # nearly the lowest loss, and far less drift
    step, why = lora_checkpoints.suggestion(found, 1.0, 60, 2)
    assert step == 60 and "2 pictures a prompt are too few" in why  # never by two samples
    assert "this one alone" in lora_checkpoints.suggestion(found[2:3], 1.0, 60, 5)[1]
    assert lora_checkpoints.suggestion(found[:1] + found[2:], 1.0, 60, 6)[0] == 60
    nothing = [{**row, "smoothed": None} for row in found]
    assert lora_checkpoints.suggestion(nothing, math.nan, 80, 6)[0] == 80
    assert "nothing was held out" in lora_checkpoints.suggestion(nothing, math.nan, 80, 2)[1]
    assert lora_checkpoints.smoothed({1: 4.0, 2: 1.0, 3: 4.0}) == {1: 3.0, 2: 2.5, 3: 3.0}


def kept(folder: Path) -> dict[str, Any]:
    return {path.name: load_file(path) for path in sorted((folder / "run" / "adapters").iterdir())}


def test_a_run_keeps_them_and_compares_them(
    model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_card, "SHARE", 1000.0)
    monkeypatch.setattr(lora_card, "MOST", 4)
    request = asked(max_train_steps=16, early_stopping=False)
    heard = context(tmp_path / "whole", manifest)
    run(model, request, heard)
    card = json.loads((tmp_path / "whole" / "run" / "card.json").read_text())
    steps = [row["step"] for row in card["checkpoints"]]
    assert len(steps) == 6 and steps == card["kept"] and steps[-1] == 16
    assert card["best_step"] in steps and card["suggested_step"] in steps and str(card["suggested_step"])
    for row in card["checkpoints"]:
        assert set(row) == {"step", "held_out", "smoothed", "likeness", "drift", "copying", "diversity", "memorised"}
        with Image.open(tmp_path / "whole" / "run" / "samples" / f"checkpoint-{row['step']:06d}.webp") as sheet:
            assert sheet.size == (4 * 64, 2 * 64)  # four of the subject, four of something else
    best = next(row for row in card["checkpoints"] if row["step"] == card["best_step"])
    assert (
        best["likeness"] == card["figures"]["likeness"]["value"] and best["drift"] == card["figures"]["drift"]["value"]
    )
    with safe_open(tmp_path / "whole" / "run" / "adapters" / "000016.safetensors", "pt") as last:
        assert last.metadata()["ss_steps"] == "16" and "lora_adapter_metadata" in last.metadata()
    monkeypatch.undo()
    for until in (5, 11, None):  # stopped between two looks, and gone on with
        parts = context(tmp_path / "parts", manifest, until)
        if until is None:
            run(model, request, parts)
        else:
            with pytest.raises(Cancelled):
                run(model, request, parts)
    whole, again = kept(tmp_path / "whole"), kept(tmp_path / "parts")
    assert list(whole) == list(again)
    assert all((whole[file][name] == again[file][name]).all() for file in whole for name in whole[file])


def test_figures_cost_a_share_of_the_training(model: Path, manifest: Path, tmp_path: Path) -> None:
    heard = context(tmp_path, manifest)
    run(model, asked(max_train_steps=4), heard)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["pictures_a_prompt"] == lora_card.FEWEST  # so short a training pays for no more
    assert [row["step"] for row in card["checkpoints"]] == [card["best_step"]]
    assert "too few" in card["suggestion"]


def test_what_stopped_early_can_go_on_as_if_it_had_not(
    model: Path, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "held_out_loss", lambda self: 1 + abs(self.state.step - 4) / 10)
    early, on = (asked(max_train_steps=16, early_stopping=stops) for stops in (True, False))
    stopped = context(tmp_path / "early", manifest)
    stopped.kept = folder_of(tmp_path / "trainings", early)
    run(model, early, stopped)
    assert stopped.metas[0]["steps"] == 12
    again = context(tmp_path / "again", manifest)
    again.kept = stopped.kept
    run(model, early, again)  # the same wish finds the same end
    assert again.metas[0]["steps"] == 12 and any("Stopped early" in text for text in again.warnings)
    begin_from(tmp_path / "trainings", early, on)
    gone_on = context(tmp_path / "on", manifest)
    gone_on.kept = folder_of(tmp_path / "trainings", on)
    run(model, on, gone_on)
    whole = context(tmp_path / "whole", manifest)
    run(model, on, whole)
    assert min(step for step, _ in gone_on.steps if step) == 13  # not from the beginning
    assert gone_on.metas[0]["steps"] == 16
    mine, theirs = (load_file(lora_checkpoints.file_of(heard.kept / "adapters", 16)) for heard in (gone_on, whole))
    assert all((mine[name] == theirs[name]).all() for name in theirs)


def test_drift_is_a_share_of_the_distance_between_two_takes() -> None:
    takes = np.random.default_rng(0).normal(size=(4, 64))
    assert lora_card.moved(takes, takes).max() == 0
    assert lora_card.moved(takes, takes[::-1]).mean() == pytest.approx(1, abs=0.2)
    assert lora_card.moved(takes, 0.5 * (takes + takes[::-1])).mean() == pytest.approx(0.5, abs=0.1)
    assert np.isfinite(lora_card.moved(takes[:1], takes[1:2])).all()
