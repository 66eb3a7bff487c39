"""Pipelines for another task, made of the parts of one that is loaded, where diffusers' Auto classes know none."""

import inspect
from typing import Any

import diffusers

ENDINGS = {"image_to_image": "Img2ImgPipeline", "inpaint": "InpaintPipeline"}  # as diffusers names them

BROKEN = ("ChromaInpaintPipeline",)  # diffusers 0.42 asks Chroma's denoiser for a setting that it does not have


def sibling(pipe: Any, task: str) -> Any | None:
    """The class of the same name for `task`, sharing every part; None where there is none, or it wants other parts."""
    name = type(pipe).__name__.removesuffix("Pipeline") + ENDINGS.get(task, "")
    if task not in ENDINGS or name not in dir(diffusers) or name in BROKEN:
        return None
    kind = getattr(diffusers, name)
    wanted = inspect.signature(kind.__init__).parameters
    known = {**pipe.config, **pipe.components}
    if any(p.default is p.empty and p.name not in known for p in wanted.values() if p.name != "self"):
        return None
    return kind(**{name: value for name, value in known.items() if name in wanted})
