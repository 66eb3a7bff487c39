"""Sounds that tests teach: melodies of plain tones, made from a number, and what formats and levels do to them."""

import io
from pathlib import Path

import numpy as np
import soundfile

RATE = 32_000


def melody(seed: int, seconds: float = 4.0, rate: int = RATE, beat: float = 0.25) -> np.ndarray:
    """(samples,) float32: a random melody over a bass, each tone with four harmonics that fade."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round(seconds * rate), np.float32)
    for low, length in ((60, beat), (36, 4 * beat)):
        for start in np.arange(0, seconds - length / 2, length):
            first, many = round(start * rate), round(length * rate)
            time = np.arange(min(many, len(samples) - first)) / rate
            pitch = 440 * 2 ** ((low + rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) - 69) / 12)
            tone = sum(np.sin(2 * np.pi * k * pitch * time) / k**1.5 for k in range(1, 5))
            samples[first : first + len(time)] += 0.2 * tone * np.exp(-3 * time / length)
    return samples


def encoded(samples: np.ndarray, rate: int = RATE, format: str = "WAV", subtype: str | None = None) -> bytes:
    """A file of (samples,) or (samples, channels)."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=format, subtype=subtype)
    return file.getvalue()


def saved(folder: Path, seeds: range, seconds: float = 4.0) -> list[Path]:
    """Melodies as WAV files in the folder."""
    files = [folder / f"tune {seed}.wav" for seed in seeds]
    for seed, file in zip(seeds, files, strict=True):
        file.write_bytes(encoded(melody(seed, seconds)))
    return files
