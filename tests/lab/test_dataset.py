"""A data set from end to end: planted faults found, every edit undone, nothing lost to a kill, the source untouched."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageEnhance

from studio.errors import Cancelled, DiskFull, InvalidInput, NotFound
from studio.lab import state as state_module
from studio.lab.dataset import Dataset, datasets
from studio.lab.items import Item
from studio.lab.state import HISTORY
from tests.lab.drawn import encoded, picture, save

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Eight pictures of a person."""
    folder = tmp_path / "source"
    for n in range(8):
        save(folder, f"red_fox-{n}.png", picture(n))
    return folder


@pytest.fixture
def dataset(tmp_path: Path, source: Path) -> Dataset:
    dataset = Dataset.create(tmp_path / "datasets", "Foxes")
    dataset.add([source])
    return dataset


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def seen(dataset: Dataset) -> Any:
    """All that a person sees of it."""
    return dataset.name, dataset.trigger, dataset.consent, dataset.consented, dataset.least, dataset.items


def named(dataset: Dataset, name: str) -> Item:
    return next(item for item in dataset.items if item.name == name)


def test_the_report_finds_the_planted_faults(tmp_path: Path, source: Path) -> None:
    save(source, "same.png", picture(0))
    (source / "cut.png").write_bytes((source / "red_fox-1.png").read_bytes()[:400])
    exif = Image.Exif()
    exif[0x0112] = 6
    save(source, "sideways.jpg", picture(50, 64, 48).transpose(Image.Transpose.ROTATE_90), exif=exif)
    save(source, "alike.jpg", picture(2), quality=95)
    (source / "notes.odt").write_text("not a picture")
    before = hashes(source)
    dataset = Dataset.create(tmp_path / "datasets", "Foxes", least=64)
    steps: list[tuple[int, int]] = []
    report = dataset.add([source], progress=lambda done, many: steps.append((done, many)))
    assert report.problems == {
        "duplicate": 1, "near_duplicate": 1, "truncated": 1, "rotated": 1, "too_small": 1, "other": 1
    }  # fmt: skip
    assert (report.items, report.included, report.held_out) == (12, 9, 1)
    assert hashes(source) == before
    assert steps == [(n, 12) for n in range(1, 13)]
    turned = named(dataset, "sideways.jpg")
    assert (turned.width, turned.height) == (64, 48) and turned.included
    assert (
        not named(dataset, "same.png").included and "red_fox-0.png" in named(dataset, "same.png").problems[0].sentence
    )
    assert named(dataset, "cut.png").file == "" and not named(dataset, "cut.png").included
    assert named(dataset, "alike.jpg").split == named(dataset, "red_fox-2.png").split
    text = " ".join(report.sentences)
    assert "9 pictures of 12 will be used" in text and "cut off" in text and "turned" in text
    assert dataset.report().problems == {k: v for k, v in report.problems.items() if k != "other"}


