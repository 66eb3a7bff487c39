import json
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from studio.errors import InvalidInput, NotFound
from studio.library import lineage
from studio.library.database import Database
from studio.library.query import Query
from studio.types import JobState


def shas(page: Any) -> list[str]:
    return [a.sha256 for a in page.items]


class TestJobs:
    def test_a_job_comes_back_as_it_went_in_also_after_a_restart(self, house: Any) -> None:
        job = house.job("fox 🦊", params={"strength": 0.5, "sizes": [1, 2]}, group="g", position=2.5, steps=4)
        assert house.library.job(job.id) == job
        assert house.reopen().job(job.id) == job

    def test_changes_are_kept_and_returned(self, house: Any) -> None:
        job = house.job()
        changed = house.library.set_job(
            job.id,
            state=JobState.failed,
            error="It broke.",
            hint="Mend it.",
            versions={"torch": "2"},
            finished=5.0,
        )
        assert (changed.state, changed.error, changed.versions) == (
            JobState.failed,
            "It broke.",
            {"torch": "2"},
        )
        assert house.library.job(job.id) == changed

    def test_what_a_job_is_cannot_be_changed(self, house: Any) -> None:
        job = house.job()
        for field in ("id", "request", "created", "colour"):
            with pytest.raises(TypeError, match=field):
                house.library.set_job(job.id, **{field: "x"})

    def test_unknown_and_double_ids_are_refused(self, house: Any) -> None:
        with pytest.raises(NotFound, match="no-such-job"):
            house.library.job("no-such-job")
        with pytest.raises(NotFound, match="no-such-job"):
            house.library.set_job("no-such-job", step=1)
        house.job(id="one")
        with pytest.raises(InvalidInput, match="one"):
            house.job(id="one")

    def test_queue_order_filters_and_limit(self, house: Any) -> None:
        third, first, second = (house.job(id=i, position=p) for i, p in (("c", 3.0), ("a", -1.0), ("b", 2.0)))
        house.job(id="done", state=JobState.done, panel="cli", group="g")
        library = house.library
        queued = library.jobs(states=(JobState.queued,), newest=False)
        assert [j.id for j in queued] == [first.id, second.id, third.id]
        assert [j.id for j in library.jobs()] == ["done", "b", "a", "c"]
        assert [j.id for j in library.jobs(newest=False)] == ["done", "a", "b", "c"]
        assert [j.id for j in library.jobs(panel="cli")] == [j.id for j in library.jobs(group="g")] == ["done"]
        assert [j.id for j in library.jobs(limit=2)] == ["done", "b"]
        assert library.jobs(states=("running",)) == ()

    def test_a_session_starts_anew_and_keeps_the_old_jobs(self, house: Any) -> None:
        library = house.library
        one, two = house.job("one"), house.job("two")
        house.job("elsewhere", panel="cli")
        assert [j.id for j in library.session("image")] == [one.id, two.id]
        assert [j.id for j in library.session("image", limit=1)] == [two.id]
        library.new_session("image")
        assert library.session("image") == () and len(library.session("cli")) == 1
        three = house.job("three", created=0.0)  # a clock that went back does not hide it
        assert [j.id for j in house.reopen().session("image")] == [three.id]

    def test_prompts_are_distinct_and_the_last_used_first(self, house: Any) -> None:
        for prompt in ("fox", "owl", "fox", "  ", ""):
            house.job(prompt)
        assert house.library.prompts("image") == ("fox", "owl")
        assert house.library.prompts("image", limit=1) == ("fox",)
        assert house.library.prompts("music") == ()


class TestKeep:
    def test_outputs_come_in_index_order_and_say_what_they_are(self, house: Any) -> None:
        job = house.job()
        kept = [house.take(job, index, seed=index) for index in (2, 0, 1)]
        outputs = house.library.outputs(job.id)
        assert [a.index for a in outputs] == [0, 1, 2]
        assert outputs[2] == kept[0] == house.library.artifact(kept[0].sha256)
        assert (kept[0].width, kept[0].height, kept[0].meta["seed"]) == (8, 6, 2)

    def test_the_same_bytes_are_one_artifact_with_each_jobs_own_meta(self, house: Any) -> None:
        one, two = house.job("one"), house.job("two")
        first = house.library.keep(house.text("same"), media_type="text/plain", job=one.id, meta={"seed": 1})
        house.library.trash([first.sha256])
        second = house.library.keep(house.text("same"), media_type="text/plain", job=two.id, index=3, meta={"seed": 2})
        assert second.sha256 == first.sha256 and second.path == first.path
        assert second.trashed is None, "made again, so wanted again"
        assert house.library.find(Query()).total == 1
        assert [a.meta["seed"] for j in (one, two) for a in house.library.outputs(j.id)] == [1, 2]
        (of_two,) = house.library.outputs(two.id)
        assert (of_two.job, of_two.index) == (two.id, 3)

    def test_an_unknown_job_leaves_the_file_where_it_was(self, house: Any) -> None:
        file = house.picture()
        with pytest.raises(NotFound, match="no-such-job"):
            house.library.keep(file, media_type="image/png", job="no-such-job")
        assert file.is_file()
        assert not list((house.home / "files").rglob("*.png"))

    def test_any_text_can_be_kept(self, house: Any) -> None:
        for prompt in (
            "🦊" * 500,
            "שלום עולם",
            "a\x00b",
            "lone \ud800 surrogate",
            "'; DROP TABLE jobs; --",
            "x" * 100_000,
        ):
            job = house.job(prompt)
            kept = house.take(job, prompt=prompt)
            assert house.library.job(job.id).request.prompt == prompt
            assert house.library.artifact(kept.sha256).meta["prompt"] == prompt


