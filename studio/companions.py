"""What works beside models and is none: LoRAs, ControlNets, IP-Adapters, small preview autoencoders, embeddings.

Each takes room in the home, so each must be seen and can be removed; what nothing here can use is told as that, and so
is a folder whose card cannot be read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.catalog import Catalog, file_facts, read_model
from studio.errors import ModelError
from studio.families.diffusion.controlnet_folders import is_controlnet, read_controlnet
from studio.families.diffusion.embedding_files import read_embeddings
from studio.families.diffusion.preview_folders import read_previews, shows
from studio.families.diffusion.reference_folders import leads, read_references
from studio.families.model_card import read_card
from studio.settings import ASSETS, Settings
from studio.types import Json

UNUSED = "not used"  # the kind of a folder that nothing in this version can use
DAMAGED = "damaged"  # of one whose card cannot be read


@dataclass(frozen=True, kw_only=True)
class Companion:
    """One of them; `path` is the file or folder that goes when it is removed."""

    id: str
    kind: str  # LoRA, ControlNet, IP-Adapter, preview, embedding, UNUSED or DAMAGED
    path: Path
    source: str  # "starter" or "local"
    beside: tuple[str, ...] = ()  # ids of the installed models that it works with, as far as is known
    facts: Mapping[str, Any]  # its card, or what is known of a LoRA

    @property
    def size(self) -> int:
        """Bytes."""
        files = [self.path] if self.path.is_file() else self.path.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())

    @property
    def repo(self) -> str:
        """Of the hub; "" where it is not known."""
        origin = self.facts.get("hub", {})
        return str(origin.get("repo", "")) if isinstance(origin, dict) else ""

    def to_dict(self) -> Json:
        return {
            "id": self.id,
            "kind": self.kind,
            "source": self.source,
            "beside": list(self.beside),
            "name": str(self.facts.get("name") or self.id),
            "about": str(self.facts.get("description") or "")[:400],
            "licence": str(self.facts.get("licence") or ""),
            "trigger": str(self.facts.get("trigger") or ""),
            "repo": self.repo,
            "size": self.size,
            "path": str(self.path),
        }


def companions(settings: Settings) -> tuple[Companion, ...]:
    """All of them, those of the program first."""
    return (*_folders(settings), *_loras(settings), *_embeddings(settings))


def _folders(settings: Settings) -> Iterator[Companion]:
    """The folders among the models that hold no model."""
    catalog = Catalog(settings)
    models = catalog.models()
    for source, place in (("starter", ASSETS / "models"), ("local", settings.models)):
        references, previews = tuple(read_references(place)), set(read_previews(place))
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if not folder.is_dir() or folder.name.startswith("."):
                continue
            try:
                card = read_card(folder)
            except ModelError as error:
                facts = {"description": str(error)}
                yield Companion(id=folder.name, kind=DAMAGED, path=folder, source=source, facts=facts)
                continue
            mine = [one for one in references if one.folder.is_relative_to(folder)]
            if is_controlnet(folder):
                kind, id = "ControlNet", read_controlnet(folder).id
                beside = [m.id for m in models if any(one.id == id for one in catalog.controlnets(m))]
            elif mine:
                kind, id = "IP-Adapter", folder.name
                beside = [m.id for m in models if any(leads(one, m.folder) for one in mine)]
            elif folder in previews:
                kind, id = "preview", folder.name
                beside = [m.id for m in models if shows(folder, m.folder)]
            elif source == "local" and read_model(folder, source) is None and any(folder.iterdir()):
                kind, id, beside = UNUSED, folder.name, []
            else:
                continue
            yield Companion(id=id, kind=kind, path=folder, source=source, beside=tuple(beside), facts=card)


def _loras(settings: Settings) -> Iterator[Companion]:
    catalog = Catalog(settings)
    for id, path in catalog.adapters().items():
        facts = catalog.adapter_facts(id)
        base = str(facts.get("base", ""))
        yield Companion(id=id, kind="LoRA", path=path, source="local", beside=(base,) if base else (), facts=facts)


def _embeddings(settings: Settings) -> Iterator[Companion]:
    for name, path in read_embeddings(settings.home / "embeddings").items():
        facts = file_facts(path.parent, name)
        yield Companion(id=name, kind="embedding", path=path, source="local", facts=facts)
