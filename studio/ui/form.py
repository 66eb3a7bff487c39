"""Declared settings as fields: how a Param becomes a component, how fields become values again, and what a
reload restores.

Knows nothing of any panel or model. What a field may hold is checked by the family, not here; a message goes
under the field that it names.
"""

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from studio.errors import InvalidInput, StudioError
from studio.families.family import Param
from studio.loras import LIMIT
from studio.studio import Studio
from studio.types import Adapter, Json, Value
from studio.ui.fast_gradio import gradio as gr

MAX_SEED = 2**31  # of seeds that are drawn

SHORT = {
    "negative_prompt": "negative",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "num_images_per_prompt": "count",
    "num_frames": "frames",
    "frame_rate": "fps",
    "scheduler": "sampler",
    "init_image": "start",
    "mask_image": "start",
}
# gradio's queue answers over one stream a page, which it closes when nothing is under way; an answer that is sent
# just then is lost. Handlers that only look things up or queue a job answer their own request instead.
QUIET: Mapping[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "concurrency_limit": None,
    "api_visibility": "private",
}
LARGEST_SLIDER = 200  # positions; what has more is a number to type
# The browser keeps what is typed, by the names of the settings. Many fields change together when a page loads: they are
# written once, a moment later, or when the page is left.
KEEP = """([key, names]) => (...values) => {
  const kept = (window.atelierKept ??= new Map());
  if (!kept.size) addEventListener('pagehide', () => kept.forEach((form) => form.write()));
  clearTimeout(kept.get(key)?.timer);
  const write = () => localStorage.setItem(key,
    JSON.stringify(Object.fromEntries(values.map((value, i) => [names[i], value]))));
  kept.set(key, { write, timer: setTimeout(write, 100) });
}"""
# remembered values where they can stand in their fields today, the others as they are
PUT_BACK = """([key, tests]) => (...now) => {
  let remembered = {};
  try { remembered = JSON.parse(localStorage.getItem(key)) ?? {}; } catch { localStorage.removeItem(key); }
  return tests.map(([name, want], i) => {
    const value = remembered[name];
    const holds = want.among ? want.among.includes(value)
      : want.switch ? typeof value === 'boolean'
      : want.number ? typeof value === 'number'
      : 'least' in want ? typeof value === 'number' && want.least <= value && value <= want.most
      : typeof value === 'string' || (typeof value === 'object' && value !== null);
    // what stays as it is is not touched: each touch draws a field again
    return holds && JSON.stringify(value) !== JSON.stringify(now[i]) ? value : { __type__: 'update' };
  });
}"""


def elem_id(panel: str, name: str) -> str:
    """The id of a field in the page: image-steps, image-prompt ..."""
    return f"{panel}-{SHORT.get(name, name).replace('_', '-')}"


def field(param: Param, panel: str, *, typed: bool = False, **changes: Any) -> gr.components.Component:
    """The component that a declaration asks for; `typed`: a number to type, not a slider; `changes` go to its
    constructor.
    """
    common: dict[str, Any] = {
        "label": param.label or param.name.replace("_", " "),
        "value": param.default,
        "elem_id": elem_id(panel, param.name),
        "interactive": True,
        "min_width": 80,
        **changes,
    }
    if param.type is bool:
        return gr.Checkbox(**common)
    if param.choices:
        return gr.Dropdown([(choice.replace("_", " "), choice) for choice in param.choices], **common)
    if param.type is str:
        return gr.Textbox(**common)
    if typed or param.minimum is None or param.maximum is None or steps_of(param) > LARGEST_SLIDER:
        return gr.Number(precision=0 if param.type is int else None, **common)
    return gr.Slider(param.minimum, param.maximum, step=step_of(param), buttons=[], **common)


def steps_of(param: Param) -> float:
    assert param.minimum is not None and param.maximum is not None
    return (param.maximum - param.minimum) / step_of(param)


def step_of(param: Param) -> float:
    return param.step or (1 if param.type is int else 0.05)


