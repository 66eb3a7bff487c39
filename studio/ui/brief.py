"""What a filled picture form asks for: one request, one a distinct prompt, or one a cell of an X/Y grid.

Pure: values in, requests out; wildcards, styles and ranges of values are resolved here. Knows no components
and queues nothing.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio import loras, presets, prompt_lists, wildcards, wording
from studio.errors import InvalidInput, NotFound
from studio.families import family
from studio.families.family import Param
from studio.studio import Studio
from studio.types import Input, Model, Request, Value
from studio.ui import films, form, run

MAX_CELLS = 64
GROWN = ("extend_left", "extend_right", "extend_top", "extend_bottom", "extend_to")
NOT_AXES = frozenset(
    {
        "num_images_per_prompt",
        "width",
        "height",
        "variations",
        "mask_blur",
        "padding_mask_crop",
        *GROWN,
    }
)
OWN_AXES = {
    "seed": "Seed",
    "prompt": "Words in the prompt",
    "style": "Style",
    "size": "Size",
    "model": "Model",
}
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)(?:\s*:\s*(\d+(?:\.\d+)?))?")


@dataclass(frozen=True, kw_only=True)
class Brief:
    """The form's values by name, and what stands beside the form."""

    values: Mapping[str, Any]
    start: str | None = None  # sha256 of the picture to begin with
    mask: str | None = None
    reference: str | None = None  # sha256 of the picture that the new one is to resemble
    control: str | None = None  # sha256 of the picture whose outlines the new one is to follow
    parent: str | None = None  # sha256 of the take that is branched from
    kept: Mapping[str, Any] = field(default_factory=dict)  # params that the form has no fields for

    @property
    def task(self) -> str:
        if self.start and self.extends:
            return "outpaint"
        if self.start and self.mask:
            return "inpaint"
        return "image_to_image" if self.start else "text_to_image"

    @property
    def extends(self) -> bool:
        """Whether the picture is to grow at a side."""
        return any(self.values.get(name) for name in GROWN)

    @property
    def needed(self) -> str:
        """The task that a model must be able to do for it."""
        return "inpaint" if self.task == "outpaint" else self.task

    def changed(self, **values: Any) -> "Brief":
        return Brief(
            values={**self.values, **values},
            start=self.start,
            mask=self.mask,
            reference=self.reference,
            control=self.control,
            parent=self.parent,
            kept=self.kept,
        )


@dataclass(frozen=True)
class Plan:
    """What a click makes: the requests, the group they share ("" for one alone), and the seed used."""

    requests: tuple[Request, ...]
    group: str
    seed: int


def plan(studio: Studio, brief: Brief) -> Plan:
    """The requests of a click. InvalidInput names the field that cannot be used."""
    seed = form.seed_of(brief.values)
    brief = brief.changed(seed=seed)
    x, y = brief.values.get("x") or "", brief.values.get("y") or ""
    if brief.extends and not brief.start:
        side = next(name for name in GROWN if brief.values.get(name))
        raise InvalidInput(
            "There is no picture to extend.", "Choose a start picture, or leave its sides as they are.", field=side
        )
    if str(brief.values.get("many") or "").strip():
        if x or y:
            raise InvalidInput(
                "A list of prompts and a grid do not go together.", "Empty the list, or both sides.", field="many"
            )
        return Plan(listed(studio, brief), run.new_group("list."), seed)
    if x or y:
        return Plan(*cells(studio, brief, *((x, y) if x else (y, x))), seed)
    requests = takes(studio, brief)
    return Plan(requests, run.new_group("words.") if len(requests) > 1 else "", seed)


def listed(studio: Studio, brief: Brief) -> tuple[Request, ...]:
    """The requests of a list of prompts, line by line. InvalidInput names every line that cannot be used."""
    model = studio.catalog.model(brief.values["model"]) if brief.values.get("model") else None
    declared = family(model.family if model else "diffusion").tasks.get(brief.task, ())
    requests: list[Request] = []
    wrong: dict[int, InvalidInput] = {}
    for line in prompt_lists.read_list(str(brief.values["many"]), declared):
        changed = brief.changed(**line.changes, prompt=line.prompt)
        try:
            made = takes(studio, changed)
            for request in made:
                studio.check(request)
        except (InvalidInput, NotFound) as error:
            wrong[line.number] = InvalidInput(error.message, error.hint)
        else:
            requests += made
    if wrong:
        raise prompt_lists.wrong_lines(wrong)
    return tuple(requests)


