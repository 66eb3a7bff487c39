"""Measures a finished starter-music on wishes of its own: bars, key, style, length, likeness, copying.

python -m studio.families.score.figures --model FOLDER --data TUNES [--pieces N] [--card]
"""

import argparse
import json
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import LlamaForCausalLM

from studio.families.score.corpus import load_pieces, read_folder
from studio.families.score.generate import generate
from studio.families.score.judge import top_line, train_judge
from studio.families.score.keys import bar_chords, find_key
from studio.families.score.midi import read_midi, write_midi
from studio.families.score.params import DRAWING
from studio.families.score.piece import DRUMS, MELODY, PARTS, STYLES, Piece, bar_ticks, excerpt
from studio.families.score.sequences import HELD_OUT_SEEDS, composed_pieces, is_held_out
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Wish
from studio.families.training.starter_card import add_figures

HELD_OUT = 0.06  # as in the recipe
COMPOSED = 260  # as in the recipe: training pieces of each composed style
FEWEST = 8  # notes of a melody that is measured for itself
RUN = 12  # notes of a run that counts as copied
TOGETHER = 60  # pieces composed at once
DECODING: dict[str, Any] = {param.name: param.default for param in DRAWING}  # as the pipeline does it


def all_pieces(data: Path) -> list[Piece]:
    """Pieces of a folder of tunes, or those that a training has already read into the folder as pieces.npz."""
    kept = data / "pieces.npz"
    return load_pieces(kept) if kept.exists() else read_folder(data)[0]


def some_excerpts(pieces: list[Piece], bars: int = 16) -> Iterator[Piece]:
    """Every piece in excerpts of `bars` bars, the last one shorter, each in the key that a key-finder hears."""
    for piece in pieces:
        for first in range(0, piece.bars - 3, bars):
            part = excerpt(piece, first, min(bars, piece.bars - first))
            if len(part.notes) > 2 * part.bars:
                tonic, mode = find_key(part.notes)
                yield replace(part, tonic=tonic, mode=mode)


def wishes_like(held: list[Piece], many: int, seed: int) -> list[Wish]:
    """`many` wishes, styles in turn, metre and mode from a held-out excerpt of the style, any key, 8 to 16 bars."""
    rng = np.random.default_rng(seed)
    by_style = {style: [piece for piece in held if piece.style == style] for style in STYLES}
    styles = [style for style in STYLES if by_style[style]]
    wishes = []
    for i in range(many):
        style = styles[i % len(styles)]
        like = by_style[style][int(rng.integers(len(by_style[style])))]
        bars = 12 if style == "blues" else int(rng.choice([8, 12, 16]))
        wishes.append(Wish(style, bars, like.metre, int(rng.integers(12)), like.mode))
    return wishes


def compose_all(
    model: LlamaForCausalLM, vocabulary: Vocabulary, wishes: list[Wish], seed: int, constrained: bool = True
) -> list[np.ndarray]:
    made: list[np.ndarray] = []
    for i in range(0, len(wishes), TOGETHER):
        some = wishes[i : i + TOGETHER]
        made += generate(
            model,
            vocabulary,
            some,
            seed=seed + i,
            temperature=float(DECODING["temperature"]),
            top_p=float(DECODING["top_p"]),
            key_weight=float(DECODING["key_weight"]) if constrained else 0.0,
            variety_weight=float(DECODING["variety_weight"]) if constrained else 0.0,
            constrained=constrained,
        )
    return made


def bars_that_add_up(tokens: np.ndarray, vocabulary: Vocabulary, wish: Wish) -> tuple[int, int]:
    """(right, all) bars of a sequence, without trust in the grammar; missing bars count as wrong ones.

    A right bar has the number that counts down from the bars asked for, its places rise and stay below the metre's
    length, and every note has a place, a length, and ends with the piece at the latest.
    """
    names = [vocabulary.names[token] for token in tokens.tolist()]
    heads = [i for i, name in enumerate(names) if name.startswith("BAR=")]
    full, right = bar_ticks(wish.metre), 0
    for bar, (first, last) in enumerate(zip(heads, [*heads[1:], len(names)], strict=False)):
        good, place, length = names[first] == f"BAR={wish.bars - 1 - bar}", -1, 0
        for name in names[first + 1 : last]:
            kind, _, value = name.partition("=")
            if kind == "PLACE":
                good &= place < int(value) < full
                place = int(value)
            elif kind == "LENGTH":
                length = int(value)
            elif kind == "drums":
                good &= place >= 0
            elif kind in PARTS:
                good &= place >= 0 and 0 < length <= (wish.bars - bar) * full - place
        right += good
    return right, max(len(heads), wish.bars)


