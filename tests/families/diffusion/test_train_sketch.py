"""A ControlNet that learns drawings, at tiny size: its data, stop and resume, export, and use by the picture tasks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from studio.errors import InvalidInput
from studio.families.diffusion.controlnet_folders import read_controlnet, steers
from studio.families.diffusion.controlnets import open_controlnet
from studio.families.diffusion.scene_drawings import by_hand, compose_drawn
from studio.families.diffusion.scene_sprites import THINGS, Sprites
from studio.families.diffusion.scenes import compose, draw_plan
from studio.families.diffusion.train_sketch import (
    CHECKPOINT,
    Base,
    DrawnScenes,
    SketchRecipe,
    SketchTraining,
    export,
    train_sketch,
)
from studio.families.training.run_folder import RunFolder
from studio.families.training.starter_card import keep_cost_of
from tests.families.diffusion import tiny
from tests.families.diffusion.listener import CPU

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Sprites:
    folder = tmp_path_factory.mktemp("sprites")
    for name, colour in (("fox", "orange"), ("car", "red"), ("cat", "gold")):
        picture = Image.new("RGBA", (128, 128))
        ImageDraw.Draw(picture).rectangle((20, 20, 108, 120), fill=colour)
        picture.save(folder / f"emoji_u{THINGS[name].code}.png")
    return Sprites.load(folder)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tiny.build("sd", tmp_path_factory.mktemp("base") / "sd", widths=(8, 8, 8, 8, 8))
    (folder / "card.toml").write_text('[knows]\nthings = ["fox", "car", "cat"]\n', "utf-8")
    return Base(folder)


def tiny_recipe() -> SketchRecipe:
    whole = SketchRecipe.read(ROOT / "presets" / "recipes" / "starter-sketch.toml")
    small = SketchTraining(3, 2, 1, 2, 1, 3, 2, 1e-3, 1, 0.5, 0.9, 0.5, 0.5, look_every=3, save_every=10)
    return replace(whole, controlnet={"conditioning_embedding_out_channels": [2, 2, 4, 4, 4]}, training=small)


class StopsAfter(RunFolder):
    """A run folder whose user wishes it to stop after some steps."""

    def __init__(self, folder: Path, steps: int) -> None:
        super().__init__(folder)
        self.left = steps

    def should_stop(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.fixture(scope="module")
def finished(base: Base, sprites: Sprites, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(tmp_path_factory.mktemp("run"))
    assert train_sketch(tiny_recipe(), run, sprites, base)
    return run


def test_a_drawing_follows_the_rims_of_its_things(sprites: Sprites) -> None:
    plan = draw_plan(np.random.default_rng(1), sprites.things, thing="fox", place="white", alone=True)
    scene = compose_drawn(sprites, np.random.default_rng(2), plan)
    orange = (scene.pixels[..., 0] > 180) & (scene.pixels[..., 2] < 90)
    rim = binary_dilation(orange, iterations=3) & ~np.asarray(orange)
    assert 300 < scene.lines.sum() < 4000
    assert (scene.lines & binary_dilation(rim, iterations=4)).sum() > 0.6 * scene.lines.sum()
    assert scene.caption and scene.pixels.shape == (256, 256, 3)


def test_the_same_chance_draws_the_same_and_hands_differ(sprites: Sprites) -> None:
    one, same = (compose_drawn(sprites, np.random.default_rng(5)) for _ in range(2))
    assert (one.pixels == same.pixels).all() and (one.lines == same.lines).all() and one.caption == same.caption
    line = np.zeros((256, 256), bool)
    line[128, 40:200] = True
    drawn = [by_hand(line, np.random.default_rng(k)) for k in range(12)]
    assert len({int(each.sum()) for each in drawn}) > 8
    assert all((each.nonzero()[0] >= 118).all() and (each.nonzero()[0] <= 138).all() for each in drawn)


def test_drawings_leave_the_composers_scenes_as_they_were(sprites: Sprites) -> None:
    before = compose(sprites, np.random.default_rng(9)).pixels
    compose_drawn(sprites, np.random.default_rng(9))
    assert (compose(sprites, np.random.default_rng(9)).pixels == before).all()


def test_parts_of_the_data_appear_at_fixed_steps(base: Base, sprites: Sprites, finished: RunFolder) -> None:
    recipe = tiny_recipe()
    assert [recipe.training.parts_at(step) for step in range(6)] == [1, 1, 2, 2, 2, 2]
    assert {path.name for path in (finished.folder / "drawn").iterdir()} == {
        "held_out.npz",
        "part_0000.npz",
        "part_0001.npz",
    }
    data = DrawnScenes(recipe, finished, base, sprites)
    latents, tokens, drawings = data.batch(3)
    again = data.batch(3)
    assert torch.equal(latents, again[0]) and torch.equal(tokens, again[1]) and torch.equal(drawings, again[2])
    assert latents.shape == (2, 4, 16, 16) and drawings.shape == (2, 3, 256, 256)
    assert set(drawings.unique().tolist()) <= {0.0, 1.0}


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    base: Base, sprites: Sprites, finished: RunFolder, tmp_path: Path
) -> None:
    recipe = tiny_recipe()
    assert not train_sketch(recipe, StopsAfter(tmp_path, 2), sprites, base)
    kept = RunFolder(tmp_path)
    state = kept.load(CHECKPOINT)
    assert state and state["step"] == 2
    assert train_sketch(recipe, kept, sprites, base)
    whole, resumed = finished.load(CHECKPOINT), kept.load(CHECKPOINT)
    assert whole and resumed
    for part in ("model", "average"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items()), part
    lines = [line for line in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines() if '"held_out"' in line]
    assert len(lines) == 1 and '"without_drawing"' in lines[0]
    assert (tmp_path / "sketch_000003.png").is_file()


def test_what_is_exported_steers_its_base(base: Base, finished: RunFolder, tmp_path: Path) -> None:
    export(tiny_recipe(), finished, base, tmp_path / "mine")
    found = read_controlnet(tmp_path / "mine")
    assert steers(found, Path(base.pipe.config["_name_or_path"]))
    assert (found.id, found.base, found.kind, found.start) == ("starter-sketch", "starter-image", "scribble", 0.85)
    assert found.card["trained"]["steps"] == 3 and found.card["trained"]["pictures"] == 6
    net = open_controlnet(tmp_path / "mine", CPU)
    assert next(net.parameters()).dtype == torch.float32
    config = (tmp_path / "mine" / "config.json").read_text("utf-8")
    assert "_name_or_path" not in config and "/" not in config
    with pytest.raises(InvalidInput, match="no ControlNet"):
        export(tiny_recipe(), RunFolder(tmp_path / "empty"), base, tmp_path / "other")


def test_training_goes_on_from_a_finished_model(
    base: Base, sprites: Sprites, finished: RunFolder, tmp_path: Path
) -> None:
    recipe = tiny_recipe()
    export(recipe, finished, base, tmp_path / "first")
    still, run = replace(recipe, training=replace(recipe.training, lr=0.0)), RunFolder(tmp_path / "run")
    keep_cost_of(tmp_path / "first", run)
    assert train_sketch(still, run, sprites, base, tmp_path / "first")
    export(recipe, run, base, tmp_path / "second")
    first, second = (open_controlnet(tmp_path / name, CPU).state_dict() for name in ("first", "second"))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    trained = read_controlnet(tmp_path / "second").card["trained"]
    assert (trained["steps"], trained["before"]["steps"]) == (3, 3)


def test_a_damaged_recipe_is_named(tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('id = "x"\n', "utf-8")
    with pytest.raises(InvalidInput, match="cannot be read"):
        SketchRecipe.read(tmp_path / "wrong.toml")
