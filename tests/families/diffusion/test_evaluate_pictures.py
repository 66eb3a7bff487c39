"""An evaluation on the real classes at tiny size: its figures, its probe, the pictures it keeps, what it refuses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from studio.errors import Cancelled, InvalidInput
from studio.families.diffusion import FAMILY, evaluate_pictures
from studio.families.diffusion.evaluate_pictures import Shot, alarms, batches, run
from studio.families.diffusion.evaluation_figures import data_figures, following_figures, worse
from studio.families.diffusion.picture_words import PictureWords
from studio.families.diffusion.starter_judge import JUDGE, Judge, save_judge
from studio.lab.evaluate import share_figure
from studio.lab.probe import Probe, speaks_of
from studio.types import Adapter, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import Listener

NAMES = {
    "thing": ("fox", "car", "cat", "boat"),
    "place": ("sea", "snow", "forest", "city", "red"),
    "time": ("day", "night"),
    "style": ("flat", "ink"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion pipeline with a judge of starter-image's kind beside it, both of random weights."""
    folder = tiny.build("sd", tmp_path_factory.mktemp("model"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_judge(Judge(NAMES).eval(), folder / JUDGE)
    return folder


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn balls, ten of them red, on the same ground; three are held out."""
    folder = tmp_path_factory.mktemp("set")
    items = []
    for k in range(12):
        picture = Image.new("RGB", (64, 64), (170, 175, 180))
        ImageDraw.Draw(picture).ellipse((14 + k, 16, 44 + k, 46), fill="red" if k < 10 else "blue")
        picture.save(folder / f"{k}.png")
        split = "held_out" if k % 4 == 3 else "train"
        items.append({"file": str(folder / f"{k}.png"), "sha256": f"{k:064x}", "caption": "a ball", "split": split})
    path = folder / "manifest.json"
    path.write_text(json.dumps({"trigger": "", "items": items}))
    return path


class Evaluator(Listener):
    kept: Path


def context(folder: Path, manifest: Path | None = None, adapters: Sequence[tuple[Path, float]] = ()) -> Evaluator:
    folder.mkdir(parents=True, exist_ok=True)
    made = Evaluator(staging=folder, inputs={"dataset": [manifest]} if manifest else {}, adapters=adapters)
    made.kept = folder / "run"
    return made


def asked(*probes: Probe, adapters: tuple[Adapter, ...] = (), **params: Any) -> Request:
    small = {"pictures": 5, "num_inference_steps": 1, "width": 64, "height": 64}
    given = {**small, **params, "probes": json.dumps([probe.to_dict() for probe in probes])}
    return FAMILY.validate(
        Request(task="evaluate_pictures", model="tiny", prompt="look", seed=3, adapters=adapters, params=given)
    )


def lora(model: Path, target: Path, strength: float) -> Path:
    """An adapter on every attention layer that changes a lot."""
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = StableDiffusionPipeline.from_pretrained(model)
    pipe.unet.add_adapter(LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v", "to_out.0"]))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in pipe.unet.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=strength)
    StableDiffusionPipeline.save_lora_weights(
        target.parent, unet_lora_layers=get_peft_model_state_dict(pipe.unet), weight_name=target.name
    )
    return target


def result_of(heard: Evaluator) -> dict[str, Any]:
    return json.loads(heard.outputs[0].read_text("utf-8"))


def test_everything_is_measured_with_and_without_an_adapter(model: Path, manifest: Path, tmp_path: Path) -> None:
    file = lora(model, tmp_path / "ball.safetensors", 1.0)
    heard = context(tmp_path / "job", manifest, [(file, 1.0)])
    probe = Probe.of(["a ball", "a fox in the snow"], words="red, blue", seeds=4)
    run(model, asked(probe, adapters=(Adapter(id="ball"),), combinations=3), heard)
    result = result_of(heard)
    assert set(result) >= {"figures", "before", "probe", "nearest", "card", "alarms", "sheets"}
    names = {"kid", "kid_floor", "diversity", "diversity_of_data", "recall", "precision", "copying"}
    assert names | {"following_thing", "seen_pairs", "unseen_pairs", "generalisation"} <= set(result["figures"])
    assert set(result["before"]) == set(result["figures"])
    for found in (*result["figures"].values(), *result["before"].values()):
        assert found["means"] and found.get("low", found["value"]) <= found["value"] <= found.get(
            "high", found["value"]
        )
    assert result["figures"]["kid"] != result["before"]["kid"]  # the adapter was on
    assert [row["prompt"] for row in result["probe"]] == ["a ball", "a fox in the snow"]
    ball = result["probe"][0]
    assert set(ball["sets"]) == {"model", "with_lora", "data"} and set(ball["change"]) == {"red", "blue"}
    data = ball["sets"]["data"]
    assert data["shares"]["red"]["count"] == 10 and data["many"] == 12 and data["leaning"] == "red" and data["sure"]
    assert "The data set leans to red" in " ".join(result["alarms"])
    assert len(result["nearest"]) == 5 and result["nearest"][0]["ratio"] <= result["nearest"][-1]["ratio"]
    samples = {path.name for path in (heard.kept / "samples").glob("*.webp")}
    assert (
        samples == set(result["sheets"]) >= {"nearest.webp", "data.webp", "with_lora-data.webp", "model-probe-0.webp"}
    )
    text = (heard.kept / "card.md").read_text("utf-8")
    assert text == result["card"] and "middle of tiny's own denoiser" in text and "| red | 50% |" in text


def test_what_was_made_is_kept_and_made_no_second_time(model: Path, manifest: Path, tmp_path: Path) -> None:
    whole = context(tmp_path / "whole", manifest)
    request = asked(Probe.of(["a fox"], seeds=10), pictures=3)
    run(model, request, whole)
    parts = context(tmp_path / "parts", manifest)
    parts.stop_at = 2  # Stop before the second batch
    with pytest.raises(Cancelled):
        run(model, request, parts)
    kept = sorted((parts.kept / "pictures").rglob("*.png"))
    assert 0 < len(kept) < 13
    times = {path: path.stat().st_mtime_ns for path in kept}
    parts.stop_at = None
    run(model, request, parts)
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    assert len(list((parts.kept / "pictures").rglob("*.png"))) == 13
    first, second = result_of(whole), result_of(parts)
    assert {**first, "date": ""} == {**second, "date": ""}


def test_its_pictures_are_those_of_the_program(model: Path, tmp_path: Path) -> None:
    heard = context(tmp_path)
    run(model, asked(Probe.of(["a fox"], seeds=3)), heard)
    loaded = evaluate_pictures.pipeline.load(model, heard.device)
    params = {"num_images_per_prompt": 1, "num_inference_steps": 1, "guidance_scale": 3.5, "width": 64, "height": 64}
    alone = Listener(staging=tmp_path)
    loaded.run(Request(task="text_to_image", model="tiny", prompt="a fox", params=params, seed=5), alone)
    kept = Image.open(heard.kept / "pictures" / "model" / Shot("a fox", 5).name)
    assert np.abs(np.asarray(kept).astype(int) - np.asarray(alone.pictures()[0])).max() <= 1


def test_pictures_of_another_adapter_of_that_name_are_made_anew(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    request = asked(Probe.of(["a fox"], seeds=2), adapters=(Adapter(id="x"),))
    heard = context(tmp_path / "job", None, [(lora(model, file, 0.2), 1.0)])
    run(model, request, heard)
    picture = heard.kept / "pictures" / "with_lora" / Shot("a fox", 3).name
    before = picture.read_bytes()
    lora(model, file, 3.0)
    run(model, request, heard)
    assert picture.read_bytes() != before


@pytest.mark.parametrize("kind", ["sdxl", "flux"])
def test_any_kind_of_pipeline_is_measured(kind: str, manifest: Path, tmp_path: Path) -> None:
    heard = context(tmp_path / "job", manifest)
    run(tiny.build(kind, tmp_path / kind), asked(Probe.of(["a ball"], seeds=2), pictures=4), heard)
    result = result_of(heard)
    assert "kid" in result["figures"] and not any(name.startswith("following") for name in result["figures"])
    assert any("Only the colour was judged" in sentence for sentence in result["limits"])


def test_what_cannot_be_measured_is_said(model: Path, manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nothing to measure"):
        run(model, asked(), context(tmp_path / "1"))
    with pytest.raises(InvalidInput, match="tell the thing 'elephant'"):
        run(model, asked(Probe.of(["a fox"], "thing", "fox, elephant")), context(tmp_path / "2"))
    plain = json.loads(manifest.read_text())
    plain["items"][2]["file"] = str(tmp_path / "lost.png")
    broken = tmp_path / "manifest.json"
    broken.write_text(json.dumps(plain))
    with pytest.raises(InvalidInput, match=r"lost\.png of the data set is gone"):
        run(model, asked(pictures=1), context(tmp_path / "3", broken))
    (tmp_path / "plain").mkdir()
    with pytest.raises(InvalidInput, match="no judge that could tell the place"):
        PictureWords(tmp_path / "plain").need("place")


# --- the parts


def test_what_a_prompt_asks_for(model: Path) -> None:
    words = PictureWords(model)
    assert words.asked("a red fox in the snow at night") == {"thing": "fox", "place": "snow", "time": "night"}
    assert words.asked("a car and a boat at sea, ink drawing") == {"place": "sea", "style": "ink"}
    assert words.asked("a car on a red background")["place"] == "red"
    assert words.asked("an elephant") == {}


def test_batches_are_runs_of_seeds() -> None:
    shots = [Shot("a", seed) for seed in (1, 2, 3, 7)] + [Shot("b", 4)]
    found = batches([("model", shot) for shot in shots])
    assert [[shot.seed for shot in some] for _, some in found] == [[1, 2, 3], [7], [4]]
    assert (
        max(len(some) for _, some in batches([("model", Shot("a", k)) for k in range(30)])) <= evaluate_pictures.BATCH
    )


def test_captions_that_speak_of_a_prompt() -> None:
    assert speaks_of("a red car, flat", "a car") and not speaks_of("a red bus", "a car")


def test_figures_tell_a_copier_from_a_painter() -> None:
    chance = np.random.default_rng(0)
    train, held = chance.normal(size=(40, 16)), chance.normal(size=(12, 16))
    painter, copier = chance.normal(size=(30, 16)), train[[1, 2, 3] * 10] + 0.01
    far = chance.normal(size=(30, 16)) + 2
    found, said, pairs = data_figures(train, held, {"painter": painter, "far": far, "copier": copier}, "copier")
    floor = found["painter"]["kid_floor"]
    assert found["painter"]["kid"]["low"] < floor["high"] < found["far"]["kid"]["low"]
    assert found["copier"]["copying"]["value"] == 1 and found["painter"]["copying"]["value"] == 0
    assert found["copier"]["diversity"]["value"] < 4 < found["painter"]["diversity"]["value"]
    assert found["copier"]["recall"]["value"] < found["painter"]["recall"]["value"]
    assert "12 held-out" in said[0] and pairs[0][1] in (1, 2, 3) and pairs[0][2] < 0.1
    assert alarms(found["copier"], {}, []) and not alarms(found["painter"], {}, [])
    assert "further from the data set" in alarms(found["far"], found["painter"], [])[0]
    assert alarms(found["painter"], found["far"], []) == []
    few, said, _ = data_figures(train[:3], held[:1], {"painter": painter[:3]}, "painter")
    assert "kid" in few["painter"] and "recall" not in few["painter"] and "only 1 are held out" in said[0]


def test_following_counts_what_was_asked() -> None:
    right = {"thing": True, "place": True}
    found = {
        "all": [right, {"thing": False, "place": True}, {}],
        "seen": [right] * 9,
        "unseen": [right, {**right, "thing": False}],
    }
    figures = following_figures(found, ("thing", "place", "time"))
    assert figures["following_thing"]["value"] == 0.5 and figures["following_place"]["value"] == 1
    assert "following_time" not in figures
    lost = worse({"following_thing": share_figure(38, 40, "")}, {"following_thing": share_figure(8, 40, "")})
    assert "the thing that was asked for is seen in 20% of the pictures instead of 95%: -75 points" in lost[0]
    assert worse({"following_thing": share_figure(9, 10, "")}, {"following_thing": share_figure(8, 10, "")}) == []
    assert figures["unseen_pairs"]["value"] == 0.5 and figures["generalisation"]["value"] == -0.5
