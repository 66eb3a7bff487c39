"""Sounds that a person gives: any length in little memory, and no more than can be worked with."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio import sound_intake
from studio.errors import InvalidInput


def quiet(path: Path, seconds: int, channels: int = 2) -> None:
    """A small file: silence with a click at its end."""
    with soundfile.SoundFile(path, "w", 44_100, channels, "PCM_16", format="FLAC") as out:
        for _ in range(seconds):
            out.write(np.zeros((44_100, channels), np.float32))
        out.write(np.full((10, channels), 0.5, np.float32))


def test_a_long_sound_takes_little_memory(tmp_path: Path) -> None:
    quiet(tmp_path / "long.flac", 240)
    tracemalloc.start()
    try:
        told = sound_intake.clean_sound(tmp_path / "long.flac", tmp_path / "clean.flac", "long.flac")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 20 * 2**20  # of 85 MB as numbers
    assert told["duration"] == pytest.approx(240, abs=0.01) and told["sample_rate"] == 44_100
    clean, _ = soundfile.read(tmp_path / "clean.flac", start=240 * 44_100, always_2d=True)
    assert clean.shape == (10, 2) and np.allclose(clean, 0.5, atol=1e-3)


def test_more_samples_than_can_be_worked_with_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound_intake, "MAX_SAMPLES", 44_100 * 10)
    quiet(tmp_path / "wide.flac", 2, channels=6)
    with pytest.raises(InvalidInput) as told:
        sound_intake.clean_sound(tmp_path / "wide.flac", tmp_path / "clean.flac", "wide.flac")
    assert "6 channels at 44,100 Hz" in told.value.message and told.value.hint
    assert not (tmp_path / "clean.flac").exists()


@pytest.mark.parametrize("data", [b"", b"fLaC", b"RIFF1234WAVE", b"OggS" + bytes(500)])
def test_what_is_no_sound_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.wav").write_bytes(data)
    with pytest.raises(InvalidInput, match="no sound that can be read"):
        sound_intake.clean_sound(tmp_path / "bad.wav", tmp_path / "clean.flac", "bad.wav")
