"""One program a home folder, by a lock of the operating system, which ends with the process.

It knows nothing of what lies in the folder.
"""

import contextlib
import os
import sys
from pathlib import Path

from studio.errors import Busy, StudioError
from studio.settings import obstacle

_FAR = 1 << 30  # Windows locks bytes against reading too: ours lies far behind the text


class HomeLock:
    """Held until `release` or the end of the process, however that ends. Busy: another program has it."""

    def __init__(self, home: Path) -> None:
        self.path = home / "lock"
        try:
            home.mkdir(parents=True, exist_ok=True)
            self._handle: int | None = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StudioError(
                f"The folder {home} cannot be used: {obstacle(home) or error.strerror}.", "Choose another --home."
            ) from error
        if not _lock(self._handle):
            holder = os.read(self._handle, 32).decode("ascii", "replace").strip()
            self.release()
            raise Busy(
                f"The folder {home} is in use by another program (process {holder or 'unknown'}).",
                "Use the window that is open, end that program, or choose another --home.",
            )
        with contextlib.suppress(OSError):  # the number is for people; a full disk must not keep them out
            os.ftruncate(self._handle, 0)
            os.write(self._handle, str(os.getpid()).encode("ascii"))

    def release(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
