"""Fine-tuning on the real classes at tiny size: it learns, goes on after a stop with the same result, and its file
is what plain diffusers reads.
"""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from studio.errors import Cancelled, InvalidInput
from studio.families.diffusion import lora_card, lora_files
from studio.families.diffusion.lora_data import small
from studio.families.diffusion.lora_memorised import memorised
from studio.families.diffusion.train_lora import Training, run
from tests.families.diffusion import tiny
from tests.families.diffusion.lessons import Learner, asked, context, drawn_manifest

KINDS = ("sd", "sdxl", "sd3", "flux")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny.build(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn_manifest(tmp_path_factory.mktemp("set"))


def adapter(heard: Learner) -> dict[str, torch.Tensor]:
    return load_file(heard.outputs[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_learnt_is_what_plain_diffusers_loads(
    kind: str, models: dict[str, Path], manifest: Path, tmp_path: Path
) -> None:
    heard = context(tmp_path, manifest)
    run(models[kind], asked(), heard)
    weights = adapter(heard)
    assert any(value.abs().max() > 0 for name, value in weights.items() if "lora_B" in name)
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert set(card["figures"]) == {"likeness", "held_out", "drift", "diversity", "copying", "memorised"}
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4] and "held_out" in rows[1] and "held_out" not in rows[0]
    assert sorted(p.name for p in (tmp_path / "run" / "samples").glob("*-0.webp")) == [
        "000002-0.webp",
        "000004-0.webp",
        "base-0.webp",
    ]
    absent = {"text_encoder_3": None, "tokenizer_3": None} if kind == "sd3" else {}
    plain = DiffusionPipeline.from_pretrained(models[kind], **absent)
    plain.set_progress_bar_config(disable=True)

    def picture(pipe: Any) -> np.ndarray:
        noise = torch.Generator().manual_seed(5)
        made = pipe(prompt="sks a ball", width=64, height=64, num_inference_steps=2, generator=noise, output_type="np")
        return made.images[0]

    before = picture(plain)
    plain.load_lora_weights(tmp_path, weight_name=heard.outputs[0].name)
    after = picture(plain)
    assert np.abs(after - before).max() > 1e-3
    ours = Training(models[kind], asked(max_train_steps=5), context(tmp_path / "again", manifest))
    lora_files.put(ours.denoiser, {name.partition(".")[2]: value for name, value in weights.items()})
    assert np.allclose(picture(ours.pipe), after, atol=2e-3)  # the alpha in the file's header counts, too


def test_a_stopped_run_goes_on_as_if_nothing_had_been(models: dict[str, Path], manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    run(models["sd"], asked(max_train_steps=6), whole)
    for until in (1, 3, None):
        parts = context(tmp_path / "parts", manifest, until)
        if until is None:
            run(models["sd"], asked(max_train_steps=6), parts)
        else:
            with pytest.raises(Cancelled):
                run(models["sd"], asked(max_train_steps=6), parts)
            assert 0 in parts.outputs  # Stop keeps the best so far
    for name, value in adapter(whole).items():
        assert torch.equal(value, adapter(parts)[name]), name

    def curve(name: str) -> list[dict[str, Any]]:
        lines = (tmp_path / name / "run" / "metrics.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]

    assert curve("whole") == curve("parts")


def test_it_stops_when_held_out_pictures_get_worse(
    models: dict[str, Path], manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "held_out_loss", lambda self: 1 + abs(self.state.step - 4) / 10)
    heard = context(tmp_path, manifest)
    run(models["sd"], asked(max_train_steps=100), heard)
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 4 + 4 * 2 and any("since step 4" in text for text in heard.warnings)
    assert heard.metas[0]["best_step"] == 4


def test_short_memory_is_spared_before_it_is_refused(
    models: dict[str, Path], manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Training.learn

    def short(self: Training, step: int) -> float:
        if self.batch > 1:
            raise RuntimeError("out of memory")
        return learn(self, step)

    monkeypatch.setattr(Training, "learn", short)
    heard = context(tmp_path, manifest)
    run(models["sd"], asked(), heard)
    assert heard.outputs and any("Memory was short" in text for text in heard.warnings)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three lying pictures, two squares, an upright one that is held out, with two captions."""
    folder = tmp_path_factory.mktemp("shapes")
    items = []
    for k, size in enumerate([(170, 100), (200, 120), (160, 100), (100, 100), (128, 120), (100, 160)]):
        picture = Image.new("RGB", size, (30 * k, 90, 200))
        ImageDraw.Draw(picture).ellipse((10, 10 + k, 60, 60), fill="gold")
        picture.save(folder / f"{k}.png")
        split, caption = "held_out" if k == 5 else "train", "a ball" if k % 2 else "a gold ball"
        items.append({"file": str(folder / f"{k}.png"), "sha256": f"{k:064x}", "caption": caption, "split": split})
    (folder / "manifest.json").write_text(json.dumps({"trigger": "sks", "items": items}))
    return folder / "manifest.json"


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_pictures_keep_their_shapes(kind: str, models: dict[str, Path], shapes: Path, tmp_path: Path) -> None:
    training = Training(models[kind], asked(resolution=128), context(tmp_path / "looked", shapes))
    assert [example.size for example in training.lessons.train] == [(160, 96)] * 3 + [(128, 128)] * 2
    scale = 160 // training.lessons.train[0].mean.shape[-1]
    assert training.lessons.held_out[0].mean.shape[2:] == (160 // scale, 96 // scale)
    chosen = [training.drawn(2, training.chance(step, 0)) for step in range(40)]
    assert all(len({example.size for example in batch}) == 1 for batch in chosen)
    wide = sum(batch[0].size == (160, 96) for batch in chosen)
    assert 16 <= wide <= 32  # three of five
    heard = context(tmp_path / "buckets", shapes)
    run(models[kind], asked(resolution=128, max_train_steps=2, prior_loss_weight=1.0), heard)
    assert heard.metas[0]["shapes"] == "160 x 96 (3), 128 x 128 (2)"
    assert json.loads((tmp_path / "buckets" / "run" / "card.json").read_text())["figures"]["memorised"]["low"] >= 0


def test_a_square_on_the_subject_stays_a_choice(models: dict[str, Path], shapes: Path, tmp_path: Path) -> None:
    heard = context(tmp_path, shapes)
    training = Training(models["sd"], asked(resolution=128, enable_bucket=False), heard)
    assert len(training.buckets) == 1 and {example.size for example in training.lessons.train} == {(128, 128)}


def test_a_picture_that_is_gone_is_named(models: dict[str, Path], manifest: Path, tmp_path: Path) -> None:
    plain = json.loads(manifest.read_text())
    plain["items"][2]["file"] = str(tmp_path / "lost.png")
    broken = tmp_path / "manifest.json"
    broken.write_text(json.dumps(plain))
    with pytest.raises(InvalidInput, match=r"lost\.png of the data set is gone"):
        run(models["sd"], asked(), context(tmp_path, broken))


def test_figures_say_what_they_should() -> None:
    rows = lora_card.unit(np.eye(4))
    assert lora_card.vendi(rows) == pytest.approx(4) and lora_card.vendi(rows[[0, 0, 0]]) == pytest.approx(1)
    assert list(lora_card.copied(rows[:1] + 0.01, rows)) == [True]
    assert list(lora_card.copied((rows[:1] + rows[1:2]) / 2, rows)) == [False]


def judged(
    taught: np.ndarray, plain: np.ndarray, train: np.ndarray, better: float, by_heart: float = 0.1
) -> dict[str, Any]:
    state = SimpleNamespace(best=1 - better, base=1.0, best_step=9, turned=0)
    request = SimpleNamespace(model="tiny")
    lessons = SimpleNamespace(held_out=[1])
    training = SimpleNamespace(state=state, request=request, lessons=lessons, prompts=lambda: ["a", "b", "c"])
    others = np.random.default_rng(1).normal(size=taught.shape)
    copies = lora_card.copied(taught, train)
    seen = {"taught": taught, "plain": plain, "others": others, "copies": copies}
    seen |= {"drift": np.zeros(len(taught)), "wanted": np.ones((len(taught), 1), bool)}
    seen["memorised"] = np.array([by_heart, by_heart, by_heart])
    return lora_card.judged(training, seen, train, train[:1], len(taught))  # type: ignore[arg-type]


def test_alarms_tell_nothing_learnt_from_learnt_by_heart() -> None:
    chance = np.random.default_rng(0)
    plain, train = chance.normal(size=(6, 32)), chance.normal(size=(5, 32)) + 3
    assert "changed nothing" in judged(plain, plain, train, 0.0)["alarms"][0]
    assert "only repeats" in judged(train[[0, 1, 2, 3, 4, 0]], plain, train, 0.2)["alarms"][0]
    between = (train[[0, 1, 2, 3, 4, 0]] + train[[1, 2, 3, 4, 0, 2]]) / 2
    assert judged(between, plain, train, 0.2)["alarms"] == []
    assert "only repeats" in judged(between, plain, train, 0.2, by_heart=0.6)["alarms"][0]


def test_what_mirror_images_lack_was_learnt_by_heart() -> None:
    before = np.ones((4, 2))
    half = memorised(before, before * [0.5, 0.75])
    assert half == pytest.approx([0.5, 0.5, 0.5])
    assert memorised(before, before * [0.5, 0.5])[0] == pytest.approx(0)
    assert memorised(before, before * [0.5, 1.2])[0] == pytest.approx(1)
    assert memorised(before, before * [0.99, 1.5])[0] == 0  # nothing was learnt
    value, low, high = memorised(before, np.array([[0.5, 0.5], [0.5, 1], [0.5, 0.6], [0.5, 0.9]]))
    assert low < value < high and value == pytest.approx(0.5)


def test_a_picture_that_repeats_one_that_was_learnt_is_told() -> None:
    chance = np.random.default_rng(3)
    learnt = [Image.fromarray(chance.integers(0, 255, (8, 8, 3), np.uint8)).resize((64, 64)) for _ in range(5)]
    examples = [SimpleNamespace(small=small(picture)) for picture in learnt]
    training = SimpleNamespace(lessons=SimpleNamespace(train=examples))
    near = Image.blend(learnt[2], learnt[3], 0.1)
    found = lora_card.copies(training, [near, Image.blend(learnt[0], learnt[1], 0.5)])  # type: ignore[arg-type]
    assert list(found) == [True, False]


def test_a_take_is_compared_with_the_pictures_of_its_words() -> None:
    chance = np.random.default_rng(2)
    aims, plain, others = chance.normal(size=(2, 32)), chance.normal(size=(4, 32)), chance.normal(size=(4, 32))
    taught = aims[[0, 1, 0, 1]] + 0.1 * chance.normal(size=(4, 32))
    rest = {"plain": plain, "others": others, "drift": np.zeros(4), "copies": np.zeros(4), "memorised": np.zeros(3)}
    right = np.array([[True, False], [False, True]] * 2)
    near, far = (
        lora_card.measured({**rest, "taught": taught, "wanted": wanted}, aims, aims)["likeness"].mean()
        for wanted in (right, ~right)
    )
    assert near > 0.5 > far


def test_one_that_diverges_keeps_its_best(models: dict[str, Path], manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        run(models["sd"], asked(max_train_steps=8), context(tmp_path, manifest, 3))
    good = load_file(tmp_path / "0.safetensors")
    astray = context(tmp_path, manifest)
    with pytest.raises(InvalidInput, match="went astray at step") as told:
        run(models["sd"], asked(max_train_steps=8).with_params(learning_rate=1e30), astray)
    assert "lower learning rate" in told.value.hint and astray.metas[0]["stopped"] is True
    assert astray.metas[0]["best_step"] == 2
    assert all(torch.equal(adapter(astray)[name], value) for name, value in good.items())
