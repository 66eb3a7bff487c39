"""What the Train panel asks for while another tab adds and deletes."""

import contextlib
import json
import math
import shutil
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from studio import cli, presets
from studio.errors import InvalidInput, NotFound
from studio.lab.dataset import Dataset
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Job, JobState, Request
from studio.ui.answers import fresh
from studio.ui.training import TrainDesk
from tests.families.captioning import tiny_captioner


def test_data_sets_that_come_and_go_while_they_are_shown(home: Path) -> None:
    studio = Studio(Settings.load({"home": str(home)}))
    desk = TrainDesk(studio)
    pictures = [home / f"{number}.png" for number in range(4)]
    for number, path in enumerate(pictures):
        Image.new("RGB", (300 + 20 * number, 300), (40 * number, 20, 90)).save(path)
    shown, wrong, over = "none", [], threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                desk.overview()  # always there
                with contextlib.suppress(NotFound):  # that one is gone
                    for item in desk.data.state(shown)["items"]:
                        desk.data.picture(shown, item["id"])
            except Exception as error:  # noqa: BLE001  (whatever it is, a thread must not keep it to itself)
                wrong.append(error)

    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for number in range(8):
        shown = Dataset.create(studio.datasets, f"Mine {number}").id
        desk.data.add(shown, pictures, {path: path.name for path in pictures}, {})
        desk.act({"action": "delete", "dataset": shown})
    over.set()
    for thread in looking:
        thread.join()
    assert not wrong, wrong[0]


def test_a_model_says_what_it_can_be_taught(home: Path) -> None:
    with Studio(Settings.load({"home": str(home)})) as studio:
        desk = TrainDesk(studio)
        pictures = [home / f"{number}.png" for number in range(2)]
        for number, path in enumerate(pictures):
            Image.new("RGB", (300 + 20 * number, 300), (90 * number, 20, 90)).save(path)
        mine = Dataset.create(studio.datasets, "Mine").id
        desk.data.add(mine, pictures, {path: path.name for path in pictures}, {})
        told = desk.plan({"dataset": mine, "base": "starter-image", "preset": "quick"})["advice"]
    assert "are few" in told and "never seen a photograph" in told


def test_a_probe_offers_what_can_be_told(home: Path) -> None:
    """Of any model's pictures the colour; of the starter's, which brings a judge, all."""
    with Studio(Settings.load({"home": str(home)})) as studio:
        desk = TrainDesk(studio)
        able = {one["id"]: one["attributes"] for one in desk.overview()["measured"]}
        assert able["starter-image"] == ["colour", "thing", "place", "time", "style"]
        shutil.copytree(
            studio.catalog.model("starter-image").folder,
            home / "models" / "plain",
            ignore=shutil.ignore_patterns("judge.safetensors", "card.toml"),
        )
        able = {one["id"]: one["attributes"] for one in desk.overview()["measured"]}
        assert able["plain"] == ["colour"]
        asked = {"action": "start_evaluation", "base": "plain", "prompts": "a house", "attribute": "place", "seeds": 2}
        with pytest.raises(InvalidInput, match="Nothing installed can tell the place") as told:
            desk.act(asked)
        assert "BLIP" in told.value.hint and told.value.field == "attribute"
        with pytest.raises(InvalidInput, match="has no judge that could tell the thing in its pictures."):
            desk.act({**asked, "attribute": "thing"})
        tiny_captioner.build("blip", home / "models" / "captions")
        able = {one["id"]: one["attributes"] for one in desk.overview()["measured"]}
        captioned = ["person", "age", "season"]
        assert able["starter-image"] == ["colour", "thing", "place", "time", "style", *captioned]
        assert able["plain"] == ["colour", "place", "time", "style", *captioned]
        with pytest.raises(InvalidInput, match="not searched for the person 'nurse'"):
            desk.act({**asked, "attribute": "person", "words": "man, nurse"})
        studio.pause()
        for base, attribute, captioner in (
            ("plain", "place", "captions"),
            ("starter-image", "place", None),
            ("starter-image", "age", "captions"),
        ):
            job = desk.act({**asked, "base": base, "attribute": attribute})["job"]
            assert studio.library.job(job).request.params.get("captioner") == captioner
        shutil.rmtree(home / "models" / "captions")
        with pytest.raises(NotFound, match="no captioning model 'captions'"):
            studio.check(studio.library.job(job).request)


