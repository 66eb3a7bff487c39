"""Cleaned files become items: what they repeat or resemble, their caption, whether they are in, and their side.

It knows items and fingerprints; it reads and writes nothing. The rules:
- of look-alikes one is in, the largest of those that came together; the others are left out;
- a picture too small for any training is left out;
- who came earlier keeps everything: adding never changes an item that is there;
- look-alikes go to the same side of the split, and so do the parts of one file. Where a new one resembles items on
  both sides, it stays out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from studio.lab.duplicates import LOOKS
from studio.lab.items import Cleaned, Item, Problem, is_tiny
from studio.lab.sources import Found, caption_of_name
from studio.lab.splits import choose_held_out
from studio.lab.state import State


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    items: tuple[Item, ...]  # in the order of their names
    again: int  # files that were there already, name and bytes, and were not added


def arrivals(
    state: State, cleaned: Sequence[tuple[Found, Cleaned]], captions: Mapping[tuple[str, str], str]
) -> Arrivals:
    """What `cleaned` adds to the state."""
    there = [item for item in state.items if item.here]
    known = {(item.name, item.source_sha256) for item in there}
    taken = {item.id for item in state.items}
    new: list[Item] = []
    for found, part in cleaned:
        if (part.name, part.source_sha256) in known:
            continue
        caption = "" if state.kind == "text" else captions.get(found.key) or caption_of_name(part.name)
        new.append(_item(part, tidy_caption(caption), taken, state.least))
    again = len(cleaned) - len(new)
    usable = sorted((i for i in new if i.usable), key=lambda item: _worth(item, state.kind))
    placed = {item.id: item for item in _placed([i for i in there if i.usable], usable, state)}
    return Arrivals(items=tuple(placed.get(item.id, item) for item in new), again=again)


def _worth(item: Item, kind: str) -> tuple[int, int, int]:
    """What sorts the best of several copies first: the largest; of sounds equally long that with the fewest remarks."""
    length = round(item.length / 1000) if kind == "sound" else item.length
    return -item.width * item.height, -length, len(item.problems)


def tidy_caption(text: str, longest: int = 2000) -> str:
    """One line without control characters, cut after `longest` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:longest].strip()


def _item(part: Cleaned, caption: str, taken: set[str], least: int) -> Item:
    """The item, its id the beginning of its source's hash; `taken` learns the id."""
    short = part.source_sha256[:12]
    id = next(id for n in range(1, len(taken) + 2) if (id := short if n == 1 else f"{short}-{n}") not in taken)
    taken.add(id)
    return Item(
        id=id,
        name=part.name,
        file=f"{part.sha256}{part.suffix}" if part.file else "",
        sha256=part.sha256,
        source_sha256=part.source_sha256,
        whole=part.whole,
        width=part.width,
        height=part.height,
        length=part.length,
        language=part.language,
        size_mm=part.size_mm,
        caption=caption,
        included=part.file is not None and not is_tiny(part.width, part.height, least),
        problems=part.problems,
        look=part.look,
    )


def _placed(there: list[Item], new: list[Item], state: State) -> list[Item]:
    """The new items with their links, problems and sides."""
    order = [*there, *new]
    names = [item.name for item in order]
    near, exact, included = _resembling(there, new, state.kind)
    labels = _labels(order, near)
    sides = _sides(order, len(there), near, _labels(order, _with_parts(order, near)), included, state.share)
    placed: list[Item] = []
    for index in range(len(there), len(order)):
        item, problems = order[index], list(order[index].problems)
        out, how = not included[index], ""
        if near[index]:
            counting = np.flatnonzero(included & (labels == labels[index]))
            how = _outcome(out, bool(included[near[index][0]]), [names[other] for other in counting])
        if exact[index]:
            sentence = f"It is {names[near[index][0]]} again."
            problems.append(Problem(kind="duplicate", sentence=sentence, mended=out, how=how))
        elif near[index]:
            sentence = f"It {'sounds' if state.kind == 'sound' else 'looks'} almost like {names[near[index][0]]}."
            problems.append(Problem(kind="near_duplicate", sentence=sentence, mended=out, how=how))
        links = tuple(order[other].id for other in near[index])
        side = sides[index]
        placed.append(replace(item, problems=tuple(problems), near=links, included=bool(included[index]), split=side))
    return placed


