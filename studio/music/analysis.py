"""What a score is, in one line: key, metre, tempo, bars, range, chords, form. Reads notes alone; knows no style."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studio.music.notation import spell
from studio.music.score import QUARTER, Score, bar_ticks

# C. Krumhansl, Cognitive Foundations of Musical Pitch (1990), table 2.1, as used by Krumhansl and Schmuckler.
PROFILES = np.array(
    [
        [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
        [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
    ]
)
MODES = ("major", "minor")
# chords by their pitch classes above the root; simpler ones first, as they win a draw
QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "m7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "dim": (0, 3, 6),
    "m7b5": (0, 3, 6, 10),
    "dim7": (0, 3, 6, 9),
    "aug": (0, 4, 8),
    "sus4": (0, 5, 7),
}
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_MAJOR_DEGREES, _MINOR_DEGREES = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
ACCENT = 1.5  # weight of what begins on a bar's first beat
LOW = 1.6  # weight of the lowest sounding part
EXTRA_TONE = 0.93  # what a chord of four tones is worth against one of three that fits as well
WORTH = {"aug": 0.9, "sus4": 0.85, "maj7": 0.88}
SAME, ALIKE = 0.85, 0.55  # shares of melody by which a phrase is another again, or a variant of it
SHOWN_CHORDS, SHOWN_PHRASES = 8, 12
LONG = 2 * QUARTER  # a longer note counts as this for the key

Floats = NDArray[np.float64]


def analyse(score: Score) -> dict[str, Any]:
    """{"line", "key", "tempo", "metre", "bars", "seconds", "range", "chords", "form"}.

    `key` as "D minor", the one that the notes suggest where the score names none; `tempo` quarter notes a minute at
    the start; `range` the lowest and highest pitch as MIDI numbers, [] without notes; `chords` a word for each bar (""
    where nothing sounds); `form` letters of phrases of four bars (two in short pieces).
    """
    tonic, mode = find_key(score)
    fifths = _fifths(tonic, mode)
    key = spell(60 + tonic, fifths, MODES[mode])
    name = f"{key.step}{'b' * -key.alter}{'#' * key.alter} {MODES[mode]}"
    chords = bar_chords(score)
    pitches = [note.pitch for track in score.tracks if not track.drums for note in track.notes]
    reach = [min(pitches), max(pitches)] if pitches else []
    beats, unit = _main_metre(score)
    tempo = score.tempi[0][1] if score.tempi else 120.0
    form = find_form(score)
    words = [name, f"{beats}/{unit}", f"{tempo:.4g} bpm", f"{score.bars} bar{'s' * (score.bars != 1)}"]
    if reach:
        words.append("-".join(_pitch_name(pitch, fifths, MODES[mode]) for pitch in reach))
    numerals = [numeral(root, quality, tonic, mode) for root, quality in chords if quality is not None]
    if numerals:
        shown = _without_repeats(numerals)
        words.append(" ".join(shown[:SHOWN_CHORDS]) + " ..." * (len(shown) > SHOWN_CHORDS))
    if form:
        letters = form.split()
        words.append(" ".join(letters[:SHOWN_PHRASES]) + " ..." * (len(letters) > SHOWN_PHRASES))
    return {
        "line": " · ".join(words),
        "key": name,
        "tempo": tempo,
        "metre": f"{beats}/{unit}",
        "bars": score.bars,
        "seconds": round(score.seconds, 3),
        "range": reach,
        "chords": [_chord_name(root, quality, fifths, MODES[mode]) for root, quality in chords],
        "form": form,
    }


def find_key(score: Score) -> tuple[int, int]:
    """(tonic as pitch class, 0 major or 1 minor): the score's first key signature, its mode tested against the notes
    where the file's own may be a default; else Krumhansl and Schmuckler's correlation.
    """
    weights = np.zeros(12)
    for track in score.tracks:
        for note in track.notes if not track.drums else ():
            weights[note.pitch % 12] += min(note.duration, LONG)
    named = score.keys[0][1:] if score.keys else None
    if not weights.any():
        return _tonic(*named) if named else (0, 0)
    scores = _correlations(weights)
    mode, tonic = np.unravel_index(int(scores.argmax()), (2, 12))
    if named and (named != (0, "major") or scores[0, 0] > 0.7 * scores.max()):
        return _tonic(*named)
    return int(tonic), int(mode)


def _tonic(fifths: int, mode: str) -> tuple[int, int]:
    minor = mode == "minor"
    return (fifths * 7 + 9 * minor) % 12, int(minor)


def _fifths(tonic: int, mode: int) -> int:
    """The signature with the fewest signs; flats in a draw."""
    fifths = ((tonic - 9 * mode) * 7) % 12
    return fifths - 12 if fifths >= 6 else fifths


def _correlations(weights: Floats) -> Floats:
    """(2, 12) of each mode on each tonic."""
    turned = np.stack([np.roll(PROFILES, tonic, 1) for tonic in range(12)], 1)
    turned = turned - turned.mean(-1, keepdims=True)
    centred = weights - weights.mean()
    return turned @ centred / (np.linalg.norm(turned, axis=-1) * np.linalg.norm(centred) + 1e-9)


def _templates() -> tuple[Floats, list[tuple[int, str]]]:
    """(chords, 12), each of length 1 with a heavier root, and what each row is."""
    rows, names = [], []
    for quality, tones in QUALITIES.items():
        row = np.zeros(12)
        row[list(tones)] = 1.0
        row[0] = 1.3
        row /= np.linalg.norm(row)
        row *= WORTH.get(quality, EXTRA_TONE if len(tones) > 3 else 1.0)
        for root in range(12):
            rows.append(np.roll(row, root))
            names.append((root, quality))
    return np.array(rows), names


_TEMPLATES, _NAMES = _templates()


def bar_chords(score: Score) -> list[tuple[int, str | None]]:
    """(root as pitch class, quality, a key of QUALITIES) that fits each bar best, bars without pitches (0, None)."""
    starts, ends = np.array(score.bar_starts), np.array(score.bar_ends)
    weights = np.zeros((len(starts), 12))
    for track in score.tracks:
        if track.drums or not track.notes:
            continue
        middle = sorted(note.pitch for note in track.notes)[len(track.notes) // 2]
        for note in track.notes:
            first = int(np.searchsorted(starts, note.onset, "right")) - 1
            for bar in range(first, len(starts)):
                inside = min(note.onset + note.duration, ends[bar]) - max(note.onset, starts[bar])
                if inside <= 0:
                    break
                accent = ACCENT if note.onset <= starts[bar] else 1.0
                weights[bar, note.pitch % 12] += inside * accent * (LOW if middle < 50 or note.pitch < 48 else 1.0)
    best = (weights @ _TEMPLATES.T).argmax(1)
    return [_NAMES[index] if row.any() else (0, None) for index, row in zip(best.tolist(), weights, strict=True)]


def numeral(root: int, quality: str, tonic: int, mode: int) -> str:
    """A chord as a Roman numeral in a key: lower case for minor and diminished, b or # before a degree between."""
    degrees = _MINOR_DEGREES if mode else _MAJOR_DEGREES
    step = (root - tonic) % 12
    if step in degrees:
        sign, degree = "", degrees.index(step)
    elif (step + 1) % 12 in degrees and not (mode and step == 11):
        sign, degree = "b", degrees.index((step + 1) % 12)
    else:
        sign, degree = "#", degrees.index((step - 1) % 12)
    small = quality.startswith(("m", "dim")) and not quality.startswith("maj")
    text = NUMERALS[degree].lower() if small else NUMERALS[degree]
    ending = {"m": "", "m7": "7", "dim": "°", "dim7": "°7", "m7b5": "ø7", "aug": "+"}.get(quality, quality)
    return sign + text + ending


