"""What asking for pictures needs besides the form: shapes, styles as a menu, a walk between
two takes.

Pure: it queues nothing and knows no component's state.
"""

from collections.abc import Mapping
from typing import Any

from studio import presets
from studio.errors import InvalidInput
from studio.families import family
from studio.families.upscaling.folders import factor_of
from studio.studio import Studio
from studio.types import Input, Json, Model, Request, Value

CUSTOM = "custom"


def style_menu(studio: Studio, model: Model | None) -> list[tuple[str, str]]:
    """(label, id): those that the model knows first; the others say that it does not."""
    words = model.knows.get("words", ()) if model else ()
    known, others = [], []
    for style in presets.styles(studio.settings.home):
        label = f"{style.pack} · {style.name}"
        if words and not presets.style_is_known(style, words):
            others.append((f"{label} (unknown to this model)", style.id))
        else:
            known.append((label, style.id))
    return [("none", ""), *known, *others]


def described(model: Model | None) -> str:
    if model is None:
        return "No picture model is installed. Put a diffusers folder into the home's models folder."
    return model.summary


def sizes(width: int, height: int) -> list[tuple[str, str]]:
    """Shapes of about the same number of pixels as this one, which the model was made for."""
    shapes = [
        ("Square", 1.0),
        ("Landscape 3:2", 3 / 2),
        ("Portrait 2:3", 2 / 3),
        ("Wide 16:9", 16 / 9),
        ("Tall 9:16", 9 / 16),
    ]
    found = [(f"{width} × {height}", f"{width}x{height}")] if width != height else []
    for name, ratio in shapes:
        found.append((name, "{}x{}".format(*shaped(ratio, width, height))))
    return [*found, ("Custom", CUSTOM)]


def shaped(ratio: float, width: int, height: int) -> tuple[int, int]:
    """Width and height of about that ratio with about as many pixels as those, in steps that models work in."""
    side = (width * height) ** 0.5
    step = 8 if side < 256 else 32 if side < 512 else 64  # models' own are 8 to 64, and none of 64 makes small pictures
    wide, high = (max(64, round(side * ratio**half / step) * step) for half in (0.5, -0.5))
    return wide, high


def ways_to_enlarge(studio: Studio) -> list[Json]:
    """The models that enlarge, each with what one pass of it does."""
    able = studio.catalog.models("enlarge")
    return [{"id": m.id, "name": m.name, "factor": factor_of(m.folder), "summary": m.summary} for m in able]


def enlarge_request(
    studio: Studio, sha256: str, model: str | None = None, factor: str = "", method: str = "photo"
) -> Request:
    """A picture of the library larger, `factor` times or as the model makes it. `model` "" is none: it is calculated,
    by that method; None is the first that enlarges, if there is one.
    """
    kept = studio.library.artifact(sha256)
    if not kept.media_type.startswith("image/"):
        raise InvalidInput("Only a picture can be enlarged.", "Choose another take.")
    source = (Input(role="source", artifact=sha256),)
    prompt = str(kept.meta.get("prompt") or "")
    if model is None:
        model = next((one.id for one in studio.catalog.models("enlarge")), "")
    if not model:
        params: dict[str, Value] = {"factor": factor or "2", "method": method}
        return Request(task="upscale", model="", prompt=prompt, inputs=source, params=params, parent=sha256)
    wanted: dict[str, Value] = {"factor": factor} if factor else {}
    return Request(task="enlarge", model=model, prompt=prompt, inputs=source, params=wanted, parent=sha256)


def walk_request(studio: Studio, start: str, end: str, asked: Mapping[str, Any]) -> Request:
    """From the noise and words of one take to those of another."""
    a, b = studio.take(start), studio.take(end)
    for take in (a, b):
        if take.task != "text_to_image":
            raise InvalidInput(
                "A walk goes between two takes that were made from words alone.",
                "Choose a take without a start picture.",
            )
    known = {p.name for p in family(studio.catalog.model(a.model).family).params("latent_walk")}
    ends = {
        "to_prompt": b.prompt,
        "to_seed": b.seed,
        **{f"to_{n}": b.params.get(n) for n in ("variation_seed", "variation_strength", "variations")},
    }
    params = {**a.params, **ends, **{n: asked[n] for n in ("frames", "fps", "format") if n in asked}}
    sound = {k: v for k, v in params.items() if k in known and v is not None}
    return Request(
        task="latent_walk",
        model=a.model,
        prompt=a.prompt,
        seed=a.seed,
        params=sound,
        parent=start,
        adapters=a.adapters,
        inputs=(Input(role="walk_to", artifact=end),),
    )
