"""Scores of any origin as the model sees them: bars of one metre on its grid, notes in four parts. Knows no model.

What is seen is only a view: the score itself keeps every tick, and what is not asked to change stays as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.arrangement import SCALE
from studio.families.score.grammar import GivenNote
from studio.families.score.keys import bar_chords, find_key
from studio.families.score.measures import LENGTHS, PLACES, SAME_LENGTH, snap_length, snap_place
from studio.families.score.params import METRES as WRITTEN
from studio.families.score.piece import (
    BASS,
    CHORDS,
    DRUM_KEYS,
    DRUMS,
    MELODY,
    METRES,
    PARTS,
    TICKS,
    Piece,
    bar_ticks,
    sort_notes,
)
from studio.families.score.vocabulary import Vocabulary, fold, shift_of
from studio.music.score import Note, Score, Track

MIDDLE_C = 60
LOW_MIDDLE = 52  # a track whose notes lie below in the mean is a bass


@dataclass(frozen=True)
class Bar:
    """A bar of the source: where it begins and ends (ticks of the score), and by how much its beginning lies behind
    that of a full bar (grid ticks; not 0 in a pickup)."""

    start: int
    end: int
    lacks: int


@dataclass(frozen=True)
class Seen:
    """A note of the source: its track and number in it, its part; place in its bar and length on the grid."""

    bar: int
    place: int
    length: int
    pitch: int
    part: int
    track: int
    number: int


@dataclass(frozen=True)
class Source:
    """Bars `first` and on of a score, all in `metre`. `seen` are the notes that begin in them."""

    score: Score
    metre: tuple[int, int]
    first: int
    bars: tuple[Bar, ...]
    seen: tuple[Seen, ...]

    @cached_property
    def by_bar(self) -> list[list[Seen]]:
        found: list[list[Seen]] = [[] for _ in self.bars]
        for note in self.seen:
            found[note.bar].append(note)
        return found

    @cached_property
    def parts(self) -> frozenset[int]:
        return frozenset(note.part for note in self.seen)

    def piece(self) -> Piece:
        """As the vocabulary knows it, in the key that a key-finder hears; that of the score where nothing sounds."""
        length = len(self.bars) * bar_ticks(self.metre)
        rows = [(n.bar * bar_ticks(self.metre) + n.place, n.length, n.pitch, n.part) for n in self.seen]
        notes = np.array(rows, np.int32).reshape(-1, 4)
        notes[:, 1] = np.minimum(notes[:, 1], length - notes[:, 0])
        tonic, mode = self.key()
        return Piece(sort_notes(notes), self.metre, len(self.bars), tonic, mode, "")

    def key(self) -> tuple[int, int]:
        """(tonic, mode)"""
        pitched = [note for note in self.seen if note.part != DRUMS]
        if len(pitched) >= 4:
            return find_key(np.array([(0, n.length, n.pitch, n.part) for n in pitched]))
        fifths, mode = self.score.key_at(self.bars[0].start)
        minor = int(mode == "minor")
        return (7 * fifths - 3 * minor) % 12, minor

    def tick(self, bar: int, place: int) -> int:
        """Of the score; before the beginning of a pickup it is less than the bar's start."""
        if bar < len(self.bars):
            return self.bars[bar].start + (place - self.bars[bar].lacks) * SCALE
        behind = self.bars[-1].start + (bar_ticks(self.metre) - self.bars[-1].lacks) * SCALE
        return behind + ((bar - len(self.bars)) * bar_ticks(self.metre) + place) * SCALE


def metre_of(beats: int, unit: int) -> tuple[int, int] | None:
    """The metre that the vocabulary has for it, by the length of its bars."""
    asked = SAME_LENGTH.get((beats, unit), (beats, unit))
    if asked in METRES:
        return asked
    return next((metre for metre in METRES if metre[0] * unit == beats * metre[1] and unit <= 8), None)


def read_source(score: Score, first: int, last: int, *, before: int, after: int) -> Source:
    """Bars `first` to `last` (from 0, `last` excluded) of a score and up to `before` and `after` bars around them that
    are in the same metre. InvalidInput where they change metre, or have one that cannot be written."""
    starts, ends = score.bar_starts, score.bar_ends
    metres = [score.metre_at(start) for start in starts]
    pickup = len(starts) > 1 and ends[0] - starts[0] < ends[1] - starts[1]
    if pickup:
        metres[0] = metres[1]
    usual = metre_of(*metres[first])
    if usual is None:
        said = f"Bar {first + 1} is in {metres[first][0]}/{metres[first][1]}, which this model cannot write."
        raise InvalidInput(said, f"It writes {', '.join(WRITTEN)}.", field="source")
    odd = next((bar for bar in range(first, last) if metres[bar] != metres[first]), None)
    if odd is not None:
        said = f"The metre changes at bar {odd + 1}, and one metre can be composed at a time."
        raise InvalidInput(said, f"Choose bars {first + 1} to {odd}, then the others.", field="to_bar")
    low, high = first, last
    while low > max(0, first - before) and metres[low - 1] == metres[first]:
        low -= 1
    while high < min(len(starts), last + after) and metres[high] == metres[first]:
        high += 1
    full = bar_ticks(usual)
    bars = []
    for number in range(low, high):
        lacks = full - (ends[number] - starts[number]) // SCALE if pickup and number == 0 else 0
        bars.append(Bar(starts[number], ends[number], lacks))
    return Source(score, usual, low, tuple(bars), tuple(_seen(score, bars, full)))


