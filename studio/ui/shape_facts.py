"""What the board says of a shape: short words under its tile, and the figures of its large view; and what the page must
know of a picture that is a map of a latent space.
"""

from collections.abc import Mapping

from studio.types import Artifact, Json, Request, Value

CHECKED = (
    "size_mm",
    "watertight",
    "pieces",
    "stands",
    "wall_mm",
    "volume_cm3",
    "grams",
    "print_minutes",
    "faces",
    "repairs",
    "class",
    "weights",
    "amount",
)
MAPPED = ("cell", "columns", "rows", "x", "y", "shares", "label")


def shape_facts(kept: Artifact) -> list[str]:
    """Size, wall and printing time; what is wrong comes first. [] for anything but a shape."""
    if not kept.media_type.startswith("model/"):
        return []
    meta = kept.meta
    told = ["not watertight"] if meta.get("watertight") is False else []
    told += [f"{meta['pieces']} pieces"] if meta.get("pieces") not in (None, 1) else []
    told += ["tips over"] if meta.get("stands") is False else []
    if isinstance(size := meta.get("size_mm"), list):
        told.append(" × ".join(f"{float(str(side)):.0f}" for side in size) + " mm")
    if "wall_mm" in meta:
        told.append(f"wall {float(str(meta['wall_mm'])):.1f} mm")
    if "print_minutes" in meta:
        hours, minutes = divmod(int(str(meta["print_minutes"])), 60)
        told.append(f"{hours} h {minutes} min" if hours else f"{minutes} min")
    return told


def figures(kept: Artifact, request: Request) -> Json | None:
    """Figures for the page: of a shape what a printer asks, of a map its cells and where it lies. None for others."""
    if kept.media_type.startswith("model/"):
        asked: Mapping[str, Value] = {"asked_mm": request.params["wall_mm"]} if "wall_mm" in request.params else {}
        return {**{name: kept.meta[name] for name in CHECKED if name in kept.meta}, **asked}
    if request.task in ("map_latents", "latent_directions") and "cell" in kept.meta:
        names = ("axis_x", "axis_y", "centre_x", "centre_y", "span")
        place = {name: request.params[name] for name in names if name in request.params}
        return {"task": request.task, **{name: kept.meta[name] for name in MAPPED if name in kept.meta}, **place}
    return None
