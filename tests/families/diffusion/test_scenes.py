"""The composer: the same seed gives the same scene, captions say what is drawn, held-out pairs stay out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from studio.families.diffusion import scenes
from studio.families.diffusion.scene_canvas import TIMES
from studio.families.diffusion.scene_latents import Part, draw_part
from studio.families.diffusion.scene_places import PLACES, SIGHTS
from studio.families.diffusion.scene_sprites import THINGS, Sprites, SpritesMissing
from studio.families.diffusion.scene_styles import LINES, STYLES
from studio.families.diffusion.scene_textures import dead_leaves
from studio.families.diffusion.scenes import compose, held_out


@pytest.fixture(scope="module")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Sprites:
    """Four drawn sprites in the layout of an upstream checkout: a fox head, a red car, a cat, a rocket."""
    folder = tmp_path_factory.mktemp("noto")
    (folder / "png" / "128").mkdir(parents=True)
    for name, colour in (("fox", "orange"), ("car", "red"), ("cat", "gold"), ("rocket", "silver")):
        picture = Image.new("RGBA", (128, 128))
        ImageDraw.Draw(picture).ellipse((10, 20, 118, 120), fill=colour)
        picture.save(folder / "png" / "128" / f"emoji_u{THINGS[name].code}.png")
    return Sprites.load(folder)


def test_the_same_seed_gives_the_same_scene(sprites: Sprites) -> None:
    first, again, other = (compose(sprites, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.caption == again.caption and np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


@pytest.mark.parametrize("place", PLACES)
def test_every_place_shows_the_thing_and_the_time(sprites: Sprites, place: str) -> None:
    day = compose(sprites, np.random.default_rng(1), thing="car", place=place, time="day", style="flat")
    assert day.pixels.shape == (256, 256, 3) and day.pixels.dtype == np.uint8
    assert day.pixels.std() > 8
    if place in ("underwater", "space", "room"):
        return
    night = compose(sprites, np.random.default_rng(1), thing="car", place=place, time="night", style="flat")
    assert night.pixels.mean() < 0.7 * day.pixels.mean()


@pytest.mark.parametrize("shape", [(320, 224), (224, 320), (352, 192), (192, 352)])
@pytest.mark.parametrize("place", [*PLACES, "blue"])
def test_a_scene_of_another_shape_holds_its_thing_once_and_whole(
    sprites: Sprites, place: str, shape: tuple[int, int]
) -> None:
    for seed in range(3):
        scene = compose(sprites, np.random.default_rng(seed), thing="rocket", place=place, style="flat", shape=shape)
        assert scene.pixels.shape == (shape[1], shape[0], 3)
        assert scene.cover.shape == (shape[1] // 16, shape[0] // 16)
        square = compose(sprites, np.random.default_rng(seed), thing="rocket", place=place, style="flat")
        larger = {"big", "large", "huge"} & set(square.caption.split())
        assert larger or scene.cover.sum() == pytest.approx(square.cover.sum(), rel=0.01)  # neither cut nor stretched
        assert len({"big", "large", "huge"} & set(scene.caption.split())) == 0 or min(shape) >= 224


def test_several_things_of_another_shape_stand_beside_each_other(sprites: Sprites) -> None:
    rng = np.random.default_rng(0)
    plans = [plan for plan in (scenes.draw_plan(rng, sprites.things) for _ in range(60)) if len(plan.things) > 1]
    for plan, shape in zip(plans, [(320, 224), (192, 352), (256, 256)] * 5, strict=False):
        canvas = scenes.scenery(plan, rng, shape)
        scenes.finish(canvas, plan, sprites)
        edges = sorted((left, left + sprite.width) for sprite, left, _ in canvas.placed)
        assert edges[0][0] >= 0 and edges[-1][1] <= shape[0]
        assert all(one[1] <= other[0] for one, other in zip(edges, edges[1:], strict=False))


def test_styles_change_the_picture_and_the_caption(sprites: Sprites) -> None:
    pictures = {
        style: compose(sprites, np.random.default_rng(3), thing="cat", place="hills", time="day", style=style)
        for style in STYLES
    }
    for style, scene in pictures.items():
        if style != "flat":
            assert any(words in scene.caption for words in STYLES[style][1]), scene.caption
            assert np.abs(scene.pixels.astype(int) - pictures["flat"].pixels).mean() > 4, style


def test_times_and_weathers_differ(sprites: Sprites) -> None:
    means = [
        compose(sprites, np.random.default_rng(2), thing="cat", place="hills", time=time, style="flat").pixels.mean(
            (0, 1)
        )
        for time in TIMES
    ]
    distances = [np.abs(a - b).max() for i, a in enumerate(means) for b in means[:i]]
    assert min(distances) > 2


def test_training_never_sees_a_held_out_pair(sprites: Sprites) -> None:
    rng = np.random.default_rng(0)
    plans = [scenes.draw_plan(rng, sprites.things) for _ in range(3000)]
    assert not any(held_out(thing, plan.place) for plan in plans for thing in plan.things)
    pairs = [(thing, place) for thing in THINGS for place in PLACES]
    assert 0.07 < sum(held_out(*pair) for pair in pairs) / len(pairs) < 0.13


def test_every_word_of_every_caption_is_known(sprites: Sprites) -> None:
    rng, known = np.random.default_rng(4), set(scenes.vocabulary())
    for _ in range(1500):
        captions = [
            scenes.describe(plan, THINGS, rng) for plan in (scenes.draw_plan(rng, THINGS), scenes.draw_sight(rng))
        ]
        for caption in captions:
            words = caption.replace(",", " ,").replace("-", " - ").split()
            assert set(words) <= known, caption
        caption = captions[0]
        assert not caption.startswith(("a a", "a e", "a i", "an b", "an uni")), caption


def test_a_share_of_a_part_are_places_in_which_nothing_stands(sprites: Sprites) -> None:
    part = draw_part(sprites, Part("part", 40, (1, 3, 0), sights=0.25))
    empty = [scene for scene in part if not scene.thing]
    assert len(empty) == 10 and all(scene.cover.max() == 0 and scene.kinds == 0 for scene in empty)
    assert all(scene.cover.max() > 0 for scene in part if scene.thing)
    assert len({scene.place for scene in empty}) > 3 and {scene.place for scene in empty} <= set(PLACES)
    for scene in empty:
        named = {word for words in SIGHTS[scene.place] for word in words.split()} - {"a", "the", "of", "an"}
        assert named & set(scene.caption.replace(",", "").split()), scene.caption


def test_a_share_of_a_part_are_drawings_in_lines(sprites: Sprites) -> None:
    by_lot, part = (draw_part(sprites, Part("part", 40, (1, 3, 0), lines=share)) for share in (0.0, 0.5))
    drawn = [sum(scene.style in LINES for scene in some) for some in (by_lot, part)]
    assert drawn[0] < 15 and 20 <= drawn[1] < 30
    assert {scene.style for scene in part} > set(LINES)


def test_synonyms_and_plurals(sprites: Sprites) -> None:
    assert "automobile" in THINGS["car"].words and "red fox" in THINGS["fox"].words
    assert [scenes.plural(word) for word in ("cat", "fox", "pony", "wolf", "sheep", "fish")] == [
        "cats",
        "foxes",
        "ponies",
        "wolves",
        "sheep",
        "fish",
    ]


def test_a_tint_moves_the_hue_only(sprites: Sprites) -> None:
    red, blue = (np.asarray(sprites.get("car", colour, 64)).astype(int) for colour in ("red", "blue"))
    middle = (32, 32)
    assert red[middle][0] > 200 > red[middle][2] and blue[middle][2] > 200 > blue[middle][0]
    assert np.array_equal(red[..., 3], blue[..., 3])


def test_a_folder_without_sprites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpritesMissing, match="no sprites"):
        Sprites.load(tmp_path)


def test_dead_leaves_have_edges_and_colours() -> None:
    picture = dead_leaves(np.random.default_rng(0)).astype(int)
    assert picture.shape == (256, 256, 3)
    assert picture.std() > 10 and np.abs(np.diff(picture, axis=0)).mean() > 1
