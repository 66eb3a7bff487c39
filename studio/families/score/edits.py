"""What becomes of a source: which of its notes stay, which bars and parts are composed anew, and how both are put
together again. Knows no model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.arrangement import SCALE, Voice, in_range, shared_out, velocity
from studio.families.score.grammar import GivenBar, Written
from studio.families.score.instruments import voices_for
from studio.families.score.keys import TEMPLATES
from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY, TICKS, bar_ticks
from studio.families.score.sources import (
    Seen,
    Source,
    chord_tokens,
    given_notes,
    is_line,
    parts_of,
    read_source,
)
from studio.families.score.styles import style_of
from studio.families.score.vocabulary import DENSITIES, PHRASE, TEMPI, Vocabulary, class_of, density
from studio.families.score.wishes import Wish
from studio.music.score import Note, Score, Track, tidy

LOOKS_BACK = 16  # bars before a change that the model reads
HEARS_ON = 4  # bars behind a gap by whose likelihood its fillings are compared
CHORD_WEIGHT = 6.0  # how strongly the notes of a melody decide its bar's chord


@dataclass(frozen=True)
class Plan:
    """A sequence that holds a source in part. Bars count from the first that the model sees.

    `new`: the bars that get new notes. `removed`: for each of them the source's notes (track, number) that go.
    `hosts`: who plays new notes, and in which track of the source; None: in one of their own. `whole`: the score
    consists of what the sequence says, and ends with it. `until`: the bar before which composing ends.
    """

    source: Source
    wish: Wish
    given: Mapping[int, GivenBar]
    new: range
    until: int
    hosts: tuple[tuple[Voice, int | None], ...]
    removed: Mapping[int, frozenset[tuple[int, int]]] = field(default_factory=dict)
    whole: bool = False
    tempo: float = 0.0

    @property
    def first_new(self) -> int:
        """From 1, in the source."""
        return self.source.first + self.new.start + 1

    def rewritten(self, written: Iterable[Written], bars: int) -> Score | None:
        """The source with what is new in those of the first `bars` bars that may change; None where there is none."""
        done = range(self.new.start, min(self.new.stop, bars))
        if not len(done):
            return None
        source, score = self.source, self.source.score
        fresh = [n for n in written if n.bar in done and (self.whole or not n.given)]
        last = source.tick(done.stop, 0)
        gone = {key for bar in done for key in self.removed.get(bar, ())}
        lines = [
            [n for number, n in enumerate(track.notes) if (at, number) not in gone]
            for at, track in enumerate(score.tracks)
        ]
        grows = self.whole or done.stop > len(source.bars)
        length = max(last, 0 if self.whole else score.length) if grows else score.length
        own: list[Track] = []
        for (voice, track), notes in zip(self.hosts, shared_out(fresh, [v for v, _ in self.hosts]), strict=True):
            base = _loudness(score, track)
            made = [_note(source, n, last, velocity(n.part, n.place, base)) for n in notes]
            made = [n for n in made if n is not None]
            made = made if voice.part == DRUMS else in_range(made, voice.program)
            if track is not None:
                lines[track] = _together(lines[track], made)
            elif made:
                own.append(Track(voice.name, voice.program, voice.part == DRUMS, tidy(made)))
        tracks = [
            replace(track, notes=tuple(line))
            for track, line in zip(score.tracks, lines, strict=True)
            if line or not track.notes
        ]
        tempi = ((0, self.tempo),) if self.tempo else score.tempi
        return replace(score, tracks=(*tracks, *own), length=length, tempi=tempi)


def _note(source: Source, note: Written, last: int, loud: int) -> Note | None:
    """None for what would begin before a pickup."""
    onset = source.tick(note.bar, note.place)
    begins = source.bars[min(note.bar, len(source.bars) - 1)].start
    if onset < begins or onset >= last:
        return None
    return Note(onset, min(note.length * SCALE, last - onset), note.pitch, loud)


def _together(kept: Sequence[Note], fresh: Sequence[Note]) -> list[Note]:
    """What is kept stays to the tick: new notes that would strike a sounding pitch again are left out."""
    by_pitch: dict[int, list[Note]] = {}
    for note in kept:
        by_pitch.setdefault(note.pitch, []).append(note)
    added = []
    for note in tidy(fresh):
        same = by_pitch.get(note.pitch, ())
        if any(other.onset <= note.onset < other.onset + other.duration for other in same):
            continue
        again = min((other.onset for other in same if other.onset > note.onset), default=note.onset + note.duration)
        added.append(note._replace(duration=min(note.duration, again - note.onset)))
    return sorted((*kept, *added), key=lambda n: (n.onset, n.pitch))


def _loudness(score: Score, track: int | None) -> int | None:
    """The usual loudness of a track without the weight of downbeats."""
    if track is None or not score.tracks[track].notes:
        return None
    return max(int(np.median([note.velocity for note in score.tracks[track].notes])) - 3, 1)


def wish_like(source: Source, bars: int, style: str, *, closes: bool) -> Wish:
    """What the model is told of a source: the key that is heard, tempo and density classes, whether it begins here."""
    piece = source.piece()
    tempo = next((bpm for tick, bpm in reversed(source.score.tempi) if tick <= source.bars[0].start), 120.0)
    thick = class_of(density(piece), DENSITIES) if len(piece.notes) else None
    opens = source.first == 0
    return Wish(
        style or None, bars, source.metre, piece.tonic, piece.mode, class_of(tempo, TEMPI), thick, opens, closes
    )


def wholly(source: Source, vocabulary: Vocabulary, bars: Iterable[int], total: int, tonic: int) -> dict[int, GivenBar]:
    """Bars of the source exactly as they are."""
    chords = chord_tokens(source.piece(), vocabulary)
    return {
        bar: GivenBar(
            given_notes(source.by_bar[bar], vocabulary, source.metre, tonic, total - bar),
            frozenset(),
            chord=chords[bar],
        )
        for bar in bars
    }


def hosts_of(source: Source, parts: Iterable[int]) -> tuple[tuple[Voice, int | None], ...]:
    """The tracks of the source that play the parts, the higher first."""
    tracks, found = source.score.tracks, []
    for part in sorted(parts):
        playing = [i for i, kinds in enumerate(parts_of(tracks)) if part in kinds]
        playing.sort(key=lambda i: -float(np.mean([note.pitch for note in tracks[i].notes])))
        for rank, i in enumerate(playing):
            program = tracks[i].program
            found.append((Voice(part, program, tracks[i].name, rank, many=not is_line(tracks[i].notes)), i))
    return tuple(found)


def region(score: Score, first: int, last: int, *, all_else: bool) -> tuple[int, int]:
    """Bars from 0, the last excluded, of 1-based ones, the last included; 0: the beginning, the end. InvalidInput."""
    bars = score.bars
    low, high = first or 1, last or (bars if all_else else first)
    if low > high:
        raise InvalidInput(f"Bar {low} comes after bar {high}.", "Give the first bar first.", field="from_bar")
    if high > bars:
        name = "to_bar" if low <= bars else "from_bar"
        raise InvalidInput(f"The score has {bars} bars, not {high}.", f"Choose bars from 1 to {bars}.", field=name)
    return low - 1, high


def silent_bars(score: Score) -> tuple[int, int]:
    """The first stretch of bars in which nothing begins, 1-based; InvalidInput where there is none."""
    filled = {int(np.searchsorted(score.bar_starts, n.onset, "right")) for track in score.tracks for n in track.notes}
    empty = [bar for bar in range(1, score.bars + 1) if bar not in filled]
    if not empty:
        raise InvalidInput("No bar of the score is empty.", "Say which bars are to be filled.", field="from_bar")
    last = empty[0]
    while last + 1 in empty:
        last += 1
    return empty[0], last


def continued(score: Score, vocabulary: Vocabulary, bars: int, style: str) -> Plan:
    """`bars` more at the end."""
    last = score.bars
    start = max(0, (last - LOOKS_BACK) // PHRASE * PHRASE)
    source = read_source(score, last - 1, last, before=last - 1 - start, after=0)
    has = len(source.bars)
    wish = wish_like(source, has + bars, style, closes=True)
    given = wholly(source, vocabulary, range(has), has + bars, wish.tonic)
    free = source.parts or frozenset((MELODY,))
    given |= {bar: GivenBar(free=free) for bar in range(has, has + bars)}
    return Plan(source, wish, given, range(has, has + bars), has + bars, hosts_of(source, free))


def changed(
    score: Score, vocabulary: Vocabulary, low: int, high: int, style: str, after: int
) -> tuple[Plan, dict[int, GivenBar]]:
    """Bars `low` to `high` (from 0) composed anew in all their parts; and those bars wholly as they are."""
    start = max(0, (low - LOOKS_BACK) // PHRASE * PHRASE)
    source = read_source(score, low, high, before=low - start, after=score.bars)
    total, low, high = len(source.bars), low - source.first, high - source.first
    wish = wish_like(source, total, style, closes=source.first + total == score.bars)
    until = min(high + after, total)
    as_is = wholly(source, vocabulary, range(until), total, wish.tonic)
    free = source.parts or frozenset((MELODY,))
    given = as_is | {bar: GivenBar(free=free) for bar in range(low, high)}
    removed = {bar: frozenset((n.track, n.number) for n in source.by_bar[bar]) for bar in range(low, high)}
    return Plan(source, wish, given, range(low, high), until, hosts_of(source, free), removed), as_is


def filled(score: Score, vocabulary: Vocabulary, first: int, last: int, style: str) -> Plan:
    """Bars `first` to `last` (1-based; 0: the empty ones) composed anew between what is before and behind them."""
    if not first and not last:
        first, last = silent_bars(score)
    low, high = region(score, first, last, all_else=False)
    return changed(score, vocabulary, low, high, style, HEARS_ON)[0]


def varied(
    score: Score, vocabulary: Vocabulary, first: int, last: int, style: str, strength: float
) -> Callable[[np.random.Generator], Plan]:
    """Plans that keep some notes of the bars, and compose around them; which ones stay is drawn."""
    low, high = region(score, first, last, all_else=True)
    plan, as_is = changed(score, vocabulary, low, high, style, 0)
    source, total = plan.source, len(plan.source.bars)
    lines = {
        part
        for part in (MELODY,)
        if is_line([Note(n.bar * 10_000 + n.place, 1, n.pitch) for n in source.seen if n.part == part])
    }

    def drawn(chance: np.random.Generator) -> Plan:
        given, removed = dict(plan.given), {}
        kept: dict[int, list[Seen]] = {bar: _kept(source.by_bar[bar], strength, chance) for bar in plan.new}
        for bar in plan.new:
            stays = {(n.track, n.number) for n in kept[bar]}
            removed[bar] = frozenset((n.track, n.number) for n in source.by_bar[bar]) - stays
            given[bar] = GivenBar(
                given_notes(kept[bar], vocabulary, source.metre, plan.wish.tonic, total - bar),
                plan.given[bar].free if strength else frozenset(),
                chord=as_is[bar].chord if strength < 0.5 else None,
                room=_room(source, kept, bar) if MELODY in lines else {},
            )
        return replace(plan, given=given, removed=removed)

    return drawn


def _kept(notes: Sequence[Seen], strength: float, chance: np.random.Generator) -> list[Seen]:
    """Notes that stay; those of a part that begin together stay or go together, downbeats go more seldom."""
    groups: dict[tuple[int, int], list[Seen]] = {}
    for note in notes:
        groups.setdefault((note.place, note.part), []).append(note)
    found = []
    for (place, _), group in sorted(groups.items()):
        if chance.random() >= (strength**1.5 if place == 0 else strength):
            found += group
    return found


def _room(source: Source, kept: Mapping[int, Sequence[Seen]], bar: int) -> dict[int, int]:
    """How long a new melody note may be at each place of a bar, before and between kept ones."""
    full = bar_ticks(source.metre)
    stay = sorted(
        (n.bar * full + n.place, n.length) for b in (bar - 1, bar, bar + 1) for n in kept.get(b, ()) if n.part == MELODY
    )
    room = {}
    for place in range(full):
        now = bar * full + place
        if any(onset <= now < onset + length for onset, length in stay):
            room[place] = 0
        elif ahead := [onset - now for onset, _ in stay if onset > now]:
            room[place] = min(ahead)
    return room


def harmonised(score: Score, vocabulary: Vocabulary, style: str) -> Plan:
    """Chords and bass for the melody; other pitched notes go."""
    style = style or "hymn"
    source = read_source(score, 0, score.bars, before=0, after=0)
    melody = [note for note in source.seen if note.part == MELODY]
    if not melody:
        raise InvalidInput("The score has no melody.", "Give one that has notes above the bass.", field="source")
    parts = frozenset(style_of(style).parts) & {CHORDS, BASS}
    kept = replace(source, seen=tuple(melody))
    total, tonic = len(source.bars), source.key()[0]
    wish = replace(wish_like(kept, total, style, closes=True), tonic=tonic, mode=source.key()[1], density=None)
    given, removed = {}, {}
    for bar in range(total):
        notes = kept.by_bar[bar]
        given[bar] = GivenBar(
            given_notes(notes, vocabulary, source.metre, tonic, total - bar),
            parts,
            wanted=parts if notes else frozenset(),
            chord_lean=_chord_lean(notes, tonic, vocabulary),
        )
        removed[bar] = frozenset((n.track, n.number) for n in source.by_bar[bar] if n.part in (CHORDS, BASS))
    voices, _ = voices_for((), style)
    hosts = tuple((voice, None) for voice in voices if voice.part in parts)
    return Plan(source, wish, given, range(total), total, hosts, removed)


def _chord_lean(notes: Sequence[Seen], tonic: int, vocabulary: Vocabulary) -> np.ndarray | None:
    """(chord tokens,) how well each chord fits a bar of melody, by sounding time; the first note counts more."""
    weights = np.zeros(12)
    for rank, note in enumerate(notes):
        weights[(note.pitch - tonic) % 12] += note.length * (1.5 if rank == 0 else 1.0)
    if not weights.any():
        return None
    inside = (TEMPLATES > 0) @ (weights / weights.sum())  # (chords,) share of the time on the chord's tones
    return np.append(CHORD_WEIGHT * inside, 0.0).astype(np.float32)  # the last is the token for no chord


def restyled(score: Score, vocabulary: Vocabulary, style: str) -> Plan:
    """The outline of the melody in another style: its notes on beats stay, all else is composed anew."""
    if not style:
        raise InvalidInput("No style is named.", "Choose the style that the score shall have.", field="style")
    source = read_source(score, 0, score.bars, before=0, after=0)
    if not any(note.part == MELODY for note in source.seen):
        raise InvalidInput("The score has no melody.", "Give one that has notes above the bass.", field="source")
    usual, total = style_of(style), len(source.bars)
    tempo = class_of(usual.tempo, TEMPI)
    wish = replace(wish_like(source, total, style, closes=True), tempo=tempo, density=None)
    outline = {bar: outline_of(source.by_bar[bar], source.metre) for bar in range(total)}
    chords = chord_tokens(source.piece(), vocabulary)
    given = {
        bar: GivenBar(
            given_notes(outline[bar], vocabulary, source.metre, wish.tonic, total - bar),
            frozenset(usual.parts),
            wanted=frozenset(usual.parts) & {CHORDS, BASS} if bar % 2 == 0 else frozenset(),
            chord=chords[bar] if source.by_bar[bar] else None,
            room=_room(source, outline, bar),
        )
        for bar in range(total)
    }
    removed = {bar: frozenset((n.track, n.number) for n in source.by_bar[bar]) for bar in range(total)}
    hosts = tuple((voice, None) for voice in voices_for((), style)[0])
    return Plan(source, wish, given, range(total), total, hosts, removed, True, usual.tempo)


def outline_of(notes: Sequence[Seen], metre: tuple[int, int]) -> list[Seen]:
    """The highest melody note on each beat, as long as to the next one that it reaches; else the bar's first note."""
    beat = TICKS * 3 // 2 if metre[1] == 8 and metre[0] % 3 == 0 else TICKS * 4 // metre[1]
    top: dict[int, Seen] = {}
    for note in notes:
        if note.part == MELODY and (note.place not in top or note.pitch > top[note.place].pitch):
            top[note.place] = note
    on_beats = [note for place, note in sorted(top.items()) if place % (2 * beat) == 0 or note.length >= 2 * beat]
    return on_beats or [note for _, note in sorted(top.items())][:1]


def melody_kept(source: Source, written: Iterable[Written], tonic_shift: int = 0) -> float:
    """Share of the source's highest melody notes that stand at the same place with the same pitch class."""
    asked = {}
    for note in source.seen:
        if note.part == MELODY:
            asked[note.bar, note.place] = max(note.pitch, asked.get((note.bar, note.place), 0))
    has = {(n.bar, n.place, n.pitch % 12) for n in written if n.part == MELODY}
    return round(sum((*at, pitch % 12) in has for at, pitch in asked.items()) / max(len(asked), 1), 3)
