"""Loudness and peaks of stereo sound: measured as ITU-R BS.1770-5 asks, and brought to a target. Knows no music."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d
from scipy.signal import firwin, resample_poly, sosfilt

Floats = NDArray[np.floating]
BLOCK, STEP = 0.4, 0.1  # seconds
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU
OVERSAMPLED = 4
WINDOW = 0.012  # seconds over which the limiter moves
MOST_LIMITING = 12.0  # dB that the limiter may take to reach the loudness
NEAR = 0.1  # LU from the target that is good enough
_ATTEMPTS = 5
_FINER = np.asarray(firwin(OVERSAMPLED * 32 + 1, 1 / OVERSAMPLED), np.float32)


def _k_weighting(rate: int) -> list[list[float]]:
    """The two filters of BS.1770, annex 1, as second-order sections for any sample rate: its analogue prototypes by
    the bilinear transform (as B. De Man derived them, 2014).
    """
    turn = np.tan(np.pi * 1681.974450955533 / rate)
    quality, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    first = 1 + turn / quality + turn**2
    shelf = [
        (high + band * turn / quality + turn**2) / first,
        2 * (turn**2 - high) / first,
        (high - band * turn / quality + turn**2) / first,
        *(1.0, 2 * (turn**2 - 1) / first, (1 - turn / quality + turn**2) / first),
    ]
    turn, quality = np.tan(np.pi * 38.13547087602444 / rate), 0.5003270373238773
    first = 1 + turn / quality + turn**2
    cut = [1.0, -2.0, 1.0, 1.0, 2 * (turn**2 - 1) / first, (1 - turn / quality + turn**2) / first]
    return [shelf, cut]


def loudness(samples: Floats, rate: int) -> float:
    """Integrated loudness in LUFS of (channels, samples), gated; -inf for silence. Under 0.4 s it is one block."""
    weighted = sosfilt(_k_weighting(rate), samples)
    power = np.square(weighted).sum(0)
    size, step = round(BLOCK * rate), round(STEP * rate)
    total = np.concatenate([[0.0], np.cumsum(power)])
    begins = np.arange(0, max(len(power) - size, 0) + 1, step)
    ends = np.minimum(begins + size, len(power))
    blocks = (total[ends] - total[begins]) / size
    loud = blocks[blocks > 10 ** ((ABSOLUTE_GATE + 0.691) / 10)]
    if not len(loud):
        return -np.inf
    loud = loud[loud > loud.mean() * 10 ** (RELATIVE_GATE / 10)]
    return float(-0.691 + 10 * np.log10(loud.mean()))


def peaks(samples: Floats, above: float = 0.0) -> Floats:
    """(samples,) the true peak around each sample of (channels, samples) over all channels.

    Oversampled is what lies around samples larger than 0.6 x `above` (0: the largest sample), since between two
    samples a peak is rarely 3 dB higher and hardly ever 4; elsewhere the sample itself stands.
    """
    level = np.abs(samples).max(0)
    if not level.size or not level.max():
        return level
    block, around = 1024, 32
    loud = np.maximum.reduceat(level, np.arange(0, len(level), block)) > 0.6 * (above or level.max())
    out = level.copy()
    for first in np.flatnonzero(loud & ~np.concatenate([[False], loud[:-1]])).tolist():
        last = first + int(np.argmin(np.append(loud[first:], False)))
        begin, end = max(first * block - around, 0), min(last * block + around, len(level))
        finer = np.abs(resample_poly(samples[:, begin:end], OVERSAMPLED, 1, axis=1, window=_FINER)).max(0)
        between = finer.reshape(-1, OVERSAMPLED).max(1)
        near = np.maximum(between, np.concatenate([between[:1], between[:-1]]))  # a peak lies between two samples
        out[begin:end] = np.maximum(out[begin:end], near)
    return out


def true_peak(samples: Floats) -> float:
    """In dBTP, by fourfold oversampling; -inf for silence."""
    top = float(peaks(samples).max(initial=0.0))
    return 20 * np.log10(top) if top else -np.inf


def gains(samples: Floats, rate: int, target: float, ceiling: float, *, loop: bool = False) -> Floats:
    """(samples,) what to multiply with so that the sound has `target` LUFS and no true peak above `ceiling` dBTP.

    One gain for all where the peaks allow it; else a limiter that looks ahead and takes at most 12 dB, so that very
    uneven sound stays below the target. `loop`: the end is followed by the beginning.
    """
    measured = loudness(samples, rate)
    if not np.isfinite(measured):
        return np.ones(samples.shape[1], np.float32)
    limit = 10 ** (ceiling / 20) * 0.998
    gain = 10 ** ((target - measured) / 20)
    top = peaks(samples, limit / gain)
    highest = float(top.max())
    if gain * highest <= limit:
        return np.full(samples.shape[1], gain, np.float32)
    most = limit / highest * 10 ** (MOST_LIMITING / 20)
    curve = np.ones(samples.shape[1], np.float32)
    for _ in range(_ATTEMPTS):
        gain = min(gain, most)
        curve = np.float32(gain) * _limiter(top * np.float32(gain), rate, limit, loop=loop)
        missing = target - loudness(samples * curve, rate)
        if gain == most or abs(missing) < NEAR:
            break
        gain *= 10 ** (missing / 20)
    over = 10 ** (true_peak(samples * curve) / 20) / limit
    return curve / np.float32(max(over, 1.0))


def _limiter(top: Floats, rate: int, limit: float, *, loop: bool) -> Floats:
    """(samples,) at most 1, nowhere above limit / top: the least over a window, then averaged over the same window."""
    if top.max() <= limit:
        return np.ones(len(top), np.float32)
    wanted = np.minimum(1.0, limit / np.maximum(top, 1e-9)).astype(np.float32)
    half = min(round(WINDOW * rate / 2), (len(top) - 1) // 2)
    mode = "wrap" if loop else "nearest"
    least = minimum_filter1d(wanted, 2 * half + 1, mode=mode)
    box = max(half + half % 2 - 1, 1)  # odd, and twice as wide with its second pass, so within the window
    return np.minimum(uniform_filter1d(uniform_filter1d(least, box, mode=mode), box, mode=mode), 1.0)
