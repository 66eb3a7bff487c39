"""Cuts texts into pieces that fit the context, writes a brief before each and packs them into rows of tokens.

Knows the tokenizer and no model.
"""

import bisect
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from transformers import PreTrainedTokenizerFast

from studio.families.causal_lm.books import Record
from studio.families.causal_lm.briefs import BRIEF, END, PAD, TEXT, Brief
from studio.families.causal_lm.keywords import Keywords

BRIEF_TOKENS = 72  # kept free in the context for the control lines
PASSAGE = 1500  # characters
CUTS = (r"(?<=\n\n)", r"(?<=\n)", r"(?<=[.!?][”\s])", r"(?<= )")  # behind paragraphs, lines, sentences, words
KEPT = {"genre": 0.95, "audience": 0.7, "part": 0.8, "keywords": 0.85, "title": 0.35}  # how often each line is there


@dataclass(frozen=True)
class Piece:
    """A whole text or a part of one. `brief` holds all that could be said of it."""

    brief: Brief
    text: str


@dataclass
class Rows:
    """Packed pieces: `tokens` (n, context + 1) uint16, `learned` (n, context + 1) bool.

    A token is learned when it belongs to a text or ends one; control lines and padding are not.
    """

    tokens: np.ndarray
    learned: np.ndarray


@dataclass
class _Open:
    """A row that still has room."""

    room: int
    pieces: list[list[int]] = field(default_factory=list)


def cut(record: Record, tokenizer: PreTrainedTokenizerFast, most: int) -> list[str]:
    """The text in pieces of at most about `most` tokens, cut between paragraphs, else lines, else sentences."""
    pieces: list[str] = []
    held: list[str] = []
    length = 0
    for part, tokens in _parts(record.text, tokenizer, most, CUTS):
        if held and length + tokens > most:
            pieces.append("".join(held))
            held, length = [], 0
        held.append(part)
        length += tokens
    return [text for text in (*(piece.strip("\n ") for piece in pieces), "".join(held).strip("\n ")) if text]


def _parts(
    text: str, tokenizer: PreTrainedTokenizerFast, most: int, cuts: tuple[str, ...]
) -> Iterator[tuple[str, int]]:
    """Parts of the text in order with their number of tokens, none longer than `most` unless it cannot be cut."""
    parts = [part for part in re.split(cuts[0], text) if part]
    for part, tokens in zip(parts, tokenizer(parts, add_special_tokens=False, verbose=False).input_ids, strict=True):
        if len(tokens) > most and len(cuts) > 1:
            yield from _parts(part, tokenizer, most, cuts[1:])
        else:
            yield part, len(tokens)


def learn_keywords(train: list[Record]) -> Keywords:
    """From passages about as long as pieces, so that a word's rarity means the same for long chapters and fables."""
    prose = (
        record.text[i : i + PASSAGE]
        for record in train
        if record.genre != "code"
        for i in range(0, len(record.text), PASSAGE)
    )
    return Keywords.learn(prose, (record.text for record in train if record.genre == "code"))


def pieces_of(records: Iterable[Record], tokenizer: PreTrainedTokenizerFast, keywords: Keywords) -> Iterator[Piece]:
    most = tokenizer.model_max_length - BRIEF_TOKENS
    for record in records:
        texts = cut(record, tokenizer, most)
        for i, text in enumerate(texts):
            part = "whole" if len(texts) == 1 else "beginning" if i == 0 else "end" if i == len(texts) - 1 else "middle"
            audience = "" if record.genre == "code" else "children" if record.children else "everyone"
            yield Piece(Brief(record.genre, audience, part, keywords.of(text, record.genre), record.title), text)


def some_lines(brief: Brief, rng: random.Random) -> Brief:
    """The brief with some of its lines and keywords left out, as people leave them out."""
    keep = {name: rng.random() < share for name, share in KEPT.items()}
    words = list(brief.keywords)
    rng.shuffle(words)
    return Brief(
        brief.genre if keep["genre"] else "",
        brief.audience if keep["audience"] else "",
        brief.part if keep["part"] else "",
        tuple(words[: rng.randint(2, 5)]) if keep["keywords"] else (),
        brief.title if keep["title"] or (brief.genre == "code" and rng.random() < 0.5) else "",
    )


def pack(
    pieces: list[Piece], tokenizer: PreTrainedTokenizerFast, weights: dict[str, float], rng: random.Random
) -> Rows:
    """All pieces in rows of context + 1 tokens, those of a genre as often as its weight says (default 1).

    Best-fit decreasing: each piece goes where the least room is left over.
    """
    chosen = []
    for piece in pieces:
        weight = weights.get(piece.brief.genre, 1.0)
        chosen += [piece] * (int(weight) + (rng.random() < weight % 1))
    lines = [some_lines(piece.brief, rng).lines() + piece.text + END for piece in chosen]
    width = tokenizer.model_max_length + 1
    encoded: list[list[int]] = []
    for i in range(0, len(lines), 1000):
        encoded += [tokens[:width] for tokens in tokenizer(lines[i : i + 1000], add_special_tokens=False).input_ids]
    encoded.sort(key=len, reverse=True)
    rows: list[_Open] = []
    rooms: list[tuple[int, int]] = []  # (room, row), sorted
    for tokens in encoded:
        at = bisect.bisect_left(rooms, (len(tokens), -1))
        if at == len(rooms):
            rows.append(_Open(width))
            row = len(rows) - 1
        else:
            row = rooms.pop(at)[1]
        rows[row].pieces.append(tokens)
        rows[row].room -= len(tokens)
        bisect.insort(rooms, (rows[row].room, row))
    return _as_arrays(rows, width, tokenizer, rng)


def _as_arrays(rows: list[_Open], width: int, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Rows:
    brief, text, pad = (tokenizer.convert_tokens_to_ids(mark) for mark in (BRIEF, TEXT, PAD))
    tokens = np.full((len(rows), width), pad, np.uint16)
    for i, row in enumerate(rows):
        rng.shuffle(row.pieces)
        flat = [token for piece in row.pieces for token in piece]
        tokens[i, : len(flat)] = flat
    inside = np.cumsum(tokens == text, 1) == np.cumsum(tokens == brief, 1)
    return Rows(tokens, inside & (tokens != text) & (tokens != pad))
