"""Composes pieces of drawn briefs as the pipeline does and checks the files that come of them: in MusicXML every bar is
exactly full, in MIDI no note lies outside its instrument's range or sounds past the end.

python -m studio.families.score.check_pieces [--pieces 200]
"""

import argparse
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from studio.families.score.arrangement import score_of
from studio.families.score.beginnings import first_beats
from studio.families.score.decoding import Composer, Row, chance_of
from studio.families.score.figures import DECODING
from studio.families.score.grammar import Grammar
from studio.families.score.key_lean import KeyLean
from studio.families.score.params import DENSITIES, KEYS
from studio.families.score.piece import STYLES
from studio.families.score.pipeline import load
from studio.families.score.styles import style_of
from studio.families.score.variety import Variety
from studio.families.score.wishes import asked
from studio.music.files import write_score
from studio.music.instruments import instrument
from studio.music.midi import read_midi, write_midi
from studio.music.score import Score
from studio.types import Device

SEATS = (
    *("cello, piano", "flute", "string quartet", "tuba, french horn, trumpet", "glockenspiel, harp, double bass"),
    *("violin, guitar", "bassoon, oboe, clarinet", "soprano sax, piano, bass, drums", "", ""),
)
TOGETHER = 20


def drawn_settings(many: int) -> Iterator[dict[str, Any]]:
    """Settings of text_to_score: styles and seats in turn, all else drawn."""
    rng = np.random.default_rng(0)
    for number in range(many):
        style = STYLES[number % len(STYLES)]
        beats, unit = style_of(style).metres[int(rng.integers(len(style_of(style).metres)))]
        yield {
            "style": style,
            "metre": f"{beats}/{unit}",
            "key": str(rng.choice(KEYS)),
            "bars": int(rng.integers(2, 13)),
            "density": str(rng.choice(("", *DENSITIES))),
            "instruments": SEATS[int(rng.integers(len(SEATS)))],
        }


def composed(composer: Composer, settings: Sequence[dict[str, Any]], seed: int) -> list[Score]:
    """One score for each setting, together."""
    wanted = [asked(one, "", chance_of(seed + number, 100)) for number, one in enumerate(settings)]
    rows, vocabulary = [], composer.vocabulary
    for number, one in enumerate(wanted):
        wish = one.wish
        grammar = Grammar(vocabulary, wish.metre, wish.bars, wish.tonic, first_beats(one))
        lean = KeyLean(wish.tonic, wish.mode or 0, float(DECODING["key_weight"]))
        variety = Variety(float(DECODING["variety_weight"]))
        rows.append(Row(wish.head(vocabulary), grammar, chance_of(seed + number), lean, variety))
    composer.compose(rows, temperature=float(DECODING["temperature"]), top_p=float(DECODING["top_p"]))
    return [score_of(row.grammar.written, one.setting) for row, one in zip(rows, wanted, strict=True) if row.grammar]


def uneven_bars(sheet: bytes) -> tuple[int, int]:
    """(bars of all parts of a MusicXML file that are not exactly as long as their metre, bars)."""
    wrong = count = 0
    for part in ElementTree.fromstring(sheet).iter("part"):
        full, divisions = Fraction(0), 1
        for measure in part.iter("measure"):
            divisions = int(measure.findtext("attributes/divisions") or divisions)
            if measure.find("attributes/time") is not None:
                beats, unit = (int(measure.findtext(f"attributes/time/{name}") or 0) for name in ("beats", "beat-type"))
                full = Fraction(4 * beats, unit)
            at, ends = Fraction(0), {Fraction(0)}
            for element in measure:
                length = Fraction(int(element.findtext("duration") or 0), divisions)
                if element.tag == "backup":
                    ends.add(at)
                    at -= length
                elif element.tag in ("note", "forward") and element.find("chord") is None:
                    at += length
            ends.add(at)
            wrong += max(ends) != full or at < 0
            count += 1
    return wrong, count


def strays(score: Score) -> int:
    """Notes outside their instrument's range, or that sound past the end."""
    found = 0
    for track in score.tracks:
        player = instrument(track.program)
        for note in track.notes:
            outside = not track.drums and not player.lowest <= note.pitch <= player.highest
            found += outside or note.onset + note.duration > score.length
    return found


def check(composer: Composer, many: int) -> dict[str, Any]:
    """Counts over `many` pieces."""
    settings = list(drawn_settings(many))
    told: dict[str, Any] = {"pieces": 0, "bars": 0, "bars_uneven": 0, "notes": 0, "notes_astray": 0, "bars_missing": 0}
    for first in range(0, many, TOGETHER):
        some = settings[first : first + TOGETHER]
        for one, score in zip(some, composed(composer, some, first), strict=True):
            read = read_midi(write_midi(score))
            uneven, bars = uneven_bars(write_score(score, "musicxml"))
            told["pieces"] += 1
            told["bars"] += bars
            told["bars_uneven"] += uneven
            told["notes"] += read.notes
            told["notes_astray"] += strays(read)
            told["bars_missing"] += abs(read.bars - one["bars"])
    return told


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Compose pieces and check their bars and ranges.")
    parser.add_argument("--model", type=Path, default=Path("assets/models/starter-music"))
    parser.add_argument("--pieces", type=int, default=200)
    args = parser.parse_args(argv)
    told = check(load(args.model, Device(kind="cpu", name="")).composer, args.pieces)
    sys.stdout.write(json.dumps(told) + "\n")
    return int(told["bars_uneven"] + told["notes_astray"] + told["bars_missing"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
