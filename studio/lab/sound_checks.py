"""One sound file of a training set: what is wrong with it, and its standard copy; a long one in parts.

It reads WAV, FLAC, OGG, MP3, AIFF and what else soundfile reads, twice from begin to end and block by block, so that
an hour takes no more memory than half a minute. It knows the bytes of one file, not the other ones. A copy is FLAC with
16 bits at 44,100 Hz, mono or stereo, at most PART seconds long.
"""

import hashlib
import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from studio.errors import InvalidInput
from studio.lab.items import Cleaned, Problem
from studio.lab.report import clock
from studio.lab.sound_looks import sound_look
from studio.music.levels import SILENCE, resampled, writer
from studio.music.sound import RATE
from studio.music.sound_files import SOUND_NAMES, blocks, opened

SUFFIXES = frozenset((*SOUND_NAMES, ".aifc", ".au", ".caf", ".w64", ".rf64"))
PART = 30.0  # seconds of a copy at most: what models of music learnt at once
SHORTEST = 1.0  # seconds
MOST_SECONDS = 4 * 3600
MOST_CHANNELS = 8
STEP = 0.05  # seconds that are measured as one
QUIET = -40.0  # dB, below which a sound is made louder, up to LEVEL or its peak's PEAK
LEVEL, PEAK = -23.0, 0.9
EDGE = 60.0  # dB below the peak: what is softer at the ends is silence there
ENDS = 0.3  # seconds of silence that are told of
OFFSET = 0.003  # of full scale
TOP, CLIPPED = 0.999, 3e-4  # of full scale; the share of samples that stand there in rows of three or more
DULL = 32_000  # Hz, what MusicGen hears


@dataclass
class Measures:
    """What the first reading found. `peaks` and `powers` are those of each STEP."""

    rate: int
    frames: int = 0
    peaks: list[float] = field(default_factory=list)
    powers: list[float] = field(default_factory=list)
    total: float = 0.0  # of all samples of all channels
    samples: int = 0
    clipped: int = 0
    broken: int = 0  # samples that are no numbers
    cut: bool = False  # the end is missing

    @property
    def step(self) -> int:
        """Frames that are measured as one."""
        return max(1, round(STEP * self.rate))

    @property
    def offset(self) -> float:
        middle = self.total / max(1, self.samples)
        return middle if abs(middle) >= OFFSET else 0.0

    @property
    def peak(self) -> float:
        return max(self.peaks, default=0.0)

    @property
    def level(self) -> float:
        """dB of the steps that are neither silent nor 10 dB below the others, as loudness is gated; -inf for none."""
        powers = np.array(self.powers)
        loud = powers[powers > SILENCE**2]
        loud = loud[loud > 0.1 * loud.mean()] if len(loud) else loud
        return float(10 * np.log10(loud.mean())) if len(loud) else -np.inf

    @property
    def gain(self) -> float:
        if self.peak > 1:
            return 1 / self.peak
        return max(1.0, min(10 ** ((LEVEL - self.level) / 20), PEAK / self.peak)) if self.level < QUIET else 1.0


def clean_sound(data: bytes, name: str, folder: Path) -> tuple[Cleaned, ...]:
    """The checked sound, or its parts, copies in `folder`; one without a copy if unusable."""
    return _cleaned(io.BytesIO(data), name, folder)


def clean_sound_file(file: Path, name: str, folder: Path) -> tuple[Cleaned, ...]:
    """Likewise of a file on the disk, which is never in memory as a whole. OSError."""
    with file.open("rb") as stream:
        return _cleaned(stream, name, folder)


def _cleaned(stream: BinaryIO, name: str, folder: Path) -> tuple[Cleaned, ...]:
    source = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    found = Cleaned(name=name, source_sha256=source)
    size = stream.seek(0, io.SEEK_END)
    if not size:
        return (_left(found, "empty", f"{name} is empty (0 bytes)."),)
    try:
        measures = _measured(stream, name, size)
    except InvalidInput as error:
        return (_left(found, "unreadable", error.message),)
    if measures.peak < SILENCE or measures.level == -np.inf:
        return (_left(found, "silent", f"There is nothing to hear in {name}."),)
    spans = _spans(measures)
    if not spans:
        return (_left(found, "too_short", f"{name} holds less than {SHORTEST:g} second of sound."),)
    problems = tuple(_problems(measures, spans, _channels(stream, name), name))
    whole = source if len(spans) > 1 else ""
    made = []
    for place, samples in enumerate(_parts(stream, name, measures, spans)):
        one = found
        if whole:
            part = hashlib.sha256(f"{source} {place}".encode()).hexdigest()
            one = replace(found, name=f"{name} #{place + 1}", source_sha256=part, whole=whole)
        made.append(_kept(one, samples, measures.rate, folder, () if place else problems))
    return tuple(made)


