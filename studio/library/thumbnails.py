"""Small webp pictures of stored images, made on demand and lost without harm. It knows no row."""

import itertools
import os
import threading
import warnings
import wave
from pathlib import Path

from PIL import Image, ImageOps

from studio.design.looks import look_of
from studio.errors import InvalidInput, NotFound
from studio.library.files import explained

SIDES = range(32, 2049)  # pixels of the longer side
PIXEL_LIMIT = 300_000_000  # a larger picture is not decoded for a thumbnail
_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class Thumbnails:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._names = itertools.count(1)
        self._active: set[Path] = set()  # unfinished ones of this process
        # A page full of new pictures must not slow a running job: one at a time, but on large machines.
        self._working = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) // 4))

    def path(self, sha256: str, side: int) -> Path:
        return self.root / str(side) / sha256[:2] / f"{sha256}.webp"

    def get(self, sha256: str, source: Path, side: int) -> Path:
        """The thumbnail of the image at `source`, at most `side` pixels each way. NotFound, InvalidInput."""
        if side not in SIDES:
            raise InvalidInput(f"A thumbnail of {side} pixels cannot be made.", "Ask for 32 to 2048.", field="side")
        target = self.path(sha256, side)
        if has_bytes(target):
            return target
        with self._working:
            if not has_bytes(target):
                self._make(source, target, side)
        return target

    def all(self) -> tuple[Path, ...]:
        """Every file below the folder: thumbnails, and what a killed process left unfinished."""
        found = sorted(self.root.rglob("*")) if self.root.is_dir() else []
        return tuple(p for p in found if p not in self._active and p.is_file())

    def remove(self, sha256: str) -> None:
        if self.root.is_dir():
            for side in self.root.iterdir():
                (side / sha256[:2] / f"{sha256}.webp").unlink(missing_ok=True)

    def _make(self, source: Path, target: Path, side: int) -> None:
        if not source.is_file():
            raise NotFound(f"The file {source.name} is missing from the library.", "Run `library check --repair`.")
        temporary = target.with_name(f"{os.getpid()}-{next(self._names)}.tmp")
        picture = _shrunk(source, side)
        self._active.add(temporary)
        with explained(self.root):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                picture.save(temporary, "WEBP", quality=82, method=3)
                os.replace(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
                self._active.discard(temporary)


def image_size(path: Path) -> tuple[int, int] | None:
    """(width, height) in pixels as shown, from the header alone. None when it is no image that Pillow
    opens.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    except _UNREADABLE:
        return None
    return (height, width) if turned else (width, height)


def wave_seconds(path: Path) -> float | None:
    """The length of a WAV file. None when it is none that the standard library reads."""
    try:
        with wave.open(str(path), "rb") as sound:
            return sound.getnframes() / sound.getframerate()
    except (OSError, EOFError, wave.Error, ZeroDivisionError):
        return None


def _shrunk(source: Path, side: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(look_of(source) or source) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise NotFound(f"The picture {source.name} is too large for a thumbnail.", "Open the file itself.")
                image.draft("RGB", (side * 2, side * 2))
                turned = ImageOps.exif_transpose(image)
                plain = turned.convert("RGBA" if "A" in turned.getbands() or "transparency" in turned.info else "RGB")
    except _UNREADABLE as error:
        raise NotFound(f"No thumbnail can be made of {source.name} ({error}).", "Open the file itself.") from error
    plain.thumbnail((side, side), Image.Resampling.LANCZOS)
    return plain


def has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
