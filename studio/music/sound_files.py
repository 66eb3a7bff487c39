"""Sound files of a person, opened and read in blocks, so that an hour takes no more memory than a second. Light: it
starts without scipy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from studio.errors import InvalidInput

SOUND_NAMES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")
BLOCK = 1 << 18  # frames that are in memory at once
DAMAGE = (soundfile.LibsndfileError, OSError, ValueError, MemoryError)  # what reading a broken file raises


def opened(file: Path | BinaryIO, name: str) -> soundfile.SoundFile:
    """InvalidInput where it is no sound that can be read."""
    try:
        return soundfile.SoundFile(file)
    except DAMAGE as error:
        raise unreadable(name) from error


def blocks(source: soundfile.SoundFile, name: str) -> Iterator[np.ndarray]:
    """float32 (frames, channels) up to the end. InvalidInput where it is damaged."""
    while True:
        try:
            block = source.read(BLOCK, dtype="float32", always_2d=True)
        except DAMAGE as error:
            raise unreadable(name) from error
        if not len(block):
            return
        yield block


def unreadable(name: str) -> InvalidInput:
    return InvalidInput(f"{name} is no sound that can be read.", "Use WAV, FLAC, OGG or MP3.")
