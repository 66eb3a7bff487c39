"""Everything ever made: jobs, artifacts, stars, tags, trash and search, for many threads at once.

It knows no engine and no page. Finished files lie in a FileStore, the rows in one SQLite file; the file
enters first, its row second, so that a stop at any moment loses nothing that was finished.
"""

import dataclasses
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.library import check, export, lineage, migrations, rows, thumbnails, unfinished, words
from studio.library.check import CheckReport
from studio.library.database import Database
from studio.library.files import FileStore
from studio.library.lineage import Lineage
from studio.library.query import Page, Query, select, window
from studio.library.thumbnails import Thumbnails
from studio.types import Artifact, Job, JobState, Value

UNDO_LIMIT = 200  # steps
_SETTABLE = {f.name for f in dataclasses.fields(Job)} - {"id", "request", "created"}


@dataclass(frozen=True)
class Change:
    """How some artifacts were before the person changed one thing about them."""

    sentence: str
    column: str  # starred, tags, trashed
    before: Mapping[str, Any]  # by sha256


class Library:
    """Creates what is missing, brings an older schema up to date; any thread may call any method.

    One program at a time (HomeLock): opening it finishes what an earlier process left half done.
    """

    def __init__(self, database: Path, files: Path, cache: Path) -> None:
        self._store = FileStore(files)
        self._thumbnails = Thumbnails(cache / "thumbnails")
        self._db = Database(database)
        self._changes: deque[Change] = deque(maxlen=UNDO_LIMIT)
        self._history = threading.Lock()
        migrations.migrate(self._db)
        unfinished.finish_arrivals(self._db, self._store)
        unfinished.finish_removals(self._db, self._store)

    def close(self) -> None:
        self._db.close()

    # Jobs

    def add_job(self, job: Job) -> None:
        """Commit a new job with its inputs. InvalidInput when the id is taken."""
        with self._db.writing() as connection:
            if connection.execute("SELECT 1 FROM jobs WHERE id = ?", (job.id,)).fetchone():
                raise InvalidInput(f"There is already a job {job.id!r}.", "Give each job an id of its own.")
            rows.add_job(connection, job)

    def set_job(self, id: str, **changes: Any) -> Job:
        """Change any fields but id, request and created; returns the job as it is now."""
        unknown = sorted(set(changes) - _SETTABLE)
        if unknown:
            raise TypeError(f"a job's {unknown[0]!r} cannot be set")
        with self._db.writing() as connection:
            job = dataclasses.replace(rows.find_job(connection, id), **changes)
            values = rows.job_values(job)
            names = [name for name in changes if name in values]
            assignments = ", ".join(f'"{name}" = ?' for name in names)
            if names:
                connection.execute(f"UPDATE jobs SET {assignments} WHERE id = ?", (*(values[n] for n in names), id))
        return job

    def job(self, id: str) -> Job:
        with self._db.reading() as connection:
            return rows.find_job(connection, id)

    def jobs(
        self,
        *,
        states: Iterable[JobState | str] = (),
        panel: str | None = None,
        group: str | None = None,
        limit: int = 100,
        newest: bool = True,
    ) -> tuple[Job, ...]:
        """Newest first; else as asked for, and the queued ones last, as the queue will run them."""
        conditions = ["1"]
        values: list[object] = []
        wanted = [str(state) for state in states]
        if wanted:
            conditions.append(f"state IN ({', '.join('?' * len(wanted))})")
            values += wanted
        for column, value in (("panel", panel), ("group", group)):
            if value is not None:
                conditions.append(f'"{column}" = ?')
                values.append(words.storable(value))
        order = "seq DESC" if newest else "state = 'queued', CASE state WHEN 'queued' THEN position END, seq"
        statement = f"SELECT * FROM jobs WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
        with self._db.reading() as connection:
            return tuple(rows.to_job(row) for row in connection.execute(statement, (*values, limit)))

    # Artifacts

    def keep(
        self,
        file: Path,
        *,
        media_type: str,
        job: str | None = None,
        index: int = 0,
        meta: Mapping[str, Value] | None = None,
    ) -> Artifact:
        """Move a finished file into the store and commit its row. The same bytes again are the same artifact.

        `meta` may name width, height and duration (seconds); else images and WAV files are asked themselves.
        On any error (DiskFull, NotFound for an unknown job) the file stays where it was.
        """
        meta = dict(meta or {})
        with self._store.entering(file, media_type) as incoming:
            size = thumbnails.image_size(incoming.second) if media_type.startswith("image/") else None
            seconds = thumbnails.wave_seconds(incoming.second) if media_type in ("audio/wav", "audio/x-wav") else None
            new = rows.NewArtifact(
                sha256=incoming.sha256,
                media_type=media_type,
                file=incoming.file,
                size=incoming.size,
                created=time.time(),
                width=_whole(meta.get("width")) or (size[0] if size else None),
                height=_whole(meta.get("height")) or (size[1] if size else None),
                duration=_number(meta.get("duration")) or seconds,
                job=job,
                index=index,
                meta=meta,
            )
            placed: list[str] = []
            with self._db.writing(on_failure=lambda: self._store.remove(*placed)) as connection:
                name = rows.file_of(connection, new.sha256) or new.file
                if self._store.place(incoming, name):
                    placed.append(name)
                rows.add_artifact(connection, new)
                artifact = rows.find_artifact(connection, new.sha256, self._store.root)
            self._store.settle(incoming, artifact.path)
        return artifact

    def artifact(self, sha256: str) -> Artifact:
        with self._db.reading() as connection:
            return rows.find_artifact(connection, sha256, self._store.root)

    def beginning_with(self, id: str) -> tuple[str, ...]:
        """The ids that begin so; of more than a few, some."""
        statement = "SELECT sha256 FROM artifacts WHERE sha256 GLOB ? AND lost IS NULL ORDER BY sha256 LIMIT 5"
        with self._db.reading() as connection:
            return tuple(row["sha256"] for row in connection.execute(statement, (f"{words.storable(id)}*",)))

    def outputs(self, job: str) -> tuple[Artifact, ...]:
        """What a job made, in index order; with its own index and meta, whoever made the same bytes first."""
        statement = f"""
            SELECT {rows.ARTIFACT}, o.idx AS at, o.meta AS own
            FROM job_outputs o JOIN artifacts a ON a.sha256 = o.artifact
            WHERE o.job = ? ORDER BY o.idx, a.id
        """
        with self._db.reading() as connection:
            found = connection.execute(statement, (words.storable(job),)).fetchall()
        return tuple(rows.as_output(row, job, self._store.root) for row in found)

    def find(self, query: Query) -> Page:
        """One page of what the query describes, and how many there are in all."""
        selected = select(query)
        limit, offset = window(query)
        inner = f"SELECT a.id FROM artifacts a WHERE {selected.where} ORDER BY {selected.order} LIMIT ? OFFSET ?"
        statement = f"SELECT {rows.ARTIFACT} FROM artifacts a WHERE a.id IN ({inner}) ORDER BY {selected.order}"
        with self._db.reading() as connection:
            total = connection.execute(
                f"SELECT count(*) FROM artifacts a WHERE {selected.where}", selected.values
            ).fetchone()[0]
            found = connection.execute(statement, (*selected.values, limit, offset)).fetchall()
        items = tuple(rows.to_artifact(row, self._store.root) for row in found)
        return Page(items=items, total=total, offset=offset)

    def thumbnail(self, sha256: str, side: int = 320) -> Path:
        """A webp file at most `side` pixels wide and high. NotFound for what is no image."""
        artifact = self.artifact(sha256)
        return self._thumbnails.get(artifact.sha256, artifact.path, side)

    def tags(self) -> tuple[tuple[str, int], ...]:
        """(tag, how many artifacts outside the trash have it), the most used first."""
        statement = """
            SELECT t.tag, count(*) AS uses FROM tags t JOIN artifacts a ON a.sha256 = t.artifact
            WHERE a.trashed IS NULL AND a.lost IS NULL GROUP BY t.folded ORDER BY uses DESC, t.folded
        """
        with self._db.reading() as connection:
            return tuple((row["tag"], row["uses"]) for row in connection.execute(statement))

    # What a person changes, and takes back

    def star(self, sha256: str, on: bool) -> None:
        self._change("starred", (sha256,), lambda _: int(on), "Star given back to" if not on else "Star taken from")

    def tag(self, sha256: str, tags: Iterable[str]) -> None:
        """These are its tags now, in place of those it had."""
        tidy = rows.clean_tags(tags)
        self._change("tags", (sha256,), lambda _: tidy, "Earlier tags given back to")

    def trash(self, shas: Iterable[str]) -> None:
        now = time.time()
        self._change("trashed", shas, lambda before: before or now, "Taken out of the trash:")

    def restore(self, shas: Iterable[str]) -> None:
        self._change("trashed", shas, lambda _: None, "Put back into the trash:")

    def undo(self) -> str | None:
        """Take back the last star, tag, trash or restore of this process. A sentence; None: none is left."""
        while True:
            with self._history:
                change = self._changes.pop() if self._changes else None
            if change is None:
                return None
            with self._db.writing() as connection:
                there = [s for s in change.before if _exists(connection, s)]  # the trash may have been emptied since
                for sha256 in there:
                    _set(connection, sha256, change.column, change.before[sha256])
            if there:
                return f"{change.sentence} {len(there)} {'item' if len(there) == 1 else 'items'}."

    def empty_trash(self) -> int:
        """Remove the trash for good, save what a waiting or running job starts from. Bytes freed."""
        return unfinished.empty_trash(self._db, self._store, self._thumbnails)

    # Ancestry, sessions, prompts

    def lineage(self, sha256: str) -> Lineage:
        """Its ancestors and descendants."""
        with self._db.reading() as connection:
            return lineage.trace(connection, sha256, self._store.root)

    def session(self, panel: str, limit: int = 50) -> tuple[Job, ...]:
        """The panel's latest jobs since its last `new_session`, oldest first."""
        statement = """
            SELECT * FROM jobs
            WHERE panel = ? AND seq > coalesce((SELECT since FROM sessions WHERE panel = ?), 0)
            ORDER BY seq DESC LIMIT ?
        """
        with self._db.reading() as connection:
            found = connection.execute(statement, (panel, panel, limit)).fetchall()
        return tuple(rows.to_job(row) for row in reversed(found))

    def new_session(self, panel: str) -> None:
        with self._db.writing() as connection:
            connection.execute("INSERT OR REPLACE INTO sessions SELECT ?, coalesce(max(seq), 0) FROM jobs", (panel,))

    def prompts(self, panel: str, limit: int = 50) -> tuple[str, ...]:
        """The panel's different prompts, the last used first."""
        statement = """
            SELECT prompt FROM jobs WHERE panel = ? AND trim(prompt) <> ''
            GROUP BY prompt ORDER BY max(seq) DESC LIMIT ?
        """
        with self._db.reading() as connection:
            return tuple(row["prompt"] for row in connection.execute(statement, (panel, limit)))

    # The whole

    def export(
        self, shas: Iterable[str], target: Path, changed: Callable[[Artifact], bytes | None] = lambda _: None
    ) -> Path:
        """A zip of these files under readable names, with index.json. NotFound before anything is written. `changed`
        gives the bytes of what goes out otherwise than it is kept.
        """
        wanted = list(dict.fromkeys(shas))
        with self._db.reading() as connection:
            chosen = [rows.find_artifact(connection, sha256, self._store.root) for sha256 in wanted]
            jobs = {a.job: rows.find_job(connection, a.job) for a in chosen if a.job is not None}
        return export.write(chosen, jobs, target, changed)

    def check(self, repair: bool) -> CheckReport:
        """Compare rows, files, thumbnails and index; reads every file, deletes none that was finished."""
        return check.run(self._db, self._store, self._thumbnails, repair=repair)

    def _change(self, column: str, shas: Iterable[str], new: Callable[[Any], Any], sentence: str) -> None:
        before: dict[str, Any] = {}
        with self._db.writing() as connection:
            for sha256 in dict.fromkeys(shas):
                artifact = rows.find_artifact(connection, sha256, self._store.root)
                old = getattr(artifact, column)
                if new(old) != old:
                    _set(connection, sha256, column, new(old))
                    before[sha256] = old
        if before:
            with self._history:
                self._changes.append(Change(sentence, column, before))


def _exists(connection: sqlite3.Connection, sha256: str) -> bool:
    return connection.execute("SELECT 1 FROM artifacts WHERE sha256 = ?", (sha256,)).fetchone() is not None


def _set(connection: sqlite3.Connection, sha256: str, column: str, value: Any) -> None:
    if column == "tags":
        rows.set_tags(connection, sha256, value)
    else:
        connection.execute(f"UPDATE artifacts SET {column} = ? WHERE sha256 = ?", (value, sha256))


def _number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _whole(value: Value) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
