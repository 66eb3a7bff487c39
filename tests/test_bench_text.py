"""`bench text` on a tiny model: every side writes the same number of tokens, and the ratios follow from the times."""

from pathlib import Path

import pytest

from studio.bench import text
from studio.errors import NotFound
from studio.settings import Settings
from tests.families.causal_lm import tiny_lm


def test_sides_are_timed_in_turn(tmp_path: Path) -> None:
    folder = tiny_lm.build("llama", tmp_path / "tiny")
    settings = Settings.load({"home": str(tmp_path / "home")})
    found = text.run(settings, quick=True, models={"tiny": folder}, rounds=2)["models"]["tiny"]
    assert all(len(found["seconds"][name]) == 2 and min(found["seconds"][name]) > 0 for name in text.WORK)
    pace = found["tokens_a_second"]
    assert found["ratios"]["1 draft"] == pytest.approx(pace["studio, 1 draft"] / pace["generate, 1 draft"], abs=0.02)
    assert found["first_token"]["forward"] > 0 and found["bandwidth_share"] > 0


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no model"):
        text.run(Settings.load({"home": str(tmp_path)}), quick=True, models={"none": tmp_path / "none"})
