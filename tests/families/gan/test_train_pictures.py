"""VAE and GAN from nothing at tiny size: they learn, go on after a stop with the same result, end in time, and what
they leave draws again from seeds.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from studio.errors import Cancelled, InvalidInput
from studio.families import family
from studio.families.diffusion.starter_judge import JUDGE, load_judge
from studio.families.family import MODEL
from studio.families.gan import train_gan, train_vae
from studio.families.gan.augment import augmented, coloured, covered, moved
from studio.families.gan.drawn import as_planes, drawings, over_grey
from studio.families.gan.one_pass import Latents
from studio.families.gan.pipeline import load
from studio.families.training import from_scratch
from studio.families.training.picture_set import classes_of, numbers_of
from studio.families.training.scratch_figures import compared, features
from studio.settings import ASSETS
from studio.types import Input, Request
from tests.families.diffusion.listener import CPU, Listener

RUNS = {"train_vae": train_vae.run, "train_gan": train_gan.run}
COLOURS = {"a red disc": "red", "a blue disc": "blue"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 discs of two colours at different places, four of them held out."""
    folder, items = tmp_path_factory.mktemp("discs"), []
    for k in range(24):
        caption = list(COLOURS)[k % 2]
        picture, (x, y) = Image.new("RGB", (48, 40), "white"), (8 + k, 6 + k // 2)
        ImageDraw.Draw(picture).ellipse((x, y, x + 14, y + 14), fill=COLOURS[caption])
        picture.save(folder / f"{k}.png")
        split = "held_out" if k % 6 == 5 else "train"
        items.append({"file": str(folder / f"{k}.png"), "sha256": f"{k:064x}", "caption": caption, "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "", "items": items}))
    return folder / "manifest.json"


class Learner(Listener):
    """A context that presses Stop after `until` steps."""

    kept: Path
    until: int | None = None

    def progress(self, step: int, steps: int, message: str = "") -> None:
        super().progress(step, steps, message)
        if self.until is not None and message == "Learning" and step >= self.until:
            self.stop_at = 0


def context(folder: Path, manifest: Path, until: int | None = None) -> Learner:
    folder.mkdir(parents=True, exist_ok=True)
    made = Learner(staging=folder, inputs={"dataset": [manifest]})
    made.kept, made.until = folder / "run", until
    return made


def asked(task: str, **params: Any) -> Request:
    small = {"seconds": 600, "max_train_steps": 10, "resolution": "32", "train_batch_size": 4, "base_channels": 8}
    given = (Input(role="dataset", artifact="0" * 64),)
    return family("gan").validate(
        Request(task=task, model="", prompt="discs", seed=3, inputs=given, params={**small, **params})
    )


def rows_of(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.mark.parametrize("task", RUNS)
def test_what_was_learnt_draws_from_seeds(task: str, manifest: Path, tmp_path: Path) -> None:
    heard = context(tmp_path, manifest)
    RUNS[task](Path(), asked(task), heard)
    card = json.loads(heard.outputs[0].read_text())
    assert heard.metas[0]["model"] is True and heard.metas[0]["name"] == "discs"
    assert set(card["figures"]) >= {"kid", "kid_floor", "diversity", "recall", "copying", "pictures_a_second"}
    assert all(figure["means"].endswith(".") for figure in card["figures"].values())
    assert card["trained"]["steps"] == 10 and card["trained"]["held_out"] == 4
    assert card["knows"]["kinds"] == ["a blue disc", "a red disc"]
    rows = rows_of(tmp_path)
    assert [row["step"] for row in rows] == list(range(1, 11)) and "held_out" in rows[-1]
    assert len(list((tmp_path / "run" / "samples").glob("*-0.webp"))) >= 5 and heard.previews
    pipeline = load(tmp_path / "run" / MODEL, CPU)

    def drawn(name: str, **params: Any) -> list[np.ndarray]:
        told = context(tmp_path / name, manifest)
        request = family("gan").validate(Request(task="explore", model="x", seed=4, params=params))
        pipeline.run(request.replace(seed=request.seed + int(name == "alone")), told)
        return [np.asarray(picture) for picture in told.pictures()]

    together = drawn("together", num_images_per_prompt=3, label="A Red Disc")
    alone = drawn("alone", num_images_per_prompt=1, label="a red disc")
    assert together[0].shape == (32, 32, 3) and np.array_equal(together[1], alone[0])
    with pytest.raises(InvalidInput, match="Did you mean 'a red disc'"):
        drawn("unknown", label="a red dish")
    with pytest.raises(InvalidInput) as caught:
        drawn("far", label="dragon")
    assert caught.value.hint.startswith("It knows: ") and "a red disc" in caught.value.hint


@pytest.mark.parametrize("task", RUNS)
def test_a_stopped_run_goes_on_as_if_nothing_had_been(task: str, manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    RUNS[task](Path(), asked(task), whole)
    for until in (3, 7, None):
        parts = context(tmp_path / "parts", manifest, until)
        if until is None:
            RUNS[task](Path(), asked(task), parts)
        else:
            with pytest.raises(Cancelled):
                RUNS[task](Path(), asked(task), parts)
            stopped = json.loads(parts.outputs[0].read_text())  # Stop keeps what is there as a model
            assert stopped["stopped"] is True and (tmp_path / "parts" / "run" / MODEL / "card.toml").is_file()
    for file in ("generator.safetensors", "latents.safetensors"):
        one, other = (load_file(tmp_path / name / "run" / MODEL / file) for name in ("whole", "parts"))
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert rows_of(tmp_path / "whole") == rows_of(tmp_path / "parts")


def test_it_learns_and_ends_with_its_time(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_scratch, "MEASURED", 4)
    heard = context(tmp_path, manifest)
    request = asked("train_vae", seconds=8, max_train_steps=100_000, train_batch_size=8)
    train_vae.run(Path(), request, heard)
    card = json.loads(heard.outputs[0].read_text())
    assert 4 < card["trained"]["seconds"] < 90  # a step and a look may run over, on a busy machine far
    planned = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert planned["vae"] == card["trained"]["steps"]
    rows = rows_of(tmp_path)
    assert rows[-1]["held_out"] < 0.9 * rows[0]["loss"]


def test_a_loss_that_is_no_number_is_said(manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_vae.VaeLearner, "learn", lambda self, stage, k, steps: {"loss": float("nan")})
    with pytest.raises(InvalidInput, match="went astray at step 1"):
        train_vae.run(Path(), asked("train_vae"), context(tmp_path, manifest))


def test_captions_are_kinds_only_where_they_come_back() -> None:
    assert classes_of(["cat"] * 9 + ["dog"] * 8) == ("cat", "dog")
    assert classes_of(["cat"] * 20) == ("",) and classes_of([f"cat {k}" for k in range(30)]) == ("",)
    assert list(numbers_of(["dog", "cat", "else"], ("cat", "dog"))) == [1, 0, 0]


def test_latents_are_placed_where_real_ones_lie() -> None:
    chance = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 3, generator=chance) @ torch.tensor([[2.0, 0, 0], [1, 0.5, 0], [0, 0, 0.1]]) + 5
    fitted = Latents.fitted(rows, torch.zeros(4000, dtype=torch.long), 1)
    made = fitted.place(torch.randn(4000, 3, generator=chance), torch.zeros(4000, dtype=torch.long))
    assert torch.allclose(made.mean(0), rows.mean(0), atol=0.15) and torch.allclose(
        made.T.cov(), rows.T.cov(), atol=0.3
    )


def test_augmentation_changes_pictures_and_lets_gradients_through() -> None:
    pictures = torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16).requires_grad_()
    shown = augmented(pictures, torch.Generator().manual_seed(1))
    shown.sum().backward()
    assert shown.shape == pictures.shape and pictures.grad is not None and pictures.grad.abs().sum() > 0
    again = augmented(pictures, torch.Generator().manual_seed(1))
    assert torch.equal(shown, again)
    ones, chance = torch.ones(64, 3, 16, 16), torch.Generator().manual_seed(2)
    assert 0.7 < float(covered(ones, chance).mean()) < 0.95
    assert 0.8 < float(moved(ones, chance).mean()) < 1.0
    assert abs(float(coloured(torch.zeros(64, 3, 8, 8), chance).mean())) < 0.15


def test_figures_tell_alike_from_copied_and_collapsed() -> None:
    chance = np.random.default_rng(0)
    train, aims, made = (chance.normal(size=(200, 16)) for _ in range(3))
    good = compared(made, train, aims, held_out=True)
    assert good["kid"]["value"] < 0.1 and good["recall"]["value"] > 0.8 and good["copying"]["value"] == 0
    by_heart = compared(train[:100] + 0.01, train, aims, held_out=True)
    assert by_heart["copying"]["value"] == 1
    same = compared(np.repeat(made[:1], 100, 0) + 0.01 * made[:100], train, aims, held_out=True)
    assert same["diversity"]["value"] < 0.2 and same["kid"]["value"] > good["kid"]["high"]


def test_soft_pictures_are_nearer_to_real_ones_than_coloured_noise() -> None:
    real, more = (over_grey(as_planes(drawings([seed], 0, 64, 64))) for seed in (1, 2))
    chance = np.random.default_rng(0)
    spots = chance.integers(0, 255, (64, 8, 8, 3), dtype=np.uint8)

    def enlarged(small: np.ndarray) -> np.ndarray:
        return np.stack([np.asarray(Image.fromarray(one).resize((64, 64), Image.Resampling.BICUBIC)) for one in small])

    soft = enlarged(more.reshape(64, 16, 4, 16, 4, 3).mean((2, 4)).astype(np.uint8))
    judge = load_judge(ASSETS / "models" / "starter-image" / JUDGE)
    seen = features(judge, real, {"more": more, "soft": soft, "noise": enlarged(spots)})
    told = {name: compared(rows, seen["train"], seen["more"], held_out=True) for name, rows in seen.items()}
    far = [told[name]["kid"]["value"] for name in ("train", "soft", "noise")]
    assert far == sorted(far) and far[2] > 1.5 * far[1]
