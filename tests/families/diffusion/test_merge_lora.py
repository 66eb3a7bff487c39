"""A merged model is a folder that plain diffusers loads, and makes the pictures of the base with its adapters."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors import safe_open

from studio.errors import InvalidInput
from studio.families.diffusion import FAMILY
from studio.families.diffusion.merge_lora import run, stored_dtype
from studio.types import Adapter, Input, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.lessons import adapter_of, context, picture


def merge(folder: Path, place: Path, *adapters: tuple[Path, float]) -> Path:
    heard = context(place, folder)
    heard.adapters = adapters
    request = Request(
        task="merge_lora",
        model="tiny",
        prompt="foxes inside",
        adapters=tuple(Adapter(id=path.stem, weight=weight) for path, weight in adapters),
        inputs=(Input(role="adapter", artifact="a" * 64),),
    )
    run(folder, FAMILY.validate(request), heard)
    assert heard.metas[0]["model"] is True and heard.metas[0]["name"] == "foxes inside"
    return place / "run" / "model"


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(max(float(np.mean((a - b) ** 2)), 1e-12)))


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
@pytest.mark.parametrize("kind", ["sd", "sdxl", "flux"])
def test_the_merged_model_makes_the_same_pictures(kind: str, tmp_path: Path) -> None:
    base = tiny.build(kind, tmp_path / "base")
    (base / "card.toml").write_text('id = "tiny"\nname = "Tiny"\nfamily = "diffusion"\n[figures]\nkid = 0.1\n')
    one, two = (adapter_of(base, tmp_path / f"{name}.safetensors", seed) for seed, name in enumerate(("one", "two")))
    merged = merge(base, tmp_path / "made", (one, 0.8), (two, -0.5))
    pipe: Any = DiffusionPipeline.from_pretrained(base)
    before = picture(pipe)
    for file in (one, two):
        pipe.load_lora_weights(file.parent, weight_name=file.name, adapter_name=file.stem)
    pipe.set_adapters(["one", "two"], [0.8, -0.5])
    wanted, found = picture(pipe), picture(DiffusionPipeline.from_pretrained(merged))
    assert decibels(wanted, before) < 35 < 60 < decibels(wanted, found)
    card = tomllib.loads((merged / "card.toml").read_text())
    assert card["merged"] == {"base": "tiny", "adapters": ["one:0.8", "two:-0.5"], "adapters_sha256": ["a" * 64]}
    assert card["name"] == "foxes inside" and "figures" not in card


def test_a_model_in_half_precision_stays_one_and_what_is_not_changed_is_copied(tmp_path: Path) -> None:
    base = tiny.build("sd", tmp_path / "base")
    pipe: Any = DiffusionPipeline.from_pretrained(base, dtype=torch.bfloat16)
    pipe.save_pretrained(base)
    one = adapter_of(base, tmp_path / "one.safetensors")
    merged = merge(base, tmp_path / "made", (one, 1.0))
    assert stored_dtype(merged) == "bfloat16"
    names = sorted(p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file())
    assert sorted(p.relative_to(merged).as_posix() for p in merged.rglob("*") if p.is_file()) == sorted(
        [*names, "card.toml"]
    )
    changed = [name for name in names if (base / name).read_bytes() != (merged / name).read_bytes()]
    assert changed == ["unet/diffusion_pytorch_model.safetensors"]
    with safe_open(merged / changed[0], "pt") as opened:
        assert not any("lora" in name for name in opened.keys())


def test_nothing_to_work_in_is_said(tmp_path: Path) -> None:
    base = tiny.build("sd", tmp_path / "base")
    with pytest.raises(InvalidInput, match="no LoRA to work in"):
        merge(base, tmp_path / "made")
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="is not a LoRA for this model"):
        merge(base, tmp_path / "made", (tmp_path / "other.safetensors", 1.0))
    assert not (tmp_path / "made" / "run" / "model").exists()
