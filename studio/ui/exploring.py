"""What is asked of a take of a latent space, as a request: pictures from there, maps, mixtures, walks, sprites, land.

Values in, requests out, as in `designing.py`: knows no components and queues nothing. Every answer keeps the take's
model and has the take as its parent.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from studio.errors import InvalidInput, NotFound
from studio.studio import Studio
from studio.types import Artifact, Input, Request, Value
from studio.ui import form

PLACED = ("explore", "map_latents", "latent_directions", "mix_pictures")  # tasks whose takes lie somewhere
STRENGTHS = {"subtle": 0.25, "strong": 0.6}  # of the way to another place
MOST_AXES = 12


@dataclass(frozen=True)
class Spot:
    """A place in the latent space of a model, as requests say it. `label` is "" where it tells no kinds apart."""

    model: str
    seed: int
    label: str
    truncation: float
    axes: tuple[float, ...]
    variations: str  # seed:strength pairs

    def params(self, **more: Value) -> dict[str, Value]:
        said: dict[str, Value] = {"truncation": self.truncation}
        said |= {"label": self.label} if self.label else {}
        said |= {"axes": list(self.axes)} if any(self.axes) else {}
        return said | ({"variations": self.variations} if self.variations else {}) | more

    def request(self, task: str, parent: str, **more: Value) -> Request:
        return Request(
            task=task,
            model=self.model,
            prompt=self.label,
            params=self.params(**more),
            seed=self.seed,
            parent=parent,
        )


def spot_of(studio: Studio, sha256: str, asked: Mapping[str, Any] | None = None) -> Spot:
    """Where a take lies; of a map or a sheet of directions the cell that `asked` names: {"column", "row"}.

    NotFound; InvalidInput for what lies nowhere.
    """
    kept, request = _made_by(studio, sha256)
    if request.task not in PLACED:
        raise InvalidInput("This take has no place in a latent space.", "Choose a picture of Explore or a map.")
    params: Mapping[str, Any] = request.params
    axes, variations = _numbers(params.get("axes")), str(params.get("variations") or "")
    seed = request.seed
    if request.task == "explore":
        if params.get("variation_strength"):
            moved = f"{int(params['variation_seed']) + kept.index}:{params['variation_strength']}"
            variations = ",".join(filter(None, (variations, moved)))
        else:
            seed += kept.index
    elif request.task == "mix_pictures":
        variations = _mixed(kept, params, variations)
    else:
        axes = _stepped(kept, request, axes, asked or {})
    label = str(kept.meta.get("label") or params.get("label") or "")
    return Spot(request.model, seed, label, float(params.get("truncation", 1.0)), tuple(axes), variations)


def _mixed(kept: Artifact, params: Mapping[str, Any], variations: str) -> str:
    """A blend of two seeds of a kind lies on the way from one to the other; other mixtures lie nowhere."""
    plain = params.get("way", "blend") == "blend" and params.get("to_label") in (None, "", params.get("label"))
    if not plain or params.get("axes") or params.get("to_axes") or params.get("to_variations"):
        raise InvalidInput("This mixture has no place of its own.", "Choose one of the two that it was mixed of.")
    amount = float(str(kept.meta.get("amount", 0.5)))
    return ",".join(filter(None, (variations, f"{params['to_seed']}:{amount:g}" if amount else "")))


def _stepped(kept: Artifact, request: Request, axes: list[float], asked: Mapping[str, Any]) -> list[float]:
    """The steps of a cell of a map or of a sheet of directions; its middle where none is named."""
    xs, ys = _numbers(kept.meta.get("x")), _numbers(kept.meta.get("y"))
    rows = int(str(kept.meta.get("rows", len(ys) or 1)))
    column = _within(asked.get("column"), len(xs) // 2, len(xs))
    row = _within(asked.get("row"), len(ys) // 2 if ys else 0, rows)
    steps = {row: xs[column]} if not ys else {}
    if ys:
        across, up = (int(str(request.params.get(name, k + 1))) - 1 for k, name in enumerate(("axis_x", "axis_y")))
        steps = {across: xs[column]}
        steps[up] = steps.get(up, 0.0) + ys[row]
    whole = [*axes, *[0.0] * (max(steps, default=-1) + 1 - len(axes))][:MOST_AXES]
    return [round(value + steps.get(k, 0.0), 4) for k, value in enumerate(whole)]


def _within(value: Any, middle: int, many: int) -> int:
    number = middle if value is None else int(value)
    if not 0 <= number < max(many, 1):
        raise InvalidInput("There is no such cell.", "Reload the page.")
    return number


def _numbers(values: Any) -> list[float]:
    return [float(value) for value in values] if isinstance(values, list | tuple) else []


def _made_by(studio: Studio, sha256: str) -> tuple[Artifact, Request]:
    kept = studio.library.artifact(sha256)
    if kept.job is None:
        raise NotFound("That picture was not made here, so it has no place.", "Choose a take of Explore.")
    return kept, studio.library.job(kept.job).request


# --- what the board asks for


def at(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """Variations of a cell, the first one nearly itself: {"column", "row", "count", "strength"}."""
    return vary(studio, sha256, {"strength": "subtle", **asked})


def vary(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """Pictures near a take, more or less: {"strength": "subtle" | "strong", "count"}."""
    strength = STRENGTHS["strong" if asked.get("strength") == "strong" else "subtle"]
    return spot_of(studio, sha256, asked).request(
        "explore",
        sha256,
        num_images_per_prompt=_count(asked, 8, 64),
        variation_seed=random.SystemRandom().randrange(form.MAX_SEED),
        variation_strength=strength,
    )


def cell(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """The picture of one cell, by itself."""
    return spot_of(studio, sha256, asked).request("explore", sha256, num_images_per_prompt=1)


def map_at(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """A map around a place: of a map {"centre_x", "centre_y", "span"}, of a picture the map around it."""
    _, request = _made_by(studio, sha256)
    if request.task != "map_latents":
        return spot_of(studio, sha256, asked).request("map_latents", sha256, span=_span(asked, 2.0))
    before: Mapping[str, Any] = request.params
    changed: dict[str, Value] = {
        "centre_x": _bounded(asked.get("centre_x"), float(before.get("centre_x", 0.0))),
        "centre_y": _bounded(asked.get("centre_y"), float(before.get("centre_y", 0.0))),
        "span": _span(asked, float(before.get("span", 2.5)) / 2),
    }
    label = str(studio.library.artifact(sha256).meta.get("label") or "")
    return request.replace(params={**before, **({"label": label} if label else {}), **changed}, parent=sha256)


def directions_at(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """What each direction changes at a place."""
    return spot_of(studio, sha256, asked).request("latent_directions", sha256, span=_span(asked, 2.0))


def mix(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """From one take to another: {"to": sha256, "steps", "way": "blend" | "layers"}."""
    one, other = spot_of(studio, sha256), spot_of(studio, str(asked.get("to")))
    _same_model(one, other)
    more: dict[str, Value] = {
        "to_seed": other.seed,
        "steps": _count(asked, 7, 64, "steps"),
        "way": "layers" if asked.get("way") == "layers" else "blend",
    }
    more |= {"to_label": other.label} if other.label != one.label else {}
    more |= {"to_axes": list(other.axes)} if any(other.axes) else {}
    more |= {"to_variations": other.variations} if other.variations else {}
    return one.request("mix_pictures", sha256, **more)


def walk(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """A film through takes in their order: {"stops": [sha256 ...], "frames", "fps", "format", "loop", "scale"}."""
    stops = [str(stop) for stop in asked.get("stops") or () if stop]
    if len(stops) < 2:
        raise InvalidInput("A walk needs two stops.", "Select two or more pictures of Explore.", field="stops")
    spots = [spot_of(studio, stop) for stop in stops[:32]]
    for spot in spots[1:]:
        _same_model(spots[0], spot)
    said = [_stop(spot) for spot in spots]
    known = ("frames", "fps", "format", "loop", "scale")
    more: dict[str, Value] = {name: asked[name] for name in known if asked.get(name) is not None}
    request = Request(
        task="walk_latents",
        model=spots[0].model,
        prompt=" to ".join(dict.fromkeys(spot.label or str(spot.seed) for spot in spots)),
        params={"truncation": spots[0].truncation, "stops": said, **more},
        seed=spots[0].seed,
        parent=sha256,
    )
    return request


def _stop(spot: Spot) -> str:
    """As the family reads the stops of a walk."""
    parts = [f"{spot.seed}:{spot.label}".rstrip(":")]
    parts += ["axes=" + "/".join(f"{step:g}" for step in spot.axes)] if any(spot.axes) else []
    return " ".join([*parts, *([f"moves={spot.variations.replace(',', '/')}"] if spot.variations else [])])


def terrain(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """Land of a picture, whoever made it: {"size_mm", "relief_mm", "base_mm", "cells"}."""
    kept = studio.library.artifact(sha256)
    if not kept.media_type.startswith("image/") or kept.media_type == "image/svg+xml":
        raise InvalidInput("Land is made of a picture.", "Choose a landscape.")
    made = studio.library.job(kept.job).request if kept.job else None
    placed = made is not None and made.task in (*PLACED, "sprite_sheet", "walk_latents")
    known = ("size_mm", "relief_mm", "base_mm", "cells")
    return Request(
        task="terrain",
        model=made.model if made and placed else studio.catalog.default("explore").id,
        prompt=made.prompt if made else "",
        inputs=(Input(role="source", artifact=sha256),),
        params={name: asked[name] for name in known if asked.get(name) is not None},
        seed=made.seed if made else 0,
        parent=sha256,
    )


def sprites(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """A sheet of characters of the take's kind, the take among them: {"count", "columns", "scale", "padding"}."""
    spot = spot_of(studio, sha256)
    known = ("columns", "scale", "padding")
    more: dict[str, Value] = {name: asked[name] for name in known if asked.get(name) is not None}
    return spot.request("sprite_sheet", sha256, num_images_per_prompt=_count(asked, 16, 64), **more)


def _same_model(one: Spot, other: Spot) -> None:
    if one.model != other.model:
        raise InvalidInput("These takes are of two models.", "Choose takes of one model: each has a space of its own.")


def _count(asked: Mapping[str, Any], default: int, most: int, name: str = "count") -> int:
    return max(1, min(int(asked.get(name) or default), most))


def _bounded(value: Any, default: float) -> float:
    return round(max(-6.0, min(6.0, default if value is None else float(value))), 4)


def _span(asked: Mapping[str, Any], default: float) -> float:
    value = asked.get("span")
    return round(max(0.01, min(6.0, default if value is None else float(value))), 4)


REWORKS: Mapping[str, Callable[[Studio, str, Mapping[str, Any]], Request]] = {
    "explore-at": at,
    "explore-cell": cell,
    "map-at": map_at,
    "directions-at": directions_at,
    "mix-pictures": mix,
    "walk-latents": walk,
    "terrain": terrain,
    "sprites": sprites,
    "vary": vary,
}
