"""Which tokens may follow: the rules by which bars always add up, and by which notes that are given come where they
stand. Knows no model.

A bar's places rise and stay below the metre's length, no note sounds past the end of the piece, parts come in order,
the number of bars is the one asked for. See vocabulary.py for the shape of a sequence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from studio.families.score.piece import DRUMS, MELODY, PARTS, bar_ticks
from studio.families.score.vocabulary import MOST_BARS, PHRASE, Vocabulary, shift_of

LOWEST, HIGHEST = 21, 108  # MIDI pitches of a piano
MOST_AT_ONCE = 14  # notes that begin together
MOST_A_BAR = 220  # tokens; what is given comes all the same
FREE = frozenset(range(len(PARTS)))


@dataclass(frozen=True)
class GivenNote:
    """A note that must come: its place in the bar and its length in ticks, its part, its token."""

    place: int
    part: int
    length: int
    token: int


@dataclass(frozen=True)
class GivenBar:
    """What is decided of a bar: its notes in the order of their tokens, the parts that may be added to, its chord.

    At the first place at which anything begins, notes of the `wanted` parts begin too.
    `room` says how long a new melody note may be that begins at a place, 0 where none may begin; places that it does
    not name are free. `chord_lean` (chord tokens,) is added to the scores of the bar's chord.
    """

    notes: tuple[GivenNote, ...] = ()
    free: frozenset[int] = FREE
    wanted: frozenset[int] = frozenset()
    chord: int | None = None
    room: Mapping[int, int] = field(default_factory=dict)
    chord_lean: np.ndarray | None = None


NOTHING = GivenBar()


@dataclass(frozen=True)
class Written:
    """A note as the sequence has it; pitch as MIDI number."""

    bar: int
    place: int
    length: int
    part: int
    pitch: int
    given: bool


class Tables:
    """Tokens and what they mean for one metre and tonic; masks that were asked for are kept."""

    def __init__(self, vocabulary: Vocabulary, metre: tuple[int, int], tonic: int) -> None:
        self.vocabulary, self.bar_length, self.shift = vocabulary, bar_ticks(metre), shift_of(tonic)
        self.places = vocabulary.kinds["PLACE"]
        self.place_ticks = np.array([int(vocabulary.value(token)) for token in self.places])
        self.lengths = vocabulary.kinds["LENGTH"]
        self.length_ticks = np.array([int(vocabulary.value(token)) for token in self.lengths])
        self.length_tokens = dict(zip(self.length_ticks.tolist(), self.lengths.tolist(), strict=True))
        self.place_tokens = dict(zip(self.place_ticks.tolist(), self.places.tolist(), strict=True))
        self.longest = int(self.length_ticks.max())
        self.notes, self.meaning = [], {}
        for part, name in enumerate(PARTS):
            tokens = vocabulary.kinds[name]
            shift = 0 if part == DRUMS else self.shift
            pitches = np.array([int(vocabulary.value(token)) for token in tokens]) + shift
            inside = (pitches >= LOWEST) & (pitches <= HIGHEST)
            self.notes.append(tokens if part == DRUMS else tokens[inside])
            self.meaning |= {int(t): (part, int(p)) for t, p in zip(tokens, pitches, strict=True)}
        self.masks: dict[tuple, np.ndarray] = {}

    def within(
        self,
        after: str,
        place: int,
        length: int,
        part: int,
        left: int,
        free: frozenset[int],
        room: int,
        forced: tuple[int, int, int] | None,
        lacks: int | None = None,
    ) -> np.ndarray:
        """(tokens,) bool within a bar, but for its end and for notes taken or given; the same array for the same state.

        `forced` is place, part and length of the next given note, `lacks` the first part that must begin here too.
        """
        key = (after, place, length, part, min(left, self.longest), free, min(room, self.longest), forced, lacks)
        if key not in self.masks:
            self.masks[key] = self._within(*key)
        return self.masks[key]

    def _within(
        self,
        after: str,
        place: int,
        length: int,
        part: int,
        left: int,
        free: frozenset[int],
        room: int,
        forced: tuple[int, int, int] | None,
        lacks: int | None,
    ) -> np.ndarray:
        may = np.zeros(len(self.vocabulary), bool)
        here = forced is not None and forced[0] == place
        if not after and not here and lacks is None:
            last = forced[0] if forced else self.bar_length - 1
            if free:
                may[self.places[(self.place_ticks > place) & (self.place_ticks <= last)]] = True
            elif forced:
                may[self.places[self.place_ticks == last]] = True
        if place < 0:
            return may
        top = min(forced[1] if forced and here else DRUMS, DRUMS if lacks is None else lacks)
        able = [q for q in free if part <= q <= top]
        if here or lacks is not None:  # one note of each part on the way to what must come
            able = [q for q in able if q == lacks or q > part or after == "PLACE" or (after and q == part)]
            able = [q for q in able if not (forced and here) or q < forced[1]]
        most = {q: min(left, room) if q == MELODY else left for q in able if q != DRUMS}
        for q, limit in most.items():
            if 0 < length <= limit:
                may[self.notes[q]] = True
        if after != "LENGTH":
            if DRUMS in able:
                may[self.notes[DRUMS]] = True
            if most:
                limit = max(most.values())
                may[self.lengths[(self.length_ticks <= limit) & (self.length_ticks != length)]] = True
            if forced and here and top == forced[1] != DRUMS and forced[2] != length:
                may[self.length_tokens[forced[2]]] = True
        return may


@lru_cache(maxsize=64)
def tables_of(vocabulary: Vocabulary, metre: tuple[int, int], tonic: int) -> Tables:
    return Tables(vocabulary, metre, tonic)


class Grammar:
    """Follows one sequence from behind its head: `allowed()` says what may come, `take()` goes on."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        metre: tuple[int, int],
        bars: int,
        tonic: int,
        given: Mapping[int, GivenBar] | None = None,
    ) -> None:
        self.vocabulary, self.bars, self.given = vocabulary, bars, given or {}
        self.tables = tables_of(vocabulary, metre, tonic)
        self.bar_length = self.tables.bar_length
        self.bar, self.expects = -1, "BAR"
        self.place, self.length, self.part = -1, 0, 0
        self.after = ""  # kind of the last token within the bar
        self.used: set[int] = set()
        self.done = False
        self.written: list[Written] = []
        self.here = NOTHING  # what is given of this bar
        self.come = 0  # how many of its given notes have come
        self.since = 0  # tokens since the bar's beginning
        self.first = -1  # place at which its first notes begin

    @property
    def left(self) -> int:
        """Ticks from the present place to the end of the piece."""
        return (self.bars - self.bar) * self.bar_length - max(self.place, 0)

    def allowed(self) -> np.ndarray:
        """(tokens,) bool; at least one is true unless the sequence is done."""
        if not self.done and self.expects == "notes":
            return self._within()
        may = np.zeros(len(self.vocabulary), bool)
        ids = self.vocabulary.ids
        if self.done:
            may[ids["PAD"]] = True
        elif self.expects == "BAR":
            may[self._bar_token(self.bars - 1)] = True
        elif self.expects == "PHRASE":
            may[ids[f"PHRASE={self.bar % PHRASE}"]] = True
        else:
            may[self.vocabulary.kinds["CHORD"] if self.here.chord is None else self.here.chord] = True
        return may

    def _within(self) -> np.ndarray:
        given, notes = self.here, self.here.notes[self.come :]
        after = self.after if self.after in ("PLACE", "LENGTH") else ""
        full = len(self.used) >= MOST_AT_ONCE or (not after and self.since >= MOST_A_BAR)
        free = frozenset() if full and given.free else given.free
        forced = (notes[0].place, notes[0].part, notes[0].length) if notes else None
        room = given.room.get(self.place, self.tables.longest)
        lacks = None if full else self._lacks()
        state = (after, self.place, self.length, self.part, self.left, free, room, forced, lacks)
        may = self.tables.within(*state).copy()
        if full and not after and self.since < MOST_A_BAR and not (forced and forced[0] == self.place):
            may |= self.tables.within("", self.place, 0, len(PARTS), 0, given.free, 0, forced)  # the places to go on to
        if given.free == {MELODY} and not after:  # no place at which nothing could begin
            held = [tick for tick, most in given.room.items() if not most and (not forced or tick != forced[0])]
            may[[self.tables.place_tokens[tick] for tick in held if tick in self.tables.place_tokens]] = False
        if self.used:
            may[list(self.used)] = False
        for note in notes:
            if note.place != self.place:
                break
            may[note.token] = False
        if notes and notes[0].place == self.place and (lacks is None or notes[0].part <= lacks):
            drum = notes[0].part == DRUMS
            may[notes[0].token] = after != "LENGTH" if drum else notes[0].length == self.length
        if not notes and not after and lacks is None:
            last = self.bar == self.bars - 1
            may[self.vocabulary.ids["END"] if last else self._bar_token(self.bars - 2 - self.bar)] = True
        return may

    def _bar_token(self, left: int) -> int:
        """With the number of bars that are still to come; more than it can say are said as its most."""
        return self.vocabulary.ids[f"BAR={min(left, MOST_BARS - 1)}"]

    def detours(self) -> tuple[np.ndarray, int] | None:
        """(tokens,) bool of what would pass over the next given note, and the token that goes towards it instead; None
        where nothing is passed over.

        To strike such tokens out would leave what is given to be delayed by whatever else may come; so they may be
        drawn, and mean: go on.
        """
        notes = self.here.notes[self.come :]
        if self.done or self.expects != "notes" or not notes or self.after in ("PLACE", "LENGTH"):
            return None
        if self._lacks() is not None and len(self.used) < MOST_AT_ONCE and self.since < MOST_A_BAR:
            return None
        tables, forced = self.tables, notes[0]
        passing = np.zeros(len(self.vocabulary), bool)
        passing[self.vocabulary.kinds["BAR"]] = passing[self.vocabulary.ids["END"]] = True
        passing[tables.places[tables.place_ticks > forced.place]] = True
        if forced.place != self.place:
            return passing, tables.place_tokens[forced.place]
        for part in range(forced.part, len(PARTS)):
            passing[tables.notes[part]] = True
        if forced.part == DRUMS or forced.length == self.length:
            passing[forced.token] = False
            return passing, forced.token
        return passing, tables.length_tokens[forced.length]

    def _lacks(self) -> int | None:
        """The first wanted part that has not begun, at the first place of a bar."""
        if self.place < 0 or self.place != self.first or not self.here.wanted:
            return None
        begun = {self.tables.meaning[token][0] for token in self.used}
        able = self.here.wanted & self.here.free
        if not self.here.room.get(self.place, 1):
            able -= {MELODY}
        lacks = [q for q in able if q not in begun and q >= self.part]
        return min(lacks, default=None)

    def take(self, token: int) -> None:
        kind, _, value = self.vocabulary.names[token].partition("=")
        self.since += 1
        if kind == "BAR":
            self.bar += 1
            self.expects, self.place, self.length, self.after = "PHRASE", -1, 0, "BAR"
            self.part, self.used, self.come, self.since, self.first = 0, set(), 0, 0, -1
            self.here = self.given.get(self.bar, NOTHING)
        elif kind in ("PHRASE", "CHORD"):
            self.expects, self.after = ("CHORD", kind) if kind == "PHRASE" else ("notes", kind)
        elif kind == "PLACE":
            self.place, self.part, self.used, self.after = int(value), 0, set(), kind
            self.first = self.place if self.first < 0 else self.first
        elif kind == "LENGTH":
            self.length, self.after = int(value), kind
        elif kind in PARTS:
            self._take_note(token, kind)
        elif kind == "END":
            self.done = True

    def _take_note(self, token: int, kind: str) -> None:
        part, pitch = self.tables.meaning[token]
        notes = self.here.notes
        given = self.come < len(notes) and notes[self.come].place == self.place and notes[self.come].token == token
        self.come += given
        self.part, self.after = part, kind
        self.used.add(token)
        length = 6 if part == DRUMS else self.length
        self.written.append(Written(self.bar, self.place, length, part, pitch, given))
