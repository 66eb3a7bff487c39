"""ControlNets (Zhang, Rao & Agrawala, "Adding Conditional Control to Text-to-Image Diffusion Models", 2023): loaded
beside the pipeline that they steer, one at a time, with the same fast kernels; what they see is looked at once.
"""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import torch
from PIL import Image, ImageOps
from safetensors import SafetensorError
from torch import Tensor, nn

from studio.design.line_art import control_picture
from studio.errors import InvalidInput, ModelError
from studio.families.diffusion.acceleration import Budget, accelerate
from studio.families.diffusion.controlnet_folders import CLASSES, SEEN
from studio.families.diffusion.depth_control import seen_in
from studio.families.diffusion.loading import AGAIN, DTYPES
from studio.families.diffusion.packed import pack
from studio.families.diffusion.pictures import start_picture
from studio.types import Device, Request

EMBEDDING = "controlnet_cond_embedding"  # of the U-Nets' ControlNets: the small network that looks at the picture


@dataclass(frozen=True)
class Loaded:
    folder: Path
    net: nn.Module
    bytes: int
    faster: Budget


class ControlNets:
    """The ControlNet in use; another one takes its place."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._loaded: Loaded | None = None

    @property
    def size(self) -> int:
        return self._loaded.bytes + self._loaded.faster.used if self._loaded else 0

    def take(self, folder: Path, spare: int) -> nn.Module:
        """The ControlNet of that folder; `spare` bytes may hold it and its faster weights."""
        if self._loaded and self._loaded.folder == folder:
            return self._loaded.net
        self._loaded = None
        net = open_controlnet(folder, self._device)
        held = sum(tensor.nbytes for tensor in (*net.parameters(), *net.buffers()))
        budget = Budget(0)
        if self._device.kind == "cpu":
            faster = accelerate if self._device.dtype == "float32" else pack
            budget = faster([net], spare - held)
        self._loaded = Loaded(folder, net, held, budget)
        return net


def open_controlnet(folder: Path, device: Device) -> nn.Module:
    """The network of that folder in the device's dtype, on the device. ModelError says what is wrong with it."""
    try:
        kind = json.loads((folder / "config.json").read_text("utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"The ControlNet {folder.name!r} has no config that can be read.", AGAIN) from error
    if kind not in CLASSES:
        raise ModelError(f"{folder.name!r} is a {kind!r}, which cannot be used here.", f"Known: {', '.join(CLASSES)}.")
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"The ControlNet {folder.name!r} has no .safetensors file.", "Use a version of it that has one."
        )
    try:
        net: Any = getattr(diffusers, kind).from_pretrained(
            folder, torch_dtype=DTYPES[device.dtype], local_files_only=True, use_safetensors=True
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        if "out of memory" in str(error).lower():
            raise
        said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ModelError(f"The ControlNet {folder.name!r} cannot be opened: {said}", AGAIN) from error
    net.to("cpu" if device.kind == "cpu" else device.kind)
    if device.channels_last and any(isinstance(part, nn.Conv2d) for part in net.modules()):
        net.to(memory_format=torch.channels_last)
    return net.eval().requires_grad_(False)


def steering(
    request: Request, drawing: Path, pipe: Any, size: tuple[int, int], seer: Path | None, device: Device
) -> dict[str, Any]:
    """What a ControlNet pipeline is called with besides: the picture that it sees at `size`, its scale, its span.
    `seer` is the folder of the model that sees depth or a pose, where that is to be followed.
    """
    params = request.params
    start, end = (float(str(params.get(f"control_guidance_{at}", usual))) for at, usual in (("start", 0), ("end", 1)))
    if start >= end:
        raise InvalidInput(
            "The drawing is followed from a later step than it is followed to.",
            "Let it begin before it ends.",
            field="control_guidance_start",
        )
    kind = str(params.get("control_kind", "as it is"))
    if kind in SEEN and seer is not None:
        shown = ImageOps.fit(seen_in(drawing, seer, device), size, Image.Resampling.LANCZOS)
    else:
        shown = control_picture(start_picture(drawing, size), kind)
    separate = "control_image" in inspect.signature(pipe.__call__).parameters
    return {
        "control_image" if separate else "image": shown,
        "controlnet_conditioning_scale": float(str(params.get("controlnet_conditioning_scale", 1.0))),
        "control_guidance_start": start,
        "control_guidance_end": end,
    }


def steered(way: Any, own: Any, net: nn.Module, model: str, cannot: str) -> Any:
    """The pipeline of a task with that ControlNet, sharing all other parts with `own`. InvalidInput where diffusers has
    none for this model, or the ControlNet is not one for it.
    """
    try:
        pipe = way.from_pipe(own, controlnet=net)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            f"The model {model!r} cannot {cannot} with a ControlNet.", "Choose another model.", field="model"
        ) from error
    check_fit(net, pipe, model)
    return pipe


def check_fit(net: nn.Module, pipe: Any, model: str) -> None:
    """InvalidInput where the ControlNet was made for denoisers of another shape."""
    parts: Any = net
    denoiser = pipe.components.get("unet") or pipe.components.get("transformer")
    for name in ("in_channels", "cross_attention_dim", "joint_attention_dim", "block_out_channels"):
        mine, other = parts.config.get(name), denoiser.config.get(name)
        if mine is not None and other is not None and _plain(mine) != _plain(other):
            raise InvalidInput(
                f"This ControlNet is not made for {model!r}: its {name.replace('_', ' ')} are {mine}, not {other}.",
                "Choose another ControlNet, or the model that it belongs to.",
                field="controlnet",
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


@contextmanager
def looked_at_once(pipe: Any) -> Iterator[None]:
    """While open, the ControlNet looks at its picture at the first step only and for all takes, as it is the same."""
    net = pipe.components.get("controlnet")
    embedding = dict(net.named_children()).get(EMBEDDING) if net is not None else None
    if embedding is None:
        yield
        return
    plain, seen = embedding.forward, {}

    def forward(conditioning: Tensor) -> Tensor:
        if seen.get("picture") is not conditioning:
            seen.update(picture=conditioning, made=plain(conditioning[:1]))
        return seen["made"].expand(len(conditioning), -1, -1, -1)

    embedding.forward = forward
    try:
        yield
    finally:
        del embedding.forward
