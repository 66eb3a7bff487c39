"""What a filled form of the Design panel asks for: one request, or one for each value where all are to be tried.

Values in, requests out. Each bench has acts; an act is a task of a family, on words, on pieces, or on both. Knows no
components and queues nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from studio import wording
from studio.design.kinds import usable
from studio.errors import InvalidInput, NotFound
from studio.families import family
from studio.families.craft import TEMPLATES
from studio.families.family import Param
from studio.studio import Studio
from studio.types import Input, Json, Request, Value
from studio.ui import brief, exploring, form, modelling, run, sketching
from studio.ui.design_variations import variations

PANEL = "design"
ALL = "all of them"  # the choice of a setting that makes one take for each of its values
COUNTS = ("num_return_sequences", "num_images_per_prompt")
AXES = 4  # directions that the form has sliders for
MOST_PIECES = 60


@dataclass(frozen=True, kw_only=True)
class Act:
    """What a bench can do. `words`: the label of the prompt, "" where none is asked for; `pieces`: what is taken from
    the tray ("" for nothing, "picture", "any"), `least` of them at least.
    """

    task: str
    title: str
    family: str
    words: str = ""
    example: str = ""
    pieces: str = ""
    least: int = 0
    first: tuple[str, ...] = ()  # settings that stand above the fold
    left: tuple[str, ...] = ()  # settings that the page gives itself
    every: tuple[str, ...] = ()  # settings of which all values can be tried at once
    model: bool = False


TILE = "tile"  # text_to_image whose edges meet
BENCHES: Mapping[str, tuple[str, tuple[Act, ...]]] = {
    "shape": (
        "Shape",
        (
            Act(
                task="text_to_shape",
                title="From words",
                family="shapes",
                words="Shape",
                example="A tall slim ribbed vase, 15 cm tall",
                first=("kind", "size_mm", "measured", "wall_mm", "num_return_sequences"),
                model=True,
            ),
        ),
    ),
    "sketch": (
        "Sketch",
        (
            Act(
                task="sketch",
                title="Render a drawing",
                family="diffusion",
                words="What it is",
                example="A red fox in a forest",
                model=True,
            ),
        ),
    ),
    "pattern": (
        "Pattern",
        (
            Act(
                task=TILE,
                title="From words",
                family="diffusion",
                words="Pattern",
                example="Tiny red foxes on snow",
                first=("num_images_per_prompt",),
                model=True,
            ),
            Act(
                task="make_seamless",
                title="Make seamless",
                family="craft",
                pieces="picture",
                least=1,
                first=("method", "overlap"),
                every=("method",),
            ),
            Act(
                task="recolour",
                title="Recolour",
                family="craft",
                pieces="picture",
                least=1,
                first=("palette", "style", "keep_order"),
                every=("style",),
            ),
        ),
    ),
    "vector": (
        "Vector & palette",
        (
            Act(
                task="vectorise",
                title="Trace",
                family="craft",
                pieces="picture",
                least=1,
                first=("detail", "colours", "palette"),
                every=("detail",),
            ),
            Act(task="cut_out", title="Cut out", family="craft", pieces="picture", least=1, first=("soft",)),
            Act(task="palette", title="Palette", family="craft", pieces="picture", least=1, first=("colours",)),
            Act(task="depth_map", title="Depth", family="depth", pieces="picture", least=1, model=True),
            Act(task="pose_map", title="Pose", family="depth", pieces="picture", least=1, model=True),
            Act(task="materials", title="Materials", family="depth", pieces="picture", least=1, model=True),
        ),
    ),
    "mockup": (
        "Mock-up",
        (
            Act(
                task="mock_up",
                title="Products",
                family="craft",
                pieces="picture",
                least=1,
                first=("templates", "colour", "fit", "width"),
            ),
            Act(
                task="upscale",
                title="Enlarge",
                family="craft",
                pieces="picture",
                least=1,
                first=("factor", "method"),
                every=("factor",),
            ),
            Act(
                task="print_pdf",
                title="Print file",
                family="craft",
                pieces="picture",
                least=1,
                first=("size", "bleed", "fit", "crop_marks", "lying"),
            ),
        ),
    ),
    "explore": (
        "Explore",
        (
            Act(
                task="explore",
                title="Pictures",
                family="gan",
                first=("label", "truncation", "num_images_per_prompt"),
                left=("axes",),
                model=True,
            ),
            Act(task="map_latents", title="Map", family="gan", first=("label", "columns", "span"), model=True),
            Act(
                task="latent_directions",
                title="Directions",
                family="gan",
                first=("label", "columns", "rows", "span"),
                model=True,
            ),
            Act(
                task="walk_latents",
                title="Walk",
                family="gan",
                first=("label", "stops", "num_stops", "frames", "format"),
                model=True,
            ),
            Act(
                task="sprite_sheet",
                title="Sprites",
                family="gan",
                first=("label", "num_images_per_prompt", "columns", "scale"),
                left=("axes",),
                model=True,
            ),
            Act(
                task="terrain",
                title="Terrain",
                family="gan",
                first=("label", "size_mm", "relief_mm"),
                left=("axes",),
                pieces="picture",
                model=True,
            ),
        ),
    ),
    "sheet": (
        "Sheet",
        (
            Act(
                task="sheet",
                title="Concept sheet",
                family="craft",
                pieces="any",
                least=1,
                first=("title", "size", "lying", "captions"),
            ),
        ),
    ),
}
ACTS: Mapping[str, Act] = {act.task: act for _, acts in BENCHES.values() for act in acts}
BENCH_OF = {act.task: bench for bench, (_, acts) in BENCHES.items() for act in acts}


@dataclass(frozen=True, kw_only=True)
class Designing:
    """The form's values by name ("<task>.<setting>" for those of one act) and what stands beside the form."""

    values: Mapping[str, Any]
    pieces: Sequence[Mapping[str, Any]] = ()  # {sha256, media_type, name} each, as the tray holds them
    drawing: str | None = None  # sha256 of what is on the paper
    parent: str | None = None  # sha256 of the take that is branched from
    kept: Mapping[str, Any] = field(default_factory=dict)  # {"axes": [...]}: a place in the latent space


