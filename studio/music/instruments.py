"""The 128 instruments of General MIDI: names, everyday words, families and the pitches that they can play."""

import re
from dataclasses import dataclass

FAMILIES = (
    "piano",
    "chromatic percussion",
    "organ",
    "guitar",
    "bass",
    "strings",
    "ensemble",
    "brass",
    "reed",
    "pipe",
    "synth lead",
    "synth pad",
    "synth effects",
    "ethnic",
    "percussive",
    "sound effects",
)
# name, lowest, highest playable pitch: the ranges of the written instruments for good players, as orchestration
# books give them (S. Adler, The Study of Orchestration, 2002); synthesizers and effects play everywhere
_TABLE = """Acoustic Grand Piano 21 108|Bright Acoustic Piano 21 108|Electric Grand Piano 21 108|Honky-tonk Piano 21 108
Electric Piano 1 28 103|Electric Piano 2 28 103|Harpsichord 29 89|Clavinet 29 88
Celesta 60 108|Glockenspiel 79 108|Music Box 60 96|Vibraphone 53 89|Marimba 45 96|Xylophone 65 108|Tubular Bells 60 77
Dulcimer 50 84|Drawbar Organ 36 96|Percussive Organ 36 96|Rock Organ 36 96|Church Organ 24 96|Reed Organ 36 96
Accordion 41 93|Harmonica 60 96|Tango Accordion 41 93|Acoustic Guitar (nylon) 40 84|Acoustic Guitar (steel) 40 84
Electric Guitar (jazz) 40 86|Electric Guitar (clean) 40 88|Electric Guitar (muted) 40 86|Overdriven Guitar 40 88
Distortion Guitar 40 88|Guitar Harmonics 52 96|Acoustic Bass 28 67|Electric Bass (finger) 28 67
Electric Bass (pick) 28 67|Fretless Bass 28 67|Slap Bass 1 28 67|Slap Bass 2 28 67|Synth Bass 1 24 72|Synth Bass 2 24 72
Violin 55 103|Viola 48 91|Cello 36 81|Contrabass 28 67|Tremolo Strings 28 103|Pizzicato Strings 28 98
Orchestral Harp 24 103|Timpani 36 60|String Ensemble 1 28 103|String Ensemble 2 28 103|Synth Strings 1 28 103
Synth Strings 2 28 103|Choir Aahs 40 81|Voice Oohs 40 81|Synth Voice 36 96|Orchestra Hit 36 84
Trumpet 54 86|Trombone 34 77|Tuba 24 65|Muted Trumpet 54 86|French Horn 34 77|Brass Section 34 86|Synth Brass 1 34 96
Synth Brass 2 34 96|Soprano Sax 56 88|Alto Sax 49 81|Tenor Sax 44 76|Baritone Sax 36 69|Oboe 58 91|English Horn 52 81
Bassoon 34 75|Clarinet 50 94|Piccolo 74 108|Flute 60 96|Recorder 60 91|Pan Flute 60 96|Blown Bottle 55 96
Shakuhachi 55 84|Whistle 72 108|Ocarina 60 84|Lead 1 (square) 21 108|Lead 2 (sawtooth) 21 108|Lead 3 (calliope) 21 108
Lead 4 (chiff) 21 108|Lead 5 (charang) 21 108|Lead 6 (voice) 21 108|Lead 7 (fifths) 21 108|Lead 8 (bass + lead) 21 108
Pad 1 (new age) 21 108|Pad 2 (warm) 21 108|Pad 3 (polysynth) 21 108|Pad 4 (choir) 21 108|Pad 5 (bowed) 21 108
Pad 6 (metallic) 21 108|Pad 7 (halo) 21 108|Pad 8 (sweep) 21 108|FX 1 (rain) 21 108|FX 2 (soundtrack) 21 108
FX 3 (crystal) 21 108|FX 4 (atmosphere) 21 108|FX 5 (brightness) 21 108|FX 6 (goblins) 21 108|FX 7 (echoes) 21 108
FX 8 (sci-fi) 21 108|Sitar 48 77|Banjo 48 84|Shamisen 50 79|Koto 43 84|Kalimba 48 79|Bagpipe 53 84|Fiddle 55 103
Shanai 48 81|Tinkle Bell 60 96|Agogo 48 84|Steel Drums 52 91|Woodblock 48 84|Taiko Drum 36 72|Melodic Tom 36 72
Synth Drum 36 72|Reverse Cymbal 36 84|Guitar Fret Noise 36 96|Breath Noise 36 96|Seashore 36 96|Bird Tweet 36 96
Telephone Ring 36 96|Helicopter 36 96|Applause 36 96|Gunshot 36 96"""
_ROWS = [re.fullmatch(r"(.*) (\d+) (\d+)", row) for row in re.split(r"[|\n]", _TABLE)]
PROGRAMS = tuple(row[1] for row in _ROWS if row)
RANGES = tuple((int(row[2]), int(row[3])) for row in _ROWS if row)
DRUMS = -1  # what `program_of` says for a drum kit
# Everyday words and the General MIDI program (0-based) that they mean
_WORDS = {
    "piano": 0, "grand piano": 0, "upright piano": 1, "honky tonk": 3, "honky-tonk": 3, "electric piano": 4,
    "rhodes": 4, "e-piano": 4, "fm piano": 5, "keys": 4, "harpsichord": 6, "cembalo": 6, "clavinet": 7, "clavi": 7,
    "celesta": 8, "glockenspiel": 9, "music box": 10, "vibraphone": 11, "vibes": 11, "marimba": 12, "xylophone": 13,
    "bells": 14, "tubular bells": 14, "dulcimer": 15, "organ": 19, "hammond": 16, "hammond organ": 16,
    "church organ": 19, "pipe organ": 19, "harmonium": 20, "accordion": 21, "accordeon": 21, "harmonica": 22,
    "mouth organ": 22, "bandoneon": 23, "guitar": 24, "classical guitar": 24, "nylon guitar": 24, "acoustic guitar": 25,
    "steel guitar": 25, "jazz guitar": 26, "electric guitar": 27, "clean guitar": 27, "muted guitar": 28,
    "rock guitar": 29, "distorted guitar": 30, "distortion guitar": 30, "lute": 24, "ukulele": 24, "mandolin": 25,
    "bass": 33, "double bass": 43, "upright bass": 32, "acoustic bass": 32, "electric bass": 33, "bass guitar": 33,
    "fretless bass": 35, "slap bass": 36, "synth bass": 38, "violin": 40, "viola": 41, "cello": 42, "violoncello": 42,
    "contrabass": 43, "tremolo": 44, "pizzicato": 45, "harp": 46, "timpani": 47, "kettledrums": 47, "strings": 48,
    "string section": 48, "string orchestra": 48, "orchestra": 48, "slow strings": 49, "synth strings": 50,
    "choir": 52, "chorus": 52, "voice": 53, "voices": 52, "singer": 53, "soprano": 53, "alto": 53, "tenor": 53,
    "vocals": 53, "trumpet": 56, "cornet": 56, "flugelhorn": 56, "trombone": 57, "tuba": 58, "muted trumpet": 59,
    "horn": 60, "french horn": 60, "brass": 61, "brass section": 61, "brass band": 61, "soprano sax": 64,
    "soprano saxophone": 64, "sax": 65, "saxophone": 65, "alto sax": 65, "alto saxophone": 65, "tenor sax": 66,
    "tenor saxophone": 66, "baritone sax": 67, "baritone saxophone": 67, "oboe": 68, "english horn": 69,
    "cor anglais": 69, "bassoon": 70, "fagott": 70, "clarinet": 71, "piccolo": 72, "flute": 73, "recorder": 74,
    "pan flute": 75, "panpipes": 75, "bottle": 76, "shakuhachi": 77, "whistle": 78, "tin whistle": 78, "ocarina": 79,
    "synth": 81, "synthesizer": 81, "lead": 81, "square": 80, "chiptune": 80, "chip": 80, "saw": 81, "sawtooth": 81,
    "pad": 89, "pads": 89, "warm pad": 89, "choir pad": 91, "sweep": 95, "sitar": 104, "banjo": 105, "shamisen": 106,
    "koto": 107, "kalimba": 108, "thumb piano": 108, "bagpipe": 109, "bagpipes": 109, "fiddle": 110, "shanai": 111,
    "steel drum": 114, "steel drums": 114, "steel pan": 114, "woodblock": 115, "taiko": 116,
    "drums": DRUMS, "drum": DRUMS, "drum kit": DRUMS, "drumkit": DRUMS, "drum set": DRUMS, "percussion": DRUMS,
    "beat": DRUMS, "beats": DRUMS,
}  # fmt: skip


