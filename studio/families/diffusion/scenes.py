"""The composer: captioned scenes of openly licensed sprites in procedural places, times, styles, of 256 x 256 pixels
or another shape.

It draws and describes; it knows no model. The same random generator state gives the same scene.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from studio.families.diffusion.scene_canvas import SIZE, TIMES, Canvas, rgb, weather
from studio.families.diffusion.scene_places import BACKGROUNDS, PLACES, SIGHTS, backdrop
from studio.families.diffusion.scene_sprites import COLOURS, THINGS, Sprites, Thing
from studio.families.diffusion.scene_styles import STYLES

SIZES = {"tiny": 64, "small": 96, "": 128, "big": 192, "huge": 224}
GRID = 32  # pixels: sizes and corners are multiples of it, so that a thing always has the same latents
CELL = 16  # pixels of a latent's side
SQUARE = (SIZE, SIZE)
NUMBERS = {2: "two", 3: "three"}


@dataclass(frozen=True)
class Scene:
    """A finished picture (height, width, 3) uint8 and all that was decided about it."""

    pixels: np.ndarray
    caption: str
    thing: str
    place: str
    time: str
    style: str
    kinds: int = 1  # how many different things stand in it; `thing` is the first, "" where there is none
    cover: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))  # see `covered`


def held_out(thing: str, place: str) -> bool:
    """Whether this pair is kept from training: one in ten, the same on every machine."""
    return hashlib.sha1(f"{thing}/{place}".encode()).digest()[0] % 10 == 0


@dataclass(frozen=True)
class Plan:
    """What a scene shall show; every choice is made before a pixel is drawn."""

    things: tuple[str, ...]  # none in a scene of a place alone
    colours: tuple[str, ...]
    size: str
    relation: str  # "", "and", "left of", "right of", "next to", "same"
    place: str  # a key of PLACES, or a colour of BACKGROUNDS
    time: str
    style: str

    def shown(self, pixels: np.ndarray, caption: str, cover: np.ndarray) -> Scene:
        """The scene that it became."""
        first = self.things[0] if self.things else ""
        return Scene(pixels, caption, first, self.place, self.time, self.style, len(set(self.things)), cover)


def draw_plan(
    rng: np.random.Generator,
    things: dict[str, Thing],
    *,
    thing: str = "",
    place: str = "",
    time: str = "",
    style: str = "",
    alone: bool = False,
) -> Plan:
    """Choose a scene. What is named is kept; a held-out pair comes only if thing and place are both named.

    With `alone` one thing of the usual size, as the first part of the training has them.
    """
    names = list(things)
    free_pair = bool(thing and place)
    while True:
        first = thing or str(rng.choice(names))
        where = place or str(rng.choice(list(PLACES)) if rng.random() < 0.84 else rng.choice(list(BACKGROUNDS)))
        relation = (
            ""
            if thing or alone
            else str(
                rng.choice(
                    ["", "same", "and", "next to", "left of", "right of"],
                    p=[0.64, 0.06, 0.12, 0.06, 0.06, 0.06],
                )
            )
        )
        others = {"": (), "same": (first,) * (1 if rng.random() < 0.75 else 2)}.get(relation, (str(rng.choice(names)),))
        chosen = (first, *others)
        if free_pair or not any(held_out(name, where) for name in chosen):
            break
    colours = tuple(
        str(rng.choice(list(COLOURS))) if things[name].tint and rng.random() < 0.3 else "" for name in chosen
    )
    if relation == "same":
        colours = colours[:1] * len(chosen)
    usual = bool(relation or alone)
    size = "" if usual else str(rng.choice(list(SIZES), p=[0.03, 0.04, 0.84, 0.06, 0.03]))
    when = time if time and not _timeless(where) else _draw_time(rng, where)
    return Plan(chosen, colours, size, relation, where, when, style or _draw_style(rng))


def draw_sight(rng: np.random.Generator) -> Plan:
    """Choose a scene of a place in which nothing stands."""
    place = str(rng.choice(list(PLACES)))
    return Plan((), (), "", "", place, _draw_time(rng, place), _draw_style(rng))


def _timeless(place: str) -> bool:
    return place in BACKGROUNDS or place in ("underwater", "space")


def _draw_time(rng: np.random.Generator, place: str) -> str:
    return "day" if _timeless(place) else str(rng.choice(list(TIMES), p=[0.3, 0.2, 0.1, 0.18, 0.08, 0.07, 0.07]))


def _draw_style(rng: np.random.Generator) -> str:
    looks = list(STYLES)
    return str(rng.choice(looks, p=[0.68] + [0.32 / (len(looks) - 1)] * (len(looks) - 1)))


def article(words: str) -> str:
    if _is_plural(words):
        return "some " + words
    return ("an " if words[0] in "aeiou" and not words.startswith(("ufo", "uni")) else "a ") + words


def _is_plural(words: str) -> bool:
    """Whether a name is one already: cherries, books, gloves; but not cactus, dress, bus."""
    return words.endswith("s") and not words.endswith(("ss", "us"))


IRREGULAR = {"mouse": "mice", "wolf": "wolves", "goose": "geese", "tooth": "teeth"}
UNCHANGED = ("sheep", "fish", "deer", "moose")


def plural(words: str) -> str:
    """Several of a thing: "red fox" -> "red foxes"."""
    head, space, last = words.rpartition(" ")
    if _is_plural(last) or last.endswith(UNCHANGED):
        return words
    if last in IRREGULAR:
        return head + space + IRREGULAR[last]
    if last.endswith(("s", "x", "ch", "sh")):
        return words + "es"
    if last.endswith("y") and last[-2] not in "aeiou":
        return words[:-1] + "ies"
    return words + "s"


def describe(plan: Plan, things: dict[str, Thing], rng: np.random.Generator) -> str:
    """One of many ways to say a plan in words."""
    when = "" if _timeless(plan.place) else str(rng.choice(TIMES[plan.time].words))
    if not plan.things:
        return _in_style(_sight(plan, when, rng), plan.style, rng)
    subject = _subject(plan, things, rng)
    if plan.place in BACKGROUNDS:
        where = str(rng.choice([f"on {article(plan.place)} background", f"on a plain {plan.place} background"]))
    else:
        where = _pick(PLACES[plan.place][1], rng)
    parts = " ".join(part for part in (subject, where, when) if part)
    if rng.random() < 0.12:
        parts = ", ".join(part for part in (subject, where, when) if part)
    elif when.startswith("at ") and rng.random() < 0.1:
        parts = f"{when}, {subject} {where}"
    return _in_style(parts, plan.style, rng)


def _pick(words: tuple[str, ...], rng: np.random.Generator) -> str:
    """The usual one of several names, or any."""
    return words[0] if rng.random() < 0.6 else str(rng.choice(words))


def _subject(plan: Plan, things: dict[str, Thing], rng: np.random.Generator) -> str:
    """What stands in the scene: a big red car, a cat to the left of a dog, two foxes."""
    names = [
        f"{colour} {_pick(things[name].words, rng)}".strip()
        for name, colour in zip(plan.things, plan.colours, strict=True)
    ]
    if plan.relation == "same":
        return f"{NUMBERS[len(names)]} {plural(names[0])}"
    if plan.relation:
        link = plan.relation
        if link in ("left of", "right of"):
            link = str(rng.choice([link, "to the " + link]))
        return f"{article(names[0])} {link} {article(names[1])}"
    size = str(rng.choice(["big", "large"])) if plan.size == "big" else plan.size
    return article(f"{size} {names[0]}".strip())


def _sight(plan: Plan, when: str, rng: np.random.Generator) -> str:
    """A place with nothing in it: a mountain landscape at night, sunset over the sea."""
    sight = str(rng.choice(SIGHTS[plan.place]))
    if plan.place != "room" and when in ("at sunset", "at sunrise", "at dawn") and rng.random() < 0.35:
        return f"{when.removeprefix('at ')} over {sight}"
    if rng.random() < 0.12:
        sight = f"a view of {sight}"
    return " ".join(part for part in (sight, when) if part)


def _in_style(words: str, style: str, rng: np.random.Generator) -> str:
    if style == "flat" and rng.random() < 0.85:
        return words
    look = _pick(STYLES[style][1], rng)
    return f"{article(look)} of {words}" if rng.random() < 0.35 and style not in ("neon",) else f"{words}, {look}"


def paint(plan: Plan, sprites: Sprites, rng: np.random.Generator, shape: tuple[int, int] = SQUARE) -> np.ndarray:
    """Draw a plan in `shape` (width, height): (height, width, 3) uint8."""
    return finish(scenery(plan, rng, shape), plan, sprites)


def scenery(plan: Plan, rng: np.random.Generator, shape: tuple[int, int] = SQUARE) -> Canvas:
    """The place of a plan at its time, still empty; `shape` is width and height, multiples of GRID."""
    canvas = Canvas(rng, TIMES[plan.time])
    if plan.place in BACKGROUNDS:
        backdrop(canvas, plan.place)
    else:
        PLACES[plan.place][0](canvas)
    canvas.reframe(*shape)
    return canvas


def finish(canvas: Canvas, plan: Plan, sprites: Sprites) -> np.ndarray:
    """Put the things of a plan on its scenery, then weather and style: (height, width, 3) uint8."""
    rng = canvas.rng
    count = len(plan.things)
    pixels = SIZES[plan.size] if count < 3 else 64
    if count == 1:
        room = (canvas.width - pixels) // GRID
        lefts = [GRID * int(rng.choice([room // 2, (room + 1) // 2, min(1, room), max(room - 1, 0)]))]
    elif count == 2:
        pixels = min(pixels, canvas.width // 2 // GRID * GRID)
        margin = GRID * round((canvas.width - 2 * pixels) / 3 / GRID)
        lefts = [margin, canvas.width - margin - pixels]
    else:
        step = (canvas.width - pixels) // 2 // GRID * GRID
        lefts = [0, step, 2 * step]
    if plan.relation == "right of":
        lefts = lefts[::-1]
    standing = GRID * round((canvas.ground + int(rng.choice([-4, 4, 12]))) / GRID)
    for i in range(count):
        sprite = sprites.get(plan.things[i], plan.colours[i], pixels)
        place_thing(canvas, sprite, lefts[i], standing, sprites.things[plan.things[i]])
    weather(canvas)
    styled = STYLES[plan.style][0](np.clip(canvas.pixels, 0, 1), rng)
    return (np.clip(styled, 0, 1) * 255 + 0.5).astype(np.uint8)


def place_thing(
    canvas: Canvas, sprite: Image.Image, left: int, standing: int, thing: Thing, bottom: int | None = None
) -> None:
    """Put one square sprite on the canvas, with the shadow, reflection and light that its footing asks for.

    `left` is its left edge, `standing` the row on which things stand, both in pixels; with `bottom` it ends in that
    row wherever the others stand.
    """
    rng, size = canvas.rng, sprite.width
    middle, halfway = left + size / 2, GRID * round(canvas.height / 2 / GRID)
    floats = canvas.footing in ("float", "plain")
    hover = 0
    if bottom is None and thing.flies and canvas.footing in ("ground", "water") and size <= 128 and rng.random() < 0.75:
        hover = max(0, min(2 * GRID, standing - size))
    if bottom is None:
        bottom = halfway + GRID * round(size / 2 / GRID) if floats else standing - hover + (GRID if size > 180 else 0)
    top = bottom - size
    canvas.placed.append((sprite, left, top))
    if not floats or canvas.footing == "plain":
        _shadow(canvas, middle, bottom - size * 0.04 + hover, size, 0.34 if canvas.footing != "water" else 0.2)
    pixels = np.asarray(sprite, np.float32) / 255
    light = np.ones(3, np.float32) if canvas.footing == "plain" else rgb(canvas.time.light) * 0.64 + 0.36
    if canvas.footing == "float":
        light = light * (np.array([0.82, 0.95, 1.0], np.float32))
    if canvas.footing == "water":
        _reflection(canvas, pixels, left, int(bottom - size * 0.08) + 2 * hover)
    _blend(canvas, pixels[..., :3] * light, pixels[..., 3:], left, top)


def _blend(canvas: Canvas, colour: np.ndarray, cover: np.ndarray, left: int, top: int) -> None:
    """Alpha-composite a patch whose corner may lie outside the canvas."""
    height, width = cover.shape[:2]
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, canvas.width), min(top + height, canvas.height)
    if x0 >= x1 or y0 >= y1:
        return
    inner = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    target = canvas.pixels[y0:y1, x0:x1]
    target += cover[inner] * (colour[inner] - target)


def _shadow(canvas: Canvas, x: float, y: float, size: int, strength: float) -> None:
    first = max(int(y - size * 0.2), 0)
    row, column = np.mgrid[first : min(int(y + size * 0.2) + 4, canvas.height), 0 : canvas.width].astype(np.float32)
    away = ((column - x) / (size * 0.42)) ** 2 + ((row - y) / (size * 0.075 + 2)) ** 2
    canvas.pixels[first : first + len(row)] *= 1 - (strength * np.exp(-(away**1.5)))[..., None]


def _reflection(canvas: Canvas, pixels: np.ndarray, left: int, top: int) -> None:
    """The thing upside down in the water, squeezed, rippled and fading."""
    mirrored = pixels[::-1][::2]
    height = mirrored.shape[0]
    shifts = np.round(2.5 * np.sin(np.arange(height) * 0.9)).astype(int)
    mirrored = np.stack([np.roll(line, shift, 0) for line, shift in zip(mirrored, shifts, strict=True)])
    fade = np.linspace(0.5, 0.05, height, dtype=np.float32)[:, None, None]
    _blend(canvas, mirrored[..., :3] * rgb(canvas.time.light) * 0.8, mirrored[..., 3:] * fade, left, top)


def compose(
    sprites: Sprites,
    rng: np.random.Generator,
    *,
    thing: str = "",
    place: str = "",
    time: str = "",
    style: str = "",
    alone: bool = False,
    shape: tuple[int, int] = SQUARE,
) -> Scene:
    """One captioned scene of `shape` (width, height); every part that is not named is drawn by chance."""
    plan = draw_plan(rng, sprites.things, thing=thing, place=place, time=time, style=style, alone=alone)
    return composed(plan, sprites, rng, shape)


def composed(plan: Plan, sprites: Sprites, rng: np.random.Generator, shape: tuple[int, int] = SQUARE) -> Scene:
    """A plan in words and pixels; what would not fit into the shape is of the usual size."""
    if SIZES[plan.size] > min(shape) - GRID:
        plan = replace(plan, size="")
    caption = describe(plan, sprites.things, rng)
    canvas = scenery(plan, rng, shape)
    pixels = finish(canvas, plan, sprites)
    return plan.shown(pixels, caption, covered(canvas))


def covered(canvas: Canvas) -> np.ndarray:
    """How much of each square of CELL pixels the things on a canvas cover: (height, width) / CELL in 0..1."""
    whole = Image.new("L", (canvas.width, canvas.height))
    for sprite, left, top in canvas.placed:
        whole.paste(255, (left, top), sprite.getchannel("A"))
    cells = np.asarray(whole, np.float32).reshape(canvas.height // CELL, CELL, canvas.width // CELL, CELL)
    return cells.mean((1, 3)) / 255


def vocabulary(things: Iterable[Thing] = THINGS.values()) -> list[str]:
    """Every word that a caption about these things can hold, sorted."""
    phrases = [word for thing in things for word in (*thing.words, *(plural(name) for name in thing.words))]
    phrases += [words for _, all_words in PLACES.values() for words in all_words]
    phrases += [words for all_words in SIGHTS.values() for words in all_words]
    phrases += [words for time in TIMES.values() for words in time.words]
    phrases += [words for _, all_words in STYLES.values() for words in all_words]
    phrases += [
        *COLOURS,
        *BACKGROUNDS,
        "tiny small big large huge two three a an of and next to some the left right on plain background view over",
    ]
    return sorted({word for phrase in phrases for word in phrase.lower().replace("-", " - ").split()} | {","})
