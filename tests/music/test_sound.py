"""The sound of scores, measured independently of us: loudness by pyloudnorm, true peaks by another interpolation."""

import io
import zipfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile

from studio.errors import InvalidInput, NotFound
from studio.music import loudness
from studio.music.files import settings_inside
from studio.music.score import QUARTER, Note, Score, Track
from studio.music.sound import AUDIO_FORMATS, RATE, Sound, audio_file, render, soundfonts, stems, stems_zip
from studio.music.soundfont import default_soundfont, open_soundfont, soundfont_named
from tests.music.scores import waltz

SETTINGS = {"prompt": "a waltz, ü", "seed": 7}


@lru_cache(maxsize=4)
def played(sound: Sound = Sound(), bars: int = 4) -> np.ndarray:  # noqa: B008
    return render(waltz(bars=bars), sound)


def lufs(samples: np.ndarray) -> float:
    return pyloudnorm.Meter(RATE).integrated_loudness(samples.astype(np.float64))


def interpolated_peak(samples: np.ndarray) -> float:
    """In dB, by adding zeros to the spectrum eightfold: what lies between the samples of a band-limited sound."""
    top = 0.0
    for begin in range(0, len(samples), 1 << 15):
        piece = samples[max(begin - 256, 0) : begin + (1 << 15) + 256].astype(np.float64)
        edge = np.minimum(1, np.minimum(np.arange(len(piece)), np.arange(len(piece))[::-1]) / 128)[:, None]
        spectrum = np.fft.rfft(piece * edge, axis=0)
        finer = np.fft.irfft(spectrum, 8 * len(piece), axis=0) * 8
        top = max(top, float(np.abs(finer).max()))
    return 20 * np.log10(top)


def test_the_sound_is_stereo_whole_and_not_silent() -> None:
    samples = played()
    assert samples.dtype == np.float32 and samples.shape[1] == 2
    assert len(samples) >= round(waltz(bars=4).seconds * RATE)
    for begin in range(0, len(samples) - 2 * RATE, RATE):
        assert np.abs(samples[begin : begin + RATE]).max() > 0.01
    assert np.abs(samples[:, 0] - samples[:, 1]).max() > 0.01
    assert np.abs(samples[-10:]).max() < 0.01
    assert np.array_equal(samples, render(waltz(bars=4)))


@pytest.mark.parametrize("target", [-23.0, -16.0, -9.0])
def test_the_loudness_is_the_target_and_no_peak_is_above(target: float) -> None:
    samples = played(Sound(lufs=target))
    assert lufs(samples) == pytest.approx(target, abs=0.5)
    assert interpolated_peak(samples) <= -0.9


def test_peaks_forbid_what_no_limiter_should_do() -> None:
    clicks = Track("Drums", 0, True, tuple(Note(k * 1920, 60, 37, 127) for k in range(4)))
    samples = render(Score((clicks,), 1920 * 4, ((0, 60.0),)), Sound(lufs=-6, reverb=0))
    assert interpolated_peak(samples) <= -0.9
    assert lufs(samples) < -7


def test_our_loudness_is_that_of_pyloudnorm() -> None:
    draw = np.random.default_rng(2)
    for rate in (44100, 48000):
        noise = draw.standard_normal((rate * 4, 2)) * np.repeat([0.3, 0.01, 0.1, 0.0001], rate)[:, None]
        theirs = pyloudnorm.Meter(rate).integrated_loudness(noise)
        assert loudness.loudness(noise.T.astype(np.float32), rate) == pytest.approx(theirs, abs=0.1)
    tone = np.sin(2 * np.pi * 997 * np.arange(RATE * 3) / RATE)
    assert loudness.loudness(np.stack([tone, tone * 0]).astype(np.float32), RATE) == pytest.approx(-3.01, abs=0.05)
    assert loudness.loudness(np.zeros((2, RATE), np.float32), RATE) == -np.inf


def test_true_peaks_lie_between_samples() -> None:
    time = np.arange(8192)
    wave = np.sin(2 * np.pi * time / 4 + np.pi / 4).astype(np.float32) * np.hanning(8192).astype(np.float32)
    assert np.abs(wave).max() < 0.708
    assert loudness.true_peak(wave[None]) == pytest.approx(0.0, abs=0.1)


