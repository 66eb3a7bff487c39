"""Measures starter-text on books that training never saw, beside baselines, and writes the figures into its card.

python -m studio.families.causal_lm.figures MODEL --data BOOKS
"""

import argparse
import json
import lzma
import random
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from studio.errors import InvalidInput
from studio.families.causal_lm.books import Record, read_and_split
from studio.families.causal_lm.briefs import GENRES, Brief
from studio.families.causal_lm.corpus import Piece, learn_keywords, pieces_of
from studio.families.causal_lm.draft_measures import copied_runs, distinct_2, keywords_followed, parses
from studio.families.causal_lm.drafts import draft
from studio.families.causal_lm.genre_judge import GenreJudge
from studio.families.causal_lm.keywords import Keywords
from studio.families.causal_lm.ngrams import Ngrams
from studio.families.training import causal_attention
from studio.families.training.checkpoint import device, mixed_precision
from studio.families.training.starter_card import add_figures

COMMAND = "python -m studio.families.causal_lm.figures MODEL --data BOOKS"
SEED = 11
KEYWORDS = 3  # asked for in each brief
SHORTEST = 150  # characters of a text whose genre can be told


@torch.inference_mode()
def bits_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, records: Sequence[Record], batch: int) -> float:
    """Bits that the model needs for the records' texts, given only their genre.

    Windows of the whole context, each with a quarter of the one before, so that but for a text's beginning every token
    has at least that before it.
    """
    windows: list[tuple[list[int], int]] = []  # tokens with the brief, and how many of the last are counted
    for record in records:
        brief = tokenizer(Brief(record.genre).lines(), add_special_tokens=False).input_ids
        text = tokenizer(record.text, add_special_tokens=False, verbose=False).input_ids
        width = model.config.max_position_embeddings + 1 - len(brief)
        done = 0
        while done < len(text):
            new = width if done == 0 else 3 * width // 4
            stop = min(done + new, len(text))
            windows.append((brief + text[max(0, stop - width) : stop], stop - done))
            done = stop
    windows.sort(key=lambda window: len(window[0]))
    total = 0.0
    for i in range(0, len(windows), batch):
        some = windows[i : i + batch]
        longest = max(len(tokens) for tokens, _ in some)
        rows = torch.full((len(some), longest), tokenizer.pad_token_id)
        labels = torch.full((len(some), longest), -100)
        for row, (tokens, counted) in enumerate(some):
            rows[row, : len(tokens)] = torch.tensor(tokens)
            labels[row, len(tokens) - counted : len(tokens)] = torch.tensor(tokens[-counted:])
        rows, labels = rows.to(model.device), labels.to(model.device)
        with mixed_precision():
            scores = model(input_ids=rows[:, :-1], use_cache=False).logits
        total += F.cross_entropy(scores.float().flatten(0, 1), labels[:, 1:].flatten(), reduction="sum").item()
    return total / float(np.log(2))


def bits_by_ngrams(tokenizer: PreTrainedTokenizerFast, train: Sequence[Record], held: Sequence[Record]) -> float:
    """Bits that a 5-gram model of the training texts needs for the held-out ones, in the same tokens."""
    end = tokenizer.eos_token_id
    streams = []
    for records in (train, held):
        flat: list[int] = []
        for i in range(0, len(records), 1000):
            texts = [record.text for record in records[i : i + 1000]]
            for tokens in tokenizer(texts, add_special_tokens=False, verbose=False).input_ids:
                flat += [end, *tokens]
        streams.append(np.array(flat, np.int32))
    odds = Ngrams(streams[0], len(tokenizer)).log2_odds(streams[1])
    return -float(odds[streams[1] != end].sum())