@dataclass(frozen=True)
class Instrument:
    """`program` 0..127, or -1 for a drum kit; `lowest` and `highest` are MIDI pitches."""

    program: int
    name: str
    family: str
    lowest: int
    highest: int

    @property
    def drums(self) -> bool:
        return self.program == DRUMS


def instrument(program: int) -> Instrument:
    """What a General MIDI program (0..127) is, or a drum kit for -1."""
    if program == DRUMS:
        return Instrument(DRUMS, "Drums", "drums", 27, 87)
    return Instrument(program, PROGRAMS[program], FAMILIES[program // 8], *RANGES[program])


def _plain(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", words.lower()).strip()


EVERYDAY = {_plain(word): program for word, program in _WORDS.items()}
EVERYDAY.update({_plain(name): program for program, name in enumerate(PROGRAMS)})


def instrument_of(words: str) -> Instrument | None:
    """The instrument that words like "cello", "two violins" or "Electric Piano 1" mean; None where they mean none.

    The longest known name in the words wins, so "electric guitar" is not a guitar.
    """
    plain = _plain(words)
    for text in (plain, re.sub(r"s\b", "", plain)):
        names = [name for name in EVERYDAY if re.search(rf"\b{re.escape(name)}\b", text)]
        if names:
            return instrument(EVERYDAY[max(names, key=len)])
    return None


def fit(pitch: int, program: int) -> int:
    """The pitch moved by octaves into the range of a program (0..127); the drum kit (-1) takes all as they are."""
    if program == DRUMS:
        return pitch
    low, high = RANGES[program]
    if pitch < low:
        pitch += 12 * -(-(low - pitch) // 12)
    elif pitch > high:
        pitch -= 12 * -(-(pitch - high) // 12)
    return min(max(pitch, low), high)
