"""The schema, step by step. A step that was ever released is never changed: a new one is added below it.

Each runs in one transaction with the note that it ran, so that a stop in the middle leaves the schema before
it.
"""

import json
import sqlite3
import time
from collections.abc import Callable

from studio.errors import StudioError
from studio.library import words
from studio.library.database import Database

Migration = Callable[[sqlite3.Connection], None]


def migrate(database: Database, upto: int | None = None) -> tuple[str, ...]:
    """Run what has not run yet, in order; returns its names. `upto`: only the first so many."""
    with database.writing() as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied REAL NOT NULL)")
    ran: list[str] = []
    for migration in MIGRATIONS[:upto]:
        with database.writing() as connection:
            applied = {row["name"] for row in connection.execute("SELECT name FROM migrations")}
            unknown = sorted(applied - {m.__name__ for m in MIGRATIONS})
            if unknown:
                raise StudioError(
                    f"The library {database.path} was written by a newer version ({unknown[-1]}).",
                    "Update the program, or choose another --home.",
                )
            if migration.__name__ not in applied:
                migration(connection)
                connection.execute("INSERT INTO migrations VALUES (?, ?)", (migration.__name__, time.time()))
                ran.append(migration.__name__)
    return tuple(ran)


_JOBS = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY,  -- the order of asking; clocks go back, this does not
    id TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL,  -- JSON: the whole truth; the four columns below repeat it for queries
    task TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    parent TEXT,  -- sha256 of the take it branched from; no foreign key: the trash may be emptied
    state TEXT NOT NULL,
    panel TEXT NOT NULL,
    "group" TEXT NOT NULL,
    position REAL NOT NULL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    step INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    message TEXT NOT NULL,
    error TEXT NOT NULL,
    hint TEXT NOT NULL,
    device TEXT NOT NULL,
    versions TEXT NOT NULL  -- JSON
);
CREATE INDEX jobs_state ON jobs (state, position, seq);
CREATE INDEX jobs_panel ON jobs (panel, seq);
CREATE INDEX jobs_group ON jobs ("group", seq) WHERE "group" <> '';
CREATE INDEX jobs_parent ON jobs (parent) WHERE parent IS NOT NULL;
"""
_ARTIFACTS = """
CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    media_type TEXT NOT NULL,
    file TEXT NOT NULL,  -- path below the store's folder
    size INTEGER NOT NULL,  -- bytes
    created REAL NOT NULL,
    width INTEGER,
    height INTEGER,
    duration REAL,  -- seconds
    job TEXT REFERENCES jobs (id),  -- the first that made it; job_outputs knows all
    idx INTEGER NOT NULL,
    task TEXT NOT NULL,
    model TEXT NOT NULL,
    meta TEXT NOT NULL,  -- JSON
    starred INTEGER NOT NULL DEFAULT 0,
    trashed REAL,  -- when
    lost REAL  -- when `check` missed the file; the row stays, the disk may only be unplugged
);
-- All that the usual questions look at: counting and paging never read the long rows themselves.
CREATE INDEX artifacts_browse ON artifacts
    (created DESC, id DESC, trashed, lost, media_type, starred, model, task, sha256);
CREATE INDEX artifacts_starred ON artifacts (starred DESC, created DESC, id DESC);
CREATE INDEX artifacts_model ON artifacts (model, created DESC, id DESC);
CREATE INDEX artifacts_trashed ON artifacts (trashed) WHERE trashed IS NOT NULL;
"""
_LINKS = """
CREATE TABLE job_inputs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,  -- in the order of the request
    role TEXT NOT NULL,
    artifact TEXT NOT NULL,  -- sha256; no foreign key, as above
    PRIMARY KEY (job, position)
) WITHOUT ROWID;
CREATE INDEX job_inputs_artifact ON job_inputs (artifact);

CREATE TABLE job_outputs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx INTEGER NOT NULL,
    artifact TEXT NOT NULL REFERENCES artifacts (sha256) ON DELETE CASCADE,
    meta TEXT,  -- JSON; NULL: as in the artifact's row
    PRIMARY KEY (job, idx, artifact)
) WITHOUT ROWID;
CREATE INDEX job_outputs_artifact ON job_outputs (artifact);

