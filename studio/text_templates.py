"""Templates of briefs for texts: those that are shipped, and a person's own, which are presets of this task."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio import presets
from studio.errors import InvalidInput, NotFound
from studio.presets import Preset
from studio.types import Request

TASK = "text"
KEPT = ("task", "model", "adapters", "prompt", "params")  # fields of a request that a template has


def shipped() -> tuple[Preset, ...]:
    """Those of presets/briefs/text.toml, by their titles."""
    return tuple(
        Preset(name=brief.title, fields={"task": TASK, "prompt": brief.prompt, "params": dict(brief.params)})
        for brief in presets.briefs("text")
    )


def own(home: Path) -> tuple[Preset, ...]:
    return tuple(preset for preset in presets.load_presets(home) if preset.fields.get("task") == TASK)


def find(home: Path, name: str) -> Preset:
    """The template of that name, whatever its case. NotFound names the nearest."""
    known = {preset.name.casefold(): preset for preset in (*shipped(), *own(home))}
    wanted = name.strip().casefold()
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=1)
    names = ", ".join(preset.name for preset in known.values())
    hint = f"Did you mean {known[near[0]].name!r}?" if near else f"There are: {names}."
    raise NotFound(f"There is no template {name[:80]!r}.", hint, field="template")


def keep(home: Path, name: str, request: Request) -> None:
    """Keeps what a request asks for under a name; the same name again replaces it. InvalidInput, DiskFull."""
    plain = request.to_dict()
    presets.save_preset(home, free(name), {field: plain[field] for field in KEPT if field in plain})


def rename(home: Path, name: str, new: str) -> None:
    """NotFound, or InvalidInput where the new name cannot be used or is taken."""
    presets.rename_preset(home, name, free(new))


def free(name: str) -> str:
    """The name as it is kept. InvalidInput for one that a shipped template has."""
    plain = " ".join(name.split())
    if plain.casefold() in {preset.name.casefold() for preset in shipped()}:
        said = f"{plain!r} is the name of a template that comes with the program."
        raise InvalidInput(said, "Choose another name.", field="template")
    return plain


def words_of(home: Path) -> set[str]:
    """The briefs of all templates: words that nobody typed."""
    return {str(preset.fields.get("prompt") or "").strip() for preset in (*shipped(), *own(home))}


def params_of(preset: Preset) -> Mapping[str, Any]:
    params = preset.fields.get("params")
    return params if isinstance(params, Mapping) else {}
