"""Samples as numbers: how loud they are, whether they are sound at all, other rates, files. Knows no model.

Samples are float32 (channels, samples), full scale is -1..1.
"""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from scipy import signal

from studio.errors import InvalidInput, ModelError

Samples = np.ndarray
SILENCE = 1e-4  # of full scale, -80 dB
BLOCK, OVERLAP = 0.4, 0.75  # seconds, share: the gating blocks of BS.1770
LEAST_RATE = 8000  # Hz, below which the filters of loudness have no room
LONGEST = 600.0  # seconds of a given file that are used
Writer = Callable[[Path], None]


def loudness(samples: Samples, rate: int) -> float:
    """Integrated loudness in LUFS by ITU-R BS.1770-4; -70 for silence, and for less than one block of 0.4 s as is."""
    if rate < LEAST_RATE:
        samples, rate = resampled(samples, rate, LEAST_RATE), LEAST_RATE
    weighted = k_weighted(samples.astype(np.float64), rate)
    block, hop = round(BLOCK * rate), round(BLOCK * (1 - OVERLAP) * rate)
    starts = range(0, max(1, weighted.shape[1] - block + 1), hop)
    power = np.array([np.mean(weighted[:, at : at + block] ** 2, axis=1).sum() for at in starts])
    levels = _decibels(power)
    heard = power[levels > -70]
    if not len(heard):
        return -70.0
    kept = power[(levels > -70) & (levels > _decibels(heard.mean()) - 10)]
    return float(_decibels(kept.mean()))


def _decibels(power: np.ndarray | np.floating) -> np.ndarray:
    return -0.691 + 10 * np.log10(np.maximum(power, 1e-12))


def k_weighted(samples: Samples, rate: int) -> Samples:
    """Through the shelf and the high-pass of BS.1770, designed for any rate as in its annex (De Man, 2014)."""
    gain, q, corner = 3.999843853973347, 0.7071752369554196, 1681.974450955533
    k, high = np.tan(np.pi * corner / rate), 10 ** (gain / 20)
    middle = high**0.4996667741545416
    over = 1 + k / q + k * k
    shelf_b = np.array([high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]) / over
    shelf_a = np.array([1, 2 * (k * k - 1) / over, (1 - k / q + k * k) / over])
    q, corner = 0.5003270373238773, 38.13547087602444
    k = np.tan(np.pi * corner / rate)
    over = 1 + k / q + k * k
    pass_a = np.array([1, 2 * (k * k - 1) / over, (1 - k / q + k * k) / over])
    return np.asarray(signal.lfilter([1.0, -2.0, 1.0], pass_a, np.asarray(signal.lfilter(shelf_b, shelf_a, samples))))


def sound(samples: Samples, name: str) -> Samples:
    """The samples as float32 (channels, samples), quieter where they would clip. ModelError where they are no sound."""
    made = np.atleast_2d(np.asarray(samples, np.float32))
    if not made.size:
        raise ModelError(f"{name!r} made no sound at all.", "Try another seed or other words.")
    if not np.isfinite(made).all():
        said = f"{name!r} made numbers that are no sound (NaN)."
        raise ModelError(said, "Try another seed, or run it in float32: STUDIO_DEVICE=cpu.")
    peak = float(np.abs(made).max())
    return made / peak if peak > 1 else made


def silent(samples: Samples) -> bool:
    return float(np.abs(samples).max(initial=0)) < SILENCE


def read_sound(file: Path, rate: int, channels: int, field: str) -> Samples:
    """A sound file (WAV, FLAC, OGG, MP3 ...) at that rate, as mono or stereo; its first ten minutes. InvalidInput."""
    try:
        with soundfile.SoundFile(file) as opened:
            own = opened.samplerate
            given = opened.read(int(LONGEST * own), dtype="float32", always_2d=True).T
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
        said = f"The {field} cannot be read as sound."
        raise InvalidInput(said, "Choose a WAV, FLAC, OGG or MP3 file.", field=field) from error
    if given.shape[1] < own // 10 or silent(given) or not np.isfinite(given).all():
        raise InvalidInput(f"The {field} has nothing to hear.", "Choose a file with sound.", field=field)
    mono = given.mean(axis=0, keepdims=True)
    given = mono if channels == 1 else given[:2] if len(given) > 1 else np.repeat(mono, channels, axis=0)
    return resampled(given, own, rate)


def resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    if rate == wanted:
        return samples
    common = int(np.gcd(rate, wanted))
    return signal.resample_poly(samples, wanted // common, rate // common, axis=-1).astype(np.float32)


def writer(samples: Samples, rate: int, form: str) -> Writer:
    """Writes them as "FLAC" or "WAV" with 16 bits; quieter where they would clip."""

    def write(path: Path) -> None:
        held = np.atleast_2d(samples)
        peak = float(np.abs(held).max(initial=0))
        file = io.BytesIO()
        soundfile.write(file, (held / peak if peak > 1 else held).T, rate, format=form, subtype="PCM_16")
        path.write_bytes(file.getvalue())

    return write
