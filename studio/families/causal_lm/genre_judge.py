"""Tells the genre of a text by hashed n-grams of characters and words, with logistic regression.

Learns from real texts alone and knows nothing of the model that it judges.
"""

import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

BUCKETS = 2**14
LONGEST = 1000  # characters looked at


def features(text: str) -> np.ndarray:
    """Damped counts of character 1- to 3-grams and of words, (BUCKETS,), of length 1."""
    text = text[:LONGEST]
    grams: Counter[str] = Counter()
    for n in (1, 2, 3):
        grams.update(text[i : i + n] for i in range(len(text) - n + 1))
    grams.update(f"word {word}" for word in re.findall(r"\w+", text.lower()))
    found = np.zeros(BUCKETS, np.float32)
    for gram, many in grams.items():
        found[zlib.crc32(gram.encode()) % BUCKETS] += np.log1p(many)
    return found / max(float(np.linalg.norm(found)), 1e-6)


class GenreJudge:
    def __init__(self, texts: Sequence[str], genres: Sequence[str], epochs: int = 8) -> None:
        """Learn from texts with their genres."""
        self.genres = sorted(set(genres))
        torch.manual_seed(0)
        known = torch.from_numpy(np.stack([features(text) for text in texts]))
        self.rarity = (known > 0).float().mean(0).clamp_min(1 / len(texts)).log().neg()
        known = F.normalize(known * self.rarity)
        truth = torch.tensor([self.genres.index(genre) for genre in genres])
        self.weights = torch.zeros(BUCKETS, len(self.genres), requires_grad=True)
        self.bias = torch.zeros(len(self.genres), requires_grad=True)
        optimiser = torch.optim.Adam([self.weights, self.bias], 0.1)
        for _ in range(epochs):
            for rows in torch.randperm(len(texts)).split(128):
                loss = F.cross_entropy(known[rows] @ self.weights + self.bias, truth[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()

    @torch.no_grad()
    def tell(self, texts: Sequence[str]) -> list[str]:
        """The genre of each text."""
        found = torch.from_numpy(np.stack([features(text) for text in texts]))
        scores = F.normalize(found * self.rarity) @ self.weights + self.bias
        return [self.genres[i] for i in scores.argmax(1).tolist()]
