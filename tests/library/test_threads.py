import threading
import time
from pathlib import Path
from typing import Any

import pytest

from studio.errors import StudioError
from studio.library.database import Database
from studio.library.library import Library
from studio.library.query import Query
from studio.types import JobState


class TestThreads:
    def test_writers_and_readers_at_once(self, house: Any) -> None:
        """Four writers, four readers, one second: no locked database, no half-made row, nothing missing."""
        library: Library = house.library
        job = house.job()
        end = time.monotonic() + 1.0
        kept: list[str] = []
        errors: list[BaseException] = []

        def write(number: int) -> None:
            n = 0
            while time.monotonic() < end:
                artifact = library.keep(house.text(f"{number} {n}"), media_type="text/plain", job=job.id, index=n)
                library.star(artifact.sha256, n % 2 == 0)
                library.tag(artifact.sha256, [f"t{n % 3}"])
                library.set_job(job.id, step=n)
                kept.append(artifact.sha256)
                n += 1

        def read() -> None:
            while time.monotonic() < end:
                page = library.find(Query(text="starter", limit=20))
                assert page.total >= len(page.items)
                assert all(a.path.is_file() for a in page.items)
                assert len(library.outputs(job.id)) >= page.total - 8
                assert library.job(job.id).state is JobState.queued
                library.jobs()

        def guarded(work: Any, *given: Any) -> None:
            try:
                work(*given)
            except BaseException as error:  # noqa: BLE001 - a thread's failure must fail the test
                errors.append(error)

        threads = [threading.Thread(target=guarded, args=(write, n)) for n in range(4)]
        threads += [threading.Thread(target=guarded, args=(read,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert len(kept) > 8 and library.find(Query()).total == len(set(kept)) == len(kept)
        assert library.check(repair=False).consistent

    def test_two_threads_that_keep_the_same_bytes(self, house: Any) -> None:
        files = [house.text("equal") for _ in range(8)]
        found: list[str] = []

        def keep(file: Path) -> None:
            found.append(house.library.keep(file, media_type="text/plain").sha256)

        threads = [threading.Thread(target=keep, args=(file,)) for file in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8 and len(set(found)) == 1
        assert not any(file.exists() for file in files)
        assert house.library.check(repair=False).consistent

    def test_a_reader_never_waits_for_a_long_writer(self, house: Any) -> None:
        house.take()
        database = Database(house.home / "library" / "library.sqlite")
        with database.writing() as connection:
            connection.execute("UPDATE artifacts SET starred = 1")
            started = time.perf_counter()
            (item,) = house.library.find(Query()).items
            assert not item.starred and time.perf_counter() - started < 1.0
        database.close()
        assert house.library.find(Query()).items[0].starred

    def test_a_closed_library_says_so(self, house: Any) -> None:
        house.library.close()
        with pytest.raises(StudioError, match="closed"):
            house.library.jobs()
