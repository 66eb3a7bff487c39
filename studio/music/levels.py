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
from studio.music.files import read_score
from studio.music.loudness import loudness
from studio.music.sound import RATE, render

Samples = np.ndarray
MIDI = b"MThd"  # how its files begin
SILENCE = 1e-4  # of full scale, -80 dB
LEAST_RATE = 8000  # Hz, below which the filters of loudness have no room
LONGEST = 600.0  # seconds of a given file that are used
Writer = Callable[[Path], None]


def lufs(samples: Samples, rate: int) -> float:
    """Integrated loudness by ITU-R BS.1770; -70 for silence."""
    if rate < LEAST_RATE:
        samples, rate = resampled(samples, rate, LEAST_RATE), LEAST_RATE
    return max(-70.0, loudness(samples, rate))


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
    """A sound file (WAV, FLAC, OGG, MP3 ...) at that rate, as mono or stereo; its first ten minutes. A MIDI file is
    played. InvalidInput.
    """
    given, own = _opened(file, field)
    if given.shape[1] < own // 10 or silent(given) or not np.isfinite(given).all():
        raise InvalidInput(f"The {field} has nothing to hear.", "Choose a file with sound.", field=field)
    mono = given.mean(axis=0, keepdims=True)
    given = mono if channels == 1 else given[:2] if len(given) > 1 else np.repeat(mono, channels, axis=0)
    return resampled(given, own, rate)


def _opened(file: Path, field: str) -> tuple[Samples, int]:
    """(channels, samples), and their rate."""
    try:
        with file.open("rb") as opened:
            plays = opened.read(4) == MIDI
        if plays:
            return render(read_score(file.read_bytes(), file.name)).T, RATE
        with soundfile.SoundFile(file) as opened:
            return opened.read(int(LONGEST * opened.samplerate), dtype="float32", always_2d=True).T, opened.samplerate
    except (soundfile.SoundFileError, OSError, RuntimeError, ValueError) as error:
        said = f"The {field} cannot be read as sound."
        raise InvalidInput(said, "Choose a WAV, FLAC, OGG, MP3 or MIDI file.", field=field) from error


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
