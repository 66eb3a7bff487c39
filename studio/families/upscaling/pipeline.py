"""Enlarges pictures by a loaded model, tile by tile. Stop is heard between tiles and between the steps of those that
sample.
"""

import inspect
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import Swin2SRForImageSuperResolution

from studio.errors import InvalidInput, ModelError, OutOfMemory
from studio.families.diffusion.loading import AGAIN, DTYPES, modules, open_folder
from studio.families.diffusion.steps import heard
from studio.families.family import Context
from studio.families.training.short_memory import is_out_of_memory, release
from studio.families.upscaling.folders import SAMPLED
from studio.families.upscaling.tiles import Floats, count, enlarged
from studio.intake import read_picture
from studio.types import Device, Request

MOST = 64_000_000  # pixels of the result
SMALLEST = 64  # pixels of a tile


class Network:
    """A network that makes a tile larger in one pass (Conde et al., "Swin2SR", 2022)."""

    def __init__(self, model: Any, device: Device) -> None:
        self._model, self._where = model, torch.device("cpu" if device.kind == "cpu" else device.kind)
        self.factor = int(model.config.upscale)
        self.parts = [model]

    @torch.inference_mode()
    def enlarge(self, tile: Floats, request: Request, context: Context) -> Floats:
        given = torch.from_numpy(np.ascontiguousarray(tile)).permute(2, 0, 1)[None]
        made = self._model(given.to(self._where, self._model.dtype)).reconstruction
        return made[0].float().clamp(0, 1).permute(1, 2, 0).cpu().numpy()


class Sampled:
    """A diffusers pipeline that draws the larger tile anew, led by the small one; all tiles begin with one seed."""

    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        pipe.set_progress_bar_config(disable=True)
        self.parts = modules(pipe)
        self.factor = SAMPLED

    @torch.inference_mode()
    def enlarge(self, tile: Floats, request: Request, context: Context) -> Floats:
        given = {
            "prompt": request.prompt,
            "image": Image.fromarray(np.round(tile * 255).astype(np.uint8)),
            "num_inference_steps": request.params["num_inference_steps"],
            "guidance_scale": request.params["guidance_scale"],
            "generator": torch.Generator().manual_seed(request.seed),
            "output_type": "pil",
        }
        accepted = inspect.signature(self._pipe.__call__).parameters
        with heard(self._pipe.scheduler, lambda step, steps, clean: context.check()):
            made = self._pipe(**{name: value for name, value in given.items() if name in accepted}).images[0]
        size = (tile.shape[1] * self.factor, tile.shape[0] * self.factor)
        made = made if made.size == size else made.resize(size, Image.Resampling.LANCZOS)
        return np.asarray(made.convert("RGB"), np.float32) / np.float32(255)


class Upscaler:
    def __init__(self, model: Network | Sampled, name: str) -> None:
        self._model, self._name = model, name

    def size(self) -> int:
        return sum(weight.nbytes for part in self._model.parts for weight in part.parameters())

    def run(self, request: Request, context: Context) -> None:
        """Each source becomes an output. InvalidInput where that is too large, OutOfMemory below the least tile."""
        files = context.inputs["source"]
        for at, file in enumerate(files):
            context.check()
            began = time.perf_counter()
            picture = read_picture(file, "The picture")
            factor = int(str(request.params["factor"] or self._model.factor))
            made, tile = self._passes(picture, factor, request, context)
            meta = {
                "model": self._name,
                "factor": factor,
                "tile": tile,
                "width": made.width,
                "height": made.height,
                "base_width": picture.width,
                "base_height": picture.height,
                "seed": request.seed,
                "seconds": round(time.perf_counter() - began, 3),
            }
            context.output(at, lambda path, made=made: made.save(path, "PNG"), ".png", "image/png", meta)

    def _passes(self, picture: Image.Image, factor: int, request: Request, context: Context) -> tuple[Image.Image, int]:
        """The picture `factor` times as large, by as many passes as that takes, and the last tile."""
        once, passes = self._model.factor, 1
        while once**passes < factor:
            passes += 1
        width, height = (side * once**passes for side in picture.size)
        if width * height > MOST:
            way = "" if once**passes == factor else " on the way"
            raise InvalidInput(f"That would be {width} x {height} pixels{way}.", "Choose less.", field="source")
        made, tile = picture, int(str(request.params["tile"]))
        tiles = [count(*(side * once**k for side in picture.size), tile) for k in range(passes)]
        for k in range(passes):
            made, tile = self._larger(made, tile, (sum(tiles[:k]), sum(tiles[k + 1 :])), request, context)
        size = (picture.width * factor, picture.height * factor)
        return (made if made.size == size else made.resize(size, Image.Resampling.LANCZOS)), tile

    def _larger(
        self, picture: Image.Image, tile: int, others: tuple[int, int], request: Request, context: Context
    ) -> tuple[Image.Image, int]:
        """One pass, and the tile that was used, which is smaller than asked for where memory is short. `others` are the
        tiles of the passes before and after it.
        """
        pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
        while True:
            done, many = 0, count(picture.width, picture.height, tile)

            def each(part: Floats, many: int = many) -> Floats:
                nonlocal done
                context.check()
                made = self._model.enlarge(part, request, context)
                done += 1
                context.progress(others[0] + done, others[0] + many + others[1])
                return made

            try:
                large = enlarged(pixels, tile, each)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                release(context.device.kind)
            if tile <= SMALLEST:
                raise OutOfMemory("Not even a tile of 64 pixels fits in the memory.", "Close other programs.")
            tile = max(SMALLEST, tile // 2 // SMALLEST * SMALLEST)
            context.warn(f"Memory was short: tiles of {tile} pixels.")
        made = Image.fromarray(np.round(np.clip(large, 0, 1) * 255).astype(np.uint8))
        if picture.mode == "RGBA":
            made.putalpha(picture.getchannel("A").resize(made.size, Image.Resampling.LANCZOS))
        return made, tile


def load(folder: Path, device: Device) -> Upscaler:
    """ModelError says what is wrong with the folder."""
    if (folder / "model_index.json").is_file():
        return Upscaler(Sampled(open_folder(folder, device)), folder.name)
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder.name!r} has no .safetensors file.", "Use a version of it that has one.")
    try:
        model: Any = Swin2SRForImageSuperResolution.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=DTYPES[device.dtype]
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        if "out of memory" in str(error).lower():
            raise
        raise ModelError(f"{folder.name!r} cannot be opened as a model that enlarges: {error}.", AGAIN) from error
    model.to("cpu" if device.kind == "cpu" else device.kind)
    return Upscaler(Network(model.eval().requires_grad_(False), device), folder.name)
