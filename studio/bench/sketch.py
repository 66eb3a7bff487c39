"""`bench sketch`: how well renderings keep the outline of a drawing, against the same words and seeds without it.

Drawings by rule (bench/drawn_things.py) and, with the sprites that starter-image learnt from, outlines of scenes whose
pairs of thing and place no training ever saw. Every rendering is a job of the studio, and its figure the `outline` that
its take carries (design/outlines.py). A rendering that begins with the drawing keeps the more of its lines the more it
stays a drawing on pale paper: `place` stands beside, the share of renderings in which the starter's judge sees the
place that the words ask for, and `colour`, the mean of the largest less the smallest of red, green and blue.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studio.bench.drawn_things import Drawing, drawings
from studio.errors import InvalidInput
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Input, JobState, Json, Model, Request, Value

Tell = Callable[[str], None]
SEEDS = 1  # renderings of a drawing
HELD_OUT = 24  # scenes
STARTS = (0.55, 0.85)  # strengths of beginning with the drawing: as the page asks for, and as beside a ControlNet
FIGURES = ("f1", "recall", "precision")


def run(
    settings: Settings, sprites: Path | None, model: str = "starter-image", quick: bool = False, tell: Tell = print
) -> Json:
    """Figures by set of drawings and way, each with a 95 % interval over the drawings; and a `table`. InvalidInput."""
    sets = {"drawn": list(drawings())}
    if sprites:
        sets["held-out scenes"] = list(held_out_scenes(sprites, 6 if quick else HELD_OUT))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as home:
        with Studio(Settings.load({"home": Path(home), "device": settings.device})) as studio:
            for name, drawn in sets.items():
                found[name] = measured(studio, studio.catalog.model(model), drawn[:6] if quick else drawn, tell)
    return {"model": model, "seeds": SEEDS, **found, "table": table(found)}


def held_out_scenes(sprites: Path, many: int) -> Iterator[Drawing]:
    from studio.bench.sketch_sides import scene_drawings

    for prompt, picture in scene_drawings(sprites, many):
        yield Drawing(prompt, picture)


def ways(studio: Studio, model: Model) -> dict[str, Mapping[str, Value]]:
    """What is compared, by name: the task and settings of each way to come from a drawing to a picture."""
    found: dict[str, Mapping[str, Value]] = {"words alone": {}}
    for controlnet in studio.catalog.controlnets(model):
        steered: dict[str, Value] = {"controlnet": controlnet.id, "control_kind": controlnet.kind}
        found[controlnet.id] = steered
        if controlnet.start is not None:
            found[f"{controlnet.id} + {controlnet.start:g}"] = {**steered, "strength": controlnet.start}
    return {**found, **{f"start {strength:g}": {"strength": strength} for strength in STARTS}}


def measured(studio: Studio, model: Model, drawn: Sequence[Drawing], tell: Tell) -> Json:
    kept: dict[str, list[Json]] = {}
    for number, drawing in enumerate(drawn):
        tell(f"{number + 1} of {len(drawn)}: {drawing.prompt}")
        path = studio.settings.staging / "drawing.png"
        drawing.picture.save(path)
        source = studio.adopt(path, name="drawing.png", role="source").sha256
        for name, params in ways(studio, model).items():
            kept.setdefault(name, []).append(rendered(studio, model, drawing.prompt, source, params, 100 * number))
    keys = (*FIGURES, "place", "colour")
    return {
        name: {key: interval([row[key] for row in rows if key in row]) for key in keys if any(key in r for r in rows)}
        for name, rows in kept.items()
    }


def rendered(studio: Studio, model: Model, prompt: str, source: str, params: Mapping[str, Value], seed: int) -> Json:
    """The mean figures of one drawing's renderings, and how colourful they are; paper that shines through is not."""
    from PIL import Image

    starts = "strength" in params
    inputs = [Input(role=role, artifact=source) for role in (["init_image"] if starts else []) + ["control"]]
    request = Request(
        task="image_to_image" if starts else "text_to_image",
        model=model.id,
        prompt=prompt,
        inputs=tuple(inputs),
        params={**params, "num_images_per_prompt": SEEDS},
        seed=seed,
    )
    job = studio.wait(studio.submit(request, panel="bench").id, timeout=900)
    if job.state is not JobState.done:
        raise InvalidInput(f"A rendering of the bench did not succeed: {job.error}", job.hint or "Try it by hand.")
    takes = studio.library.outputs(job.id)
    outlines: list[Any] = [take.meta["outline"] for take in takes]
    colours = []
    for take in takes:
        with Image.open(take.path) as picture:
            pixels = np.asarray(picture.convert("RGB"), float) / 255
            colours.append(float((pixels.max(2) - pixels.min(2)).mean()))
    kept = {key: float(np.mean([one[key] for one in outlines])) for key in FIGURES}
    seen = places_seen([take.path for take in takes], prompt)
    return {**kept, **({} if seen is None else {"place": seen}), "colour": float(np.mean(colours))}


def places_seen(pictures: Sequence[Path], prompt: str) -> float | None:
    from studio.bench.sketch_sides import places_seen

    return places_seen(pictures, prompt)


def interval(values: Sequence[float]) -> list[float]:
    """Mean, and the 2.5 and 97.5 % quantiles of its bootstrap over the drawings."""
    rng, given = np.random.default_rng(0), np.asarray(values)
    means = given[rng.integers(0, len(given), (2000, len(given)))].mean(1)
    return [round(float(v), 3) for v in (given.mean(), *np.quantile(means, (0.025, 0.975)))]


def table(found: Mapping[str, Any]) -> list[str]:
    lines = [f"{'drawings':16} {'way':21} {'F1':>20} {'recall':>20} {'precision':>20} {'place':>6} {'colour':>6}"]
    for name, by_way in found.items():
        for way, figures in by_way.items():
            told = "".join(f" {v[0]:6.3f} [{v[1]:.3f}, {v[2]:.3f}]" for v in (figures[key] for key in FIGURES))
            lines.append(f"{name:16} {way:21}{told} {figures.get('place', [0])[0]:6.2f} {figures['colour'][0]:6.2f}")
    return lines
