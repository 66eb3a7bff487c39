"""`bench starters` asks each starter's own figures, and says what it cannot measure."""

from pathlib import Path

import pytest

from studio.bench import starters
from studio.errors import InvalidInput
from studio.families.gan import figures as gan_figures


def test_without_its_data_a_starter_says_what_it_needs(tmp_path: Path) -> None:
    for id, needs in starters.NEEDS.items():
        if needs:
            assert f"--data DIR/{needs}" in starters.run(tmp_path, id)[id]["skipped"]
    with pytest.raises(InvalidInput, match="no starter 'starter-film'"):
        starters.run(None, "starter-film")


def test_every_starter_is_there_and_can_be_measured() -> None:
    assert {p.name for p in (starters.ASSETS / "models").iterdir()} == set(starters.NEEDS)
    made = gan_figures.measure(starters.ASSETS / "models" / "starter-gan", many=96)
    assert float(str(made["class_recognised"])) > 0.85  # the shipped weights, on the shipped judge
