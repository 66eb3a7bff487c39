"""The Music panel's form and its requests: what modes share has a field in each; there and back it is the same."""

from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Request
from studio.ui import composing
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
