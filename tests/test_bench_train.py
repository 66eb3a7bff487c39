"""`bench train` on a tiny model: every side takes its steps on the same work, and the table names the processor."""

from pathlib import Path

import pytest

from studio.bench import train
from studio.errors import NotFound
from studio.settings import Settings
from tests.families.diffusion import tiny


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_three_sides_are_timed_in_turn(tmp_path: Path) -> None:
    model = tiny.build("sd", tmp_path / "model")
    found = train.run(Settings.load({"home": str(tmp_path / "home")}), quick=True, model=model)
    for kind in train.KINDS:
        assert len(found[kind]["seconds"]) == 2 and found[kind]["step"] > 0 and found[kind]["first"] > 0
        assert all(0 < loss < 100 for loss in found[kind]["losses"])
    assert set(found["ratio"]) == {"example32", "example16"}
    assert found["processor"] in found["table"][0] and len(found["table"]) == 4


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no model"):
        train.run(Settings.load({"home": str(tmp_path)}), quick=True, model=tmp_path / "none")
