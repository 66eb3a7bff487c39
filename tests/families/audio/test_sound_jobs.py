"""Sound through the whole studio: found by the catalog, made by its worker, kept in the library."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from studio.cli import main, parser
from studio.errors import InvalidInput
from studio.families.audio import CONSENT
from studio.settings import Settings
from studio.sound_commands import speech_request
from studio.studio import Studio
from studio.types import Input, JobState, Request
from studio.ui import composing
from studio.ui.composing import Composing
from tests.families.audio import tiny, tiny_listed


@pytest.mark.timeout(300)
def test_music_and_speech_are_made_and_kept(tmp_path: Path) -> None:
    home = tmp_path / "home"
    tiny.musicgen(home / "models" / "melodies", melody=True)
    tiny.vits(home / "models" / "voice")
    tune = tmp_path / "tune.wav"
    soundfile.write(tune, np.sin(np.arange(32_000) / 9) * 0.5, 16_000)
    with Studio(Settings.load({"home": str(home), "device": "cpu"})) as studio:
        assert [model.id for model in studio.catalog.models("text_to_speech")] == ["voice"]
        assert [model.id for model in studio.catalog.models("text_to_audio")] == ["melodies"]
        given = studio.library.keep(tune, media_type="audio/wav", meta={"name": "tune.wav", "role": "upload"})
        with pytest.raises(InvalidInput, match="cannot do text to audio"):
            studio.submit(Request(task="text_to_audio", model="voice", prompt="hello"), panel="test")
        jobs = [
            studio.submit(
                Request(
                    task="text_to_audio",
                    model="melodies",
                    prompt="a waltz",
                    inputs=(Input(role="melody", artifact=given.sha256),),
                    params={"seconds": 0.5, "num_return_sequences": 2},
                    seed=7,
                ),
                panel="test",
            ),
            studio.submit(
                Request(task="text_to_speech", model="voice", prompt="One fox. Two owls.", params={"voice": "2"}),
                panel="test",
            ),
            studio.submit(
                Request(task="text_to_speech", model="voice", prompt="Hello.", params={"voice": "nobody"}),
                panel="test",
            ),
        ]
        done = [studio.wait(job.id, timeout=240) for job in jobs]
        assert [job.state for job in done] == [JobState.done, JobState.done, JobState.failed], done
        assert "has no voice 'nobody'" in done[2].error and "0, 1, 2" in done[2].hint
        music, speech = (studio.library.outputs(job.id) for job in jobs[:2])
        assert [kept.media_type for kept in (*music, *speech)] == ["audio/flac"] * 4
        assert [kept.meta["seed"] for kept in music] == [7, 8]
        assert all(soundfile.info(kept.path).duration == 0.5 for kept in music)
        assert speech[0].meta["voice"] == "2" and speech[0].meta["sentences"] == 2
        again = studio.take(music[1].sha256)
        assert again.seed == 8 and again.params["num_return_sequences"] == 1


def test_the_command_speech_asks_for_what_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, text = tmp_path / "home", tmp_path / "poem.txt"
    tiny.vits(home / "models" / "voice")
    text.write_text("A fox.\n\nAn owl.", "utf-8")
    given = parser().parse_args(["speech", "--file", str(text), "--speed", "1.5", "--voice", "2", "--seed", "4"])
    with Studio(Settings.load({"home": str(home)})) as studio:
        request = speech_request(studio, given)
    assert (request.prompt, request.seed, request.model) == ("A fox.\n\nAn owl.", 4, "voice")
    assert dict(request.params) == {"num_return_sequences": 1, "speed": 1.5, "voice": "2"}
    for wrong, message in (
        (["hello", "--speed", "9"], "Speed is 9.0"),
        (["hello", "--model", "nobody"], "no model 'nobody'"),
        (["--file", str(tmp_path / "none.txt")], "There is no file"),
        (["hello", "--voice", "nobody"], "has no voice 'nobody'"),
        (["hello", "--voice-of", str(tmp_path / "none.wav"), "--i-may-use-this-voice"], "There is no file"),
        (["hello", "--voice-of", str(text)], "may be used"),
    ):
        assert main(["speech", *wrong, "--home", str(home)]) == 2
        assert message in capsys.readouterr().err


def test_a_recording_speaks_where_one_agrees_to_it(tmp_path: Path) -> None:
    home, hum = tmp_path / "home", tmp_path / "hum.wav"
    tiny_listed.pocket_tts(home / "models" / "cloner")
    tiny.vits(home / "models" / "voice")
    soundfile.write(hum, np.sin(np.arange(16_000) / 6) * 0.5, 16_000)
    words = ["speech", "Hello.", "--voice-of", str(hum), "--i-may-use-this-voice"]
    with Studio(Settings.load({"home": str(home)})) as studio:
        studio.pause()
        request = studio.check(speech_request(studio, parser().parse_args([*words, "--model", "cloner"])))
        assert request.params["consent"] == CONSENT and [one.role for one in request.inputs] == ["voice"]
        with pytest.raises(InvalidInput, match="cannot speak in the voice of a recording"):
            speech_request(studio, parser().parse_args([*words, "--model", "voice"]))
        values = {"mode": "speech", "prompt": "Hello.", "model": "cloner"}
        recorded = {"sha256": request.inputs[0].artifact, "agreed": True}
        page = studio.check(composing.request(studio, Composing(values=values, recording=recorded)))
        assert (page.params["consent"], page.inputs) == (CONSENT, request.inputs)
        with pytest.raises(InvalidInput, match="may be used"):
            composing.request(studio, Composing(values=values, recording={**recorded, "agreed": False}))
        Image.new("RGB", (9, 9)).save(tmp_path / "face.png")
        picture = studio.adopt(tmp_path / "face.png", role="voice").sha256
        with pytest.raises(InvalidInput, match="no recording of a voice"):
            composing.request(studio, Composing(values=values, recording={"sha256": picture, "agreed": True}))
        other = composing.request(studio, Composing(values={**values, "model": "voice"}, recording=recorded))
        assert not other.inputs and "consent" not in other.params, "it waits for a model that can"


@pytest.mark.timeout(300)
def test_the_command_makes_sounds_after_a_tune(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    tiny.musicgen(home / "models" / "melodies", melody=True)
    tune = tmp_path / "tune.wav"
    soundfile.write(tune, np.sin(np.arange(32_000) / 9) * 0.5, 16_000)
    words = ["sound", "a waltz", "--melody", str(tune), "--seconds", "0.5", "--count", "2", "--seed", "7"]
    assert main([*words, "--out", str(tmp_path / "out"), "--home", str(home), "--device", "cpu"]) == 0
    takes = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [take["seed"] for take in takes] == [7, 8]
    for take in takes:
        assert Path(take["path"]).parent == tmp_path / "out" and 0.3 < soundfile.info(take["path"]).duration < 0.8
    with Studio(Settings.load({"home": str(home), "device": "cpu"})) as studio:
        (job,) = studio.library.jobs()
        assert job.request.params["seconds"] == 0.5 and [given.role for given in job.request.inputs] == ["melody"]
    assert main(["sound", "a waltz", "--home", str(tmp_path / "none"), "--device", "cpu"]) == 2
    assert "No installed model can do text to audio" in capsys.readouterr().err
