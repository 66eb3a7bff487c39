"""Writes pieces as standard MIDI files and reads them back, through mido. Knows no tokens."""

from pathlib import Path

import mido
import numpy as np

from studio.errors import InvalidInput
from studio.families.score.keys import find_key
from studio.families.score.piece import (
    BASS,
    CHORDS,
    DRUMS,
    MELODY,
    METRES,
    PARTS,
    TICKS,
    TONICS,
    Piece,
    bar_ticks,
    sort_notes,
)

PER_QUARTER = 480
MINOR_KEYS = ("Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm")
# General MIDI programs of melody, chords and bass, counted from 0.
PROGRAMS = {
    "hymn": (19, 19, 19),
    "lied": (73, 0, 0),
    "jig": (40, 25, 32),
    "reel": (40, 25, 32),
    "march": (56, 61, 58),
    "rag": (3, 3, 3),
    "lo-fi": (11, 4, 33),
    "ambient": (88, 89, 95),
    "house": (81, 5, 38),
    "blues": (66, 26, 32),
    "chiptune": (80, 80, 87),
}
TEMPI = {
    "hymn": 96,
    "lied": 80,
    "piano": 100,
    "mazurka": 138,
    "polonaise": 96,
    "waltz": 160,
    "jig": 174,
    "reel": 200,
    "march": 116,
    "rag": 84,
    "lo-fi": 80,
    "ambient": 60,
    "house": 124,
    "blues": 104,
    "chiptune": 148,
}
LOUDNESS = (92, 70, 80, 84)  # velocity of melody, chords, bass, drums


def write_midi(piece: Piece, path: Path) -> None:
    """One track for each part that sounds; downbeats a little louder. A note stops where its pitch is struck again."""
    file = mido.MidiFile(ticks_per_beat=PER_QUARTER)
    head = mido.MidiTrack()
    tempo = piece.tempo or TEMPI.get(piece.style, 100)
    head.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    head.append(mido.MetaMessage("time_signature", numerator=piece.metre[0], denominator=piece.metre[1]))
    key = MINOR_KEYS[piece.tonic] if piece.mode else TONICS[piece.tonic]
    head.append(mido.MetaMessage("key_signature", key=key))
    head.append(mido.MetaMessage("end_of_track", time=_scaled(piece.length)))
    file.tracks.append(head)
    for part, program in enumerate((*PROGRAMS.get(piece.style, (0, 0, 0)), 0)):
        notes = piece.notes[piece.notes[:, 3] == part]
        if len(notes):
            file.tracks.append(_track(piece, notes, part, program))
    file.save(path)


def _scaled(ticks: int) -> int:
    return int(ticks) * PER_QUARTER // TICKS


def _track(piece: Piece, notes: np.ndarray, part: int, program: int) -> mido.MidiTrack:
    channel = 9 if part == DRUMS else part
    events: list[tuple[int, int, int, int]] = []  # tick, order, pitch, velocity
    starts: dict[int, list[int]] = {}
    for onset, _, pitch, _ in notes.tolist():
        starts.setdefault(pitch, []).append(onset)
    for onset, duration, pitch, _ in notes.tolist():
        again = next((start for start in starts[pitch] if start > onset), onset + duration)
        loud = LOUDNESS[part] + (8 if onset % piece.bar == 0 else 3 if onset % TICKS == 0 else 0)
        events.append((onset, 1, pitch, loud))
        events.append((min(onset + duration, again), 0, pitch, 0))
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=PARTS[part])])
    if part != DRUMS:
        track.append(mido.Message("program_change", channel=channel, program=program))
    now = 0
    for tick, _, pitch, velocity in sorted(events):
        step, now = _scaled(tick) - _scaled(now), tick
        track.append(mido.Message("note_on", channel=channel, note=pitch, velocity=velocity, time=step))
    track.append(mido.MetaMessage("end_of_track", time=_scaled(piece.length) - _scaled(now)))
    return track


def read_midi(path: Path, style: str = "") -> Piece:
    """A MIDI file of one metre; tracks become parts by name, else by channel and height. InvalidInput if broken."""
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, KeyError, IndexError) as problem:
        raise InvalidInput(f"{path.name} is not a MIDI file: {problem}.", "Give a standard MIDI file.") from problem
    if file.type == 2 or file.ticks_per_beat <= 0:
        raise InvalidInput(f"{path.name} is a kind of MIDI file without common time.", "Give one of type 0 or 1.")
    rows: list[tuple[int, int, int, int]] = []
    metre, tempo, length = (4, 4), 0, 0
    for track in file.tracks:
        now, name = 0, ""
        sounding: dict[tuple[int, int], int] = {}
        found: list[tuple[int, int, int, int]] = []
        for message in track:
            now += message.time
            if message.type == "time_signature" and now == 0:
                metre = (message.numerator, message.denominator)
            elif message.type == "set_tempo" and not tempo:
                tempo = round(mido.tempo2bpm(message.tempo))
            elif message.type == "track_name":
                name = message.name
            elif message.type in ("note_on", "note_off"):
                key = (message.channel, message.note)
                if key in sounding:
                    begun = sounding.pop(key)
                    found.append((begun, now - begun, message.note, message.channel))
                if message.type == "note_on" and message.velocity:
                    sounding[key] = now
        length = max(length, now)
        rows += [(o, d, p, _part(name, channel, found)) for o, d, p, channel in found]
    if not rows or metre not in METRES:
        raise InvalidInput(
            f"{path.name} holds no notes in a usual metre.", "Give a file with notes, in 4/4 or the like."
        )
    notes = np.array(rows, np.int64)
    notes[:, :2] = np.rint(notes[:, :2] * (TICKS / file.ticks_per_beat))
    notes[:, 1] = np.maximum(notes[:, 1], 1)
    bars = max(-(-round(length * TICKS / file.ticks_per_beat) // bar_ticks(metre)), 1)
    notes = sort_notes(notes.astype(np.int32))
    tonic, mode = find_key(notes)
    return Piece(notes, metre, bars, tonic, mode, style, tempo, work=path.name)


def _part(name: str, channel: int, notes: list[tuple[int, int, int, int]]) -> int:
    if channel == 9:
        return DRUMS
    if name in PARTS:
        return PARTS.index(name)
    middle = float(np.mean([pitch for _, _, pitch, _ in notes]))
    return MELODY if middle >= 64 else BASS if middle < 48 else CHORDS
