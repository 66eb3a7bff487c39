"""What is usual in each style: metres, tempo, instruments, parts. Plain tables, of what the model was trained on."""

from dataclasses import dataclass

from studio.families.score.piece import BASS, CHORDS, DRUMS, MELODY

PIANO, HARPSICHORD, VIBRAPHONE = 0, 6, 11
KEYBOARD = (MELODY, CHORDS)
BAND = (MELODY, CHORDS, BASS)
GROOVE = (MELODY, CHORDS, BASS, DRUMS)


@dataclass(frozen=True)
class Style:
    """`tempo` in quarter notes a minute; `programs` (General MIDI, from 0) of melody, chords and bass; the first of
    `metres` is the commonest."""

    tempo: float
    metres: tuple[tuple[int, int], ...]
    parts: tuple[int, ...]
    programs: tuple[int, int, int] = (PIANO, PIANO, PIANO)
    bars: int = 16
    major: float = 0.6  # share of pieces in a major key


FREE = ((4, 4), (3, 4), (2, 4), (6, 8), (3, 8), (9, 8), (12, 8), (6, 4), (3, 2))
STYLES = {
    "hymn": Style(96, ((4, 4), (3, 4), (6, 4), (3, 2), (6, 8), (2, 4)), BAND, (19, 19, 19), major=0.8),
    "lied": Style(80, FREE, BAND, (73, PIANO, PIANO)),
    "piano": Style(100, FREE, KEYBOARD),
    "mazurka": Style(138, ((3, 4),), KEYBOARD),
    "polonaise": Style(96, ((3, 4),), KEYBOARD),
    "waltz": Style(160, ((3, 4), (3, 8)), KEYBOARD),
    "jig": Style(174, ((6, 8),), BAND, (40, 25, 32)),
    "reel": Style(200, ((4, 4),), BAND, (40, 25, 32)),
    "march": Style(116, ((2, 4),), GROOVE, (56, 61, 58), major=1.0),
    "rag": Style(84, ((2, 4),), BAND, (3, 3, 3), major=1.0),
    "lo-fi": Style(80, ((4, 4),), GROOVE, (VIBRAPHONE, 4, 33)),
    "ambient": Style(60, ((4, 4),), BAND, (88, 89, 95), major=0.5),
    "house": Style(124, ((4, 4),), GROOVE, (81, 5, 38), major=0.5),
    "blues": Style(104, ((4, 4),), GROOVE, (66, 26, 32), bars=12, major=0.7),
    "chiptune": Style(148, ((4, 4),), GROOVE, (80, 80, 87), major=0.45),
}
EVERYDAY = Style(100, FREE, BAND)  # where no style is named
TONICS = ((0, 2, 3, 5, 7, 9, 10), (9, 2, 4, 7, 0, 11, 5))  # of major and minor keys that many play in


def style_of(name: str) -> Style:
    return STYLES.get(name, EVERYDAY)
