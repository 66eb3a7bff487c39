"""Speech by real classes at tiny size: sentences, voices, speed, numbers, Stop, and texts that cannot be said."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio.catalog import read_model
from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families import family
from studio.families.audio import CONSENT, pipeline
from studio.families.audio.folders import clones, voices_of
from studio.families.audio.pipeline import SoundPipeline
from studio.families.audio.sentences import LONGEST, sentences
from studio.families.audio.speech import Speaker
from studio.families.audio.stretch import stretched
from studio.types import Request
from tests.families.audio import tiny, tiny_listed
from tests.families.diffusion.listener import CPU, Listener
from tests.lengths import ALL

KINDS = {
    "vits": tiny.vits,
    "bark": tiny.bark,
    "speecht5": tiny.speecht5,
    "csm": tiny.csm,
    "pocket_tts": tiny_listed.pocket_tts,
}
MORE = {"phonon": tiny_listed.phonon, "dia": tiny_listed.dia, "vibevoice": tiny_listed.vibevoice}
SPOKEN = [*KINDS, *(pytest.param(kind, marks=pytest.mark.full) for kind in MORE)]
pytestmark = pytest.mark.filterwarnings("ignore:.*`max_length`:UserWarning")  # of Dia's own settings
TEXT = "The fox is here. It goes home."


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: build(tmp_path_factory.mktemp(kind)) for kind, build in {**KINDS, **(MORE if ALL else {})}.items()}


@pytest.fixture(scope="module")
def loaded(folders: dict[str, Path]) -> dict[str, SoundPipeline]:
    return {kind: pipeline.load(folder, CPU) for kind, folder in folders.items()}


def asked(prompt: str = TEXT, seed: int = 3, **params: Any) -> Request:
    alone = {"num_return_sequences": 1, **params}
    return family("audio").validate(
        Request(task="text_to_speech", model="tiny", prompt=prompt, seed=seed, params=alone)
    )


def run(model: SoundPipeline, folder: Path, request: Request, **heard: Any) -> Listener:
    folder.mkdir(exist_ok=True, parents=True)
    one = Listener(staging=folder, **heard)
    model.run(request, one)
    return one


def heard_in(listener: Listener) -> list[np.ndarray]:
    return [soundfile.read(listener.outputs[k], always_2d=True)[0].T for k in sorted(listener.outputs)]


@pytest.mark.parametrize("kind", SPOKEN)
def test_a_text_is_spoken_sentence_by_sentence(
    kind: str, folders: dict[str, Path], loaded: dict[str, SoundPipeline], tmp_path: Path
) -> None:
    found = read_model(folders[kind], "local")
    assert found and found.family == "audio" and found.tasks == ("text_to_speech",)
    whole = run(loaded[kind], tmp_path / "whole", asked(num_return_sequences=2, pause=0.5))
    takes, looks = heard_in(whole), [soundfile.info(file).duration for k, file in whole.previews if k == 0]
    assert whole.steps == [(1, 4), (2, 4), (3, 4), (4, 4)] and len(looks) == 2 and looks[0] + 0.5 < looks[1]
    model = loaded[kind].model
    assert isinstance(model, Speaker) and whole.metas[1]["seed"] == 4 and whole.metas[1]["sentences"] == 2
    assert whole.metas[0]["voice"] == model.voices[0] and whole.metas[0]["sample_rate"] == model.rate
    alone = run(loaded[kind], tmp_path / "alone", asked(seed=4, pause=0.5))
    assert np.array_equal(heard_in(alone)[0], takes[1])
    assert takes[0].shape != takes[1].shape or not np.array_equal(takes[0], takes[1])
    other = run(loaded[kind], tmp_path / "other", asked(voice=model.voices[1], pause=0.5))
    mine = heard_in(other)[0]
    assert mine.shape != takes[0].shape or not np.array_equal(mine, takes[0])


@pytest.mark.parametrize("kind", SPOKEN)
def test_speed_changes_the_length(kind: str, loaded: dict[str, SoundPipeline], tmp_path: Path) -> None:
    usual, fast = (
        run(loaded[kind], tmp_path / str(speed), asked("the fox jumps over the dog", speed=speed)).metas[0]["seconds"]
        for speed in (1.0, 2.0)
    )
    assert 0.4 * float(str(usual)) < float(str(fast)) < 0.75 * float(str(usual))


@pytest.mark.parametrize("kind", SPOKEN)
def test_stop_keeps_the_sentences_that_were_said(kind: str, loaded: dict[str, SoundPipeline], tmp_path: Path) -> None:
    stopped = Listener(staging=tmp_path, stop_at=1)
    with pytest.raises(Cancelled):
        loaded[kind].run(asked(num_return_sequences=2), stopped)
    assert stopped.steps == [(1, 4)] and list(stopped.outputs) == [0] and stopped.metas[0]["stopped"] is True
    with pytest.raises(Cancelled):
        loaded[kind].run(asked(), Listener(staging=tmp_path, stop_at=0))
    once = Listener(staging=tmp_path)
    checks = iter(range(100))
    once.check = lambda: (_ for _ in ()).throw(Cancelled("Stopped.")) if next(checks) == 2 else None
    with pytest.raises(Cancelled):  # within a sentence
        loaded[kind].run(asked(), once)
    assert not once.steps


def test_numbers_are_read_where_the_alphabet_has_no_digits(loaded: dict[str, SoundPipeline]) -> None:
    vits, bark = loaded["vits"].model, loaded["bark"].model
    assert isinstance(vits, Speaker) and isinstance(bark, Speaker)
    assert vits.readable("It has 42 dogs.") == "It has forty two dogs."
    assert bark.readable("It has 42 dogs.") == "It has 42 dogs."


def test_what_cannot_be_said_is_told(
    loaded: dict[str, SoundPipeline], folders: dict[str, Path], tmp_path: Path
) -> None:
    hum = tmp_path / "hum.wav"
    soundfile.write(hum, np.sin(np.arange(16_000) / 6), 16_000)
    for kind, request, inputs, field, message in (
        ("vits", asked(" ... \n\n!?"), {}, "prompt", "nothing to say"),
        ("vits", asked("你好。再见。"), {}, "prompt", "knows no letter of this text"),
        ("vits", asked(voice="7"), {}, "voice", "has no voice '7'"),
        ("bark", asked(voice="../../secret"), {}, "voice", "has no voice"),
        ("speecht5", asked(), {"voice": [hum]}, "voice", "voice of a recording"),
        ("bark", asked("la " * 700_000), {}, "prompt", "2,100,000 characters"),
    ):
        with pytest.raises(InvalidInput, match=message) as caught:
            run(loaded[kind], tmp_path / "wrong", request, inputs=inputs)
        assert caught.value.field == field
    mixed = run(loaded["vits"], tmp_path / "mixed", asked("The fox. 你好。"))
    assert mixed.metas[0]["sentences"] == 1 and "left out" in mixed.warnings[0]
    silent = tmp_path / "silent"
    silent.mkdir()
    for file in folders["speecht5"].glob("*.*"):
        if file.is_file():
            (silent / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ModelError, match="no vocoder"):
        pipeline.load(silent, CPU)
    mute = tmp_path / "mute"
    shutil.copytree(folders["pocket_tts"], mute)
    shutil.rmtree(mute / "audio_tokenizer")
    with pytest.raises(ModelError, match=r"no codec \(PocketTTSAudioTokenizerModel\)") as caught:
        pipeline.load(mute, CPU)
    assert "somebody/a-codec" in caught.value.hint


def test_a_voice_is_taken_from_a_recording_or_from_the_folder(
    loaded: dict[str, SoundPipeline], folders: dict[str, Path], tmp_path: Path
) -> None:
    hum = tmp_path / "hum.wav"
    soundfile.write(hum, np.sin(np.arange(16_000) / 6) * 0.5, 16_000)
    anna = heard_in(run(loaded["pocket_tts"], tmp_path / "anna", asked()))[0]
    with pytest.raises(InvalidInput, match="may be used"):
        run(loaded["pocket_tts"], tmp_path / "taken", asked(), inputs={"voice": [hum]})
    allowed = asked(consent=CONSENT)
    mine = heard_in(run(loaded["pocket_tts"], tmp_path / "mine", allowed, inputs={"voice": [hum]}))[0]
    assert mine.shape != anna.shape or not np.array_equal(mine, anna)
    beside = tmp_path / "models" / "pocket"
    shutil.copytree(folders["pocket_tts"], beside)
    (beside / "audio_tokenizer").rename(beside.parent / "codec")
    (beside / "voices" / "damaged.safetensors").write_bytes(b"no tensors")
    again = pipeline.load(beside, CPU)
    assert isinstance(again.model, Speaker) and again.model.voices == ("anna", "bert")
    assert np.array_equal(heard_in(run(again, tmp_path / "again", asked()))[0], anna)
    shutil.rmtree(beside / "voices")
    assert not again.model.voices and heard_in(run(again, tmp_path / "any", asked()))[0].any()


def test_a_folder_tells_its_voices_without_being_loaded(
    loaded: dict[str, SoundPipeline], folders: dict[str, Path]
) -> None:
    told = {kind: voices_of(folder) for kind, folder in folders.items()}
    assert told == {kind: one.model.voices for kind, one in loaded.items() if isinstance(one.model, Speaker)}
    assert any(told.values())
    assert {kind for kind, folder in folders.items() if clones(folder)} == {"pocket_tts", "vibevoice"} & set(folders)


@pytest.mark.full
def test_speakers_of_vibevoice_take_a_recording_and_others_refuse_it(
    loaded: dict[str, SoundPipeline], tmp_path: Path
) -> None:
    hum = tmp_path / "hum.wav"
    soundfile.write(hum, np.sin(np.arange(16_000) / 6) * 0.5, 16_000)
    plain = heard_in(run(loaded["vibevoice"], tmp_path / "plain", asked("A fox.")))[0]
    allowed = asked("A fox.", consent=CONSENT)
    led = heard_in(run(loaded["vibevoice"], tmp_path / "led", allowed, inputs={"voice": [hum]}))[0]
    assert led.shape != plain.shape or not np.array_equal(led, plain)
    for kind in ("phonon", "dia"):
        with pytest.raises(InvalidInput, match="voice of a recording"):
            run(loaded[kind], tmp_path / "wrong", asked(), inputs={"voice": [hum]})
    model = loaded["vibevoice"].model
    assert isinstance(model, Speaker)
    ends = model.model.config.eos_token_id
    model.model.get_output_embeddings().weight[ends] *= 1.1  # it ends before it began
    with pytest.raises(ModelError, match="no sound at all"):
        run(loaded["vibevoice"], tmp_path / "none", asked("A fox."))


def test_a_text_is_cut_into_sentences() -> None:
    text = (
        "Mr. Smith paid $3.50 at 5 p.m. in the U.S. for it. “Hello!” she said. Then? No… Yes!\r\n\r\n"
        "A \x00new\u200b *line*\nof it. 你好。再见！\n\n***\n\n" + "word, " * 100
    )
    found = sentences(text)
    assert [one.text for one in found[:7]] == [
        "Mr. Smith paid $3.50 at 5 p.m. in the U.S. for it.",
        '"Hello!" she said.',
        "Then?",
        "No…",
        "Yes!",
        "A new line of it.",
        "你好。",
    ]
    assert [one.paragraph for one in found[3:7]] == [False, True, False, False]
    assert all(len(one.text) <= LONGEST for one in found) and "".join(one.text for one in found).count("word") == 100
    assert len(sentences("x" * 1000)) == 5 and not sentences("… — *\x07")


@pytest.mark.parametrize("speed", [0.5, 0.8, 1.3, 2.0])
@pytest.mark.parametrize("pitch", [110, 440, 1000])
def test_stretched_sound_keeps_its_pitch(pitch: int, speed: float) -> None:
    rate = 16_000
    tone = np.sin(2 * np.pi * pitch * np.arange(2 * rate) / rate).astype(np.float32)[None] * 0.5
    made = stretched(tone, rate, speed)
    assert abs(made.shape[1] * speed / tone.shape[1] - 1) < 0.01
    spectrum = np.abs(np.fft.rfft(made[0] * np.hanning(made.shape[1])))
    assert abs(spectrum.argmax() * rate / made.shape[1] - pitch) < 2
    level = np.abs(made[0, 1000:-1000]).reshape(-1)[: 100 * (len(made[0, 1000:-1000]) // 100)].reshape(-1, 100)
    assert 0.35 < np.sqrt(np.mean(made**2)) / 0.5 < 0.75 and level.max() < 0.52
