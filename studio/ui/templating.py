"""The templates of the Text panel: what its menu shows, and the form that one fills. Queues nothing."""

from collections.abc import Mapping
from typing import Any

from studio import presets, text_templates
from studio.errors import InvalidInput
from studio.families import family
from studio.presets import Preset
from studio.studio import Studio
from studio.types import Json
from studio.ui import writing
from studio.ui.writing import Writing

MODE = "brief"


def shown(studio: Studio, **more: Any) -> Json:
    """The value of the menu: `at` is the chosen template, `problem` and `note` what is said of it."""
    return {
        "shipped": [preset.name for preset in text_templates.shipped()],
        "own": [preset.name for preset in text_templates.own(studio.settings.home)],
        "at": "",
        "problem": "",
        "note": "",
        "deleted": None,
        **more,
    }


def act(studio: Studio, asked: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Json, dict[str, Any]]:
    """(the menu's new value, form values to fill in). StudioError."""
    home, name, new = studio.settings.home, str(asked.get("name") or ""), str(asked.get("new") or "")
    match str(asked.get("do")).removeprefix("template-"):
        case "use":
            chosen = text_templates.find(home, name)
            filled, note = filling(studio, chosen, values)
            return shown(studio, at=chosen.name, note=note), filled
        case "keep":
            request = writing.request(studio, Writing(values={**values, "mode": MODE}))
            family(studio.catalog.model(request.model).family).validate(request)
            text_templates.keep(home, new, request)  # what is not said follows the model, later too
            return shown(studio, at=" ".join(new.split()), note="Saved."), {}
        case "rename":
            text_templates.rename(home, name, new)
            return shown(studio, at=" ".join(new.split())), {}
        case "delete":
            fields = dict(text_templates.find(home, name).fields)
            presets.delete_preset(home, name)
            return shown(studio, deleted={"name": name, "fields": fields}), {}
        case "restore":
            fields = asked.get("fields")
            presets.save_preset(home, name, fields if isinstance(fields, dict) else {})
            return shown(studio, at=name), {}
    raise InvalidInput("That cannot be done with a template.", "Reload the page.", field="template")


def filling(studio: Studio, chosen: Preset, values: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """(form values, what could not be as the template has it). Words that a person typed stay."""
    params = dict(text_templates.params_of(chosen))
    empty = {name: 0 if name == "length" else "" for name in (*writing.ONLY[MODE], "stop", "regex", "json_schema")}
    filled: dict[str, Any] = {**empty, **params, "mode": MODE}
    if words := params.get("word_filter"):
        filled |= {"filter": "\n".join(map(str, words)), "filtered": True}
    typed = str(values.get("prompt") or "").strip()
    if not typed or typed in text_templates.words_of(studio.settings.home):
        filled["prompt"] = str(chosen.fields.get("prompt") or "")
    notes = []
    if model := str(chosen.fields.get("model") or ""):
        if model in {one.id for one in studio.catalog.models(writing.TASK)}:
            filled["model"] = model
        else:
            notes.append(f"Its model {model!r} is not installed; the chosen one stays.")
        filled |= {"adapter": "", "adapter_weight": 1.0}
    for adapter in (chosen.fields.get("adapters") or [])[:1]:
        if adapter["id"] in studio.catalog.adapters():
            filled |= {"adapter": adapter["id"], "adapter_weight": float(adapter.get("weight", 1.0))}
        else:
            notes.append(f"Its LoRA {adapter['id']!r} is not installed.")
    return filled, " ".join(notes)