def test_a_tiny_picture_is_left_out_and_may_be_taken_in(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name, number, side in (("large.png", 0, 96), ("small.png", 1, 40), ("tiny.png", 2, 20)):
        save(source, name, picture(number, side, side))
    (source / "tiny twin.png").write_bytes((source / "tiny.png").read_bytes())
    dataset = Dataset.create(tmp_path / "datasets", "Sizes", least=64)
    report = dataset.add([source])
    assert report.problems == {"too_small": 3, "duplicate": 1} and (report.items, report.included) == (4, 2)
    assert named(dataset, "small.png").included and not named(dataset, "tiny.png").included
    told = {problem.kind: problem for problem in named(dataset, "tiny.png").problems}["too_small"]
    assert told.mended and told.sentence == "It has 20 x 20 pixels; the model works with 64." and "Left out" in told.how
    assert not named(dataset, "tiny twin.png").included
    dataset.set_included(named(dataset, "tiny.png").id, True)
    (told,) = (problem for problem in named(dataset, "tiny.png").problems if problem.kind == "too_small")
    assert not told.mended and told.how.startswith("It stays in")
    anything = Dataset.create(tmp_path / "datasets", "Sprites")
    assert anything.add([source]).included == 3


def test_look_alikes_name_the_one_that_counts(tmp_path: Path) -> None:
    source = tmp_path / "source"
    large = picture(3, 256, 256)
    blurred = large.resize((24, 24)).resize((128, 128))
    save(source, "tree0.png", large)
    save(source, "tree4.png", blurred)
    (source / "tree5.png").write_bytes((source / "tree4.png").read_bytes())
    save(source, "tree6.png", ImageEnhance.Brightness(blurred).enhance(0.99))
    dataset = Dataset.create(tmp_path / "datasets", "Trees")
    dataset.add([source])
    told = {item.name: [f"{p.sentence} {p.how}" for p in item.problems] for item in dataset.items}
    assert told["tree0.png"] == []
    assert told["tree4.png"] == ["It looks almost like tree0.png. Left out; the other one counts."]
    assert told["tree5.png"] == ["It is tree4.png again. Left out; tree0.png counts."]
    assert told["tree6.png"] == ["It looks almost like tree0.png. Left out; the other one counts."]
    assert [item.name for item in dataset.items if item.included] == ["tree0.png"]


def test_captions_come_from_side_files_tables_and_names(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for n, name in enumerate(("a-blue_bird (2).png", "IMG_2031.png", "told.png", "table.png", "sub/told.png")):
        save(source / Path(name).parent, Path(name).name, picture(n))
    (source / "told.txt").write_bytes("ein Käfer\nauf Gras".encode("cp1252"))
    (source / "sub" / "told.caption").write_text("another one", "utf-8")
    (source / "metadata.jsonl").write_text('{"file_name": "table.png", "text": "from the table"}\n', "utf-8")
    dataset = Dataset.create(tmp_path / "datasets", "x")
    dataset.add([source])
    captions = {item.name: item.caption for item in dataset.items}
    assert captions == {
        "a-blue_bird (2).png": "a blue bird",
        "IMG_2031.png": "",
        "told.png": "ein Käfer auf Gras",
        "table.png": "from the table",
        "sub/told.png": "another one",
    }


def test_uploads_keep_the_names_that_the_person_knows(tmp_path: Path) -> None:
    upload = save(tmp_path / "cache", "8f3a.png", picture(1))
    side = tmp_path / "other" / "77aa.txt"
    side.parent.mkdir()
    side.write_text("a red kite")
    dataset = Dataset.create(tmp_path / "datasets", "x")
    dataset.add([upload, side], names={upload: "kite.png", side: "kite.txt"})
    assert [(i.name, i.caption) for i in dataset.items] == [("kite.png", "a red kite")]


def test_captions_known_already_are_taken(tmp_path: Path) -> None:
    kept = [save(tmp_path / "store", f"{n:064x}.png", picture(n)) for n in range(2)]
    dataset = Dataset.create(tmp_path / "datasets", "x")
    dataset.add(kept, names={kept[1]: "owl.png"}, captions={kept[0]: "a fox\nat dawn", kept[1]: "an owl"})
    assert [item.caption for item in dataset.items] == ["a fox at dawn", "an owl"]


def test_adding_again_adds_nothing(dataset: Dataset, source: Path) -> None:
    before = seen(dataset)
    report = dataset.add([source])
    assert report.items == 0 and "8 of the files were there already." in report.sentences
    assert seen(dataset) == before


def test_what_is_not_there_or_of_another_kind(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(NotFound):
        dataset.add([tmp_path / "gone.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput):
        dataset.add([tmp_path / "empty"])
    with pytest.raises(InvalidInput):
        Dataset.create(tmp_path, "x", "smell")
    with pytest.raises(InvalidInput):
        Dataset.create(tmp_path, " \n ")
    with pytest.raises(NotFound):
        Dataset.open(tmp_path / "nowhere")
    with pytest.raises(NotFound):
        dataset.set_caption("nobody", "x")


EDITS: dict[str, Callable[[Dataset], object]] = {
    "caption": lambda d: d.set_caption(d.items[0].id, "a new caption"),
    "captions": lambda d: d.set_captions({item.id: item.name for item in d.items}),
    "replace": lambda d: d.replace_in_captions("red", "blue"),
    "included": lambda d: d.set_included(d.items[0].id, False),
    "split": lambda d: d.set_split(d.items[0].id, "train" if d.items[0].split == "held_out" else "held_out"),
    "held out": lambda d: d.set_held_out(0.5),
    "least": lambda d: d.set_least(512),
    "trigger": lambda d: d.set_trigger("sks"),
    "consent": lambda d: d.set_consent(True),
    "rename": lambda d: d.rename("Vixens"),
    "add": lambda d: d.add([save(d.folder.parent.parent / "more", "new.png", picture(99))]),
}


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_is_undone_and_redone(dataset: Dataset, edit: str) -> None:
    before = seen(dataset)
    EDITS[edit](dataset)
    after = seen(dataset)
    assert after != before
    assert dataset.undo() and seen(dataset) == before
    assert seen(Dataset.open(dataset.folder)) == before
    assert dataset.redo() and seen(dataset) == after
    assert seen(Dataset.open(dataset.folder)) == after


def test_all_edits_one_after_the_other(dataset: Dataset) -> None:
    states = [seen(dataset)]
    for edit in EDITS.values():
        edit(dataset)
        states.append(seen(dataset))
    assert [change.what for change in dataset.history][-2:] == ["Renamed to Vixens", "new.png added"]
    for wanted in reversed(states[:-1]):
        assert dataset.undo() and seen(dataset) == wanted
    assert dataset.undo() and not dataset.items and not dataset.undo()
    for wanted in states:
        assert dataset.redo() and seen(dataset) == wanted
    assert not dataset.redo()


def test_a_new_edit_ends_what_could_be_redone(dataset: Dataset) -> None:
    dataset.undo()
    dataset.rename("Other")
    assert not dataset.redo() and not dataset.items
    assert json.loads((dataset.folder / "dataset.json").read_text("utf-8"))["items"] == []


def test_the_history_is_bounded(dataset: Dataset) -> None:
    for n in range(HISTORY + 5):
        dataset.rename(f"Name {n}")
    assert len(dataset.history) == HISTORY
    while dataset.undo():
        pass
    assert dataset.name == "Name 4" and len(dataset.items) == 8


def test_a_trigger_word_is_no_syntax_of_prompts(dataset: Dataset) -> None:
    for wrong in ("<lora:x:1>", "(fox)", "{a|b}", "a, b", "fox:1.2", "[fox]", "a\\"):
        with pytest.raises(InvalidInput, match="meaning of its own in prompts") as refused:
            dataset.set_trigger(wrong)
        assert refused.value.field == "trigger"
    assert dataset.trigger == ""
    dataset.set_trigger("  zwx-7  toy ")
    assert dataset.trigger == "zwx-7 toy"


def test_replacing_in_captions(dataset: Dataset) -> None:
    assert dataset.replace_in_captions("red fox", "fox of fire") == 8
    assert {item.caption for item in dataset.items} == {"fox of fire"}
    assert dataset.replace_in_captions("wolf", "dog") == 0
    with pytest.raises(InvalidInput):
        dataset.replace_in_captions("", "x")


def test_look_alikes_move_together_and_never_straddle(tmp_path: Path, dataset: Dataset) -> None:
    dataset.add([save(tmp_path / "more", "alike.jpg", picture(3), quality=95)])
    first, alike = named(dataset, "red_fox-3.png"), named(dataset, "alike.jpg")
    dataset.set_included(alike.id, True)
    other = "held_out" if first.split == "train" else "train"
    dataset.set_split(alike.id, other)
    assert {named(dataset, name).split for name in ("red_fox-3.png", "alike.jpg")} == {other}
    dataset.set_held_out(0.5)
    assert named(dataset, "red_fox-3.png").split == named(dataset, "alike.jpg").split


def test_the_manifest_needs_consent_and_items(tmp_path: Path, dataset: Dataset) -> None:
    with pytest.raises(InvalidInput, match="Nobody has said"):
        dataset.manifest()
    started = time.time()
    dataset.set_consent(True)
    dataset.set_trigger("sks")
    dataset.set_included(dataset.items[0].id, False)
    manifest = json.loads(json.dumps(dataset.manifest()))
    assert (manifest["id"], manifest["name"], manifest["kind"], manifest["trigger"]) == (
        "foxes",
        "Foxes",
        "image",
        "sks",
    )
    assert manifest["consent"]["given"] and manifest["consent"]["time"] >= started
    assert len(manifest["items"]) == 7
    for item in manifest["items"]:
        file = Path(item["file"])
        assert file.is_absolute() and hashlib.sha256(file.read_bytes()).hexdigest() == item["sha256"]
        assert (item["caption"], item["width"], item["height"]) == ("red fox", 64, 64)
    assert [item["split"] for item in manifest["items"]].count("held_out") <= 1
    dataset.path(dataset.items[1]).unlink()
    with pytest.raises(InvalidInput, match="gone"):
        dataset.manifest()
    empty = Dataset.create(tmp_path / "datasets", "Empty")
    empty.set_consent(True)
    with pytest.raises(InvalidInput, match="nothing to train"):
        empty.manifest()


def test_the_source_may_go_and_the_set_may_go(dataset: Dataset, source: Path) -> None:
    for file in source.iterdir():
        file.unlink()
    for item in dataset.items:
        with Image.open(dataset.path(item)) as copy:
            copy.load()
    assert dataset.crop(dataset.items[0], 32, 64)[3] == 64
    root = dataset.folder.parent
    Dataset.create(root, "Foxes")
    assert [d.folder.name for d in datasets(root)] == ["foxes", "foxes-2"]
    dataset.delete()
    assert [d.folder.name for d in datasets(root)] == ["foxes-2"] and not dataset.folder.exists()
    assert datasets(root / "nowhere") == ()


def test_a_cancelled_adding_leaves_nothing(tmp_path: Path, source: Path) -> None:
    dataset = Dataset.create(tmp_path / "datasets", "x")

    def stop(done: int, many: int) -> None:
        if done == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        dataset.add([source], progress=stop)
    assert dataset.items == () and sorted(p.name for p in dataset.folder.iterdir()) == ["dataset.json", "files"]


def test_a_full_disk_leaves_the_old_state(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    before = seen(dataset)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module.os, "fsync", full)
    with pytest.raises(DiskFull):
        dataset.rename("Other")
    monkeypatch.undo()
    assert seen(dataset) == before and seen(Dataset.open(dataset.folder)) == before
    assert sorted(p.name for p in dataset.folder.iterdir()) == ["dataset.json", "files"]


def test_a_damaged_state_is_told(dataset: Dataset) -> None:
    (dataset.folder / "dataset.json").write_text('{"version": 1, "items": [{}')
    with pytest.raises(InvalidInput, match="damaged"):
        Dataset.open(dataset.folder)
    assert datasets(dataset.folder.parent) == ()
    (dataset.folder / "dataset.json").write_text('{"version": 99}')
    with pytest.raises(InvalidInput, match="newer"):
        Dataset.open(dataset.folder)


def test_two_objects_and_several_threads_lose_no_edit(dataset: Dataset) -> None:
    def work(item: Item) -> None:
        own = Dataset.open(dataset.folder)
        for n in range(5):
            own.set_caption(item.id, f"{item.name} {n}")

    threads = [threading.Thread(target=work, args=(item,)) for item in dataset.items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item.caption for item in dataset.items] == [f"{item.name} 4" for item in dataset.items]
    assert len(dataset.history) == 41


@pytest.mark.skipif(sys.platform == "win32", reason="ends a process by a signal")
def test_a_kill_during_adding_leaves_a_readable_set(tmp_path: Path, dataset: Dataset) -> None:
    before = seen(dataset)
    more = tmp_path / "more"
    for n in range(30):
        (more / "x").mkdir(parents=True, exist_ok=True)
        (more / "x" / f"{n}.png").write_bytes(encoded(picture(100 + n, 96, 96)))
    code = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from studio.lab.dataset import Dataset
        def told(done, many):
            print(done, flush=True)
            time.sleep(0.02)
        Dataset.open(Path({str(dataset.folder)!r})).add([Path({str(more)!r})], progress=told)
        print("end", flush=True)
    """)
    for after in (1, 12, 30):
        child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        with contextlib.suppress(StopIteration):
            while next(child.stdout).strip() != str(after):
                pass
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
        opened = Dataset.open(dataset.folder)
        assert seen(opened) == before or len(opened.items) == 38
        if len(opened.items) == 38:
            opened.undo()
    report = Dataset.open(dataset.folder).add([more])
    assert report.items == 30 and len(dataset.items) == 38
    assert sorted(p.name for p in dataset.folder.iterdir()) == ["dataset.json", "files"]
    assert {p.name for p in (dataset.folder / "files").iterdir()} == {item.file for item in dataset.items}
    for item in dataset.items:
        assert hashlib.sha256(dataset.path(item).read_bytes()).hexdigest() == item.sha256


def test_ids_survive_names_that_are_no_paths(tmp_path: Path) -> None:
    upload = save(tmp_path, "up.png", picture(1))
    dataset = Dataset.create(tmp_path / "datasets", "../../Ünlü <b>")
    dataset.add([upload], names={upload: "../../../etc/passwd.png"})
    assert dataset.folder.parent == tmp_path / "datasets" and dataset.id == "unlu-b"
    assert dataset.path(dataset.items[0]).parent == dataset.folder.absolute() / "files"
