"""Rows to jobs and artifacts and back. It opens no transaction and touches no file."""

import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.errors import NotFound
from studio.library import words
from studio.library.query import fold
from studio.types import Artifact, Job, JobState, Request, Value

ARTIFACT = """
    a.sha256, a.media_type, a.file, a.size, a.created, a.width, a.height, a.duration, a.job, a.idx, a.meta,
    a.starred, a.trashed, (
        SELECT json_group_array(tag) FROM (SELECT tag FROM tags WHERE artifact = a.sha256 ORDER BY position)
    ) AS tags
"""
_JOB_TEXTS = ("state", "panel", "group", "message", "error", "hint", "device")
_JOB_NUMBERS = ("position", "created", "started", "finished", "step", "steps")


@dataclass(frozen=True, kw_only=True)
class NewArtifact:
    sha256: str
    media_type: str
    file: str
    size: int
    created: float
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    job: str | None = None
    index: int = 0
    meta: Mapping[str, Value] = field(default_factory=dict[str, Value])


def to_artifact(row: sqlite3.Row, root: Path) -> Artifact:
    return Artifact(
        sha256=row["sha256"],
        media_type=row["media_type"],
        path=root / row["file"],
        size=row["size"],
        created=row["created"],
        width=row["width"],
        height=row["height"],
        duration=row["duration"],
        job=row["job"],
        index=row["idx"],
        meta=json.loads(row["meta"]),
        starred=bool(row["starred"]),
        tags=tuple(json.loads(row["tags"])),
        trashed=row["trashed"],
    )


def as_output(row: sqlite3.Row, job: str, root: Path) -> Artifact:
    """The artifact as this job made it: `at` is its index, `own` its meta (NULL: the artifact's)."""
    own = {} if row["own"] is None else {"meta": json.loads(row["own"])}
    return dataclasses.replace(to_artifact(row, root), job=job, index=row["at"], **own)


def to_job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        request=Request.from_dict(json.loads(row["request"])),
        state=JobState(row["state"]),
        versions=json.loads(row["versions"]),
        **{name: row[name] for name in (*_JOB_TEXTS, *_JOB_NUMBERS) if name != "state"},
    )


def job_values(job: Job) -> dict[str, Any]:
    """Column -> value of everything but `seq`."""
    values: dict[str, Any] = {name: words.storable(str(getattr(job, name))) for name in _JOB_TEXTS}
    values |= {name: getattr(job, name) for name in _JOB_NUMBERS}
    return values | {
        "id": job.id,
        "request": to_json(job.request.to_dict()),
        "task": words.storable(job.request.task),
        "model": words.storable(job.request.model),
        "prompt": words.storable(job.request.prompt),
        "parent": job.request.parent,
        "versions": to_json(dict(job.versions)),
    }


def add_job(connection: sqlite3.Connection, job: Job) -> None:
    values = job_values(job)
    columns = ", ".join(f'"{name}"' for name in values)
    connection.execute(f"INSERT INTO jobs ({columns}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))
    connection.executemany(
        "INSERT INTO job_inputs VALUES (?, ?, ?, ?)",
        [(job.id, n, words.storable(i.role), words.storable(i.artifact)) for n, i in enumerate(job.request.inputs)],
    )


def find_job(connection: sqlite3.Connection, id: str) -> Job:
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (words.storable(id),)).fetchone()
    if row is None:
        raise NotFound(f"There is no job {id[:80]!r} in the library.", "It may belong to another home folder.")
    return to_job(row)


def find_artifact(connection: sqlite3.Connection, sha256: str, root: Path) -> Artifact:
    row = connection.execute(
        f"SELECT {ARTIFACT} FROM artifacts a WHERE a.sha256 = ?", (words.storable(sha256),)
    ).fetchone()
    if row is None:
        raise NotFound(
            f"There is no {sha256[:16]!r} in the library.",
            "It may have been removed when the trash was emptied.",
        )
    return to_artifact(row, root)


