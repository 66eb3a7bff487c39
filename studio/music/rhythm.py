"""How lengths in ticks are written: note values, dots, ties across strong beats, tuplets, beams. Knows no pitches."""

from dataclasses import dataclass
from itertools import pairwise

from studio.music.score import QUARTER, bar_ticks

# written values and their ticks
VALUES = {
    "breve": 3840,
    "whole": 1920,
    "half": 960,
    "quarter": 480,
    "eighth": 240,
    "16th": 120,
    "32nd": 60,
    "64th": 30,
    "128th": 15,
}
GRID = 15  # ticks of the shortest value
FLAGS = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4, "128th": 5}
TUPLETS = (3, 5, 7, 9, 11, 13)
_SINGLE = {
    ticks * (2 ** (dots + 1) - 1) // 2**dots: (name, dots)
    for name, ticks in VALUES.items()
    for dots in (0, 1, 2)
    if not ticks * (2 ** (dots + 1) - 1) % 2**dots
}


@dataclass(frozen=True)
class Tuplet:
    """`actual` written notes of `unit` (one of VALUES) take the time of `normal`."""

    actual: int
    normal: int
    unit: str


@dataclass(frozen=True)
class Span:
    """One written note or rest within a bar: ticks from the bar's start, value, dots, and the tuplet it stands in."""

    start: int
    end: int
    value: str
    dots: int
    tuplet: Tuplet | None = None
    first: bool = False  # of its tuplet
    last: bool = False


