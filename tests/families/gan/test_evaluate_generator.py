"""A generator measured against pictures: other ones, its own, none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.errors import InvalidInput
from studio.families import family
from studio.families.gan import evaluate_pictures
from studio.families.gan.one_pass import load_one_pass
from studio.families.gan.places import Space
from studio.settings import ASSETS
from studio.types import Request
from tests.families.causal_lm.test_train_transformer import Learner, context

MODEL = ASSETS / "models" / "starter-gan"


def asked(**params: Any) -> Request:
    request = Request(task="evaluate_pictures", model="starter-gan", prompt="look", seed=3, params=params)
    return family("gan").validate(request)


def manifest(folder: Path, pictures: list[Image.Image]) -> Path:
    items = []
    for k, picture in enumerate(pictures):
        picture.save(folder / f"{k}.png")
        split = "held_out" if k % 4 == 3 else "train"
        items.append({"file": str(folder / f"{k}.png"), "sha256": f"{k:064x}", "caption": "", "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


def measured(folder: Path, data: Path, **params: Any) -> tuple[Learner, dict[str, Any]]:
    listener = context(folder, data)
    evaluate_pictures.run(MODEL, asked(**params), listener)
    return listener, json.loads(listener.outputs[0].read_text("utf-8"))


def test_it_is_told_from_other_pictures_and_known_from_its_own(tmp_path: Path) -> None:
    (tmp_path / "balls").mkdir()
    (tmp_path / "own").mkdir()
    balls = []
    for k in range(32):
        balls.append(Image.new("RGB", (64, 64), (200, 220, 240)))
        ImageDraw.Draw(balls[-1]).ellipse((8 + k // 2, 10, 34 + k // 2, 50), fill=(200, 3 * k, 40))
    listener, other = measured(tmp_path / "a", manifest(tmp_path / "balls", balls), pictures=32)
    space = Space(load_one_pass(MODEL))
    own = evaluate_pictures.make(space, asked(pictures=48).replace(seed=900), listener)
    _, same = measured(tmp_path / "b", manifest(tmp_path / "own", [Image.fromarray(one) for one in own]), pictures=32)
    assert other["figures"]["kid"]["low"] > same["figures"]["kid"]["high"]
    assert same["figures"]["copying"]["value"] < 0.2 and other["figures"]["recall"]["value"] < 0.2
    assert {"kid_floor", "diversity"} <= set(same["figures"]) and not same["alarms"]
    for sheet in other["sheets"]:
        assert np.asarray(Image.open(listener.kept / "samples" / sheet)).std() > 5
    assert "# starter-gan" in other["card"] and listener.metas[0]["evaluation"] is True


def test_pictures_that_it_repeats_are_called_copies(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    listener = context(tmp_path / "x", tmp_path / "none")
    own = evaluate_pictures.make(Space(load_one_pass(MODEL)), asked(pictures=24), listener)
    _, same = measured(tmp_path / "run", manifest(tmp_path / "own", [Image.fromarray(one) for one in own]), pictures=24)
    assert same["figures"]["copying"]["value"] >= 0.6  # all but the held-out ones
    assert any("repeat one of yours" in alarm for alarm in same["alarms"])


def test_without_pictures_nothing_can_be_said(tmp_path: Path) -> None:
    listener = context(tmp_path, tmp_path / "none")
    listener.inputs = {}
    with pytest.raises(InvalidInput, match="compared with pictures"):
        evaluate_pictures.run(MODEL, asked(), listener)
