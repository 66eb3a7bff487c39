"""The Music panel's form and its requests: what modes share has a field in each; there and back it is the same."""

import threading
from pathlib import Path

import pytest

from studio.errors import InvalidInput, NotFound
from studio.music.midi import write_midi
from studio.music.score import QUARTER, Note, Score, Track
from studio.music.soundfont import default_soundfont
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Adapter, Request
from studio.ui import composing, sounding
from studio.ui.composing import Composing
from studio.ui.fast_gradio import gradio as gr
from studio.ui.music_fields import WISHED
from studio.ui.panels.music import MusicPanel

SPOKEN = {"mode": "speech", "prompt": "Good evening.", "temperature": 0.9, "speech.temperature": 0.3, "speed": 1.5}


def test_each_mode_sends_its_own_sampling() -> None:
    told = composing.settings_of({**SPOKEN, "audio.temperature": 1.2, "audio.top_p": 0.8, "top_p": 0.5}, "speech")
    assert told == {"temperature": 0.3, "speed": 1.5}
    assert composing.settings_of({**SPOKEN, "audio.temperature": 1.2, "top_k": 9}, "audio") == {
        "temperature": 1.2,
        "top_k": 9,
    }
    assert composing.settings_of(SPOKEN, "score") == {"temperature": 0.9}


def test_a_request_comes_back_to_the_fields_of_its_mode(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "models" / "voice").mkdir(parents=True)
    (home / "models" / "voice" / "config.json").write_text('{"model_type": "vits", "architectures": ["VitsModel"]}')
    (home / "models" / "voice" / "generation_config.json").write_text('{"temperature": 0.4}')
    with Studio(Settings.load({"home": str(home)}, {})) as studio, gr.Blocks() as demo:
        panel = MusicPanel(studio, demo)
        fields = panel.form.fields
        assert {name for name in WISHED if name not in fields} == set()
        assert panel.drawn.wished()["voice"] == {"speech.temperature": 0.4}
        assert fields["speech.temperature"].value == 0.4 and fields["temperature"].value != 0.4
        request = composing.request(studio, Composing(values=SPOKEN))
        assert request.model == "voice" and request.params["temperature"] == 0.3
        shown = panel.show_request(request)
        assert shown[fields["speech.temperature"]]["value"] == 0.3 and fields["temperature"] not in shown
        wrong = InvalidInput("Temperature is 9.", "", field="temperature")
        assert panel.told(wrong, "speech")[panel.problem]["field"] == "music-speech-temperature"
        assert panel.told(wrong)[panel.problem]["field"] == "music-temperature"
        with pytest.raises(InvalidInput, match="not from a brief"):
            panel.show_request(Request(task="edit_score", model=""))


def test_what_a_model_can_decides_which_fields_there_are(tmp_path: Path) -> None:
    home = tmp_path / "home"
    songs = home / "models" / "songs"
    songs.mkdir(parents=True)
    (songs / "model_index.json").write_text('{"_class_name": "AceStepPipeline"}')
    sounds = home / "models" / "sounds"
    sounds.mkdir()
    (sounds / "model_index.json").write_text('{"_class_name": "StableAudioPipeline"}')
    for name, config in (
        ("many", '{"model_type": "vits", "num_speakers": 3}'),
        ("cloner", '{"model_type": "pocket_tts"}'),
        ("composer", '{"model_type": "musicgen"}'),
    ):
        (home / "models" / name).mkdir()
        (home / "models" / name / "config.json").write_text(config)
    with Studio(Settings.load({"home": str(home)}, {})) as studio, gr.Blocks() as demo:
        panel = MusicPanel(studio, demo)
        _, voice, recording, song, *_ = panel.model_shown("speech", "many", "2", None)
        assert [name for _, name in voice["choices"]] == ["", "0", "1", "2"] and voice["value"] == "2"
        assert not recording["shown"] and not song["visible"]
        _, voice, recording, *_ = panel.model_shown("speech", "cloner", "2", {"sha256": "a", "agreed": True})
        assert voice["value"] == "" and recording["shown"] and recording["sha256"] == "a" and recording["agreed"]
        assert panel.model_shown("audio", "songs", "", None)[3]["visible"]
        assert not panel.model_shown("audio", "sounds", "", None)[3]["visible"]
        assert not panel.model_shown("audio", "composer", "", None)[5]["visible"]  # nothing was taught yet
        (home / "adapters").mkdir(exist_ok=True)
        (home / "adapters" / "mine.safetensors").touch()
        (home / "adapters" / "mine.json").write_text('{"family": "audio", "base": "composer"}')
        *_, loras, row = panel.model_shown("audio", "composer", "", None)
        assert row["visible"] and loras["choices"] == [("none", ""), ("mine (composer)", "mine")]
        assert not panel.model_shown("audio", "songs", "", None)[5]["visible"]
        heard = {"mode": "audio", "prompt": "bells", "adapter": "mine", "adapter_weight": 0.7}
        for model, used in (("composer", (Adapter(id="mine", weight=0.7),)), ("songs", ())):
            assert composing.request(studio, Composing(values={**heard, "model": model})).adapters == used
        with pytest.raises(InvalidInput, match="The weight is 99"):
            composing.request(studio, Composing(values={**heard, "model": "composer", "adapter_weight": 99}))
        spoken = {**SPOKEN, "model": "many", "voice": "1", "language": "eng", "pause": 0}
        asked = studio.check(composing.request(studio, Composing(values=spoken)))
        assert [asked.params[name] for name in ("voice", "language", "pause")] == ["1", "eng", 0]
        with pytest.raises(InvalidInput, match="has no voice 'Anna'"):
            composing.request(studio, Composing(values={**spoken, "voice": "Anna"}))
        sung = {
            "mode": "audio",
            "prompt": "a ballad",
            "model": "songs",
            "bpm": 90,
            "keyscale": "D minor",
            "strength": 0,
        }
        asked = studio.check(composing.request(studio, Composing(values=sung)))
        assert [asked.params[name] for name in ("bpm", "keyscale", "strength")] == [90, "D minor", 0]


