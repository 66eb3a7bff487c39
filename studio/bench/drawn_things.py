"""Line drawings as a person makes them, drawn by rule: what `bench sketch` has rendered. Each is a few strokes in a
unit square, put anywhere on the paper at any size by an unsteady hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]
Stroke = Sequence[Point]  # in 0..1, y downwards
PAPER = 512  # pixels a side


@dataclass(frozen=True)
class Drawing:
    prompt: str
    picture: Image.Image  # black on white, RGB


def arc(x: float, y: float, wide: float, high: float, first: float = 0, last: float = 360) -> list[Point]:
    """Part of an ellipse about (x, y) with these half axes, in degrees clockwise from the right."""
    turns = np.radians(np.linspace(first, last, max(8, int(abs(last - first) / 6))))
    return [(x + wide * float(np.cos(turn)), y + high * float(np.sin(turn))) for turn in turns]


def box(left: float, top: float, right: float, bottom: float) -> list[Point]:
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def star(x: float, y: float, outer: float, inner: float) -> list[Point]:
    """Five points about (x, y)."""
    turns = np.pi * np.arange(11) / 5 - np.pi / 2
    reach = np.where(np.arange(11) % 2, inner, outer)
    return [(x + float(r * np.cos(turn)), y + float(r * np.sin(turn))) for r, turn in zip(reach, turns, strict=True)]


# prompt | strokes: `o` x y, half axes (and degrees from, to, clockwise from the right) of an ellipse; `b` corners of a
# box; `s` x y and two radii of a star; `l` points of a line. A line that is indented goes on.
TABLE = """
an apple on a green background | o .5 .57 .38 .38 | l .5 .2 .53 .04 | o .66 .1 .12 .06
a house on green hills | b .15 .45 .85 .95 | l .08 .46 .5 .06 .92 .46 | b .42 .65 .58 .95 | b .22 .55 .34 .68
a tree in a field of flowers | o .5 .35 .4 .33 | l .44 .67 .43 .98 | l .56 .67 .57 .98
a fish underwater | o .43 .5 .38 .24 | l .79 .5 .98 .28 .98 .72 .79 .5 | o .22 .45 .03 .03
a star on a blue background | s .5 .5 .5 .2
a snowman in the snow | o .5 .74 .26 .24 | o .5 .4 .19 .16 | o .5 .16 .13 .11
a balloon in the mountains | o .5 .36 .3 .35 | l .5 .71 .47 .85 .52 .99
a sailboat on the sea at sunset | l .1 .72 .9 .72 .76 .93 .24 .93 .1 .72 | l .5 .72 .5 .04 | l .53 .08 .86 .66 .53
  .66
a mushroom in the forest | o .5 .46 .42 .36 180 360 | l .08 .46 .92 .46 | l .4 .46 .37 .95 .63 .95 .6 .46
a red heart on a white background | l .5 .95 .08 .45 .1 .2 .3 .1 .5 .28 .7 .1 .9 .2 .92 .45 .5 .95
a crescent moon in space | o .45 .5 .42 .45 50 310 | o .72 .5 .36 .36 75 285
a cloud on a blue background | o .3 .55 .22 .2 90 290 | o .52 .4 .22 .24 190 350 | o .74 .56 .2 .19 270 450 | l .3
  .75 .74 .75
a rocket in space | l .5 .03 .68 .3 .68 .75 .32 .75 .32 .3 .5 .03 | l .32 .55 .14 .85 .32 .75 | l .68 .55 .86 .85
  .68 .75 | o .5 .36 .08 .08
a cactus in the desert | l .42 .97 .42 .15 .5 .05 .58 .15 .58 .97 | l .42 .6 .2 .6 .2 .35 | l .58 .52 .82 .52 .82
  .25
a hat on a pink background | o .5 .78 .47 .1 | l .28 .72 .3 .15 .7 .15 .72 .72 | l .28 .6 .72 .6
a light bulb on a purple background | o .5 .36 .32 .33 110 430 | l .39 .67 .4 .92 .6 .92 .61 .67 | l .4 .79 .6 .79
a pumpkin in autumn | o .5 .58 .45 .36 | o .5 .58 .2 .36 | l .48 .22 .46 .08 .56 .06 .53 .22
a kite on the beach | l .5 .03 .85 .38 .5 .78 .15 .38 .5 .03 | l .5 .03 .5 .78 | l .15 .38 .85 .38 | l .5 .78 .56
  .88 .46 .98
