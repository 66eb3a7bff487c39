"""Fingerprints of sounds: the same recording in another format, at another level or rate is found, another take is not.

A fingerprint is coarse: which pitch classes and which octaves sound in each of 24 even parts. Knows samples alone.
"""

import numpy as np

PARTS, CLASSES, OCTAVES = 24, 12, 8
LOWEST = 55.0  # Hz, where the first octave begins; the last ends at 14 kHz
FLOOR = 48.0  # dB below the loudest octave of all: what is softer counts as nothing
LENGTHS = 0.03  # by which share two lengths may differ
CHROMA = 0.035  # mean difference of the shares of pitch classes, of 2 at most
LEVELS = 1.5  # dB, mean difference of the octaves
WINDOW = 0.19  # seconds
_SIZE = 4 + PARTS * (CLASSES + OCTAVES)


def sound_look(mono: np.ndarray, rate: int) -> bytes:
    """484 bytes of (samples,): the length in milliseconds, then of each part the shares of its twelve pitch classes and
    its octaves' levels in dB below the loudest of all.
    """
    size = 2 ** round(np.log2(WINDOW * rate))
    powers = _powers(mono, size)
    notes = 12 * np.log2(np.maximum(np.fft.rfftfreq(size, 1 / rate), 1e-9) / LOWEST)
    heard = (notes >= 0) & (notes < 12 * OCTAVES)
    classes = np.zeros((heard.sum(), CLASSES), np.float32)
    classes[np.arange(len(classes)), np.round(notes[heard]).astype(int) % CLASSES] = 1
    octaves = np.zeros((heard.sum(), OCTAVES), np.float32)
    octaves[np.arange(len(octaves)), notes[heard].astype(int) // 12] = 1
    chroma = np.sqrt(powers[:, heard] @ classes)  # as amplitudes, so that a soft voice counts too
    levels = 10 * np.log10(powers[:, heard] @ octaves + 1e-20)
    levels = np.clip(levels - levels.max() + FLOOR, 0, FLOOR)
    shares = chroma / np.maximum(chroma.sum(1, keepdims=True), 1e-10) * (levels.max(1, keepdims=True) > 0)
    table = np.concatenate([shares * 255, levels * (255 / FLOOR)], 1)
    milliseconds = np.uint32(round(1000 * len(mono) / rate))
    return milliseconds.tobytes() + np.round(table).astype(np.uint8).tobytes()


def _powers(mono: np.ndarray, size: int) -> np.ndarray:
    """(PARTS, size // 2 + 1): mean power spectra of the parts, by windows that overlap by half."""
    padded = np.pad(mono, (0, max(0, size - len(mono))))
    starts = np.linspace(0, len(padded) - size, max(PARTS, 2 * len(padded) // size), dtype=int)
    window = np.hanning(size).astype(np.float32)
    spectra = np.zeros((PARTS, size // 2 + 1), np.float32)
    places = np.arange(len(starts)) * PARTS // len(starts)
    for start, place in zip(starts.tolist(), places.tolist(), strict=True):
        spectra[place] += np.abs(np.fft.rfft(padded[start : start + size] * window)) ** 2
    return spectra / np.bincount(places, minlength=PARTS)[:, None]


class SoundLooks:
    """Fingerprints of sounds in their order."""

    def __init__(self, looks: list[bytes]) -> None:
        table = np.frombuffer(b"".join(looks), np.uint8).reshape(len(looks), _SIZE)
        self._lengths = np.ascontiguousarray(table[:, :4]).view(np.uint32).ravel().astype(np.float64)
        parts = table[:, 4:].reshape(len(looks), PARTS, CLASSES + OCTAVES)
        self._chroma, self._levels = parts[:, :, :CLASSES], parts[:, :, CLASSES:]

    def before(self, index: int) -> np.ndarray:
        """The indices below `index` of sounds that are nearly the same as this one, the nearest first."""
        apart = np.abs(self._lengths[:index] - self._lengths[index])
        found = np.flatnonzero(apart <= LENGTHS * self._lengths[index])
        chroma, levels = (
            np.abs(table[found].astype(np.int16) - table[index]) for table in (self._chroma, self._levels)
        )
        differs = chroma.sum(2).mean(1) / 255
        alike = (differs <= CHROMA) & (levels.mean((1, 2)) * FLOOR / 255 <= LEVELS)
        return found[alike][np.argsort(differs[alike], kind="stable")]