def bars_begun(tokens: np.ndarray, vocabulary: Vocabulary) -> int:
    """The number of bars that a sequence's first bar announces; only the grammar can tell the model what was asked."""
    names = [vocabulary.names[token] for token in tokens.tolist()]
    return 1 + next((int(name.removeprefix("BAR=")) for name in names if name.startswith("BAR=")), 0)


def histograms(pieces: list[Piece]) -> dict[str, np.ndarray]:
    """Shares of pitch classes above the tonic, of melodic intervals, of times between melody notes."""
    classes, intervals, rhythm = np.zeros(12), np.zeros(25), np.zeros(97)
    for piece in pieces:
        pitched = piece.notes[piece.notes[:, 3] != DRUMS]
        classes += np.bincount((pitched[:, 2] - piece.tonic) % 12, minlength=12)
        line = top_line(piece)
        if len(line) > 1:
            intervals += np.bincount(np.diff(line[:, 2]).clip(-12, 12) + 12, minlength=25)
            rhythm += np.bincount(np.diff(line[:, 0]).clip(0, 96), minlength=97)
    found = {"pitch_class": classes, "interval": intervals, "rhythm": rhythm}
    return {name: counts / max(counts.sum(), 1) for name, counts in found.items()}


def overlaps(made: list[Piece], held: list[Piece]) -> dict[str, float]:
    """Shared area of the histograms, styles counting alike."""
    styles = sorted({piece.style for piece in made} & {piece.style for piece in held})
    sums: dict[str, list[np.ndarray]] = {}
    for side in (made, held):
        parts = [histograms([piece for piece in side if piece.style == style]) for style in styles]
        for name in parts[0]:
            sums.setdefault(name, []).append(np.mean([part[name] for part in parts], 0))
    return {name: round(float(np.minimum(*pair).sum()), 3) for name, pair in sums.items()}


def runs(piece: Piece) -> set[int]:
    """Hashes of all runs of RUN melody notes: intervals and times between onsets, in any key."""
    line = top_line(piece)
    steps = np.stack([np.diff(line[:, 2]), np.diff(line[:, 0])], 1).astype(np.int32)
    return {zlib.crc32(steps[i : i + RUN - 1].tobytes()) for i in range(len(steps) - RUN + 2)}


def copied(pieces: list[Piece], learned: set[int]) -> float:
    """Share of the pieces' runs that stand in the pieces learned from."""
    own = [runs(piece) for piece in pieces]
    return round(sum(len(found & learned) for found in own) / max(sum(len(found) for found in own), 1), 4)


