"""Captions by real architectures at tiny size: found by the catalog, loaded, stopped, and short of memory."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from studio.catalog import read_model
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.captioning.pipeline import Captioner, load
from studio.types import Input, Request
from tests.families.captioning import tiny_captioner
from tests.families.diffusion.listener import CPU, Listener


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny_captioner.build(kind, tmp_path_factory.mktemp(kind)) for kind in ("blip", "git")}


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    pictures = []
    for k in range(6):
        Image.new("RGB", (40 + k, 30), (40 * k, 200 - 30 * k, 90)).save(tmp_path / f"{k}.png")
        pictures.append({"id": f"i{k}", "file": str(tmp_path / f"{k}.png")})
    (tmp_path / "list.json").write_text(json.dumps({"dataset": "toys", "pictures": pictures}))
    return tmp_path / "list.json"


def asked(prompt: str = "", **params: Any) -> Request:
    given = (Input(role="pictures", artifact="0" * 64),)
    small = {"max_new_tokens": 6, **params}
    return family("captioning").validate(Request(task="caption", model="x", prompt=prompt, inputs=given, params=small))


class Heard(Listener):
    kept: Path


def heard(folder: Path, listed: Path, stop_at: int | None = None) -> Heard:
    return Heard(staging=folder, inputs={"pictures": [listed]}, stop_at=stop_at)


@pytest.mark.parametrize("kind", ["blip", "git"])
def test_every_picture_gets_a_caption(kind: str, models: dict[str, Path], listed: Path, tmp_path: Path) -> None:
    found = read_model(models[kind], "local")
    assert found and found.family == "captioning" and found.tasks == ("caption", "describe")
    captioner = load(models[kind], CPU)
    assert captioner.size() > 1000
    one = heard(tmp_path, listed)
    captioner.run(asked(), one)
    told = json.loads(one.outputs[0].read_text())["captions"]
    assert list(told) == [f"i{k}" for k in range(6)] and all(isinstance(text, str) for text in told.values())
    assert any(told.values()) and not any("[" in text for text in told.values())  # no special tokens
    assert one.metas[0] == {"captions_of": "toys", "captions": 6} and one.steps[-1] == (6, 6)
    again = heard(tmp_path, listed)
    captioner.run(asked(), again)
    assert json.loads(again.outputs[0].read_text())["captions"] == told
    if kind == "blip":
        begun = heard(tmp_path, listed)
        captioner.run(asked(prompt="a red"), begun)
        texts = json.loads(begun.outputs[0].read_text())["captions"].values()
        assert all(text.startswith("a red") for text in texts)


def test_stop_keeps_what_was_told(models: dict[str, Path], listed: Path, tmp_path: Path) -> None:
    one = heard(tmp_path, listed, stop_at=1)
    with pytest.raises(Cancelled):
        load(models["blip"], CPU).run(asked(num_beams=1), one)
    assert list(json.loads(one.outputs[0].read_text())["captions"]) == ["i0", "i1", "i2", "i3"]
    assert one.steps[-1] == (4, 6)


def test_short_memory_takes_fewer_at_once(
    models: dict[str, Path], listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Captioner.told

    def short(self: Captioner, pictures: Any, request: Request) -> list[str]:
        if len(pictures) > 1:
            torch.empty(2**52, dtype=torch.uint8)  # the allocator refuses
        return told(self, pictures, request)

    monkeypatch.setattr(Captioner, "told", short)
    one = heard(tmp_path, listed)
    load(models["git"], CPU).run(asked(num_beams=1), one)
    assert one.metas[0]["captions"] == 6 and one.warnings[-1] == "Memory was short: 1 at once now."


def test_what_is_wrong_is_said(models: dict[str, Path], listed: Path, tmp_path: Path) -> None:
    (tmp_path / "2.png").write_bytes(b"no picture")
    with pytest.raises(InvalidInput, match=r"2\.png cannot be read"):
        load(models["git"], CPU).run(asked(), heard(tmp_path, listed))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "blip", "architectures": ["BlipModel"], "vision_config": {}}')
    assert read_model(broken, "local") is None
    with pytest.raises(ModelError, match="cannot be opened"):
        load(broken, CPU)
