"""The models that are offered by name: presets/models/*.toml, one entry a model, what could not be checked marked so.

Nothing here asks the network; what an entry says of licence, revision and size is what the hub says again before a
download.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from studio.errors import ModelError
from studio.families import FAMILIES, family
from studio.hub.licences import FREE
from studio.settings import PRESETS
from studio.types import Json

MEDIA = ("text", "image", "music", "sound", "speech", "3d", "video")
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}
BESIDE = ("ControlNet", "IP-Adapter", "preview", "LoRA", "embedding")
CHECKABLE = ("repo", "revision", "pipeline", "parameters", "size", "memory", "licence", "forbids", "gated", "tasks")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One entry. `parameters` are millions by part (denoiser, encoders, decoder ...); `memory` GiB by kind of device
    (cpu, cuda, mps) as its makers or users name it; `unchecked` names the fields that nobody here could verify.
    """

    id: str
    name: str
    repo: str
    medium: str
    family: str
    pipeline: str  # the class in diffusers or transformers
    good_for: str
    licence: str
    forbids: str = ""
    gated: bool = False
    revision: str = ""  # a commit, "" where none is known: then the newest is taken, and its commit is kept
    branch: str = ""  # where the right files lie, if not on the main one
    tasks: tuple[str, ...] = ()
    kind: str = ""  # of what works beside models and is none: one of BESIDE
    file: str = ""  # the one file of the repository that is meant
    parameters: Mapping[str, float] = field(default_factory=dict)
    stored: str = "bfloat16"  # the precision that is downloaded
    size_gb: float = 0.0  # of the download, where it was read somewhere; else it follows from the parameters
    side: int = 0  # pixels of a picture that it is made for
    channels: int = 0  # width of the denoiser, for what its activations take
    memory: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    unchecked: tuple[str, ...] = ()

    @property
    def limits_use(self) -> bool:
        return self.licence.lower() not in FREE

    @property
    def runs(self) -> bool:
        """Whether this version has what it takes: the family, and the tasks that are named."""
        if self.kind:
            return True
        return self.family in FAMILIES and bool(self.tasks) and set(self.tasks) <= set(family(self.family).tasks)

    @property
    def size(self) -> int:
        """Bytes to download; 0 where neither size nor parameters are known."""
        if self.size_gb:
            return int(self.size_gb * 2**30)
        return int(sum(self.parameters.values()) * 1e6 * BYTES[self.stored])

    def to_dict(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "repo": self.repo,
            "medium": self.medium,
            "family": self.family,
            "pipeline": self.pipeline,
            "good_for": self.good_for,
            "licence": self.licence,
            "limits_use": self.limits_use,
            "forbids": self.forbids,
            "gated": self.gated,
            "revision": self.revision,
            "tasks": list(self.tasks),
            "kind": self.kind,
            "file": self.file,
            "size": self.size,
            "memory": dict(self.memory),
            "runs": self.runs,
            "note": self.note,
            "unchecked": list(self.unchecked),
        }


def listed(folder: Path = PRESETS / "models") -> tuple[Listed, ...]:
    """All entries in the order of their files. ModelError names the entry and what is wrong with it."""
    return _read_all(folder)


def listed_by_repo(name: str) -> Listed | None:
    """The entry of that id or repository; of several with one repository the first."""
    plain = name.strip().lower()
    return next((entry for entry in listed() if plain in (entry.id.lower(), entry.repo.lower())), None)


@cache
def _read_all(folder: Path) -> tuple[Listed, ...]:
    found: list[Listed] = []
    for file in sorted(folder.glob("*.toml"), key=lambda path: _order(path.stem)):
        try:
            plain = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ModelError(f"{file.name} cannot be read: {error}.", "Correct that line.") from error
        found += [_entry(one, file) for one in plain.get("model", ())]
    ids = [entry.id for entry in found]
    if twice := {id for id in ids if ids.count(id) > 1}:
        raise ModelError(f"The model {sorted(twice)[0]!r} is listed twice.", "Give one of them another id.")
    return tuple(found)


def origin_of(card: Mapping[str, Any]) -> tuple[str, str]:
    """The repository that something came from and the one file of it that was meant; "" where they are not known."""
    origin = card.get("hub", {})
    return (str(origin.get("repo", "")), str(origin.get("file", ""))) if isinstance(origin, dict) else ("", "")


def _order(stem: str) -> int:
    return MEDIA.index(stem) if stem in MEDIA else len(MEDIA)


def _entry(plain: Mapping[str, Any], file: Path) -> Listed:
    where = f"{file.name}, {plain.get('id', '?')!r}"
    try:
        given = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        entry = Listed(**{"medium": file.stem, **given})
    except TypeError as error:
        raise ModelError(f"{where}: {error}.", "Correct that entry.") from error
    odd = [name for name in entry.unchecked if name not in CHECKABLE]
    odd += [entry.kind] if entry.kind and entry.kind not in BESIDE else []
    if odd or entry.medium not in MEDIA or entry.stored not in BYTES:
        raise ModelError(f"{where}: {odd or entry.medium!r} is not known.", "Correct that entry.")
    return entry
