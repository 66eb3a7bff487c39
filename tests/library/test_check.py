import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from studio.library import provenance
from studio.library.database import Database
from studio.library.query import Query
from studio.types import Request

ROOT = Path(__file__).parents[2]


def kinds(report: Any) -> list[str]:
    return [p.kind for p in report.problems]


def found_then_repaired(house: Any, kind: str) -> Any:
    """Found without a touch, found and repaired, gone."""
    seen = house.library.check(repair=False)
    assert kinds(seen) == [kind] and not seen.consistent and seen.repaired == 0
    assert kinds(house.library.check(repair=False)) == [kind], "looking changes nothing"
    mended = house.library.check(repair=True)
    assert kinds(mended) == [kind] and mended.consistent and mended.repaired == 1
    assert house.library.check(repair=False).problems == ()
    return mended


def test_a_whole_library_has_no_problem(house: Any) -> None:
    job = house.job()
    kept = [house.take(job, n) for n in range(3)]
    house.library.thumbnail(kept[0].sha256)
    house.library.tag(kept[1].sha256, ["x"])
    house.library.trash([kept[2].sha256])
    report = house.library.check(repair=True)
    assert (report.problems, report.rows, report.files, report.lost) == ((), 3, 3, 0)
    assert "consistent" in str(report) and json.loads(json.dumps(report.to_dict()))["consistent"] is True


def test_a_missing_file_is_lost_until_it_returns(house: Any) -> None:
    kept = house.take(house.job())
    house.library.star(kept.sha256, True)
    away = house.home / "away.png"
    kept.path.rename(away)
    found_then_repaired(house, "missing_file")
    assert house.library.find(Query()).total == 0
    assert house.library.check(repair=False).lost == 1
    kept.path.parent.mkdir(exist_ok=True)
    away.rename(kept.path)
    found_then_repaired(house, "found_file")
    assert [(a.sha256, a.starred) for a in house.library.find(Query()).items] == [(kept.sha256, True)]


def test_an_orphan_gets_its_row_back_with_settings_and_job(house: Any) -> None:
    request = Request(task="text-to-image", model="starter-image", prompt="a red fox", seed=7)
    job = house.job("a red fox")
    record = provenance.Provenance(
        request=request.to_dict(), prompt="a red fox", negative_prompt="blurry", seed=8,
        model="starter-image", width=8, height=6, job=job.id, index=1,
    )  # fmt: skip
    picture = house.picture()
    provenance.write_png(picture, picture, record)
    kept = house.library.keep(picture, media_type="image/png", job=job.id, index=1)
    _forget_rows(house)
    found_then_repaired(house, "orphan_file")
    (again,) = house.library.outputs(job.id)
    assert (again.sha256, again.index, again.width, again.media_type) == (kept.sha256, 1, 8, "image/png")
    assert again.meta["prompt"] == "a red fox" and again.meta["seed"] == 8 and again.meta["recovered"] is True
    assert house.library.find(Query(text="fox blurry", model="starter-image")).total == 1


def test_orphans_that_tell_nothing_get_rows_too(house: Any) -> None:
    for n, content in enumerate((b"words", b"", b"\x89PNG\r\n\x1a\nbroken")):
        sha256 = hashlib.sha256(content).hexdigest()
        path = house.home / "files" / sha256[:2] / (sha256 + (".png", ".txt", ".png")[n])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    report = house.library.check(repair=True)
    assert kinds(report) == ["orphan_file"] * 3 and report.consistent
    assert sorted(a.media_type for a in house.library.find(Query()).items) == [
        "image/png",
        "image/png",
        "text/plain",
    ]
    assert house.library.check(repair=False).problems == ()


def test_a_whole_database_is_rebuilt_from_the_files(house: Any) -> None:
    kept = {house.take().sha256 for _ in range(5)}
    house.library.close()
    for path in (house.home / "library").iterdir():
        path.unlink()
    library = house.reopen()
    assert kinds(library.check(repair=True)) == ["orphan_file"] * 5
    assert {a.sha256 for a in library.find(Query()).items} == kept


