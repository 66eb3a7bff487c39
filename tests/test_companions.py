"""What works beside models: told with what it works with and how much room it takes, removed like a model."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from studio.companions import UNUSED, companions
from studio.errors import InvalidInput, NotFound
from studio.hub.installed import remove
from studio.settings import ASSETS, Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home with one companion of every kind, as downloads and people leave them."""
    settings = Settings(home=tmp_path)
    models, adapters, embeddings = settings.models, tmp_path / "adapters", tmp_path / "embeddings"
    net = models / "my-scribble"
    net.mkdir(parents=True)
    (net / "config.json").write_bytes((ASSETS / "models" / "starter-sketch" / "config.json").read_bytes())
    (net / "card.toml").write_text('[hub]\nrepo = "makers/scribble"\n', "utf-8")
    save_file({"weight": torch.zeros(1000)}, net / "diffusion_pytorch_model.safetensors")
    pictures = models / "h94"
    (pictures / "models" / "image_encoder").mkdir(parents=True)
    (pictures / "models" / "image_encoder" / "config.json").write_text("{}", "utf-8")
    for name in ("ip-adapter_sd15", "ip-adapter-plus_sd15"):
        save_file({"ip_adapter.1.to_k_ip.weight": torch.zeros(4, 256)}, pictures / "models" / f"{name}.safetensors")
    small = models / "taesd"
    small.mkdir()
    (small / "config.json").write_text(json.dumps({"_class_name": "AutoencoderTiny", "latent_channels": 16}), "utf-8")
    (small / "card.toml").write_text('base = "starter-image"\n', "utf-8")
    save_file({"weight": torch.zeros(10)}, small / "model.safetensors")
    (models / "later").mkdir()
    (models / "later" / "config.json").write_text('{"model_type": "of the future"}', "utf-8")
    for folder, name in ((adapters, "ink"), (embeddings, "mood")):
        folder.mkdir()
        save_file({"weight": torch.zeros(10)}, folder / f"{name}.safetensors")
    (adapters / "ink.json").write_text(json.dumps({"base": "starter-image", "trigger": "inky"}), "utf-8")
    return settings


def test_every_kind_is_told_with_what_it_works_with(home: Settings) -> None:
    found = {one.id: one for one in companions(home)}
    kinds = {id: (one.kind, one.beside) for id, one in found.items()}
    with_starter = ("starter-image",)
    assert kinds == {
        "starter-sketch": ("ControlNet", with_starter),
        "my-scribble": ("ControlNet", with_starter),
        "h94": ("IP-Adapter", with_starter),
        "taesd": ("preview", with_starter),
        "later": (UNUSED, ()),
        "ink": ("LoRA", with_starter),
        "mood": ("embedding", ()),
    }
    assert found["my-scribble"].size > 4000 and found["my-scribble"].repo == "makers/scribble"
    assert found["ink"].to_dict()["trigger"] == "inky" and found["starter-sketch"].source == "starter"


@pytest.mark.parametrize("id", ["my-scribble", "h94", "taesd", "later", "ink", "mood"])
def test_one_of_the_home_is_removed_and_the_others_stay(home: Settings, id: str) -> None:
    before = {one.id: one for one in companions(home)}
    room = before[id].size
    gone = remove(home, id)
    assert gone.kind == before[id].kind.lower() and gone.freed == room
    assert not before[id].path.exists() and {one.id for one in companions(home)} == set(before) - {id}
    with pytest.raises(NotFound):
        remove(home, id)


def test_one_of_the_program_stays(home: Settings) -> None:
    with pytest.raises(InvalidInput, match="comes with the program"):
        remove(home, "starter-sketch")
