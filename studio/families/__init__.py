"""What can run. One folder a family; this tuple is the only list of them."""

import importlib

from studio.families.family import Family

FAMILIES: tuple[str, ...] = (
    "diffusion",
    "video",
    "gan",
    "causal_lm",
    "captioning",
    "upscaling",
    "depth",
    "score",
    "audio",
    "shapes",
    "craft",
)


def family(name: str) -> Family:
    """The light declaration of one family: `studio.families.<name>.FAMILY`. Loads no torch."""
    return importlib.import_module(f"studio.families.{name}").FAMILY


def modelless_family(task: str) -> Family | None:
    """The family of a task that no model is asked for: a tool, or a training that begins with none."""
    return next((declared for declared in families() if task in (*declared.scratch, *declared.tools)), None)


def families() -> tuple[Family, ...]:
    return tuple(family(name) for name in FAMILIES)