def _outcome(out: bool, other_in: bool, counting: list[str]) -> str:
    """What became of an item that resembles the other one; `counting`: those of their group that are in."""
    if not out:
        return "It stays in, the other one is out."
    if other_in:
        return "Left out; the other one counts."
    return f"Left out; {counting[0]} counts." if counting else "Left out, as the other one is."


def _resembling(there: list[Item], new: list[Item], kind: str) -> tuple[list[list[int]], list[bool], np.ndarray]:
    """Of each item: earlier ones that it resembles (one of each group, those that are in first, then the nearest);
    whether exactly; whether in.
    """
    order = [*there, *new]
    looks = LOOKS[kind]([item.look for item in order]) if kind in LOOKS and order else None
    ids = {item.id: index for index, item in enumerate(order)}
    near: list[list[int]] = [[ids[n] for n in item.near if n in ids] for item in there] + [[] for _ in new]
    exact = [False] * len(order)
    included = np.array([item.included for item in order], bool)
    wholes = np.array([item.whole for item in order])
    labels = _labels(order, near)
    by_bytes: dict[str, int] = {}
    for index, item in enumerate(order):
        if index >= len(there):
            twin = by_bytes.get(item.source_sha256, by_bytes.get(item.sha256))
            alike = np.empty(0, np.int64) if looks is None else looks.before(index)
            alike = alike[(wholes[alike] != item.whole) | (item.whole == "")]  # a refrain is no copy
            alike = alike[np.argsort(~included[alike], kind="stable")]
            if twin is not None:
                alike = np.concatenate([[twin], alike[alike != twin]]).astype(np.int64)
            if len(alike):
                groups, firsts = np.unique(labels[alike], return_index=True)
                near[index] = [int(alike[first]) for first in sorted(firsts)]
                exact[index] = twin is not None
                included[index] = item.included and twin is None and not included[alike].any()
                labels[np.isin(labels, groups)] = groups[0]
                labels[index] = groups[0]
        by_bytes.setdefault(item.source_sha256, index)
        by_bytes.setdefault(item.sha256, index)
    return near, exact, included


def _with_parts(order: list[Item], near: list[list[int]]) -> list[list[int]]:
    """`near`, and of each part of a file its first part: they stay on one side, but none is left out for that."""
    first: dict[str, int] = {}
    return [
        [*others, first.setdefault(item.whole, index)] if item.whole else others
        for index, (item, others) in enumerate(zip(order, near, strict=True))
    ]


def _labels(order: list[Item], near: list[list[int]]) -> np.ndarray:
    """The number of each item's group: the connected components of `near`."""
    labels = np.arange(len(order))
    for index, others in enumerate(near):
        for other in others:
            if labels[index] != labels[other]:
                labels[labels == labels[index]] = labels[other]
    return labels


def _sides(
    order: list[Item], known: int, near: list[list[int]], labels: np.ndarray, included: np.ndarray, share: float | None
) -> list[str]:
    sides = [item.split for item in order]
    counts = {side: sum(i.included for i in order[:known] if i.split == side) for side in ("train", "held_out")}
    settled: dict[int, set[str]] = {}
    for index in range(known):
        settled.setdefault(int(labels[index]), set()).add(sides[index])
    fresh: dict[int, list[int]] = {}
    for index in range(known, len(order)):
        group = int(labels[index])
        if group not in settled:
            fresh.setdefault(group, []).append(index)
        elif len(settled[group]) == 1:
            sides[index] = next(iter(settled[group]))
        elif near[index]:  # between the sides: with the nearest; `included` is false then, or it resembles no other
            sides[index] = sides[near[index][0]]
    keys = {min(order[i].source_sha256 for i in members): members for members in fresh.values()}
    sizes = {key: int(included[members].sum()) for key, members in keys.items()}
    for index in range(known, len(order)):
        if int(labels[index]) in settled:
            counts[sides[index]] += bool(included[index])
    for key in choose_held_out(sizes, counts["train"], counts["held_out"], share):
        for index in keys[key]:
            sides[index] = "held_out"
    return sides
