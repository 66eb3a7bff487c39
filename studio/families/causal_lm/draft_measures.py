"""Measures of drafts: keywords followed, runs copied from the training texts, variety, Python that parses."""

import ast
import re
from collections.abc import Iterable, Sequence

import numpy as np

WINDOW = 24  # characters: the shortest run that counts as copied


def holds(text: str, keyword: str) -> bool:
    """Whether the keyword stands in the text, also with an ending of up to two letters or inside an identifier."""
    return re.search(rf"(?:\b|_){re.escape(keyword)}(?:\w{{0,2}}\b|_)", text.lower()) is not None


def keywords_followed(texts: Sequence[str], asked: Sequence[Sequence[str]], least: int = 2) -> float:
    """Share of texts that hold at least `least` of the keywords asked for."""
    enough = [sum(holds(text, word) for word in words) >= least for text, words in zip(texts, asked, strict=True)]
    return sum(enough) / len(enough)


def copied_runs(texts: Sequence[str], training: Iterable[str]) -> list[int]:
    """For each text the longest run of characters that also stands in the training texts; 0 if below WINDOW.

    Runs of matching windows are counted, so a run may be told longer than it is, never shorter.
    """
    windows = [_windows(text) for text in texts]
    wanted = np.unique(np.concatenate(windows)) if windows else np.empty(0, np.uint64)
    seen = np.zeros(len(wanted), bool)
    for text in training:
        found = _windows(text)
        at = np.searchsorted(wanted, found).clip(max=len(wanted) - 1)
        seen[at[wanted[at] == found]] = True
    runs = []
    for found in windows:
        longest = run = 0
        for copied in seen[np.searchsorted(wanted, found)]:
            run = run + 1 if copied else 0
            longest = max(longest, run)
        runs.append(longest + WINDOW - 1 if longest else 0)
    return runs


def _windows(text: str) -> np.ndarray:
    """A hash of every window of WINDOW characters: a polynomial in 64 bits."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    many = max(0, len(codes) - WINDOW + 1)
    hashes = np.zeros(many, np.uint64)
    for i in range(WINDOW):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + codes[i : i + many]
    return hashes


def distinct_2(texts: Sequence[str], words: int) -> float:
    """Distinct pairs of neighbouring words as a share of all, over the first `words` words of the texts together."""
    flat = [word for text in texts for word in re.findall(r"\w+", text.lower())][:words]
    pairs = list(zip(flat, flat[1:], strict=False))
    return len(set(pairs)) / max(len(pairs), 1)


def parses(source: str) -> bool:
    """Whether the text is Python by its grammar."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    return True
