"""Which module checks which kind of data. It imports that module only when it is needed: readers of PDF are slow to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from studio.lab.items import Cleaned


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """`clean(bytes, name, folder)` checks one file and puts its standardised copy into the folder."""

    suffixes: frozenset[str]
    clean: Callable[[bytes, str, Path], tuple[Cleaned, ...]]
    clean_file: Callable[[Path, str, Path], tuple[Cleaned, ...]] | None = None
    """The same of a file on the disk that need not be in memory as a whole; OSError."""


def cleaner_of(kind: str) -> Cleaner:
    """The cleaner of one of `items.KINDS`."""
    if kind == "image":
        from studio.lab import picture_checks

        return Cleaner(suffixes=picture_checks.SUFFIXES, clean=picture_checks.clean_picture)
    if kind == "text":
        from studio.lab import text_checks

        return Cleaner(suffixes=text_checks.SUFFIXES, clean=text_checks.clean_text)
    if kind == "sound":
        from studio.lab import sound_checks

        return Cleaner(
            suffixes=sound_checks.SUFFIXES, clean=sound_checks.clean_sound, clean_file=sound_checks.clean_sound_file
        )
    if kind == "shape":
        from studio.lab import shape_checks

        return Cleaner(suffixes=shape_checks.SUFFIXES, clean=shape_checks.clean_shape)
    from studio.lab import header_checks

    return Cleaner(suffixes=header_checks.SCORES, clean=header_checks.clean_score)
