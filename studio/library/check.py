"""Rows and files held against each other and brought back together; deletes nothing that was finished."""

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.library import containers, peers, provenance, rows, thumbnails
from studio.library.database import Database
from studio.library.files import SHA256, FileStore, hash_file, media_type_of
from studio.library.thumbnails import Thumbnails
from studio.types import Json, Value


@dataclass(frozen=True, kw_only=True)
class Problem:
    # database, missing_file, found_file, orphan_file, wrong_hash, stranger, leftover, search, thumbnail
    kind: str
    path: str  # of the file or thumbnail, or the sha256 of the row
    text: str  # one sentence, with what the repair does
    repaired: bool = False

    def to_dict(self) -> Json:
        return {"kind": self.kind, "path": self.path, "text": self.text, "repaired": self.repaired}


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    problems: tuple[Problem, ...]
    rows: int
    files: int
    lost: int  # rows whose file is gone and known to be gone; they are shown nowhere but in ancestry
    seconds: float

    @property
    def consistent(self) -> bool:
        """Nothing wrong, or nothing any more."""
        return all(p.repaired for p in self.problems)

    @property
    def repaired(self) -> int:
        return sum(p.repaired for p in self.problems)

    def __str__(self) -> str:
        lines = [f"{p.kind}{' (repaired)' if p.repaired else ''}: {p.path}: {p.text}" for p in self.problems]
        state = "consistent" if self.consistent else "inconsistent: `library check --repair` mends what can be mended"
        lost = f", {self.lost} lost" if self.lost else ""
        return "\n".join([*lines, f"{self.rows} rows{lost}, {self.files} files: {state}"])

    def to_dict(self) -> Json:
        return {
            "consistent": self.consistent,
            "rows": self.rows,
            "files": self.files,
            "lost": self.lost,
            "seconds": round(self.seconds, 3),
            "repaired": self.repaired,
            "problems": [p.to_dict() for p in self.problems],
        }


@dataclass(frozen=True)
class _Checked:
    """The parts under examination, so that each step takes one argument."""

    db: Database
    store: FileStore
    thumbnails: Thumbnails
    repair: bool


def run(db: Database, store: FileStore, thumbs: Thumbnails, *, repair: bool) -> CheckReport:
    started = time.monotonic()
    checked = _Checked(db, store, thumbs, repair)
    files = list(store.stored())  # before the rows are read: a file placed later has its row already when it is missed
    problems = [
        *_database(checked),
        *_leftovers(checked),
        *_files(checked, files),
        *_rows(checked),
        *_search(checked),
        *_thumbnails(checked),
    ]
    with db.reading() as connection:
        count, lost = connection.execute("SELECT count(*), count(lost) FROM artifacts").fetchone()
    seconds = time.monotonic() - started
    return CheckReport(problems=tuple(problems), rows=count, files=len(files), lost=lost, seconds=seconds)


