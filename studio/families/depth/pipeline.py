"""Maps of pictures by a loaded model: depth by transformers' depth-estimation classes or Marigold (B. Ke et al. 2024,
https://arxiv.org/abs/2312.02145), materials by Marigold's intrinsics. Each picture becomes a map of its own size.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from transformers import AutoImageProcessor, AutoModelForDepthEstimation, PreTrainedModel, VitPoseForPoseEstimation

from studio.errors import InvalidInput, ModelError
from studio.families.depth import able
from studio.families.depth.pose import Posed
from studio.families.diffusion import loading as diffusion
from studio.families.diffusion.steps import heard
from studio.families.family import Context
from studio.intake import read_picture
from studio.types import Device, Request, Value

FARTHER_IS_MORE = ("zoedepth", "depth_pro", "glpn")  # distances; the others give what falls with the distance
DEEP = 100  # how many times nearer than the farthest the nearest can be, of what is told as distances
LOCAL = {"local_files_only": True, "trust_remote_code": False}
AGAIN = "Copy the model again, or choose another one."
Step = Callable[[int, int], None]
Maps = Mapping[str, Image.Image]


class Looker:
    """A depth-estimation model of transformers: one look a picture."""

    def __init__(self, model: PreTrainedModel, processor: Any) -> None:
        self.model, self.processor, self.task = model, processor, "depth_map"
        far = getattr(model.config, "depth_estimation_type", "") == "metric"
        self.distances = far or model.config.model_type in FARTHER_IS_MORE

    @torch.inference_mode()
    def maps(self, picture: Image.Image, steps: int, seed: int, step: Step) -> Maps:
        given = self.processor(images=picture, return_tensors="pt").to(self.model.device, self.model.dtype)
        told = self.model(**given)
        size = (picture.height, picture.width)
        found = self.processor.post_process_depth_estimation(told, target_sizes=[size])[0]["predicted_depth"]
        near = found.float().cpu().numpy().reshape(size)
        step(1, 1)
        return {"depth": grey(1 / np.maximum(near, near.max() / DEEP) if self.distances else near)}

    def size(self) -> int:
        return sum(part.nbytes for part in self.model.parameters())


class Marigold:
    """Depth or materials by diffusion; its noise is the seed's."""

    def __init__(self, pipe: Any, task: str) -> None:
        self.pipe, self.task = pipe, task
        pipe.set_progress_bar_config(disable=True)

    @torch.inference_mode()
    def maps(self, picture: Image.Image, steps: int, seed: int, step: Step) -> Maps:
        generator = torch.Generator().manual_seed(seed)
        with heard(self.pipe.scheduler, lambda at, of, clean: step(at, of)):
            told = self.pipe(picture, num_inference_steps=steps, generator=generator).prediction
        if self.task == "depth_map":
            return {"depth": grey(-told[0, :, :, 0])}
        return materials(told, self.pipe.config.target_properties)

    def size(self) -> int:
        return sum(part.nbytes for module in diffusion.modules(self.pipe) for part in module.parameters())


class MapPipeline:
    def __init__(self, model: Looker | Marigold | Posed, name: str) -> None:
        self.model, self.name = model, name

    def size(self) -> int:
        return self.model.size()

    def run(self, request: Request, context: Context) -> None:
        """A map of each source, or one of each of its properties. InvalidInput: what is no picture, another task."""
        if request.task != self.model.task:
            can = self.model.task.replace("_", " ")
            said = f"{self.name!r} cannot do {request.task.replace('_', ' ')}."
            raise InvalidInput(said, f"It can do: {can}.", field="model")
        files, index = context.inputs["source"], 0
        steps = int(str(request.params.get("num_inference_steps", 1)))
        for at, file in enumerate(files):
            context.check()
            context.progress(at, len(files), "Looking")
            picture, began = read_picture(file, "The picture").convert("RGB"), time.monotonic()

            def step(done: int, of: int, at: int = at) -> None:
                context.check()
                context.progress(at * of + done, len(files) * of, "Looking")

            for kind, made in self.model.maps(picture, steps, request.seed, step).items():
                meta: dict[str, Value] = {
                    "map": kind,
                    "source": at,
                    "seed": request.seed,
                    "width": made.width,
                    "height": made.height,
                    "seconds": round(time.monotonic() - began, 3),
                }
                context.output(index, lambda path, made=made: made.save(path, "PNG"), ".png", "image/png", meta)
                index += 1
        context.progress(len(files), len(files), "Looking")


def grey(near: NDArray[np.float32]) -> Image.Image:
    """(height, width), larger where something is nearer, as a grey picture: the nearest white, the farthest black.
    ModelError where it is no depth.
    """
    if not np.isfinite(near).all():
        raise ModelError("The model made numbers that are no depth (NaN).", "Try another picture or another model.")
    least, most = float(near.min()), float(near.max())
    return as_picture((near - least) / max(most - least, 1e-9))


def materials(told: NDArray[np.float32], properties: Mapping[str, Any]) -> Maps:
    """(targets, height, width, 3) of 0..1 as pictures by name, as renderers take them: colours in sRGB, what is one
    number a point (roughness, metal) as plain grey.
    """
    found: dict[str, Image.Image] = {}
    for name, one in zip(properties["target_names"], np.clip(told, 0, 1), strict=True):
        about = properties.get(name, {})
        space = about.get("prediction_space", "srgb")
        if space == "stack":
            bands = enumerate(about["sub_target_names"])
            found |= {band: as_picture(one[:, :, k]) for k, band in bands if band}
        elif space == "linear":
            bright = one / max(float(one.max()), 1e-6) if about.get("up_to_scale") else one
            found[name] = as_picture(bright ** (1 / 2.2))
        else:
            found[name] = as_picture(one)
    return found


def as_picture(values: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(np.round(values * 255).astype(np.uint8))


def load(folder: Path, device: Device) -> MapPipeline:
    """ModelError where the folder holds no such model."""
    if (folder / "model_index.json").is_file():
        pipe: DiffusionPipeline = diffusion.open_folder(folder, device)
        task = next(iter(able(folder)), "")
        if not task:
            raise ModelError(f"The model in {folder.name!r} reads no pictures ({type(pipe).__name__}).", AGAIN)
        return MapPipeline(Marigold(pipe, task), folder.name)
    where = torch.device("cpu" if device.kind == "cpu" else device.kind)
    kinds: Any = {"pose_map": VitPoseForPoseEstimation}
    task = next(iter(able(folder)), "depth_map")
    try:
        model = kinds.get(task, AutoModelForDepthEstimation).from_pretrained(
            folder, **LOCAL, use_safetensors=True, dtype=diffusion.DTYPES[device.dtype]
        )
        if task == "pose_map":
            return MapPipeline(Posed(model.eval().requires_grad_(False).to(where), folder), folder.name)
        processor = AutoImageProcessor.from_pretrained(folder, **LOCAL)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ModelError(f"{folder.name!r} cannot be opened as a model of depth: {line}", AGAIN) from error
    return MapPipeline(Looker(model.eval().requires_grad_(False).to(where), processor), folder.name)