def two_sets(desk: TrainDesk, home: Path) -> dict[str, str]:
    """A set of pictures and one of texts, both with consent; their ids by kind."""
    for number in range(2):
        Image.effect_noise((300 + 20 * number, 300), 60).convert("RGB").save(home / f"{number}.png")
        (home / f"{number}.txt").write_text(
            f"The owl number {number} sat in the old tree and sang. " * (20 + number), "utf-8"
        )
    made = {}
    for kind, suffix in (("image", "png"), ("text", "txt")):
        made[kind] = desk.act({"action": "create", "name": f"My {kind}s", "kind": kind})["dataset"]
        desk.data.add(made[kind], [home / f"{number}.{suffix}" for number in range(2)], {}, {})
        desk.act({"action": "consent", "dataset": made[kind], "on": True})
    return made


def test_presets_of_ones_own_train_what_they_were_saved_for(home: Path) -> None:
    """What the page shows of a preset is what is queued, for pictures and for texts."""
    bases = {"image": "starter-image", "text": "starter-text"}
    own = {"image": {"r": 3, "max_train_steps": 21}, "text": {"r": 64, "max_train_steps": 33, "max_length": 48}}
    with Studio(Settings.load({"home": str(home)})) as studio:
        studio.pause()
        desk = TrainDesk(studio)
        sets = two_sets(desk, home)
        for kind, dataset in sets.items():
            desk.act({"action": "save_preset", "dataset": dataset, "name": f"Mine for {kind}", "params": own[kind]})
        assert desk.overview()["own"] == [{"name": f"Mine for {kind}", "learns": kind} for kind in ("image", "text")]
        for kind, dataset in sets.items():
            asked = {"dataset": dataset, "base": bases[kind], "preset": f"Mine for {kind}", "params": {"r": 5}}
            shown = {field["name"]: field["value"] for field in desk.plan(asked)["fields"]}
            job = desk.act({"action": "start", **asked})["job"]
            queued = studio.job(job).request.params
            assert queued == {name: value for name, value in shown.items() if value is not None}
            assert {**own[kind], "r": 5}.items() <= queued.items()
        other = {"dataset": sets["image"], "base": "starter-image", "preset": "Mine for text"}
        with pytest.raises(InvalidInput, match="no preset 'Mine for text' for this data"):
            desk.plan(other)
        with pytest.raises(InvalidInput, match="no preset 'Mine for text' for this data"):
            desk.act({"action": "start", **other})
        with pytest.raises(InvalidInput, match="is the name of a preset of the program"):
            desk.act({"action": "save_preset", "dataset": sets["text"], "name": "Best", "params": {}})
        with pytest.raises(InvalidInput, match="holds texts, which Starter image cannot be taught"):
            desk.act({"action": "start", "dataset": sets["text"], "base": "starter-image", "preset": "quick"})
        presets.save_preset(home, "Of old", {"task": "train_lora", "params": {"r": 9, "max_length": 32}})
        old = desk.plan({"dataset": sets["text"], "base": "starter-text", "preset": "Of old"})["fields"]
        assert next(field["value"] for field in old if field["name"] == "r") == 9


def test_the_command_knows_presets_of_ones_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Studio(Settings.load({"home": str(home)})) as studio:
        two_sets(TrainDesk(studio), home)
    presets.save_preset(home, "Mine", {"task": "train_lora", "params": {"r": 4}})
    words = ["train", "--home", str(home), "--lora", str(home / "0.png"), "--out", "x", "--preset", "Yours"]
    assert cli.main(words) == 2
    assert "There is no preset 'Yours' for this data." in (told := capsys.readouterr().err) and "best, Mine" in told


def test_a_run_that_diverged_is_still_shown(home: Path) -> None:
    """Python writes NaN and Infinity, which are no JSON."""
    with Studio(Settings(home=home)) as studio:
        request = Request(task="train_lora", model="starter-image", prompt="mine", seed=1)
        now = time.time()
        studio.library.add_job(
            Job(id="run1", request=request, state=JobState.failed, created=now, position=now, panel="train")
        )
        folder = studio.training_folder(request)
        folder.mkdir(parents=True)
        lines = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": math.nan}, {"step": 3, "held_out": math.inf}]
        (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
        (folder / "card.json").write_text(json.dumps({"figures": {"held_out": {"value": math.nan}}}))
        told = json.loads(fresh(TrainDesk(studio).run_state("run1")).body)
    assert [row["loss"] for row in told["rows"][:2]] == [0.5, None] and told["rows"][2]["held_out"] is None
    assert told["card"]["figures"]["held_out"]["value"] is None
