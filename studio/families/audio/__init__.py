"""Sound as a waveform: music and effects from words, melodies or covers, and speech from text."""

from studio.families.audio.folders import suggested, tasks_of
from studio.families.family import Family, Param

COUNT = Param(
    name="num_return_sequences",
    type=int,
    default=2,
    minimum=1,
    maximum=8,
    label="Takes",
    help="Takes of the same brief; take k has the seed + k.",
)
CONSENT = "This is my voice, or I may use it."  # what is agreed to where a recording's voice is to speak
KEYS = ("C", "C#", "Db", "D", "Eb", "E", "F", "F#", "Gb", "G", "Ab", "A", "Bb", "B")
SONG = (  # of models that are told the frame of a song, by their own names
    Param(
        name="bpm",
        type=int,
        default=0,
        minimum=0,
        maximum=300,
        label="Beats a minute",
        help="Of models that make songs (ACE-Step); 0 leaves it to the words.",
    ),
    Param(
        name="keyscale",
        type=str,
        default="",
        choices=("", *(f"{tonic} {mode}" for mode in ("major", "minor") for tonic in KEYS)),
        label="Key",
        help="Of models that make songs; empty leaves it to the words.",
    ),
    Param(
        name="timesignature",
        type=str,
        default="",
        choices=("", "2", "3", "4", "6"),
        label="Beats a bar",
        help="Of models that make songs; empty leaves it to the words.",
    ),
    Param(
        name="vocal_language",
        type=str,
        default="",
        label="Sung in",
        help="The language of the lyrics as a code (en, de, ja ...); empty goes by their letters, else en.",
    ),
)
SOUND = (
    Param(name="negative_prompt", type=str, default="", label="Avoid", help="What should not be heard."),
    Param(
        name="lyrics",
        type=str,
        default="",
        label="Lyrics",
        help="Words to be sung, where the model sings; [verse] and [chorus] on lines of their own.",
    ),
    COUNT,
    Param(
        name="seconds", type=float, default=8.0, minimum=0.5, maximum=600.0, step=0.5, label="Length", help="Seconds."
    ),
    Param(
        name="guidance_scale",
        type=float,
        default=3.0,
        minimum=0.0,
        maximum=30.0,
        step=0.5,
        label="Guidance",
        help="How strictly the words are followed; at 1 or less they are not amplified.",
    ),
    Param(
        name="num_inference_steps",
        type=int,
        default=50,
        minimum=1,
        maximum=500,
        label="Steps",
        help="Of diffusion models: more take longer and settle finer details.",
    ),
    Param(
        name="temperature",
        type=float,
        default=1.0,
        minimum=0.0,
        maximum=3.0,
        step=0.05,
        label="Temperature",
        help="Of models that write sound token by token: less keeps to the usual, 0 is the likeliest.",
    ),
    Param(name="top_k", type=int, default=250, minimum=0, maximum=10_000, label="Top k", help="0: all tokens."),
    Param(
        name="top_p",
        type=float,
        default=1.0,
        minimum=0.01,
        maximum=1.0,
        step=0.01,
        label="Top p",
        help="The likeliest tokens that together have this share.",
    ),
    Param(
        name="strength",
        type=float,
        default=0.6,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Change",
        help="Of a cover: 0 stays near what is covered, 1 goes far from it.",
    ),
    *SONG,
)
SPEECH = (
    COUNT,
    Param(
        name="voice",
        type=str,
        default="",
        label="Voice",
        help="A voice's name or number; empty is the model's first.",
    ),
    Param(
        name="speed",
        type=float,
        default=1.0,
        minimum=0.5,
        maximum=2.0,
        step=0.05,
        label="Speed",
        help="2 speaks twice as fast, at the same pitch.",
    ),
    Param(
        name="language",
        type=str,
        default="",
        label="Language",
        help="Of models that speak several, as their folder names it (eng, deu ...).",
    ),
    Param(
        name="pause",
        type=float,
        default=0.25,
        minimum=0.0,
        maximum=5.0,
        step=0.05,
        label="Pause",
        help="Seconds between two sentences; paragraphs get twice that.",
    ),
    Param(
        name="temperature",
        type=float,
        default=0.7,
        minimum=0.0,
        maximum=2.0,
        step=0.05,
        label="Temperature",
        help="Of models that speak token by token: less is steadier.",
    ),
    Param(
        name="consent",
        type=str,
        default="",
        choices=("", CONSENT),
        label="Consent",
        help="What is agreed to where the voice of a recording is to speak.",
    ),
)

FAMILY = Family(
    name="audio",
    title="Sound (waveform models)",
    media="audio",
    tasks={"text_to_audio": SOUND, "text_to_speech": SPEECH},
    defaults=suggested,
    able=tasks_of,
)
