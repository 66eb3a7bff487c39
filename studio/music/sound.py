"""The sound of a score: tracks played with a soundfont, set on a stage, in a room, at a loudness; as audio files.

Everything after the notes is linear or one gain for all, so that stems sum to the mix.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import fft
from scipy.signal import butter, sosfilt

from studio.errors import InvalidInput
from studio.marks import SENTENCE
from studio.music import loudness
from studio.music.loudness import Floats
from studio.music.score import Score, Track
from studio.music.soundfont import open_soundfont, soundfonts
from studio.music.synth import RATE, Sounding, play, tail

__all__ = ["AUDIO_FORMATS", "RATE", "Sound", "audio_file", "render", "soundfonts", "stems", "stems_zip"]

LONGEST = 20 * 60  # seconds
FADE = 0.02  # seconds at the very end, where a tail is cut
DECAY = 1.7  # seconds in which the room falls by 60 dB
BLOCK = 1 << 18  # samples of a block of the room's convolution
ROOM_LEVEL = 0.5  # of the room at reverb 1, against the direct sound
# container, subtype and media type by our name of the format
AUDIO_FORMATS = {
    "wav": ("WAV", "PCM_16", "audio/wav"),
    "flac": ("FLAC", "PCM_24", "audio/flac"),
    "ogg": ("OGG", "VORBIS", "audio/ogg"),
    "mp3": ("MP3", "MPEG_LAYER_III", "audio/mpeg"),
}


@dataclass(frozen=True, kw_only=True)
class Sound:
    """`soundfont`: path of an .sf2 or .sf3 file, "" for the installed one. `reverb`: 0 to 1. `lufs`: the loudness,
    `peak`: the highest true peak in dBTP. `loop`: exactly the bars long, the tail sounds into the beginning.
    """

    soundfont: str = ""
    reverb: float = 0.2
    lufs: float = -16.0
    peak: float = -1.0
    loop: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (("reverb", 0, 1), ("lufs", -40, -6), ("peak", -20, 0)):
            if not low <= getattr(self, name) <= high:
                raise InvalidInput(
                    f"{name} is {getattr(self, name)}.", f"Give a number from {low} to {high}.", field=name
                )


def render(score: Score, sound: Sound | None = None, *, only: set[int] | None = None) -> Floats:
    """(samples, 2) at 44,100 Hz. `only`: these tracks alone, as loud as they are in the whole mix.

    InvalidInput for a score without notes or of more than 20 minutes.
    """
    sound = sound or Sound()
    if only is None:
        mix = _cut(_played(score, sound, score.tracks), score, sound)
        return (mix * _curve(mix, sound)).T
    parts = {index: _played(score, sound, [track]) for index, track in enumerate(score.tracks)}
    whole = sum(parts.values(), np.zeros((2, 1), np.float32))
    chosen = sum((part for index, part in parts.items() if index in only), np.zeros_like(whole))
    return (_cut(chosen, score, sound, whole) * _curve(_cut(whole, score, sound), sound)).T


def stems(score: Score, sound: Sound | None = None) -> dict[str, Floats]:
    """Each track by itself as (samples, 2), by its name; their sum is what `render` gives."""
    sound = sound or Sound()
    parts = [_played(score, sound, [track]) for track in score.tracks]
    whole = sum(parts, np.zeros((2, 1), np.float32))
    curve = _curve(_cut(whole, score, sound), sound)
    cut = ((_cut(part, score, sound, whole) * curve).T for part in parts)
    return dict(zip(_names(score.tracks), cut, strict=True))


def _names(tracks: Iterable[Track]) -> list[str]:
    """The tracks' names, a number behind those that come again."""
    seen: dict[str, int] = {}
    names = []
    for track in tracks:
        name = track.name.strip() or "Track"
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return names


def _played(score: Score, sound: Sound, tracks: Iterable[Track]) -> Floats:
    """(2, samples) of these tracks with the room, as long as the whole score and all tails behind it."""
    if not score.notes:
        raise InvalidInput("The score holds no notes.", "Write or compose some first.")
    if score.seconds > LONGEST:
        raise InvalidInput(f"The score lasts {score.seconds / 60:.0f} minutes.", f"At most {LONGEST // 60} are played.")
    font = open_soundfont(sound.soundfont)
    length = round(score.seconds * RATE)
    after = max((tail(font, track.program, track.drums) for track in score.tracks if track.notes), default=0.0)
    room = DECAY if sound.reverb else 0.0
    total = length + round((after + room) * RATE)
    dry, sent = np.zeros((2, total), np.float32), np.zeros(total, np.float32)
    places = dict(zip(map(id, score.tracks), _stage(score), strict=True))
    for track in tracks:
        if not track.notes:
            continue
        own = np.zeros((2, total), np.float32)
        play(font, track.program, track.drums, _in_samples(score, track), own)
        own *= np.array(_balance(places[id(track)]), np.float32)[:, None]
        dry += own
        if sound.reverb:
            sent += own.sum(0) * np.float32(0.18 if _low(track) else 0.42 if track.drums else 0.7)
    if sound.reverb and sent.any():
        dry += _in_room(sent, sound.reverb)
    return dry


def _in_samples(score: Score, track: Track) -> list[Sounding]:
    found = []
    for onset, duration, pitch, velocity in track.notes:
        start = round(score.seconds_at(onset) * RATE)
        held = max(round((score.seconds_at(onset + duration) * RATE - start) / 32) * 32, 32)
        found.append(Sounding(start, held, pitch, velocity))
    return found


def _low(track: Track) -> bool:
    """Basses and drums of low sound stay dry and in the middle."""
    pitches = [note.pitch for note in track.notes]
    return not track.drums and bool(pitches) and sum(pitches) / len(pitches) < 50


