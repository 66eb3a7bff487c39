"""Measures a generator against a data set: distance to its held-out pictures, diversity, recall, copying.

The figures are those that trainings from nothing end with (families/training/scratch_figures.py), so a model can be
measured again on other pictures than it learnt from, and a starter beside one of a person's own.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio.errors import InvalidInput
from studio.families.family import Context
from studio.families.gan.one_pass import load_one_pass
from studio.families.gan.pipeline import as_image
from studio.families.gan.places import ROWS, Place, Space
from studio.families.training.picture_set import Pixels, read_manifest, read_pictures
from studio.families.training.run_folder import RunFolder
from studio.families.training.scratch_figures import ENCODER, figures_of
from studio.lab.evaluation_card import card
from studio.types import Request

FEWEST_HELD_OUT = 8  # pictures; with fewer the comparison says little


def run(folder: Path, request: Request, context: Context) -> None:
    """One evaluation; its output is the result as JSON. InvalidInput without a data set."""
    files = context.inputs.get("dataset") or ()
    if not files:
        raise InvalidInput(
            "This model knows no prompts, so it can only be compared with pictures.",
            "Give a data set.",
            field="dataset",
        )
    kept = RunFolder(context.kept)
    context.progress(0, 0, "Loading the model")
    model = load_one_pass(folder, context.device.kind)

    def tell(done: int, of: int) -> None:
        context.check()
        context.progress(0, 0, f"Reading pictures, {done} of {of}")

    pictures = read_pictures(read_manifest(files[0]), model.generator.config.side, tell)
    made = make(Space(model), request, context)
    context.progress(0, 0, "Comparing with the data set")
    samples = kept.folder / "samples"
    samples.mkdir(exist_ok=True)
    figures = figures_of(made, pictures, samples)
    result: dict[str, Any] = {
        "model": request.model,
        "adapters": [],
        "date": time.strftime("%Y-%m-%d"),
        "seed": request.seed,
        "settings": f"{len(made)} pictures, truncation {request.params['truncation']}",
        "figures": figures,
        "before": {},
        "probe": [],
        "nearest": [],
        "alarms": alarms(figures),
        "how": [
            f"{len(made)} pictures of the seeds {request.seed} and following, each of a kind by lot, "
            f"{made.shape[1]} pixels a side.",
            f"Encoder: {ENCODER}. Its figures compare with no other's.",
            "Made pictures beside the ones of the data set that are most like them: samples/nearest.webp.",
        ],
        "limits": limits(len(pictures.held_out)),
        "sheets": ["card-made.webp", "nearest.webp"],
    }
    result["card"] = card(result)
    (kept.folder / "card.md").write_text(result["card"], "utf-8")
    kept.write("evaluation.json", result)

    def write(path: Path) -> None:
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False), "utf-8")

    meta = {"name": request.prompt or request.model, "evaluation": True, "alarms": result["alarms"]}
    context.output(0, write, ".json", "application/json", meta)


def make(space: Space, request: Request, context: Context) -> Pixels:
    """(n, side, side, 3) of the request's seed and those that follow; what is transparent lies on white."""
    many, made = int(str(request.params["pictures"])), []
    for first in range(0, many, ROWS):
        context.check()
        context.progress(first, many, "Making pictures")
        numbers = range(first, min(first + ROWS, many))
        truncation = float(str(request.params["truncation"]))
        places = [Place(request.seed + number, truncation=truncation) for number in numbers]
        made += [on_white(as_image(planes)) for planes in space.pictures(places)]
    return np.stack(made)


def on_white(picture: Image.Image) -> Pixels:
    if picture.mode != "RGBA":
        return np.asarray(picture.convert("RGB"))
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))


def alarms(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What a person should look at: only where an interval excludes that it is chance."""
    copying = figures["copying"]
    if copying["low"] <= 0.1:
        return []
    share = f"{copying['value']:.0%} ({copying['low']:.0%}-{copying['high']:.0%})"
    return [f"{share} of its pictures repeat one of yours."]


def limits(held_out: int) -> list[str]:
    said = ["Figures of different encoders, settings or numbers of pictures do not compare."]
    if not held_out:
        said.append("Nothing was held out: what looks like quality may be memory.")
    elif held_out < FEWEST_HELD_OUT:
        said.append(f"Only {held_out} pictures are held out: the distance says little.")
    said.append("The model makes what it learnt: pictures of something else are far from it, however good both are.")
    return said
