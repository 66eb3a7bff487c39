"""`image --control DRAWING`: a request that follows a drawing, or one sentence on why it cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from studio.cli import parser
from studio.errors import InvalidInput, NotFound
from studio.image_commands import image_request
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Request

CONFIG = '{"_class_name": "%s", "in_channels": 16, "cross_attention_dim": 256, "block_out_channels": [64, 192]}'


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("home")
    for name, kind in (("canny-mine", "ControlNetModel"), ("scribble-flux", "FluxControlNetModel")):
        folder = home / "models" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(CONFIG % kind, "utf-8")
    with Studio(Settings.load({"home": home})) as opened:
        yield opened


def asked(studio: Studio, *words: str) -> Request:
    return image_request(studio, parser().parse_args(["image", "a red fox", *words]))


def test_a_drawing_is_followed_by_the_controlnet_that_is_named(studio: Studio, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "drawing.png")
    given = ("--control", str(tmp_path / "drawing.png"))
    request = asked(studio, *given, "--controlnet", "canny-mine", "--model", "starter-image")
    assert [one.role for one in request.inputs] == ["control"]
    assert (request.params["controlnet"], request.params["control_kind"]) == ("canny-mine", "canny")
    assert studio.check(request).params["controlnet"] == "canny-mine"
    assert asked(studio, *given).params["controlnet"] == "starter-sketch"  # it was taught on the model
    with pytest.raises(NotFound, match="not made for"):
        asked(studio, *given, "--controlnet", "scribble-flux")
    with pytest.raises(InvalidInput, match="no file"):
        asked(studio, "--control", str(tmp_path / "nothing.png"))