def takes(studio: Studio, brief: Brief) -> tuple[Request, ...]:
    """One request for takes whose words are the same; wildcards give take k the words of the seed + k."""
    count = form.whole(brief.values, "num_images_per_prompt", "Variations")
    seed = brief.values["seed"]
    return tuple(
        request(studio, brief.changed(seed=seed + words.place, num_images_per_prompt=words.count), words.prompt)
        for words in wording.drawn(str(brief.values.get("prompt") or ""), seed, count, studio.settings.home)
    )


def request(studio: Studio, brief: Brief, prompt: str) -> Request:
    """One request with these words, in the chosen style."""
    values = brief.values
    told = wording.worded(
        prompt,
        str(values.get("negative_prompt") or ""),
        str(values.get("style") or ""),
        studio.settings.home,
        may_be_empty=bool(brief.start),
    )
    model = studio.catalog.model(values["model"]) if values.get("model") else studio.catalog.default(brief.needed)
    task = films.task_for(model, brief.task)
    params: dict[str, Value] = form.params(
        family(model.family).tasks.get(task, ()), {**wanted(brief), "negative_prompt": told.negative}
    )
    kept = (
        brief.kept if values.get("lock") else {}
    )  # another seed: what was laid over the old one's noise means nothing
    params |= likeness(studio, model, brief, params)
    params |= steering(studio, model, brief, params)
    inputs = [
        Input(role=role, artifact=sha)
        for role, sha in (("init_image", brief.start), ("mask_image", brief.mask))
        if sha and brief.start and not (role == "mask_image" and films.makes_films(model))
    ]
    if brief.reference:
        inputs.append(Input(role="reference", artifact=brief.reference))
    if brief.control:
        inputs.append(Input(role="control", artifact=brief.control))
    return Request(
        task=task,
        model=model.id,
        prompt=told.prompt,
        inputs=tuple(inputs),
        adapters=told.adapters,
        params={k: v for k, v in {**kept.get("params", {}), **params}.items() if v is not None},
        seed=int(values["seed"]),
        parent=brief.parent,
    )


def likeness(studio: Studio, model: Model, brief: Brief, params: Mapping[str, Value]) -> dict[str, Value]:
    """The settings of a reference picture: the IP-Adapter that was chosen, else the first for the model. InvalidInput
    where there is none; without a reference no such setting.
    """
    if not brief.reference:
        return {"ip_adapter": None, "ip_adapter_scale": None}
    able = studio.catalog.references(model)
    if not able:
        raise InvalidInput(
            f"{model.name} has no IP-Adapter, which a reference picture needs.",
            "Remove the reference, or put one for this model into the models folder.",
            field="ip_adapter",
        )
    return {"ip_adapter": str(params.get("ip_adapter") or able[0].id)}


STEERED = (
    "controlnet",
    "control_kind",
    "controlnet_conditioning_scale",
    "control_guidance_start",
    "control_guidance_end",
)


def steering(studio: Studio, model: Model, brief: Brief, params: Mapping[str, Value]) -> dict[str, Value]:
    """The settings of a picture that is followed: the ControlNet that was chosen, else the first for the model.
    InvalidInput where there is none; without such a picture no such setting.
    """
    if not brief.control:
        return dict.fromkeys(STEERED)
    able = {one.id: one for one in studio.catalog.controlnets(model)}
    if not able:
        raise InvalidInput(
            f"{model.name} has no ControlNet, which following a picture needs.",
            "Remove that picture, or put a ControlNet for this model into the models folder.",
            field="controlnet",
        )
    chosen = str(params.get("controlnet") or next(iter(able)))
    kind = params.get("control_kind") or (able[chosen].kind if chosen in able else None)
    return {"controlnet": chosen, "control_kind": kind}


