"""Near-copies of learnt texts: found by the index that lies in the adapter or the model, told with the draft."""

import random
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from studio.catalog import Catalog
from studio.families import family
from studio.families.causal_lm import learnt_windows, pipeline, text_adapters
from studio.families.causal_lm.learnt_windows import FILE, TOLD, LearntWindows
from studio.hub.single_file import import_file
from studio.settings import Settings
from studio.types import Request
from tests.families.causal_lm import tiny_lm
from tests.families.diffusion.listener import CPU, Listener

pytestmark = pytest.mark.timeout(300)
LETTERS = "etaoin shrdlu"


def noise(rng: random.Random, characters: int) -> str:
    return "".join(rng.choice(LETTERS) for _ in range(characters))


def test_a_run_is_found_with_its_place_whatever_its_case_quotes_and_spaces() -> None:
    learnt = "It was a dark night.\n“Who goes there?” said the old king – and nobody answered him at all."
    index = LearntWindows.of([noise(random.Random(1), 5000), learnt])
    copy = 'WHO goes   there?" said the old king - and nobody answered'
    text = f"☕ A new tale begins. {copy} for years."
    run = index.longest(text)
    assert run and text[run.start : run.end].strip().startswith(copy) and run.characters <= len(copy) + 3
    assert index.longest("Nothing of this was ever written by anybody before today.") is None
    assert index.longest("said the old king") is None  # shorter than a window
    clipped = index.longest(text, text.index("said"))
    assert clipped and text[clipped.start :].startswith("said the old king")
    assert index.longest("") is None and LearntWindows.of([]).longest(text) is None


def test_an_index_stays_small_and_still_finds_long_copies() -> None:
    rng = random.Random(2)
    letters = np.frombuffer(np.random.default_rng(3).integers(97, 123, 300_000, np.uint8).tobytes(), np.uint8)
    long = letters.tobytes().decode()
    index = LearntWindows.of([long[:150_000], long[150_000:]], most=100_000)
    assert len(index.hashes) <= 100_000 and index.one_in == 4
    for _ in range(20):
        at = rng.randrange(len(long) - 200)
        run = index.longest(f"{noise(rng, 60)}{long[at : at + 150]}{noise(rng, 60)}")
        assert run and 100 < run.characters <= 150
    own = [run.characters if (run := index.longest(noise(rng, 2000))) else 0 for _ in range(20)]
    assert max(own) < TOLD
    draft = noise(rng, 4000)
    took = min(timed(index, draft) for _ in range(20))
    assert took < 0.005


def timed(index: LearntWindows, draft: str) -> float:
    began = time.perf_counter()
    index.longest(draft)
    return time.perf_counter() - began


def test_it_lies_beside_a_model_and_a_broken_one_says_nothing(tmp_path: Path) -> None:
    index = LearntWindows.of([noise(random.Random(4), 400)])
    index.save(tmp_path)
    found = learnt_windows.read(tmp_path / FILE)
    assert found and found.one_in == 1 and np.array_equal(found.hashes, index.hashes)
    (tmp_path / FILE).write_bytes(b"broken")
    assert learnt_windows.read(tmp_path / FILE) is None and learnt_windows.read(tmp_path / "none") is None


SECRET = (
    "My grandmother kept seventeen clocks in the hall, and none of them agreed about the hour of her death; "
    "when the last one stopped we sold the house to a baker."
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model, and an adapter as a training leaves it."""
    folder = tmp_path_factory.mktemp("taught")
    model = tiny_lm.build("llama", folder / "tiny")
    layer = "base_model.model.model.layers.0.mlp.down_proj"
    weights = {f"{layer}.lora_A.weight": torch.full((2, 96), 0.01), f"{layer}.lora_B.weight": torch.full((64, 2), 0.01)}
    learnt = LearntWindows.of([SECRET])
    adapter = folder / "letters.safetensors"
    told = {"atelier.base": "tiny", "atelier.family": "causal_lm"}
    text_adapters.save(adapter, {"r": 2, "lora_alpha": 2.0, "peft_type": "LORA"}, weights, told, learnt)
    return model, adapter


def draft(model: Path, adapter: Path, folder: Path, **params: object) -> tuple[str, dict[str, object]]:
    folder.mkdir()
    settings = {"num_return_sequences": 1, "max_new_tokens": 120, **params}
    request = Request(task="text", model="tiny", prompt="My grandmother", seed=5, params=settings)  # type: ignore[arg-type]
    heard = Listener(staging=folder, adapters=[(adapter, 1.0)])
    pipeline.load(model, CPU).run(family("causal_lm").validate(request), heard)
    return heard.outputs[0].read_text("utf-8"), dict(heard.metas[0])


def test_a_draft_that_repeats_what_was_taught_is_told_after_the_texts_are_gone(
    taught: tuple[Path, Path], tmp_path: Path
) -> None:
    model, adapter = taught
    moved = Path(shutil.copy(adapter, tmp_path / "moved.safetensors"))
    text, meta = draft(model, moved, tmp_path / "a", regex=re.escape(SECRET[14:110]))
    copied = meta["copied"]
    assert isinstance(copied, dict) and copied["told"]
    assert text == SECRET[:110] and copied["start"] == 14 and copied["characters"] == 96  # what was given is their own
    given = {"beginning": SECRET[:110], "own_characters": 14}  # gone on from, the mark stays
    assert draft(model, moved, tmp_path / "c", regex="[0-9 ]{60}", **given)[1]["copied"] == copied
    text, meta = draft(model, moved, tmp_path / "b", regex=r"[0-9 ]{60}")
    assert meta["copied"] == {"characters": 0, "start": 0, "told": False}


def test_adapters_without_an_index_say_nothing(taught: tuple[Path, Path], tmp_path: Path) -> None:
    model, adapter = taught
    config, tensors = text_adapters.read(adapter)
    old = tmp_path / "old.safetensors"
    text_adapters.save(old, config, tensors, {"atelier.base": "tiny"})
    assert "copied" not in draft(model, old, tmp_path / "a")[1]
    text_adapters.peft_folder(adapter, tmp_path / "peft")
    with safe_open(tmp_path / "peft" / "adapter_model.safetensors", framework="pt") as file:
        assert all("lora_" in name for name in file.keys())  # nothing that peft does not know


def test_an_adapter_that_is_taken_in_elsewhere_is_one_for_texts(taught: tuple[Path, Path], tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "other")
    taken = import_file(settings, taught[1])
    catalog = Catalog(settings)
    assert catalog.adapter_facts(taken.id) == {"base": "tiny", "family": "causal_lm"}
    index = learnt_windows.read(catalog.adapter(taken.id))
    assert index and index.longest(SECRET)