@dataclass(frozen=True)
class Plan:
    requests: tuple[Request, ...]
    group: str
    seed: int


def act_of(values: Mapping[str, Any]) -> Act:
    """The act that the form shows."""
    bench = str(values.get("bench") or "shape")
    acts = BENCHES.get(bench, BENCHES["shape"])[1]
    wanted = values.get(f"act.{bench}")
    return next((act for act in acts if act.task == wanted), acts[0])


def declared(act: Act) -> tuple[Param, ...]:
    """The settings of an act that the form has fields for; those of which all can be tried have one choice more."""
    if act.task == TILE:
        known = {param.name: param for param in family("diffusion").params("text_to_image")}
        names = ("num_images_per_prompt", "num_inference_steps", "guidance_scale", "negative_prompt")
        return tuple(known[name] for name in names)
    params = family(act.family).tasks.get(act.task, ())
    return tuple(
        replace(param, choices=(*param.choices, ALL)) if param.name in act.every else param
        for param in params
        if param.name not in act.left
    )


def plan(studio: Studio, asked: Designing) -> Plan:
    """The requests of a click. InvalidInput names the field that cannot be used."""
    act = act_of(asked.values)
    seed = form.seed_of(asked.values)
    own = {name.partition(".")[2]: v for name, v in asked.values.items() if name.startswith(f"{act.task}.")}
    values = {**own, "prompt": str(asked.values.get("prompt") or "").strip(), "seed": seed, "lock": True}
    if act.task == TILE:
        return tiles(studio, asked, values)
    if act.task == "sketch":
        drawn = {**values, "model": model_of(studio, act, asked.values)}
        return sketches(studio, asked, drawn)
    chosen = pieces_of(studio, act, asked.pieces)
    base = Request(
        task=act.task,
        model=model_of(studio, act, asked.values),
        prompt=prompt_of(studio, act, values, chosen),
        inputs=chosen,
        seed=seed if act.model else 0,
        parent=asked.parent,
    )
    requests = tuple(base.replace(params=params) for params in settings_of(act, values, asked.kept))
    return Plan(requests, run.new_group() if len(requests) > 1 else "", seed)


