"""MusicGen at tiny size: the codes that transformers writes, takes alone and in batches, streams, Stop, mistakes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoModelForTextToWaveform

from studio.catalog import read_model
from studio.errors import Cancelled, InvalidInput, ModelError, OutOfMemory
from studio.families import family
from studio.families.audio import pipeline
from studio.families.audio.folders import MUSICAL, SPEAKING
from studio.families.audio.loading import MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES as DRAWN
from studio.families.audio.loading import MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES as WAVES
from studio.families.audio.musicgen import Musicgen
from studio.families.audio.pipeline import SoundPipeline
from studio.music.levels import read_sound
from studio.music.midi import write_midi
from studio.music.score import Note, Score, Track
from studio.types import Request
from tests.families.audio import tiny
from tests.families.diffusion.listener import CPU, Listener

WORDS = "a sad slow waltz"
KINDS: dict[str, dict[str, Any]] = {"mono": {}, "stereo": {"stereo": True}, "melody": {"melody": True}}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: tiny.musicgen(tmp_path_factory.mktemp(kind), **how) for kind, how in KINDS.items()}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, SoundPipeline]:
    return {kind: pipeline.load(folder, CPU) for kind, folder in folders.items()}


@pytest.fixture
def tune(tmp_path: Path) -> Path:
    rate = 16_000
    notes = [np.sin(2 * np.pi * pitch * np.arange(rate // 2) / rate) for pitch in (261.6, 329.6, 392.0, 523.3)]
    soundfile.write(tmp_path / "tune.wav", np.concatenate(notes) * 0.5, rate)
    return tmp_path / "tune.wav"


def asked(prompt: str = WORDS, task: str = "text_to_audio", seed: int = 3, **params: Any) -> Request:
    short = {"seconds": 0.6} if task == "text_to_audio" else {}
    made = Request(task=task, model="tiny", prompt=prompt, seed=seed, params={**short, **params})
    return family("audio").validate(made)


def run(model: SoundPipeline, folder: Path, request: Request, **heard: Any) -> Listener:
    folder.mkdir(exist_ok=True, parents=True)
    one = Listener(staging=folder, **heard)
    model.run(request, one)
    return one


def heard_in(listener: Listener) -> list[np.ndarray]:
    return [soundfile.read(listener.outputs[k], always_2d=True)[0].T for k in sorted(listener.outputs)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_codes_are_those_of_transformers(
    kind: str, folders: dict[str, Path], loaded: dict[str, SoundPipeline], tune: Path
) -> None:
    ours, plain = loaded[kind].model, AutoModelForTextToWaveform.from_pretrained(folders[kind]).eval()
    assert isinstance(ours, Musicgen)
    melody = read_sound(tune, 32_000, 1, "melody") if ours.takes_melody else None
    found: list[torch.Tensor] = []
    sampling: dict[str, Any] = {"guidance": 3.0, "temperature": 0, "top_k": 0, "top_p": 1.0}
    codes = ours.write(WORDS, "", melody, [3], 30, each=lambda step, steps, grown: found.append(grown), **sampling)
    assert len(found) == 30 + ours.layout.delays[-1] and torch.equal(found[-1], codes) and found[0].shape[-1] == 0
    features = {"input_features": ours.tune(melody)[None]} if melody is not None else {}
    tokens = ours.tokens(WORDS)[0]
    theirs = plain.generate(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        do_sample=False,
        guidance_scale=3.0,
        max_new_tokens=30 + ours.layout.delays[-1],
        **features,
    )
    assert theirs.shape[1] == ours.layout.channels
    assert np.allclose(ours.sound(codes)[0], theirs[0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_take_alone_is_the_take_in_its_batch(kind: str, loaded: dict[str, SoundPipeline], tmp_path: Path) -> None:
    whole = run(loaded[kind], tmp_path / "whole", asked(num_return_sequences=3))
    takes = heard_in(whole)
    assert len(takes) == 3 and takes[0].shape == (2 if kind == "stereo" else 1, 4800)
    assert not np.array_equal(takes[0], takes[1])
    meta = whole.metas[2]
    assert (meta["seed"], meta["seconds"], meta["sample_rate"]) == (5, 0.6, 8000) and float(str(meta["lufs"])) > -70
    assert whole.steps[-1][0] == whole.steps[-1][1]
    alone = run(loaded[kind], tmp_path / "alone", asked(seed=5, num_return_sequences=1))
    assert np.array_equal(heard_in(alone)[0], takes[2])


def test_takes_can_be_heard_while_they_grow_and_stop_keeps_what_was_heard(
    loaded: dict[str, SoundPipeline], tmp_path: Path
) -> None:
    whole = run(loaded["mono"], tmp_path / "whole", asked(seconds=5, num_return_sequences=2))
    looks = [soundfile.info(file).duration for index, file in whole.previews if index == 1]
    assert looks == [2.0, 4.0] and all(file.suffix == ".wav" for _, file in whole.previews)
    with pytest.raises(Cancelled):
        loaded["mono"].run(asked(), Listener(staging=tmp_path, stop_at=0))
    stopped = Listener(staging=tmp_path, stop_at=130)
    with pytest.raises(Cancelled):
        loaded["mono"].run(asked(seconds=5, num_return_sequences=2), stopped)
    assert len(stopped.steps) == 130 and len(stopped.outputs) == 2
    assert stopped.metas[0]["stopped"] is True and stopped.metas[0]["seconds"] == 2.0


def test_words_to_avoid_and_a_melody_are_heard(loaded: dict[str, SoundPipeline], tune: Path, tmp_path: Path) -> None:
    request = asked(num_return_sequences=1)
    plain = heard_in(run(loaded["melody"], tmp_path / "plain", request))[0]
    hummed = heard_in(run(loaded["melody"], tmp_path / "hummed", request, inputs={"melody": [tune]}))[0]
    avoided = heard_in(
        run(loaded["melody"], tmp_path / "avoided", asked(num_return_sequences=1, negative_prompt="drums"))
    )[0]
    assert not np.array_equal(plain, hummed) and not np.array_equal(plain, avoided)
    written = Track("", 0, False, tuple(Note(480 * k, 480, 60 + 4 * k, 90) for k in range(4)))
    (tmp_path / "tune.mid").write_bytes(write_midi(Score((written,), 1920)))
    played = heard_in(run(loaded["melody"], tmp_path / "played", request, inputs={"cover": [tmp_path / "tune.mid"]}))
    assert not np.array_equal(plain, played[0])
    classes = loaded["melody"].model.tune(read_sound(tune, 32_000, 1, "melody")).argmax(-1).tolist()
    assert classes[1] == 0 and classes[6] == 4 and classes[10] == 7  # C, E, G
    mono = heard_in(run(loaded["mono"], tmp_path / "mono", request))[0]
    without = heard_in(run(loaded["mono"], tmp_path / "without", request.with_params(negative_prompt="drums")))[0]
    assert not np.array_equal(mono, without)


def test_short_memory_makes_fewer_at_once(
    loaded: dict[str, SoundPipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, most = Musicgen.write, 1

    def short(self: Musicgen, words: str, without: str, melody: Any, seeds: Any, *args: Any, **kwargs: Any) -> Any:
        if len(seeds) > most:
            torch.empty(2**52, dtype=torch.uint8)  # the allocator refuses
        return usual(self, words, without, melody, seeds, *args, **kwargs)

    expected = heard_in(run(loaded["mono"], tmp_path / "a", asked(seconds=0.5, num_return_sequences=3)))
    monkeypatch.setattr(Musicgen, "write", short)
    spared = run(loaded["mono"], tmp_path / "b", asked(seconds=0.5, num_return_sequences=3))
    assert all(np.array_equal(a, b) for a, b in zip(heard_in(spared), expected, strict=True))
    assert spared.warnings == ["Memory is short: 1 at a time."] and spared.steps[-1][0] == spared.steps[-1][1]
    most = 0
    with pytest.raises(OutOfMemory, match="does not fit"):
        run(loaded["mono"], tmp_path / "c", asked(num_return_sequences=1))


def test_what_cannot_be_made_is_said(loaded: dict[str, SoundPipeline], tune: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no sound")
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(8000), 8000)
    for kind, request, inputs, field, message in (
        ("mono", asked(prompt=" \n"), {}, "prompt", "no words"),
        ("mono", asked(prompt="la " * 700_000), {}, "prompt", "2,100,000 characters"),
        ("mono", asked(seconds=60), {}, "seconds", "more than this model has places"),
        ("mono", asked(), {"melody": [tune]}, "melody", "follows no melody"),
        ("melody", asked(), {"melody": [text]}, "melody", "cannot be read as sound"),
        ("melody", asked(), {"melody": [silence]}, "melody", "nothing to hear"),
        ("mono", asked(), {"cover": [tune]}, "cover", "follows no melody"),
        ("mono", asked(task="text_to_speech"), {}, "model", "cannot do text to speech"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            run(loaded[kind], tmp_path / "wrong", request, inputs=inputs)
        assert caught.value.field == field
    sung = run(loaded["mono"], tmp_path / "sung", asked(prompt="la " * 400, lyrics="la la", num_return_sequences=1))
    assert len(sung.warnings) == 2 and "does not sing" in sung.warnings[0] and "only its beginning" in sung.warnings[1]


def test_folders_are_told_apart(folders: dict[str, Path], tmp_path: Path) -> None:
    found = read_model(folders["mono"], "local")
    assert found and found.family == "audio" and found.tasks == ("text_to_audio",)
    known = {"qwen2_5_omni", "qwen3_omni_moe", "fastspeech2_conformer"}  # they answer, or draw spectrograms alone
    assert {*MUSICAL, *SPEAKING} == {*WAVES, *DRAWN, "dia"} - known
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2", "architectures": ["Wav2Vec2Model"]}')
    assert read_model(tmp_path, "local") is None
    with pytest.raises(ModelError, match="no model of sound that this version knows"):
        pipeline.load(tmp_path, CPU)
    (tmp_path / "config.json").write_text('{"model_type": "musicgen", "decoder": 3}')
    with pytest.raises(ModelError, match="cannot be opened"):
        pipeline.load(tmp_path, CPU)


def test_no_sound_and_silence_are_told(
    loaded: dict[str, SoundPipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Musicgen, "sound", lambda self, codes: np.zeros((len(codes), 1, 4000), np.float32))
    quiet = run(loaded["mono"], tmp_path / "quiet", asked(num_return_sequences=1))
    assert quiet.metas[0]["lufs"] == -70 and "silence" in quiet.warnings[0]
    monkeypatch.setattr(Musicgen, "sound", lambda self, codes: np.full((len(codes), 1, 4000), np.nan, np.float32))
    with pytest.raises(ModelError, match="no sound"):
        run(loaded["mono"], tmp_path / "broken", asked(num_return_sequences=1))
    monkeypatch.setattr(Musicgen, "sound", lambda self, codes: np.full((len(codes), 1, 4000), 3.0, np.float32))
    loud = run(loaded["mono"], tmp_path / "loud", asked(num_return_sequences=1))
    assert 0.999 < np.abs(heard_in(loud)[0]).max() <= 1
