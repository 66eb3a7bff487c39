"""A LoRA of a tiny MusicGen: learnt from sounds, killed and gone on with, used in takes, loaded by plain peft."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from peft import PeftModel
from transformers import AutoModelForTextToWaveform

from studio.errors import Cancelled, InvalidInput
from studio.families import family
from studio.families.audio import pipeline, train_sound_lora
from studio.families.audio.codebooks import Layout
from studio.families.audio.pipeline import SoundPipeline
from studio.families.audio.sound_set import Piece, fixed_pieces, longest_run
from studio.families.causal_lm import text_adapters
from studio.types import Input, Request
from tests.families.audio import tiny
from tests.families.causal_lm.test_train_transformer import Learner, context
from tests.families.diffusion.listener import CPU, Listener
from tests.lab.played import melody

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SMALL = {"max_train_steps": 8, "seconds": 0.6, "validation_steps": 4, "r": 4, "sample_seconds": 0.5}


def asked(**params: Any) -> Request:
    given = (Input(role="dataset", artifact="0" * 64),)
    settings = {**SMALL, "lora_alpha": 8.0, "learning_rate": 1e-2, **params}
    request = Request(task="train_sound_lora", model="tiny", prompt="tunes", seed=3, inputs=given, params=settings)
    return family("audio").validate(request)


def written_manifest(folder: Path, lengths: Sequence[float]) -> Path:
    """Melodies, the last one held out."""
    items = []
    for k, seconds in enumerate(lengths):
        soundfile.write(folder / f"{k}.flac", melody(k, seconds, 8000), 8000)
        split = "held_out" if k == len(lengths) - 1 else "train"
        caption = "two flutes" if k % 2 else ""
        items.append({"file": str(folder / f"{k}.flac"), "sha256": f"{k:064x}", "caption": caption, "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "zwx", "items": items}))
    return folder / "manifest.json"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written_manifest(tmp_path_factory.mktemp("tunes"), (2.0, 1.5, 0.4, 2.0, 3.0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.musicgen(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def taught(model: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    made = context(tmp_path_factory.mktemp("taught"), manifest)
    train_sound_lora.run(model, asked(max_train_steps=40, validation_steps=10), made)
    return made


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_it_learns_and_says_what_it_did(taught: Learner) -> None:
    card: Any = taught.metas[0]["card"]
    assert card["figures"]["held_out"]["low"] > 0.02 and "drift" in card["figures"]
    assert card["figures"]["copied_run"]["value"] >= 0 and not [a for a in card["alarms"] if "changed nothing" in a]
    judged = [row["held_out"] for row in rows(taught.kept) if "held_out" in row]
    assert len(judged) == 4 and judged[-1] < judged[0]
    told = {"adapter": True, "family": "audio", "base": "tiny", "sounds": 4, "held_out": 1, "trigger": "zwx"}
    assert told.items() <= taught.metas[0].items()
    samples = sorted(path.name for path in (taught.kept / "samples").iterdir())
    assert {"base-0.flac", "base-1.flac", "000040-0.flac", "card-0.flac", "card-3.flac"} <= set(samples)
    before, after = (soundfile.read(taught.kept / "samples" / f"{name}-0.flac")[0] for name in ("base", "card"))
    assert before.shape == after.shape == (4000,) and not np.array_equal(before, after)
    prompts = json.loads((taught.kept / "prompts.json").read_text())["prompts"]
    assert prompts == ["zwx", "slow strings", "zwx", "zwx"]


def takes(loaded: SoundPipeline, folder: Path, adapters: list[tuple[Path, float]]) -> list[np.ndarray]:
    folder.mkdir()
    request = Request(task="text_to_audio", model="tiny", prompt="zwx two flutes", seed=5, params={"seconds": 0.6})
    one = Listener(staging=folder, adapters=adapters)
    loaded.run(family("audio").validate(request), one)
    return [soundfile.read(one.outputs[k])[0] for k in sorted(one.outputs)]


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_takes_use_it_with_a_weight_and_without_it_are_as_before(model: Path, taught: Learner, tmp_path: Path) -> None:
    loaded = pipeline.load(model, CPU)
    before = takes(loaded, tmp_path / "a", [])
    adapter = taught.outputs[0]
    with_it = takes(loaded, tmp_path / "b", [(adapter, 1.0)])
    assert not same(with_it, before)
    assert same(takes(loaded, tmp_path / "c", [(adapter, 0.0)]), before)
    assert same(takes(loaded, tmp_path / "d", [(adapter, 1.0)]), with_it)
    assert same(takes(loaded, tmp_path / "e", []), before)


def test_the_takes_of_its_card_are_those_of_the_panel(model: Path, taught: Learner, tmp_path: Path) -> None:
    """The training's own way of making takes and that of the Music panel write the same codes."""
    one = Listener(staging=tmp_path, adapters=[(taught.outputs[0], 1.0)])
    given = {"seconds": 0.5, "num_return_sequences": 1, "guidance_scale": 3.0}
    request = Request(task="text_to_audio", model="tiny", prompt="zwx", seed=train_sound_lora.SEED, params=given)
    pipeline.load(model, CPU).run(family("audio").validate(request), one)
    ours, theirs = (soundfile.read(path)[0] for path in (one.outputs[0], taught.kept / "samples" / "card-0.flac"))
    assert np.allclose(ours, theirs, atol=2e-3)