@dataclass(frozen=True)
class Form:
    """The fields of one panel by the names of their settings."""

    panel: str
    fields: Mapping[str, Any]  # components; gradio adds their events at run time
    # menus that only fill other fields: never sent, for gradio refuses a value that an older list of choices lacks
    shortcuts: tuple[str, ...] = ()

    def inputs(self, *more: Any) -> set[Any]:
        return {*(component for name, component in self.fields.items() if name not in self.shortcuts), *more}

    def read(self, given: Mapping[gr.components.Component, Any]) -> dict[str, Any]:
        """What the person has entered, by name."""
        return {name: given[component] for name, component in self.fields.items() if component in given}

    def fill(self, values: Mapping[str, Any]) -> dict[gr.components.Component, Any]:
        """Updates for those fields that `values` names."""
        return {self.fields[name]: gr.update(value=value) for name, value in values.items() if name in self.fields}

    def lock_typed_seed(self) -> None:
        """Who types a seed means it."""
        self.fields["seed"].input(None, None, self.fields["lock"], js="() => true")

    def remember(self, demo: gr.Blocks, names: Iterable[str]) -> None:
        """Keep these fields in the browser as they are typed, without a request, and put them back when the
        page loads.
        """
        kept = [name for name in names if name in self.fields]
        components = [self.fields[name] for name in kept]
        key = f"atelier-{self.panel}-form"
        gr.on(
            [component.change for component in components if not isinstance(component, gr.HTML)],
            fn=None,
            inputs=components,
            js=f"({KEEP})({json.dumps([key, kept])})",
        )

        # in the page, without a request: an answer from here would take away what was typed meanwhile
        tests = [[name, {"text": True} if name in self.shortcuts else wanted(self.fields[name])] for name in kept]
        demo.load(None, components, components, js=f"({PUT_BACK})({json.dumps([key, tests])})")


def wanted(component: gr.components.Component) -> Json:
    """As `fits`, for PUT_BACK: what a remembered value must be."""
    if isinstance(component, gr.Dropdown):
        choices = [choice[1] for choice in component.choices]
        return {"text": True} if component.allow_custom_value else {"among": choices}
    if isinstance(component, gr.Slider):
        return {"least": component.minimum, "most": component.maximum}
    if isinstance(component, gr.Checkbox):
        return {"switch": True}
    return {"number": True} if isinstance(component, gr.Number) else {"text": True}


def fits(component: gr.components.Component, value: Any) -> bool:
    """Whether a remembered value can stand in that field today."""
    if value is None:
        return False
    if isinstance(component, gr.Dropdown):
        choices = {choice[1] for choice in component.choices}
        return component.allow_custom_value or (value in choices if isinstance(value, str | int | float) else False)
    if isinstance(component, gr.Slider):
        return isinstance(value, int | float) and component.minimum <= value <= component.maximum
    if isinstance(component, gr.Checkbox):
        return isinstance(value, bool)
    if isinstance(component, gr.Number):
        return isinstance(value, int | float)
    return isinstance(value, str | dict)


def params(params: Iterable[Param], values: Mapping[str, Any]) -> dict[str, Value]:
    """Those entered values that a task knows; empty fields are left to the model's defaults."""
    return {p.name: values[p.name] for p in params if values.get(p.name) not in (None, "")}


def whole(values: Mapping[str, Any], name: str, label: str) -> int:
    """An entered whole number, or InvalidInput for that field."""
    value = values.get(name)
    if not isinstance(value, int | float) or value != int(value):
        raise InvalidInput(f"{label} is {value!r}.", "Type a whole number.", field=name)
    return int(value)


def adapters_of(values: Mapping[str, Any]) -> tuple[Adapter, ...]:
    """The LoRA that is chosen, with its weight. InvalidInput."""
    if not values.get("adapter"):
        return ()
    weight = values.get("adapter_weight")
    if not isinstance(weight, int | float) or abs(weight) > LIMIT:
        raise InvalidInput(f"The weight is {weight!r}.", f"Give a number up to {LIMIT:g}.", field="adapter_weight")
    return (Adapter(id=str(values["adapter"]), weight=float(weight)),)


def adapter_values(adapters: Sequence[Adapter]) -> dict[str, Any]:
    """The inverse: what the fields show of a request."""
    return {"adapter": adapters[0].id, "adapter_weight": adapters[0].weight} if adapters else {"adapter": ""}


def taught(studio: Studio, family: str) -> list[tuple[str, str]]:
    """A menu of the LoRAs that were taught to models of that family, each with its model's name."""
    known = {id: studio.catalog.adapter_facts(id) for id in studio.catalog.adapters()}
    ours = {id: facts for id, facts in known.items() if facts.get("family") == family}
    return [("none", ""), *((f"{id} ({facts.get('base', '?')})", id) for id, facts in ours.items())]


def seed_of(values: Mapping[str, Any]) -> int:
    """The locked seed, or a new one. InvalidInput names the field."""
    if not values.get("lock") or values.get("seed") is None:
        return random.SystemRandom().randrange(MAX_SEED)
    seed = whole(values, "seed", "Seed")
    if seed < 0:  # elsewhere that asks for a drawn one, which a locked seed is not
        raise InvalidInput(f"Seed is {seed}.", "Type a whole number from 0 on, or take the lock off.", field="seed")
    return seed


def problem(panel: str, error: StudioError | None) -> Json:
    """The value of a Problem component: what is wrong and under which field it stands; {} when nothing is."""
    if error is None:
        return {}
    return {
        "field": elem_id(panel, error.field) if error.field else "",
        "message": error.message,
        "hint": error.hint,
    }
