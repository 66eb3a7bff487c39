"""The recipe of starter-image end to end at tiny size: stop and resume, export, a picture by the plain loader."""

import json
import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from PIL import Image, ImageDraw
from transformers import CLIPTokenizer

from studio.errors import InvalidInput
from studio.families.diffusion import starter, starter_card
from studio.families.diffusion.recipe import AutoencoderTraining, DenoiserTraining, Recipe
from studio.families.diffusion.scene_latents import Latents, cache_scenes, things_of
from studio.families.diffusion.scene_sprites import THINGS, Sprites
from studio.families.diffusion.scenes import compose, held_out, vocabulary
from studio.families.diffusion.starter_figures import captions_of, held_out_plans, measure, training_latents
from studio.families.diffusion.starter_judge import (
    JUDGE,
    Judge,
    draw_lessons,
    load_judge,
    save_judge,
    train_judge,
)
from studio.families.diffusion.train import Denoiser, export, latent_to_rgb, train_denoiser, velocity_loss
from studio.families.diffusion.train_autoencoder import autoencoder_of, train_autoencoder
from studio.families.training.checkpoint import as_tensor
from studio.families.training.muon import orthogonalised
from studio.families.training.run_folder import RunFolder
from studio.families.training.schedule import rate

ROOT = Path(__file__).resolve().parents[3]


def tiny_recipe() -> Recipe:
    """The shipped recipe with every size cut down; the same code runs."""
    whole = Recipe.read(ROOT / "presets" / "recipes" / "starter-image.toml")
    auto = AutoencoderTraining(4, 0.5, 3, 2, 64, 1e-3, 1, 0.5, 0.5, 1e-4, sheet_every=0, save_every=2)
    noise = DenoiserTraining(4, 2, 2, 4, 2, 1e-3, 1, 0.5, 0.9, 0.5, sheet_every=0, save_every=2, alone=2)
    return replace(
        whole,
        autoencoder={**whole.autoencoder, "block_out_channels": [8, 16, 16, 16, 32]},
        autoencoder_training=auto,
        decoder_training=auto,
        text_encoder={
            **whole.text_encoder,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_attention_heads": 1,
            "num_hidden_layers": 1,
        },
        denoiser={
            **whole.denoiser,
            "block_out_channels": [16, 32],
            "attention_head_dim": 1,
            "cross_attention_dim": 32,
        },
        denoiser_training=noise,
    )


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Sprites:
    folder = tmp_path_factory.mktemp("sprites")
    for name, colour in (("fox", "orange"), ("car", "red"), ("cat", "gold")):
        picture = Image.new("RGBA", (128, 128))
        ImageDraw.Draw(picture).rectangle((20, 20, 108, 120), fill=colour)
        picture.save(folder / f"emoji_u{THINGS[name].code}.png")
    return Sprites.load(folder)


