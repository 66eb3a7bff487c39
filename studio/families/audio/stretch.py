"""Sound made longer or shorter at the same pitch: overlapping pieces, each taken where it fits best what came before
(WSOLA; Verhelst and Roelands, 1993).
"""

import numpy as np

from studio.music.levels import Samples

PIECE, SEARCH = 0.04, 0.012  # seconds


def stretched(samples: Samples, rate: int, speed: float) -> Samples:
    """(channels, samples) -> (channels, about samples / speed). `speed` 2 is twice as fast."""
    piece = max(16, round(PIECE * rate) // 2 * 2)
    hop, search = piece // 2, max(1, round(SEARCH * rate))
    if speed == 1 or samples.shape[1] <= piece + search:
        return samples
    length = round(samples.shape[1] / speed)
    wanted = np.pad(samples, ((0, 0), (search, piece + 2 * search)))
    mono = wanted.mean(axis=0)
    window = np.hanning(piece + 1)[:piece].astype(np.float32)
    made = np.zeros((len(samples), length + 2 * piece), np.float32)
    weight = np.zeros(length + 2 * piece, np.float32)
    place = search
    for out in range(0, length + hop, hop):
        if out:
            near = min(round(out * speed), samples.shape[1]) + search
            place = near + _best(mono, place + hop, near, piece, search)
        made[:, out : out + piece] += wanted[:, place : place + piece] * window
        weight[out : out + piece] += window
    return (made / np.maximum(weight, 1e-3))[:, :length]


def _best(mono: Samples, follows: int, near: int, piece: int, search: int) -> int:
    """Within -search..search: where a piece near `near` is most alike to what follows the last one."""
    target = mono[follows : follows + piece]
    target = np.pad(target, (0, piece - len(target)))
    span = mono[near - search : near + search + piece]
    span = np.pad(span, (0, 2 * search + piece - len(span)))
    alike = np.correlate(span, target, "valid")
    power = np.convolve(span**2, np.ones(piece), "valid")
    return int(np.argmax(alike / np.sqrt(power + 1e-9))) - search
