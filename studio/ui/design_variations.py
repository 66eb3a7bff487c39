"""What a variation of a tool's take is: the same tool on the same pieces with settings near by, or far off."""

from collections.abc import Mapping
from typing import Any

from studio.errors import InvalidInput
from studio.families.craft import TEMPLATES
from studio.types import Request, Value

PRODUCT_COLOURS = ("#1d2b3a", "#e8e2d4", "#b5533c")
Params = dict[str, Value]


def variations(request: Request, sha256: str, strength: str) -> tuple[Request, ...]:
    """Up to three requests, all other than the given one. InvalidInput for a task that has no such settings."""
    params = dict(request.params)
    sets = _sets(request.task, params, strong=strength == "strong")
    return tuple(request.replace(params={**params, **changed}, parent=sha256) for changed in sets)


def _sets(task: str, params: Mapping[str, Any], *, strong: bool) -> list[Params]:
    if task == "make_seamless":
        if strong:
            return [{"method": method} for method in ("cut", "even", "mirror") if method != params["method"]]
        return [{"overlap": overlap} for overlap in (0.1, 0.2, 0.35) if overlap != params["overlap"]]
    if task == "recolour":
        if not strong:
            return [
                {"style": "flat" if params["style"] == "shaded" else "shaded"},
                {"keep_order": not params["keep_order"]},
            ]
        from studio.design.colours import read_colours, turned  # numpy: the page starts without it

        colours = read_colours(str(params["palette"]))
        ways = (turned(colours, degrees) for degrees in (60.0, 150.0, 240.0))
        return [{"palette": ", ".join(one.hex for one in way)} for way in ways]
    if task == "vectorise":
        if strong:
            return [{"detail": detail} for detail in ("poster", "clean", "fine") if detail != params["detail"]]
        return [{"colours": count} for count in _near(int(params["colours"]), 2, 64)]
    if task == "palette":
        return [{"colours": count} for count in _near(int(params["colours"]), 2, 24)]
    if task == "mock_up":
        if strong:
            used = set(params["templates"])
            return [{"templates": [name for name in TEMPLATES if name not in used][:3] or list(TEMPLATES[:3])}]
        return [{"colour": colour} for colour in PRODUCT_COLOURS if colour != params.get("colour")]
    if task == "upscale":
        return [{"factor": factor} for factor in ("2", "3", "4") if factor != params["factor"]]
    if task == "cut_out":
        return [{"soft": not params["soft"]}]
    if task in ("sheet", "print_pdf"):
        return [{"lying": not params["lying"]}]
    raise InvalidInput("This take has no variations.", "Change its settings instead.")


def _near(count: int, least: int, most: int) -> list[int]:
    return sorted({max(least, count // 2), min(most, count + max(2, count // 2)), min(most, count * 2)} - {count})
