"""Damaged model folders: each is told as damaged and can be removed, and nothing else is the worse for it."""

import json
import shutil
from pathlib import Path

import pytest

from studio import cli
from studio.catalog import Catalog
from studio.companions import DAMAGED, companions
from studio.engine.cache import key, weight_of
from studio.families.model_card import write_card
from studio.hub.fit import would_fit
from studio.hub.installed import remove
from studio.settings import ASSETS, Settings
from studio.studio import Studio
from studio.types import Device
from studio.ui.model_desk import ModelDesk

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 123\n"
CARDS = {
    "no TOML": 'id = "bad',
    "tasks": 'family = "diffusion"\ntasks = 5\n',
    "tasks of numbers": 'family = "diffusion"\ntasks = [5]\n',
    "hub": 'family = "diffusion"\nhub = "somebody/something"\n',
    "made": 'family = "diffusion"\nmade = []\n',
}


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def put(settings: Settings, id: str, card: str) -> Path:
    folder = settings.models / id
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(card, "utf-8")
    return folder


@pytest.mark.parametrize("kind", CARDS)
def test_a_bad_card_is_told_and_can_be_removed(settings: Settings, kind: str) -> None:
    folder = put(settings, "bad", CARDS[kind])
    assert "starter-image" in {model.id for model in Catalog(settings).models()}
    told = next(one for one in companions(settings) if one.kind == DAMAGED)
    assert told.id == "bad" and str(folder / "card.toml") in told.to_dict()["about"]
    assert remove(settings, "bad").id == "bad" and not folder.exists()


def test_the_panel_and_the_commands_stand_beside_a_bad_card(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(settings, "bad", "[[")
    with Studio(settings) as studio:
        assert [one["id"] for one in ModelDesk(studio).state()["companions"] if one["kind"] == DAMAGED] == ["bad"]
    where = ["--home", str(settings.home)]
    assert cli.main(["models", "list", *where]) == 0
    listed = capsys.readouterr().out
    assert "damaged" in listed and "cannot be read" in listed and "starter-image" in listed
    assert cli.main(["models", "remove", "bad", *where]) == 0
    assert not (settings.models / "bad").exists()


def copied(settings: Settings, id: str) -> Path:
    folder = settings.models / id
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(ASSETS / "models" / "starter-image", folder)
    card = (folder / "card.toml").read_text("utf-8").replace('id = "starter-image"', f'id = "{id}"')
    (folder / "card.toml").write_text(card, "utf-8")
    return folder


def break_one(settings: Settings, how: str) -> None:
    if how == "gone":
        card = {"id": "broken", "family": "diffusion", "file": str(settings.home / "drive" / "away.safetensors")}
        write_card(put(settings, "broken", ""), card)
        return
    weights = next((copied(settings, "broken") / "unet").glob("*.safetensors"))
    if how == "pointer":
        weights.write_text(POINTER)
    elif how == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    else:
        config = settings.models / "broken" / "unet" / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "block_out_channels": ["wide"]}))


@pytest.mark.parametrize("how", ["gone", "pointer", "cut", "config"])
def test_unreadable_weights_are_told_with_their_model(
    settings: Settings, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    break_one(settings, how)
    with Studio(settings) as studio:
        installed = {one["id"]: one for one in ModelDesk(studio).state()["installed"]}
        assert installed["broken"]["fit"]["damaged"] and installed["broken"]["fit"]["sentence"].startswith("Damaged: ")
        assert installed["broken"]["removable"] and not installed["starter-image"]["fit"]["damaged"]
        device = Device(kind="cuda", name="a card", memory=8 * 2**30)
        models = studio.catalog.models()
        assert would_fit(models, "broken", "text_to_image", device) == ""
        assert "broken" not in would_fit(models, "starter-image", "text_to_image", device)
    where = ["--home", str(settings.home)]
    assert cli.main(["models", "show", "broken", *where]) == 0
    assert cli.main(["models", "fit", "--memory", "8GB", *where]) == 0
    assert "broken is damaged" in capsys.readouterr().err
    assert remove(settings, "broken").id == "broken"


def test_an_imported_checkpoint_counts_and_is_noticed_when_it_changes(settings: Settings) -> None:
    file = settings.home / "elsewhere.safetensors"
    file.write_bytes(b"\0" * 3000)
    folder = put(settings, "taken", "")
    write_card(folder, {"id": "taken", "family": "diffusion", "file": str(file)})
    assert weight_of(str(folder)) == 3000
    before = key("diffusion", str(folder))
    file.write_bytes(b"\0" * 4000)
    assert key("diffusion", str(folder)) != before and weight_of(str(folder)) == 4000
    file.unlink()
    assert weight_of(str(folder)) == 0
