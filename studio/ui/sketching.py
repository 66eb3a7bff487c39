"""From a drawing to a request for renderings that keep its outline: by a ControlNet where the model has one (begun with
the drawing as well where its card says so), else by beginning with the drawing. Pure: it queues nothing and knows no
component.
"""

from collections.abc import Mapping
from typing import Any

from studio import wording
from studio.errors import InvalidInput
from studio.families import family
from studio.families.diffusion.controlnet_folders import ControlNetFolder
from studio.studio import Studio
from studio.types import Input, Model, Request, Value
from studio.ui import form

TASK = "image_to_image"  # what a model must be able to do to be offered for drawings
CLOSELY = 0.8  # how closely a drawing is followed where nothing is said
UNIT = 16  # pixels: sizes that every model takes
FIELDS = ("num_images_per_prompt", "width", "height", "num_inference_steps", "guidance_scale", "negative_prompt")


def request(studio: Studio, values: Mapping[str, Any], source: str | None) -> Request:
    """Renderings of the drawing `source` (sha256 of the library).

    Values, all but `prompt` may be missing: `prompt`; `style` (id of a preset); `model`; `closely` (0 loosely to 1
    strictly); `by` ("auto", "controlnet", "start": begin with the drawing); `controlnet` (id, else the first that
    steers the model); `seed` and `lock`; and FIELDS. Without `width` and `height` the renderings have the drawing's
    shape and the model's size. InvalidInput names the field: prompt, sketch, model, closely, controlnet ...
    """
    prompt, negative = str(values.get("prompt") or ""), str(values.get("negative_prompt") or "")
    told = wording.worded(prompt, negative, str(values.get("style") or ""), studio.settings.home, may_be_empty=True)
    if not told.prompt:
        raise InvalidInput("The prompt is empty.", "Say what the drawing shows: a red fox in a forest.", field="prompt")
    if not source:
        raise InvalidInput("The paper is empty.", "Draw something, or choose a picture of lines.", field="sketch")
    model = studio.catalog.model(values["model"]) if values.get("model") else studio.catalog.default(TASK)
    closely = _closely(values)
    controlnet = chosen_controlnet(studio, model, values)
    task = "text_to_image" if controlnet and controlnet.start is None else TASK
    given = {name: values[name] for name in FIELDS if values.get(name) not in (None, "")}
    given = {**shape(studio, model, source), **given, "negative_prompt": told.negative}
    params: dict[str, Value] = form.params(family(model.family).tasks.get(task, ()), given)
    drawing = Input(role="control", artifact=source)
    if controlnet:
        params |= {"controlnet": controlnet.id, "control_kind": controlnet.kind_of_drawings, **scale(closely)}
    if task == TASK:
        params |= {"strength": start_strength(closely, controlnet)}
    return Request(
        task=task,
        model=model.id,
        prompt=told.prompt,
        inputs=(Input(role="init_image", artifact=source), drawing) if task == TASK else (drawing,),
        adapters=told.adapters,
        params=params,
        seed=form.seed_of(values),
    )


def values_of(asked: Request) -> dict[str, Any]:
    """The values by which `request` asks for this again, without its style; {} for what it does not make."""
    source = source_of(asked)
    if source is None:
        return {}
    params = dict(asked.params)
    values = {name: params[name] for name in FIELDS if name in params}
    if controlnet := params.get("controlnet"):
        how = {"by": "controlnet", "controlnet": controlnet}
        closely = float(str(params.get("controlnet_conditioning_scale", 1.0))) * CLOSELY
    else:
        how, closely = {"by": "start"}, (0.95 - float(str(params.get("strength", 0.6)))) / 0.5
    kept = {"prompt": asked.prompt, "model": asked.model, "seed": asked.seed, "lock": True}
    return {**values, **kept, **how, "closely": round(min(1.0, max(0.0, closely)), 3)}


def source_of(asked: Request) -> str | None:
    """The drawing (sha256) that a request renders; None for other requests."""
    return next((given.artifact for given in asked.inputs if given.role == "control"), None)


def chosen_controlnet(studio: Studio, model: Model, values: Mapping[str, Any]) -> ControlNetFolder | None:
    """The one that is named, else the first that steers the model; None where it shall be or has to be without."""
    by = str(values.get("by") or "auto")
    if values.get("controlnet"):
        return studio.catalog.controlnet(str(values["controlnet"]), model)
    if by == "start":
        return None
    able = studio.catalog.controlnets(model)
    ready = [one for one in able if one.kind_of_drawings != "as it is"] or list(able)
    if not ready and by == "controlnet":
        said = f"{model.name} has no ControlNet."
        raise InvalidInput(said, "Choose another model, or let the rendering begin with the drawing.", field="by")
    return ready[0] if ready else None


def scale(closely: float) -> dict[str, Value]:
    """How strongly a ControlNet steers: 1 at the usual closeness."""
    return {"controlnet_conditioning_scale": round(closely / CLOSELY, 3)}


def start_strength(closely: float, controlnet: ControlNetFolder | None = None) -> float:
    """How much of the drawing may change where the rendering begins with it: 0.95 loosely to 0.45 strictly; with a
    ControlNet what its card says at the usual closeness, and all at none.
    """
    if controlnet and controlnet.start is not None:
        return round(1 - (1 - controlnet.start) * closely / CLOSELY, 3)
    return round(0.95 - 0.5 * closely, 3)


def shape(studio: Studio, model: Model, source: str) -> dict[str, Value]:
    """Width and height: the model's number of pixels in the drawing's shape, within 1:2 and 2:1."""
    known = studio.catalog.defaults(model, TASK)
    wide, high = (int(str(known.get(name) or 512)) for name in ("width", "height"))
    drawn = studio.library.artifact(source)
    if not drawn.width or not drawn.height:
        return {"width": wide, "height": high}
    ratio = min(2.0, max(0.5, drawn.width / drawn.height))
    if abs(ratio - wide / high) < 0.02:
        return {"width": wide, "height": high}
    side = (wide * high) ** 0.5
    width, height = (max(UNIT, round(side * part / UNIT) * UNIT) for part in (ratio**0.5, ratio**-0.5))
    return {"width": width, "height": height}


def _closely(values: Mapping[str, Any]) -> float:
    given = values.get("closely")
    try:
        closely = CLOSELY if given in (None, "") else float(str(given))
    except ValueError as error:
        raise InvalidInput(f"How closely is {given!r}.", "Type a number from 0 to 1.", field="closely") from error
    if not 0 <= closely <= 1:
        raise InvalidInput(f"How closely is {closely:g}.", "It must lie between 0 and 1.", field="closely")
    return closely