def sketches(studio: Studio, asked: Designing, values: Mapping[str, Any]) -> Plan:
    """Renderings of the drawing: one request for those whose words are the same."""
    seed, count = values["seed"], form.whole({"count": values.get(wording.COUNT) or 1}, "count", "Variations")
    requests = []
    for words in wording.drawn(values["prompt"], seed, count, studio.settings.home):
        share = {"prompt": words.prompt, "seed": seed + words.place}
        share |= {wording.COUNT: words.count} if words.count != count else {}
        made = sketching.request(studio, {**values, **share}, asked.drawing)
        requests.append(made.replace(parent=asked.parent or asked.drawing))
    return Plan(tuple(requests), run.new_group("words.") if len(requests) > 1 else "", seed)


def tiles(studio: Studio, asked: Designing, values: Mapping[str, Any]) -> Plan:
    """Pictures whose edges meet, by a model that makes pictures."""
    model = model_of(studio, ACTS[TILE], asked.values)
    known = studio.catalog.defaults(studio.catalog.model(model), "text_to_image")
    side = {name: known[name] for name in ("width", "height") if name in known}
    whole = {**side, **values, "model": model, "tiling": "both", "style": asked.values.get("style") or ""}
    planned = brief.plan(studio, brief.Brief(values=whole, parent=asked.parent))
    return Plan(planned.requests, planned.group, planned.seed)


def settings_of(act: Act, values: Mapping[str, Any], kept: Mapping[str, Any]) -> list[dict[str, Value]]:
    """The settings of each request: one set, or one for every value of those that are to be tried."""
    known = {param.name: param for param in family(act.family).tasks.get(act.task, ())}
    entered = {name: read(known[name], value) for name, value in values.items() if name in known}
    check_colours(entered)
    if act.left and kept.get("axes"):
        entered["axes"] = [float(step) for step in kept["axes"]]
    sets: list[dict[str, Value]] = [{n: v for n, v in entered.items() if v not in (None, "", []) and v != ALL}]
    for name in act.every:
        if entered.get(name) == ALL:
            sets = [{**one, name: choice} for one in sets for choice in known[name].choices]
    return sets


def check_colours(entered: Mapping[str, Any]) -> None:
    """Said before anything is queued: InvalidInput for words that are no colours."""
    written = {name: entered[name] for name in ("palette", "colour") if isinstance(entered.get(name), str)}
    if not any(written.values()):
        return
    from studio.design.colours import read_colour, read_colours  # numpy: the page starts without it

    if written.get("palette"):
        read_colours(written["palette"])
    if written.get("colour"):
        read_colour(written["colour"], "colour")


def read(param: Param, value: Any) -> Any:
    """What was typed as the setting wants it: lists are written with commas, captions a line each."""
    if param.type is not list or not isinstance(value, str):
        return value
    parts = value.splitlines() if param.name == "captions" else re.split(r"[,\n]", value)
    return [part.strip() for part in parts if part.strip()] if param.name != "captions" else [p.strip() for p in parts]


def pieces_of(studio: Studio, act: Act, tray: Sequence[Mapping[str, Any]]) -> tuple[Input, ...]:
    """Those pieces of the tray that the act can use. InvalidInput where there are too few."""
    if not act.pieces:
        return ()
    found = [piece for piece in tray if usable(str(piece.get("media_type") or ""), act.pieces)]
    if len(found) < act.least:
        what = "a picture" if act.pieces == "picture" else "something"
        raise InvalidInput(
            f"{act.title} needs {what} in the tray.",
            "Choose one of your takes, drop a file there, or send a take of any panel to Design.",
            field="tray",
        )
    role = "piece" if act.task == "sheet" else "source"
    kept = [studio.library.artifact(str(piece.get("sha256"))) for piece in found[:MOST_PIECES]]
    return tuple(Input(role=role, artifact=one.sha256) for one in (kept if act.least else kept[:1]))


def prompt_of(studio: Studio, act: Act, values: Mapping[str, Any], chosen: Sequence[Input]) -> str:
    """The words of the brief; of a tool those of what it works on, so that its takes can be found by them."""
    if act.words:
        if not values["prompt"] and act.task != "text_to_shape":
            raise InvalidInput("The prompt is empty.", f"Write for instance: {act.example}.", field="prompt")
        return str(values["prompt"])
    if act.task == "sheet":
        return str(values.get("title") or "Concept sheet")
    if act.family == "gan":
        return str(values.get("label") or "any kind")
    return named(studio, chosen[0].artifact) if chosen else ""