def _seen(score: Score, bars: Sequence[Bar], full: int) -> list[Seen]:
    starts = np.array([bar.start for bar in bars])
    parts = parts_of(score.tracks)
    found = []
    for track, (part, line) in enumerate(zip(parts, score.tracks, strict=True)):
        for number, note in enumerate(line.notes):
            if not bars[0].start <= note.onset < bars[-1].end:
                continue
            at = int(np.searchsorted(starts, note.onset, "right")) - 1
            ticks = (note.onset - bars[at].start) / SCALE + bars[at].lacks
            place = min(int(snap_place(np.array([ticks]))[0]), full - (TICKS - int(PLACES[-2])))
            length = int(snap_length(np.array([note.duration / SCALE]))[0])
            found.append(Seen(at, place, length, note.pitch, part[number], track, number))
    return sorted(found, key=lambda n: (n.bar, n.place, n.part, -n.length, n.pitch))


def parts_of(tracks: Sequence[Track]) -> list[list[int]]:
    """The part of each note of each track: by the track's name as this family writes it, else by height and texture.

    A track alone that has several notes at once is a keyboard: its part from middle C on is the melody.
    """
    found: dict[int, int] = {}
    for number, track in enumerate(tracks):
        named = track.name.lower().partition(" - ")[0]
        if track.drums:
            found[number] = DRUMS
        elif named in PARTS[:DRUMS]:
            found[number] = PARTS.index(named)
    others = [number for number, track in enumerate(tracks) if number not in found and track.notes]
    others.sort(key=lambda number: -float(np.mean([note.pitch for note in tracks[number].notes])))
    if len(others) == 1 and MELODY not in found.values() and not is_line(tracks[others[0]].notes):
        split = {others[0]: [MELODY if n.pitch >= MIDDLE_C else CHORDS for n in tracks[others[0]].notes]}
        return [split.get(i, [found.get(i, CHORDS)] * len(track.notes)) for i, track in enumerate(tracks)]
    for rank, number in enumerate(others):
        low = float(np.mean([note.pitch for note in tracks[number].notes])) < LOW_MIDDLE
        if rank == 0 and MELODY not in found.values():
            found[number] = MELODY
        elif rank == len(others) - 1 and BASS not in found.values() and (low or len(others) > 2):
            found[number] = BASS if is_line(tracks[number].notes) else CHORDS
        else:
            found[number] = CHORDS
    return [[found.get(i, CHORDS)] * len(track.notes) for i, track in enumerate(tracks)]


def is_line(notes: Sequence[Note]) -> bool:
    """Whether hardly any notes begin together."""
    onsets = {note.onset for note in notes}
    return len(notes) - len(onsets) <= 0.05 * len(notes)


def given_notes(
    notes: Sequence[Seen], vocabulary: Vocabulary, metre: tuple[int, int], tonic: int, left: int
) -> tuple[GivenNote, ...]:
    """The notes of one bar as tokens, in their order. `left`: bars to the end, this one included."""
    shift, found = shift_of(tonic), {}
    for note in notes:
        if note.part == DRUMS:
            if note.pitch in DRUM_KEYS:
                token = vocabulary.ids[f"drums={note.pitch}"]
                found.setdefault((note.place, token), GivenNote(note.place, DRUMS, 0, token))
            continue
        most = left * bar_ticks(metre) - note.place
        length = int(LENGTHS[LENGTHS <= min(note.length, most)].max(initial=2))
        token = vocabulary.ids[f"{PARTS[note.part]}={fold(note.pitch - shift)}"]
        kept = found.get((note.place, token))
        if kept is None or kept.length < length:
            found[note.place, token] = GivenNote(note.place, note.part, length, token)
    return tuple(sorted(found.values(), key=lambda n: (n.place, n.part, -n.length, n.token)))


def chord_tokens(piece: Piece, vocabulary: Vocabulary) -> list[int]:
    """The token of each bar's chord."""
    return [vocabulary.ids[vocabulary.chord_name(chord, piece.tonic)] for chord in bar_chords(piece).tolist()]
