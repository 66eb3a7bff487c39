"""The recipe of starter-shape end to end at tiny size: stop and resume, export, shapes from words, figures."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from studio.errors import InvalidInput
from studio.families.shapes import measures
from studio.families.shapes.autoencoder import AutoencoderConfig, grid_points, outer_radii
from studio.families.shapes.cabinet import TRAIN, Cabinet, as_shares, distances, fill, ranges
from studio.families.shapes.figures import meshes, reconstruction
from studio.families.shapes.modelled import NAMES, nth
from studio.families.shapes.prior import PriorConfig
from studio.families.shapes.recipe import AutoencoderTraining, JudgeTraining, PriorTraining, Recipe, Shapes
from studio.families.shapes.starter import load_model, together
from studio.families.shapes.train import (
    LEGS,
    Leads,
    distance_loss,
    export,
    overlap,
    section_loss,
    sections_of,
    some_points,
    train_autoencoder,
    train_judge,
    train_prior,
    wishes_of,
)
from studio.families.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[3]
STARTER = ROOT / "assets" / "models" / "starter-shape"


def tiny_recipe() -> Recipe:
    """The shipped recipe with every size cut down; the same code runs."""
    return replace(
        Recipe.read(ROOT / "presets" / "recipes" / "starter-shape.toml"),
        shapes=Shapes(train=24, held_out=12, part=12),
        autoencoder=AutoencoderConfig(24, 16, (16, 16), (16, 16), 8, 16),
        autoencoder_training=AutoencoderTraining(
            4, 4, 64, 32, 1e-3, 1, 0.5, 1e-5, 0.1, 0.2, sheet_every=4, save_every=3
        ),
        prior=PriorConfig(32, 1, 16, 12),
        prior_training=PriorTraining(6, 8, 1e-3, 1, 0.5, 0.9, save_every=4),
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
    run, recipe = RunFolder(tmp_path_factory.mktemp("shapes")), tiny_recipe()
    for stage in (fill, train_autoencoder, train_prior, train_judge):
        assert stage(recipe, run)
    export(recipe, run, run.folder / "model")
    return run


@pytest.mark.parametrize(
    ("stage", "name"), [(train_autoencoder, "autoencoder.pt"), (train_prior, "prior.pt")], ids=["autoencoder", "prior"]
)
def test_a_stopped_training_resumes_to_the_same_weights(stage, name: str, finished: RunFolder, tmp_path: Path) -> None:
    recipe = tiny_recipe()
    (tmp_path / "shapes").symlink_to(finished.folder / "shapes")
    if name == "prior.pt":
        (tmp_path / "autoencoder.pt").symlink_to(finished.folder / "autoencoder.pt")
    assert not stage(recipe, StopsAfter(tmp_path, 2))
    assert stage(recipe, RunFolder(tmp_path))
    first, second = (torch.load(path / name, weights_only=True)["model"] for path in (finished.folder, tmp_path))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_export_makes_shapes_from_words_and_attributes(finished: RunFolder) -> None:
    model = load_model(finished.folder / "model")
    wishes = together([model.wish("a tall slim ribbed vase"), model.wish(kind="mug", shares={"height": 0.9})])
    latents = model.latents(wishes, [1, 2], steps=2)
    assert torch.equal(latents, model.latents(wishes, [1, 2], steps=2))
    grids = model.autoencoder.decode(latents, 20)
    assert grids.shape == (2, 20, 20, 20) and grids.abs().max() <= model.autoencoder.config.reach + 1e-6
    with pytest.raises(InvalidInput, match="colour"):
        model.wish(shares={"colour": 1.0})
    card = tomllib.loads((finished.folder / "model" / "card.toml").read_text("utf-8"))
    assert card["family"] == "shapes" and len(card["knows"]["kinds"]) == len(NAMES)


def test_decoding_coarse_to_fine_is_decoding_everywhere() -> None:
    """Where the coarse grid is surely in or out nothing finer is read; the insides agree with a full reading."""
    model = load_model(STARTER)
    reader = model.autoencoder
    torch.manual_seed(3)
    with torch.no_grad():
        latents = model.prior.mean + model.prior.spread * torch.randn(3, reader.config.latent)
        made = reader.decode(latents, 32) < 0
        for grid, planes, latent in zip(made, reader.decoder.planes(latents).split(1), latents.split(1), strict=True):
            full = reader.decoder(planes, grid_points(32)[None], latent)[0].view(32, 32, 32) < 0
            assert full.any() and (grid == full).float().mean() > 0.999


def test_figures_are_measured_of_the_shipped_model() -> None:
    """What the tests train in a minute makes nothing solid."""
    model = load_model(STARTER)
    made, read = meshes(model, 4), reconstruction(model, 6)
    assert made["watertight"] == 1.0 and made["one_piece"] == 1.0
    assert float(str(read["reconstruction_iou"])) > 0.9


def test_shares_run_from_the_usual_least_to_the_usual_greatest(finished: RunFolder) -> None:
    cabinet = Cabinet.read(finished.folder / "shapes", "train")
    shares = as_shares(cabinet.attributes, cabinet.kinds, ranges(cabinet))
    assert np.nanmin(shares) > -0.6 and np.nanmax(shares) < 1.6
    assert (np.isnan(shares) == np.isnan(cabinet.attributes)).all()


def test_half_of_the_wishes_are_led_by_an_attribute_that_the_shape_has(finished: RunFolder) -> None:
    cabinet = Cabinet.read(finished.folder / "shapes", "train")
    shares = as_shares(cabinet.attributes, cabinet.kinds, ranges(cabinet))
    rng = np.random.default_rng(1)
    rows, led = Leads(cabinet.kinds, shares).draw(rng, 200)
    asked = led >= 0
    assert asked.sum() == 100 and len(set(led[asked])) > 3
    assert (np.abs(shares[rows[asked], led[asked]] - 0.5) > 0.15).all()
    wishes = wishes_of(rng, cabinet.kinds[rows], shares[rows], cabinet.attributes[rows, LEGS], 12, led)
    told = wishes.attributes.numpy()[asked, led[asked]]
    there = ~np.isnan(told)
    assert 70 < there.sum() < 100  # one in ten wishes is dropped whole
    sides = np.sign(shares[rows[asked], led[asked]] - 0.5)
    assert (np.sign(told[there]) == sides[there]).all()


def test_a_section_turns_what_is_read_with_the_height(finished: RunFolder) -> None:
    decoder = load_model(finished.folder / "model").autoencoder.decoder
    latent, turn = torch.randn(1, decoder.style[0].in_features, generator=torch.Generator().manual_seed(3)), 1.0
    points = torch.tensor([[[0.4, 0.6, 0.1], [0.2, -0.4, 0.5]]])
    planes = decoder.planes(latent)  # plan, front and side know nothing of the axis
    planes = torch.cat([torch.zeros_like(planes[:, :3]), planes[:, 3:]], 1)
    found = []
    with torch.no_grad():
        for turned in (0.0, turn):
            decoder.embed_section.weight.zero_()
            decoder.embed_section.bias.zero_()
            decoder.embed_section.bias[0] = turned / 10
            angles = -turned / 2 * points[..., 1]  # places turned back by what the section turns them
            x, z = points[..., 0], points[..., 2]
            back = (x * angles.cos() - z * angles.sin(), points[..., 1], x * angles.sin() + z * angles.cos())
            turns, depths = decoder.section(decoder.style(latent))
            assert turns.item() == pytest.approx(turned) and not depths.any()
            told, features = decoder.found(planes, torch.stack(back, -1), turns, depths)[0], decoder.features
            found.append(torch.cat([told[:, 3 * features : 6 * features], told[:, -24:]], 1))
    ours, theirs = found
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_the_encoder_sees_the_same_rim_as_the_measures(finished: RunFolder) -> None:
    grids = distances(Cabinet.read(finished.folder / "shapes", "held_out").grids[:6])
    seen = outer_radii(torch.from_numpy(grids)).numpy()
    for grid, radii in zip(grids, seen, strict=True):
        assert np.allclose(radii, measures.outer_radii(grid), atol=1e-5)


def test_sections_are_those_that_were_modelled(finished: RunFolder) -> None:
    sections = sections_of([tiny_recipe().seed, TRAIN], 240)
    ribbed = [i for i in range(240) if nth([tiny_recipe().seed, TRAIN], i).params.get("ribs")]
    assert 20 < len(ribbed) < 200 and (sections.any(1) == np.isin(np.arange(240), ribbed)).all()
    params = nth([tiny_recipe().seed, TRAIN], ribbed[0]).params
    row = torch.from_numpy(sections[ribbed[:1]])
    assert row[0, int(params["ribs"]) - 1] == pytest.approx(params["depth"])
    assert section_loss(row[:, 0], row[:, 1:], row) == 0 < section_loss(row[:, 0], row[:, 1:] * 0, row)
    smooth = torch.zeros(1, row.shape[1])
    assert section_loss(torch.ones(1), smooth[:, 1:], smooth) == 0, "without ribs any turn is right"


def test_the_distance_loss_asks_only_for_the_side_beyond_its_reach() -> None:
    truth = torch.tensor([1.0, -1.0, 0.5])
    assert distance_loss(torch.tensor([3.0, -2.0, 0.5]), truth) == 0
    assert distance_loss(torch.tensor([-1.0, 1.0, 0.5]), truth) > 1


def test_points_lie_near_the_surface_with_their_distances() -> None:
    grid = np.full((1, 8, 8, 8), 127, np.int8)
    grid[0, 3:5, 3:5, 3:5] = -20
    points, values = some_points(np.random.default_rng(0), grid, 50, 10, 0.12)
    assert points.shape == (1, 60, 3) and (values[0, :50] < 0).all() and values.max() <= 1
    assert np.abs(points[0, :50]).max() < 0.3


def test_overlap_is_one_for_the_same_and_nothing_for_the_apart() -> None:
    one, other = np.ones((1, 4, 4, 4), np.float32), np.ones((1, 4, 4, 4), np.float32)
    one[0, 0], other[0, 1] = -1, -1
    assert overlap(one, one)[0] == 1 and overlap(one, other)[0] == 0
