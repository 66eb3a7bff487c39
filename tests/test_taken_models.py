"""Models that were made here: their cards are written as TOML, and the catalog offers a copy once a job."""

import tomllib
from pathlib import Path

import pytest

from studio.catalog import Catalog
from studio.errors import ModelError
from studio.families.model_card import card_text, write_card
from studio.settings import Settings


def made(folder: Path) -> Path:
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "weights.safetensors").write_bytes(b"1234")
    write_card(folder, {"family": "diffusion", "tasks": ["text_to_image"], "defaults": {"width": 64}})
    return folder


def test_a_card_reads_back_as_it_was_written() -> None:
    card = {
        "name": 'a "quoted" név\\ \x7f',
        "steps": 12,
        "share": 0.25,
        "own": True,
        "tasks": ["a", "b"],
        "figures": {"kid": {"value": 0.1, "means": "How far."}, "my key": [1, 2]},
    }
    assert tomllib.loads(card_text({**card, "absent": None})) == card


def test_a_model_is_taken_once_a_job_and_never_over_another(tmp_path: Path) -> None:
    catalog = Catalog(Settings.load({"home": tmp_path / "home"}))
    folder = made(tmp_path / "made")
    assert catalog.take_model("my cats!", folder, {"job": "1"}) == "my-cats"
    assert catalog.take_model("my cats!", folder, {"job": "1"}) == "my-cats"
    assert catalog.take_model("my cats!", folder, {"job": "2"}) == "my-cats-2"
    assert catalog.take_model("starter-image", folder, {"job": "3"}) == "starter-image-2"
    model = catalog.model("my-cats-2")
    assert (model.name, model.source, model.defaults["width"]) == ("my cats!", "trained", 64)
    assert (model.folder / "unet" / "weights.safetensors").read_bytes() == b"1234"
    assert catalog.model_of_job("3") == "starter-image-2" and catalog.model_of_job("4") == ""


def test_what_went_on_takes_the_place_of_what_it_left_when_it_was_stopped(tmp_path: Path) -> None:
    catalog = Catalog(Settings.load({"home": tmp_path / "home"}))
    folder = made(tmp_path / "made")
    card = {"family": "diffusion", "tasks": ["text_to_image"]}
    write_card(folder, {**card, "stopped": True})
    assert catalog.take_model("cats", folder, {"job": "1", "run": "a"}) == "cats"
    assert catalog.take_model("cats", folder, {"job": "2", "run": "b"}) == "cats-2"  # another training
    (folder / "unet" / "weights.safetensors").write_bytes(b"56")
    assert catalog.take_model("cats", folder, {"job": "3", "run": "a"}) == "cats"  # stopped once more
    write_card(folder, card)
    assert catalog.take_model("cats", folder, {"job": "4", "run": "a"}) == "cats"
    (whole,) = (model for model in catalog.models() if model.card.get("made", {}).get("run") == "a")
    assert (whole.folder / "unet" / "weights.safetensors").read_bytes() == b"56" and "stopped" not in whole.card
    assert catalog.model_of_job("4") == "cats" and catalog.model_of_job("1") == ""
    assert catalog.take_model("cats", folder, {"job": "5", "run": "a"}) == "cats-3"  # a whole one stays
    assert not list((tmp_path / "home" / "models").glob(".*"))


def test_what_is_no_model_or_half_copied_is_not_offered(tmp_path: Path) -> None:
    catalog = Catalog(Settings.load({"home": tmp_path / "home"}))
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(ModelError, match="cannot be found"):
            catalog.take_model("x", folder, {"job": "1"})
    before = {model.id for model in catalog.models()}
    made(tmp_path / "home" / "models" / ".x.part")
    assert {model.id for model in catalog.models()} == before
    assert catalog.take_model("x", made(tmp_path / "made"), {"job": "1"}) == "x"
    assert not (tmp_path / "home" / "models" / ".x.part").exists()