def _left(found: Cleaned, kind: str, sentence: str) -> Cleaned:
    return replace(found, problems=(Problem(kind=kind, sentence=sentence, how="Left out."),))


def _opened(stream: BinaryIO, name: str) -> soundfile.SoundFile:
    stream.seek(0)
    return opened(stream, name)


def _channels(stream: BinaryIO, name: str) -> int:
    with _opened(stream, name) as source:
        return source.channels


def _measured(stream: BinaryIO, name: str, size: int) -> Measures:
    """InvalidInput where nothing of it can be read, or it is too much. A damaged end counts as missing."""
    with _opened(stream, name) as source:
        found = Measures(rate=source.samplerate)
        seconds = source.frames / found.rate
        if seconds > MOST_SECONDS or source.channels > MOST_CHANNELS:
            raise InvalidInput(f"{name} lasts {seconds / 3600:.1f} hours in {source.channels} channels: too much.")
        left = np.empty((0, source.channels), np.float32)
        with suppress(InvalidInput):
            for block in blocks(source, name):
                left = _measure(found, np.concatenate([left, block]))
                found.frames += len(block)
        if len(left):
            _add(found, left[None])
        found.cut = found.frames < source.frames or _promises(stream) > size
    if not found.frames:
        raise InvalidInput(f"{name} holds no sound that can be read.")
    return found


def _promises(stream: BinaryIO) -> int:
    """How many bytes the header of a WAV or AIFF file says that it has; 0 where it says nothing."""
    stream.seek(0)
    head = stream.read(8)
    order = {b"RIFF": "little", b"FORM": "big"}.get(head[:4])
    told = int.from_bytes(head[4:], "little" if order == "little" else "big") if order else 0
    return told + 8 if told < 0xFFFFFF00 else 0  # of one that was streamed


def _measure(found: Measures, samples: np.ndarray) -> np.ndarray:
    """Adds the whole steps of (frames, channels); what is left of them."""
    whole = len(samples) // found.step * found.step
    if whole:
        _add(found, samples[:whole].reshape(-1, found.step, samples.shape[1]))
    return samples[whole:]


def _add(found: Measures, steps: np.ndarray) -> None:
    """(steps, frames, channels)"""
    sound = np.isfinite(steps)
    found.broken += int(steps.size - sound.sum())
    steps = np.where(sound, steps, 0)
    levels = np.abs(steps)
    at_top = (levels >= TOP).reshape(-1, steps.shape[2])
    found.clipped += int((at_top[:-2] & at_top[1:-1] & at_top[2:]).sum())
    found.total += float(steps.sum(dtype=np.float64))
    found.samples += steps.size
    found.peaks += levels.max((1, 2)).tolist()
    found.powers += np.square(steps).mean((1, 2)).tolist()


def _spans(found: Measures) -> list[tuple[int, int]]:
    """(first, end) of each part in steps: cut at quiet places, without silence at their ends."""
    heard = np.array(found.peaks) > max(SILENCE, found.peak * 10 ** (-EDGE / 20)) + abs(found.offset)
    most, shortest = round(PART / STEP), round(SHORTEST / STEP)
    spans = []
    for first, end in _cut(heard, np.array(found.powers), most):
        where = np.flatnonzero(heard[first:end])
        if len(where) and where[-1] + 1 - where[0] >= shortest:
            spans.append((first + int(where[0]), first + int(where[-1]) + 1))
    return spans


