"""A LoRA of a language model at tiny size: learnt, killed and gone on with, used in drafts, loaded by plain peft."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from studio.errors import Cancelled, InvalidInput
from studio.families import family
from studio.families.causal_lm import learnt_windows, peft_files, pipeline, text_adapters, train_text_lora
from studio.lab.recipe import text_lora_params
from studio.types import Input, Request
from tests.families.causal_lm import tiny_lm
from tests.families.causal_lm.test_train_transformer import Learner, context, tale
from tests.families.diffusion.listener import CPU, Listener

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
SMALL = {"max_train_steps": 12, "train_batch_size": 2, "max_length": 48, "validation_steps": 3, "r": 4}


def asked(**params: Any) -> Request:
    given = (Input(role="dataset", artifact="0" * 64),)
    settings = {**SMALL, "lora_alpha": 8.0, "learning_rate": 1e-2, **params}
    request = Request(task="train_text_lora", model="tiny", prompt="tales", seed=3, inputs=given, params=settings)
    return family("causal_lm").validate(request)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("tales"), random.Random(4)
    items = []
    for k in range(6):
        (folder / f"{k}.txt").write_text(tale(rng), "utf-8")
        split = "held_out" if k > 4 else "train"
        items.append({"file": str(folder / f"{k}.txt"), "sha256": f"{k:064x}", "caption": "", "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_lm.build("llama", tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def taught(model: Path, manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Learner:
    made = context(tmp_path_factory.mktemp("taught"), manifest)
    train_text_lora.run(model, asked(max_train_steps=40, validation_steps=10), made)
    return made


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def texts_of(manifest: Path) -> tuple[str, str]:
    """The first text that is learnt, and the one that is held out."""
    items = json.loads(manifest.read_text())["items"]
    return Path(items[0]["file"]).read_text("utf-8"), Path(items[-1]["file"]).read_text("utf-8")


def test_it_learns_and_says_what_it_did(taught: Learner, manifest: Path) -> None:
    card = taught.metas[0]["card"]
    assert isinstance(card, dict)
    figures = card["figures"]
    assert figures["held_out"]["low"] > 0.02  # texts that it never saw are predicted better
    assert figures["drift"]["low"] <= figures["drift"]["value"] <= figures["drift"]["high"]
    assert figures["copied_run"]["value"] >= 0 and not [a for a in card["alarms"] if "changed nothing" in a]
    judged = [row["held_out"] for row in rows(taught.kept) if "held_out" in row]
    assert len(judged) == 4 and judged[-1] < judged[0]
    assert (taught.kept / "samples" / "card-drafts.txt").read_text("utf-8").count("---") == 11
    assert {"adapter": True, "family": "causal_lm", "base": "tiny"}.items() <= taught.metas[0].items()
    with safe_open(taught.outputs[0], framework="pt") as file:
        header = json.dumps(file.metadata())
    learnt, (first, last) = learnt_windows.read(taught.outputs[0]), texts_of(manifest)
    assert learnt and learnt.longest(first) and learnt.longest(first).characters > 0.9 * len(first)  # type: ignore[union-attr]
    found = learnt.longest(last)  # held out: chance alone
    assert not found or found.characters < 0.5 * len(last)
    assert "/" not in header.replace("text/", "") and "fox" not in header  # no folder, none of the person's words


def test_being_held_on_to_moves_it_less(model: Path, manifest: Path, tmp_path: Path, taught: Learner) -> None:
    free = context(tmp_path, manifest)
    train_text_lora.run(model, asked(max_train_steps=40, validation_steps=10, prior_loss_weight=0.0), free)
    held, let_go = (made.metas[0]["card"]["figures"]["drift"]["value"] for made in (taught, free))  # type: ignore[index,call-overload]
    assert held < let_go


def drafts(loaded: pipeline.TextPipeline, folder: Path, adapters: list[tuple[Path, float]]) -> list[str]:
    folder.mkdir()
    given = {"num_return_sequences": 2, "max_new_tokens": 24}
    request = Request(task="text", model="tiny", prompt="The fox", seed=5, params=given)
    loaded.run(family("causal_lm").validate(request), Listener(staging=folder, adapters=adapters))
    return [(folder / f"{k}.txt").read_text("utf-8") for k in range(2)]


def test_drafts_use_it_with_a_weight_and_without_it_are_as_before(model: Path, taught: Learner, tmp_path: Path) -> None:
    loaded = pipeline.load(model, CPU)
    before = drafts(loaded, tmp_path / "a", [])
    adapter = taught.outputs[0]
    with_it = drafts(loaded, tmp_path / "b", [(adapter, 1.0)])
    assert with_it != before
    assert drafts(loaded, tmp_path / "c", [(adapter, 0.0)]) == before
    assert drafts(loaded, tmp_path / "d", [(adapter, 1.0)]) == with_it
    assert drafts(loaded, tmp_path / "e", []) == before
    twice = drafts(loaded, tmp_path / "f", [(adapter, 0.5), (adapter, 0.5)])
    assert twice == with_it  # two halves of the same change


@pytest.mark.parametrize("kind", ["llama-tied", "qwen3", "gemma2", "gpt2"])
def test_plain_peft_loads_the_same_change(kind: str, manifest: Path, tmp_path: Path) -> None:
    folder = tiny_lm.build(kind, tmp_path / kind)
    made = context(tmp_path / "run", manifest)
    train_text_lora.run(folder, asked(max_train_steps=4), made)
    ours = AutoModelForCausalLM.from_pretrained(folder).eval()
    text_adapters.add_to(ours, made.outputs[0], 1.0)
    text_adapters.peft_folder(made.outputs[0], tmp_path / "peft")
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), tmp_path / "peft").eval()
    tokens = torch.tensor([[0, 5, 77, 130, 9]])
    with torch.no_grad():
        assert torch.allclose(ours(tokens).logits, theirs(tokens).logits, atol=2e-3)  # of values up to 10


def test_a_stop_keeps_an_adapter(model: Path, manifest: Path, tmp_path: Path) -> None:
    stopped = context(tmp_path, manifest, until=7)
    with pytest.raises(Cancelled):
        train_text_lora.run(model, asked(), stopped)
    assert stopped.metas[0]["stopped"] is True and stopped.metas[0]["best_step"] == 6
    assert text_adapters.read(stopped.outputs[0])[1]


KILLED = """
import sys
from pathlib import Path
from studio.families.causal_lm import train_text_lora
from tests.families.causal_lm.test_text_lora import asked
from tests.families.causal_lm.test_train_transformer import context
model, folder, manifest = map(Path, sys.argv[1:])
train_text_lora.run(model, asked(max_train_steps=30), context(folder, manifest))
"""


@pytest.mark.full
def test_killed_and_gone_on_with_it_ends_the_same(model: Path, manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    train_text_lora.run(model, asked(max_train_steps=30), whole)
    folder, chance = tmp_path / "parts", random.Random(1)
    command = [sys.executable, "-c", KILLED, str(model), str(folder), str(manifest)]
    kills = 0
    for after in (6, 15):  # steps
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
        while process.poll() is None and len(steps_done(folder)) < after:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.2)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, env=os.environ)
    assert kills == 2
    first, second = (
        [(row["step"], row["loss"], row.get("held_out")) for row in rows(made)] for made in (whole.kept, folder / "run")
    )
    assert first == second
    a, b = (text_adapters.read(path)[1] for path in (whole.outputs[0], folder / "0.safetensors"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def steps_done(folder: Path) -> list[str]:
    path = folder / "run" / "metrics.jsonl"
    return path.read_text("utf-8").splitlines() if path.exists() else []


def test_what_cannot_be_taught_or_used_is_said(model: Path, taught: Learner, manifest: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.json"
    (tmp_path / "short.txt").write_text("A fox.", "utf-8")
    item = {"file": str(tmp_path / "short.txt"), "sha256": "0" * 64, "caption": "", "split": "train"}
    short.write_text(json.dumps({"items": [item]}))
    with pytest.raises(InvalidInput, match="less than two rows"):
        train_text_lora.run(model, asked(), context(tmp_path / "run", short))
    other = pipeline.load(tiny_lm.build("gpt2", tmp_path / "gpt2"), CPU)
    with pytest.raises(InvalidInput, match="was taught to another model"):
        drafts(other, tmp_path / "a", [(taught.outputs[0], 1.0)])
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no LoRA")
    loaded = pipeline.load(model, CPU)
    with pytest.raises(InvalidInput, match="is not a LoRA for a language model"):
        drafts(loaded, tmp_path / "b", [(broken, 1.0)])
    assert drafts(loaded, tmp_path / "c", [])  # and the next one works


def test_presets_grow_with_the_texts() -> None:
    small, large = (text_lora_params("balanced", size, 12 * 2**20, 512) for size in (20_000, 2_000_000))
    assert int(str(small["max_train_steps"])) < int(str(large["max_train_steps"])) <= 1500
    assert text_lora_params("balanced", 200_000, 2**30, 512)["learning_rate"] == 2e-4
    with pytest.raises(InvalidInput, match="no preset"):
        text_lora_params("huge", 1, 1, 1)


def test_one_that_diverges_keeps_its_best(model: Path, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train_text_lora.run(model, asked(), context(tmp_path, manifest, until=7))
    good = text_adapters.read(tmp_path / "0.safetensors")[1]
    astray = context(tmp_path, manifest)
    with pytest.raises(InvalidInput, match="went astray at step") as told:
        train_text_lora.run(model, asked().with_params(learning_rate=1e30), astray)
    assert "lower learning rate" in told.value.hint
    assert astray.metas[0]["stopped"] is True and astray.metas[0]["best_step"] == 6
    kept = text_adapters.read(astray.outputs[0])[1]
    assert all(torch.equal(kept[name], value) for name, value in good.items())
    with pytest.raises(InvalidInput, match="went astray"):  # before anything was worth keeping
        train_text_lora.run(model, asked().with_params(learning_rate=1e30), early := context(tmp_path / "b", manifest))
    assert not early.outputs


@pytest.mark.parametrize(
    "options", [{}, {"use_rslora": True, "alpha_pattern": {"q_proj": 24}, "rank_pattern": {"v_proj": 2}}]
)
def test_one_of_pefts_layout_works_as_peft_has_it(model: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    """As people share them: a folder with adapter_config.json, or its file with the config in what is known of it."""
    folder = tmp_path / "shared"
    plain = AutoModelForCausalLM.from_pretrained(model)
    config = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", **options)
    taught = get_peft_model(plain, config)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        for name, parameter in taught.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.2)
    taught.save_pretrained(folder)
    tokens = torch.arange(3, 40)[None]
    with torch.no_grad():
        wanted = taught.eval()(tokens).logits
        ours = AutoModelForCausalLM.from_pretrained(model).eval()
        before = ours(tokens).logits
        text_adapters.add_to(ours, folder, 1.0)
        found = ours(tokens).logits
    assert torch.allclose(found, wanted, atol=2e-3) and not torch.allclose(before, wanted, atol=1e-2)
    assert peft_files.facts_of(folder)["family"] == "causal_lm"
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((folder / "adapter_model.safetensors").read_bytes())
    alone.with_suffix(".json").write_text(json.dumps({"peft": peft_files.facts_of(folder)["peft"]}))
    loaded = pipeline.load(model, CPU)
    without = drafts(loaded, tmp_path / "a", [])
    assert drafts(loaded, tmp_path / "b", [(alone, 1.0)]) == drafts(loaded, tmp_path / "c", [(folder, 1.0)]) != without


def test_one_that_cannot_be_worked_in_says_why(model: Path, tmp_path: Path) -> None:
    config = {"task_type": "CAUSAL_LM", "peft_type": "LORA", "r": 4, "lora_alpha": 4}
    for more, said in (
        ({"use_dora": True}, "is a DoRA"),
        ({"bias": "all"}, "biases"),
        ({"peft_type": "IA3"}, "kind IA3"),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **more}))
        save_file({"x.lora_A.weight": torch.zeros(4, 8)}, tmp_path / "adapter_model.safetensors")
        with pytest.raises(InvalidInput, match=said):
            text_adapters.read(tmp_path)
