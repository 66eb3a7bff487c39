"""Whether a model fits a device, what it gives up to fit, and which smaller one would fit: from configurations alone.

What is planned is what the engine does: the device's precision, fewer takes at once, a picture decoded in tiles, parts
that wait in main memory (CUDA alone). An estimate: kernels and other programs take memory that nobody is told of.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from studio.errors import ModelError
from studio.families.diffusion.estimates import (
    decoder_bytes,
    film_decoder_bytes,
    film_transformer_bytes,
    transformer_bytes,
    unet_bytes,
)
from studio.families.model_card import weights_elsewhere
from studio.families.video.film_folders import class_of, grid_of, usual
from studio.hub.listed import Listed, listed
from studio.hub.safetensors_header import read_header
from studio.types import Device, Json, Model

GIB = 2**30
DEVICES = (4, 8, 16, 24)  # GiB, as graphics cards are sold
RESERVED = {"cuda": 0.6, "mps": 1.0, "cpu": 1.0}  # GiB for the driver's context, or for Python and its libraries
ITEM = {"float32": 4, "bfloat16": 2, "float16": 2}
TAKES = 4  # variations that are usually asked for
LOOKS_BACK = 4096  # tokens of text that a draft looks back on
DENOISERS = ("unet", "transformer", "prior")


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a model's memory follows from. `parts` are parameters by part; `row` bytes of what is kept a token of text
    in half precision; `side` pixels of the picture that is asked for.
    """

    family: str
    parts: Mapping[str, int]
    unet: bool = False
    channels: int = 0  # of a U-Net's first level, or a transformer's width
    decoder: int = 128  # channels of the autoencoder's level of full resolution
    scale: int = 8  # pixels a latent and side
    side: int = 512
    row: int = 0
    frames: int = 1  # of a film
    grid: tuple[int, int] = (16, 4)  # of a film: pixels a token and side, frames a latent
    rough: bool = False  # sizes were guessed from the number of parameters

    @property
    def parameters(self) -> int:
        return sum(self.parts.values())


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How it would run. `peak` bytes at the worst moment; `fits` says whether that is less than there is."""

    fits: bool
    peak: int
    memory: int
    dtype: str
    batch: int
    tiled: bool = False
    offload: bool = False
    smaller: tuple[str, ...] = field(default=())  # listed models for the same that would fit

    @property
    def sentence(self) -> str:
        small = self.peak < GIB / 10
        need = f"{self.peak / 2**20:.0f} MB" if small else f"{self.peak / GIB:.1f} GB"
        there = f"{self.memory / GIB:.0f} GB"
        if not self.fits:
            instead = f" {', '.join(self.smaller)} would fit." if self.smaller else ""
            return f"Needs about {need} at least, more than the {there} there are.{instead}"
        ways = [f"in {self.dtype}", "one at a time" if self.batch == 1 else f"{self.batch} at a time"]
        ways += ["decoded in tiles"] if self.tiled else []
        ways += ["parts waiting in main memory, which takes longer"] if self.offload else []
        return f"Fits in {there} with about {need}: {', '.join(ways)}."

    @property
    def short(self) -> str:
        """For a table: the peak in GB and what is given up."""
        if not self.fits:
            return f"no ({self.peak / GIB:.1f})"
        marks = ("t" if self.tiled else "") + ("o" if self.offload else "")
        return f"{self.peak / GIB:.1f} x{self.batch}{marks}"

    def to_dict(self) -> Json:
        return {**asdict(self), "smaller": list(self.smaller), "sentence": self.sentence}


def needs_of_listed(entry: Listed, side: int = 0) -> Needs:
    """From an entry of presets/models; guessed where it names no width."""
    parts = {name: int(millions * 1e6) for name, millions in entry.parameters.items()}
    if not parts and entry.size:
        parts = {"model": entry.size // ITEM.get(entry.stored, 2)}
    unet = "unet" in parts
    main = max((count for name, count in parts.items() if name in DENOISERS), default=0)
    known = bool(entry.channels)
    return Needs(
        family=entry.family,
        parts=parts,
        unet=unet,
        channels=entry.channels or (320 if unet else _width(main)),
        side=side or entry.side or (_side_of_film(entry.pipeline) if entry.family == "video" else 512),
        scale=32 if "Sana" in entry.pipeline else 8,
        row=_row(sum(parts.values())) if entry.family == "causal_lm" else 0,
        frames=int(str(usual(entry.pipeline)["num_frames"])) if entry.family == "video" else 1,
        grid=grid_of(entry.pipeline, "image_to_video" in entry.tasks),
        rough=not known,
    )


def needs_of_folder(model: Model, side: int = 0) -> Needs:
    """From a model's own configurations and the heads of its weights. ModelError where these cannot be read."""
    try:
        return _needs_of_folder(model, side)
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        said = f"What the folder of {model.id!r} says of itself makes no sense ({error})."
        raise ModelError(said, "Get it again, or remove it.") from error


