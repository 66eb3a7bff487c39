"""What takes more than one step, and is brought to its end at the next start if the program ended midway.

A file enters: its row is there, then the name in staging goes; no row, then the name in the store goes and
the one in staging stands. The trash is emptied: rows go first, with a note of the files that are to follow.
"""

from studio.library.database import Database
from studio.library.files import Arrival, FileStore
from studio.library.thumbnails import Thumbnails


def finish_arrivals(db: Database, store: FileStore) -> None:
    """Leave each file that was on its way in one place: the store if its row was committed, else staging."""
    for arrival in store.arrivals():
        with db.writing() as connection:
            known = "SELECT 1 FROM artifacts WHERE sha256 = ?"
            arrived = connection.execute(known, (arrival.sha256,)).fetchone() is not None
            _settle(store, arrival, arrived)
    for path in store.leftovers():
        path.unlink(missing_ok=True)


def _settle(store: FileStore, arrival: Arrival, arrived: bool) -> None:
    stored = store.path(arrival.file)
    if not store.holds(arrival.source, arrival.sha256):
        return  # nothing stands in staging any more, so what the store has is the only one
    if not arrived:
        stored.unlink(missing_ok=True)
    elif arrival.source.resolve() != stored.resolve():
        arrival.source.unlink(missing_ok=True)


def empty_trash(db: Database, store: FileStore, thumbnails: Thumbnails) -> int:
    """Bytes freed. What a waiting or running job starts from stays in the trash."""
    doomed = """
        SELECT sha256, file, size FROM artifacts a WHERE trashed IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM jobs j LEFT JOIN job_inputs i ON i.job = j.id
            WHERE j.state IN ('queued', 'running') AND (j.parent = a.sha256 OR i.artifact = a.sha256)
        )
    """
    with db.writing() as connection:
        found = connection.execute(doomed).fetchall()
        for row in found:
            thumbnails.remove(row["sha256"])
        connection.executemany("INSERT OR IGNORE INTO removals VALUES (?)", [(row["file"],) for row in found])
        connection.executemany("DELETE FROM artifacts WHERE sha256 = ?", [(row["sha256"],) for row in found])
    freed = sum(row["size"] for row in found if store.path(row["file"]).is_file())
    finish_removals(db, store)
    return freed


def finish_removals(db: Database, store: FileStore) -> None:
    """Delete what an emptied trash still has to delete, unless the same bytes were kept again since."""
    with db.reading() as connection:
        if connection.execute("SELECT 1 FROM removals").fetchone() is None:
            return
    with db.writing() as connection:
        for row in connection.execute("SELECT file FROM removals").fetchall():
            kept_again = connection.execute("SELECT 1 FROM artifacts WHERE file = ?", (row["file"],)).fetchone()
            if kept_again is None:
                store.remove(row["file"])
        connection.execute("DELETE FROM removals")
