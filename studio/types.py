"""The nouns of the studio as plain frozen data: what is asked for, what is made, where it runs.

Standard library only. Everything here turns into JSON and back (`to_dict`, `from_dict`); defaults are left out, and
unknown keys of newer versions are ignored, so that old and new rows load forever.
"""

import dataclasses
import enum
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

Json = dict[str, Any]
Value = str | int | float | bool | None | list[Any] | dict[str, Any]


class JobState(enum.StrEnum):
    queued = "queued"
    running = "running"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"
    interrupted = "interrupted"  # the program ended while the job ran; what it had finished is kept

    @property
    def finished(self) -> bool:
        return self not in (JobState.queued, JobState.running)


@dataclass(frozen=True, kw_only=True)
class Input:
    """An artifact that a request starts from. Roles: init_image, mask_image, melody, dataset, source ..."""

    role: str
    artifact: str  # sha256

    def to_dict(self) -> Json:
        return {"role": self.role, "artifact": self.artifact}


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A LoRA or other adapter in use, with its weight."""

    id: str
    weight: float = 1.0

    def to_dict(self) -> Json:
        return {"id": self.id, "weight": self.weight}


@dataclass(frozen=True, kw_only=True)
class Request:
    """Everything that matters to a generation. The same request makes the same work again.

    `params` use the names of the library that does the work (num_inference_steps, guidance_scale, temperature ...).
    N variations of one brief are one request: `params["num_images_per_prompt"]` (or the family's own count), take k
    has the seed `seed + k`. A variation of a picture keeps the seed and moves its noise towards that of
    `variation_seed + k` (`params["variation_seed"]`, `params["variation_strength"]` in 0..1). `parent` is the sha256 of
    the take it branched from.
    """

    task: str
    model: str
    prompt: str = ""
    inputs: tuple[Input, ...] = ()
    adapters: tuple[Adapter, ...] = ()
    params: Mapping[str, Value] = field(default_factory=dict)
    seed: int = 0
    parent: str | None = None

    def to_dict(self) -> Json:
        plain: Json = {"task": self.task, "model": self.model, "prompt": self.prompt, "seed": self.seed}
        if self.inputs:
            plain["inputs"] = [i.to_dict() for i in self.inputs]
        if self.adapters:
            plain["adapters"] = [a.to_dict() for a in self.adapters]
        if self.params:
            plain["params"] = dict(self.params)
        if self.parent:
            plain["parent"] = self.parent
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        return cls(
            task=plain["task"],
            model=plain["model"],
            prompt=plain.get("prompt", ""),
            inputs=tuple(Input(role=i["role"], artifact=i["artifact"]) for i in plain.get("inputs", ())),
            adapters=tuple(Adapter(id=a["id"], weight=a.get("weight", 1.0)) for a in plain.get("adapters", ())),
            params=dict(plain.get("params", {})),
            seed=plain.get("seed", 0),
            parent=plain.get("parent"),
        )

    def replace(self, **changes: Any) -> Self:
        return dataclasses.replace(self, **changes)

    def with_params(self, **changes: Value) -> Self:
        """The same request with these params changed; None removes one."""
        merged = {**self.params, **changes}
        return self.replace(params={k: v for k, v in merged.items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A kept file: content-addressed, made by a job (or imported, then `job` is None)."""

    sha256: str
    media_type: str
    path: Path
    size: int  # bytes
    created: float  # seconds since the epoch
    width: int | None = None
    height: int | None = None
    duration: float | None = None  # seconds
    job: str | None = None
    index: int = 0
    meta: Mapping[str, Value] = field(default_factory=dict)  # seed, prompt, model, name of an import, hints ...
    starred: bool = False
    tags: tuple[str, ...] = ()
    trashed: float | None = None  # when it was put in the trash

    def to_dict(self) -> Json:
        plain = dataclasses.asdict(self)
        plain["path"] = str(self.path)
        plain["tags"] = list(self.tags)
        return plain


@dataclass(frozen=True, kw_only=True)
class Job:
    """One request on its way, and what became of it."""

    id: str
    request: Request
    state: JobState
    created: float
    panel: str = ""  # which panel or command asked: "image", "cli" ...
    group: str = ""  # jobs submitted together (the cells of a grid) share it
    position: float = 0.0  # order in the queue, smaller runs first
    started: float | None = None
    finished: float | None = None
    step: int = 0
    steps: int = 0
    message: str = ""
    error: str = ""
    hint: str = ""
    device: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> Json:
        plain = dataclasses.asdict(self)
        plain["request"] = self.request.to_dict()
        plain["state"] = str(self.state)
        return plain


@dataclass(frozen=True, kw_only=True)
class Model:
    """A local folder (or single safetensors file) that a family can load, with its card."""

    id: str
    family: str
    name: str
    source: str  # starter, hub, local, trained
    folder: Path
    licence: str = ""
    tasks: tuple[str, ...] = ()
    size: int = 0  # bytes
    card: Mapping[str, Any] = field(default_factory=dict)  # the parsed card.toml

    @property
    def defaults(self) -> Mapping[str, Any]:
        return self.card.get("defaults", {})

    @property
    def knows(self) -> Mapping[str, Any]:
        return self.card.get("knows", {})

    @property
    def summary(self) -> str:
        """What it is, in 90 characters at most."""
        return textwrap.shorten(
            str(self.card.get("summary") or self.card.get("description") or ""), 90, placeholder=" …"
        )


@dataclass(frozen=True, kw_only=True)
class Device:
    """Where the worker runs and how: chosen by engine/device.py, reported once the worker is ready."""

    kind: str  # cuda, mps, cpu
    name: str
    dtype: str = "float32"  # float32, bfloat16, float16
    memory: int = 0  # bytes that work may take (VRAM, unified memory or RAM), after STUDIO_MEMORY_LIMIT
    threads: int = 1
    channels_last: bool = False
    features: tuple[str, ...] = ()  # amx, avx512_bf16 ...

    def to_dict(self) -> Json:
        plain = dataclasses.asdict(self)
        plain["features"] = list(self.features)
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        names = {f.name for f in dataclasses.fields(cls)}
        kept = {k: v for k, v in plain.items() if k in names}
        return cls(**{**kept, "features": tuple(plain.get("features", ()))})