def test_a_soundfont_is_chosen_by_its_name_and_stays_with_the_take(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "soundfonts").mkdir(parents=True)
    (home / "soundfonts" / "grand.SF2").symlink_to(default_soundfont())
    with Studio(Settings.load({"home": str(home)}, {})) as studio, gr.Blocks() as demo:
        studio.pause()
        panel = MusicPanel(studio, demo)
        assert panel.drawn.soundfonts() == [("the built-in one", ""), ("grand", "grand")]
        values = {"mode": "score", "prompt": "a waltz", "soundfont": "grand"}
        asked = composing.request(studio, Composing(values=values))
        job = studio.submit(asked, panel="music")
        (tmp_path / "a.mid").write_bytes(write_midi(Score((Track("", 0, False, (Note(0, QUARTER, 60),)),), 1920)))
        kept = studio.library.keep(tmp_path / "a.mid", media_type="audio/midi", job=job.id, meta={})
        assert sounding.sound_settings(studio, kept.sha256, {}).soundfont == str(home / "soundfonts" / "grand.SF2")
        varied = composing.reworked(studio, kept.sha256, {"how": "vary", "count": 1}, {})
        assert varied.params["soundfont"] == "grand" and studio.check(varied)
        with pytest.raises(NotFound, match="There is no soundfont 'flute'"):
            composing.request(studio, Composing(values={**values, "soundfont": "flute"}))


def test_the_sound_of_a_take_goes_on_to_what_is_made_of_it() -> None:
    told = composing.settings_of({"reverb": 0, "lufs": -20, "tempo": 0, "lyrics": "la la"}, "score")
    assert told == {"reverb": 0, "lufs": -20, "lyrics": "la la"}, "a dry sound is a setting, a tempo of 0 is none"
    assert composing.sound_of(Request(task="text_to_score", model="m", params={**told, "key": "C"})) == {
        "reverb": 0,
        "lufs": -20,
    }
    assert composing.sound_of(None) == {}


def test_words_of_a_text_come_in_as_lyrics(tmp_path: Path) -> None:
    with Studio(Settings.load({"home": str(tmp_path)}, {})) as studio, gr.Blocks() as demo:
        panel = MusicPanel(studio, demo)
        fields = panel.form.fields
        sung = panel.received({"text": "Row, row\nyour boat", "lyrics": True}, {"mode": "audio"})
        assert sung[fields["lyrics"]]["value"] == "Row, row\nyour boat" and sung[fields["mode"]]["value"] == "score"
        assert fields["prompt"] not in sung and "audio.lyrics" in fields, "no model of sounds is here to sing it"
        brief = panel.received({"text": "a slow\nwaltz"}, {"mode": "score"})
        assert brief[fields["prompt"]]["value"] == "a slow waltz" and brief[fields["lyrics"]]["value"] == ""


def test_files_that_are_asked_for_at_once_make_room_for_each_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache is far too small, so that every request removes what others have just written."""
    monkeypatch.setattr(sounding, "MOST", 3000)
    wrong: list[Exception] = []
    with Studio(Settings(home=home)) as studio:

        def ask(first: int) -> None:
            try:
                for k in range(150):
                    sounding.cached(studio, f"{first * 37 + k} a.bin", lambda: bytes(1000))
            except Exception as error:  # noqa: BLE001  (whatever it is, a thread must not keep it to itself)
                wrong.append(error)

        asking = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        left = list((studio.settings.cache / "music").iterdir())
    assert not wrong, wrong[0]
    assert left and {path.stat().st_size for path in left} == {1000}