@pytest.fixture(scope="module")
def finished(sprites: Sprites, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that went through every stage without a stop."""
    run, recipe = RunFolder(tmp_path_factory.mktemp("run")), tiny_recipe()
    assert train_autoencoder(recipe, run, sprites)
    assert cache_scenes(recipe, run, sprites)
    assert train_denoiser(recipe, run)
    return run


class StopsAfter(RunFolder):
    """A run folder whose user puts a stop file down after some steps."""

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder)
        self.left = steps

    def should_stop(self) -> bool:
        self.left -= 1
        if self.left == 0:
            (self.folder / "stop").touch()
        return super().should_stop()


def same_weights(one: Path, other: Path) -> bool:
    first, second = (torch.load(path, weights_only=True)["model"] for path in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_stopped_autoencoder_resumes_to_the_same_weights(
    sprites: Sprites, finished: RunFolder, tmp_path: Path
) -> None:
    recipe = tiny_recipe()
    assert not train_autoencoder(recipe, StopsAfter(tmp_path, 2), sprites)
    assert train_autoencoder(recipe, RunFolder(tmp_path), sprites)
    assert same_weights(finished.folder / "autoencoder.pt", tmp_path / "autoencoder.pt")


def test_the_decoder_goes_on_alone_and_the_latents_stay(sprites: Sprites, finished: RunFolder, tmp_path: Path) -> None:
    shutil.copytree(finished.folder / "vae", tmp_path / "vae")
    shutil.copyfile(finished.folder / "pool.npy", tmp_path / "pool.npy")
    recipe, run = tiny_recipe(), RunFolder(tmp_path)
    before = autoencoder_of(recipe, run).state_dict()
    assert train_autoencoder(recipe, run, sprites, "decoder")
    after = autoencoder_of(recipe, run).state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder"}


def test_a_pipeline_gives_a_run_its_start(finished: RunFolder, tmp_path: Path) -> None:
    export(tiny_recipe(), finished, tmp_path)
    model = Denoiser(tiny_recipe(), {**things_of(finished), "owl": THINGS["owl"]})
    old = StableDiffusionPipeline.from_pretrained(tmp_path)
    model.start_from(tmp_path)
    assert torch.equal(model.unet.conv_in.weight, old.unet.conv_in.weight.float())
    fox, there = (tokenizer("fox").input_ids[1] for tokenizer in (model.tokenizer, old.tokenizer))
    embeddings = [text.get_input_embeddings().weight for text in (model.text_encoder, old.text_encoder)]
    assert torch.allclose(embeddings[0][fox], embeddings[1][there].float())


def test_a_stopped_denoiser_resumes_to_the_same_weights(finished: RunFolder, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    for name in ("latents", "vae", "things.json"):
        (tmp_path / name).symlink_to(finished.folder / name)
    assert not train_denoiser(recipe, StopsAfter(tmp_path, 3))
    assert train_denoiser(recipe, RunFolder(tmp_path))
    assert same_weights(finished.folder / "denoiser.pt", tmp_path / "denoiser.pt")


def test_the_metrics_are_json_lines(finished: RunFolder) -> None:
    lines = [json.loads(line) for line in (finished.folder / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {"autoencoder", "denoiser"}
    assert all(np.isfinite(line["loss"]) for line in lines)


def test_the_export_opens_in_the_plain_loader(finished: RunFolder, tmp_path: Path) -> None:
    export(tiny_recipe(), finished, tmp_path)
    pipeline = DiffusionPipeline.from_pretrained(tmp_path)
    assert isinstance(pipeline, StableDiffusionPipeline) and isinstance(pipeline.tokenizer, CLIPTokenizer)
    assert pipeline.safety_checker is None and pipeline.vae.config.scaling_factor == 1.0
    pipeline.set_progress_bar_config(disable=True)
    one, two = (
        pipeline(
            "a red fox in the snow at sunset",
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]
        for seed in (1, 2)
    )
    assert one.size == (256, 256)
    assert np.asarray(one).std() > 0 and np.any(np.asarray(one) != np.asarray(two))


def test_the_figures_can_be_measured(finished: RunFolder, sprites: Sprites, tmp_path: Path) -> None:
    export(tiny_recipe(), finished, tmp_path)
    save_judge(train_judge(sprites, lessons=6, steps=2, batch=4), tmp_path / JUDGE)
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (40, 30), "green").save(photos / "one.jpg")
    recipe = tiny_recipe()
    figures = measure(tmp_path, sprites, recipe, many=4, photos=photos, cache=finished.folder / "latents")
    assert 0 < figures["autoencoder_psnr_scenes"] < 40 and 0 < figures["autoencoder_psnr_photographs"] < 60
    assert figures["prompts"] == 4 and figures["things"] == 3
    for seen in (figures["judge_on_real_scenes"], figures["judge_on_made_pictures"]):
        assert set(seen) == {"thing", "place", "time", "style"} and all(0 <= share <= 1 for share in seen.values())
    assert set(figures["places_alone"]) == {"place", "time", "style"}
    for share in ("thing_by_main_name", "thing_by_synonym", "copied"):
        assert 0 <= figures[share] <= 1


def test_training_scenes_are_the_same_when_they_are_drawn_again(finished: RunFolder, sprites: Sprites) -> None:
    recipe = tiny_recipe()
    vae = autoencoder_of(recipe, finished)
    cached = training_latents(recipe, sprites, vae, finished.folder / "latents")
    again = training_latents(recipe, sprites, vae)
    assert again.shape == cached.shape and np.corrcoef(again.ravel(), cached.ravel())[0, 1] > 0.99


def test_the_cache_knows_where_things_stand(sprites: Sprites, finished: RunFolder) -> None:
    _, _, covers = Latents(finished.folder / "latents").draw(8, np.random.default_rng(0))
    assert covers.shape == (8, 1, 16, 16) and covers.min() >= 0 and covers.max() <= 1
    rng = np.random.default_rng(3)
    scene = compose(sprites, rng, thing="car", place="blue", style="flat", alone=True)
    cells = scene.pixels.reshape(16, 16, 16, 16, 3).mean((1, 3))
    free = cells[scene.cover == 0].mean(0)
    assert 0.05 < (scene.cover > 0.9).mean() < 0.3 and 0.5 < (scene.cover == 0).mean()
    assert (np.abs(cells[scene.cover > 0.9] - free).sum(1) > 10).mean() > 0.8


def test_scenes_of_other_shapes_are_cached_drawn_and_learnt_from(
    sprites: Sprites, finished: RunFolder, tmp_path: Path
) -> None:
    whole = tiny_recipe()
    asked = {"shaped": 2 * whole.denoiser_training.part, "shapes": [(320, 224), (192, 352)]}
    recipe = replace(whole, denoiser_training=replace(whole.denoiser_training, **asked))
    run = RunFolder(tmp_path)
    shutil.copytree(finished.folder / "vae", tmp_path / "vae")
    shutil.copytree(finished.folder / "latents", tmp_path / "latents")
    assert cache_scenes(recipe, run, sprites)
    latents, rng = Latents(tmp_path / "latents"), np.random.default_rng(0)
    drawn = [latents.draw(4, rng) for _ in range(30)]
    assert {tuple(picture.shape[2:]) for picture, _, _ in drawn} == {(16, 16), (14, 20), (22, 12)}
    assert all(picture.shape[2:] == covers.shape[2:] for picture, _, covers in drawn)
    assert train_denoiser(recipe, run)
    squares = training_latents(recipe, sprites, autoencoder_of(recipe, run), tmp_path / "latents")
    assert squares.shape == (whole.denoiser_training.scenes, 16**3)


def test_an_error_where_things_stand_counts_more(finished: RunFolder) -> None:
    model = Denoiser(tiny_recipe(), things_of(finished))
    picture, tokens, covers = Latents(finished.folder / "latents").draw(4, np.random.default_rng(0))
    alphas = torch.linspace(1, 0.01, 1000)

    def loss(weights: torch.Tensor | None) -> float:
        return velocity_loss(model, picture, tokens, alphas, torch.Generator().manual_seed(5), weights=weights).item()

    there, elsewhere = (loss(where.expand_as(covers)) for where in (covers, 1 - covers))
    assert loss(torch.ones_like(covers)) == pytest.approx(loss(None), rel=1e-5)
    share = covers.mean().item()
    assert share * there + (1 - share) * elsewhere == pytest.approx(loss(None), rel=1e-4)


def test_a_judge_survives_saving(tmp_path: Path) -> None:
    judge = Judge({"thing": ("fox", "car"), "place": ("sea",)}).eval()
    save_judge(judge, tmp_path / "judge.safetensors")
    again = load_judge(tmp_path / "judge.safetensors")
    pictures = torch.rand(2, 3, 128, 128)
    assert again.names == judge.names
    assert torch.allclose(again(pictures)[0], judge(pictures)[0], atol=0.05)


def test_lessons_show_one_thing_and_say_what(sprites: Sprites) -> None:
    pictures, truth = draw_lessons(sprites, 5, [1], each=3)
    assert pictures.shape == (5, 3, 128, 128) and pictures.float().std() > 8
    assert truth.shape == (5, 4) and len(set(truth[:3, 1].tolist())) == 1


def test_held_out_prompts_name_what_training_never_shows(sprites: Sprites) -> None:
    plans = held_out_plans(sprites.things, 6, seed=1)
    assert all(held_out(plan.things[0], plan.place) and len(plan.things) == 1 for plan in plans)
    captions = captions_of(plans, sprites.things, seed=1, synonym=True)
    for plan, caption in zip(plans, captions, strict=True):
        assert any(word in caption for word in sprites.things[plan.things[0]].words[1:]), caption


def test_latents_have_mean_nought_and_deviation_one(finished: RunFolder) -> None:
    model = autoencoder_of(tiny_recipe(), finished)
    pool = np.array(np.load(finished.folder / "pool.npy"))
    with torch.no_grad():
        latents = model.encode(as_tensor(pool)).latent_dist.mode()
    assert latents.mean((0, 2, 3)).abs().max() < 1e-3
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 1e-3


def test_normalising_the_latents_leaves_the_picture_as_it_was(finished: RunFolder) -> None:
    recipe = tiny_recipe()
    before = starter.build_autoencoder(recipe.autoencoder)
    before.load_state_dict(torch.load(finished.folder / "autoencoder.pt", weights_only=True)["model"])
    after = autoencoder_of(recipe, finished)
    picture = as_tensor(np.array(np.load(finished.folder / "pool.npy")[:1]))
    with torch.no_grad():
        one, two = (m.decode(m.encode(picture).latent_dist.mode()).sample for m in (before.eval(), after))
    inner = (..., slice(48, -48), slice(48, -48))  # the zero padding of the latents is another colour now
    assert (one - two)[inner].abs().max() < 1e-3


def test_an_untrained_autoencoder_already_shows_the_colours() -> None:
    recipe = tiny_recipe()
    model = starter.build_autoencoder({**recipe.autoencoder, "block_out_channels": [8, 16, 32, 32, 64]})
    picture = torch.full((1, 3, 128, 128), -0.5)
    picture[:, 0, :, :64] = 0.6
    with torch.no_grad():
        again = model.decode(model.encode(picture).latent_dist.mode()).sample
    left, right = again[0, :, 32:96, 16:40].mean((1, 2)), again[0, :, 32:96, 88:112].mean((1, 2))
    assert left[0] - right[0] > 0.5 and (left[1:] - right[1:]).abs().max() < 0.3


def test_the_preview_map_fits_the_pictures(finished: RunFolder) -> None:
    pool = np.array(np.load(finished.folder / "pool.npy"))
    matrix, bias = latent_to_rgb(autoencoder_of(tiny_recipe(), finished), pool)
    assert np.shape(matrix) == (16, 3) and np.shape(bias) == (3,)
    assert 0 < min(bias) and max(bias) < 1


def test_every_word_is_one_token_and_any_text_can_be_read() -> None:
    tokenizer = starter.build_tokenizer(vocabulary(), 32)
    words = [word for word in vocabulary() if re.fullmatch("[a-z]+", word)]
    assert all(len(tokenizer(word).input_ids) == 3 for word in words)
    odd = tokenizer("Xylophöne 狐 🦊 $#!", padding="max_length", truncation=True).input_ids
    assert len(odd) == 32 and max(odd) < len(tokenizer)


def test_the_tokenizer_survives_saving(tmp_path: Path) -> None:
    tokenizer = starter.build_tokenizer(["red", "fox", "snow"], 16)
    tokenizer.save_pretrained(tmp_path)
    again = CLIPTokenizer.from_pretrained(tmp_path)
    text = "a red fox, in SNOW"
    assert again(text).input_ids == tokenizer(text).input_ids and again.model_max_length == 16


def test_the_card_is_valid_and_names_what_it_knows(tmp_path: Path) -> None:
    starter_card.write_card(
        tmp_path,
        things={name: THINGS[name] for name in ("fox", "car")},
        trained={"pictures": 1},
        figures={"loss": 0.5, "seen": {"thing": 0.7}},
        latent_rgb=[[0.1] * 3] * 16,
        bias=[0.5] * 3,
    )
    card = tomllib.loads((tmp_path / "card.toml").read_text())
    assert card["figures"] == {"loss": 0.5, "seen": {"thing": 0.7}}
    assert card["id"] == "starter-image" and card["tasks"] == ["text_to_image", "image_to_image", "inpaint"]
    assert {"fox", "sunset", "snow", "watercolour", "automobile"} <= set(card["knows"]["words"])
    assert "pizza" not in card["knows"]["words"] and card["knows"]["things"] == ["fox", "car"]
    assert len(card["knows"]["places"]) >= 12 and len(card["knows"]["styles"]) >= 10


def test_orthogonalised_evens_out_the_singular_values() -> None:
    matrix = torch.randn(24, 60, generator=torch.Generator().manual_seed(0)) * torch.logspace(-2, 0, 60)
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.max() < 1.4 and values.min() > 0.4


def test_the_rate_warms_up_stays_and_falls() -> None:
    rates = [rate(step, 100, 10, 0.2) for step in range(100)]
    assert rates[0] == 0.1 and rates[10:80] == [1.0] * 70 and rates[-1] == pytest.approx(0.05)


def test_a_broken_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text('id = "x"\n')
    with pytest.raises(InvalidInput, match="cannot be read"):
        Recipe.read(tmp_path / "recipe.toml")
