"""What is asked of shapes on the board, as a request: more like one, one between two to four, the way between two.

Values in, requests out, as in `designing.py`: knows no components and queues nothing. Every answer has the first shape
as its parent and the settings with which it was made.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from studio.errors import InvalidInput
from studio.families import family
from studio.studio import Studio
from studio.types import Artifact, Input, Request, Value
from studio.ui import form

SHAPE = "model/gltf-binary"
STRENGTHS = {"subtle": 0.25, "strong": 0.6}
CORNERS = range(2, 5)  # shapes that are mixed


def shape_of(studio: Studio, sha256: str) -> Artifact:
    """NotFound; InvalidInput for what is no shape."""
    kept = studio.library.artifact(sha256)
    if kept.media_type != SHAPE:
        raise InvalidInput("This take is no shape.", "Choose a take of the bench Shape.")
    return kept


def _from(studio: Studio, task: str, sha256: str, inputs: Sequence[Input], **more: Value) -> Request:
    """A request of a task whose settings are those with which the shape was made, as far as the task has them.

    The size is the shape's own.
    """
    kept = shape_of(studio, sha256)
    made = studio.library.job(kept.job).request if kept.job else None
    known = {param.name for param in family("shapes").params(task)}
    ours = made is not None and made.task in family("shapes").tasks
    params: dict[str, Value] = {}
    if made and ours:
        params = {name: value for name, value in made.params.items() if name in known}
    size = kept.meta.get("size_mm")
    if isinstance(size, list) and len(size) == 3:
        params |= {"size_mm": round(max(10.0, min(2000.0, max(map(float, size)))), 2), "measured": "longest"}
    for name in ("num_return_sequences", "steps", "weights", "strength"):
        params.pop(name, None)
    return Request(
        task=task,
        model=made.model if made and ours else studio.catalog.default("text_to_shape").id,
        prompt=made.prompt if made else "",
        inputs=tuple(inputs),
        params={**params, **more},
        seed=random.SystemRandom().randrange(form.MAX_SEED) if task == "vary_shape" else (made.seed if made else 0),
        parent=sha256,
    )


def vary(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """More like this shape: {"strength": "subtle" | "strong", "count"}."""
    strength = STRENGTHS["strong" if asked.get("strength") == "strong" else "subtle"]
    count = max(1, min(int(asked.get("count") or 4), 32))
    source = Input(role="source", artifact=shape_of(studio, sha256).sha256)
    return _from(studio, "vary_shape", sha256, [source], strength=strength, num_return_sequences=count)


def mix(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """The shape at a place of the latent pad: {"picks": two to four sha256, "weights": of each}."""
    picks = [shape_of(studio, str(pick)).sha256 for pick in asked.get("picks") or ()]
    if len(picks) not in CORNERS:
        raise InvalidInput(f"{len(picks)} shapes are to be mixed.", "Select two to four.")
    weights = [float(weight) for weight in asked.get("weights") or [1.0] * len(picks)]
    if len(weights) != len(picks) or min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise InvalidInput("The weights do not fit the shapes.", "Reload the page.", field="weights")
    inputs = [Input(role="pick", artifact=pick) for pick in picks]
    return _from(studio, "mix_shapes", picks[0], inputs, weights=[round(weight, 4) for weight in weights])


def morph(studio: Studio, sha256: str, asked: Mapping[str, Any]) -> Request:
    """A series from a shape to another one: {"to": sha256, "steps"}."""
    to = shape_of(studio, str(asked.get("to"))).sha256
    if to == sha256:
        raise InvalidInput("A morph needs two shapes.", "Select another one.")
    inputs = [Input(role="from", artifact=sha256), Input(role="to", artifact=to)]
    steps = max(1, min(int(asked.get("steps") or 5), 64))
    return _from(studio, "morph_shapes", sha256, inputs, steps=steps)


REWORKS: Mapping[str, Callable[[Studio, str, Mapping[str, Any]], Request]] = {
    "vary": vary,
    "mix": mix,
    "morph": morph,
}