def wanted(brief: Brief) -> dict[str, Any]:
    """The form's values without those that say nothing: a border of no pixels, the rim of a mask that is not cut out,
    a second pass that makes nothing larger, a variation of strength 0.

    InvalidInput where the picture is to grow and be painted inside at once, or a variation has no seed.
    """
    if brief.start and brief.mask and brief.extends:
        raise InvalidInput(
            "A picture is extended or painted inside a mask, one after the other.",
            "Remove the mask, or set the sides to 0.",
            field="extend_left",
        )
    left_out = {name for name in GROWN if not brief.values.get(name)}
    if (brief.values.get("hires_scale") or 1) <= 1:
        left_out |= {"hires_scale", "hires_strength"}
    if "hires_scale" in left_out or not brief.values.get("hires_steps"):
        left_out.add("hires_steps")
    if not brief.values.get("masked_area"):
        left_out.add("padding_mask_crop")
    if not brief.values.get("variation_strength"):
        left_out |= {"variation_seed", "variation_strength"}
    elif brief.values.get("variation_seed") is None:
        said = "There is no seed towards which the noise could be moved."
        raise InvalidInput(said, "Type a variation seed, or set its strength to 0.", field="variation_seed")
    return {name: value for name, value in brief.values.items() if name not in left_out}


# --- X/Y grids


def axes(studio: Studio, model: str) -> tuple[tuple[str, str], ...]:
    """(label, name) of every setting that can be an axis for this model."""
    declared = family(studio.catalog.model(model).family) if model else family("diffusion")
    params = {
        p.name: p.label for task in ("text_to_image", "image_to_image") for p in declared.tasks.get(task, ()) if p.label
    }
    return tuple((label, name) for name, label in {**OWN_AXES, **params}.items() if name not in NOT_AXES)


def cells(studio: Studio, brief: Brief, x: str, y: str) -> tuple[tuple[Request, ...], str]:
    """One request a cell, row by row, all with the same seed unless the seed is an axis; and the grid's
    group.
    """
    if x == y:
        raise InvalidInput("Both sides of the grid are the same setting.", "Choose another one, or none.", field="y")
    if "variation_seed" in (x, y) and not ("variation_strength" in (x, y) or brief.values.get("variation_strength")):
        said = "All variation seeds make the same picture at strength 0."
        raise InvalidInput(said, "Set a variation strength.", field="variation_strength")
    across = values_of(
        studio,
        brief,
        x,
        str(brief.values.get("x_values" if brief.values.get("x") == x else "y_values") or ""),
        "x_values",
    )
    down = values_of(studio, brief, y, str(brief.values.get("y_values") or ""), "y_values") if y else [{}]
    if len(across) * len(down) > MAX_CELLS:
        raise InvalidInput(
            f"That grid has {len(across) * len(down)} cells.",
            f"At most {MAX_CELLS} are made at once.",
            field="x_values",
        )
    lists = wildcards.wildcard_lists(studio.settings.home)
    requests = []
    for row, column in itertools.product(down, across):
        cell = brief.changed(num_images_per_prompt=1, lock=True, **row, **column)
        replacing = {**row.get("replace", {}), **column.get("replace", {})}
        prompt = str(brief.values.get("prompt") or "")
        for word, instead in replacing.items():
            prompt = prompt.replace(word, instead)
        requests.append(request(studio, cell, wildcards.expand(prompt, brief.values["seed"], lists)))
    names = [{"style": "prompt"}.get(name, name) for name in (x, y)]
    if names[0] == names[1]:
        raise InvalidInput(
            "Words and style cannot be the two sides of one grid.",
            "Choose another setting for one of them.",
            field="y",
        )
    return tuple(requests), run.new_group(f"xy.{names[0]}.{names[1]}.")