class TestChanges:
    def test_undo_goes_back_step_by_step(self, house: Any) -> None:
        library = house.library
        one, two = house.take(), house.take()
        library.tag(one.sha256, ["a"])
        library.star(one.sha256, True)
        library.tag(one.sha256, ["b", "B", " ", "c  d"])
        library.trash([one.sha256, two.sha256])
        library.restore([two.sha256])
        now = library.artifact(one.sha256)
        assert (now.starred, now.tags, now.trashed is None) == (True, ("B", "c d"), False)
        sentences = []
        states = []
        while sentence := library.undo():
            sentences.append(sentence)
            now = library.artifact(one.sha256)
            states.append(
                (
                    now.starred,
                    now.tags,
                    now.trashed is not None,
                    library.artifact(two.sha256).trashed is not None,
                )
            )
        assert states == [
            (True, ("B", "c d"), True, True),
            (True, ("B", "c d"), False, False),
            (True, ("a",), False, False),
            (False, ("a",), False, False),
            (False, (), False, False),
        ]
        assert len(set(sentences)) >= 4 and all(s.endswith(".") for s in sentences)
        assert library.undo() is None

    def test_nothing_changed_is_nothing_to_undo(self, house: Any) -> None:
        kept = house.take()
        house.library.star(kept.sha256, False)
        house.library.restore([kept.sha256])
        house.library.trash([])
        assert house.library.undo() is None

    def test_an_unknown_one_changes_none(self, house: Any) -> None:
        kept = house.take()
        with pytest.raises(NotFound):
            house.library.trash([kept.sha256, "0" * 64])
        assert house.library.artifact(kept.sha256).trashed is None

    def test_the_index_follows_the_tags(self, house: Any) -> None:
        kept = house.take()
        house.library.tag(kept.sha256, ["glacier"])
        assert house.library.find(Query(text="glacier")).total == 1
        assert house.library.tags() == (("glacier", 1),)
        house.library.undo()
        assert house.library.find(Query(text="glacier")).total == 0
        assert house.library.tags() == ()

    def test_the_trash_hides_restores_and_empties(self, house: Any) -> None:
        library = house.library
        gone, stays = house.take(), house.take()
        thumbnail = library.thumbnail(gone.sha256)
        library.trash([gone.sha256])
        assert shas(library.find(Query())) == [stays.sha256]
        assert shas(library.find(Query(trashed=True))) == [gone.sha256]
        assert library.empty_trash() == gone.size
        assert not gone.path.exists() and not thumbnail.exists() and stays.path.is_file()
        with pytest.raises(NotFound):
            library.artifact(gone.sha256)
        assert library.undo() is None, "what is gone cannot be taken back, and undo says so"
        assert library.check(repair=False).consistent
        assert library.empty_trash() == 0

    def test_what_a_waiting_job_starts_from_stays(self, house: Any) -> None:
        library = house.library
        start, parent = house.take(), house.take()
        job = house.job(inputs=(start.sha256,), parent=parent.sha256)
        library.trash([start.sha256, parent.sha256])
        assert library.empty_trash() == 0 and start.path.is_file() and parent.path.is_file()
        library.set_job(job.id, state=JobState.done)
        assert library.empty_trash() == start.size + parent.size

    def test_what_was_kept_again_survives_a_stopped_emptying(self, house: Any) -> None:
        """The rows are gone, the program ends before the files go; then one of them is made again."""
        library = house.library
        twice = library.keep(house.text("twice"), media_type="text/plain")
        once = library.keep(house.text("once"), media_type="text/plain")
        library.close()
        database = Database(house.home / "library" / "library.sqlite")
        with database.writing() as connection:
            for kept in (once, twice):
                file = kept.path.relative_to(house.home / "files").as_posix()
                connection.execute("INSERT INTO removals VALUES (?)", (file,))
                connection.execute("DELETE FROM artifacts WHERE sha256 = ?", (kept.sha256,))
            connection.execute("DELETE FROM removals WHERE file LIKE ?", (f"%{twice.sha256}%",))
        database.close()
        library = house.reopen()
        assert not once.path.exists(), "the emptying is finished, what was deleted does not come back"
        library.keep(house.text("twice"), media_type="text/plain")
        assert house.reopen().artifact(twice.sha256).path.is_file()
        assert house.library.check(repair=False).consistent


