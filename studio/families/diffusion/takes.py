"""Which noise each take of a request starts from: its seed, its earlier variations, its last variation."""

from collections.abc import Mapping
from typing import Any

from studio.errors import InvalidInput
from studio.families.diffusion.noise import Start
from studio.types import Request


def starts(request: Request, count: int) -> list[Start]:
    """Take k has the seed + k; of a variation all takes keep the seed and take k moves towards the variation
    seed + k.
    """
    if _varies(request.params, ""):
        return [start_of(request.seed, request.params, k) for k in range(count)]
    return [start_of(request.seed + k, request.params) for k in range(count)]


def start_of(seed: int, params: Mapping[str, Any], k: int = 0, prefix: str = "") -> Start:
    """The start that the params describe whose names begin with `prefix`."""
    moves = _earlier(str(params.get(f"{prefix}variations") or ""), f"{prefix}variations")
    if _varies(params, prefix):
        moves = (
            *moves,
            (int(params[f"{prefix}variation_seed"]) + k, float(params[f"{prefix}variation_strength"])),
        )
    return Start(seed=seed, moves=moves)


def _varies(params: Mapping[str, Any], prefix: str) -> bool:
    return params.get(f"{prefix}variation_seed") is not None and bool(params.get(f"{prefix}variation_strength"))


def _earlier(text: str, name: str) -> tuple[tuple[int, float], ...]:
    """'7:0.3,9:0.5' -> ((7, 0.3), (9, 0.5))."""
    moves = []
    for pair in filter(None, (part.strip() for part in text.split(","))):
        seed, _, strength = pair.partition(":")
        try:
            moves.append((int(seed), float(strength)))
        except ValueError as error:
            raise InvalidInput(
                f"{pair!r} is not a variation.", "Write seed:strength, as in 7:0.25.", field=name
            ) from error
        if not 0 <= moves[-1][1] <= 1 or not 0 <= moves[-1][0] < 2**63:
            raise InvalidInput(
                f"The variation {pair!r} is out of range.", "Its strength lies between 0 and 1.", field=name
            )
    return tuple(moves)