def test_a_damaged_file_goes_aside_and_its_row_is_lost(house: Any) -> None:
    kept = house.take()
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:-5])
    found_then_repaired(house, "wrong_hash")
    (aside,) = (house.home / "files" / "quarantine").iterdir()
    assert aside.read_bytes() == content[:-5], "never deleted"
    assert house.library.find(Query()).total == 0
    kept.path.write_bytes(content)
    assert kinds(house.library.check(repair=True)) == ["found_file"]


@pytest.mark.parametrize("name", ["notes.txt", "ab/notes.txt", "ab/deeper/notes.txt", "ab/" + "a" * 64 + ".png"])
def test_what_others_put_there_goes_aside(house: Any, name: str) -> None:
    path = house.home / "files" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine", "utf-8")
    (house.home / "files" / ".DS_Store").write_bytes(b"litter")
    found_then_repaired(house, "wrong_hash" if "aaa" in name else "stranger")
    assert (house.home / "files" / "quarantine" / path.name).read_text("utf-8") == "mine"
    assert (house.home / "files" / ".DS_Store").exists()


def test_the_same_bytes_under_two_endings(house: Any) -> None:
    kept = house.take()
    kept.path.with_suffix(".jpg").write_bytes(kept.path.read_bytes())
    found_then_repaired(house, "orphan_file")
    kept.path.rename(kept.path.with_suffix(".jpg"))
    assert house.library.check(repair=True).consistent
    assert house.library.artifact(kept.sha256).path.suffix == ".jpg" and house.library.find(Query()).total == 1


def test_leftovers_and_stale_thumbnails(house: Any) -> None:
    kept = house.take()
    path = house.library.thumbnail(kept.sha256)
    (house.home / "files" / "incoming" / "1-1").write_bytes(b"half")
    found_then_repaired(house, "leftover")
    for stale in ("0" * 64 + ".webp", "1-1.tmp"):
        (path.parent / stale).write_bytes(b"x")
        found_then_repaired(house, "thumbnail")
    assert path.is_file()


def test_an_index_out_of_step(house: Any) -> None:
    house.take(prompt="a glacier")
    database = Database(house.home / "library" / "library.sqlite")
    with database.writing() as connection:
        connection.execute("INSERT INTO artifacts_words (artifacts_words) VALUES ('delete-all')")
    assert house.library.find(Query(text="glacier")).total == 0
    found_then_repaired(house, "search")
    assert house.library.find(Query(text="glacier")).total == 1
    with database.writing() as connection:
        connection.execute("UPDATE artifacts SET words = 'else'")
    database.close()
    found_then_repaired(house, "search")
    assert house.library.find(Query(text="glacier")).total == 1