def _needs_of_folder(model: Model, side: int) -> Needs:
    folder = model.folder
    parts = {name: count for name, count in _parts(model).items() if count}
    unet = (folder / "unet").is_dir()
    denoiser = _json(folder / ("unet" if unet else "transformer") / "config.json")
    vae = _json(folder / "vae" / "config.json")
    levels, widths = vae.get("block_out_channels") or [128, 256, 512, 512], denoiser.get("block_out_channels")
    hidden = int(denoiser.get("num_attention_heads") or 16) * int(denoiser.get("attention_head_dim") or 64)
    scale = 2 ** (len(levels) - 1)
    sample = denoiser.get("sample_size")
    film = class_of(folder) if model.family == "video" else ""
    levels = levels if not vae.get("base_dim") else [vae.get("decoder_base_dim") or vae["base_dim"]]
    return Needs(
        family=model.family,
        parts=parts,
        unet=unet,
        channels=int(widths[0]) if widths else hidden,
        decoder=int(levels[0]),
        scale=scale,
        side=side
        or int(model.defaults.get("width", 0))
        or (_side_of_film(film) if film else sample * scale if isinstance(sample, int) else 512),
        row=_row_of(_json(folder / "config.json")) if model.family == "causal_lm" else 0,
        frames=int(model.defaults.get("num_frames", 0)) or int(str(usual(film)["num_frames"])) if film else 1,
        grid=grid_of(film, "image_to_video" in model.tasks),
    )


def needs_of_files(files: Mapping[str, int]) -> Needs:
    """Roughly, from the sizes of a download's files by their paths: weights are taken to be in half precision."""
    parts: dict[str, int] = {}
    for path, size in files.items():
        if path.endswith(".safetensors"):
            part = path.partition("/")[0] if "/" in path else "model"
            parts[part] = parts.get(part, 0) + size // 2
    drawn = any(name in parts for name in DENOISERS)
    main = max((count for name, count in parts.items() if name in DENOISERS), default=0)
    unet = "unet" in parts
    return Needs(
        family="diffusion" if drawn else "causal_lm",
        parts=parts,
        unet=unet,
        channels=320 if unet else _width(main),
        side=1024 if main > 1.5e9 or not unet else 512,
        row=0 if drawn else _row(sum(parts.values())),
        rough=True,
    )


def fit(needs: Needs, memory: int, kind: str = "cuda", dtype: str = "") -> Fit:
    """The least that has to be given up on a device of that many bytes. `dtype` is bfloat16 where none is named."""
    dtype = dtype or "bfloat16"
    item = ITEM[dtype]
    room = memory - int(RESERVED[kind] * GIB)
    ways = [(TAKES, False, False), (2, False, False), (1, False, False)]
    if needs.family == "video":
        ways = ways[2:]  # films are made one after the other
    if needs.family in ("diffusion", "video"):
        ways.append((1, True, False))
        if kind == "cuda":
            ways += [(1, False, True), (1, True, True)]
    made = [_try(needs, batch, tiled, offload, item) for batch, tiled, offload in ways]
    for (batch, tiled, offload), peak in zip(ways, made, strict=True):
        if peak <= room:
            return Fit(fits=True, peak=peak, memory=memory, dtype=dtype, batch=batch, tiled=tiled, offload=offload)
    batch, tiled, offload = ways[made.index(min(made))]
    return Fit(fits=False, peak=min(made), memory=memory, dtype=dtype, batch=batch, tiled=tiled, offload=offload)


def fit_of_folder(model: Model, memory: int, kind: str = "cuda", dtype: str = "") -> Json:
    """How an installed model would run, for a page or a table; `damaged` where its files cannot be read."""
    try:
        return {**fit(needs_of_folder(model), memory, kind, dtype).to_dict(), "damaged": False}
    except ModelError as error:
        return {"fits": False, "damaged": True, "sentence": f"Damaged: {error.message} {error.hint}"}


def fit_listed(entry: Listed, memory: int, entries: Iterable[Listed], kind: str = "cuda") -> Fit:
    """How a listed model would run; where it does not fit, which of the same task and family would."""
    found = fit(needs_of_listed(entry), memory, kind)
    if found.fits:
        return found
    needs = needs_of_listed(entry)
    able = [
        (needs_of_listed(other).parameters, other.id)
        for other in entries
        if other.id != entry.id and other.runs and other.medium == entry.medium
        and set(entry.tasks[:1]) <= set(other.tasks)
    ]  # fmt: skip
    smaller = [id for count, id in sorted(able, reverse=True) if count < needs.parameters]
    by_id = {other.id: other for other in entries}
    fitting = tuple(id for id in smaller if fit(needs_of_listed(by_id[id]), memory, kind).fits)
    return Fit(**{**{k: v for k, v in vars(found).items() if k != "smaller"}, "smaller": fitting[:3]})


