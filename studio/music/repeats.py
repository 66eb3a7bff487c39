"""Repeats, voltas, da capo and dal segno: in which order written bars are heard, and scores with their bars in it.

Knows no file format. A score is always kept as it is heard: the truth of a take is a MIDI file, which has no signs for
bars that come again, and so every view and every format tells the same notes at the same time.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from studio.errors import InvalidInput
from studio.music.score import MAX_BARS, Note, Score, metres_of, tidy

MOST_TIMES = 16  # that a repeat is played


@dataclass
class Signs:
    """What stands at a bar: `opens` a repeat; `closes` one that is played so many times, 0 for none; `voltas`, the
    passes in which it is played, all if empty. The jumps are at the bar's end, segno and coda at its beginning.
    """

    opens: bool = False
    closes: int = 0
    voltas: frozenset[int] = frozenset()
    segno: bool = False
    coda: bool = False
    to_coda: bool = False
    fine: bool = False
    da_capo: bool = False
    dal_segno: bool = False


def heard_order(bars: Sequence[Signs]) -> list[int]:
    """The bars by index in the order in which they are heard. After a da capo or dal segno repeats are not taken.

    InvalidInput where that are more than MAX_BARS.
    """
    found: list[int] = []
    at, start, turn, jumped = 0, 0, 1, False
    while at < len(bars):
        bar = bars[at]
        if bar.opens and at != start:
            start, turn = at, 1
        last = _last_volta(bars, at)
        if bar.voltas and (last not in bar.voltas if jumped else turn not in bar.voltas):
            at += 1
            continue
        found.append(at)
        if len(found) > MAX_BARS:
            raise InvalidInput(f"With its repeats the score has more than {MAX_BARS:,} bars.", "Give a shorter score.")
        if jumped and bar.fine:
            break
        if bar.closes and not jumped and turn < (max(last, 2) if bar.voltas else bar.closes):
            at, turn = start, turn + 1
            continue
        if jumped and bar.to_coda:
            at = next((k for k, other in enumerate(bars) if other.coda), at + 1)
            continue
        if (bar.da_capo or bar.dal_segno) and not jumped:
            at = 0 if bar.da_capo else next((k for k, other in enumerate(bars) if other.segno), 0)
            jumped = True
            continue
        at += 1
        if bar.closes or (bar.voltas and (at == len(bars) or not bars[at].voltas)):
            start, turn = at, 1
    return found


def _last_volta(bars: Sequence[Signs], at: int) -> int:
    """The highest number of the voltas that stand beside each other here; 0 where there are none."""
    first = last = at
    while first and bars[first - 1].voltas:
        first -= 1
    while last < len(bars) and bars[last].voltas:
        last += 1
    return max((number for bar in bars[first:last] for number in bar.voltas), default=0)


def in_order(score: Score, bars: Sequence[tuple[int, tuple[int, int]]], order: Sequence[int]) -> Score:
    """The score with its written bars, (length in ticks, metre), in that order. Notes end where a jump is."""
    starts = [0]
    for length, _ in bars:
        starts.append(starts[-1] + length)
    if list(order) == list(range(len(bars))):
        return score
    runs: list[tuple[int, int]] = []  # first bar and the one behind the last
    for bar in order:
        if runs and runs[-1][1] == bar:
            runs[-1] = (runs[-1][0], bar + 1)
        else:
            runs.append((bar, bar + 1))
    stretches, now = [], 0  # begin and end as written, begin as heard
    for first, last in runs:
        stretches.append((starts[first], starts[last], now))
        now += starts[last] - starts[first]
    tracks = []
    for track in score.tracks:
        notes: list[Note] = []
        onsets = [note.onset for note in track.notes]
        for begin, end, heard in stretches:
            for note in track.notes[bisect_right(onsets, begin - 1) : bisect_right(onsets, end - 1)]:
                rest = end - note.onset
                notes.append(note._replace(onset=note.onset - begin + heard, duration=min(note.duration, rest)))
        words = [
            (tick - begin + heard, text)
            for begin, end, heard in stretches
            for tick, text in track.lyrics
            if begin <= tick < end
        ]
        tracks.append(replace(track, notes=tidy(notes), lyrics=tuple(words)))
    return replace(
        score,
        tracks=tuple(tracks),
        length=now,
        tempi=_again(score.tempi, stretches),
        metres=metres_of(bars[bar] for bar in order),
        keys=_again(score.keys, stretches),
    )


def _again(events: Sequence[tuple[Any, ...]], stretches: Sequence[tuple[int, int, int]]) -> tuple[Any, ...]:
    """Changes of tempo or key, with what holds where a stretch begins."""
    found: dict[int, tuple[Any, ...]] = {}
    for begin, end, heard in stretches:
        before = [event for event in events if event[0] <= begin]
        if before:
            found[heard] = before[-1][1:]
        found |= {event[0] - begin + heard: event[1:] for event in events if begin < event[0] < end}
    kept: list[tuple[Any, ...]] = []
    for tick, value in sorted(found.items()):
        if not kept or kept[-1][1:] != value:
            kept.append((tick, *value))
    return tuple(kept)


def volta_numbers(text: str) -> frozenset[int]:
    """{1, 2, 4} of "1, 2, 4" or "1-2,4"; passes beyond MOST_TIMES are left out."""
    found: set[int] = set()
    for part in text.replace(" ", ",").split(","):
        low, _, high = part.strip(". ").partition("-")
        if low.isdecimal() and len(low) < 4:
            last = int(high.strip(". ")) if high.strip(". ").isdecimal() and len(high) < 4 else int(low)
            found |= set(range(int(low), min(last, MOST_TIMES) + 1))
    return frozenset(number for number in found if 1 <= number <= MOST_TIMES)


def sections_in_order(labels: Mapping[str, int], names: Sequence[str], bars: int) -> list[int]:
    """The bars of sections by name, each from where its label stands to the next one; what comes before the first
    label is heard first. Unknown names are passed over."""
    places = sorted(set(labels.values()))
    found = list(range(min(places, default=0)))
    for name in names:
        if name in labels:
            behind = [place for place in places if place > labels[name]]
            found += range(labels[name], behind[0] if behind else bars)
        if len(found) > MAX_BARS:
            raise InvalidInput(f"With its repeats the score has more than {MAX_BARS:,} bars.", "Give a shorter score.")
    return found
