"""What the page tells of a draft at a glance: its length, how it repeats itself, its siblings and what a model was
taught, what was likely.

Reads kept texts; knows no model and changes nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from studio.types import Artifact, Json, Value

WORDS_A_MINUTE = 230  # read silently, English (Brysbaert, 2019: 238 for non-fiction)
RUN = 4  # words of a run that counts as a repetition or an overlap
REPEATS, OVERLAPS = 0.05, 0.05  # shares that are told


@lru_cache(maxsize=512)
def runs_of(path: Path, first: int = 0) -> tuple[int, float, frozenset[tuple[str, ...]]]:
    """(words, share of runs of four words that came before in the text, the different runs) from character `first` on;
    files never change.
    """
    try:
        words = re.findall(r"\w+(?:['’]\w+)*", path.read_text("utf-8", "replace")[first:].casefold())
    except OSError:  # gone; the board still shows the tile
        return 0, 0.0, frozenset()
    runs = [tuple(words[k : k + RUN]) for k in range(len(words) - RUN + 1)]
    different = frozenset(runs)
    return len(words), 1 - len(different) / len(runs) if runs else 0.0, different


def facts(draft: Artifact, siblings: Sequence[Artifact]) -> list[str]:
    """Short words for a tile: what was learnt, length, self-repetition, overlap with the likest sibling."""
    words, repeated, _ = runs_of(draft.path)
    minutes = words / WORDS_A_MINUTE
    run = copied(draft.meta)
    told = [f"repeats {run['characters']} characters of your texts"] if run else []
    told += [f"{words} word{'' if words == 1 else 's'}", f"{minutes:.0f} min" if minutes >= 1 else "< 1 min"]
    if draft.meta.get("finished") in ("length", "time", "stopped"):
        told.append({"length": "cut at the limit", "time": "out of time"}.get(str(draft.meta["finished"]), "stopped"))
    if repeated >= REPEATS:
        told.append(f"repeats itself {repeated:.0%}")
    own = new_runs(draft)
    shared = [(len(own & new_runs(other)) / len(own), other.index) for other in siblings] if own else []
    share, index = max(shared, default=(0.0, 0))
    if share >= OVERLAPS:
        told.append(f"{share:.0%} as in draft {index + 1}")
    return told


def new_from(draft: Artifact) -> int:
    """The first character that the model wrote; those before it were given to it."""
    return int(str(draft.meta.get("new_from") or 0))


def new_runs(draft: Artifact) -> frozenset[tuple[str, ...]]:
    """The runs of words in what the model wrote itself: a beginning that drafts share says nothing of them."""
    return runs_of(draft.path, new_from(draft))[2]


def copied(meta: Mapping[str, object]) -> Json | None:
    """{"start", "characters"} of the passage that repeats what the model was taught, if that is no chance."""
    run = meta.get("copied")
    if not isinstance(run, Mapping) or not run.get("told"):
        return None
    return {"start": int(run["start"]), "characters": int(run["characters"])}


def still_copied(text: str, parents: Sequence[Artifact]) -> dict[str, Value]:
    """As a draft's own `copied`, for a text made of drafts by hand: the longest passage that it holds whole."""
    found: list[tuple[int, int]] = []
    for parent in parents:
        if run := copied(parent.meta):
            passage = parent.path.read_text("utf-8")[run["start"] :][: run["characters"]].strip()
            if passage in text:
                found.append((len(passage), text.index(passage)))
    if not found:
        return {}
    characters, start = max(found)
    return {"copied": {"characters": characters, "start": start, "told": True}}


def odds(path: Path, draft: Artifact) -> Json:
    """What the model's second reading found, with the parts marked that had been given to it or that it had learnt."""
    found: Mapping[str, object] = json.loads(path.read_text("utf-8"))
    given = new_from(draft)
    run = copied(draft.meta)
    learnt = range(run["start"], run["start"] + run["characters"]) if run else range(0)
    tokens: list[Json] = []
    place = 0
    for token in found["tokens"] if isinstance(found["tokens"], list) else []:
        end = place + len(token["text"])
        marks = {"given": bool(token.get("given")) or end <= given}
        if learnt and place < learnt.stop and end > learnt.start:
            marks["copied"] = True
        tokens.append({**token, **marks})
        place = end
    return {**found, "tokens": tokens, **({"copied": run["characters"]} if run else {})}