def named(studio: Studio, sha256: str) -> str:
    try:
        meta = studio.library.artifact(sha256).meta
    except NotFound:
        return ""
    return str(meta.get("prompt") or meta.get("label") or meta.get("name") or "")[:400]


def model_of(studio: Studio, act: Act, values: Mapping[str, Any]) -> str:
    """The chosen model where it can do the act, else the first that can; "" for tools. InvalidInput without any."""
    if not act.model:
        return ""
    able = [model.id for model in studio.catalog.models(able_task(act))]
    if not able:
        raise InvalidInput(
            f"No model is installed for {act.title.lower()}.", "Put its folder into the home's models folder."
        )
    return str(values["model"]) if values.get("model") in able else able[0]


def able_task(act: Act) -> str:
    """The task by which the catalog finds the models of an act."""
    if act.family == "gan":
        return "explore"
    return {TILE: "text_to_image", "sketch": "image_to_image"}.get(act.task, act.task)


# --- what is asked of a take

REWORKS = {**modelling.REWORKS, **exploring.REWORKS}  # by what the board calls them


def made_by(studio: Studio, sha256: str) -> Request:
    artifact = studio.library.artifact(sha256)
    if artifact.job is None:
        raise NotFound("That piece was not made here, so it has no settings.", "Use it as a piece instead.")
    return studio.library.job(artifact.job).request


def varied(studio: Studio, sha256: str, strength: str) -> tuple[Request, ...]:
    """What Vary asks for: shapes and places near by, pictures with other noise, tools with other settings."""
    before = made_by(studio, sha256)
    kept = studio.library.artifact(sha256)
    if kept.media_type == "model/gltf-binary":
        return (modelling.vary(studio, sha256, {"strength": strength}),)
    if before.task in family("gan").tasks:
        return (exploring.vary(studio, sha256, {"strength": strength}),)
    if before.task in ("text_to_image", "image_to_image"):
        return (studio.vary(sha256, "strong" if strength == "strong" else "subtle"),)
    return variations(before, kept.sha256, strength)


def tool(studio: Studio, sha256: str, task: str, values: Mapping[str, Any]) -> tuple[Request, ...]:
    """A tool on this take alone, with what the form has set for it."""
    act = ACTS.get(task)
    if act is None or act.family not in ("craft", "depth"):
        raise InvalidInput("There is no such tool.", "Reload the page.")
    kept = studio.library.artifact(sha256)
    tray = [{"sha256": sha256, "media_type": kept.media_type}]
    asked = Designing(
        values={**values, "bench": BENCH_OF[task], f"act.{BENCH_OF[task]}": task}, pieces=tray, parent=sha256
    )
    return plan(studio, asked).requests


def form_values(request: Request) -> tuple[str, dict[str, Any]]:
    """(act, values of the form) that ask for this again. InvalidInput for what no form makes."""
    task = TILE if request.task == "text_to_image" and request.params.get("tiling") == "both" else request.task
    if sketching.source_of(request):
        shown = {f"sketch.{name}": value for name, value in sketching.values_of(request).items()}
        own = {"bench": "sketch", "prompt": request.prompt, "sketch.style": ""}
        return "sketch", {**shown, **own, "seed": request.seed, "lock": True, "model": request.model}
    if task not in ACTS:
        raise InvalidInput(
            "This take was made from another one, not from a form.", "Choose the take that it came from."
        )
    bench = BENCH_OF[task]
    values: dict[str, Any] = {"bench": bench, "prompt": request.prompt if ACTS[task].words else ""}
    if len(BENCHES[bench][1]) > 1:
        values[f"act.{bench}"] = task
    for name, value in request.params.items():
        glue = "\n" if name == "captions" else ", "
        values[f"{task}.{name}"] = (
            glue.join(map(str, value)) if isinstance(value, list) and name != "templates" else value
        )
    if ACTS[task].model:
        values |= {"seed": request.seed, "lock": True, "model": request.model}
    return task, values


def piece(studio: Studio, sha256: str) -> Json:
    """A work of the library as a piece of the tray. NotFound."""
    kept = studio.library.artifact(sha256)
    return {"sha256": sha256, "media_type": kept.media_type, "name": named(studio, sha256)[:80]}


def templates() -> tuple[str, ...]:
    """The products that artwork can be shown on."""
    return TEMPLATES