def bytes_by_xz(train: Sequence[Record], held: Sequence[Record]) -> tuple[int, int]:
    """Size of the held-out texts packed by xz: alone at its best, and behind all training texts in one window.

    Behind them a quicker search is used (preset 3), which costs a few per cent.
    """

    def size(records: Sequence[Record], preset: int) -> int:
        packing = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": 2**27}]
        packer = lzma.LZMACompressor(format=lzma.FORMAT_RAW, filters=packing)
        return sum(len(packer.compress(record.text.encode() + b"\n\n")) for record in records) + len(packer.flush())

    return size(held, 9), size([*train, *held], 3) - size(train, 3)


def compression(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, train: Sequence[Record], held: Sequence[Record]
) -> dict[str, Any]:
    """Bits a byte of the held-out texts by the model, over all and by genre, beside xz and 5-grams."""
    sizes = {genre: sum(len(r.text.encode()) for r in held if r.genre == genre) for genre in GENRES}
    kept = model.config._attn_implementation
    if model.device.type == "cpu":
        causal_attention.install()
        model.set_attn_implementation(causal_attention.ATTENTION)
    bits = {
        genre: bits_of(model, tokenizer, [record for record in held if record.genre == genre], 16)
        for genre in GENRES
        if sizes[genre]
    }
    model.set_attn_implementation(kept)
    whole = sum(sizes.values())
    alone, behind = bytes_by_xz(train, held)
    return {
        "bits_a_byte": round(sum(bits.values()) / whole, 3),
        "bits_a_byte_by_genre": {genre: round(many / sizes[genre], 3) for genre, many in bits.items()},
        "bits_a_byte_5_grams": round(bits_by_ngrams(tokenizer, train, held) / whole, 3),
        "bits_a_byte_xz": round(8 * behind / whole, 3),
        "bits_a_byte_xz_without_training_texts": round(8 * alone / whole, 3),
        "held_out_bytes": whole,
    }


def openings(pieces: Sequence[Piece], most: int, rng: random.Random) -> list[Piece]:
    """Up to `most` pieces of every genre that begin a text and have keywords, never two of one title."""
    found: dict[str, dict[str, Piece]] = defaultdict(dict)
    for piece in rng.sample(list(pieces), len(pieces)):
        brief = piece.brief
        if brief.part in ("whole", "beginning") and len(brief.keywords) >= KEYWORDS and len(piece.text) >= SHORTEST:
            found[brief.genre].setdefault(brief.title, piece)
    return [piece for genre in GENRES for piece in list(found[genre].values())[:most]]


def briefs_of(pieces: Sequence[Piece]) -> list[Brief]:
    """What is asked of the model: genre, audience, part and three keywords; for code the docstring as well."""
    return [
        Brief(b.genre, b.audience, b.part, b.keywords[:KEYWORDS], b.title if b.genre == "code" else "")
        for b in (piece.brief for piece in pieces)
    ]


def _asked(pieces: Sequence[Piece]) -> list[tuple[str, ...]]:
    return [piece.brief.keywords[:KEYWORDS] for piece in pieces]


def quality(
    texts: Sequence[str], pieces: Sequence[Piece], train: Sequence[Record], judge: GenreJudge
) -> dict[str, Any]:
    """All that is measured of drafts, one for each held-out piece's brief."""
    genres = [piece.brief.genre for piece in pieces]
    told = [a == b for a, b in zip(judge.tell(texts), genres, strict=True)]
    real = [a == b for a, b in zip(judge.tell([piece.text for piece in pieces]), genres, strict=True)]
    asked = _asked(pieces)
    others = asked[1:] + asked[:1]  # the next brief's keywords, mostly of the same genre: what chance gives
    prose = [i for i, genre in enumerate(genres) if genre != "code"]
    shown = [texts[i] for i in prose]
    books = [pieces[i].text[: len(texts[i])] for i in prose]
    words = min(sum(len(text.split()) for text in some) for some in (shown, books))
    made, held = distinct_2(shown, words), distinct_2(books, words)
    runs = copied_runs(texts, (record.text for record in train))
    code = [text for text, genre in zip(texts, genres, strict=True) if genre == "code"]
    by_genre = {
        genre: round(float(np.mean([hit for hit, kind in zip(told, genres, strict=True) if kind == genre])), 3)
        for genre in dict.fromkeys(genres)
    }
    return {
        "drafts": len(texts),
        "judge_on_held_out_texts": round(float(np.mean(real)), 3),
        "genre_recognised": round(float(np.mean(told)), 3),
        "genre_recognised_by_genre": by_genre,
        "two_of_three_keywords": round(keywords_followed(texts, asked), 3),
        "two_of_three_keywords_by_chance": round(keywords_followed(texts, others), 3),
        "copied_run_95th_percentile": int(np.percentile(runs, 95)),
        "distinct_2": round(made, 3),
        "distinct_2_held_out": round(held, 3),
        "code_parses": round(float(np.mean([parses(text) for text in code])), 3) if code else None,
    }