def would_fit(models: Iterable[Model], asked: str, task: str, device: Device | None) -> str:
    """For a job that ran out of memory: which smaller models can do the task on that device, in a sentence; "" where
    none is known. First those that are installed, then those that are offered.
    """
    by_id = {model.id: model for model in models}
    mine = by_id.get(asked)
    if mine is None or device is None or not device.memory:
        return ""
    try:
        most = needs_of_folder(mine).parameters
    except ModelError:  # that model is damaged
        return ""

    def fits_here(model: Model) -> bool:
        try:
            return fits(needs_of_folder(model))
        except ModelError:
            return False

    def fits(needs: Needs) -> bool:
        return 0 < needs.parameters < most and fit(needs, device.memory, device.kind, device.dtype).fits

    here = [model for model in by_id.values() if model.id != asked and task in model.tasks]
    names = [f"{model.id} (installed)" for model in here if fits_here(model)][:2]
    able = [entry for entry in listed() if entry.runs and task in entry.tasks and fits(needs_of_listed(entry))]
    able.sort(key=lambda entry: needs_of_listed(entry).parameters, reverse=True)
    names += [f"{entry.id} (`models get {entry.id}`)" for entry in able[:2]]
    return f"Smaller ones that would fit: {', '.join(names)}." if names else ""


def _try(needs: Needs, batch: int, tiled: bool, offload: bool, item: int) -> int:
    weights = {name: count * item for name, count in needs.parts.items()}
    held = sum(weights.values())
    if needs.family not in ("diffusion", "video"):
        looked = needs.row * LOOKS_BACK * batch * item // 2
        return int(held * 1.1) + looked
    denoising, decoding = (_film_work if needs.family == "video" else _picture_work)(needs, batch, tiled, item)
    if not offload:
        return held + max(denoising, decoding)
    decoder = sum(size for name, size in weights.items() if name == "vae")
    main = max((size for name, size in weights.items() if name in DENOISERS), default=0)
    return max(max(weights.values(), default=0), main + denoising, decoder + decoding)


def _picture_work(needs: Needs, batch: int, tiled: bool, item: int) -> tuple[int, int]:
    """Bytes of the steps and of the decoding, beside the weights."""
    step = unet_bytes if needs.unet else transformer_bytes
    denoising = batch * step(needs.channels, needs.side, needs.side, needs.scale, item)
    return denoising, decoder_bytes(needs.decoder, needs.side, needs.side, item, tiled=tiled)


def _film_work(needs: Needs, _: int, tiled: bool, item: int) -> tuple[int, int]:
    """Likewise of one film: a U-Net sees each frame as a picture, a transformer tokens of several frames."""
    side, (unit, together) = needs.side, needs.grid
    if needs.unet:
        denoising = needs.frames * unet_bytes(needs.channels, side, side, needs.scale, item)
    else:
        latents = (needs.frames - 1) // together + 1
        denoising = film_transformer_bytes(needs.channels, side, side, latents, unit, item)
    return denoising, film_decoder_bytes(needs.decoder, side, side, needs.frames, item, tiled=tiled)


def _side_of_film(pipeline: str) -> int:
    """Of a square with as many pixels as that class's films usually have."""
    known = usual(pipeline)
    return round((int(str(known["width"])) * int(str(known["height"]))) ** 0.5)


def _parts(model: Model) -> Mapping[str, int]:
    """Parameters by part: of a folder's sub-folders, of its own weights, or of the one file that its card names."""
    if named := weights_elsewhere(model.folder, model.card):
        counts = {"unet": 0, "vae": 0, "text_encoder": 0}
        for key, tensor in read_header(named).tensors.items():
            part = "unet" if key.startswith("model.") else "vae" if key.startswith("first_stage") else "text_encoder"
            counts[part] += tensor.parameters
        return counts
    found: dict[str, int] = {}
    for file in sorted(model.folder.rglob("*.safetensors")):
        inner = file.parent.relative_to(model.folder).parts
        if inner or file.name.startswith(("model", "diffusion_pytorch_model")) or len(file.parent.parts) == 0:
            part = inner[0] if inner else "model"
        elif file.stem == "judge":  # of a starter: judges what was made, and is not loaded with it
            continue
        else:
            part = file.stem
        found[part] = found.get(part, 0) + read_header(file).parameters
    return found


def _width(parameters: int) -> int:
    """The usual width of a transformer of that size."""
    for most, width in ((0.8e9, 1152), (2e9, 2048), (4e9, 2560), (8e9, 3328), (14e9, 3584), (25e9, 4096)):
        if parameters <= most:
            return width
    return 6144


def _row(parameters: int) -> int:
    """The usual bytes that a language model of that size keeps a token, in half precision."""
    return 28_000 if parameters < 1e9 else 60_000 if parameters < 3e9 else 110_000 if parameters < 9e9 else 160_000


def _row_of(config: Mapping[str, Any]) -> int:
    layers = int(config.get("num_hidden_layers") or config.get("n_layer") or 0)
    heads = int(config.get("num_attention_heads") or config.get("n_head") or 1)
    hidden = int(config.get("hidden_size") or config.get("n_embd") or 0)
    kept = int(config.get("num_key_value_heads") or heads)
    width = int(config.get("head_dim") or hidden // max(1, heads))
    return 2 * layers * kept * width * 2


def _json(path: Path) -> Mapping[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}
