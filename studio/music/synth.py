"""Plays the notes of one track with a soundfont: sample playback with envelopes, vibrato and filter as SoundFont 2
defines them, without its modulators. Knows no tempo and no loudness.

All notes of one key share one tone, computed once and as long as the longest of them, which is what makes it fast.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.signal import lfilter

from studio.music import soundfont as sf
from studio.music.soundfont import Floats, Sample, SoundFont, Zone

RATE = 44100  # Hz
SILENCE = 80.0  # dB below its level at which a released tone ends
SHORTEST = 0.006  # seconds of attack-free release: shorter ones click
CHOKE = 0.02  # seconds in which a closed hi-hat ends an open one
GRID = 32  # samples to which durations are rounded
BLOCK = 512  # samples for which a moving filter stands still
STEP = 20.0  # cents in which it moves
LOUDEST_PARTIAL = 20_000  # Hz: a filter above does nothing


class Sounding(NamedTuple):
    """`start` and `held` in samples; `pitch` 0..127; `velocity` 1..127."""

    start: int
    held: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class _Tone:
    """A zone at one pitch: `raw` without envelope, `held` with that of a key that stays down, `level` the envelope."""

    raw: Floats
    held: Floats
    level: Floats
    release: Floats  # what a released tone is multiplied with, from 1 to silence
    gains: tuple[float, float]  # left and right


def play(font: SoundFont, program: int, drums: bool, notes: Sequence[Sounding], out: Floats) -> None:
    """Add the notes to `out` (2, samples), which cuts off what is later. 1.0 is a sample's full level."""
    zones = font.zones(program, drums=drums)
    if drums:
        notes = _choked(zones, notes)
    groups: dict[tuple[int, int], list[Sounding]] = {}
    for note in notes:
        for index, zone in enumerate(zones):
            low, high = zone.velocities
            if zone.keys[0] <= note.pitch <= zone.keys[1] and low <= note.velocity <= high:
                groups.setdefault((index, note.pitch), []).append(note)
    for (index, pitch), group in groups.items():
        tone = _tone(font, zones[index], pitch, max(note.held for note in group), one_shot=drums)
        for note in group:
            _add(tone, note, out, one_shot=drums and not zones[index][sf.MODES] & 1)


def tail(font: SoundFont, program: int, drums: bool) -> float:
    """The longest that a note of this program may sound after its end, in seconds."""
    zones = font.zones(program, drums=drums)
    longest = max((_seconds(zone[sf.RELEASE]) * SILENCE / 100 for zone in zones), default=0.0)
    return min(longest, 8.0) if not drums else 4.0


def _choked(zones: Sequence[Zone], notes: Sequence[Sounding]) -> list[Sounding]:
    """Notes of one exclusive class end where the next one begins: held becomes negative, which means a quick end."""
    classes = {
        key: zone[sf.EXCLUSIVE] for zone in zones if zone[sf.EXCLUSIVE] for key in range(zone.keys[0], zone.keys[1] + 1)
    }
    next_start: dict[int, int] = {}
    kept = []
    for note in sorted(notes, reverse=True):
        kind = classes.get(note.pitch, 0)
        if kind and kind in next_start and next_start[kind] > note.start:
            note = note._replace(held=-(next_start[kind] - note.start))
        if kind:
            next_start[kind] = note.start
        kept.append(note)
    return kept[::-1]


def _add(tone: _Tone, note: Sounding, out: Floats, *, one_shot: bool) -> None:
    """`one_shot`: the note's length does not matter, as with drums."""
    choked = note.held < 0
    held = min(abs(note.held) if choked or not one_shot else len(tone.raw), len(tone.raw))
    gain = (note.velocity / 127) ** 2
    end = out.shape[1]
    body = tone.held[: max(min(held, end - note.start), 0)]
    release = np.linspace(1, 0, round(CHOKE * RATE), dtype=np.float32) if choked else tone.release
    after = tone.raw[held : min(held + len(release), end - note.start)]
    faded = after * (release[: len(after)] * (tone.level[held - 1] if held else 0.0))
    for side in (0, 1):
        level = np.float32(gain * tone.gains[side])
        if level:
            out[side, note.start : note.start + len(body)] += body * level
            out[side, note.start + held : note.start + held + len(faded)] += faded * level


