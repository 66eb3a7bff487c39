"""`bench starters` asks each starter's own figures, and says what it cannot measure."""

from pathlib import Path

import pytest

from studio.bench import starters
from studio.errors import InvalidInput


def test_without_its_data_a_starter_says_what_it_needs(tmp_path: Path) -> None:
    for id, needs in starters.NEEDS.items():
        if needs:
            assert f"--data DIR/{needs}" in starters.run(tmp_path, id)[id]["skipped"]
    with pytest.raises(InvalidInput, match="no starter 'starter-film'"):
        starters.run(None, "starter-film")


def test_every_starter_is_there_and_can_be_measured() -> None:
    assert {p.name for p in (starters.ASSETS / "models").iterdir()} == set(starters.NEEDS)
    made = starters.measured("starter-gan", starters.ASSETS / "models" / "starter-gan", None)
    assert made["class_recognised"] > 0.9  # the shipped weights, on the shipped judge
