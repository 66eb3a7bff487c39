"""Real engines with real workers that have no torch, so that they start fast."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from studio.engine.engine import Engine
from tests.engine.listen import NO_TORCH, Heard


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def make_engine(tmp_path: Path, heard: Heard) -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(**given: Any) -> Engine:
        options = {
            "device": "cpu",
            "staging": tmp_path / "staging",
            "grace": 0.4,
            "environment": NO_TORCH,
            **given,
        }
        made.append(Engine(**options))
        made[-1].subscribe(heard)
        return made[-1]

    yield make
    for engine in made:
        engine.close(timeout=1)


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    return make_engine()
