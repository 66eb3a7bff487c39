"""What takes room in the home: models and their companions, what removing one would free, and the removing."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from studio.catalog import Catalog
from studio.companions import companions
from studio.errors import InvalidInput, ModelError, NotFound
from studio.families.model_card import weights_elsewhere
from studio.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Removed:
    id: str
    kind: str  # "model", or the kind of a companion in small letters ("lora")
    freed: int  # bytes that the disk got back
    kept: str = ""  # a file elsewhere that the model used and that stays


def freed_by(path: Path) -> int:
    """Bytes that the disk gets back: not those of files that lie elsewhere too, as in the hub's cache."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if not p.is_dir()]
    stats = [p.lstat() for p in files]
    return sum(stat.st_size for p, stat in zip(files, stats, strict=True) if not p.is_symlink() and stat.st_nlink == 1)


def remove(settings: Settings, id: str) -> Removed:
    """Removes a model or a companion of the home. NotFound; InvalidInput for one that comes with the program."""
    models = {model.id: model for model in Catalog(settings).models()}
    if id in models:
        model = models[id]
        if not model.folder.is_relative_to(settings.models):
            raise InvalidInput(f"{id!r} comes with the program and stays.", "Remove one that was downloaded.")
        file = weights_elsewhere(model.folder, model.card)
        kept = str(file) if file and not file.is_relative_to(model.folder) else ""
        return Removed(id=id, kind="model", freed=_away(model.folder), kept=kept)
    beside = {one.id: one for one in companions(settings)}
    if id in beside:
        one = beside[id]
        if one.source == "starter":
            raise InvalidInput(f"{id!r} comes with the program and stays.", "Remove one that was downloaded.")
        freed = _away(one.path)
        if one.kind in ("LoRA", "embedding"):
            one.path.with_name(f"{id}.json").unlink(missing_ok=True)  # what was known of it
        return Removed(id=id, kind=one.kind.lower(), freed=freed)
    raise NotFound(f"There is no model and no companion of one {id[:80]!r}.", "See `models list`.")


def _away(path: Path) -> int:
    """Out of sight first, in one step, then off the disk; the bytes that were freed."""
    freed = freed_by(path) if not path.is_symlink() else 0
    try:
        if path.is_symlink() or path.is_file():
            path.unlink()
            return freed
        hidden = path.with_name(f".{path.name}.removed")
        shutil.rmtree(hidden, ignore_errors=True)
        os.replace(path, hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise ModelError(
            f"{path.name!r} could not be removed: {error.strerror}.", "Close what uses it, then try again."
        ) from error
    return freed