def _chord_name(root: int, quality: str | None, fifths: int, mode: str) -> str:
    if quality is None:
        return ""
    name = spell(60 + root, fifths, mode)
    return name.step + "b" * -name.alter + "#" * name.alter + quality


def _pitch_name(pitch: int, fifths: int, mode: str) -> str:
    name = spell(pitch, fifths, mode)
    return f"{name.step}{'b' * -name.alter}{'#' * name.alter}{name.octave}"


def _without_repeats(words: Sequence[str]) -> list[str]:
    return [word for index, word in enumerate(words) if not index or words[index - 1] != word]


def _main_metre(score: Score) -> tuple[int, int]:
    """The metre of most ticks."""
    spent: dict[tuple[int, int], int] = {}
    for start, end in zip(score.bar_starts, score.bar_ends, strict=True):
        metre = score.metre_at(start)
        spent[metre] = spent.get(metre, 0) + end - start
    return max(spent, key=lambda metre: spent[metre]) if spent else (4, 4)


def find_form(score: Score) -> str:
    """Letters of the phrases, "A A' B A": one that repeats another is called as it is, a variant gets a stroke.

    Phrases are compared by what their highest part plays at which sixteenth, at any transposition.
    """
    melody = next((track for track in score.tracks if track.notes and not track.drums), None)
    starts = score.bar_starts
    pickup = len(starts) > 2 and starts[1] - starts[0] < bar_ticks(*score.metre_at(starts[1]))
    bars = starts[pickup:]
    size = 4 if len(bars) >= 8 else 2
    if melody is None or len(bars) < 2 * size:
        return ""
    top: dict[int, int] = {}
    for note in melody.notes:
        top[note.onset] = max(top.get(note.onset, 0), note.pitch)
    phrases = []
    for index in range(0, len(bars) - size + 1, size):
        begin = bars[index]
        end = bars[index + size] if index + size < len(bars) else score.length
        phrases.append([(tick - begin, pitch) for tick, pitch in sorted(top.items()) if begin <= tick < end])
    return " ".join(_letters(phrases))


def _letters(phrases: Sequence[Sequence[tuple[int, int]]]) -> list[str]:
    known: list[tuple[str, Sequence[tuple[int, int]]]] = []
    letters: list[str] = []
    bases = 0
    for phrase in phrases:
        near = [(_likeness(phrase, other), -index, letter) for index, (letter, other) in enumerate(known)]
        likeness, _, letter = max(near, default=(0.0, 0, ""))
        if likeness < ALIKE:
            letter = chr(ord("A") + min(bases, 25))
            bases += 1
            known.append((letter, phrase))
        elif likeness < SAME:
            base = re.sub("'", "", letter)
            letter = base + "'" * (1 + max(name.count("'") for name, _ in known if name.startswith(base)))
            known.append((letter, phrase))
        letters.append(letter)
    return letters


def _likeness(one: Sequence[tuple[int, int]], other: Sequence[tuple[int, int]]) -> float:
    """The share of notes that both have at the same place, at the shift in pitch that most agree on."""
    if not one or not other:
        return float(not one and not other)
    grid = QUARTER // 4
    places = {round(tick / grid): pitch for tick, pitch in other}
    shifts = [pitch - places[round(tick / grid)] for tick, pitch in one if round(tick / grid) in places]
    agreed = max((shifts.count(shift) for shift in set(shifts)), default=0)
    return 2 * agreed / (len(one) + len(other))
