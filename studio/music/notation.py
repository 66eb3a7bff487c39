"""A score as it stands on paper: staves, voices, bars of written notes with spelling, ties, tuplets, beams and clefs.

Knows no file format; MusicXML and ABC are written from it. Every note keeps its ticks, whatever value it is written as.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from studio.music.rhythm import GRID, Metre, Span, beams, write
from studio.music.score import HELD, QUARTER, Note, Score, Track, bar_ticks, tidy

LETTERS = "FCGDAEB"  # by fifths
PITCH_OF = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
GRAND_STAFF = {*range(8), 8, *range(16, 21), 46}  # programs: keyboards and the harp
MIDDLE = 60
CLEFS = {
    "treble": ("G", 2, 0),
    "bass": ("F", 4, 0),
    "alto": ("C", 3, 0),
    "low treble": ("G", 2, -1),
    "drums": ("percussion", 0, 0),
}
ROUGH = 0.15  # share of notes off every grid from which a score counts as played and is quantised for paper


@dataclass(frozen=True)
class Spelling:
    """A pitch as written: C4 is middle C; `alter` in semitones."""

    step: str
    alter: int
    octave: int


@dataclass
class Written:
    """A chord of one voice, or a rest, as one written symbol; ticks from the bar's start."""

    span: Span
    notes: tuple[Note, ...]  # as they are in the score, so several symbols of a tied note share one
    tied_back: bool = False
    tied_on: bool = False
    beams: list[str] = field(default_factory=list)
    accidentals: dict[int, str] = field(default_factory=dict)  # pitch -> "sharp", "flat", "natural" ...
    lyric: str = ""  # as in Track.lyrics
    syllabic: str = "single"  # where in its word it stands: "begin", "middle", "end"
    extend: str = ""  # of a held syllable's line: "start", "continue", "stop"
    hidden: bool = False  # a rest that only holds a place in a second voice
    whole_bar: bool = False


@dataclass
class Bar:
    """`voices[staff]` are lists of symbols that fill the bar; the first voice is always there."""

    index: int
    start: int
    metre: Metre
    shown_metre: tuple[int, int] | None  # where a new one is written
    shown_key: tuple[int, str] | None
    key: tuple[int, str]
    voices: list[list[list[Written]]]

    @property
    def irregular(self) -> bool:
        """Shorter or longer than the metre that is written, as a pickup is."""
        return self.metre.length != bar_ticks(self.metre.beats, self.metre.unit)


@dataclass
class Part:
    track: Track
    clefs: list[str]  # of each staff, names of CLEFS
    bars: list[Bar]


def notate(score: Score) -> list[Part]:
    """One part for each track."""
    plan = _plan(score)
    return [_part(track, plan) for track in score.tracks]


