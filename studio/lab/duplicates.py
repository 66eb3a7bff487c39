"""Look-alikes: fingerprints of pictures, texts and shapes, and which earlier entries a new one resembles.

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

SHAPES_APART = 0.09  # between two shapes' fingerprints, which are of length one or a little more

_POINTS = 4096  # at which a surface is looked at
_LEVELS, _RINGS = 16, 10
_BANDS, _WAVES = 8, 8
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


def shape_look(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """224 bytes of a mesh (v, 3), (f, 3) that stands upright, the same however it is turned about its axis or scaled.

    Where its surface lies, by height and distance from the axis through its middle; then how strongly it waves around
    that axis, once to eight times, by height: of a Fourier series only the strengths stay when it is turned.
    """
    corners = vertices[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    share = np.cumsum(np.linalg.norm(across, axis=1))
    places = (np.arange(_POINTS) + 0.5) / _POINTS * share[-1]
    of_face = np.searchsorted(share, places).clip(0, len(faces) - 1)
    u, v = (np.arange(_POINTS) * np.array([[0.7548776662], [0.5698402910]])) % 1  # M. Roberts' R2 series, even
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    a, b, c = (corners[of_face, k] for k in range(3))
    points = a + u[:, None] * (b - a) + v[:, None] * (c - a)
    x, z = (points[:, k] - points[:, k].mean() for k in (0, 2))
    away, up = np.hypot(x, z), points[:, 1] - corners[:, :, 1].min()
    size = max(float(up.max()), 2 * float(away.max()), 1e-12)
    lies = np.zeros((_LEVELS, _RINGS))
    for level, much in _shares(up / size * (_LEVELS - 1), _LEVELS):
        for ring, more in _shares(away / size * 2 * (_RINGS - 1), _RINGS):
            np.add.at(lies, (level, ring), much * more / _POINTS)
    waves = np.exp(1j * np.arctan2(z, x)[:, None] * np.arange(1, _WAVES + 1)) * (away / size)[:, None]
    strength = np.zeros((_BANDS, _WAVES), complex)
    for band, much in _shares(up / size * (_BANDS - 1), _BANDS):
        np.add.at(strength, band, waves * much[:, None] / _POINTS)
    both = np.concatenate([np.sqrt(lies).ravel(), 3 * np.abs(strength).ravel()])
    return np.round(both * 255).clip(0, 255).astype(np.uint8).tobytes()


def _shares(places: np.ndarray, many: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The bins below and above each place, and how much of it falls to them."""
    low = places.astype(int).clip(0, many - 2)
    more = (places - low).clip(0, 1)
    return (low, 1 - more), (low + 1, more)


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


class ShapeLooks:
    """Fingerprints of shapes in their order."""

    def __init__(self, looks: list[bytes]) -> None:
        many = _LEVELS * _RINGS + _BANDS * _WAVES
        self._table = np.frombuffer(b"".join(looks), np.uint8).reshape(len(looks), many).astype(np.int16)

    def before(self, index: int) -> np.ndarray:
        """The indices below `index` of shapes that resemble this one, the nearest first."""
        apart = np.sqrt((np.square((self._table[:index] - self._table[index]) / 255.0)).sum(axis=1))
        found = np.flatnonzero(apart <= SHAPES_APART)
        return found[np.argsort(apart[found], kind="stable")]


# kinds in which look-alikes can be found
LOOKS = {"image": PictureLooks, "text": TextLooks, "sound": SoundLooks, "shape": ShapeLooks}
