"""Small files of tunes that the tests compose themselves, and a recipe that takes seconds."""

import random
from pathlib import Path

RECIPE = """
id = "tiny-music"
family = "score"
name = "Tiny music"
seed = 3

[data]
upstream = ["tests"]
licence = "Apache-2.0"

[corpus]
held_out = 0.3
composed = 2
weights = { hymn = 2.0, lied = 0.5 }

[model]
hidden_size = 32
intermediate_size = 48
num_hidden_layers = 1
num_attention_heads = 2
num_key_value_heads = 2
max_position_embeddings = 160
tie_word_embeddings = true
rope_theta = 10000.0
rms_norm_eps = 1e-5

[training]
steps = 8
batch_tokens = 600
lr = 5e-3
embedding_lr = 3e-3
weight_decay = 0.05
warmup = 2
decay = 0.5
sheet_every = 6
save_every = 4
valid_batches = 1
"""

KERN = """!!!OTL: Mazurek
!!!OMD: Allegretto
**kern\t**kern
*M3/4\t*M3/4
*k[b-]\t*k[b-]
=1\t=1
4FF\t[2a 2cc
4C F A\t.
4C F A\t8a]
.\t8b-
=2\t=2
*\t*^
2.BB-\t4dd\t2.f
.\t8ddq\t.
.\t(2cc\t.
*\t*v\t*v
=3\t=3
4FF\t12a
.\t12b-
.\t12cc#
4r\t4r
4C\t4c
=4\t=4
2.FF\t2.f
==\t==
*-\t*-
"""


def hymn(seed: int, bars: int = 8) -> str:
    """Four voices of quarter notes in 4/4 with a pickup of one quarter."""
    rng = random.Random(seed)
    key = rng.choice(["C", "G", "F", "D", "Am"])
    lines = ["X: 1", f"T: Tune {seed}", "M: 4/4", "L: 1/4", "Q: 1/4=96"]
    lines += ["V: S", "V: A", "V: T", "V: B clef=bass", f"K: {key} % key"]
    for voice, letters in {"S": "cdefg", "A": "EFGA", "T": "CDEF", "B": "C,D,E,F,G,"}.items():
        names = [letters[i : i + 2] for i in range(0, len(letters), 2)] if voice == "B" else list(letters)
        music = " | ".join(" ".join(rng.choice(names) for _ in range(4)) for _ in range(bars - 1))
        lines.append(f"[V: {voice}] {rng.choice(names)} | {music} | {rng.choice(names)}3 |]")
    return "\n".join(lines) + "\n"


def musicxml(bars: int = 6) -> str:
    """A voice over a keyboard of two staves, 3/4."""

    def note(step: str, octave: int, duration: int, staff: int, chord: bool = False) -> str:
        return (
            f"<note>{'<chord/>' if chord else ''}<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
            f"<duration>{duration}</duration><voice>{staff}</voice><staff>{staff}</staff></note>"
        )

    head = "<attributes><divisions>2</divisions><time><beats>3</beats><beat-type>4</beat-type></time>"
    voice, piano = "", ""
    for bar in range(1, bars + 1):
        first = f"{head}</attributes>" if bar == 1 else ""
        voice += f'<measure number="{bar}">{first}{note("CDEFGA"[bar % 6], 5, 4, 1)}{note("E", 5, 2, 1)}</measure>'
        first = f"{head}<staves>2</staves></attributes>" if bar == 1 else ""
        right = note("C", 4, 6, 1) + note("G", 4, 6, 1, chord=True)
        back = "<backup><duration>6</duration></backup>"
        piano += f'<measure number="{bar}">{first}{right}{back}{note("C", 3, 6, 2)}</measure>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?><score-partwise version="4.0"><part-list>'
        '<score-part id="P1"><part-name>Voice</part-name></score-part>'
        '<score-part id="P2"><part-name>Piano</part-name></score-part></part-list>'
        f'<part id="P1">{voice}</part><part id="P2">{piano}</part></score-partwise>'
    )


def write_tunes(folder: Path) -> Path:
    for seed in range(8):
        (folder / f"hymn_{seed}.abc").write_text(hymn(seed), "utf-8")
    (folder / "mazurek.krn").write_text(KERN, "utf-8")
    (folder / "song.musicxml").write_text(musicxml(), "utf-8")
    (folder / "broken.krn").write_text("**kern\n4c\n*-\n", "utf-8")
    return folder


def write_recipe(folder: Path) -> Path:
    path = folder / "tiny-music.toml"
    path.write_text(RECIPE, "utf-8")
    return path
