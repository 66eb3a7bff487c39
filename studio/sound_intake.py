"""Reading a person's own score or sound safely: what it really is, and a clean copy without surprises."""

from pathlib import Path

import numpy as np
import soundfile

from studio.errors import InvalidInput
from studio.music.midi import write_midi
from studio.types import Value

MAX_SCORE = 10 * 2**20  # bytes
MAX_SOUND = 256 * 2**20
MAX_SECONDS = 3600
SCORE_NAMES = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn")
SOUND_NAMES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")


def kind(file: Path, name: str) -> str:
    """ "score", "sound" or "" for neither, told by the first bytes, and by the name where they say nothing."""
    with file.open("rb") as opened:
        head = opened.read(4096)
    suffix = Path(name).suffix.lower()
    if head.startswith(b"MThd") or (suffix in SCORE_NAMES and not is_sound(head)):
        return "score"
    if is_sound(head) or suffix in SOUND_NAMES:
        return "sound"
    return ""


def is_sound(head: bytes) -> bool:
    riff = head.startswith(b"RIFF") and head[8:12] == b"WAVE"
    mp3 = head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)
    return riff or mp3 or head.startswith((b"fLaC", b"OggS", b"FORM"))


def clean_score(file: Path, target: Path, name: str) -> dict[str, Value]:
    """Writes the score as a standard MIDI file to `target` and says how long it is. InvalidInput."""
    size = file.stat().st_size
    if size > MAX_SCORE:
        raise InvalidInput(f"{name} has {size / 2**20:.0f} MB.", f"Scores up to {MAX_SCORE // 2**20} MB can be read.")
    from studio.music import files  # scipy, lxml and pypdf take a second to import: the program starts without them

    score = files.read_score(file.read_bytes(), name)
    target.write_bytes(write_midi(score))
    return {"duration": score.seconds, "bars": score.bars}


def clean_sound(file: Path, target: Path, name: str) -> dict[str, Value]:
    """Writes the sound as FLAC to `target` and says how long it is. InvalidInput when it cannot be read."""
    size = file.stat().st_size
    if size > MAX_SOUND:
        raise InvalidInput(f"{name} has {size / 2**20:.0f} MB.", f"Sounds up to {MAX_SOUND // 2**20} MB can be read.")
    try:
        with soundfile.SoundFile(file) as opened:
            seconds = opened.frames / opened.samplerate
            if seconds > MAX_SECONDS or opened.channels > 8:
                raise InvalidInput(
                    f"{name} lasts {seconds / 60:.0f} minutes in {opened.channels} channels.",
                    f"Up to {MAX_SECONDS // 60} minutes in 8 channels can be read.",
                )
            samples, rate = opened.read(dtype="float32", always_2d=True), opened.samplerate
    except (soundfile.LibsndfileError, OSError, ValueError, MemoryError) as error:
        raise InvalidInput(f"{name} is no sound that can be read.", "Use WAV, FLAC, OGG or MP3.") from error
    if not len(samples):
        raise InvalidInput(f"{name} holds no sound.", "Choose another file.")
    soundfile.write(target, np.nan_to_num(samples), rate, format="FLAC", subtype="PCM_16")
    return {"duration": len(samples) / rate, "sample_rate": rate}
