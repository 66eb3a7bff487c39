"""Connections and transactions on one SQLite file, for many threads at once. It knows no table."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.errors import Busy, DiskFull, StudioError

BUSY_SECONDS = 30.0  # how long a statement waits for another program's transaction
_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_SHMSIZE,
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """A pool of connections in WAL mode: readers see the last commit and never wait, writers take turns.

    A connection is lent to one thread at a time and goes back when its block ends, so that threads that come
    and go leave nothing open. Every commit is on the disk when the block ends (synchronous=FULL).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._lent: set[sqlite3.Connection] = set()
        self._pool = threading.Lock()
        self._turn = threading.Lock()  # writers of this process queue here instead of polling SQLite's lock
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudioError(f"The folder {path.parent} cannot be made: {error}.", "Choose another --home.") from error
        with self._explained():
            self._give_back(self._connect())

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the last commit. Do not write here, and open no second block inside."""
        with self._explained():
            connection = self._borrow()
            try:
                connection.execute("BEGIN")
                yield connection
            finally:
                self._end(connection, "ROLLBACK")

    @contextmanager
    def writing(self, on_failure: Callable[[], None] | None = None) -> Iterator[sqlite3.Connection]:
        """One transaction: committed to the disk at the end, rolled back by any exception.

        `on_failure` runs after the roll-back while no other writer of this program has its turn.
        """
        with self._explained(), self._turn:
            connection = self._borrow()
            done = False
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
                done = True
            finally:
                self._end(connection, "ROLLBACK")
                if not done and on_failure is not None:
                    on_failure()

    def close(self) -> None:
        """Close every connection; lent ones close when they come back."""
        with self._pool:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA cache_size=-16000")  # KiB
        connection.execute("PRAGMA journal_size_limit=67108864")
        return connection

    def _borrow(self) -> sqlite3.Connection:
        with self._pool:
            if self._closed:
                raise StudioError("The library is closed.", "Start the program again.")
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._connect()
        with self._pool:
            self._lent.add(connection)
        return connection

    def _end(self, connection: sqlite3.Connection, statement: str) -> None:
        try:
            if connection.in_transaction:
                connection.execute(statement)
        finally:
            self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._pool:
            self._lent.discard(connection)
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors as ours, where a person can do something about them."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            # Errors of a wrong call carry no code: they are mistakes of ours and pass as they are.
            code: int = getattr(error, "sqlite_errorcode", -1)
            if code in _FULL:
                raise disk_full(self.path) from error
            if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Busy(
                    f"Another program is writing to {self.path}.", "Close it, or wait a moment and try again."
                ) from error
            if code & 0xFF in _DAMAGED:
                raise StudioError(
                    f"The library's database {self.path} is damaged ({error}).",
                    "Move it away and run `library check --repair`: the files are kept and get new rows.",
                ) from error
            if code & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
                raise StudioError(
                    f"The library's database {self.path} cannot be written ({error}).",
                    "Check the folder's permissions, or choose another --home.",
                ) from error
            raise


def disk_full(where: Path) -> DiskFull:
    return DiskFull(
        f"The disk that holds {where} is full.",
        "Free some space (empty the trash, delete models), then try again: what was finished is still there.",
    )
