"""Look-alikes: fingerprints of pictures and texts, and which earlier entries a new one resembles.

It knows fingerprints alone, neither files nor splits. A search compares one fingerprint with all earlier ones in one
vectorised pass, 8 or 256 bytes each: 5,000 pictures take some 50 ms in all, 50,000 some seconds.
"""

import re
import zlib

import imagehash
import numpy as np
from PIL import Image

from studio.lab.sound_looks import SoundLooks

HASH_BITS = 6  # of 64 may differ between near duplicates
CHROMA = 40  # of 255, the largest difference of a block's colour: a blue car is no copy of the red one
LUMA = 32  # of 255, the mean difference of the blocks' brightness
SIMILAR = 0.7  # Jaccard similarity of two texts' word 5-grams
PERMUTATIONS = 64
SHINGLE = 5  # words

_BLOCKS = 8  # a side
_PRIME = np.uint64((1 << 61) - 1)
_SEEDS = np.random.default_rng(20210)
_A = _SEEDS.integers(1, 1 << 31, PERMUTATIONS, dtype=np.uint64)
_B = _SEEDS.integers(0, 1 << 31, PERMUTATIONS, dtype=np.uint64)


def picture_look(picture: Image.Image) -> bytes:
    """200 bytes: a 64-bit perceptual hash (DCT of the luminance, Zauner 2010), then 8 x 8 blocks of Y, Cb, Cr."""
    small = picture.resize((64, 64), Image.Resampling.BOX)
    blocks = small.convert("YCbCr").resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX)
    return np.packbits(imagehash.phash(small).hash).tobytes() + blocks.tobytes()


def text_look(text: str) -> bytes:
    """256 bytes: MinHash of the word 5-grams (Broder 1997), case and punctuation left aside."""
    words = re.findall(r"\w+", text.lower())
    many = max(1, len(words) - SHINGLE + 1)
    grams = {zlib.crc32(" ".join(words[i : i + SHINGLE]).encode()) for i in range(many)}
    hashes = np.fromiter(grams, np.uint64, len(grams))
    least = np.full(PERMUTATIONS, _PRIME)
    for start in range(0, len(hashes), 4096):
        part = (_A[:, None] * hashes[None, start : start + 4096] + _B[:, None]) % _PRIME
        least = np.minimum(least, part.min(axis=1))
    return (least & np.uint64(0xFFFFFFFF)).astype(np.uint32).tobytes()


class PictureLooks:
    """Fingerprints of pictures in their order."""

    def __init__(self, looks: list[bytes]) -> None:
        table = np.frombuffer(b"".join(looks), np.uint8).reshape(len(looks), 8 + 3 * _BLOCKS**2)
        self._hashes = np.ascontiguousarray(table[:, :8]).view(np.uint64).ravel()
        self._blocks = table[:, 8:].reshape(len(looks), _BLOCKS**2, 3)

    def before(self, index: int) -> np.ndarray:
        """The indices below `index` of pictures that resemble this one, the nearest first."""
        bits = np.bitwise_count(self._hashes[:index] ^ self._hashes[index])
        found = np.flatnonzero(bits <= HASH_BITS)
        differences = np.abs(self._blocks[found].astype(np.int16) - self._blocks[index])
        alike = (differences[:, :, 1:].max(axis=(1, 2), initial=0) <= CHROMA) & (
            differences[:, :, 0].mean(axis=1) <= LUMA
        )
        found, apart = found[alike], differences[alike].mean(axis=(1, 2))
        return found[np.lexsort((apart, bits[found]))]


class TextLooks:
    """Fingerprints of texts in their order."""

    def __init__(self, looks: list[bytes]) -> None:
        self._table = np.frombuffer(b"".join(looks), np.uint32).reshape(len(looks), PERMUTATIONS)

    def before(self, index: int) -> np.ndarray:
        """The indices below `index` of texts that share most of their 5-grams with this one, the nearest first."""
        similar = (self._table[:index] == self._table[index]).mean(axis=1)
        found = np.flatnonzero(similar >= SIMILAR)
        return found[np.argsort(-similar[found], kind="stable")]


LOOKS = {"image": PictureLooks, "text": TextLooks, "sound": SoundLooks}  # kinds in which look-alikes can be found