def _tone(font: SoundFont, zone: Zone, pitch: int, held: int, *, one_shot: bool) -> _Tone:
    sample = font.sample(zone)
    cents = (pitch - sample.root) * zone[sf.SCALE] + zone[sf.COARSE_TUNE] * 100 + zone[sf.FINE_TUNE] + sample.cents
    step = sample.rate / RATE * 2 ** (cents / 1200)
    release = _release(zone)
    looped = bool(zone[sf.MODES] & 1) and sample.loop_end - sample.loop_start >= 2 and sample.loop_start >= 0
    longest = (RATE * 8 if one_shot else held + GRID) + len(release)
    length = longest if looped else min(int((len(sample.frames) - 3) / step), longest)
    length = max(length, 2)
    moved = _contour(zone, length)
    raw = _resampled(sample, step, length, looped, _pitch_bend(zone, moved, length))
    raw = _filtered(zone, raw, moved)
    level = _envelope(zone, pitch, length)
    pan = np.clip(zone[sf.PAN] / 1000 + 0.5, 0, 1) * np.pi / 2
    loudness = 10 ** (-0.4 * zone[sf.ATTENUATION] / 200)  # 0.4: as the hardware did that soundfonts are made for
    gains = (float(np.cos(pan) * loudness), float(np.sin(pan) * loudness))
    return _Tone(raw, raw * level, level, release, gains)


def _resampled(sample: Sample, step: float, length: int, looped: bool, bend: Floats | None) -> Floats:
    """(length,) the sample read at `step` frames a sample, by cubic Hermite interpolation."""
    if bend is None:
        places = np.arange(length) * step
    else:
        places = np.concatenate([[0.0], np.cumsum(step * bend[:-1].astype(np.float64))])
    frames = sample.frames
    needed = int(places[-1]) + 4
    if looped and needed > sample.loop_end:
        loop = frames[sample.loop_start : sample.loop_end]
        frames = np.concatenate([frames[: sample.loop_end], np.resize(loop, needed - sample.loop_end)])
    elif needed > len(frames):
        frames = np.concatenate([frames, np.zeros(needed - len(frames), np.float32)])
    frames = np.concatenate([frames[:1], frames])  # the neighbour before the first frame
    whole = places.astype(np.int64)
    part = (places - whole).astype(np.float32)
    before, here, after, second = (frames[k:].take(whole) for k in range(4))
    slope, next_slope = (after - before) * 0.5, (second - here) * 0.5
    rise = after - here
    cubic = slope + next_slope - 2 * rise
    return ((cubic * part + (rise - slope - cubic)) * part + slope) * part + here


def _seconds(timecents: int) -> float:
    return 2 ** (min(timecents, 8000) / 1200) if timecents > -12000 else 0.0


def _release(zone: Zone) -> Floats:
    """Falls by 100 dB in the release time, evenly in dB; ends in a short fade to nothing."""
    seconds = max(_seconds(zone[sf.RELEASE]) * SILENCE / 100, SHORTEST)
    count = round(min(seconds, 8.0) * RATE)
    curve = 10 ** (np.linspace(0, -SILENCE / 20, count, dtype=np.float32))
    return curve * np.linspace(1, 0, count, dtype=np.float32) ** 0.25


def _envelope(zone: Zone, pitch: int, length: int) -> Floats:
    """(length,) amplitude while the key is down: delay, attack (straight), hold, decay (straight in dB), sustain."""
    delay, attack = (round(_seconds(zone[kind]) * RATE) for kind in (sf.DELAY, sf.ATTACK))
    hold = round(_seconds(zone[sf.HOLD] + zone[sf.KEY_TO_HOLD] * (60 - pitch)) * RATE)
    decay = _seconds(zone[sf.DECAY] + zone[sf.KEY_TO_DECAY] * (60 - pitch)) * RATE
    level = np.ones(length, np.float32)
    level[:delay] = 0
    rise = max(attack, 22)  # half a millisecond: nothing begins with a click
    rising = level[delay : delay + rise]
    rising[:] = np.arange(1, len(rising) + 1, dtype=np.float32) / rise
    sustain = min(max(zone[sf.SUSTAIN], 0), 1000) / 10  # dB below full
    falling = level[delay + rise + hold :]
    if sustain and len(falling):
        slope = 100 / max(decay, 1)  # dB a sample
        falling[:] = 10 ** (-np.minimum(np.arange(len(falling), dtype=np.float32) * slope, sustain) / 20)
    return level


