"""The picture tasks on tiny pipelines of the real classes: takes, seeds, variations, stop, memory, damage."""

import copy
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, get_peft_model_state_dict
from PIL import Image, ImageDraw

from studio.errors import Cancelled, InvalidInput, ModelError, OutOfMemory
from studio.families.diffusion import FAMILY
from studio.families.diffusion.memory import first_batch
from studio.families.diffusion.pipeline import PicturePipeline, load
from studio.types import Device, Input, Request
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU, Listener

SIDE = 64
Start = Callable[..., Listener]


@pytest.fixture
def run(models: dict[str, PicturePipeline], tmp_path: Path) -> Start:
    numbers = itertools.count()

    def start(
        kind: str,
        task: str = "text_to_image",
        prompt: str = "a red fox",
        seed: int = 5,
        stop_at: int | None = None,
        **params: Any,
    ) -> Listener:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        inputs = {role: (paint(role, folder),) for role in FAMILY.inputs.get(task, ())}
        size = {"num_inference_steps": 3, "width": SIDE, "height": SIDE}
        asked = Request(
            task=task,
            model=kind,
            prompt=prompt,
            seed=seed,
            params={**size, **params},
            inputs=tuple(Input(role=role, artifact="0" * 64) for role in inputs),
        )
        listener = Listener(folder, inputs=inputs, stop_at=stop_at)
        models[kind].run(FAMILY.validate(asked), listener)
        return listener

    return start


def paint(role: str, folder: Path) -> Path:
    path = folder / f"{role}.png"
    picture = Image.new("RGB", (SIDE, SIDE), "black" if role == "mask_image" else (40, 120, 200))
    box = (16, 16, 40, 40) if role == "mask_image" else (8, 8, 30, 50)
    ImageDraw.Draw(picture).ellipse(box, fill="white" if role == "mask_image" else (230, 180, 20))
    picture.save(path)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), float)


