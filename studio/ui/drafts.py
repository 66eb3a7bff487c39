"""What the page tells of a draft at a glance: its length, how it repeats itself and its siblings, what was likely.

Reads kept texts; knows no model and changes nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from studio.types import Artifact, Json

WORDS_A_MINUTE = 230  # read silently, English (Brysbaert, 2019: 238 for non-fiction)
RUN = 4  # words of a run that counts as a repetition or an overlap
REPEATS, OVERLAPS = 0.05, 0.05  # shares that are told


@lru_cache(maxsize=512)
def runs_of(path: Path) -> tuple[int, float, frozenset[tuple[str, ...]]]:
    """(words, share of runs of four words that came before in the text, the different runs); files never change."""
    try:
        words = re.findall(r"\w+(?:['’]\w+)*", path.read_text("utf-8", "replace").casefold())
    except OSError:  # gone; the board still shows the tile
        return 0, 0.0, frozenset()
    runs = [tuple(words[k : k + RUN]) for k in range(len(words) - RUN + 1)]
    different = frozenset(runs)
    return len(words), 1 - len(different) / len(runs) if runs else 0.0, different


def facts(draft: Artifact, siblings: Sequence[Artifact]) -> list[str]:
    """Short words for a tile: words, reading time, self-repetition, overlap with the most alike sibling."""
    words, repeated, runs = runs_of(draft.path)
    minutes = words / WORDS_A_MINUTE
    told = [f"{words} word{'' if words == 1 else 's'}", f"{minutes:.0f} min" if minutes >= 1 else "< 1 min"]
    if draft.meta.get("finished") in ("length", "time", "stopped"):
        told.append({"length": "cut at the limit", "time": "out of time"}.get(str(draft.meta["finished"]), "stopped"))
    if repeated >= REPEATS:
        told.append(f"repeats itself {repeated:.0%}")
    shared = [(len(runs & runs_of(other.path)[2]) / len(runs), other.index) for other in siblings] if runs else []
    share, index = max(shared, default=(0.0, 0))
    if share >= OVERLAPS:
        told.append(f"{share:.0%} as in draft {index + 1}")
    return told


def odds(path: Path, draft: Artifact) -> Json:
    """What the model's second reading found, with the part marked that had been given to it."""
    found: Mapping[str, object] = json.loads(path.read_text("utf-8"))
    given = int(str(draft.meta.get("new_from") or 0))
    tokens: list[Json] = []
    place = 0
    for token in found["tokens"] if isinstance(found["tokens"], list) else []:
        tokens.append({**token, "given": bool(token.get("given")) or place + len(token["text"]) <= given})
        place += len(token["text"])
    return {**found, "tokens": tokens}