a cup of coffee in a room | l .12 .3 .18 .9 .66 .9 .72 .3 .12 .3 | o .74 .55 .18 .17 270 450
an egg on a yellow background | o .5 .54 .34 .44
a gift on a red background | b .12 .35 .88 .95 | l .5 .35 .5 .95 | l .12 .6 .88 .6 | o .37 .24 .13 .1 | o .63 .24
  .13 .1
an umbrella on a road in the rain | o .5 .48 .46 .42 180 360 | l .04 .48 .96 .48 | l .5 .48 .5 .88 | o .42 .88 .08
  .08 0 180
a castle on green hills at dawn | l .05 .95 .05 .3 .15 .3 .15 .38 .22 .38 .22 .3 .3 .3 .3 .5 .7 .5 .7 .3 .78 .3 .78
  .38 .85 .38 .85 .3 .95 .3 .95 .95 .05 .95 | o .5 .95 .12 .25 180 360
a candle in a room at night | b .36 .35 .64 .97 | l .5 .35 .5 .26 | l .5 .04 .59 .18 .5 .27 .41 .18 .5 .04
a diamond on a grey background | l .25 .2 .75 .2 .97 .42 .5 .92 .03 .42 .25 .2 | l .03 .42 .97 .42 | l .35 .42 .5
  .92 .65 .42
a car on a road | l .04 .72 .06 .52 .24 .48 .36 .28 .68 .28 .8 .48 .95 .54 .96 .72 .04 .72 | o .25 .73 .1 .1 | o .75
  .73 .1 .1 | l .24 .48 .8 .48
"""


def things() -> dict[str, list[Stroke]]:
    """Strokes by prompt."""
    lines = TABLE.strip().replace("\n  ", " ").splitlines()
    rows = [[part.strip() for part in line.split("|")] for line in lines]
    return {prompt: [_stroke(*stroke.split()) for stroke in strokes] for prompt, *strokes in rows}


def _stroke(kind: str, *numbers: str) -> Stroke:
    given = [float(number) for number in numbers]
    if kind == "o":
        return arc(*given)
    if kind == "b":
        return box(*given)
    if kind == "s":
        return star(*given)
    return list(zip(given[::2], given[1::2], strict=True))


def drawings(seed: int = 0) -> Iterator[Drawing]:
    """All of them, each put elsewhere on the paper, larger or smaller, by a hand that shakes."""
    for number, (prompt, strokes) in enumerate(things().items()):
        rng = np.random.default_rng([seed, number])
        side = float(rng.uniform(0.42, 0.78)) * PAPER
        room = PAPER - side
        corner = np.array([rng.uniform(0.1, 0.9) * room, rng.uniform(0.15, 0.85) * room])
        wide = float(rng.uniform(0.85, 1.0))
        yield Drawing(prompt, _drawn(strokes, corner, np.array([side * wide, side]), rng))


def _drawn(strokes: Sequence[Stroke], corner: np.ndarray, size: np.ndarray, rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (PAPER, PAPER), "white")
    pen, width = ImageDraw.Draw(picture), int(rng.integers(4, 9))
    for stroke in strokes:
        path = [tuple(point) for point in _shaken(np.array(stroke) * size + corner, rng)]
        pen.line(path, fill="black", width=width, joint="curve")
        for x, y in path[:: max(1, len(path) // 40)]:
            pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill="black")
    return picture


def _shaken(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points every few pixels along a path, moved by a slow tremor."""
    lengths = np.hypot(*np.diff(path, axis=0).T)
    along = np.concatenate([[0], np.cumsum(lengths)])
    at = np.linspace(0, along[-1], max(2, int(along[-1] / 5)))
    points = np.stack([np.interp(at, along, path[:, axis]) for axis in (0, 1)], 1)
    tremor = rng.normal(0, 1, (max(4, len(at) // 10), 2))
    moved = np.stack([np.interp(at, np.linspace(0, along[-1], len(tremor)), tremor[:, axis]) for axis in (0, 1)], 1)
    return points + 1.6 * moved
