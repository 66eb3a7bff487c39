"""The baseline of a text model: n-grams of tokens with interpolated Kneser-Ney back-off.

Kneser & Ney (1995) in the interpolated form of Chen & Goodman (1999), one discount an order, n1 / (n1 + 2 n2).
Counts are kept as sorted arrays; knows no text and no tokenizer.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class _Order:
    """All n-grams of one length. A key is the id of the first n - 1 tokens times the vocabulary plus the last token."""

    keys: np.ndarray
    counts: np.ndarray  # occurrences for the longest, else how many tokens can stand before
    discount: float
    totals: np.ndarray  # by history: sum of counts
    kinds: np.ndarray  # by history: how many tokens follow it


class Ngrams:
    def __init__(self, tokens: np.ndarray, vocabulary: int, order: int = 5) -> None:
        """Count the n-grams of a stream of tokens below `vocabulary`."""
        self.vocabulary = vocabulary
        ids = tokens.astype(np.int64)
        keys, firsts = [np.arange(vocabulary)], []
        counts = np.bincount(ids, minlength=vocabulary)
        all_ids = [ids]
        for n in range(2, order + 1):
            pairs = ids[:-1] * vocabulary + tokens[n - 1 :]
            found, first, ids, counts = np.unique(pairs, return_index=True, return_inverse=True, return_counts=True)
            keys.append(found)
            firsts.append(first)
            all_ids.append(ids)
        self.orders = []
        for n in range(order):
            if n + 1 < order:  # each longer n-gram that ends with this one counts once
                counts_n = np.bincount(all_ids[n][firsts[n] + 1], minlength=len(keys[n]))
            else:
                counts_n = counts
            once, twice = int((counts_n == 1).sum()), int((counts_n == 2).sum())
            histories = keys[n] // vocabulary if n else np.zeros(vocabulary, np.int64)
            size = len(keys[n - 1]) if n else 1
            self.orders.append(
                _Order(
                    keys[n],
                    counts_n,
                    once / (once + 2 * twice) if once else 0.5,
                    np.bincount(histories, counts_n, size),
                    np.bincount(histories, counts_n > 0, size),
                )
            )

    def log2_odds(self, tokens: np.ndarray) -> np.ndarray:
        """Base-2 logarithm of each token's probability after those before it in the stream."""
        stream = tokens.astype(np.int64)
        odds = np.full(len(stream), 1 / self.vocabulary)
        histories = np.zeros(len(stream), np.int64)  # id of the n - 1 tokens before each token, -1 where never seen
        for n, order in enumerate(self.orders):
            pairs = histories * self.vocabulary + stream
            at = np.searchsorted(order.keys, pairs).clip(max=len(order.keys) - 1)
            seen = (histories >= 0) & (order.keys[at] == pairs)
            counts = np.where(seen, order.counts[at], 0)
            totals = np.where(histories >= 0, order.totals[histories], 0)
            kinds = np.where(histories >= 0, order.kinds[histories], 0)
            whole = np.maximum(totals, 1e-9)
            here = np.maximum(counts - order.discount, 0) / whole + order.discount * kinds / whole * odds
            odds = np.where(totals > 0, here, odds)
            ids = np.where(seen, at, -1)  # of the n-gram that ends with each token
            histories = np.concatenate([[-1], ids[:-1]])
            if n:
                histories[:n] = -1
        return np.log2(odds)