def judge_of(
    train: Sequence[Record], tokenizer: PreTrainedTokenizerFast, keywords: Keywords, rng: random.Random, most: int
) -> GenreJudge:
    """A judge that has seen up to `most` pieces of every genre, from training records drawn at random."""
    some: dict[str, list[str]] = defaultdict(list)
    for record in rng.sample(list(train), len(train)):
        if len(some[record.genre]) < most:
            texts = [p.text for p in pieces_of([record], tokenizer, keywords) if len(p.text) >= SHORTEST]
            some[record.genre] += rng.sample(texts, min(8, len(texts)))  # no long chapter shall outweigh the others
    return GenreJudge(
        [text for texts in some.values() for text in texts], [genre for genre, texts in some.items() for _ in texts]
    )


def measure(model: Path, data: Path, drafts: int = 40, batch: int = 40, judged: int = 800) -> dict[str, Any]:
    """All figures of the model in the folder `model`, on the books in `data`; `drafts` and `judged` pieces a genre."""
    try:
        card = tomllib.loads((model / "card.toml").read_text(encoding="utf-8"))
        split = {key: card["data"][key] for key in ("code", "held_out", "seed")}
        defaults = card["defaults"]
    except (OSError, KeyError, tomllib.TOMLDecodeError) as problem:
        raise InvalidInput(f"{model} has no card of a starter: {problem!r}.", "Export the model again.") from problem
    lm, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    lm = lm.to(device(), torch.float32).eval()
    train, held = read_and_split(data, **split)
    figures = compression(lm, tokenizer, train, held)
    keywords = learn_keywords(train)
    rng = random.Random(SEED)
    judge = judge_of(train, tokenizer, keywords, rng, judged)
    asked = openings(list(pieces_of(held, tokenizer, keywords)), drafts, rng)
    code = defaults.pop("code", {})
    texts: list[str] = []
    for genre in GENRES:
        briefs = briefs_of([piece for piece in asked if piece.brief.genre == genre])
        for i in range(0, len(briefs), batch):
            settings = {**defaults, **(code if genre == "code" else {})}
            texts += draft(lm, tokenizer, briefs[i : i + batch], seed=SEED + i, **settings)
    prose = [piece for piece in asked if piece.brief.genre != "code"][::3]
    unaided = draft(lm, tokenizer, briefs_of(prose), seed=SEED, **{**defaults, "keyword_bias": 0.0})
    figures |= {key: value for key, value in quality(texts, asked, train, judge).items() if value is not None}
    figures["two_of_three_keywords_without_bias"] = round(keywords_followed(unaided, _asked(prose)), 3)
    return {**figures, "date": time.strftime("%Y-%m-%d"), "command": COMMAND}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure starter-text.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the books")
    parser.add_argument("--drafts", type=int, default=40, help="drafts of each genre")
    args = parser.parse_args(argv)
    figures = measure(args.model, args.data, args.drafts)
    add_figures(args.model, figures)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