def test_a_damaged_index_is_built_anew(house: Any) -> None:
    """A row that one of the database's indices does not know: written while the index was out of sight."""
    path = house.home / "library" / "library.sqlite"
    house.library.close()

    def change(statement: str, *values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            return connection.execute(statement, values).fetchall()

    (index,) = change("SELECT * FROM sqlite_master WHERE name = 'jobs_panel'")
    change("DELETE FROM sqlite_master WHERE name = 'jobs_panel'")
    house.reopen()
    job = house.job()
    house.library.close()
    change("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", *index)
    house.reopen()
    assert house.library.session("image") == ()
    found_then_repaired(house, "database")
    assert house.library.session("image") == (job,)


def test_a_check_beside_running_work_sees_no_ghosts(house: Any) -> None:
    """Repairing while files come, are looked at and go: what moves is not taken for what is wrong."""
    end = time.monotonic() + 1.0
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            while time.monotonic() < end:
                kept = house.take(prompt=f"take {number}")
                house.library.thumbnail(kept.sha256)
                house.library.tag(kept.sha256, ["x"])
                if number == 0:
                    house.library.trash([kept.sha256])
                    house.library.empty_trash()
        except BaseException as error:  # noqa: BLE001 - a thread's failure must fail the test
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    problems = []
    while time.monotonic() < end:
        problems += house.library.check(repair=True).problems
    for thread in threads:
        thread.join()
    assert (errors, problems) == ([], [])
    assert house.library.check(repair=False).problems == ()


@pytest.mark.parametrize("moment", ["noted", "placed", "committed", "settled"])
def test_a_stop_at_each_moment_of_keeping(house: Any, moment: str) -> None:
    """What lies on the disk after each move of `keep`; the next start leaves the file in one place."""
    incoming, source = house.home / "files" / "incoming", house.picture()
    content = source.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    stored = house.home / "files" / sha256[:2] / f"{sha256}.png"
    if moment in ("committed", "settled"):
        house.library.keep(source, media_type="image/png")
    stored.parent.mkdir(exist_ok=True)
    if moment == "placed":
        stored.write_bytes(content)
    if moment == "committed":
        source.write_bytes(content)
    if moment == "noted":
        (incoming / "1-1").write_bytes(content)
    (incoming / "1-1.json").write_text(json.dumps([str(source), sha256, f"{sha256[:2]}/{sha256}.png"]), "ascii")
    (incoming / "1-2.json").write_text('["/cut', "ascii")
    library = house.reopen()
    assert list(incoming.iterdir()) == []
    assert (source.exists(), stored.exists()) == ((True, False) if moment in ("noted", "placed") else (False, True))
    assert library.check(repair=False).problems == ()
    assert library.find(Query()).total == (0 if source.exists() else 1)


KEEPER = """
    import os, random, signal, sys, time
    from pathlib import Path
    from studio.library.library import Library
    from studio.types import Job, JobState, Request

    REQUEST = Request(task="t", model="m", prompt="a fox")

    def keep(home, start):
        library = Library(home / "library" / "library.sqlite", home / "files", home / "cache")
        n = start
        while True:
            file = home / "staging" / f"{n}.bin"
            file.write_bytes(os.urandom(2000))
            library.add_job(Job(id=f"job {n}", request=REQUEST, state=JobState.running, created=1.0))
            artifact = library.keep(file, media_type="application/octet-stream", job=f"job {n}")
            library.star(artifact.sha256, True)
            os.write(1, f"{artifact.sha256} {n}\\n".encode())
            n += 1

    home, kills = Path(sys.argv[1]), int(sys.argv[2])
    (home / "staging").mkdir()
    chance = random.Random(1)
    for kill in range(kills):
        child = os.fork()
        if not child:
            keep(home, kill * 100_000)
        time.sleep(chance.uniform(0.0, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that start fast enough to kill sixty")
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, open_library: Any) -> None:
    """60 kills at random moments of opening and keeping, one home: what was told is there, row and bytes."""
    command = [sys.executable, "-c", textwrap.dedent(KEEPER), str(tmp_path), "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    told = dict(line.split() for line in done.stdout.splitlines())
    assert len(told) >= 50
    library = open_library(tmp_path)
    report = library.check(repair=False)
    assert report.problems == (), report
    items = {a.sha256: a for a in library.find(Query(limit=100_000)).items}
    assert told.keys() <= items.keys()
    for sha256, number in told.items():
        assert [a.sha256 for a in library.outputs(f"job {number}")] == [sha256]
        assert hashlib.sha256(items[sha256].path.read_bytes()).hexdigest() == sha256
        assert items[sha256].starred
    for file in (tmp_path / "staging").iterdir():  # what the killed had not finished stands there, and only there
        assert hashlib.sha256(file.read_bytes()).hexdigest() not in items
    library.close()


def _forget_rows(house: Any) -> None:
    database = Database(house.home / "library" / "library.sqlite")
    with database.writing() as connection:
        connection.execute("DELETE FROM artifacts")
    database.close()
