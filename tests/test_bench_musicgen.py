"""`bench musicgen` on a tiny MusicGen: both sides write as many codes, and the ratios follow from the times."""

import statistics
from pathlib import Path

import pytest

from studio.bench import musicgen
from studio.settings import Settings
from tests.families.audio import tiny


def test_sides_are_timed_in_turn(tmp_path: Path) -> None:
    folder = tiny.musicgen(tmp_path / "tiny")
    found = musicgen.run(Settings.load({"home": str(tmp_path / "home")}), quick=True, folder=folder, rounds=2)
    assert all(len(found["seconds"][name]) == 2 and min(found["seconds"][name]) > 0 for name in musicgen.WORK)
    middle = {name: statistics.median(times) for name, times in found["seconds"].items()}
    assert found["ratios"]["1 take"] == pytest.approx(middle["generate, 1 take"] / middle["studio, 1 take"], abs=0.01)
    assert len(found["table"]) == 2 + len(musicgen.WORK) + len(musicgen.RATIOS)
