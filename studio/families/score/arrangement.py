"""Pieces in four parts as scores with instruments: tracks, loudness, ranges, tempo, the spelling of the key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from studio.families.score.grammar import Written
from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY, TICKS, bar_ticks
from studio.music.instruments import fit, instrument
from studio.music.score import QUARTER, Note, Score, Track, tidy

SCALE = QUARTER // TICKS
LOUDNESS = (92, 70, 80, 84)  # velocity of melody, chords, bass, drums
MAJOR_FIFTHS = (0, -5, 2, -3, 4, -1, -6, 1, -4, 3, -2, 5)  # sharps of the major keys on C, Db, D ...
BASS_BELOW = 53  # the lowest note of a left hand is its bass where it lies below


@dataclass(frozen=True)
class Voice:
    """Which instrument plays a part, or one rank of it: 0 the highest of the notes that begin together.

    `many`: takes all notes of that rank and lower. `lowest`: takes the lowest note where it is a bass note.
    """

    part: int
    program: int
    name: str
    rank: int = 0
    many: bool = True
    lowest: bool = False


@dataclass(frozen=True)
class Setting:
    """What a piece has besides its notes: metre, bars, key by its sharps or -flats, tempo, instruments, title."""

    metre: tuple[int, int]
    bars: int
    fifths: int
    mode: int
    tempo: float
    voices: tuple[Voice, ...]
    title: str = ""

    @property
    def parts(self) -> frozenset[int]:
        return frozenset(voice.part for voice in self.voices)


def fifths_of(tonic: int, mode: int) -> int:
    """Sharps, or -flats, of the key."""
    return MAJOR_FIFTHS[(tonic + 3 * mode) % 12]


def velocity(part: int, place: int, base: int | None = None) -> int:
    """Of a note at a place of its bar (ticks): downbeats a little louder."""
    loud = LOUDNESS[part] if base is None else base
    return min(127, loud + (8 if place == 0 else 3 if place % TICKS == 0 else 0))


def melody_on_top(written: Iterable[Written], bar: int) -> list[Written]:
    """What a model that writes the lowest of four voices as melody and the tenor as bass means: of the chords the
    highest notes are the melody, the melody is the bass, the bass a part of the chords. `bar` in ticks.
    """
    found: list[Written] = []
    ends = pitch = 0  # of the melody's last note
    for chord in chords_of(written):
        top = max(chord, key=lambda note: note.pitch)
        now = top.bar * bar + top.place
        for note in chord:
            if note.part == CHORDS and note is top and (note.pitch >= pitch or now >= ends):
                found.append(replace(note, part=MELODY))
                ends, pitch = now + note.length, note.pitch
            else:
                found.append(replace(note, part={MELODY: BASS, BASS: CHORDS}.get(note.part, note.part)))
    return found


def shared_out(written: Iterable[Written], voices: Sequence[Voice]) -> list[list[Written]]:
    """The notes of each voice. A voice for one note at a time leaves the others out, where none takes them."""
    found: list[list[Written]] = [[] for _ in voices]
    for chord in chords_of(written):
        chord = sorted(chord, key=lambda note: -note.pitch)
        able = [i for i, voice in enumerate(voices) if voice.part == chord[0].part]
        low = next((i for i in able if voices[i].lowest), None)
        if low is not None and chord[-1].pitch < BASS_BELOW:
            found[low].append(chord.pop())
        able = sorted((i for i in able if i != low), key=lambda i: voices[i].rank)
        for rank, note in enumerate(chord):
            if able and (rank < len(able) or voices[able[-1]].many):
                found[able[min(rank, len(able) - 1)]].append(note)
    return found


def chords_of(written: Iterable[Written]) -> list[list[Written]]:
    """Notes of one part that begin together, in order."""
    found: dict[tuple[int, int, int], list[Written]] = {}
    for note in written:
        found.setdefault((note.bar, note.place, note.part), []).append(note)
    return [found[key] for key in sorted(found)]


def in_range(notes: Sequence[Note], program: int) -> list[Note]:
    """All moved by the octaves that bring most of them into the instrument's range, then the others one by one."""
    if not notes:
        return []
    player = instrument(program)
    inside = {
        shift: sum(player.lowest <= note.pitch + shift <= player.highest for note in notes)
        for shift in (0, 12, -12, 24, -24, 36, -36)
    }
    shift = max(inside, key=lambda s: inside[s])  # the first of equals: the smallest
    return [note._replace(pitch=fit(note.pitch + shift, program)) for note in notes]


def score_of(written: Iterable[Written], setting: Setting, bars: int | None = None) -> Score:
    """The score of what was written, its first `bars` bars; voices that have nothing to play are left out."""
    bars = setting.bars if bars is None else bars
    bar = bar_ticks(setting.metre)
    length = bars * bar * SCALE
    tracks = []
    for voice, part in zip(
        setting.voices, shared_out([n for n in written if n.bar < bars], setting.voices), strict=True
    ):
        notes = [
            Note(onset, min(note.length * SCALE, length - onset), note.pitch, velocity(note.part, note.place))
            for note in part
            for onset in ((note.bar * bar + note.place) * SCALE,)
        ]
        drums = voice.part == DRUMS
        notes = notes if drums else in_range(notes, voice.program)
        if notes:
            tracks.append(Track(voice.name, voice.program, drums, tidy(notes)))
    return Score(
        tracks=tuple(tracks),
        length=length,
        tempi=((0, setting.tempo),),
        metres=((0, *setting.metre),),
        keys=((0, setting.fifths, "minor" if setting.mode else "major"),),
        title=setting.title,
    )
