"""`bench starters`: the figures of every starter again, from its shipped weights, with the seeds of its card.

Each family's own figures module measures; this module only knows which data each of them needs.
"""

import importlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.settings import ASSETS, ROOT, Settings
from studio.types import Json

# the folder of the data, below the one that is given, that a starter is measured on; "": it draws its own
NEEDS: Mapping[str, str] = {
    "starter-image": "sprites",
    "starter-sketch": "sprites",
    "starter-text": "books",
    "starter-music": "tunes",
    "starter-shape": "",
    "starter-gan": "",
}


def run(data: Path | None, only: str = "", tell: Callable[[str], None] = lambda text: None) -> Json:
    """Figures by id. A starter whose data is not there says so in `skipped`. InvalidInput for an unknown id."""
    if only and only not in NEEDS:
        raise InvalidInput(f"There is no starter {only!r}.", f"There are: {', '.join(NEEDS)}.")
    found: Json = {}
    for id in [only] if only else NEEDS:
        folder = data / NEEDS[id] if data and NEEDS[id] else None
        if NEEDS[id] and not (folder and folder.is_dir()):
            found[id] = {
                "skipped": f"It is measured on the data in --data DIR/{NEEDS[id]}; its recipe names the source."
            }
            continue
        tell(f"Measuring {id}")
        began = time.monotonic()
        found[id] = {**measured(id, ASSETS / "models" / id, folder), "seconds": round(time.monotonic() - began, 1)}
    return found


def measured(id: str, model: Path, data: Path | None) -> Mapping[str, Any]:
    if id == "starter-image":
        return measured_pictures(model, data)
    if id == "starter-sketch":
        from studio.bench import sketch

        return sketch.run(Settings.load({}), data, tell=lambda text: None)
    names = {"starter-text": "causal_lm", "starter-music": "score", "starter-shape": "shapes", "starter-gan": "gan"}
    figures = importlib.import_module(f"studio.families.{names[id]}.figures")
    return figures.measure(model, data) if data else figures.measure(model)


def measured_pictures(model: Path, data: Path | None) -> Mapping[str, Any]:
    """With the recipe, which says what was held out and what learnt, and photographs that lie beside the sprites."""
    from studio.families.diffusion.recipe import Recipe
    from studio.families.diffusion.scene_sprites import Sprites
    from studio.families.diffusion.starter_figures import measure

    assert data is not None
    recipe = Recipe.read(ROOT / "presets" / "recipes" / "starter-image.toml")
    sprites = Sprites.load(data, recipe.things)
    photos = data.parent / "photos"
    return measure(model, sprites, recipe, photos=photos if photos.is_dir() else None)