def psnr(a: Image.Image, b: Image.Image) -> float:
    error = np.mean((np.asarray(a, np.float64) - np.asarray(b, np.float64)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)


TASKS = ("text_to_image", "image_to_image", "inpaint")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", tiny.KINDS)
def test_a_take_alone_is_the_take_of_the_batch(run: Start, kind: str, task: str) -> None:
    together = run(kind, task, num_images_per_prompt=3, seed=5)
    alone = run(kind, task, num_images_per_prompt=1, seed=7)
    pictures = together.pictures()
    assert [p.size for p in pictures] == [(SIDE, SIDE)] * 3
    assert psnr(pictures[2], alone.pictures()[0]) >= 35
    assert psnr(pictures[0], pictures[1]) < 30
    assert [together.metas[k]["seed"] for k in range(3)] == [5, 6, 7]


@pytest.mark.parametrize("task", TASKS)
def test_a_variation_alone_is_the_variation_of_the_batch(run: Start, task: str) -> None:
    common = {"variation_strength": 0.3, "seed": 5}
    together = run("sd", task, num_images_per_prompt=3, variation_seed=90, **common)
    alone = run("sd", task, num_images_per_prompt=1, variation_seed=92, **common)
    assert psnr(together.pictures()[2], alone.pictures()[0]) >= 35
    assert [together.metas[k]["seed"] for k in range(3)] == [5, 5, 5]
    assert [together.metas[k]["variation_seed"] for k in range(3)] == [90, 91, 92]


def test_a_weaker_variation_stays_nearer(run: Start) -> None:
    origin = run("sd", num_images_per_prompt=1).pictures()[0]
    near, far = (
        run("sd", num_images_per_prompt=1, variation_seed=3, variation_strength=s).pictures()[0] for s in (0.05, 0.6)
    )
    assert psnr(origin, near) > psnr(origin, far) + 3


def test_a_variation_of_a_variation_keeps_the_first(run: Start) -> None:
    first = run("sd", num_images_per_prompt=1, variation_seed=3, variation_strength=0.5).pictures()[0]
    again = run("sd", num_images_per_prompt=1, variations="3:0.5").pictures()[0]
    second = run(
        "sd", num_images_per_prompt=1, variations="3:0.5", variation_seed=8, variation_strength=0.1
    ).pictures()[0]
    assert psnr(first, again) >= 35
    assert 10 < psnr(first, second) < 60
    with pytest.raises(InvalidInput, match="not a variation"):
        run("sd", variations="three")


@pytest.mark.parametrize(
    "sampler",
    ["dpmpp_2m", "dpmpp_2m_karras", "dpmpp_sde", "unipc", "euler", "euler_a", "ddim", "heun", "lms", "lcm"],
)
def test_every_sampler_repeats_a_take(run: Start, sampler: str) -> None:
    together = run("sd", num_images_per_prompt=2, scheduler=sampler)
    alone = run("sd", num_images_per_prompt=1, seed=6, scheduler=sampler)
    assert psnr(together.pictures()[1], alone.pictures()[0]) >= 35
    assert together.steps[-1][0] == together.steps[-1][1] > 0


def test_a_flow_model_says_which_samplers_it_can(run: Start) -> None:
    assert run("sd3", scheduler="euler", num_images_per_prompt=1).outputs
    with pytest.raises(InvalidInput, match="euler") as caught:
        run("sd3", scheduler="ddim")
    assert caught.value.field == "scheduler"


def test_every_step_is_reported_and_shown(run: Start) -> None:
    heard = run("sd", num_images_per_prompt=2)
    assert heard.steps == [(1, 3), (2, 3), (3, 3)]
    assert [index for index, _ in heard.previews] == [0, 1] * 3
    with Image.open(heard.previews[-1][1]) as look:
        assert look.format == "JPEG" and max(look.size) == 256


@pytest.mark.parametrize("kind", tiny.KINDS)
def test_every_kind_of_model_has_previews(run: Start, kind: str) -> None:
    heard = run(kind, num_images_per_prompt=2)
    assert heard.previews
    assert all(pixels(path).std() > 0 for _, path in heard.previews)


def test_stop_is_heard_within_a_step(run: Start, models: dict[str, PicturePipeline]) -> None:
    with pytest.raises(Cancelled):
        run("sd", num_inference_steps=50, stop_at=2)
    assert run("sd", num_images_per_prompt=1).outputs  # the same pipeline works on


def test_a_size_that_does_not_fit_names_the_nearest(tmp_path: Path) -> None:
    """Sixteen pixels a latent: 72 x 96 is halfway."""
    folder = tiny.build("sd", tmp_path / "coarse", widths=(8, 8, 8, 8, 16))
    asked = Request(task="text_to_image", model="coarse", params={"width": 96, "height": 72, "num_inference_steps": 1})
    with pytest.raises(InvalidInput, match="nearest is (64|80)") as caught:
        load(folder, CPU).run(FAMILY.validate(asked), Listener(tmp_path))
    assert caught.value.field == "height"


def test_inpaint_leaves_the_rest_exactly(run: Start) -> None:
    heard = run("sd", "inpaint", num_images_per_prompt=2, strength=1.0)
    start = pixels(heard.inputs["init_image"][0])
    kept = pixels(heard.inputs["mask_image"][0]).max(axis=2) == 0
    for picture in heard.pictures():
        changed = np.asarray(picture, float)
        assert (changed[kept] == start[kept]).all()
        assert np.abs(changed[~kept] - start[~kept]).mean() > 5


def test_strength_says_how_much_changes(run: Start) -> None:
    none, some = (run("sd", "image_to_image", num_images_per_prompt=1, strength=s) for s in (0.0, 1.0))
    start = pixels(none.inputs["init_image"][0])
    assert (np.asarray(none.pictures()[0]) == start).all()
    assert np.abs(np.asarray(some.pictures()[0]) - start).mean() > 5


def test_tiling_joins_the_edges(run: Start, models: dict[str, PicturePipeline]) -> None:
    plain, seamless, after = (
        np.asarray(run("sd", num_images_per_prompt=1, tiling=mode).pictures()[0], float)
        for mode in ("none", "both", "none")
    )
    assert np.abs(plain - seamless).mean() > 1
    assert (plain == after).all()
    with pytest.raises(InvalidInput) as caught:
        run("sd3", tiling="x")
    assert caught.value.field == "tiling"


def test_a_walk_is_one_film_from_take_to_take(run: Start) -> None:
    heard = run("sd", "latent_walk", frames=6, to_seed=9, to_prompt="a blue house", fps=5)
    ends = [
        run("sd", num_images_per_prompt=1).pictures()[0],
        run("sd", num_images_per_prompt=1, seed=9, prompt="a blue house").pictures()[0],
    ]
    with Image.open(heard.outputs[0]) as film:
        assert film.format == "GIF" and film.n_frames == 6
        frames = []
        for k in range(6):
            film.seek(k)
            frames.append(film.convert("RGB"))
    assert psnr(frames[0], ends[0]) > 20 and psnr(frames[5], ends[1]) > 20
    assert psnr(frames[0], frames[5]) < psnr(frames[0], frames[1])
    assert {index for index, _ in heard.previews} == {0}


def test_a_walk_as_mp4(run: Start) -> None:
    heard = run("sd", "latent_walk", frames=3, to_seed=9, format="mp4", num_inference_steps=2)
    assert heard.outputs[0].read_bytes()[4:8] == b"ftyp"


def test_prompts_are_encoded_once(run: Start, models: dict[str, PicturePipeline]) -> None:
    run("sdxl", prompt="quite new", num_images_per_prompt=1)
    before = models["sdxl"]._prompts.hits
    run("sdxl", prompt="quite new", num_images_per_prompt=1, seed=77)
    assert models["sdxl"]._prompts.hits == before + 1


@pytest.mark.parametrize("prompt", ["", "🦊 " * 40, "ثعلب أحمر في الثلج", "fox " * 25_000])
def test_any_prompt_makes_a_picture(run: Start, prompt: str) -> None:
    assert run("sd", prompt=prompt, num_images_per_prompt=1, negative_prompt=prompt[:50]).outputs


def test_a_card_names_the_words_a_model_does_not_know(tmp_path: Path) -> None:
    folder = tiny.build("sd", tmp_path / "small")
    (folder / "card.toml").write_text('name = "Small"\n[knows]\nthings = ["fox"]\ncolours = ["red"]\n', "utf-8")
    listener = Listener(tmp_path)
    asked = Request(
        task="text_to_image",
        model="small",
        prompt="a red zeppelin",
        params={"width": 64, "height": 64, "num_inference_steps": 1, "num_images_per_prompt": 1},
    )
    load(folder, CPU).run(FAMILY.validate(asked), listener)
    assert any("zeppelin" in text and "red" not in text for text in listener.warnings)


def test_a_prompt_that_is_too_long_to_be_read_is_said(run: Start) -> None:
    short, long = (run("sd", prompt="fox " * n, num_images_per_prompt=1, num_inference_steps=1) for n in (2, 40))
    assert not short.warnings
    assert any("first 22" in text for text in long.warnings)


def damage_cut(folder: Path) -> None:
    weights = next((folder / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:5000])


def damage_index(folder: Path) -> None:
    (folder / "model_index.json").write_text("{", "utf-8")


def damage_part(folder: Path) -> None:
    for file in (folder / "vae").iterdir():
        file.unlink()


def damage_pickle(folder: Path) -> None:
    weights = next((folder / "unet").glob("*.safetensors"))
    weights.rename(weights.with_suffix(".bin"))


def damage_class(folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(index.read_text("utf-8").replace("StableDiffusionPipeline", "EvilPipeline"), "utf-8")


def damage_library(folder: Path) -> None:
    index = folder / "model_index.json"
    index.write_text(index.read_text("utf-8").replace('"transformers"', '"os"'), "utf-8")


DAMAGES = [damage_cut, damage_index, damage_part, damage_pickle, damage_class, damage_library]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.__name__.removeprefix("damage_"))
def test_a_damaged_folder_is_one_sentence(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tiny.build("sd", tmp_path / "broken")
    damage(folder)
    with pytest.raises(ModelError) as caught:
        load(folder, CPU)
    assert "broken" in caught.value.message and caught.value.hint and "\n" not in str(caught.value)


def write_lora(model: PicturePipeline, path: Path) -> None:
    """A LoRA of random weights for the model's own U-Net, as training writes it."""
    source = copy.deepcopy(model._own.unet)
    source.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    StableDiffusionPipeline.save_lora_weights(
        path.parent, unet_lora_layers=get_peft_model_state_dict(source), weight_name=path.name
    )


def test_a_lora_changes_the_picture_by_its_weight_and_goes_again(tmp_path: Path) -> None:
    model = load(tiny.build("sd", tmp_path / "model"), CPU)
    lora = tmp_path / "style.safetensors"
    write_lora(model, lora)
    asked = FAMILY.validate(
        Request(
            task="text_to_image",
            model="sd",
            prompt="a fox",
            params={"width": SIDE, "height": SIDE, "num_inference_steps": 2, "num_images_per_prompt": 1},
        )
    )
    made = []
    for k, adapters in enumerate([(), ((lora, 1.0),), ((lora, 0.2),), ()]):
        (tmp_path / str(k)).mkdir()
        listener = Listener(tmp_path / str(k), adapters=adapters)
        model.run(asked, listener)
        made += listener.pictures()
    without, strong, weak, again = made
    assert psnr(without, again) == float("inf")
    assert psnr(without, strong) < psnr(without, weak) < 90


def test_a_file_that_is_no_lora_is_one_sentence(tmp_path: Path, models: dict[str, PicturePipeline]) -> None:
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"not weights")
    asked = FAMILY.validate(Request(task="text_to_image", model="sd", params={"num_inference_steps": 1}))
    with pytest.raises(InvalidInput, match="broken.safetensors"):
        models["sd"].run(asked, Listener(tmp_path, adapters=((broken, 1.0),)))


def short_of_memory(limit: int) -> Callable[..., None]:
    def refuse(_: Any, given: tuple[torch.Tensor, ...]) -> None:
        if len(given[0]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    return refuse


def test_when_memory_is_short_fewer_takes_run_at_once(run: Start, models: dict[str, PicturePipeline]) -> None:
    unhindered = run("sd", num_images_per_prompt=4)
    hook = models["sd"]._own.unet.register_forward_pre_hook(short_of_memory(4))  # two takes, with and without words
    try:
        heard = run("sd", num_images_per_prompt=4)
    finally:
        hook.remove()
    assert heard.warnings and "2 at a time" in heard.warnings[0]
    assert sorted(heard.outputs) == [0, 1, 2, 3] and heard.steps[-1] == (6, 6)
    assert all(psnr(a, b) >= 35 for a, b in zip(unhindered.pictures(), heard.pictures(), strict=True))


def test_what_fits_in_no_way_is_one_sentence(run: Start, models: dict[str, PicturePipeline]) -> None:
    hook = models["sd"]._own.unet.register_forward_pre_hook(short_of_memory(0))
    try:
        with pytest.raises(OutOfMemory, match="64 x 64"):
            run("sd", num_images_per_prompt=4)
    finally:
        hook.remove()
    assert run("sd", num_images_per_prompt=1).outputs


def test_a_small_device_gets_small_batches(models: dict[str, PicturePipeline]) -> None:
    pipe = models["sd"]._own
    plenty, little = (Device(kind="cpu", name="", memory=memory) for memory in (2**33, 2**21))
    assert first_batch(4, pipe, plenty, 0, SIDE, SIDE) == 4
    assert first_batch(4, pipe, little, 0, SIDE, SIDE) < 4
    assert first_batch(4, pipe, little, 2**30, 2048, 2048) == 1


def test_the_card_says_how_latents_look(tmp_path: Path) -> None:
    """A map of constant green makes green previews."""
    folder = tiny.build("sd", tmp_path / "green")
    rows = ", ".join(["[0.0, 0.0, 0.0]"] * 4)
    (folder / "card.toml").write_text(f"[preview]\nlatent_rgb = [{rows}]\nbias = [0.0, 1.0, 0.0]\n", "utf-8")
    listener = Listener(tmp_path)
    asked = Request(
        task="text_to_image",
        model="green",
        params={"width": SIDE, "height": SIDE, "num_inference_steps": 1, "num_images_per_prompt": 1},
    )
    load(folder, CPU).run(FAMILY.validate(asked), listener)
    red, green, blue = pixels(listener.previews[0][1]).mean(axis=(0, 1))
    assert green > 245 and red < 10 and blue < 10
