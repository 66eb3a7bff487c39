"""What a download would be, before it is one: files, size, room on the disk, licence, and what stands in its way."""

import json
import re
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from studio.catalog import Catalog, file_facts, plain_id
from studio.errors import DiskFull, ModelError, NotFound
from studio.families import FAMILIES
from studio.families.causal_lm import peft_files
from studio.families.model_card import CARD
from studio.hub import licences
from studio.hub.file_kinds import kind_of
from studio.hub.fit import Fit, fit, fit_listed, needs_of_files
from studio.hub.hub_cache import HubCache
from studio.hub.licences import Licence
from studio.hub.listed import Listed, listed, listed_by_repo, origin_of
from studio.hub.refusals import LicenceNotAccepted, SeveralFiles, gated
from studio.hub.repository import Hub, Repository
from studio.hub.safetensors_header import parse_header
from studio.hub.selection import (
    Chosen,
    File,
    adapter_files,
    adapters_in,
    check_config,
    choose_files,
    parts_of,
    safe_path,
)
from studio.hub.single_file import IDS, PLACES
from studio.settings import Settings
from studio.types import Json

SPARE_DISK = 512 * 2**20  # bytes that stay free for the library
OURS = ("id", "source", "file", "config", "made", "hub")  # of a card: what this program alone may say


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A download that could start. `problem` says in a sentence why it may not, "" when it may."""

    id: str  # the model's name in this home
    repo: str
    revision: str  # a commit: what is fetched later is what was looked at
    endpoint: str
    files: tuple[Chosen, ...]
    size: int  # bytes to have
    cached: int  # of these, bytes that lie in the hub cache of this machine already
    staged: int  # of these, bytes that an earlier attempt has left
    free: int  # bytes free on the home's disk
    licence: Licence
    accepted: bool
    gated: bool
    kind: str = "folder"  # or "lora", "embedding", "checkpoint": one file
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        try:
            self.check()
        except (DiskFull, LicenceNotAccepted) as error:
            return error.message
        return ""

    def check(self) -> None:
        """DiskFull or LicenceNotAccepted when it may not start."""
        left = max(0, self.size - self.cached - self.staged)
        if left + SPARE_DISK > self.free:
            said = f"{self.repo} needs {_gb(left)} GB, and there is room for {_gb(max(0, self.free - SPARE_DISK))} GB."
            raise DiskFull(said, "Make room, or choose a smaller model.")
        if self.licence.limits_use and not self.accepted:
            where = f" ({self.licence.link})" if self.licence.link else ""
            said = f"{self.repo}: {self.licence.sentence}"
            raise LicenceNotAccepted(said, f"Read it{where}; to accept it, add --accept-licence.")

    def to_dict(self) -> Json:
        """For a page or a terminal; holds no secret."""
        return {
            "id": self.id,
            "repo": self.repo,
            "revision": self.revision,
            "size": self.size,
            "cached": self.cached,
            "staged": self.staged,
            "free": self.free,
            "files": [{"path": each.target, "size": each.file.size} for each in self.files],
            "licence": self.licence.name,
            "licence_says": self.licence.sentence,
            "limits_use": self.licence.limits_use,
            "accepted": self.accepted,
            "gated": self.gated,
            "kind": self.kind,
            "problem": self.problem,
        }


def make_plan(settings: Settings, hub: Hub, id: str, revision: str = "", name: str = "", file: str = "") -> Plan:
    """Looks a model up by its repository or by the id of an entry of presets/models; `file` names one safetensors file
    in it, a LoRA or a checkpoint. All refusals of `hub`, and ModelError where it brings programs or pickles.
    """
    entry = listed_by_repo(id)
    if entry and entry.file and entry.id != id.strip().lower():
        entry = None  # of such a repository each file may be meant
    repo = entry.repo if entry else id
    repository = hub.look_up(repo, revision or ((entry.revision or entry.branch) if entry else ""))
    if repository.gated and not hub.token:
        raise gated(repository.id, with_token=False)
    there = {file.path for file in repository.files}
    card: Mapping[str, Any] = {}
    file = file or (entry.file if entry else "")
    if adapter := _adapter(repository, there, file):
        kind, chosen = "folder", tuple(adapter_files(repository.files, adapter, repository.id))
    elif taught := _taught(hub, repository, there):
        kind, chosen, card = "lora", (Chosen(file=taught[0], target="model.safetensors"),), taught[1]
    elif single := _single(repository, there, file):
        kind, chosen = _kind_of(hub, repository, single), (Chosen(file=single, target="model.safetensors"),)
    else:
        kind, card = "folder", _their_card(hub, repository) if CARD in there else {}
        parts = _parts(hub, repository, there)
        chosen = tuple(choose_files(repository.files, parts, repository.id, whole=card.get("family") in FAMILIES))
    if not chosen:
        raise ModelError(f"{repository.id} holds no model.", "Choose another one.")
    meant = chosen[0].file.path if kind == "embedding" else file  # an embedding's name is the word that stands for it
    wished = name or (entry.id if entry else Path(meant).stem if meant else repository.id.rpartition("/")[2])
    licence = _licence(repository, entry, card)
    cache = HubCache.of_environment()
    own = (
        _free_file_id(settings, kind, wished, repository.id)
        if kind in PLACES
        else _free_id(settings, wished, repository.id)
    )
    return Plan(
        id=own,
        repo=repository.id,
        revision=repository.revision,
        endpoint=hub.endpoint,
        files=chosen,
        size=sum(each.file.size for each in chosen),
        cached=sum(each.file.size for each in chosen if cache.find(repository.id, repository.revision, each.file)),
        staged=_staged(settings.models / ".downloads" / own),
        free=shutil.disk_usage(next(p for p in (settings.home, *settings.home.parents) if p.is_dir())).free,
        licence=licence,
        accepted=licences.accepted(settings.home, repository.id, licence),
        gated=repository.gated,
        kind=kind,
        card=_card(repository, entry, card, licence, file),
    )


def fit_of(plan: Plan, memory: int, kind: str) -> Fit | None:
    """How it would run on a device of that many bytes: by our entry of it, else by the sizes of its files; None for
    what only runs beside a model.
    """
    entry = listed_by_repo(plan.repo)
    if plan.kind in PLACES or (entry and entry.kind):
        return None
    if entry:
        return fit_listed(entry, memory, listed(), kind)
    before = "unet/" if plan.kind == "checkpoint" else ""  # most of it
    return fit(needs_of_files({f"{before}{each.target}": each.file.size for each in plan.files}), memory, kind)


def _adapter(repository: Repository, there: set[str], file: str) -> File | None:
    """The IP-Adapter that is meant: named, or the only one of a repository that is no model. SeveralFiles."""
    if {"model_index.json", "config.json"} & there:
        return None
    able = adapters_in(repository.files)
    if file or len(able) < 2:
        return next((each for each in able if file in ("", each.path)), None)
    raise SeveralFiles(repository.id, able)


def _taught(hub: Hub, repository: Repository, there: set[str]) -> tuple[File, Mapping[str, Any]] | None:
    """A LoRA of a language model in peft's layout, and what we keep of it. ModelError where it cannot be used."""
    if not {peft_files.CONFIG, peft_files.WEIGHTS} <= there or "model_index.json" in there:
        return None
    config = hub.read_json(repository, peft_files.CONFIG)
    if not peft_files.teaches_texts(config):
        return None
    if problem := peft_files.obstacle(config):
        raise ModelError(f"{repository.id} {problem}.", "Choose another LoRA, or a whole model.")
    base = str(config.get("base_model_name_or_path") or "")
    file = next(each for each in repository.files if each.path == peft_files.WEIGHTS)
    return file, {"family": "causal_lm", "base": base, "peft": config}


