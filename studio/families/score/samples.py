"""Writes the first pieces of a model as small sound files: eight styles, the first seed of each, nothing chosen by ear.

python -m studio.families.score.samples [--model FOLDER] [--out assets/samples]
"""

import argparse
import io
import sys
from pathlib import Path

import soundfile

from studio.families import family
from studio.families.score.arrangement import melody_on_top, score_of
from studio.families.score.beginnings import first_beats
from studio.families.score.decoding import Row, chance_of
from studio.families.score.figures import DECODING
from studio.families.score.grammar import Grammar
from studio.families.score.key_lean import KeyLean
from studio.families.score.piece import bar_ticks
from studio.families.score.pipeline import load
from studio.families.score.variety import Variety
from studio.families.score.wishes import asked
from studio.music.score import Score
from studio.music.sound import RATE, render
from studio.types import Device

SEED = 1
SECONDS = 27  # a longer piece fades out
LARGEST = 150_000  # bytes
BRIEFS = (
    "a hymn in G for string quartet, 8 bars",
    "a sad slow waltz in D minor with cello and piano, 16 bars",
    "a jig in D with fiddle and guitar, 16 bars",
    "a march in Bb, 16 bars",
    "ragtime piano in C, 16 bars",
    "lo-fi in F, 8 bars",
    "12-bar blues in E with sax, piano, bass and drums",
    "a chiptune in A minor, 16 bars",
)


def compose(model: Path) -> list[tuple[str, Score]]:
    """Style and score of each of BRIEFS, all from SEED."""
    pipeline = load(model, Device(kind="cpu", name=""))
    composer = pipeline.composer
    params = {param.name: param.default for param in family("score").tasks["text_to_score"]}
    wanted = [asked(params, brief, chance_of(SEED, 100)) for brief in BRIEFS]
    rows = []
    for one in wanted:
        wish = one.wish
        grammar = Grammar(composer.vocabulary, wish.metre, wish.bars, wish.tonic, first_beats(one))
        lean = KeyLean(wish.tonic, wish.mode or 0, float(DECODING["key_weight"]))
        variety = Variety(float(DECODING["variety_weight"]))
        rows.append(Row(wish.head(composer.vocabulary), grammar, chance_of(SEED), lean, variety))
    composer.compose(rows, temperature=float(DECODING["temperature"]), top_p=float(DECODING["top_p"]))
    found = []
    for row, one in zip(rows, wanted, strict=True):
        written = row.grammar.written if row.grammar else []
        if one.wish.style in pipeline.bass_first:
            written = melody_on_top(written, bar_ticks(one.wish.metre))
        found.append((str(one.wish.style), score_of(written, one.setting)))
    return found


def small_sound(score: Score) -> bytes:
    """OGG Vorbis in mono of at most LARGEST bytes, the best quality that fits."""
    samples = render(score)[: SECONDS * RATE].mean(1)
    tail = min(len(samples), 2 * RATE)
    if score.seconds > SECONDS:
        samples[-tail:] *= [1 - i / tail for i in range(tail)]
    data = b""
    for level in (0.6, 0.75, 0.9, 1.0):  # of compression
        buffer = io.BytesIO()
        with soundfile.SoundFile(buffer, "w", RATE, 1, format="OGG", subtype="VORBIS", compression_level=level) as file:
            for first in range(0, len(samples), RATE):  # in one piece libsndfile's encoder overruns its stack
                file.write(samples[first : first + RATE])
        data = buffer.getvalue()
        if len(data) <= LARGEST:
            break
    return data


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the first pieces of a model as sound.")
    parser.add_argument("--model", type=Path, default=Path("assets/models/starter-music"))
    parser.add_argument("--out", type=Path, default=Path("assets/samples"))
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, (style, score) in enumerate(compose(args.model), 1):
        (args.out / f"starter-music-{number:02}-{style}.ogg").write_bytes(small_sound(score))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
