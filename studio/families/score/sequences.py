"""Cuts pieces into excerpts, writes them as tokens, and hands them out in batches of like length. Knows no model."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from studio.families.score.composer import COMPOSERS, compose
from studio.families.score.keys import find_key
from studio.families.score.piece import Piece, excerpt
from studio.families.score.vocabulary import ANY, CONTROLS, Vocabulary

SIZES = (8, 8, 12, 16, 16, 16, 24, 32)  # bars of an excerpt, the common ones more often
FEWEST = 4
HELD_OUT_SEEDS = 1_000_000  # composed pieces from this seed on are never learned
# How often a control is left open, as people leave it open; the metre is always said.
LEFT_OPEN = {"style": 0.04, "mode": 0.04, "key": 0.1, "tempo": 0.15, "density": 0.2, "opens": 0.05, "closes": 0.05}


def is_held_out(work: str, share: float) -> bool:
    """By the name of the file, so that all its excerpts fall on one side."""
    return zlib.crc32(work.encode()) / 2**32 < share


def composed(style: str, many: int, first: int = 0) -> Iterator[Piece]:
    """`many` pieces from seed `first` on whose key a key-finder hears; the others are passed over."""
    seed = first
    while many:
        piece = compose(style, seed)
        seed += 1
        if find_key(piece.notes) == (piece.tonic, piece.mode):
            many -= 1
            yield piece


def excerpts(piece: Piece, rng: np.random.Generator, vocabulary: Vocabulary, context: int) -> Iterator[np.ndarray]:
    """The piece in consecutive excerpts as tokens, each in the key that it has itself; the last ends with the piece."""
    first = 0
    while first < piece.bars:
        left = piece.bars - first
        size = int(rng.choice(SIZES))
        if left < size + FEWEST:
            size = left if left <= 32 else 16
        tokens = _fitting(piece, first, size, vocabulary, context)
        if tokens is None:
            first += FEWEST
            continue
        sequence, size = tokens
        if len(sequence) > 12 + 4 * size:  # else nearly silent
            yield sequence
        if first + size < piece.bars < first + size + FEWEST:  # a stump: the excerpt that ends the piece overlaps
            first = max(piece.bars - size, first + 1)
            continue
        first += size


def _fitting(
    piece: Piece, first: int, size: int, vocabulary: Vocabulary, context: int
) -> tuple[np.ndarray, int] | None:
    """The longest excerpt of at most `size` bars that fits the context, and its bars."""
    while size >= FEWEST:
        part = excerpt(piece, first, size)
        if not len(part.notes):
            return None
        if part.work.startswith("composed-"):
            keyed = part
        else:
            tonic, mode = find_key(part.notes)
            keyed = replace(part, tonic=tonic, mode=mode)
        sequence = vocabulary.encode(keyed)
        if len(sequence) <= context:
            return sequence, size
        size = max(size - 4, size * context // len(sequence) // 4 * 4 if size * context // len(sequence) >= 4 else 0)
        size = size if size < part.bars else part.bars - 1
    return None


@dataclass
class Sequences:
    """Sequences of tokens, one after another: `tokens` uint16, `starts` (n + 1,)."""

    tokens: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, sequences: list[np.ndarray]) -> "Sequences":
        starts = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])])
        return cls(np.concatenate(sequences), starts.astype(np.int64))

    @classmethod
    def load(cls, path: Path) -> "Sequences":
        with np.load(path) as kept:
            return cls(kept["tokens"], kept["starts"])

    def save(self, path: Path) -> None:
        np.savez(path, tokens=self.tokens, starts=self.starts)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.starts)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.tokens[self.starts[index] : self.starts[index + 1]]

    def batches(self, tokens: int, seed: int, epoch: int) -> list[np.ndarray]:
        """Indices in groups of like length, about `tokens` tokens with padding each, in random order."""
        rng = np.random.default_rng([seed, epoch])
        near = self.lengths * rng.uniform(0.9, 1.1, len(self))
        order = np.argsort(near)
        groups, first = [], 0
        while first < len(order):
            last = first + 1
            longest = self.lengths[order[first]]
            while last < len(order):
                longest = max(longest, self.lengths[order[last]])
                if longest * (last - first + 1) > tokens:
                    break
                last += 1
            groups.append(order[first:last])
            first = last
        return [groups[i] for i in rng.permutation(len(groups))]

    def padded(self, indices: np.ndarray, pad: int) -> np.ndarray:
        """(sequences, longest) int64."""
        rows = np.full((len(indices), int(self.lengths[indices].max())), pad, np.int64)
        for row, index in zip(rows, indices, strict=True):
            row[: self.lengths[index]] = self[index]
        return rows


def leave_open(rows: np.ndarray, vocabulary: Vocabulary, rng: np.random.Generator) -> np.ndarray:
    """The rows with some controls of their heads replaced by 'any'."""
    rows = rows.copy()
    for i, control in enumerate(CONTROLS):
        if share := LEFT_OPEN.get(control):
            rows[rng.random(len(rows)) < share, i + 1] = vocabulary.ids[f"{control}={ANY}"]
    return rows


def composed_pieces(many: int, first: int = 0) -> Iterator[Piece]:
    for style in COMPOSERS:
        yield from composed(style, many, first)