def _stage(score: Score) -> list[float]:
    """Where each track sits, -1 left to 1 right: the first, drums and basses in the middle, the others around."""
    seats = [-0.3, 0.3, -0.15, 0.15, -0.45, 0.45]
    found, taken = [], 0
    for index, track in enumerate(score.tracks):
        if index == 0 or track.drums or _low(track):
            found.append(0.0)
        else:
            found.append(seats[taken % len(seats)])
            taken += 1
    return found


def _balance(place: float) -> tuple[float, float]:
    """Gains of left and right with the same power for every place."""
    angle = (place + 1) * np.pi / 4
    return float(np.cos(angle) * np.sqrt(2)), float(np.sin(angle) * np.sqrt(2))


@lru_cache(maxsize=1)
def _room() -> tuple[Floats, Floats]:
    """Impulse responses of a hall for left and right: noise that decays, faster the higher, after a few reflections.

    After J. A. Moorer, About This Reverberation Business (1979): exponentially decaying noise sounds as a good hall.
    """
    random = np.random.default_rng(1)
    count = round(DECAY * RATE)
    time = np.arange(count) / RATE
    bands = ((60, 400, 1.0), (400, 2000, 0.95), (2000, 5000, 0.7), (5000, 12000, 0.42))
    found = []
    for side in (0, 1):
        tail_of = np.zeros(count)
        for low, high, share in bands:
            noise = sosfilt(butter(2, (low, high), "bandpass", fs=RATE, output="sos"), random.standard_normal(count))
            tail_of += noise * 10 ** (-3 * time / (DECAY * share)) * (low / 400 + 1) ** -0.5
        tail_of *= np.minimum(time / 0.03, 1) * (time > 0.018)
        for at in (0.011, 0.017, 0.023, 0.031, 0.043):
            tail_of[round((at + 0.0013 * side) * RATE)] += random.choice([-1, 1]) * 6 * np.exp(-at / 0.03)
        found.append((tail_of / np.sqrt(np.square(tail_of).sum())).astype(np.float32))
    return found[0], found[1]


@lru_cache(maxsize=1)
def _room_spectra() -> NDArray[np.complex64]:
    """(2, bins) of the room, padded to one block."""
    return np.asarray(fft.rfft(np.stack(_room()), BLOCK), np.complex64)


def _in_room(sent: Floats, reverb: float) -> Floats:
    """(2, samples) what the room answers to (samples,), cut to the same length: convolution by overlapping blocks."""
    spectra = _room_spectra()
    step = BLOCK - round(DECAY * RATE)
    out = np.zeros((2, len(sent) + BLOCK), np.float32)
    for begin in range(0, len(sent), step):
        spectrum = np.asarray(fft.rfft(sent[begin : begin + step], BLOCK), np.complex64)
        out[:, begin : begin + BLOCK] += np.asarray(fft.irfft(spectra * spectrum, BLOCK), np.float32)
    return out[:, : len(sent)] * np.float32(reverb * ROOM_LEVEL)


def _cut(sounding: Floats, score: Score, sound: Sound, whole: Floats | None = None) -> Floats:
    """(2, samples) in its final length: in a loop what sounds on past the last bar sounds into the first; else it ends
    where the tail of the `whole` is 66 dB below the loudest, never before the last bar's end.
    """
    length = round(score.seconds * RATE)
    if sound.loop:
        out = sounding[:, :length].copy()
        for begin in range(length, sounding.shape[1], length):
            piece = sounding[:, begin : begin + length]
            out[:, : piece.shape[1]] += piece
        return out
    level = np.abs(sounding if whole is None else whole).max(0)
    heard = np.flatnonzero(level[length:] > level.max() * 0.0005)
    end = length + (int(heard[-1]) + 1 if len(heard) else 0)
    out = sounding[:, :end].copy()
    fade = min(round(FADE * RATE), end)
    out[:, end - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return out


def _curve(mix: Floats, sound: Sound) -> Floats:
    """(samples,) what to multiply (2, samples) with."""
    return loudness.gains(mix, RATE, sound.lufs, sound.peak, loop=sound.loop)


def audio_file(samples: Floats, format: str, settings: Mapping[str, Any] | None = None, *, rate: int = RATE) -> bytes:
    """The bytes of a WAV (16 bit), FLAC (24 bit), OGG Vorbis or MP3 file of (samples, channels), settings inside."""
    if format not in AUDIO_FORMATS:
        known = ", ".join(AUDIO_FORMATS)
        raise InvalidInput(f"There is no audio format {format[:20]!r}.", f"There are: {known}.", field="format")
    container, subtype, _ = AUDIO_FORMATS[format]
    out = io.BytesIO()
    channels = samples.shape[1] if samples.ndim > 1 else 1
    with soundfile.SoundFile(out, "w", rate, channels, subtype, format=container) as file:
        if settings is not None:
            file.comment = json.dumps(settings)
            file.software = "Atelier"
            file.artist = SENTENCE  # the one field besides comments that every format keeps
        for begin in range(0, len(samples), RATE * 10):  # libvorbis overflows its stack on one long block
            file.write(samples[begin : begin + RATE * 10])
    return out.getvalue()


def stems_zip(parts: Mapping[str, Floats], format: str = "wav", settings: Mapping[str, Any] | None = None) -> bytes:
    """A zip of one audio file for each stem, numbered in the score's order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, samples) in enumerate(parts.items(), 1):
            plain = re.sub(r"[^\w .+-]", "_", name)[:60].strip(" .") or "track"
            archive.writestr(f"{number:02} {plain}.{format}", audio_file(samples, format, settings))
        if settings is not None:
            archive.comment = json.dumps(settings).encode()[:65535]
    return out.getvalue()
