"""A person's own templates of briefs: kept, chosen, overwritten, renamed, deleted and taken back; by the command."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from studio import presets, text_templates
from studio.cli import parser
from studio.errors import InvalidInput, NotFound
from studio.settings import Settings
from studio.studio import Studio
from studio.text_commands import text_request
from studio.ui import templating

FORM: Mapping[str, Any] = {
    "mode": "brief",
    "prompt": "a ballad of the harbour",
    "genre": "poem",
    "tone": "dark",
    "keywords": "harbour, gull",
    "length": 120,
    "temperature": 1.1,
    "num_return_sequences": 3,
    "max_new_tokens": 90,
    "filter": "sword, blood",
    "filtered": True,
    "adapter": "",
    "seed": 4,
}


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Settings.load({"home": str(tmp_path / "home")})) as made:
        yield made


def asked(studio: Studio, does: str, values: Mapping[str, Any] = FORM, **more: Any) -> tuple[Any, dict[str, Any]]:
    return templating.act(studio, {"do": f"template-{does}", **more}, values)


def test_kept_chosen_overwritten_renamed_deleted_and_taken_back(studio: Studio) -> None:
    told, _ = asked(studio, "keep", new="  Harbour   ballads ")
    assert told["own"] == ["Harbour ballads"] and told["at"] == "Harbour ballads" and "Poem" in told["shipped"]
    _, filled = asked(studio, "use", {}, name="Harbour ballads")
    same = ("prompt", "genre", "tone", "keywords", "length", "temperature", "num_return_sequences", "max_new_tokens")
    assert {name: filled[name] for name in same} == {name: FORM[name] for name in same}
    assert filled["filter"] == "sword\nblood" and filled["filtered"] is True and filled["mode"] == "brief"
    assert filled["title"] == "" and "seed" not in filled and "keyword_bias" not in filled  # that follows the model
    asked(studio, "keep", {**FORM, "tone": "warm"}, new="Harbour ballads")
    told, _ = asked(studio, "rename", name="Harbour ballads", new="Songs")
    assert told["own"] == ["Songs"] and asked(studio, "use", {}, name="songs")[1]["tone"] == "warm"
    told, _ = asked(studio, "delete", name="Songs")
    assert told["own"] == [] and told["deleted"]["name"] == "Songs"
    told, _ = asked(studio, "restore", name="Songs", fields=told["deleted"]["fields"])
    assert told["own"] == ["Songs"] and asked(studio, "use", {}, name="Songs")[1]["tone"] == "warm"


def test_words_that_were_typed_stay_and_what_is_not_installed_is_said(studio: Studio) -> None:
    asked(studio, "keep", new="Ballads")
    assert "prompt" not in asked(studio, "use", {"prompt": "My own words"}, name="Ballads")[1]
    shipped = asked(studio, "use", {}, name="Poem")[1]["prompt"]
    assert asked(studio, "use", {"prompt": shipped}, name="Ballads")[1]["prompt"] == FORM["prompt"]
    fields = {"task": "text", "model": "gone", "adapters": [{"id": "lost", "weight": 0.5}], "params": {"tone": "dry"}}
    presets.save_preset(studio.settings.home, "Elsewhere", fields)
    told, filled = asked(studio, "use", {}, name="Elsewhere")
    assert "'gone' is not installed" in told["note"] and "'lost' is not installed" in told["note"]
    assert "model" not in filled and filled["adapter"] == "" and filled["tone"] == "dry"


def test_bad_names_are_one_sentence_and_nothing_of_others_is_lost(studio: Studio) -> None:
    home = studio.settings.home
    presets.save_preset(home, "Quick", {"task": "train_lora", "params": {"r": 4}})
    asked(studio, "keep", new="Mine")
    for name, said in (
        ("", "cannot be the name"),
        ("x" * 81, "cannot be the name"),
        ("two\x00words", "cannot be the name"),
        ("poem", "comes with the program"),
        ("Quick", "for something else|already"),
    ):
        for does in ("keep", "rename"):
            with pytest.raises(InvalidInput, match=said):
                asked(studio, does, name="Mine", new=name)
    asked(studio, "keep", new="Other")
    with pytest.raises(InvalidInput, match="already"):
        asked(studio, "rename", name="Mine", new="Other")
    with pytest.raises(NotFound, match="no template 'Quick'"):
        asked(studio, "delete", name="Quick")
    with pytest.raises(NotFound):
        asked(studio, "delete", name="Poem")
    with pytest.raises(InvalidInput, match="Temperature"):
        asked(studio, "keep", {**FORM, "temperature": 99}, new="Hot")
    assert [preset.name for preset in presets.load_presets(home)] == ["Mine", "Other", "Quick"]
    assert [preset.name for preset in text_templates.own(home)] == ["Mine", "Other"]


def command(*words: str) -> argparse.Namespace:
    return parser().parse_args(["text", *words])


def test_the_command_takes_a_template_and_what_is_said_counts_more(studio: Studio) -> None:
    asked(studio, "keep", new="Ballads")
    request = text_request(studio, command("--template", "ballads", "--tone", "dry", "--count", "1"))
    assert request.prompt == FORM["prompt"] and request.params["keywords"] == FORM["keywords"]
    assert request.params["tone"] == "dry" and request.params["num_return_sequences"] == 1
    assert request.params["word_filter"] == ["sword", "blood"] and request.model == "starter-text"
    request = text_request(studio, command("a song of rain", "--template", "Poem"))
    assert (
        request.prompt == "a song of rain" and request.params["genre"] == "poem" and request.params["mode"] != "write"
    )
    more = ("--lora", "mine:0.5", "--without", "gull", "--xtc-probability", "0.5", "--quantization", "int8")
    request = text_request(studio, command("--template", "Ballads", *more))
    assert [(used.id, used.weight) for used in request.adapters] == [("mine", 0.5)]
    assert request.params["word_filter"] == ["gull"] and request.params["xtc_probability"] == 0.5
    assert request.params["quantization"] == "int8"
    plain = text_request(studio, command("a song of rain"))
    assert plain.params == {"mode": "brief", "num_return_sequences": 1}
    with pytest.raises(NotFound, match="no template 'Balads'") as wrong:
        text_request(studio, command("--template", "Balads"))
    assert "'Ballads'" in wrong.value.hint
    with pytest.raises(InvalidInput, match="not said what"):
        text_request(studio, command())