def monotonous(piece: Piece) -> bool:
    """Whether its melody says the note before again in more than half of its notes, has fewer than four pitches, or
    repeats one bar more than four times. The highest notes count where the melody has but a few.
    """
    few = 0 < (piece.notes[:, 3] == MELODY).sum() < FEWEST
    line = top_line(replace(piece, notes=piece.notes[piece.notes[:, 3] != MELODY]) if few else piece)
    steps = np.diff(line[:, 2])
    bars = [
        [(onset - bar * piece.bar, pitch) for onset, _, pitch, _ in line.tolist() if onset // piece.bar == bar]
        for bar in range(piece.bars)
    ]
    row = most = 0
    for bar, before in zip(bars[1:], bars, strict=False):
        row = row + 1 if bar and bar == before else 0
        most = max(most, row)
    return bool(len(steps) == 0 or (steps == 0).mean() > 0.5 or len(np.unique(line[:, 2])) < 4 or most > 4)


def on_one_chord(piece: Piece) -> bool:
    """Whether one chord is heard in a row in more than half of its bars, of which it has eight or more."""
    chords = bar_chords(piece).tolist()
    row = most = 1
    for chord, before in zip(chords[1:], chords, strict=False):
        row = row + 1 if chord == before else 1
        most = max(most, row)
    return len(chords) >= 8 and most > len(chords) / 2


def through_midi(pieces: list[Piece]) -> list[Piece]:
    """What a reader of the written MIDI files finds."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for i, piece in enumerate(pieces):
            path = Path(folder, f"{i}.mid")
            write_midi(piece, path)
            found.append(replace(read_midi(path, piece.style), work=piece.work))
    return found


def last_sounding_bar(piece: Piece) -> int:
    return -(-int((piece.notes[:, 0] + piece.notes[:, 1]).max()) // piece.bar)


def _by_style(right: list[bool], styles: list[str]) -> dict[str, float]:
    asked, met = Counter(styles), Counter(style for style, good in zip(styles, right, strict=True) if good)
    return {style: round(met[style] / many, 2) for style, many in asked.items()}


def measure(
    model: Path, data: Path, many: int = 210, seed: int = 1, composed: int = COMPOSED, judge_steps: int = 800
) -> dict[str, Any]:
    """All figures on `many` wishes; seeds fixed. The judge is trained and tested here, on real and composed pieces."""
    network = LlamaForCausalLM.from_pretrained(model).float().eval()
    vocabulary = Vocabulary.load(model)
    real = all_pieces(data)
    known = [piece for piece in real if not is_held_out(piece.work, HELD_OUT)] + list(composed_pieces(composed))
    held = [piece for piece in real if is_held_out(piece.work, HELD_OUT)]
    held = list(some_excerpts([*held, *composed_pieces(max(1, composed // 13), HELD_OUT_SEEDS)]))
    judge = train_judge(list(some_excerpts(known)), judge_steps)
    heard = [said == piece.style for said, piece in zip(judge.styles(held), held, strict=True)]
    on_real = _by_style(heard, [piece.style for piece in held])
    wishes = wishes_like(held, many, seed)
    tokens = compose_all(network, vocabulary, wishes, seed)
    made = [vocabulary.decode(sequence) for sequence in tokens]
    read = [
        replace(piece, tonic=wish.tonic, mode=wish.mode) for piece, wish in zip(through_midi(made), wishes, strict=True)
    ]
    styles = [str(wish.style) for wish in wishes]
    in_key = [find_key(piece.notes) == (wish.tonic, wish.mode) for piece, wish in zip(read, wishes, strict=True)]
    in_style = [said == style for said, style in zip(judge.styles(read), styles, strict=True)]
    long_enough = [abs(last_sounding_bar(piece) - wish.bars) <= 1 for piece, wish in zip(read, wishes, strict=True)]
    exact = np.sum([bars_that_add_up(row, vocabulary, wish) for row, wish in zip(tokens, wishes, strict=True)], 0)
    free = compose_all(network, vocabulary, wishes[:30], seed, constrained=False)
    begun = [replace(wish, bars=bars_begun(row, vocabulary)) for row, wish in zip(free, wishes, strict=False)]
    loose = np.sum([bars_that_add_up(row, vocabulary, wish) for row, wish in zip(free, begun, strict=True)], 0)
    learned = set().union(*(runs(piece) for piece in known if len(piece.notes) > RUN))
    return {
        "pieces": many,
        "bars_exact": round(float(exact[0] / exact[1]), 4),
        "bars_exact_without_grammar": round(float(loose[0] / loose[1]), 4),
        "key_found": round(float(np.mean(in_key)), 3),
        "key_found_by_style": _by_style(in_key, styles),
        "style_found": round(float(np.mean(in_style)), 3),
        "style_found_by_style": _by_style(in_style, styles),
        "judge_on_held_out": round(float(np.mean(heard)), 3),
        "judge_on_held_out_by_style": on_real,
        "bars_as_asked": round(float(np.mean(long_enough)), 3),
        "overlap": overlaps(read, held),
        "monotonous": round(float(np.mean([monotonous(piece) for piece in read])), 3),
        "monotonous_by_style": _by_style([monotonous(piece) for piece in read], styles),
        "monotonous_held_out": round(float(np.mean([monotonous(piece) for piece in held])), 3),
        "on_one_chord": round(float(np.mean([on_one_chord(piece) for piece in read])), 3),
        "on_one_chord_held_out": round(float(np.mean([on_one_chord(piece) for piece in held])), 3),
        "copied_runs": copied(read, learned),
        "copied_runs_of_held_out": copied(held, learned),
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure starter-music.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of the tunes, or a run folder that read them")
    parser.add_argument("--pieces", type=int, default=210)
    parser.add_argument("--card", action="store_true", help="write the figures into the model's card")
    parser.add_argument("--out", type=Path, help="write the figures as JSON into this file")
    args = parser.parse_args(argv)
    figures = measure(args.model, args.data, args.pieces)
    figures["date"] = time.strftime("%Y-%m-%d")
    figures["command"] = (
        f"python -m studio.families.score.figures --model MODEL --data RUN --pieces {args.pieces} --card"
    )
    if args.card:
        add_figures(args.model, figures)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
