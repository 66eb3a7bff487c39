"""Which models and adapters there are, as one list: starters, the person's folder, trained ones. Loads none of them."""

import difflib
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from studio.errors import DiskFull, InvalidInput, ModelError, NotFound
from studio.families import FAMILIES, families, family
from studio.families.causal_lm.peft_files import facts_of
from studio.families.diffusion.controlnet_folders import (
    ControlNetFolder,
    is_controlnet,
    read_controlnets,
    steers,
)
from studio.families.diffusion.embedding_files import PICKLES, named_in, read_embeddings
from studio.families.diffusion.preview_folders import read_previews, shows
from studio.families.diffusion.reference_folders import ReferenceFolder, leads, read_references
from studio.families.model_card import read_card, weights_elsewhere, write_card
from studio.settings import ASSETS, Settings
from studio.types import Model, Request, Value

PICTURES = ("text_to_image", "image_to_image", "inpaint", "outpaint")  # tasks whose prompts may name embeddings
SEERS = {"depth": ("depth_map", "Depth Anything"), "pose": ("pose_map", "ViTPose")}  # by the kind of control picture


class Catalog:
    """Looks into the folders at every call, so that a model copied there a moment ago is listed."""

    def __init__(self, settings: Settings) -> None:
        self._places = (("starter", ASSETS / "models"), ("local", settings.models))
        self._models = settings.models
        self._adapters = settings.home / "adapters"
        self._embeddings = settings.home / "embeddings"

    def models(self, task: str | None = None) -> tuple[Model, ...]:
        found: dict[str, Model] = {}
        for model in self._read_all():
            found.setdefault(model.id, model)
        return tuple(m for m in found.values() if task is None or task in m.tasks)

    def model(self, id: str) -> Model:
        """The model of that id, or NotFound that names the nearest one."""
        known = {m.id: m for m in self.models()}
        if id in known:
            return known[id]
        near = difflib.get_close_matches(id, known, n=1, cutoff=0.4)
        offer = f"Did you mean {near[0]!r}?" if near else f"Installed are: {', '.join(known) or 'none'}."
        raise NotFound(f"There is no model {id[:80]!r}.", offer)

    def default(self, task: str) -> Model:
        able = self.models(task)
        if not able:
            raise NotFound(
                f"No installed model can do {task.replace('_', ' ')}.",
                "Put a model folder into the home's models folder.",
            )
        return able[0]

    def defaults(self, model: Model, task: str) -> Mapping[str, Value]:
        """What this model wants where the person says nothing: its card's word before what its configs suggest."""
        declared = family(model.family)
        suggested = declared.defaults(model.folder) if declared.defaults else {}
        names = {p.name for p in declared.params(task)}
        return {k: v for k, v in {**suggested, **model.defaults}.items() if k in names}

    def controlnets(self, model: Model | None = None) -> tuple[ControlNetFolder, ...]:
        """ControlNets, by `model` those that steer it: first what was taught on it."""
        found: dict[str, ControlNetFolder] = {}
        for _, place in self._places:
            for one in read_controlnets(place):
                found.setdefault(one.id, one)
        if model is None:
            return tuple(found.values())
        able = [one for one in found.values() if steers(one, model.folder)]
        bases = (model.id, str(model.card.get("base", "")))
        return tuple(sorted((one for one in able if one.base in ("", *bases)), key=lambda one: not one.base))

    def controlnet(self, id: str, model: Model) -> ControlNetFolder:
        """The ControlNet of that id, which steers `model`. NotFound."""
        able = {one.id: one for one in self.controlnets(model)}
        if id in able:
            return able[id]
        if id in {one.id for one in self.controlnets()}:
            raise NotFound(
                f"The ControlNet {id!r} is not made for {model.name}.",
                f"For it there are: {', '.join(able) or 'none'}.",
                field="controlnet",
            )
        near = difflib.get_close_matches(id, able, n=1, cutoff=0.4)
        offer = f"Did you mean {near[0]!r}?" if near else f"For {model.name} there are: {', '.join(able) or 'none'}."
        raise NotFound(f"There is no ControlNet {id[:80]!r}.", offer, field="controlnet")

    def check_control(self, request: Request, model: Model) -> None:
        """NotFound for a ControlNet that is not there or not for this model, InvalidInput without its picture."""
        wanted = str(request.params.get("controlnet") or "")
        if not wanted:
            return
        self.controlnet(wanted, model)
        if not any(given.role == "control" for given in request.inputs):
            said = f"The ControlNet {wanted!r} has no picture to follow."
            raise InvalidInput(said, "Add a drawing or another picture as `control`.", field="control")

    def references(self, model: Model | None = None) -> tuple[ReferenceFolder, ...]:
        """IP-Adapters, by `model` those that lead it."""
        found: dict[str, ReferenceFolder] = {}
        for _, place in self._places:
            for one in read_references(place):
                found.setdefault(one.id, one)
        return tuple(one for one in found.values() if model is None or leads(one, model.folder))

    def reference(self, id: str, model: Model) -> ReferenceFolder:
        """The IP-Adapter of that id, which leads `model`. NotFound."""
        able = {one.id: one for one in self.references(model)}
        if id not in able:
            raise NotFound(
                f"There is no IP-Adapter {id[:80]!r} for {model.name}.",
                f"For it there are: {', '.join(able) or 'none'}.",
                field="ip_adapter",
            )
        return able[id]

    def check_beside(self, request: Request, model: Model) -> None:
        """NotFound for a ControlNet or an IP-Adapter that is not there or not for this model, InvalidInput without its
        picture or for an embedding that cannot be used.
        """
        self.check_control(request, model)
        self._seer(request)
        self._captioner(request)
        self._embeddings_of(request)
        if wanted := str(request.params.get("ip_adapter") or ""):
            self.reference(wanted, model)
            if not any(given.role == "reference" for given in request.inputs):
                said = f"The IP-Adapter {wanted!r} has no picture to show."
                raise InvalidInput(said, "Add one as `reference`.", field="ip_adapter")

    def beside(self, request: Request, model: Model) -> dict[str, list[str]]:
        """Files and folders that the worker needs for a request beside its model, by role. NotFound."""
        found: dict[str, list[str]] = {}
        if controlnet := str(request.params.get("controlnet") or ""):
            found["controlnet"] = [str(self.controlnet(controlnet, model).folder)]
        if seer := self._seer(request):
            found["seer"] = [str(seer.folder)]
        if captioner := self._captioner(request):
            found["captioner"] = [str(captioner.folder)]
        if reference := str(request.params.get("ip_adapter") or ""):
            found["ip_adapter"] = [str(self.reference(reference, model).weights)]
        if embeddings := self._embeddings_of(request):
            found["embedding"] = [str(path) for path in embeddings]
        if request.task in PICTURES and (preview := self._preview_of(model)):
            found["preview"] = [str(preview)]
        return found

    def _seer(self, request: Request) -> Model | None:
        """What sees the depth or the pose that a ControlNet shall follow. NotFound where none is installed."""
        kind = str(request.params.get("control_kind") or "")
        if not request.params.get("controlnet") or kind not in SEERS:
            return None
        task, name = SEERS[kind]
        able = self.models(task)
        if not able:
            raise NotFound(
                f"No installed model can see the {kind} of a picture.",
                f'Get {name} in Models, or choose "as it is" and give a picture of the {kind}.',
                field="control_kind",
            )
        return able[0]

    def _captioner(self, request: Request) -> Model | None:
        """What tells in words what pictures show, where a request names such a model. NotFound."""
        wanted = str(request.params.get("captioner") or "")
        able = {model.id: model for model in self.models("caption")} if wanted else {}
        if wanted and wanted not in able:
            hint = f"Choose one of {', '.join(able)}." if able else "Get one, BLIP for instance, in Models."
            raise NotFound(f"There is no captioning model {wanted[:80]!r}.", hint, field="captioner")
        return able.get(wanted)

    def _preview_of(self, model: Model) -> Path | None:
        """The small autoencoder that shows pictures of that model while they grow."""
        able = (one for _, place in self._places for one in read_previews(place) if shows(one, model.folder))
        return next(able, None)

    def embeddings(self) -> tuple[str, ...]:
        """Names of the textual inversion embeddings that a prompt may use."""
        return tuple(name for name, path in read_embeddings(self._embeddings).items() if path.suffix not in PICKLES)

    def _embeddings_of(self, request: Request) -> tuple[Path, ...]:
        if request.task not in PICTURES:
            return ()
        words = f"{request.prompt}\n{request.params.get('negative_prompt') or ''}"
        return named_in(words, read_embeddings(self._embeddings))

    def adapter(self, id: str) -> Path:
        known = self.adapters()
        if id in known:
            if known[id].is_symlink() and not known[id].exists():
                said = f"The file of the LoRA {id!r} is not at {os.readlink(known[id])} any more."
                raise NotFound(said, "Put it back, or remove the LoRA in Models.", field="prompt")
            return known[id]
        near = difflib.get_close_matches(id, known, n=1, cutoff=0.4)
        offer = f"Did you mean {near[0]!r}?" if near else f"Installed are: {', '.join(known) or 'none'}."
        raise NotFound(f"There is no LoRA {id[:80]!r}.", offer, field="prompt")

    def adapter_facts(self, id: str) -> Mapping[str, Any]:
        """What is known of an adapter that was taught here: sha256, base, trigger, job; of others what their hub or
        their config says.
        """
        return file_facts(self._adapters, id) or facts_of(self._adapters / id)

    def adapter_of(self, sha256: str) -> str:
        """The id under which a file that was taught here is offered; "" when it was removed."""
        return next((id for id in self.adapters() if self.adapter_facts(id).get("sha256") == sha256), "")

    def adapter_of_job(self, job: str) -> str:
        """The id under which what a job taught is offered; "" when it was removed."""
        return next((id for id in self.adapters() if self.adapter_facts(id).get("job") == job), "")

    def take_adapter(self, name: str, file: Path, facts: Mapping[str, Any]) -> str:
        """Offers a file as an adapter from now on; the id that it got, a new one where the name is taken by another
        training: one that was stopped and went on keeps its name.
        """
        plain = plain_id(name, "lora")
        self._adapters.mkdir(parents=True, exist_ok=True)
        id, number = plain, 1
        while (self._adapters / f"{id}.safetensors").exists():
            before = self.adapter_facts(id)
            if before.get("stopped") and before.get("run") == facts.get("run"):
                break
            if before.get("sha256") == facts["sha256"]:
                return id
            number += 1
            id = f"{plain}-{number}"
        self.replace_adapter(id, file, facts)
        return id

    def replace_adapter(self, id: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Offers that file under the id from now on, whatever lay there. DiskFull."""
        partial = self._adapters / f"{id}.part"
        try:
            shutil.copyfile(file, partial)
            (self._adapters / f"{id}.json").write_text(json.dumps(dict(facts)), "utf-8")
            partial.replace(self._adapters / f"{id}.safetensors")
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise DiskFull(f"The LoRA {id!r} could not be kept: {error.strerror}.", "Make room, then retry.") from error

    def adapters(self) -> Mapping[str, Path]:
        """LoRA files (`name.safetensors`) and folders (with adapter_config.json) by id."""
        if not self._adapters.is_dir():
            return {}
        return {
            p.stem if p.suffix == ".safetensors" else p.name: p
            for p in sorted(self._adapters.iterdir())
            if p.suffix == ".safetensors" or (p / "adapter_config.json").is_file()
        }

    def model_of_job(self, job: str) -> str:
        """The id of the model that a job delivered; "" when it delivered none or it was removed."""
        mine = (model for model in self.models() if model.card.get("made", {}).get("job") == job)
        return next((model.id for model in mine), "")

    def take_model(self, name: str, folder: Path, facts: Mapping[str, Any]) -> str:
        """Offers a copy of a model folder from now on; the id that it got, a new one where the name is taken by another
        training: one that was stopped and went on keeps its name.

        Its card keeps what it says; `facts` (`job` at least) become its table `made`. A second call for the same job
        finds the model that the first one took. ModelError when the folder holds no model.
        """
        if taken := self.model_of_job(str(facts["job"])):
            return taken
        if not folder.is_dir() or read_model(folder, "trained") is None:
            raise ModelError("The model that was made cannot be found.", "Retry: what was learnt is still there.")
        plain = plain_id(name, "model")
        known = {model.id for model in self.models()}
        id, number = plain, 1
        while (id in known or (self._models / id).exists()) and not self._was_stopped(id, str(facts.get("run") or "")):
            number += 1
            id = f"{plain}-{number}"
        self._models.mkdir(parents=True, exist_ok=True)
        partial, before = self._models / f".{id}.part", self._models / f".{id}.before"
        for left in (partial, before):  # by a program that was killed
            shutil.rmtree(left, ignore_errors=True)
        try:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                target = partial / file.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
            write_card(partial, {**read_card(folder), "id": id, "name": name, "source": "trained", "made": dict(facts)})
            if (self._models / id).exists():  # a folder that is not empty cannot be replaced in one step
                (self._models / id).replace(before)
            partial.replace(self._models / id)
            shutil.rmtree(before, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull("The disk is full: the model could not be kept.", "Make room, then retry.") from error
            raise ModelError(f"The model could not be kept: {error.strerror}.", "Retry, then it is kept.") from error
        return id

    def _was_stopped(self, id: str, run: str) -> bool:
        """Whether what lies there is what the same training left when it was stopped."""
        try:
            card = read_card(self._models / id)
        except ModelError:
            return False
        return bool(run) and card.get("stopped") is True and card.get("made", {}).get("run") == run

    def _read_all(self) -> Iterator[Model]:
        for source, place in self._places:
            if place.is_dir():
                for folder in sorted(place.iterdir()):
                    if folder.name.startswith("."):  # being copied
                        continue
                    try:
                        model = read_model(folder, source) if folder.is_dir() else None
                    except ModelError:  # told by studio.companions; the other models are none the worse for it
                        continue
                    if model:
                        yield model


def file_facts(place: Path, id: str) -> Mapping[str, Any]:
    """What is known of an adapter or embedding, which lies beside its file."""
    try:
        plain = json.loads((place / f"{id}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def plain_id(name: str, otherwise: str) -> str:
    """A name as a file name of letters, digits, - and _, at most 60 of them."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name.strip())[:60].strip("-") or otherwise


def read_model(folder: Path, source: str) -> Model | None:
    """What a folder holds by its card.toml, else by its diffusers or transformers config; None when it is no model.
    ModelError where its card cannot be read.
    """
    card = read_card(folder)
    if is_controlnet(folder):  # steers a model, and is none
        return None
    family = card.get("family") or _family_of(folder)
    if family not in FAMILIES:  # no model, or one that nothing here can run
        return None
    declared = next(f for f in families() if f.name == family)
    files = {*folder.rglob("*"), weights_elsewhere(folder, card) or folder}
    tasks = (declared.able(folder) if declared.able else ()) or tuple(declared.tasks)
    return Model(
        id=str(card.get("id", folder.name)),
        family=family,
        name=str(card.get("name", folder.name)),
        source=str(card.get("source", source)),
        folder=folder,
        licence=str(card.get("licence", "")),
        tasks=tuple(card.get("tasks", ())) or tasks,
        size=sum(p.stat().st_size for p in files if p.is_file()),
        card=card,
    )


def _family_of(folder: Path) -> str | None:
    told = next((f.name for f in families() if f.able and f.able(folder)), None)
    if told:
        return told
    index = folder / "model_index.json"
    if not index.is_file():
        return "captioning" if _tells_pictures(folder) else "causal_lm" if _writes(folder) else None
    try:
        name = json.loads(index.read_text("utf-8")).get("_class_name", "")
    except (ValueError, AttributeError):
        return "diffusion"  # damaged: listed all the same, so that loading it can say what is wrong
    return "diffusion" if name else None


def _tells_pictures(folder: Path) -> bool:
    """Whether it is an image-to-text model of transformers: eyes, a text head, and the pictures' preparation."""
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        heads = [str(name) for name in config.get("architectures") or ()]
    except (OSError, ValueError, AttributeError, TypeError):
        return False
    sees = "vision_config" in config or config.get("model_type") == "vision-encoder-decoder"
    writes = any(name.endswith(("ForConditionalGeneration", "ForCausalLM", "EncoderDecoderModel")) for name in heads)
    prepares = any((folder / f"{name}_config.json").is_file() for name in ("preprocessor", "processor"))
    return sees and writes and prepares


def _writes(folder: Path) -> bool:
    """Whether it is a causal LM of transformers."""
    try:
        heads = json.loads((folder / "config.json").read_text("utf-8")).get("architectures") or ()
    except (OSError, ValueError, AttributeError):
        return False
    return bool(heads) and all(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in heads)