@dataclass(frozen=True)
class Metre:
    """A metre's hierarchy in ticks, from the bar down."""

    beats: int
    unit: int
    length: int  # of this bar, which may be shorter than the metre says

    @property
    def compound(self) -> bool:
        return self.unit >= 8 and self.beats % 3 == 0

    @property
    def beat(self) -> int:
        """Ticks of what one beats time to, and what beams join."""
        return bar_ticks(3 if self.compound else 1, self.unit)

    @property
    def grids(self) -> list[int]:
        """Distances of ever weaker places."""
        unit = bar_ticks(1, self.unit)
        strong = [bar_ticks(3, self.unit)] if self.compound else [2 * unit] if self.beats % 4 == 0 else []
        if self.unit > 4 and not self.compound and self.beats % 2 == 0:
            strong.append(QUARTER)
        below = [unit >> k for k in range(1, 8) if unit >> k >= GRID]
        return [*strong, unit, *below]

    def strength(self, tick: int) -> int:
        """0 for the bar's start, larger for weaker places."""
        if tick == 0:
            return 0
        return next((level for level, grid in enumerate(self.grids, 1) if tick % grid == 0), 99)

    def strongest(self, start: int, end: int) -> tuple[int, int]:
        """(tick, strength) of the strongest place strictly inside, the first of several; (0, 99) without one."""
        for level, grid in enumerate(self.grids, 1):
            tick = (start // grid + 1) * grid
            if tick < end:
                return tick, level
        return 0, 99


def write(edges: list[int], rests: list[bool], metre: Metre) -> list[list[Span]]:
    """How each of the stretches between `edges` (first 0, last the bar's length) is written; `rests` says which are
    silent. A note of several spans is tied.
    """
    regions = [(0, metre.length, None)]
    if any(edge % GRID for edge in edges):
        regions = _regions(0, metre.length, edges, metre, 0)
    found = []
    for (start, end), rest in zip(pairwise(edges), rests, strict=True):
        spans: list[Span] = []
        for begin, stop, tuplet in regions:
            low, high = max(start, begin), min(end, stop)
            if low < high and tuplet is None:
                spans += _plain(low, high, metre, rest)
            elif low < high and tuplet is not None:
                spans += _in_tuplet(low, high, begin, stop, tuplet)
        found.append(spans)
    return found


def _regions(start: int, end: int, edges: list[int], metre: Metre, level: int) -> list[tuple[int, int, Tuplet | None]]:
    """Parts of a bar that are written plainly or as one tuplet: as small as the notes allow, else as a beat."""
    inner = [edge for edge in edges if start < edge < end]
    if all(edge % GRID == 0 for edge in inner):
        return [(start, end, None)]
    grids = [grid for grid in metre.grids[level:] if grid < end - start]
    cuts = list(range(start + grids[0] - start % grids[0], end, grids[0])) if grids else []
    whole = end - start in (*VALUES.values(), *(ticks * 3 // 2 for ticks in VALUES.values()))
    if whole and end - start <= 2 * metre.beat and not set(cuts) <= set(inner):
        for actual in TUPLETS:
            for finer in (1, 2, 4):
                count = actual * finer
                if (
                    _shortest(actual, end - start)
                    and (finer == 1 or len(inner) + 1 >= actual / 2)
                    and all(edge in _places(start, end, count) for edge in inner)
                ):
                    return [(start, end, _tuplet(actual, end - start))]
    if not cuts or grids[0] < 2 * GRID:
        return [(start, end, None)]
    deeper = level + 1
    parts = pairwise([start, *cuts, end])
    found: list[tuple[int, int, Tuplet | None]] = []
    for region in (region for low, high in parts for region in _regions(low, high, edges, metre, deeper)):
        if found and found[-1][2] is None and region[2] is None:
            found[-1] = (found[-1][0], region[1], None)
        else:
            found.append(region)
    return found


def _shortest(actual: int, ticks: int) -> bool:
    """Whether the units of such a tuplet can be written."""
    return ticks // _normal(actual, ticks) >= 4 * GRID


def _normal(actual: int, ticks: int) -> int:
    """In a dotted length the normal count is three times a power of two."""
    normal = 1 if ticks in VALUES.values() else 3
    while normal * 2 < actual:
        normal *= 2
    return normal


def _places(start: int, end: int, count: int) -> set[int]:
    return {start + round(k * (end - start) / count) for k in range(count + 1)}


def _tuplet(actual: int, ticks: int) -> Tuplet:
    normal = _normal(actual, ticks)
    unit = next(name for name, value in VALUES.items() if value <= ticks // normal)
    return Tuplet(actual, normal, unit)


def _plain(start: int, end: int, metre: Metre, rest: bool) -> list[Span]:
    """Split at the strongest places that the note may not hide."""
    whole = start == 0 and end == metre.length
    if single := _SINGLE.get(end - start):
        inside, level = metre.strongest(start, end)
        strength = metre.strength(start)
        value, dots = single
        around = not rest and not dots and start + end == 2 * inside and not (metre.compound and level == 1)
        shown = (dots < 2 or strength <= 2) and not (rest and end - start >= VALUES["whole"])  # taken for a bar's rest
        if whole or (shown and not (rest and dots and not metre.compound) and (strength <= level or around)):
            return [Span(start, end, value, dots)]
    inside, level = metre.strongest(start, end)
    if level < 99:
        return _plain(start, inside, metre, rest) + _plain(inside, end, metre, rest)
    value = min(VALUES, key=lambda name: abs(VALUES[name] - (end - start)))
    return [Span(start, end, value, 0)]


def _in_tuplet(low: int, high: int, start: int, end: int, tuplet: Tuplet) -> list[Span]:
    """Parts of a tuplet, whose length is `actual` units; positions are counted in quarters of a unit."""
    count = tuplet.actual * 4
    first, last = (round((tick - start) * count / (end - start)) for tick in (low, high))
    unit = VALUES[tuplet.unit] // 4
    spans: list[Span] = []
    at = first
    while at < last:
        size = next((k for k in range(last - at, 0, -1) if _SINGLE.get(k * unit, ("", 9))[1] < 2), last - at)
        value, dots = _SINGLE.get(size * unit, (tuplet.unit, 0))
        begin = low if at == first else start + round(at * (end - start) / count)
        stop = high if at + size == last else start + round((at + size) * (end - start) / count)
        spans.append(Span(begin, stop, value, dots, tuplet, begin == start, stop == end))
        at += size
    return spans


def beams(spans: list[Span], rests: list[bool], metre: Metre) -> list[list[str]]:
    """For each span of a voice the words of MusicXML's beams from the outermost: begin, continue, end, hooks."""
    found: list[list[str]] = [[] for _ in spans]
    groups: list[list[int]] = []
    for index, (span, rest) in enumerate(zip(spans, rests, strict=True)):
        joins = not rest and span.value in FLAGS
        before = groups[-1][-1] if groups and groups[-1] else -1
        near = before == index - 1 >= 0 and spans[before].end == span.start
        if joins and near and spans[before].start // metre.beat == span.start // metre.beat:
            groups[-1].append(index)
        elif joins:
            groups.append([index])
    for group in (group for group in groups if len(group) > 1):
        flags = [FLAGS[spans[index].value] for index in group]
        for level in range(1, max(flags) + 1):
            for place, index in enumerate(group):
                if flags[place] >= level:
                    left = place > 0 and flags[place - 1] >= level
                    right = place + 1 < len(group) and flags[place + 1] >= level
                    hook = "backward hook" if place else "forward hook"
                    found[index].append("continue" if left and right else "begin" if right else "end" if left else hook)
    return found