class TestLineage:
    def test_parents_and_inputs_up_children_down(self, house: Any) -> None:
        upload = house.take(name="upload")
        mother = house.take(house.job("mother"))
        me = house.take(house.job("me", parent=mother.sha256, inputs=(upload.sha256,)))
        child = house.take(house.job("child", parent=me.sha256))
        cousin = house.take(house.job("cousin", parent=mother.sha256))
        tree = house.library.lineage(me.sha256)
        nodes = {n.artifact.sha256: n for n in tree.nodes}
        assert {s: n.depth for s, n in nodes.items()} == {
            upload.sha256: -1, mother.sha256: -1, me.sha256: 0, child.sha256: 1,
        }  # fmt: skip
        assert cousin.sha256 not in nodes
        assert nodes[me.sha256].parents == (mother.sha256, upload.sha256)
        assert nodes[child.sha256].job.request.prompt == "child" and nodes[upload.sha256].job is None
        assert [n.depth for n in tree.nodes] == sorted(n.depth for n in tree.nodes) and tree.complete

    def test_a_ring_and_a_job_that_returns_its_input_come_to_an_end(self, house: Any) -> None:
        library = house.library
        one = library.keep(house.text("one"), media_type="text/plain")
        copy = house.job("copy", inputs=(one.sha256,))
        library.keep(house.text("one"), media_type="text/plain", job=copy.id)
        two = library.keep(house.text("two"), media_type="text/plain", job=house.job(parent=one.sha256).id)
        library.keep(house.text("one"), media_type="text/plain", job=house.job(parent=two.sha256).id)
        tree = library.lineage(one.sha256)
        assert {n.artifact.sha256: set(n.parents) for n in tree.nodes} == {
            one.sha256: {two.sha256},
            two.sha256: {one.sha256},
        }

    def test_it_is_bounded_and_the_nearest_come_first(self, house: Any) -> None:
        chain = [house.take()]
        for n in range(9):
            chain.append(house.take(house.job(f"step {n}", parent=chain[-1].sha256)))
        job = house.job("many", parent=chain[-1].sha256)
        for n in range(30):
            house.take(job, n)
        database = Database(house.home / "library" / "library.sqlite")
        with database.reading() as connection:
            found = lineage.trace(connection, chain[-1].sha256, house.home / "files", limit=20)
            nearest = lineage.trace(connection, chain[-1].sha256, house.home / "files", limit=4)
        database.close()
        assert len(found.nodes) == 20 and not found.complete
        assert found.nodes[0].artifact.sha256 == chain[0].sha256
        assert [n.artifact.sha256 for n in nearest.nodes] == [a.sha256 for a in chain[-4:]]
        assert len(house.library.lineage(chain[-1].sha256).nodes) == 40

    def test_a_gap_left_by_the_trash_is_no_error(self, house: Any) -> None:
        mother = house.take()
        child = house.take(house.job(parent=mother.sha256, state=JobState.done))
        house.library.trash([mother.sha256])
        house.library.empty_trash()
        (node,) = house.library.lineage(child.sha256).nodes
        assert node.parents == ()
        with pytest.raises(NotFound):
            house.library.lineage(mother.sha256)


class TestExport:
    def test_names_files_and_index(self, house: Any, tmp_path: Path) -> None:
        job = house.job('A "red" fox: <in> the\\snow/on a very long walk through all of the cold woods')
        one, two = house.take(job, 0, seed=7), house.take(job, 1, seed=7)
        poem = house.library.keep(house.text("poem" * 500), media_type="text/plain", meta={"prompt": "雪の詩"})
        target = house.library.export([one.sha256, two.sha256, poem.sha256], tmp_path / "out" / "chosen.zip")
        with zipfile.ZipFile(target) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            index = json.loads(archive.read("index.json"))
            assert archive.read(names[0]) == one.path.read_bytes()
        assert len(set(names)) == 4 and [e["file"] for e in index] == names[:3]
        date = time.strftime("%Y-%m-%d")
        assert names[0] == f"{date}_a-red-fox-in-the-snow-on-a-very-long-wal_7_1.png"
        assert names[2] == f"{date}_雪の詩_3.txt"
        assert index[0]["request"] == job.request.to_dict() and index[1]["index"] == 1
        assert list(target.parent.iterdir()) == [target]

    def test_a_missing_one_is_told_before_anything_is_written(self, house: Any, tmp_path: Path) -> None:
        kept = house.take()
        target = tmp_path / "out.zip"
        with pytest.raises(NotFound):
            house.library.export([kept.sha256, "0" * 64], target)
        kept.path.unlink()
        with pytest.raises(NotFound, match=kept.sha256):
            house.library.export([kept.sha256], target)
        assert not target.exists()
