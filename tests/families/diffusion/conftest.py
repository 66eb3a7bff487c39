"""Tiny pipelines of the real classes, as the tests of pictures share them."""

from pathlib import Path

import pytest

from studio.families.diffusion.pipeline import PicturePipeline, load
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU


class Loaded(dict[str, PicturePipeline]):
    """The pipeline of each kind of `tiny.KINDS`, built and loaded when it is first asked for."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place = place

    def __missing__(self, kind: str) -> PicturePipeline:
        self[kind] = load(tiny.build(kind, self.place / kind), CPU)
        return self[kind]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return Loaded(tmp_path_factory.mktemp("models"))
