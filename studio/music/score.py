"""A score as plain frozen data: tracks of notes in ticks, tempi, metres, keys. Knows no file format and no sound.

Every reader of files makes a Score, everything else is made from one. A pickup, or any bar of another length, is a
metre of its own: an upbeat of a quarter before 3/4 is metres ((0, 1, 4), (480, 3, 4)).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from studio.errors import InvalidInput

QUARTER = 480  # ticks
MAX_NOTES = 200_000
MAX_TRACKS = 256
MAX_BARS = 20_000
MAX_EVENTS = 20_000  # tempi, metres, keys and syllables of a track, each
MAX_TICKS = QUARTER * 4 * MAX_BARS
MAX_SECONDS = 6 * 3600
TEMPO_RANGE = (4.0, 1000.0)  # quarter notes a minute
HELD = "_"  # in place of a syllable: the one before is held over this note too
UNITS = (1, 2, 4, 8, 16, 32, 64)
HINT = "Give a score as this program writes it."


class Note(NamedTuple):
    """`onset` and `duration` in ticks, `pitch` 0..127 (60 = middle C, or the percussion key), `velocity` 1..127."""

    onset: int
    duration: int
    pitch: int
    velocity: int = 80


@dataclass(frozen=True)
class Track:
    """One instrument: `program` 0..127 of General MIDI; notes sorted by onset and pitch; `lyrics` are (tick, syllable),
    a syllable that goes on ends in "-", HELD stands for one that is held.
    """

    name: str
    program: int
    drums: bool
    notes: tuple[Note, ...]
    lyrics: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Score:
    """`length` in ticks; tempi (tick, quarters a minute), metres (tick, beats, unit), keys (tick, sharps or -flats,
    "major" or "minor"), each sorted by tick. Where tempi or metres are silent at the start, 120 and 4/4 hold.
    """

    tracks: tuple[Track, ...]
    length: int
    tempi: tuple[tuple[int, float], ...] = ((0, 120.0),)
    metres: tuple[tuple[int, int, int], ...] = ((0, 4, 4),)
    keys: tuple[tuple[int, int, str], ...] = ()
    title: str = ""

    @cached_property
    def bar_starts(self) -> list[int]:
        """Ticks at which bars begin; a change of metre always begins one."""
        changes = list(self.metres)
        if not changes or changes[0][0] > 0:
            changes.insert(0, (0, 4, 4))
        ends = [tick for tick, _, _ in changes[1:]] + [self.length]
        starts: list[int] = []
        for (tick, beats, unit), end in zip(changes, ends, strict=True):
            starts += range(tick, min(end, self.length), bar_ticks(beats, unit))
        return starts

    @property
    def bars(self) -> int:
        return len(self.bar_starts)

    @property
    def bar_ends(self) -> list[int]:
        return [*self.bar_starts[1:], self.length] if self.bar_starts else []

    @cached_property
    def _clock(self) -> tuple[list[int], list[float], list[float]]:
        """Ticks of the changes of tempo, the seconds at them, and quarters a minute from there on."""
        changes = list(self.tempi)
        if not changes or changes[0][0] > 0:
            changes.insert(0, (0, 120.0))
        ticks, seconds, tempi = [0], [0.0], [changes[0][1]]
        for tick, tempo in changes[1:]:
            seconds.append(seconds[-1] + (tick - ticks[-1]) * 60 / (QUARTER * tempi[-1]))
            ticks.append(tick)
            tempi.append(tempo)
        return ticks, seconds, tempi

    def seconds_at(self, tick: float) -> float:
        """Seconds from the start to a tick, through all tempi."""
        ticks, seconds, tempi = self._clock
        at = max(bisect_right(ticks, tick) - 1, 0)
        return seconds[at] + (tick - ticks[at]) * 60 / (QUARTER * tempi[at])

    def tick_at(self, seconds: float) -> float:
        """The inverse of `seconds_at`."""
        ticks, starts, tempi = self._clock
        at = max(bisect_right(starts, seconds) - 1, 0)
        return ticks[at] + (seconds - starts[at]) * QUARTER * tempi[at] / 60

    @property
    def seconds(self) -> float:
        return self.seconds_at(self.length)

    @property
    def notes(self) -> int:
        """How many notes all tracks have."""
        return sum(len(track.notes) for track in self.tracks)

    def metre_at(self, tick: int) -> tuple[int, int]:
        """(beats, unit) that hold at a tick."""
        at = bisect_right([metre[0] for metre in self.metres], tick) - 1
        return self.metres[at][1:] if at >= 0 else (4, 4)

    def key_at(self, tick: int) -> tuple[int, str]:
        """(sharps or -flats, mode) that hold at a tick; C major where the score names none."""
        at = bisect_right([key[0] for key in self.keys], tick) - 1
        return self.keys[at][1:] if at >= 0 else (0, "major")

    def to_json(self) -> dict[str, Any]:
        """A plain dict, for the page and back; `bars` and `seconds` are told along."""
        return {
            "quarter": QUARTER,
            "length": self.length,
            "title": self.title,
            "tempi": [list(tempo) for tempo in self.tempi],
            "metres": [list(metre) for metre in self.metres],
            "keys": [list(key) for key in self.keys],
            "tracks": [
                {
                    "name": track.name,
                    "program": track.program,
                    "drums": track.drums,
                    "notes": [list(note) for note in track.notes],
                    "lyrics": [list(syllable) for syllable in track.lyrics],
                }
                for track in self.tracks
            ],
            "bars": self.bar_starts,
            "seconds": self.seconds,
        }

    @staticmethod
    def from_json(data: Any) -> "Score":
        """The score of such a dict, whoever wrote it. InvalidInput names the first thing that cannot be."""
        table = _mapping(data, "A score")
        quarter = _whole(table.get("quarter", QUARTER), "A score's quarter note", 1, 100_000)
        if quarter != QUARTER:
            raise InvalidInput(f"A quarter note of this score has {quarter} ticks.", f"Give it {QUARTER} ticks.")
        length = _whole(table.get("length"), "The score's length", 1, MAX_TICKS)
        return check(
            Score(
                tracks=tuple(_track(track) for track in _rows(table.get("tracks"), "The tracks", MAX_TRACKS)),
                length=length,
                tempi=tuple(
                    (
                        _whole(tick, "The tick of a tempo", 0, length),
                        _number(bpm, "A tempo", *TEMPO_RANGE),
                    )
                    for tick, bpm in _tuples(table.get("tempi", []), "The tempi", 2, MAX_EVENTS)
                ),
                metres=tuple(
                    (_whole(tick, "The tick of a metre", 0, length), beats, unit)
                    for tick, beats, unit in _tuples(table.get("metres", []), "The metres", 3, MAX_EVENTS)
                ),
                keys=tuple(
                    (_whole(tick, "The tick of a key", 0, length), fifths, mode)
                    for tick, fifths, mode in _tuples(table.get("keys", []), "The keys", 3, MAX_EVENTS)
                ),
                title=_text(table.get("title", ""), "The title"),
            )
        )


def bar_ticks(beats: int, unit: int) -> int:
    """Length of a bar in ticks."""
    return beats * 4 * QUARTER // unit


def metres_of(bars: Iterable[tuple[int, tuple[int, int]]]) -> tuple[tuple[int, int, int], ...]:
    """The metres of bars given as (length in ticks, (beats, unit) that is written).

    A bar that is shorter or longer than its metre gets one that fits it, in the largest unit that does.
    """
    found: list[tuple[int, int, int]] = []
    tick = 0
    for length, (beats, unit) in bars:
        if length != bar_ticks(beats, unit):
            fits = (
                u for u in UNITS if u >= min(unit, 4) and not length % bar_ticks(1, u) and length <= bar_ticks(64, u)
            )
            unit = next(fits, 64)
            beats = max(length // bar_ticks(1, unit), 1)
        if not found or found[-1][1:] != (beats, unit):
            found.append((tick, beats, unit))
        tick += length
    return tuple(found)


def tidy(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Sorted by onset and pitch; a pitch that is struck again ends there, and of two struck at once the longer stays.

    One instrument cannot sound one pitch twice, and a MIDI file cannot say it.
    """
    last: dict[int, int] = {}  # pitch -> index in kept
    kept: list[Note] = []
    for note in sorted(notes, key=lambda n: (n.onset, n.pitch, -n.duration)):
        before = last.get(note.pitch)
        if before is not None:
            if kept[before].onset == note.onset:
                continue
            if kept[before].onset + kept[before].duration > note.onset:
                kept[before] = kept[before]._replace(duration=note.onset - kept[before].onset)
        last[note.pitch] = len(kept)
        kept.append(note)
    return tuple(kept)