def spell(pitch: int, fifths: int, mode: str) -> Spelling:
    """As the key suggests: raised leading notes in minor, lowered sevenths and thirds in major."""
    low = fifths - 2 if mode == "minor" else fifths - 4  # of the twelve neighbours on the line of fifths
    place = low + (pitch * 7 - low) % 12  # C is 0, G is 1
    step, alter = LETTERS[(place + 1) % 7], (place + 1) // 7
    return Spelling(step, alter, (pitch - alter - PITCH_OF[step]) // 12 - 1)


def in_key(step: str, fifths: int) -> int:
    """The alteration that a key signature gives a letter."""
    at = LETTERS.index(step)
    return int(at < fifths) - int(6 - at < -fifths)


def _plan(score: Score) -> list[Bar]:
    """Bars without notes. A metre of one bar between two of another is an irregular bar and not written as a metre."""
    starts, ends = score.bar_starts, score.bar_ends
    metres = [score.metre_at(start) for start in starts]
    keys = [score.key_at(max(start, end - 1)) for start, end in zip(starts, ends, strict=True)]
    bars: list[Bar] = []
    written: tuple[int, int] | None = None
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        metre = metres[index]
        following = metres[index + 1] if index + 1 < len(metres) else written or metre
        if index == 0 and following != metre and bar_ticks(*metre) < bar_ticks(*following):
            metre = following
        elif written and metre != written and following == written:
            metre = written
        shown = metre if metre != written else None
        written = metre
        key = keys[index]
        before = bars[-1].key if bars else None
        new_key = key if key != before and (before or score.keys) else None
        bars.append(Bar(index, start, Metre(*metre, end - start), shown, new_key, key, []))
    return bars


def rough(score: Score) -> bool:
    """Whether it was played rather than written: many notes begin or end on no grid of any value or tuplet."""
    if not score.notes:
        return False
    onsets = [note.onset for track in score.tracks for note in track.notes]
    ends = [note.onset + note.duration for track in score.tracks for note in track.notes]
    return max(_off(onsets), _off(ends) / 2) > ROUGH


def _off(ticks: list[int]) -> float:
    """The share of ticks on no grid."""
    return sum(not _on_grid(tick) for tick in ticks) / len(ticks)


def _on_grid(tick: int) -> bool:
    return any(tick % grid == 0 for grid in (GRID, 20, 24)) or _seventh(tick)


def _seventh(onset: int) -> bool:
    within = onset % QUARTER
    return any(abs(within - k * QUARTER / n) <= 0.5 for n in (7, 9, 11, 13, 14) for k in range(n))


def quantised(score: Score) -> Score:
    """Onsets and ends on no grid moved to sixteenths or triplets of eighths, whichever fits a beat's onsets better."""
    beats: dict[int, list[int]] = {}
    for track in score.tracks:
        for note in track.notes:
            beats.setdefault(note.onset // QUARTER, []).append(note.onset)
    thirds = {
        beat
        for beat, onsets in beats.items()
        if sum(abs(o - _snapped(o, 160)) for o in onsets) < 0.8 * sum(abs(o - _snapped(o, 120)) for o in onsets)
    }

    def moved(tick: int) -> int:
        return tick if _on_grid(tick) else _snapped(tick, 160 if tick // QUARTER in thirds else 120)

    tracks = []
    for track in score.tracks:
        notes = []
        for note in track.notes:
            onset = min(moved(note.onset), score.length - 2 * GRID)
            end = moved(note.onset + note.duration)
            end = min(end if end > onset else onset + 120, score.length)
            notes.append(note._replace(onset=onset, duration=end - onset))
        tracks.append(replace(track, notes=tidy(notes)))
    return replace(score, tracks=tuple(tracks))


def _snapped(tick: int, grid: int) -> int:
    return round(tick / grid) * grid


def _part(track: Track, plan: list[Bar]) -> Part:
    staves, clefs = _staves(track)
    bars = [replace(bar, voices=[[] for _ in clefs]) for bar in plan]
    parted = [_voices(notes) for notes in staves]
    words = _shared_words(track, parted)
    for staff, voices in enumerate(parted):
        for number, voice in enumerate(voices):
            _fill(bars, staff, number, voice, words.get((staff, number), {}))
        for bar in bars:
            if not bar.voices[staff]:
                bar.voices[staff].append(_silence(bar, hidden=False))
            if not track.drums:
                _mark_accidentals(bar, staff)
    return Part(track, clefs, bars)


Sung = tuple[str, str, str]  # a syllable, its place in the word, its line: as in Written


def _shared_words(track: Track, parted: list[list[list[list[Note]]]]) -> dict[tuple[int, int], dict[int, Sung]]:
    """The syllables by (staff, voice) and tick: each with the first voice in which a note begins then, else with the
    very first.
    """
    begun: dict[int, tuple[int, int]] = {}
    for staff, voices in enumerate(parted):
        for number, voice in enumerate(voices):
            for chord in voice:
                begun.setdefault(chord[0].onset, (staff, number))
    found: dict[tuple[int, int], dict[int, Sung]] = {}
    goes_on, ordered = False, sorted(track.lyrics)
    for at, (tick, text) in enumerate(ordered):
        held_next = at + 1 < len(ordered) and ordered[at + 1][1] == HELD
        if text == HELD:
            sung = (text, "single", "continue" if held_next else "stop")
        else:
            before, goes_on = goes_on, text.endswith("-")
            place = ("middle" if before else "begin") if goes_on else "end" if before else "single"
            sung = (text, place, "start" if held_next and not goes_on else "")
        found.setdefault(begun.get(tick, (0, 0)), {})[tick] = sung
    return found


def _staves(track: Track) -> tuple[list[list[Note]], list[str]]:
    """Notes of each staff and the clefs."""
    pitches = sorted(note.pitch for note in track.notes)
    if track.drums:
        return [list(track.notes)], ["drums"]
    if not pitches:
        return [[]], ["treble"]
    if track.program in GRAND_STAFF and pitches[0] < MIDDLE - 4 and pitches[-1] >= MIDDLE + 4:
        return _hands(track.notes), ["treble", "bass"]
    middle = pitches[len(pitches) // 2]
    if track.program == 41:
        return [list(track.notes)], ["alto"]
    if 24 <= track.program <= 31:
        return [list(track.notes)], ["low treble"]
    return [list(track.notes)], ["treble" if middle >= MIDDLE - 1 else "bass"]


def _hands(notes: Iterable[Note]) -> list[list[Note]]:
    """Upper and lower staff: what sounds together is parted at its widest gap near middle C, else at middle C."""
    at_once: dict[int, list[Note]] = {}
    for note in notes:
        at_once.setdefault(note.onset, []).append(note)
    upper: list[Note] = []
    lower: list[Note] = []
    for group in at_once.values():
        group.sort(key=lambda note: note.pitch)
        border = MIDDLE
        if group[-1].pitch - group[0].pitch > 12:
            gaps = [(b.pitch - a.pitch, b.pitch) for a, b in pairwise(group) if abs(b.pitch - MIDDLE) <= 9]
            border = max(gaps, default=(0, MIDDLE))[1]
        for note in group:
            (upper if note.pitch >= border else lower).append(note)
    return [upper, lower]


def _voices(notes: list[Note]) -> list[list[list[Note]]]:
    """Chords (same onset and duration) dealt to as few voices as hold them without overlap, high ones first."""
    chords: dict[tuple[int, int], list[Note]] = {}
    for note in notes:
        chords.setdefault((note.onset, note.duration), []).append(note)
    voices: list[list[list[Note]]] = []
    ends: list[int] = []
    for (onset, duration), chord in sorted(chords.items(), key=lambda c: (c[0][0], -max(n.pitch for n in c[1]))):
        free = next((voice for voice, end in enumerate(ends) if end <= onset), len(voices))
        if free == len(voices):
            voices.append([])
            ends.append(0)
        voices[free].append(chord)
        ends[free] = onset + duration
    return voices


def _fill(bars: list[Bar], staff: int, number: int, voice: list[list[Note]], words: dict[int, Sung]) -> None:
    """Write one voice into the bars that it sounds in."""
    starts = [bar.start for bar in bars]
    pieces: dict[int, list[tuple[int, int, list[Note]]]] = {}
    for chord in voice:
        onset, end = chord[0].onset, chord[0].onset + chord[0].duration
        first = bisect_right(starts, onset) - 1
        for index in range(first, max(bisect_left(starts, end), first + 1)):
            bar = bars[index]
            low, high = max(onset - bar.start, 0), min(end - bar.start, bar.metre.length)
            if low < high:
                pieces.setdefault(index, []).append((low, high, chord))
    ticks = sorted(words)
    for index, content in pieces.items():
        bar = bars[index]
        while len(bar.voices[staff]) < number:
            bar.voices[staff].append(_silence(bar, hidden=bool(bar.voices[staff])))
        written = _written(bar, content, number)
        for symbol in written:
            if symbol.notes and not symbol.tied_back and ticks:
                begin = symbol.notes[0].onset
                at = bisect_left(ticks, begin)
                until = begin + symbol.notes[0].duration
                here = [words[tick] for tick in ticks[at : bisect_left(ticks, until)]]
                symbol.lyric = " ".join(text for text, _, _ in here)
                if here:
                    symbol.syllabic, symbol.extend = here[-1][1:]
        bar.voices[staff].append(written)


def _silence(bar: Bar, *, hidden: bool) -> list[Written]:
    """A rest of the whole bar; in an irregular bar by its length, since readers take the other for a metre's."""
    if hidden or not bar.irregular:
        return [Written(Span(0, bar.metre.length, "whole", 0), (), hidden=hidden, whole_bar=True)]
    return [Written(span, ()) for span in write([0, bar.metre.length], [True], bar.metre)[0]]


def _written(bar: Bar, content: list[tuple[int, int, list[Note]]], number: int) -> list[Written]:
    """The symbols of one voice in one bar; gaps become rests."""
    edges, owners, now = [0], [], 0
    for low, high, chord in [*content, (bar.metre.length, bar.metre.length, [])]:
        if low > now:
            edges.append(low)
            owners.append([])
        if high > low:
            edges.append(high)
            owners.append(chord)
        now = high
    out: list[Written] = []
    silent = [not chord for chord in owners]
    for chord, spans in zip(owners, write(edges, silent, bar.metre), strict=True):
        for place, span in enumerate(spans):
            notes = tuple(chord)
            back = bool(chord) and (place > 0 or bar.start + span.start > chord[0].onset)
            on = bool(chord) and bar.start + span.end < chord[0].onset + chord[0].duration
            hidden = number > 0 and not chord and span.tuplet is None
            out.append(Written(span, notes, back, on, hidden=hidden))
    joined = beams([symbol.span for symbol in out], [not symbol.notes for symbol in out], bar.metre)
    for symbol, words in zip(out, joined, strict=True):
        symbol.beams = words
    return out


ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}


def _mark_accidentals(bar: Bar, staff: int) -> None:
    """Where a note differs from the key and from what the bar said before."""
    fifths, mode = bar.key
    said: dict[tuple[str, int], int] = {}
    symbols = [symbol for voice in bar.voices[staff] for symbol in voice if symbol.notes]
    for symbol in sorted(symbols, key=lambda symbol: symbol.span.start):
        for note in symbol.notes:
            name = spell(note.pitch, fifths, mode)
            place = (name.step, name.octave)
            if symbol.tied_back and symbol.span.start == 0:
                continue
            if said.get(place, in_key(name.step, fifths)) != name.alter:
                symbol.accidentals[note.pitch] = ACCIDENTALS[name.alter]
            said[place] = name.alter