def values_of(studio: Studio, brief: Brief, name: str, text: str, where: str) -> list[dict[str, Any]]:
    """What each place on one axis changes in the form's values."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise InvalidInput(
            "There are no values for that side of the grid.",
            "Write them with commas: 4, 8, 12 or 1-4.",
            field=where,
        )
    if name == "prompt":
        if parts[0] not in str(brief.values.get("prompt") or ""):
            raise InvalidInput(
                f"The prompt does not contain {parts[0]!r}.",
                "The first value is the word to be replaced, as in: fox, cat, owl.",
                field=where,
            )
        return [{"replace": {parts[0]: part}} for part in parts]
    if name == "style":
        return [
            {"style": one_of(part, {s.id: s.name for s in presets.styles(studio.settings.home)}, where)}
            for part in parts
        ]
    if name == "model":
        return [
            {"model": one_of(part, {m.id: m.name for m in studio.catalog.models(brief.needed)}, where)}
            for part in parts
        ]
    if name == "size":
        return [dict(zip(("width", "height"), size(part, where), strict=True)) for part in parts]
    if name == "seed":
        return [{"seed": int(number)} for number in numbers(parts, int, where)]
    return [{name: value} for value in declared_values(param_of(studio, brief, name), parts, where)]


def declared_values(param: Param, parts: Sequence[str], where: str) -> list[Value]:
    if param.choices:
        return [one_of(part, {c: c.replace("_", " ") for c in param.choices}, where) for part in parts]
    if param.type is bool:
        return [part.lower() in ("on", "yes", "true", "1") for part in parts]
    if param.type is str:
        return list(parts)
    return [*numbers(parts, param.type, where)]


def param_of(studio: Studio, brief: Brief, name: str) -> Param:
    model = (
        studio.catalog.model(brief.values["model"])
        if brief.values.get("model")
        else studio.catalog.default(brief.needed)
    )
    for param in family(model.family).tasks.get(films.task_for(model, brief.task), ()):
        if param.name == name:
            return param
    raise InvalidInput(f"{name.replace('_', ' ')} does nothing here.", "It needs a start picture.", field="x")


def numbers(parts: Sequence[str], kind: type, where: str) -> list[int | float]:
    """4, 8, 1-4, 10-50:10 as numbers."""
    found: list[int | float] = []
    for part in parts:
        ranged = _RANGE.fullmatch(part)
        try:
            if ranged:
                low, high, step = float(ranged[1]), float(ranged[2]), float(ranged[3] or 1)
                if step <= 0 or high < low or (high - low) / step > MAX_CELLS:
                    raise ValueError
                found += [kind(low + i * step) for i in range(int((high - low) / step + 1e-9) + 1)]
            else:
                found.append(kind(part))
        except (ValueError, OverflowError) as error:
            raise InvalidInput(
                f"{part!r} is not a number or a range.", "Write for instance 4, 8, 12 or 1-4.", field=where
            ) from error
    return found


def size(part: str, where: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})\s*[x×]\s*(\d{1,5})", part)
    if not found:
        raise InvalidInput(f"{part!r} is not a size.", "Write for instance 256x256, 384x256.", field=where)
    return int(found[1]), int(found[2])


def one_of(part: str, names: Mapping[str, str], where: str) -> str:
    """The id whose id or name this is, whatever its case."""
    for id, name in names.items():
        if part.casefold() in (id.casefold(), name.casefold()):
            return id
    raise InvalidInput(f"{part!r} is not one of them.", f"Known are: {', '.join(list(names)[:12])}.", field=where)


# --- what stands under the prompt


def note(studio: Studio, values: Mapping[str, Any], prompt: str) -> str:
    """A line on the prompt as it stands: what take 1 becomes, and words that the model does not know."""
    lines = []
    text = prompt
    if wildcards.is_dynamic(prompt):
        lists = wildcards.wildcard_lists(studio.settings.home)
        try:
            seed = int(values["seed"]) if values.get("lock") and values.get("seed") is not None else 0
            text = wildcards.expand(prompt, seed, lists)
            total = wildcards.combinations(prompt, lists, limit=1).total
            lines.append(f"{'Take 1' if values.get('lock') else 'For instance'}: {text}  ({total:,} possible)")
        except InvalidInput as error:
            return str(error)
    if values.get("model"):
        words = studio.catalog.model(values["model"]).knows.get("words", ())
        try:
            text, adapters = loras.taken_out(text)
        except InvalidInput as error:
            return str(error)
        if words:
            taught = [str(studio.catalog.adapter_facts(a.id).get("trigger") or "") for a in adapters]
            words = [*words, *" ".join(taught).split()]
        unknown = presets.unknown_words(text, words) if words and text.strip() else ()
        if unknown:
            lines.append(f"This model does not know: {', '.join(unknown[:8])}")
    return "\n".join(lines)