def file_of(connection: sqlite3.Connection, sha256: str) -> str | None:
    row = connection.execute("SELECT file FROM artifacts WHERE sha256 = ?", (sha256,)).fetchone()
    return None if row is None else row["file"]


def add_artifact(connection: sqlite3.Connection, new: NewArtifact) -> None:
    """Insert it, or bring back the row of the same bytes from trash and loss; link it to its job.

    NotFound when there is no such job.
    """
    task, model = str(new.meta.get("task") or ""), str(new.meta.get("model") or "")
    if new.job is not None:
        request = find_job(connection, new.job).request
        task, model = task or request.task, model or request.model
    meta = to_json(dict(new.meta))
    connection.execute(
        """
        INSERT INTO artifacts
            (sha256, media_type, file, size, created, width, height, duration, job, idx, task, model, meta)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (sha256) DO UPDATE SET trashed = NULL, lost = NULL, job = coalesce(job, excluded.job)
        """,
        (
            *(
                new.sha256,
                new.media_type,
                new.file,
                new.size,
                new.created,
                new.width,
                new.height,
                new.duration,
            ),
            *(new.job, new.index, words.storable(task), words.storable(model), meta),
        ),
    )
    if new.job is not None:
        connection.execute(
            """
            INSERT INTO job_outputs (job, idx, artifact, meta)
                SELECT ?, ?, sha256, CASE WHEN meta = ? THEN NULL ELSE ? END FROM artifacts WHERE sha256 = ?
            ON CONFLICT (job, idx, artifact) DO UPDATE SET meta = excluded.meta
            """,
            (new.job, new.index, meta, meta, new.sha256),
        )
    connection.execute("DELETE FROM removals WHERE file = ?", (file_of(connection, new.sha256),))
    refresh_words(connection, new.sha256)


def set_tags(connection: sqlite3.Connection, sha256: str, tags: Iterable[str]) -> None:
    connection.execute("DELETE FROM tags WHERE artifact = ?", (sha256,))
    connection.executemany(
        "INSERT INTO tags VALUES (?, ?, ?, ?)",
        [(sha256, fold(tag), n, words.storable(tag)) for n, tag in enumerate(tags)],
    )
    refresh_words(connection, sha256)


def refresh_words(connection: sqlite3.Connection, sha256: str) -> None:
    """Write what the search index should hold; its triggers do the rest."""
    connection.execute("UPDATE artifacts SET words = ? WHERE sha256 = ?", (search_words(connection, sha256), sha256))


def search_words(connection: sqlite3.Connection, sha256: str) -> str:
    """What the search index should hold of an artifact, from its row, its job and its tags."""
    row = connection.execute(
        """
        SELECT a.meta, a.model, j.prompt, j.request FROM artifacts a LEFT JOIN jobs j ON j.id = a.job
        WHERE a.sha256 = ?
        """,
        (sha256,),
    ).fetchone()
    meta = json.loads(row["meta"])
    negative = meta.get("negative_prompt")
    if not negative and row["request"]:
        negative = json.loads(row["request"]).get("params", {}).get("negative_prompt")
    tags = connection.execute("SELECT tag FROM tags WHERE artifact = ? ORDER BY position", (sha256,)).fetchall()
    prompt = meta.get("prompt") or row["prompt"]
    texts = [prompt, negative, meta.get("name"), row["model"], *(t["tag"] for t in tags)]
    return words.stored([*texts, str(meta["seed"]) if isinstance(meta.get("seed"), int) else ""])


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Without empty ones, needless blanks and doubles (whatever their case); at most 64 of 64 characters."""
    tidy = (" ".join(words.storable(tag).split())[:64].strip() for tag in tags)
    return tuple({fold(tag): tag for tag in tidy if tag}.values())[:64]


def to_json(plain: Mapping[str, Any]) -> str:
    """ASCII, so that even a lone surrogate comes back as it was."""
    return json.dumps(plain, default=str)