def check(score: Score) -> Score:
    """The same score, if it keeps to all limits; InvalidInput otherwise."""
    if len(score.tracks) > MAX_TRACKS:
        raise InvalidInput(f"The score has {len(score.tracks)} tracks.", f"Give at most {MAX_TRACKS}.")
    if score.notes > MAX_NOTES:
        raise InvalidInput(f"The score has {score.notes:,} notes.", f"Give at most {MAX_NOTES:,}.")
    if not 0 < score.length <= MAX_TICKS:
        raise InvalidInput(f"The score is {score.length / QUARTER:,.0f} quarter notes long.", "Give a shorter score.")
    for events in (score.tempi, score.metres, score.keys):
        ticks = [event[0] for event in events]
        if len(ticks) > MAX_EVENTS:
            raise InvalidInput(f"The score changes tempo, metre or key {len(ticks):,} times.", "Give a simpler score.")
        if any(a >= b for a, b in zip(ticks, ticks[1:], strict=False)) or (ticks and ticks[0] < 0):
            raise InvalidInput("The score's changes of tempo, metre or key are not in order.", HINT)
    for _, tempo in score.tempi:
        if not TEMPO_RANGE[0] <= tempo <= TEMPO_RANGE[1]:
            raise InvalidInput(f"{tempo:g} is no tempo.", "Give 4 to 1,000 quarter notes a minute.")
    for _, beats, unit in score.metres:
        if not (isinstance(beats, int) and 1 <= beats <= 64 and unit in UNITS):
            raise InvalidInput(f"{str(beats)[:9]}/{str(unit)[:9]} is no metre.", "Give one like 3/4 or 6/8.")
    for _, fifths, mode in score.keys:
        if not (isinstance(fifths, int) and -7 <= fifths <= 7 and mode in ("major", "minor")):
            raise InvalidInput("A key of the score is none.", "Give -7 to 7 sharps, and major or minor.")
    if score.bars > MAX_BARS:
        raise InvalidInput(f"The score has {score.bars:,} bars.", f"Give at most {MAX_BARS:,}.")
    if score.seconds > MAX_SECONDS:
        raise InvalidInput(
            f"The score lasts {score.seconds / 3600:,.0f} hours.", f"Give at most {MAX_SECONDS // 3600}."
        )
    return score


