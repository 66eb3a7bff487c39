"""Trainings from nothing when memory runs out: the allocator itself refuses, and they go on with half the batch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, ImageDraw

from studio.engine.exits import explain_error
from studio.errors import Cancelled
from studio.families import family
from studio.families.causal_lm import train_transformer
from studio.families.diffusion import train_diffusion
from studio.families.family import MODEL, Context
from studio.families.gan import train_gan, train_vae
from studio.families.training.run_folder import RunFolder
from studio.types import Input, Request
from tests.families.diffusion.listener import Listener

pytestmark = pytest.mark.timeout(300)
PICTURES = {"resolution": "32", "base_channels": 8}
TEXTS = {"hidden_size": 32, "num_hidden_layers": 1, "max_position_embeddings": 48}
KINDS: dict[str, tuple[str, Any, Callable[[Path, Request, Context], None], dict[str, Any]]] = {
    "train_vae": ("gan", train_vae.VaeLearner, train_vae.run, PICTURES),
    "train_gan": ("gan", train_gan.GanLearner, train_gan.run, PICTURES),
    "train_diffusion": ("diffusion", train_diffusion.DiffusionLearner, train_diffusion.run, PICTURES),
    "train_transformer": ("causal_lm", train_transformer.TextLearner, train_transformer.run, TEXTS),
}


class Learner(Listener):
    kept: Path


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Ten discs, and ten texts (True)."""
    folder = tmp_path_factory.mktemp("set")
    found = {}
    for texts in (False, True):
        items = []
        for k in range(10):
            file = folder / f"{k}{'.txt' if texts else '.png'}"
            if texts:
                file.write_text("\n".join(f"The owl {k * n % 7} sang of the sea {n}." for n in range(40)), "utf-8")
            else:
                picture = Image.new("RGB", (40, 40), "white")
                ImageDraw.Draw(picture).ellipse((2 * k, k, 2 * k + 16, k + 16), fill=("red", "blue")[k % 2])
                picture.save(file)
            split = "held_out" if k > 7 else "train"
            items.append({"file": str(file), "sha256": f"{k:064x}", "caption": "a disc", "split": split})
        found[texts] = folder / f"{texts}.json"
        found[texts].write_text(json.dumps({"trigger": "", "items": items}))
    return found


def asked(task: str, **params: Any) -> Request:
    name, _, _, small = KINDS[task]
    given = (Input(role="dataset", artifact="0" * 64),)
    whole = {"seconds": 600, "max_train_steps": 6, "train_batch_size": 8, **small, **params}
    return family(name).validate(Request(task=task, model="", prompt="x", seed=3, inputs=given, params=whole))


def context(folder: Path, manifest: Path) -> Learner:
    folder.mkdir(parents=True, exist_ok=True)
    made = Learner(staging=folder, inputs={"dataset": [manifest]})
    made.kept = folder / "run"
    return made


@pytest.fixture
def holds(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Lets the memory hold a step with so many things, and no more: more asks the allocator for four million GB."""

    def limit(task: str, most: int) -> None:
        learner = KINDS[task][1]
        learn = learner.learn

        def short(self: Any, stage: str, k: int, steps: int) -> Any:
            if self.batch > most:
                torch.empty(2**52, dtype=torch.uint8)
            return learn(self, stage, k, steps)

        monkeypatch.setattr(learner, "learn", short)

    return limit


@pytest.mark.parametrize(
    "task",
    [pytest.param(task, marks=pytest.mark.full if task == "train_diffusion" else ()) for task in KINDS],
)
def test_it_goes_on_with_a_smaller_batch_and_remembers_it(
    task: str, manifests: dict[bool, Path], tmp_path: Path, holds: Callable[[str, int], None]
) -> None:
    run, manifest = KINDS[task][2], manifests[task == "train_transformer"]
    holds(task, 2)
    heard = context(tmp_path, manifest)
    run(Path(), asked(task), heard)
    assert [text for text in heard.warnings if "Memory was short" in text] == [
        "Memory was short: 4 at once now, so it learns less from every step.",
        "Memory was short: 2 at once now, so it learns less from every step.",
    ]
    card = json.loads(heard.outputs[0].read_text())
    assert card["trained"]["steps"] == 6 and (tmp_path / "run" / MODEL / "card.toml").is_file()
    kept = RunFolder(tmp_path / "run").load("checkpoint.pt")
    assert kept and kept["journey"]["batch"] == 2
    again = context(tmp_path, manifest)
    run(Path(), asked(task), again)  # a run that goes on need not find it out anew
    assert not any("Memory was short" in text for text in again.warnings)


def test_memory_that_is_short_to_the_end_is_one_sentence(
    manifests: dict[bool, Path], tmp_path: Path, holds: Callable[[str, int], None]
) -> None:
    holds("train_vae", 1)
    with pytest.raises(RuntimeError) as told:
        train_vae.run(Path(), asked("train_vae"), context(tmp_path, manifests[False]))
    assert not isinstance(told.value, Cancelled)
    assert explain_error(told.value).leave and "does not fit" in explain_error(told.value).error


def test_a_step_that_failed_half_way_leaves_nothing_behind(
    manifests: dict[bool, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, failed = train_gan.generator_loss, []

    def short(*given: Any) -> Any:
        if not failed:  # the critic has learnt from this step already, and is switched off
            failed.append(True)
            torch.empty(2**52, dtype=torch.uint8)
        return loss(*given)

    monkeypatch.setattr(train_gan, "generator_loss", short)
    heard = context(tmp_path, manifests[False])
    train_gan.run(Path(), asked("train_gan"), heard)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert failed and [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6] and "critic" in rows[-1]
    assert sum("Memory was short" in text for text in heard.warnings) == 1