def _single(repository: Repository, there: set[str], file: str) -> File | None:
    """The one file that is meant: named, or the only one of a repository that is no model folder."""
    if file:
        found = next((each for each in repository.files if each.path == file), None)
        if found is None or not file.endswith(".safetensors") or not safe_path(file):
            raise NotFound(f"{repository.id} has no file {file[:80]!r} that can be used.", "Name a .safetensors file.")
        return found
    if {"model_index.json", "config.json"} & there:
        return None
    weights = [each for each in repository.files if "/" not in each.path and each.path.endswith(".safetensors")]
    lora = [each for each in weights if each.path == "pytorch_lora_weights.safetensors"]
    if len(weights) > 1 and not lora:
        raise SeveralFiles(repository.id, weights)
    return (lora or weights or [None])[0]


def _kind_of(hub: Hub, repository: Repository, file: File) -> str:
    """lora, embedding or checkpoint, told by the file's first bytes. ModelError for anything else."""
    with hub.opened(repository, file.path) as read:
        header = parse_header(read, file.size, file.path)
    told = kind_of(header)
    if told.problem:
        raise ModelError(told.problem, told.hint)
    return IDS.get(told.kind, "checkpoint")


def _parts(hub: Hub, repository: Repository, there: set[str]) -> dict[str, tuple[str, str]]:
    if "model_index.json" in there:
        return parts_of(hub.read_json(repository, "model_index.json"), repository.id)
    if "config.json" not in there:
        raise ModelError(
            f"{repository.id} is no model that can be opened here: it has neither model_index.json nor config.json.",
            "Choose a model in the layout of diffusers or transformers, or a single .safetensors file.",
        )
    check_config(hub.read_json(repository, "config.json"), repository.id)
    return {}


