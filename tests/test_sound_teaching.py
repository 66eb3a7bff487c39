"""Sounds are taught by the whole road - command, data set, queue, worker, library - and the LoRA changes takes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from studio import cli
from studio.errors import InvalidInput
from studio.lab.dataset import Dataset
from studio.lab.recipe import sound_lora_params
from studio.settings import Settings
from studio.studio import Studio
from studio.teaching import kind_learnt, learns, lora_request
from studio.ui.training import TrainDesk
from tests.families.audio import tiny
from tests.lab.played import encoded, melody, saved

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def musical(home: Path) -> Path:
    tiny.musicgen(home / "models" / "tiny-music")
    tiny.vits(home / "models" / "tiny-speech")
    return home


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_commands_teach_and_use_it(musical: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tunes"
    folder.mkdir()
    saved(folder, range(6), 1.2)
    where = ["--home", str(musical)]
    options = [
        "--base",
        "tiny-music",
        "--trigger",
        "zwx",
        "--out",
        "tunes",
        "--steps",
        "2",
        "--rank",
        "2",
        "--lr",
        "0.05",
    ]
    assert cli.main(["train", "--lora", str(folder), *options, *where]) == 0
    learnt = told(capsys)[-1]
    assert learnt["adapter"] == "tunes" and learnt["sounds"] == 5 and learnt["held_out"] == 1
    assert set(learnt["card"]["figures"]) == {"held_out", "drift", "copied_run"}
    made = ["sound", "zwx", "--model", "tiny-music", "--seconds", "0.5", "--seed", "4", *where]
    for lora in ([], ["--lora", "tunes"]):
        assert cli.main([*made, *lora]) == 0
    before, with_it = (soundfile.read(line["path"])[0] for line in told(capsys))
    assert before.shape == with_it.shape and not np.array_equal(before, with_it)
    with Studio(Settings(home=musical)) as studio:
        jobs = studio.library.jobs(panel="cli", limit=9)
        used = next(job for job in jobs if job.request.adapters and job.request.adapters[0].weight == 1)
        assert [given.role for given in used.request.inputs] == ["adapter"]
        assert studio.catalog.adapter_facts("tunes")["base"] == "tiny-music"


def test_what_a_data_set_of_sounds_can_be_taught_to(musical: Path, tmp_path: Path) -> None:
    with Studio(Settings(home=musical)) as studio:
        desk = TrainDesk(studio)
        bases = [(base["id"], base["learns"]) for base in desk.overview()["bases"]]
        assert [id for id, kind in bases if kind == "sound"] == ["tiny-music"]
        music, speech = studio.catalog.model("tiny-music"), studio.catalog.model("tiny-speech")
        assert kind_learnt(music) == "sound" and not learns(speech, "sound")
        with pytest.raises(InvalidInput, match="cannot be taught a LoRA"):
            kind_learnt(speech)
        dataset = Dataset.create(studio.datasets, "tunes", "sound")
        dataset.add(saved(tmp_path, range(3), 1.2))
        song = tmp_path / "song.flac"
        song.write_bytes(encoded(melody(9, 1.2), format="FLAC"))
        kept = studio.library.keep(song, media_type="audio/flac", meta={"prompt": "slow bells. Far off"})
        desk.data.add_library({"dataset": dataset.id, "shas": [kept.sha256]})
        assert dataset.items[-1].caption == "slow bells. Far off" and dataset.undo()
        assert len(dataset.items) == 3
        with pytest.raises(InvalidInput, match="tiny-speech cannot be taught"):
            lora_request(studio, dataset, base="tiny-speech", name="x", preset="quick")
        asked = {"dataset": dataset.id, "base": "tiny-music", "preset": "balanced"}
        plan, longer = desk.plan(asked), desk.plan({**asked, "params": {"seconds": 20, "max_train_steps": 900}})
        assert plan["pictures"] == 3 and "4 seconds are few" in plan["advice"]
        assert plan["seconds"][1] < longer["seconds"][1] and plan["memory"] < longer["memory"]


def test_presets_grow_with_the_sounds() -> None:
    few, many = (int(str(sound_lora_params("balanced", seconds, 2**31)["max_train_steps"])) for seconds in (30, 1800))
    assert few == 120 and 120 < many <= 2000
    assert sound_lora_params("best", 30, 2**31)["r"] == 32
    with pytest.raises(InvalidInput, match="no preset"):
        sound_lora_params("huge", 1, 1)
