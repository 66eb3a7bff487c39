"""Reading a person's own score or sound safely: what it really is, and a clean copy without surprises."""

from pathlib import Path

import numpy as np
import soundfile

from studio.errors import InvalidInput
from studio.music.midi import write_midi
from studio.music.sound_files import SOUND_NAMES, blocks, opened
from studio.types import Value

MAX_SCORE = 10 * 2**20  # bytes
MAX_SOUND = 256 * 2**20
MAX_SECONDS = 3600
MAX_SAMPLES = MAX_SECONDS * 48_000 * 2  # frames times channels: an hour in stereo
SCORE_NAMES = (".mid", ".midi", ".musicxml", ".xml", ".mxl", ".abc", ".krn")


def kind(file: Path, name: str) -> str:
    """ "score", "sound" or "" for neither, told by the first bytes, and by the name where they say nothing."""
    with file.open("rb") as stream:
        head = stream.read(4096)
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
    with opened(file, name) as source:
        rate, channels = source.samplerate, source.channels
        seconds = source.frames / rate
        if seconds > MAX_SECONDS or channels > 8 or source.frames * channels > MAX_SAMPLES:
            raise InvalidInput(
                f"{name} lasts {seconds / 60:.0f} minutes in {channels} channels at {rate:,} Hz.",
                f"Up to {MAX_SECONDS // 60} minutes in stereo at 48,000 Hz can be read, or less of more channels.",
            )
        try:
            with soundfile.SoundFile(target, "w", rate, channels, "PCM_16", format="FLAC") as clean:
                frames = _copied(source, clean, name)
        except (soundfile.LibsndfileError, OSError) as error:
            said = f"{name} could not be kept at {rate:,} Hz in {channels} channels: {error}."
            raise InvalidInput(said, "Make room on the disk, or save it at 44,100 Hz in stereo.") from error
    if not frames:
        raise InvalidInput(f"{name} holds no sound.", "Choose another file.")
    return {"duration": frames / rate, "sample_rate": rate}


def _copied(source: soundfile.SoundFile, clean: soundfile.SoundFile, name: str) -> int:
    """Copies block by block; how many frames there were."""
    frames = 0
    for block in blocks(source, name):
        clean.write(np.nan_to_num(block))
        frames += len(block)
    return frames