def _contour(zone: Zone, length: int) -> Floats | None:
    """(length,) modulation envelope, 0 to 1; None where nothing follows it."""
    if not zone[sf.MOD_ENV_PITCH] and not zone[sf.MOD_ENV_CUTOFF]:
        return None
    delay, attack, hold, decay = (
        _seconds(zone[kind]) * RATE for kind in (sf.MOD_DELAY, sf.MOD_ATTACK, sf.MOD_HOLD, sf.MOD_DECAY)
    )
    sustain = 1 - min(max(zone[sf.MOD_SUSTAIN], 0), 1000) / 1000
    start, top = delay + attack, delay + attack + hold
    places = [0, delay, start + 1, top + 2, top + 3 + decay * (1 - sustain)]
    return np.interp(np.arange(length), places, [0, 0, 1, 1, sustain]).astype(np.float32)


def _pitch_bend(zone: Zone, moved: Floats | None, length: int) -> Floats | None:
    """(length,) factor of the frequency from vibrato and modulation envelope; None where it stays 1."""
    cents: Floats | None = None
    if zone[sf.MOD_ENV_PITCH] and moved is not None:
        cents = moved * np.float32(zone[sf.MOD_ENV_PITCH])
    waves = (
        (sf.VIBRATO_PITCH, sf.VIBRATO_DELAY, sf.VIBRATO_RATE),
        (sf.MOD_LFO_PITCH, sf.MOD_LFO_DELAY, sf.MOD_LFO_RATE),
    )
    for depth, delay, rate in waves:
        if zone[depth]:
            wave = _wave(zone[delay], zone[rate], length) * np.float32(zone[depth])
            cents = wave if cents is None else cents + wave
    return None if cents is None else 2 ** (cents / 1200)


def _wave(delay: int, rate: int, length: int) -> Floats:
    """(length,) triangle between -1 and 1, which begins at 0 after its delay."""
    time = np.arange(length, dtype=np.float32) / RATE - np.float32(_seconds(delay))
    phase = (time * np.float32(8.176 * 2 ** (rate / 1200)) + 0.25) % 1
    return np.where(time > 0, 1 - 4 * np.abs(phase - 0.5), 0).astype(np.float32)


def _filtered(zone: Zone, raw: Floats, moved: Floats | None) -> Floats:
    """Through the zone's low-pass of second order, which the modulation envelope and LFO may move."""
    cents = float(zone[sf.CUTOFF])
    if not zone[sf.MOD_ENV_CUTOFF] and not zone[sf.MOD_LFO_CUTOFF]:
        if _hertz(cents) >= LOUDEST_PARTIAL:
            return raw
        return np.asarray(lfilter(*_low_pass(_hertz(cents), zone[sf.RESONANCE]), raw), np.float32)
    blocks = np.arange(0, len(raw), BLOCK)
    moving = np.full(len(blocks), cents, np.float32)
    if moved is not None:
        moving += moved[blocks] * zone[sf.MOD_ENV_CUTOFF]
    if zone[sf.MOD_LFO_CUTOFF]:
        wave = _wave(zone[sf.MOD_LFO_DELAY], zone[sf.MOD_LFO_RATE], len(raw))
        moving += wave[blocks] * zone[sf.MOD_LFO_CUTOFF]
    out, state = np.empty_like(raw), np.zeros(2)
    moving = np.round(moving / STEP) * STEP
    turns = [0, *(np.flatnonzero(np.diff(moving)) + 1).tolist(), len(blocks)]
    for first, last in zip(turns, turns[1:], strict=False):
        numerator, denominator = _low_pass(_hertz(float(moving[first])), zone[sf.RESONANCE])
        part = slice(first * BLOCK, last * BLOCK)
        out[part], state = lfilter(numerator, denominator, raw[part], zi=state)
    return out


def _hertz(cents: float) -> float:
    return 8.176 * 2 ** (min(max(cents, 1500), 13500) / 1200)


def _low_pass(hertz: float, resonance: int) -> tuple[list[float], list[float]]:
    """R. Bristow-Johnson's low-pass; `resonance` in centibels above the flat one, whose gain is taken back by half."""
    quality = 10 ** ((min(max(resonance, 0), 960) / 10 - 3.01) / 20)
    turn = 2 * math.pi * min(hertz, LOUDEST_PARTIAL) / RATE
    alpha, cosine = math.sin(turn) / (2 * quality), math.cos(turn)
    whole = 1 + alpha
    middle = (1 - cosine) * 10 ** (-resonance / 400) / whole
    return [middle / 2, middle, middle / 2], [1.0, -2 * cosine / whole, (1 - alpha) / whole]