def _database(checked: _Checked) -> Iterator[Problem]:
    with checked.db.reading() as connection:
        wrong = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if wrong and checked.repair:
        with checked.db.writing() as connection:
            connection.execute("REINDEX")
            left = [row[0] for row in connection.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
        yield Problem(
            kind="database",
            path=str(checked.db.path),
            text=f"{wrong[0]}; its indices are built anew.",
            repaired=not left,
        )
    elif wrong:
        yield Problem(kind="database", path=str(checked.db.path), text=f"{wrong[0]}; its indices can be built anew.")
    if broken:
        yield Problem(
            kind="database",
            path=str(checked.db.path),
            text=f"{len(broken)} rows point to rows that are gone.",
        )


def _leftovers(checked: _Checked) -> Iterator[Problem]:
    for path in checked.store.leftovers():
        if checked.repair:
            path.unlink(missing_ok=True)
        text = "A half-made copy of a stopped program; its original stays in staging."
        yield Problem(kind="leftover", path=str(path), text=text, repaired=checked.repair)


def _files(checked: _Checked, files: list[Path]) -> Iterator[Problem]:
    """Every file in the store: is it what its name says, and has it a row?"""
    with checked.db.reading() as connection:
        lost = {row["file"]: row["lost"] is not None for row in connection.execute("SELECT file, lost FROM artifacts")}
    for path in files:
        file = path.relative_to(checked.store.root).as_posix()
        try:
            sha256, size = hash_file(path)
        except FileNotFoundError:
            continue  # the trash was emptied meanwhile
        if not _is_in_place(checked, path, sha256):
            problem = _untrue(checked, path, file)
        elif file not in lost:
            problem = _orphan(checked, path, file, sha256, size)
        elif lost[file]:
            problem = _found(checked, file)
        else:
            problem = None
        if problem is not None:
            yield problem


def _is_in_place(checked: _Checked, path: Path, sha256: str) -> bool:
    return path.stem == sha256 and path.parent == checked.store.root / sha256[:2]


def _found(checked: _Checked, file: str) -> Problem:
    if checked.repair:
        with checked.db.writing() as connection:
            connection.execute("UPDATE artifacts SET lost = NULL WHERE file = ?", (file,))
    text = "A lost file is back; its row is shown again."
    return Problem(kind="found_file", path=file, text=text, repaired=checked.repair)


def _untrue(checked: _Checked, path: Path, file: str) -> Problem | None:
    """Bytes that are not what the name promises: a damaged file, or one that somebody put there.

    None when it is gone, or was replaced by its true bytes, by the time that nobody else writes.
    """
    with checked.db.writing() as connection:
        if not path.is_file() or _is_in_place(checked, path, hash_file(path)[0]):
            return None
        if checked.repair:
            checked.store.quarantine(path)
            connection.execute("UPDATE artifacts SET lost = ? WHERE file = ?", (time.time(), file))
    if SHA256.fullmatch(path.stem):
        text = "The file is damaged: its bytes are not those that were kept; it goes into quarantine."
        return Problem(kind="wrong_hash", path=file, text=text, repaired=checked.repair)
    text = "This file is not the library's; it goes into quarantine. Import it to keep it."
    return Problem(kind="stranger", path=file, text=text, repaired=checked.repair)


def _orphan(checked: _Checked, path: Path, file: str, sha256: str, size: int) -> Problem | None:
    """A whole file without a row: the program ended between the two.

    None when its row has come, or the trash that it belongs to is being emptied, by the time that nobody
    else writes.
    """
    with checked.db.writing() as connection:
        row = connection.execute("SELECT file, lost FROM artifacts WHERE sha256 = ?", (sha256,)).fetchone()
        leaving = connection.execute("SELECT 1 FROM removals WHERE file = ?", (file,)).fetchone() is not None
        if leaving or not path.is_file() or (row is not None and row["file"] == file):
            return None
        if checked.repair and row is not None and checked.store.path(row["file"]).is_file():
            checked.store.quarantine(path)  # the same bytes under another ending
        elif checked.repair and row is not None:
            connection.execute("UPDATE artifacts SET file = ?, lost = NULL WHERE sha256 = ?", (file, sha256))
        elif checked.repair:
            rows.add_artifact(connection, _described(connection, path, file, sha256, size))
    text = "A finished file without a row; it gets one from the settings inside the file."
    return Problem(kind="orphan_file", path=file, text=text, repaired=checked.repair)


def _described(connection: sqlite3.Connection, path: Path, file: str, sha256: str, size: int) -> rows.NewArtifact:
    """What the file itself tells, and its job where that is known here."""
    media_type = media_type_of(path)
    pixels = thumbnails.image_size(path) if media_type.startswith("image/") else None
    job, index = _origin(path)
    known = connection.execute("SELECT 1 FROM jobs WHERE id = ?", (job,)).fetchone() is not None
    return rows.NewArtifact(
        sha256=sha256,
        media_type=media_type,
        file=file,
        size=size,
        created=path.stat().st_mtime,
        width=pixels[0] if pixels else None,
        height=pixels[1] if pixels else None,
        duration=thumbnails.wave_seconds(path) if media_type == "audio/wav" else None,
        job=job if known else None,
        index=index if known else 0,
        meta={"recovered": True, **_settings(path)},
    )


def _settings(path: Path) -> dict[str, Value]:
    """Prompt, seed, model ... as a finished take's meta holds them; nothing for a file that tells nothing."""
    told = provenance.read(path)
    if told is None:
        return {}
    request = told.request or {}
    meta: dict[str, Value] = {"prompt": told.prompt, "negative_prompt": told.negative_prompt}
    meta |= {key: request[key] for key in ("model", "task") if key in request}
    meta |= {"seed": told.params["seed"]} if "seed" in told.params else {}
    return meta


def _origin(path: Path) -> tuple[str, int]:
    """Job id and index in our own record inside the file; ("", 0) without one."""
    with path.open("rb") as file:
        record = peers.as_json(containers.texts(file).get(containers.OWN_KEYWORD, "")) or {}
    job, index = record.get("job"), record.get("index")
    return job if isinstance(job, str) else "", index if isinstance(index, int) and index >= 0 else 0


def _rows(checked: _Checked) -> Iterator[Problem]:
    """Every row: is its file there?"""
    with checked.db.reading() as connection:
        known = connection.execute("SELECT sha256, file FROM artifacts WHERE lost IS NULL").fetchall()
    for row in known:
        if checked.store.path(row["file"]).is_file():
            continue
        with checked.db.writing() as connection:
            still = connection.execute("SELECT 1 FROM artifacts WHERE sha256 = ?", (row["sha256"],)).fetchone()
            if still and checked.repair:
                connection.execute("UPDATE artifacts SET lost = ? WHERE sha256 = ?", (time.time(), row["sha256"]))
        if still:
            text = "The file is gone; its row is marked as lost, and comes back when the file does."
            yield Problem(kind="missing_file", path=row["file"], text=text, repaired=checked.repair)


def _search(checked: _Checked) -> Iterator[Problem]:
    """Does the index hold what rows and tags say?"""
    with checked.db.reading() as connection:
        stale = [
            row["sha256"]
            for row in connection.execute("SELECT sha256, words FROM artifacts").fetchall()
            if rows.search_words(connection, row["sha256"]) != row["words"]
        ]
    with checked.db.writing() as connection:
        in_step = _index_in_step(connection)
        if checked.repair and not in_step:
            connection.execute("INSERT INTO artifacts_words (artifacts_words) VALUES ('rebuild')")
        for sha256 in stale if checked.repair else ():
            if rows.file_of(connection, sha256) is not None:  # the trash may have been emptied meanwhile
                rows.refresh_words(connection, sha256)
    if stale or not in_step:
        text = "The search index is out of step with the library; it is built anew."
        yield Problem(kind="search", path="artifacts_words", text=text, repaired=checked.repair)


def _index_in_step(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("INSERT INTO artifacts_words (artifacts_words, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise
        return False
    return True


def _thumbnails(checked: _Checked) -> Iterator[Problem]:
    """Thumbnails of what is no more, empty ones, and what a stopped program left half made."""
    found = checked.thumbnails.all()  # before the rows: a thumbnail made later has its row by then
    with checked.db.reading() as connection:
        known = {row[0] for row in connection.execute("SELECT sha256 FROM artifacts WHERE lost IS NULL")}
    for path in found:
        if not path.is_file() or (path.stem in known and path.suffix == ".webp" and thumbnails.has_bytes(path)):
            continue
        if checked.repair:
            path.unlink(missing_ok=True)
        text = "A thumbnail of nothing that the library has; it is removed."
        yield Problem(kind="thumbnail", path=str(path), text=text, repaired=checked.repair)
