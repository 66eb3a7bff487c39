"""Sound by diffusers' real pipelines at tiny size: alone as in a batch, covers, lyrics, Stop, lengths too long."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from studio.catalog import read_model
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.audio import pipeline
from studio.families.audio.diffused import Diffused
from studio.families.audio.folders import makes_songs
from studio.families.audio.letters import language_of
from studio.families.audio.pipeline import SoundPipeline
from studio.types import Request
from tests.families.audio import tiny, tiny_listed
from tests.families.diffusion.listener import CPU, Listener

KINDS = {
    "stable_audio": tiny.stable_audio,
    "audioldm2": tiny.audioldm2,
    "ace_step": tiny.ace_step,
    "longcat": tiny.longcat,
    "stable_audio_3": tiny_listed.stable_audio_3,
}
SHAPES = {
    "stable_audio": (2, 4000),
    "audioldm2": (1, 16_000),
    "ace_step": (2, 4000),
    "longcat": (1, 8000),
    "stable_audio_3": (2, 4000),
}  # of one second


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: build(tmp_path_factory.mktemp(kind)) for kind, build in KINDS.items()}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, SoundPipeline]:
    return {kind: pipeline.load(folder, CPU) for kind, folder in folders.items()}


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "hum.flac", np.sin(np.arange(32_000) / 6) * 0.5, 16_000)
    return tmp_path / "hum.flac"


def asked(prompt: str = "rain on tin", seed: int = 3, **params: Any) -> Request:
    short = {"seconds": 1.0, "num_inference_steps": 3, "num_return_sequences": 1, **params}
    return family("audio").validate(Request(task="text_to_audio", model="tiny", prompt=prompt, seed=seed, params=short))


def run(model: SoundPipeline, folder: Path, request: Request, **heard: Any) -> Listener:
    folder.mkdir(exist_ok=True, parents=True)
    one = Listener(staging=folder, **heard)
    model.run(request, one)
    return one


def heard_in(listener: Listener) -> list[np.ndarray]:
    return [soundfile.read(listener.outputs[k], always_2d=True)[0].T for k in sorted(listener.outputs)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_take_alone_is_the_take_in_its_batch(
    kind: str, folders: dict[str, Path], loaded: dict[str, SoundPipeline], tmp_path: Path
) -> None:
    found = read_model(folders[kind], "local")
    assert found and found.family == "audio" and found.tasks == ("text_to_audio",)
    whole = run(loaded[kind], tmp_path / "whole", asked(num_return_sequences=3, negative_prompt="voices"))
    takes = heard_in(whole)
    assert [take.shape for take in takes] == [SHAPES[kind]] * 3
    assert not np.allclose(takes[0], takes[1], atol=1e-2)
    assert whole.steps[-3:] == [(1, 3), (2, 3), (3, 3)] and whole.metas[1]["seed"] == 4
    assert whole.metas[0]["sample_rate"] == SHAPES[kind][1] and float(str(whole.metas[0]["lufs"])) > -70
    alone = run(loaded[kind], tmp_path / "alone", asked(seed=5, negative_prompt="voices"))
    assert np.allclose(heard_in(alone)[0], takes[2], atol=2e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_stop_ends_within_a_step(kind: str, loaded: dict[str, SoundPipeline], tmp_path: Path) -> None:
    stopped = Listener(staging=tmp_path, stop_at=2)
    with pytest.raises(Cancelled):
        loaded[kind].run(asked(num_inference_steps=9), stopped)
    assert stopped.steps == [(1, 9), (2, 9)] and not stopped.outputs


@pytest.mark.parametrize("kind", ["stable_audio", "stable_audio_3", "ace_step"])
def test_a_cover_begins_from_a_sound(kind: str, loaded: dict[str, SoundPipeline], hum: Path, tmp_path: Path) -> None:
    plain = heard_in(run(loaded[kind], tmp_path / "plain", asked()))[0]
    cover = run(loaded[kind], tmp_path / "cover", asked(num_return_sequences=2), inputs={"cover": [hum]})
    assert heard_in(cover)[0].shape == plain.shape and not np.allclose(heard_in(cover)[0], plain, atol=1e-3)
    again = run(loaded[kind], tmp_path / "again", asked(seed=4), inputs={"cover": [hum]})
    assert np.allclose(heard_in(again)[0], heard_in(cover)[1], atol=2e-3)


def test_lyrics_are_sung_where_the_model_sings(loaded: dict[str, SoundPipeline], tmp_path: Path) -> None:
    plain = heard_in(run(loaded["ace_step"], tmp_path / "plain", asked()))[0]
    sung = run(loaded["ace_step"], tmp_path / "sung", asked(prompt="", lyrics="[verse]\nThe sea, the sea"))
    assert not np.allclose(heard_in(sung)[0], plain, atol=1e-3) and not sung.warnings
    spoken = run(loaded["audioldm2"], tmp_path / "spoken", asked(lyrics="la la"))
    assert spoken.warnings == ["This model does not sing; the lyrics are left out."]


def test_a_model_of_songs_is_told_the_frame_of_the_song(
    loaded: dict[str, SoundPipeline], folders: dict[str, Path], tmp_path: Path
) -> None:
    def made(**frame: Any) -> np.ndarray:
        return heard_in(run(loaded["ace_step"], tmp_path / "song", asked(lyrics="שלום לים", **frame)))[0]

    plain = made()
    for frame in ({"bpm": 90}, {"keyscale": "D minor"}, {"timesignature": "3"}, {"vocal_language": "de"}):
        assert not np.allclose(made(**frame), plain, atol=1e-4), frame
    assert np.array_equal(made(vocal_language="he"), plain), "the letters say it"
    other = run(loaded["stable_audio"], tmp_path / "other", asked(bpm=90, keyscale="D minor"))
    assert other.warnings == ["This model is not told these, so they are left out: beats a minute, key."]
    assert {kind for kind, folder in folders.items() if makes_songs(folder)} == {"ace_step"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[verse]\nThe sea", "en"),
        ("Das Meer", "en"),
        ("", "en"),
        ("שלום לים", "he"),
        ("海は広い", "ja"),
        ("大海很寬", "zh"),
        ("바다는 넓다", "ko"),
        ("Море было тёмным, и мы ждали", "ru"),
        ("Море, і ми чекали її", "uk"),
        ("Море и небо", "en"),  # Bulgarian as well
        ("البحر واسع", "ar"),
        ("دریا پهناور است", "fa"),
        ("Η θάλασσα", "el"),
    ],
)
def test_a_language_is_told_by_letters_that_it_has_alone(text: str, code: str) -> None:
    assert language_of(text) == code


def test_what_cannot_be_made_is_said(
    loaded: dict[str, SoundPipeline], folders: dict[str, Path], hum: Path, tmp_path: Path
) -> None:
    for kind, request, inputs, field, message in (
        ("stable_audio", asked(seconds=60), {}, "seconds", "more than this model can make"),
        ("stable_audio", asked(prompt=""), {}, "prompt", "no words"),
        ("audioldm2", asked(), {"cover": [hum]}, "cover", "makes no covers"),
        ("audioldm2", asked(), {"melody": [hum]}, "melody", "makes no covers"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            run(loaded[kind], tmp_path / "wrong", request, inputs=inputs)
        assert caught.value.field == field
    long = run(loaded["stable_audio"], tmp_path / "long", asked(prompt="rain and wind and rain and sleet"))
    assert "reads only about its first" in long.warnings[0]
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model_index.json").write_text('{"_class_name": "StableAudioPipeline", "vae": ["diffusers", "X"]}')
    with pytest.raises(ModelError, match="incomplete: 'vae' is missing"):
        pipeline.load(broken, CPU)
    (broken / "model_index.json").write_text('{"_class_name": "OtherAudioPipeline"}')
    with pytest.raises(ModelError, match="which this version does not have"):
        pipeline.load(broken, CPU)


def test_short_memory_makes_fewer_at_once(
    loaded: dict[str, SoundPipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Diffused.make

    def short(self: Diffused, brief: Any, seeds: Any, step: Any) -> Any:
        if len(seeds) > 2:
            torch.empty(2**52, dtype=torch.uint8)  # the allocator refuses
        return make(self, brief, seeds, step)

    monkeypatch.setattr(Diffused, "make", short)
    spared = run(loaded["stable_audio"], tmp_path, asked(num_return_sequences=4))
    assert len(spared.outputs) == 4 and spared.warnings == ["Memory is short: 2 at a time."]
    assert spared.steps[-1] == (6, 6)