def _cut(heard: np.ndarray, powers: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Parts of at most `most` steps; each ends in the quietest quarter of a second of the half before that."""
    where = np.flatnonzero(heard)
    if not len(where):
        return
    first, end = int(where[0]), int(where[-1]) + 1
    around = round(0.25 / STEP)
    smooth = np.convolve(powers, np.ones(around) / around, "same")
    levels = np.round(10 * np.log10(smooth + SILENCE**2) / 3)  # rounded, so that a copy in MP3 is cut alike
    while end - first > most:
        left = end - first
        low, high = first + min(most // 2, left // 3), min(first + most, end - min(most // 4, left // 4))
        cut = high - 1 - int(np.argmin(levels[low:high][::-1]))  # of several the last
        yield first, cut
        first = cut
    yield first, end


def _problems(found: Measures, spans: list[tuple[int, int]], channels: int, name: str) -> Iterator[Problem]:
    def mended(kind: str, sentence: str, how: str) -> Problem:
        return Problem(kind=kind, sentence=sentence, mended=True, how=how)

    seconds = found.frames / found.rate
    before, after = spans[0][0] * STEP, seconds - spans[-1][1] * STEP
    if found.cut:
        yield mended("cut_off", "Its end is missing.", f"The {clock(seconds)} that are there were kept.")
    if found.broken:
        yield mended("nan", f"{found.broken:,} of its samples are no numbers.", "They became silence.")
    if found.offset:
        yield mended("offset", f"It stands {abs(found.offset):.1%} off the middle (DC).", "Put back to the middle.")
    if found.clipped > CLIPPED * found.samples:
        share = found.clipped / found.samples
        yield Problem(
            kind="clipped",
            sentence=f"{share:.1%} of it is clipped: it was recorded too loud.",
            how="It stays in, and teaches the distortion.",
        )
    if before >= ENDS or after >= ENDS:
        ends = ((before, "at its begin"), (after, "at its end"))
        told = " and ".join(f"{length:.1f} seconds of silence {where}" for length, where in ends if length >= ENDS)
        yield mended("silence", f"There are {told}.", "Cut away.")
    if found.gain > 1:
        louder = f"Made {20 * np.log10(found.gain):.0f} dB louder."
        yield mended("quiet", f"It is very quiet ({found.level:.0f} dB).", louder)
    if found.gain < 1:
        yield mended("loud", "It goes beyond full scale.", f"Made {-20 * np.log10(found.gain):.1f} dB softer.")
    if channels > 2:
        yield mended("channels", f"It has {channels} channels.", "Mixed to two.")
    if found.rate < DULL:
        sentence = f"It has {found.rate:,} Hz only, so its highest tones are missing."
        yield Problem(kind="dull", sentence=sentence, how="It stays in; a better recording would teach more.")
    if len(spans) > 1:
        parts = f"Cut into {len(spans)} parts at quiet places; all stay on one side of the split."
        yield mended("long", f"{name} lasts {clock(seconds)}, more than is learnt at once.", parts)


def _parts(stream: BinaryIO, name: str, found: Measures, spans: list[tuple[int, int]]) -> Iterator[np.ndarray]:
    """The samples of each span (channels, frames), mended, at the file's own rate."""
    waiting = [(first * found.step, min(end * found.step, found.frames)) for first, end in spans]
    kept: list[np.ndarray] = []
    place = 0
    with _opened(stream, name) as source, suppress(InvalidInput):  # a damaged end was told of
        for block in blocks(source, name):
            while waiting and waiting[0][0] < place + len(block):
                first, end = waiting[0]
                kept.append(block[max(0, first - place) : end - place])
                if end > place + len(block):
                    break
                waiting.pop(0)
                yield _mended(np.concatenate(kept), found)
                kept = []
            place += len(block)
    if kept:
        yield _mended(np.concatenate(kept), found)


def _mended(samples: np.ndarray, found: Measures) -> np.ndarray:
    sides = samples.T if samples.shape[1] <= 2 else np.stack([samples[:, ::2].mean(1), samples[:, 1::2].mean(1)])
    return np.ascontiguousarray((np.nan_to_num(sides) - found.offset) * found.gain, np.float32)


def _kept(found: Cleaned, samples: np.ndarray, rate: int, folder: Path, problems: tuple[Problem, ...]) -> Cleaned:
    samples = resampled(samples, rate, RATE)
    length = round(1000 * samples.shape[1] / RATE)
    partial = folder / f"{found.source_sha256}.part"
    writer(samples, RATE, "FLAC")(partial)
    with partial.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()  # type: ignore[arg-type]
    file = partial.replace(folder / f"{sha256}.flac")
    look = sound_look(samples.mean(0), RATE)
    return replace(found, file=file, sha256=sha256, suffix=".flac", length=length, look=look, problems=problems)