def roughness_of_seam(samples: np.ndarray) -> float:
    """How much harder the sound bends where its end meets its beginning than anywhere else within a tenth of a second:
    the largest third difference at the seam over the 99.9th percentile around it.
    """
    joined = np.concatenate([samples[-RATE // 20 :], samples[: RATE // 20]]).astype(np.float64)
    bends = np.abs(np.diff(joined, 3, axis=0)).max(1)
    seam = len(joined) // 2
    around = np.concatenate([bends[: seam - 40], bends[seam + 40 :]])
    return float(bends[seam - 5 : seam + 2].max() / (np.quantile(around, 0.999) + 1e-6))


def pad_score() -> Score:
    """Held strings whose last chord goes on to the end, as loops have."""
    notes = tuple(Note(k * 1920, 1920, pitch, 80) for k in range(2) for pitch in (48 + 5 * k, 55 + 5 * k, 64 + 3 * k))
    return Score((Track("Strings", 48, False, notes),), 3840, ((0, 113.0),))


@pytest.mark.parametrize("reverb", [0.0, 0.3])
def test_a_loop_is_exactly_its_bars_and_has_no_click(reverb: float) -> None:
    score = pad_score()
    loop = render(score, Sound(loop=True, reverb=reverb))
    assert len(loop) == round(score.seconds * RATE)
    assert lufs(loop) == pytest.approx(-16, abs=0.5)
    assert interpolated_peak(np.concatenate([loop[-4096:], loop[:4096]])) <= -0.9
    assert roughness_of_seam(loop) < 2
    cut = render(score, Sound(reverb=reverb))[: len(loop)]
    assert roughness_of_seam(cut) > 4


def test_stems_sum_to_the_mix_and_one_alone_is_its_stem() -> None:
    score = waltz(bars=1)
    score = replace(score, tracks=(*score.tracks, replace(score.tracks[0], program=73)))
    for sound in (Sound(lufs=-10, reverb=0), Sound(loop=True)):
        parts = stems(score, sound)
        assert list(parts) == ["Violin", "Piano", "Cello", "Drums", "Violin 2"]
        mix = render(score, sound)
        assert np.abs(sum(parts.values()) - mix).max() < 1e-5
        alone = render(score, sound, only={1})
        assert np.abs(alone - parts["Piano"]).max() < 1e-5
    assert not render(score, only=set()).any()


@pytest.mark.parametrize("format", AUDIO_FORMATS)
def test_audio_files_keep_sound_and_settings(format: str) -> None:
    samples = played()
    data = audio_file(samples, format, SETTINGS)
    again, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == RATE and abs(len(again) - len(samples)) < 3000
    assert lufs(again) == pytest.approx(lufs(samples), abs=0.2)
    assert np.abs(again).max() < 1
    if format in ("wav", "flac"):
        assert np.abs(again - samples).max() < 1 / 16000
    assert settings_inside(data, f"waltz.{format}") == SETTINGS
    assert settings_inside(audio_file(samples[:4000], format), f"waltz.{format}") is None


def test_stems_come_as_a_zip_with_settings() -> None:
    parts = {"Violin/1": np.zeros((100, 2), np.float32), "Piano": np.zeros((100, 2), np.float32)}
    data = stems_zip(parts, "flac", SETTINGS)
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["01 Violin_1.flac", "02 Piano.flac"]
    assert settings_inside(data, "stems.zip") == SETTINGS


def test_every_program_and_kit_sounds_in_tune() -> None:
    font = open_soundfont()
    for program in range(0, 112, 7):
        assert font.zones(program), program
    for program in (0, 19, 40, 56, 73):
        score = Score((Track("", program, False, (Note(0, 1920, 69, 90),)),), 1920)
        sound = render(score, Sound(reverb=0))[RATE // 4 : RATE // 4 + RATE].mean(1)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 4 * len(sound)))
        partials = [spectrum[round(440 * k * 4) - 40 : round(440 * k * 4) + 40] for k in (1, 2)]
        strongest = max((0, 1), key=lambda k: partials[k].max())
        hertz = (np.argmax(partials[strongest]) - 40) / 4 + 440 * (strongest + 1)
        assert abs(1200 * np.log2(hertz / 440 / (strongest + 1))) < 15, program


def test_soundfonts_are_found_and_broken_ones_told(tmp_path: Path) -> None:
    folder = tmp_path / "soundfonts"
    folder.mkdir()
    whole = default_soundfont().read_bytes()
    for name, data in {"empty": b"", "text": b"hello" * 99, "cut": whole[:90_000], "riff": b"RIFF\0\0\0\0sfbk"}.items():
        (folder / f"{name}.sf2").write_bytes(data)
    (folder / "mine.sf2").symlink_to(default_soundfont())
    assert list(soundfonts(tmp_path)) == ["TimGM6mb", "cut", "empty", "mine", "riff", "text"]
    for name in ("empty", "text", "cut", "riff"):
        with pytest.raises(InvalidInput):
            open_soundfont(str(folder / f"{name}.sf2"))
    with pytest.raises(NotFound):
        open_soundfont(str(folder / "none.sf2"))
    score = Score((Track("", 0, False, (Note(0, QUARTER, 60),)),), 1920)
    assert render(score, Sound(soundfont=soundfont_named("mine", tmp_path))).any()
    assert soundfont_named("", tmp_path) == ""
    with pytest.raises(NotFound, match="There is no soundfont 'yours'") as told:
        soundfont_named("yours", tmp_path)
    assert "mine" in told.value.hint and told.value.field == "soundfont"


def test_what_cannot_be_played_is_told() -> None:
    with pytest.raises(InvalidInput, match="no notes"):
        render(Score((), 1920))
    with pytest.raises(InvalidInput, match="minutes"):
        render(Score((Track("", 0, False, (Note(0, 480, 60),)),), 480 * 60 * 25, ((0, 60.0),)))
    with pytest.raises(InvalidInput, match="reverb"):
        Sound(reverb=2)
    with pytest.raises(InvalidInput, match="audio format"):
        audio_file(np.zeros((10, 2), np.float32), "aiff")