CREATE TABLE tags (
    artifact TEXT NOT NULL REFERENCES artifacts (sha256) ON DELETE CASCADE,
    folded TEXT NOT NULL,  -- the tag without case, for comparing
    position INTEGER NOT NULL,  -- behind the key: else integrity_check of SQLite 3.40 sees NULLs here
    tag TEXT NOT NULL,
    PRIMARY KEY (artifact, folded)
) WITHOUT ROWID;
CREATE INDEX tags_folded ON tags (folded, artifact);
"""


def m001_jobs_and_artifacts(connection: sqlite3.Connection) -> None:
    _run(connection, _JOBS + _ARTIFACTS + _LINKS)


def m002_search(connection: sqlite3.Connection) -> None:
    """An index beside the artifacts, kept in step by triggers; `studio.library.words` makes its words."""
    connection.execute("ALTER TABLE artifacts ADD COLUMN words TEXT NOT NULL DEFAULT ''")
    for row in connection.execute("SELECT sha256, model, meta FROM artifacts").fetchall():
        tags = connection.execute("SELECT tag FROM tags WHERE artifact = ? ORDER BY position", (row["sha256"],))
        meta = json.loads(row["meta"])
        text = words.stored(
            [
                meta.get("prompt"),
                meta.get("negative_prompt"),
                row["model"],
                meta.get("name"),
                *(t["tag"] for t in tags),
            ]
        )
        connection.execute("UPDATE artifacts SET words = ? WHERE sha256 = ?", (text, row["sha256"]))
    _run(
        connection,
        """
        CREATE VIRTUAL TABLE artifacts_words USING fts5 (
            words, content='artifacts', content_rowid='id', tokenize='ascii', prefix='1 2 3'
        );
        INSERT INTO artifacts_words (artifacts_words) VALUES ('rebuild');
        """,
    )
    connection.execute(
        """
        CREATE TRIGGER artifacts_words_insert AFTER INSERT ON artifacts BEGIN
            INSERT INTO artifacts_words (rowid, words) VALUES (new.id, new.words);
        END
        """
    )
    connection.execute(
        """
        CREATE TRIGGER artifacts_words_delete AFTER DELETE ON artifacts BEGIN
            INSERT INTO artifacts_words (artifacts_words, rowid, words) VALUES ('delete', old.id, old.words);
        END
        """
    )
    connection.execute(
        """
        CREATE TRIGGER artifacts_words_update AFTER UPDATE OF words ON artifacts BEGIN
            INSERT INTO artifacts_words (artifacts_words, rowid, words) VALUES ('delete', old.id, old.words);
            INSERT INTO artifacts_words (rowid, words) VALUES (new.id, new.words);
        END
        """
    )


def m003_sessions_and_removals(connection: sqlite3.Connection) -> None:
    _run(
        connection,
        """
        CREATE TABLE sessions (
            panel TEXT PRIMARY KEY,
            since INTEGER NOT NULL  -- jobs.seq of the last job before the session
        ) WITHOUT ROWID;
        CREATE TABLE removals (
            file TEXT PRIMARY KEY  -- of the emptied trash: its row is gone, this stays until the file is too
        ) WITHOUT ROWID;
        """,
    )


def m004_seeds(connection: sqlite3.Connection) -> None:
    """A take is found by its seed, too; the triggers keep the index in step."""
    for row in connection.execute("SELECT sha256, words, meta FROM artifacts").fetchall():
        seed = json.loads(row["meta"]).get("seed")
        if isinstance(seed, int):
            text = " ".join([*row["words"].split(), str(seed)][: words.STORED_LIMIT])
            connection.execute("UPDATE artifacts SET words = ? WHERE sha256 = ?", (text, row["sha256"]))


def _run(connection: sqlite3.Connection, script: str) -> None:
    """Statement by statement: `executescript` would commit the transaction that we are in."""
    without_comments = "\n".join(line.split("--")[0] for line in script.splitlines())
    for statement in without_comments.split(";"):
        if statement.strip():
            connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (m001_jobs_and_artifacts, m002_search, m003_sessions_and_removals, m004_seeds)