def _their_card(hub: Hub, repository: Repository) -> Mapping[str, Any]:
    """The card that the repository brings, without what this program alone may say."""
    try:
        card = tomllib.loads(hub.read(repository, CARD).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}
    return {key: value for key, value in card.items() if key not in OURS}


def _licence(repository: Repository, entry: Listed | None, card: Mapping[str, Any]) -> Licence:
    """What the repository says now; where it says nothing, what its card or our list says."""
    if repository.licence.name:
        forbids = entry.forbids if entry and entry.licence.lower() == repository.licence.name.lower() else ""
        return Licence(name=repository.licence.name, link=repository.licence.link, forbids=forbids)
    if entry and entry.licence:
        return Licence(name=entry.licence, forbids=entry.forbids)
    return Licence(name=str(card.get("licence", "")).lower()[:80])


def _card(
    repository: Repository, entry: Listed | None, card: Mapping[str, Any], licence: Licence, file: str
) -> dict[str, Any]:
    """The card.toml that is written last. None of it is asked of the person again."""
    ours: dict[str, Any] = {**card, "licence": licence.name or card.get("licence", "")}
    ours.setdefault("name", entry.name if entry else repository.id.rpartition("/")[2])
    if entry and entry.runs and not entry.kind:
        ours.setdefault("family", entry.family)
        ours.setdefault("tasks", list(entry.tasks))
    hub = {"repo": repository.id, "revision": repository.revision, "licence_link": licence.link, "forbids": ""}
    hub |= {"file": file} if file else {}
    return {**ours, "source": "hub", "hub": {**hub, "forbids": licence.forbids}}


def _free_id(settings: Settings, name: str, repo: str) -> str:
    """The name that it gets, or has: a second download of the same repository goes to the same folder."""
    plain = plain_id(name, "model").lower()
    known = {model.id: model.folder for model in Catalog(settings).models()}
    id, number = plain, 1
    while id in known or (settings.models / id).exists():
        if installed_repo(known.get(id, settings.models / id)) == repo:
            return id
        number += 1
        id = f"{plain}-{number}"
    return id


def _staged(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _free_file_id(settings: Settings, kind: str, name: str, repo: str) -> str:
    """Likewise of what is one file among others of its kind."""
    place = settings.home / PLACES[kind]
    id, number = plain_id(name, kind), 1
    while any(place.glob(f"{id}.*")) and origin_of(file_facts(place, id))[0] != repo:
        number += 1
        id = f"{plain_id(name, kind)}-{number}"
    return id


def is_here(settings: Settings, plan: Plan) -> bool:
    """Whether that very commit is installed."""
    place = PLACES.get(plan.kind)
    card = file_facts(settings.home / place, plan.id) if place else _card_of(settings.models / plan.id)
    origin = card.get("hub", {})
    return isinstance(origin, dict) and (origin.get("repo"), origin.get("revision")) == (plan.repo, plan.revision)


def installed_repo(folder: Path) -> str:
    """The repository that a model's folder came from; "" where none is known."""
    origin = _card_of(folder).get("hub", {})
    return str(origin.get("repo", "")) if isinstance(origin, dict) else ""


def _card_of(folder: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads((folder / CARD).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


def plan_text(plan: Plan) -> str:
    """The plan as a file that a later run of the program can go on from."""
    files = [[each.file.path, each.file.size, each.file.sha256, each.file.git_sha1, each.target] for each in plan.files]
    plain = {
        "id": plan.id,
        "repo": plan.repo,
        "revision": plan.revision,
        "endpoint": plan.endpoint,
        "files": files,
        "kind": plan.kind,
        "card": dict(plan.card),
    }
    return json.dumps(plain)


def is_commit(revision: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{40}", revision))


def _gb(size: float) -> str:
    return f"{size / 2**30:.1f}" if size >= 2**27 else f"{size / 2**30:.3f}"
