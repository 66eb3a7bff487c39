"""A judge of styles: measures of an excerpt's notes and a small network that learned them from real pieces.

The judge sees notes, metre and tonic, never the words of a wish. Knows no model of scores.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from studio.families.score.piece import DRUMS, METRES, PARTS, STYLES, TICKS, Piece

PLACES = 24  # parts of a bar in which onsets are counted
LENGTHS = (4, 6, 8, 12, 16, 24, 36, 48, 72, 96)  # ticks that part the classes of length


def top_line(piece: Piece) -> np.ndarray:
    """(n, 4) the highest note of the melody at each onset; of all pitched notes where there is no melody."""
    notes = piece.notes[piece.notes[:, 3] == 0]
    if not len(notes):
        notes = piece.notes[piece.notes[:, 3] != DRUMS]
    if not len(notes):
        return notes
    order = np.lexsort((-notes[:, 2], notes[:, 0]))
    notes = notes[order]
    return notes[np.append(True, np.diff(notes[:, 0]) > 0)]


def features(piece: Piece) -> np.ndarray:
    """Numbers that describe an excerpt: parts, rhythm in the bar, lengths, pitches, intervals."""
    found = [np.array([metre == piece.metre for metre in METRES], float)]
    quarters = piece.length / TICKS
    for part in range(len(PARTS)):
        notes = piece.notes[piece.notes[:, 3] == part]
        many = max(len(notes), 1)
        onsets = len(np.unique(notes[:, 0]))
        place = notes[:, 0] % piece.bar * PLACES // piece.bar
        found.append(np.array([len(notes) > 0, len(notes) / quarters, len(notes) / max(onsets, 1)], float))
        found.append(np.minimum(np.bincount(place, minlength=PLACES) / piece.bars, 4))
        if part == DRUMS:
            found.append(np.bincount(notes[:, 2].clip(35, 52) - 35, minlength=18) / many)
        else:
            found.append(np.bincount(np.searchsorted(LENGTHS, notes[:, 1], "right"), minlength=11) / many)
            pitches = notes[:, 2] if len(notes) else np.array([60])
            found.append(np.array([pitches.mean() / 12 - 5, pitches.std() / 12]))
    pitched = piece.notes[piece.notes[:, 3] != DRUMS]
    found.append(np.bincount((pitched[:, 2] - piece.tonic) % 12, minlength=12) / max(len(pitched), 1))
    line = top_line(piece)
    steps = np.diff(line[:, 2]).clip(-12, 12) + 12 if len(line) else np.zeros(0, int)
    found.append(np.bincount(steps, minlength=25) / max(len(steps), 1))
    found.append(np.array([piece.mode, len(line) / quarters]))
    return np.concatenate(found).astype(np.float32)


class Judge(nn.Module):
    """Says from features (n, features) which of STYLES an excerpt has, as scores (n, styles)."""

    def __init__(self, middle: torch.Tensor, spread: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("middle", middle)
        self.register_buffer("spread", spread)
        self.body = nn.Sequential(nn.Linear(len(middle), 96), nn.GELU(), nn.Dropout(0.4), nn.Linear(96, len(STYLES)))

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        return self.body(((numbers - self.middle) / self.spread).clamp(-4, 4))

    @torch.inference_mode()
    def styles(self, pieces: list[Piece]) -> list[str]:
        numbers = torch.from_numpy(np.stack([features(piece) for piece in pieces]))
        return [STYLES[i] for i in self.eval()(numbers).argmax(1).tolist()]


def train_judge(pieces: list[Piece], steps: int = 800, batch: int = 256) -> Judge:
    """Learn from real excerpts; rare styles come more often than their share, by its square root."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    numbers = torch.from_numpy(np.stack([features(piece) for piece in pieces]))
    truth = np.array([STYLES.index(piece.style) for piece in pieces])
    share = np.bincount(truth, minlength=len(STYLES))[truth] ** -0.5
    share /= share.sum()
    judge = Judge(numbers.mean(0), numbers.std(0) + 0.02).train()
    optimiser = torch.optim.AdamW(judge.parameters(), 3e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(steps):
        some = torch.from_numpy(rng.choice(len(truth), batch, p=share))
        loss = F.cross_entropy(judge(numbers[some]), torch.from_numpy(truth[some.numpy()]), label_smoothing=0.05)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    return judge.eval()
