"""`bench craft`: the designer's tools on pictures that nobody chose: seams before and after, nodes of drawings, seconds
of mock-ups. Pictures are crops of those in --data, or drawn by chance: blots and lines over a slope of light.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from studio.design import mock_ups, pattern, vector
from studio.errors import InvalidInput
from studio.families.craft import TEMPLATES
from studio.intake import read_picture
from studio.types import Json

Tell = Callable[[str], None]
SIDE = 256
PATTERNS, DRAWINGS, TAKES = 100, 50, 4
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def run(data: Path | None = None, quick: bool = False, tell: Tell = print) -> Json:
    """Figures of patterns, drawings and mock-ups, and a `table`. InvalidInput where --data holds no picture."""
    share = 10 if quick else 1
    sources = list(pictures(data, max(PATTERNS, DRAWINGS) // share))
    figures: Json = {
        "pictures": str(data) if data else "drawn by chance",
        "patterns": patterns(sources[: PATTERNS // share]),
    }
    tell("patterns measured")
    figures["drawings"] = drawings(sources[: DRAWINGS // share])
    tell("drawings measured")
    figures["mock_ups"] = mock_up_batch(sources[:TAKES])
    return {**figures, "table": table(figures)}


def pictures(data: Path | None, count: int) -> Iterator[Image.Image]:
    if data is None:
        yield from (drawn(seed) for seed in range(count))
        return
    files = sorted(path for path in data.rglob("*") if path.suffix.lower() in SUFFIXES) if data.is_dir() else []
    if not files:
        raise InvalidInput(f"There is no picture in {data}.", "Name a folder with PNG or JPEG files.", field="data")
    rng = np.random.default_rng(0)
    for number in range(count):
        whole = read_picture(files[number % len(files)], "The picture").convert("RGB")
        side = min(whole.size)
        left, top = (int(rng.integers(0, length - side + 1)) for length in whole.size)
        yield whole.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def drawn(seed: int) -> Image.Image:
    """Blots and lines of a few colours over a slope of light."""
    rng = np.random.default_rng(seed)
    slope = np.linspace(0, 1, SIDE)
    ground, colours = rng.integers(40, 215, 3), rng.integers(0, 256, (5, 3))
    light = 70 * (
        np.outer(slope, np.ones(SIDE)) * rng.uniform(-1, 1) + np.outer(np.ones(SIDE), slope) * rng.uniform(-1, 1)
    )
    picture = Image.fromarray(np.clip(ground + light[..., None], 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(5, 16))):
        x, y = rng.integers(0, SIDE, 2)
        wide, high = rng.integers(10, 90, 2)
        colour = tuple(int(part) for part in colours[rng.integers(5)])
        if rng.random() < 0.7:
            pen.ellipse((int(x - wide), int(y - high), int(x + wide), int(y + high)), fill=colour)
        else:
            pen.line(
                (int(x), int(y), int(x + 2 * wide - 90), int(y + 2 * high - 90)), fill=colour, width=int(high) // 6
            )
    return picture.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2))))


def patterns(sources: list[Image.Image]) -> Json:
    """How many seams are no stronger than the picture's own inner differences, untouched and after."""
    before = [pattern.seam_of(one).worst for one in sources]
    began = time.perf_counter()
    tiles = [pattern.make_seamless(one) for one in sources]
    seconds = (time.perf_counter() - began) / len(sources)
    after = [pattern.seam_of(one).worst for one in tiles]
    return {
        "pictures": len(sources),
        "seamless_before": sum(seam <= 1 for seam in before),
        "seamless": sum(seam <= 1 for seam in after),
        "median_before": round(statistics.median(before), 2),
        "median": round(statistics.median(after), 2),
        "worst": round(max(after), 2),
        "seconds_each": round(seconds, 3),
    }


def drawings(sources: list[Image.Image]) -> Json:
    """Nodes against those of the tracer's own outlines with the same colours, likeness (SSIM), and what is inert."""
    nodes, plain, alike, inert = [], [], [], 0
    for one in sources:
        found = vector.vectorise(one, 8)
        vector.check_inert(vector.svg_of(found))
        inert += 1
        nodes.append(found.nodes)
        plain.append(vector.naive(one, 8).nodes)
        alike.append(vector.likeness(found, one))
    return {
        "pictures": len(sources),
        "inert": inert,
        "nodes_median": statistics.median(nodes),
        "naive_nodes_median": statistics.median(plain),
        "fewer_nodes": sum(few < many for few, many in zip(nodes, plain, strict=True)),
        "ssim_median": round(statistics.median(alike), 3),
        "ssim_least": round(min(alike), 3),
    }


def mock_up_batch(sources: list[Image.Image]) -> Json:
    """Eight mock-ups of four takes, two products each."""
    began = time.perf_counter()
    made = [
        mock_ups.mock_up(one, TEMPLATES[(2 * at + k) % len(TEMPLATES)], 960, None, "cover")
        for at, one in enumerate(sources)
        for k in range(2)
    ]
    return {"mock_ups": len(made), "takes": len(sources), "seconds": round(time.perf_counter() - began, 2)}


def table(figures: Json) -> list[str]:
    seams, traced, products = figures["patterns"], figures["drawings"], figures["mock_ups"]
    return [
        f"seams no stronger than inside: {seams['seamless']} of {seams['pictures']} "
        f"(untouched {seams['seamless_before']}), median {seams['median']} (untouched {seams['median_before']})",
        f"drawings: {traced['nodes_median']:g} nodes in the median (naive {traced['naive_nodes_median']:g}), "
        f"SSIM {traced['ssim_median']}, inert {traced['inert']} of {traced['pictures']}",
        f"{products['mock_ups']} mock-ups of {products['takes']} takes in {products['seconds']} s",
    ]