@pytest.mark.parametrize("stereo", [False, True])
def test_plain_peft_loads_the_same_change(stereo: bool, manifest: Path, tmp_path: Path) -> None:
    folder = tiny.musicgen(tmp_path / "model", stereo=stereo)
    made = context(tmp_path / "run", manifest)
    train_sound_lora.run(folder, asked(max_train_steps=4), made)
    ours = AutoModelForTextToWaveform.from_pretrained(folder).eval().decoder
    text_adapters.add_to(ours, made.outputs[0], 1.0)
    text_adapters.peft_folder(made.outputs[0], tmp_path / "peft")
    plain = AutoModelForTextToWaveform.from_pretrained(folder).decoder
    theirs = PeftModel.from_pretrained(plain, tmp_path / "peft").eval()
    codes = torch.arange(8 * 5).view(8, 5)
    states = torch.randn(8 // ours.num_codebooks, 3, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        first, second = (one(input_ids=codes, encoder_hidden_states=states).logits for one in (ours, theirs))
    assert torch.allclose(first, second, atol=2e-3)


def test_a_stop_keeps_an_adapter(model: Path, manifest: Path, tmp_path: Path) -> None:
    stopped = context(tmp_path, manifest, until=6)
    with pytest.raises(Cancelled):
        train_sound_lora.run(model, asked(), stopped)
    assert stopped.metas[0]["stopped"] is True and stopped.metas[0]["best_step"] == 4
    assert text_adapters.read(stopped.outputs[0])[1]


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return text_adapters.read(path)[1]


def test_stopped_and_gone_on_with_it_ends_the_same(model: Path, manifest: Path, tmp_path: Path) -> None:
    whole, parts = context(tmp_path / "whole", manifest), context(tmp_path / "parts", manifest, until=5)
    train_sound_lora.run(model, asked(), whole)
    with pytest.raises(Cancelled):
        train_sound_lora.run(model, asked(), parts)
    train_sound_lora.run(model, asked(), again := context(tmp_path / "parts", manifest))
    a, b = weights_of(whole.outputs[0]), weights_of(again.outputs[0])
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert [row["step"] for row in rows(again.kept)] == list(range(1, 9))
    assert whole.metas[0]["card"] == again.metas[0]["card"]


KILLED = """
import sys
from pathlib import Path
from studio.families.audio import train_sound_lora
from tests.families.audio.test_sound_lora import asked
from tests.families.causal_lm.test_train_transformer import context
model, folder, manifest = map(Path, sys.argv[1:])
train_sound_lora.run(model, asked(max_train_steps=20), context(folder, manifest))
"""


def steps_done(folder: Path) -> int:
    path = folder / "run" / "metrics.jsonl"
    return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


@pytest.mark.full
def test_killed_and_gone_on_with_it_ends_the_same(model: Path, manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    train_sound_lora.run(model, asked(max_train_steps=20), whole)
    folder = tmp_path / "parts"
    command = [sys.executable, "-c", KILLED, str(model), str(folder), str(manifest)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    while process.poll() is None and steps_done(folder) < 6:
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=os.environ)
    first, second = (
        [(row["step"], row["loss"], row.get("held_out")) for row in rows(made)] for made in (whole.kept, folder / "run")
    )
    assert first == second
    a, b = (weights_of(path) for path in (whole.outputs[0], folder / "0.safetensors"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_what_cannot_be_taught_or_used_is_said(model: Path, taught: Learner, manifest: Path, tmp_path: Path) -> None:
    led = tiny.musicgen(tmp_path / "melody", melody=True)
    with pytest.raises(InvalidInput, match="cannot be taught sounds"):
        train_sound_lora.run(led, asked(), context(tmp_path / "run", manifest))
    other = pipeline.load(led, CPU)
    with pytest.raises(InvalidInput, match="takes no LoRA"):
        takes(other, tmp_path / "a", [(taught.outputs[0], 1.0)])
    assert takes(other, tmp_path / "b", [])  # and the next one works
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no LoRA")
    loaded = pipeline.load(model, CPU)
    with pytest.raises(InvalidInput, match="is not a LoRA for a model of sounds"):
        takes(loaded, tmp_path / "c", [(broken, 1.0)])
    assert takes(loaded, tmp_path / "d", [])
    gone = tmp_path / "gone.json"
    items = [{"file": str(tmp_path / "x.flac"), "sha256": "0" * 64, "caption": "", "split": "train"}]
    gone.write_text(json.dumps({"items": items}))
    with pytest.raises(InvalidInput, match=r"x\.flac of the data set is gone"):
        train_sound_lora.run(model, asked(), context(tmp_path / "run2", gone))


def test_one_that_diverges_says_so(model: Path, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="went astray"):
        train_sound_lora.run(
            model, asked(learning_rate=0.1).with_params(learning_rate=1e30), context(tmp_path, manifest)
        )


def test_nothing_learnt_is_an_alarm(model: Path, manifest: Path, tmp_path: Path) -> None:
    made = context(tmp_path, manifest)
    train_sound_lora.run(model, asked(max_train_steps=2, learning_rate=1e-7), made)
    card: Any = made.metas[0]["card"]
    assert [alarm for alarm in card["alarms"] if "changed nothing" in alarm]


def test_the_delay_pattern_there_and_back() -> None:
    layout = Layout(books=4, channels=2, start=64, most=512, rate=8000, hop=160)
    codes = torch.arange(12).view(4, 3)
    read, wanted = layout.delayed(codes)
    assert layout.delays == [0, 0, 1, 1] and layout.frame_rate == 50
    assert read.tolist() == [[64, 0, 1, 2], [64, 3, 4, 5], [64, 64, 6, 7], [64, 64, 9, 10]]
    assert wanted.tolist() == [[0, 1, 2, -100], [3, 4, 5, -100], [-100, 6, 7, 8], [-100, 9, 10, 11]]
    whole = torch.cat([read, wanted[:, -1:]], 1)[None]
    assert torch.equal(layout.aligned(whole, 3)[0], codes)


def test_a_repeated_stretch_is_measured() -> None:
    rng = np.random.default_rng(3)
    sounds = [Piece(torch.from_numpy(rng.integers(0, 64, (4, 90))), "") for _ in range(3)]
    take = torch.from_numpy(rng.integers(0, 64, (4, 60)))
    assert longest_run(take, sounds)[0] <= 4
    take[:, 10:40] = sounds[1].codes[:, 50:80]
    assert longest_run(take, sounds)[0] >= 30 and longest_run(take, sounds)[1] > 10
    assert [one.codes.shape[1] for one in fixed_pieces(sounds, 40, 50)] == [40, 40] * 3
    assert len(fixed_pieces(sounds, 40, 4)) == 4 and not fixed_pieces([], 40, 4)
