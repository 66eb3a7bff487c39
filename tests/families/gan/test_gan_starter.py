"""The recipe of starter-gan end to end at tiny size: drawings, losses' signs, stop and resume, export, figures."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from studio.errors import InvalidInput
from studio.families.gan.drawn import CLASSES, as_planes, as_rgba, drawing, drawings
from studio.families.gan.figures import measure
from studio.families.gan.losses import critic_loss, generator_loss, slope
from studio.families.gan.networks import Critic, GanConfig
from studio.families.gan.recipe import Drawings, GanTraining, JudgeTraining, Recipe, VaeTraining
from studio.families.gan.starter import load_model
from studio.families.gan.train import draw_all, export, train_gan, train_judge, train_vae
from studio.families.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[3]
SIZES = GanConfig(side=16, latent=8, style=16, channels=(16, 8), trunk=(8, 16))


def tiny_recipe() -> Recipe:
    """The shipped recipe with every size cut down; the same code runs."""
    return replace(
        Recipe.read(ROOT / "presets" / "recipes" / "starter-gan.toml"),
        drawings=Drawings(train=32, held_out=32, part=16),
        model=SIZES,
        vae_training=VaeTraining(4, 4, 1e-3, 1, 0.5, 1e-4, sheet_every=4, save_every=3),
        gan_training=GanTraining(6, 4, 1e-3, 1e-3, 1, 1.0, 0.5, 1.0, 2, 0.9, sheet_every=6, save_every=4),
        judge_training=JudgeTraining(3, 8, 1e-3),
    )


class StopsAfter(RunFolder):
    """A run folder whose user wishes to stop after some steps."""

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder)
        self.left = steps

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that went through every stage without a stop."""
    run, recipe = RunFolder(tmp_path_factory.mktemp("gan")), tiny_recipe()
    for stage in (draw_all, train_vae, train_gan, train_judge):
        assert stage(recipe, run)
    export(recipe, run, run.folder / "model")
    return run


def same_weights(one: Path, other: Path) -> bool:
    first, second = (torch.load(path, weights_only=True)["model"] for path in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("stage", "name"), [(train_vae, "vae.pt"), (train_gan, "gan.pt")])
def test_a_stopped_training_resumes_to_the_same_weights(stage, name: str, finished: RunFolder, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    (tmp_path / "drawings").symlink_to(finished.folder / "drawings")
    if name == "gan.pt":
        (tmp_path / "vae.pt").symlink_to(finished.folder / "vae.pt")
    assert not stage(recipe, StopsAfter(tmp_path, 2))
    assert stage(recipe, RunFolder(tmp_path))
    assert same_weights(finished.folder / name, tmp_path / name)


def test_the_export_draws_and_mixes(finished: RunFolder) -> None:
    model = load_model(finished.folder / "model")
    latents, classes = torch.randn(2, SIZES.latent), torch.tensor([0, 9])
    with torch.no_grad():
        styles = model.generator.styles(latents, classes)
        assert torch.equal(model.generator.draw(styles), model.generator(latents, classes))
        mixed = styles.clone()
        mixed[0, 1:] = styles[1, 1:]
        assert not torch.equal(model.generator.draw(mixed)[0], model.generator.draw(styles)[0])
        assert model.judge(model.generator.draw(mixed)).shape == (2, len(CLASSES))
    card = tomllib.loads((finished.folder / "model" / "card.toml").read_text("utf-8"))
    assert card["family"] == "gan" and len(card["knows"]["characters"]) >= 6 <= len(card["knows"]["landscapes"])


def test_the_figures_are_measured_from_the_export(finished: RunFolder) -> None:
    figures = measure(finished.folder / "model", many=32)
    assert set(figures) >= {"kid", "kid_floor", "kid_vae", "class_recognised", "recall", "pictures_a_second"}


def test_losses_have_the_right_sign() -> None:
    """The critic gains where real pictures score above made ones, the generator where it is the other way round."""
    high, low = torch.tensor([2.0, 3.0]), torch.tensor([-2.0, -1.0])
    assert critic_loss(high, low) < critic_loss(low, high)
    assert generator_loss(low, high) < generator_loss(high, low)


def test_slopes_reach_the_critics_weights() -> None:
    critic, pictures = Critic(SIZES, 3), torch.randn(2, 4, 16, 16)
    steep = slope(critic, pictures, torch.tensor([0, 2]))
    steep.backward()
    weight = next(critic.trunk.parameters())
    assert steep > 0 and weight.grad is not None and weight.grad.abs().sum() > 0


def test_drawings_repeat_and_survive_the_way_into_planes_and_back() -> None:
    assert np.array_equal(drawing([1], 5, 32), drawing([1], 5, 32))
    pictures = drawings([1], 0, len(CLASSES), 32)
    assert (pictures[:8, 0, 0, 3] == 0).all() and (pictures[8:, ..., 3] == 255).all()
    again = as_rgba(as_planes(pictures))
    solid = pictures[..., 3] > 128
    assert np.abs(again[solid].astype(int) - pictures[solid].astype(int)).max() <= 4


def test_a_recipe_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("id = 3\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="bad.toml"):
        Recipe.read(tmp_path / "bad.toml")


def test_a_fresh_critic_scores_pictures_apart() -> None:
    """With torch's own start all scores are one number, and the critic never learns."""
    pictures = torch.from_numpy(as_planes(drawings([1, 5], 0, 16, 64)))
    torch.manual_seed(0)
    with torch.no_grad():
        scores = Critic(GanConfig(), len(CLASSES))(pictures, torch.zeros(16, dtype=torch.long))
    assert scores.std() > 0.05
