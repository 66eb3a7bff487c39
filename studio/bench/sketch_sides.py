"""What `bench sketch` needs of starter-image: outlines of scenes that no training saw, and its judge of places."""

import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from studio.design.line_art import as_drawing
from studio.families.diffusion.scene_drawings import compose_drawn
from studio.families.diffusion.scene_places import BACKGROUNDS, PLACES
from studio.families.diffusion.scene_sprites import Sprites
from studio.families.diffusion.starter_figures import held_out_plans
from studio.families.diffusion.starter_judge import JUDGE, Judge, as_seen, load_judge
from studio.settings import ASSETS

MODEL = ASSETS / "models" / "starter-image"
SEED = 1  # of the recipe, which says what was held out


def scene_drawings(folder: Path, many: int) -> Iterator[tuple[str, Image.Image]]:
    """(caption, drawing) of held-out scenes; `folder` holds the sprites."""
    card = tomllib.loads((MODEL / "card.toml").read_text("utf-8"))
    sprites = Sprites.load(folder, card["knows"]["things"])
    rng = np.random.default_rng([SEED, 24])
    for plan in held_out_plans(sprites.things, many, SEED + 1):
        scene = compose_drawn(sprites, rng, plan)
        yield scene.caption, as_drawing(scene.lines)


def places_seen(pictures: Sequence[Path], prompt: str) -> float | None:
    """Share of the pictures in which the judge sees the place of the prompt; None where it names none."""
    place = place_in(prompt)
    if place is None:
        return None
    seen = []
    for path in pictures:
        with Image.open(path) as opened:
            seen.append(np.asarray(opened.convert("RGB").resize((256, 256), Image.Resampling.LANCZOS)))
    judge = shipped_judge()
    with torch.inference_mode():
        scores = judge(as_seen(np.stack(seen)))[list(judge.names).index("place")]
    return float((scores.argmax(1) == judge.names["place"].index(place)).float().mean())


def place_in(prompt: str) -> str | None:
    """The place of a caption, by the longest of its phrases."""
    phrases = {words: place for place, (_, all_words) in PLACES.items() for words in all_words}
    phrases |= {f"{colour} background": colour for colour in BACKGROUNDS}
    found = [words for words in phrases if words in prompt]
    return phrases[max(found, key=len)] if found else None


@cache
def shipped_judge() -> Judge:
    return load_judge(MODEL / JUDGE)
