"""From a drawing to a request: ControlNet where there is one, else begin with the drawing; sizes, styles, problems."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from studio.errors import InvalidInput, NotFound
from studio.families.diffusion import FAMILY
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, Value
from studio.ui import sketching
from studio.ui.design_facts import design_facts


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(Settings.load({"home": tmp_path_factory.mktemp("home")})) as opened:
        yield opened


def adopted(studio: Studio, folder: Path, size: tuple[int, int] = (300, 300)) -> str:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).ellipse((20, 20, size[0] - 20, size[1] - 20), outline="black", width=4)
    picture.save(folder / "drawing.png")
    return studio.adopt(folder / "drawing.png", role="source").sha256


def test_it_begins_with_the_drawing_and_is_held_against_it(studio: Studio, tmp_path: Path) -> None:
    source = adopted(studio, tmp_path)
    values = {"prompt": "a red fox", "model": "starter-image", "by": "start", "seed": 4, "lock": True}
    asked = sketching.request(studio, {**values, "num_images_per_prompt": 2}, source)
    assert asked.task == "image_to_image" and asked.seed == 4
    assert [(given.role, given.artifact) for given in asked.inputs] == [("init_image", source), ("control", source)]
    assert (asked.params["width"], asked.params["height"], asked.params["num_images_per_prompt"]) == (256, 256, 2)
    loosely = sketching.request(studio, {**values, "closely": 0}, source)
    strictly = sketching.request(studio, {**values, "closely": 1}, source)
    assert float(str(loosely.params["strength"])) > float(str(asked.params["strength"])) > 0.4
    assert float(str(strictly.params["strength"])) == 0.45
    assert studio.check(asked).params["num_inference_steps"] == 12
    FAMILY.validate(asked)


def test_a_wide_drawing_makes_wide_renderings_unless_a_size_is_asked_for(studio: Studio, tmp_path: Path) -> None:
    source = adopted(studio, tmp_path, (600, 300))
    values = {"prompt": "a fox", "model": "starter-image"}
    wide = sketching.request(studio, values, source).params
    assert (wide["width"], wide["height"]) == (368, 176)
    asked = sketching.request(studio, {**values, "width": 256, "height": 320}, source).params
    assert (asked["width"], asked["height"]) == (256, 320)


def test_a_request_can_be_put_back_into_the_form(studio: Studio, tmp_path: Path) -> None:
    source = adopted(studio, tmp_path)
    values = {"prompt": "a fox", "model": "starter-image", "by": "start", "closely": 0.3, "seed": 9, "lock": True}
    asked = sketching.request(studio, {**values, "num_inference_steps": 7}, source)
    back = sketching.values_of(asked)
    assert sketching.source_of(asked) == source
    assert sketching.request(studio, back, source) == asked
    assert sketching.values_of(asked.replace(inputs=())) == {}


@pytest.mark.parametrize(
    ("values", "source", "field"),
    [
        ({"prompt": " "}, True, "prompt"),
        ({"prompt": "a fox"}, False, "sketch"),
        ({"prompt": "a fox", "closely": 3}, True, "closely"),
        ({"prompt": "a fox", "closely": "very"}, True, "closely"),
    ],
)
def test_what_is_wrong_names_its_field(
    studio: Studio, tmp_path: Path, values: dict[str, object], source: bool, field: str
) -> None:
    with pytest.raises(InvalidInput) as told:
        sketching.request(studio, values, adopted(studio, tmp_path) if source else None)
    assert told.value.field == field


def test_an_unknown_controlnet_is_named(studio: Studio, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no ControlNet"):
        sketching.request(studio, {"prompt": "a fox", "controlnet": "nothing"}, adopted(studio, tmp_path))


def test_the_starter_follows_drawings_by_its_own_controlnet(studio: Studio, tmp_path: Path) -> None:
    source = adopted(studio, tmp_path)
    asked = sketching.request(studio, {"prompt": "a fox", "model": "starter-image", "seed": 1, "lock": True}, source)
    assert asked.task == "image_to_image"
    assert (asked.params["controlnet"], asked.params["control_kind"]) == ("starter-sketch", "scribble")
    assert (asked.params["controlnet_conditioning_scale"], asked.params["strength"]) == (1.0, 0.85)
    assert [given.role for given in studio.check(asked).inputs] == ["init_image", "control"]
    assert sketching.request(studio, sketching.values_of(asked), source) == asked
    loosely = sketching.request(studio, {"prompt": "a fox", "closely": 0}, source).params
    assert (loosely["strength"], loosely["controlnet_conditioning_scale"]) == (1.0, 0.0)
    began = sketching.request(studio, {"prompt": "a fox", "by": "start"}, source)
    assert "controlnet" not in began.params and began.params["strength"] == 0.55


def test_a_take_says_how_many_of_the_lines_it_keeps() -> None:
    outline: dict[str, Value] = {"f1": 0.4, "precision": 0.3, "recall": 0.816, "tolerance": 2.9}
    kept = Artifact(
        sha256="0", media_type="image/png", path=Path("a.png"), size=1, created=0.0, meta={"outline": outline}
    )
    assert design_facts(kept) == ["82 % of the lines kept"]