def _track(data: Any) -> Track:
    table = _mapping(data, "A track")
    notes = []
    for onset, duration, pitch, velocity in _tuples(table.get("notes", []), "The notes", 4, MAX_NOTES):
        notes.append(
            Note(
                _whole(onset, "The onset of a note", 0, MAX_TICKS),
                _whole(duration, "The duration of a note", 1, MAX_TICKS),
                _whole(pitch, "The pitch of a note", 0, 127),
                _whole(velocity, "The velocity of a note", 1, 127),
            )
        )
    lyrics = tuple(
        (_whole(tick, "The tick of a syllable", 0, MAX_TICKS), _text(text, "A syllable"))
        for tick, text in _tuples(table.get("lyrics", []), "The lyrics", 2, MAX_EVENTS)
    )
    drums = table.get("drums", False)
    if not isinstance(drums, bool):
        raise InvalidInput("A track does not say whether it is for drums.", HINT)
    program = _whole(table.get("program", 0), "A program", 0, 127)
    return Track(_text(table.get("name", ""), "The name of a track"), program, drums, tidy(notes), lyrics)


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{what} is not a table of named values.", HINT)
    return value


def _rows(value: Any, what: str, most: int) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(f"{what} of the score are not a list.", HINT)
    if len(value) > most:
        raise InvalidInput(f"{what} of the score are {len(value):,}.", f"Give at most {most:,}.")
    return value


def _tuples(value: Any, what: str, width: int, most: int) -> Sequence[Any]:
    rows = _rows(value, what, most)
    if any(not isinstance(row, (list, tuple)) or len(row) != width for row in rows):
        raise InvalidInput(f"{what} of the score are not lists of {width} values.", HINT)
    return rows


def _whole(value: Any, what: str, low: int, high: int) -> int:
    """A whole number; 12.0 counts as one, as JSON from a browser does not tell them apart."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(f"{what} is {str(value)[:20]}.", f"Give a whole number from {low} to {high}.")
    return value


def _number(value: Any, what: str, low: float, high: float) -> float:
    right = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not right or not low <= value <= high:
        raise InvalidInput(f"{what} is {str(value)[:20]}.", f"Give a number from {low:g} to {high:g}.")
    return float(value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise InvalidInput(f"{what} is no short text.", "Give at most 500 characters.")
    return value
