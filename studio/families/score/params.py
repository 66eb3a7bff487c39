"""The settings of a piece: what it shall be like, what of a source stays, how its notes are drawn. Light: no torch."""

from studio.families.family import Param

MOST_BARS = 48  # that one piece may count down from, see vocabulary.py
MOST_TAKES = 8
SLOWEST, FASTEST = 30.0, 260.0  # quarter notes a minute
STYLES = (
    *("hymn", "lied", "piano", "mazurka", "polonaise", "waltz"),
    *("jig", "reel", "march", "rag", "lo-fi", "ambient", "house", "blues", "chiptune"),
)
METRES = ("2/4", "3/4", "4/4", "6/8", "3/8", "9/8", "12/8", "6/4", "3/2")
DENSITIES = ("very sparse", "sparse", "medium", "dense", "very dense")
KEYS = tuple(
    f"{tonic}{mode}"
    for mode in ("", "m")
    for tonic in ("C", "C#", "Db", "D", "D#", "Eb", "E", "F", "F#", "Gb", "G", "G#", "Ab", "A", "A#", "Bb", "B", "Cb")
)

TAKES = Param(
    name="num_return_sequences",
    type=int,
    default=3,
    minimum=1,
    maximum=MOST_TAKES,
    label="Takes",
    help="Take k has the seed + k.",
)
STYLE = Param(
    name="style",
    type=str,
    default="",
    choices=("", *STYLES),
    label="Style",
    help="Empty: from the words of the brief.",
)
DRAWING = (
    Param(
        name="temperature",
        type=float,
        default=0.9,
        minimum=0.05,
        maximum=2.0,
        step=0.05,
        label="Temperature",
        help="More dares unlikelier notes.",
    ),
    Param(
        name="top_p",
        type=float,
        default=0.9,
        minimum=0.05,
        maximum=1.0,
        step=0.01,
        label="Top p",
        help="Only the likeliest that together have this probability (Holtzman et al., 2020).",
    ),
    Param(
        name="key_weight",
        type=float,
        default=1.15,
        minimum=0.0,
        maximum=10.0,
        step=0.05,
        help="How strongly a piece is led back when it is heard in another key than asked; 0 lets it go.",
    ),
    Param(
        name="variety_weight",
        type=float,
        default=0.5,
        minimum=0.0,
        maximum=10.0,
        step=0.1,
        help="How strongly a melody is led on that stays on one note, few notes or one bar; 0 lets it stay.",
    ),
)
SOUND = (
    Param(
        name="reverb",
        type=float,
        default=0.2,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Reverb",
        help="How much of the room is heard; 0 is dry.",
    ),
    Param(
        name="lufs",
        type=float,
        default=-16.0,
        minimum=-24.0,
        maximum=-9.0,
        step=0.5,
        label="Loudness in LUFS",
        help="Integrated loudness by ITU-R BS.1770; streams play music at -14, films speak at -23.",
    ),
    Param(
        name="soundfont",
        type=str,
        default="",
        label="Soundfont",
        help="A file of the home's soundfonts folder (.sf2, .sf3) by its name; empty: the built-in one.",
    ),
)
TEXT_TO_SCORE = (
    TAKES,
    STYLE,
    Param(name="key", type=str, default="", choices=("", *KEYS), label="Key", help="Empty: from the words."),
    Param(name="metre", type=str, default="", choices=("", *METRES), label="Metre", help="Empty: from the words."),
    Param(
        name="tempo",
        type=float,
        default=0.0,
        minimum=0.0,
        maximum=FASTEST,
        step=1.0,
        label="Tempo",
        help="Quarter notes a minute; 0 as the words say or the style has it.",
    ),
    Param(
        name="bars",
        type=int,
        default=0,
        minimum=0,
        maximum=MOST_BARS,
        label="Bars",
        help="0 as many as the words say, or 16.",
    ),
    Param(
        name="instruments",
        type=str,
        default="",
        label="Instruments",
        help="Separated by commas, the one with the melody first. Empty: from the words.",
    ),
    Param(
        name="density",
        type=str,
        default="",
        choices=("", *DENSITIES),
        label="Density",
        help="Notes a beat. Empty: from the words.",
    ),
    Param(
        name="lyrics",
        type=str,
        default="",
        label="Lyrics",
        help="Words to sing: a syllable for each note of the melody, lines as they are sung.",
    ),
    *DRAWING,
    *SOUND,
)
FROM_BAR = Param(
    name="from_bar", type=int, default=0, minimum=0, maximum=100_000, label="From bar", help="The first is 1."
)
TO_BAR = Param(
    name="to_bar", type=int, default=0, minimum=0, maximum=100_000, label="To bar", help="This one is still changed."
)
CONTINUE_SCORE = (
    TAKES,
    Param(name="bars", type=int, default=8, minimum=1, maximum=MOST_BARS - 8, label="Bars", help="How many are added."),
    *DRAWING,
    *SOUND,
)
FILL_SCORE = (TAKES, FROM_BAR, TO_BAR, *DRAWING, *SOUND)
VARY_SCORE = (
    TAKES,
    FROM_BAR,
    TO_BAR,
    Param(
        name="strength",
        type=float,
        default=0.5,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Strength",
        help="Share of the notes that are composed anew.",
    ),
    *DRAWING,
    *SOUND,
)
HARMONISE_SCORE = (TAKES, STYLE, *DRAWING, *SOUND)
RESTYLE_SCORE = (TAKES, STYLE, *DRAWING, *SOUND)
