"""A picture that the form or the command `image` shall follow: what is made of it for the ControlNet that is there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from studio.cli import parser
from studio.errors import NotFound
from studio.image_commands import image_request
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Request
from studio.ui import brief
from tests.families.depth import tiny_maps
from tests.families.diffusion import tiny
from tests.families.diffusion.test_controlnet import build_controlnet
from tests.families.diffusion.test_parts import scene


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    tiny.build("sd", home / "models" / "a")
    with Studio(Settings(home=home)) as opened:
        opened.pause()
        yield opened


@pytest.mark.parametrize(("kind", "build"), [("depth", tiny_maps.depth_anything), ("pose", tiny_maps.vitpose)])
def test_a_controlnet_for_depth_or_poses_gets_what_a_model_sees(
    studio: Studio, tmp_path: Path, kind: str, build: Callable[[Path], Path]
) -> None:
    models = studio.settings.models
    build_controlnet("sd", models / "a", models / f"control-{kind}")
    scene(64, 48).save(tmp_path / "scene.png")
    picture = studio.adopt(tmp_path / "scene.png")

    def followed(**values: object) -> Request:
        plain = {"prompt": "a fox", "model": "a", "num_images_per_prompt": 1, "seed": 7, "lock": True}
        given = brief.Brief(values={**plain, **values}, control=picture.sha256)
        return studio.check(brief.plan(studio, given).requests[0])

    with pytest.raises(NotFound, match=f"can see the {kind}") as told:
        followed()
    assert told.value.field == "control_kind" and "in Models" in told.value.hint
    assert followed(control_kind="as it is").params["control_kind"] == "as it is"
    build(models / "seer")
    assert followed().params["control_kind"] == kind
    given = parser().parse_args(["image", "a fox", "--model", "a", "--control", str(tmp_path / "scene.png")])
    assert studio.check(image_request(studio, given)).params["control_kind"] == kind
    (net,) = studio.catalog.controlnets(studio.catalog.model("a"))
    assert net.kind_of_drawings == "as it is"  # strokes have no depth
