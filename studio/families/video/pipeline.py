"""Runs films on any diffusers video pipeline: one call a take, each with its own noise, Stop heard inside a step.

What a pipeline can take is read from its signature. A film fills the memory that a batch of pictures would, so takes
are made one after the other.
"""

import inspect
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from studio.design.films import write_film
from studio.errors import InvalidInput
from studio.families.diffusion import attention, previews, schedulers
from studio.families.diffusion.adapters import Adapters
from studio.families.diffusion.call_arguments import not_taken
from studio.families.diffusion.loading import modules
from studio.families.diffusion.memory import slice_decoding
from studio.families.diffusion.noise import Noise, Start, Take
from studio.families.diffusion.pictures import start_picture
from studio.families.diffusion.prompts import PromptMemory, read_limit
from studio.families.diffusion.steps import heard
from studio.families.diffusion.takes import starts
from studio.families.family import Context
from studio.families.training.short_memory import is_out_of_memory
from studio.families.video.film_folders import tasks_of
from studio.families.video.film_memory import FilmMemory
from studio.families.video.film_shape import FilmShape, denoiser_of, frames_a_latent, pixels_a_latent, possible
from studio.families.video.loading import open_film_folder
from studio.types import Device, Request, Value

# of LTX's decoders that take a last step themselves, as their makers set it
LAST_STEP = {"decode_timestep": 0.05, "decode_noise_scale": 0.025}


def load(folder: Path, device: Device) -> "FilmPipeline":
    """Opens a local folder of films for that device. ModelError in a sentence when it cannot."""
    return FilmPipeline(open_film_folder(folder, device), folder, device)


class FilmPipeline:
    def __init__(self, pipe: DiffusionPipeline, folder: Path, device: Device) -> None:
        self._name = folder.name
        self._device = device
        self._own: Any = pipe
        self._tasks = tasks_of(folder)
        self._starting: Any = None  # the pipeline that begins with a picture, made of the same parts
        self._prompts = PromptMemory()
        self._adapters = Adapters(pipe)
        slice_decoding(pipe)
        if device.kind == "cpu":
            attention.install(products=device.dtype == "bfloat16" and "amx" not in device.features)
        with torch.inference_mode():
            self._map = previews.fit(pipe)

    def size(self) -> int:
        return sum(t.nbytes for part in modules(self._own) for t in (*part.parameters(), *part.buffers()))

    def run(self, request: Request, context: Context) -> None:
        context.check()
        pipe = self._way(request.task)
        shape = possible(request.params, pipe, context.warn)
        limit = read_limit(self._own, request.prompt)
        if limit:
            context.warn(f"The prompt is long: this model reads only about its first {limit} words.")
        self._adapters.use(context.adapters, context.warn)
        for said in not_taken(request.params, {}, pipe, self._name):
            context.warn(said)
        count = int(str(request.params.get("num_images_per_prompt", 1)))
        memory = FilmMemory(pipe, self._device, context.warn)
        memory.foresee(self.size(), shape)
        for index, start in enumerate(starts(request, count)):
            started = time.perf_counter()
            take = _Take(request, context, pipe, shape, index, count, start)
            frames = self._frames(take, memory)
            meta = self._meta(take, len(frames), time.perf_counter() - started)
            rate = int(str(meta["frame_rate"]))
            context.output(
                index,
                lambda path, frames=frames, rate=rate: write_film(path, frames, rate),
                ".mp4",
                "video/mp4",
                meta,
            )

    def _frames(self, take: "_Take", memory: FilmMemory) -> Sequence[Image.Image]:
        """One film; when memory runs out, the same one again more sparingly."""
        while True:
            try:
                return self._call(take)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                memory.give_up(take.shape)

    @torch.inference_mode()
    def _call(self, take: "_Take") -> Sequence[Image.Image]:
        pipe, noise = take.pipe, Noise([Take(start=take.start)])
        take.steps_done = 0
        scheduler = schedulers.make(str(take.request.params.get("scheduler", "default")), self._own.scheduler)
        accepted = inspect.signature(pipe.__call__).parameters
        own, pipe.scheduler = pipe.scheduler, scheduler
        with ExitStack() as stack:
            stack.callback(setattr, pipe, "scheduler", own)
            stack.enter_context(noise.supplies(pipe))
            stack.enter_context(self._prompts.serves(pipe, self._adapters.in_use))
            stack.enter_context(heard(scheduler, lambda _, steps, clean: self._step(take, steps, clean)))
            stack.enter_context(stoppable(pipe, take.context))
            try:
                return pipe(**{k: v for k, v in take.arguments().items() if k in accepted}).frames[0]
            except ValueError as error:
                raise InvalidInput(
                    f"The model {self._name!r} does not take this: {error}",
                    "Change the size, the frames or the settings, then try again.",
                ) from error

    def _step(self, take: "_Take", steps: int, clean: torch.Tensor) -> None:
        context = take.context
        context.check()
        steps *= max(len(take.chunks), 1)
        take.steps_done = min(take.steps_done + 1, steps)
        context.progress(take.index * steps + take.steps_done, take.count * steps)
        if self._map is None:
            return
        latents = middle_latents(take.pipe, clean, take.shape, len(self._map.weight))
        if latents is not None:
            context.preview(take.index, previews.save_as(self._map.pictures(latents)[0]))

    def _way(self, task: str) -> Any:
        """The pipeline for the task. InvalidInput when the model has none."""
        if task not in self._tasks:
            cannot = "start from a picture" if task == "image_to_video" else "make films from words alone"
            raise InvalidInput(
                f"The model {self._name!r} cannot {cannot}.", "Choose another model for this.", field="model"
            )
        if task == "text_to_video" or "image" in inspect.signature(self._own.__call__).parameters:
            return self._own
        if self._starting is None:
            kind = getattr(diffusers, type(self._own).__name__.replace("Pipeline", "ImageToVideoPipeline"))
            wanted = inspect.signature(kind.__init__).parameters
            given = {**self._own.components, **self._own.config}
            given = {k: self._own.components.get(k, v) for k, v in given.items() if k in wanted}
            self._starting = kind(**given)
            self._starting.set_progress_bar_config(disable=True)
        return self._starting

    def _meta(self, take: "_Take", frames: int, seconds: float) -> dict[str, Value]:
        params, shape = take.request.params, take.shape
        rate = int(str(params.get("frame_rate", 16)))
        meta: dict[str, Value] = {
            **params,
            "num_images_per_prompt": 1,
            "task": take.request.task,
            "model": self._name,
            "prompt": take.request.prompt,
            "negative_prompt": params.get("negative_prompt", ""),
            "seed": take.start.seed,
            "width": shape.width,
            "height": shape.height,
            "num_frames": frames,
            "frame_rate": rate,
            "duration": round(frames / rate, 3),
            "seconds": round(seconds, 3),
        }
        if params.get("variation_seed") is not None:
            meta["variation_seed"] = int(str(params["variation_seed"])) + take.index
        return meta


class _Take:
    """One film under way: what the pipeline is called with, and where it stands among its siblings."""

    def __init__(
        self, request: Request, context: Context, pipe: Any, shape: FilmShape, index: int, count: int, start: Start
    ) -> None:
        self.request, self.context, self.pipe, self.shape = request, context, pipe, shape
        self.index, self.count, self.start = index, count, start
        self.chunks, self.steps_done = chunks_of(pipe, shape.frames), 0

    def arguments(self) -> dict[str, Any]:
        params, shape = self.request.params, self.shape
        given: dict[str, Any] = {
            "prompt": self.request.prompt,
            "width": shape.width,
            "height": shape.height,
            "num_frames": shape.frames,
            "frame_rate": params.get("frame_rate", 16),
            "fps": params.get("frame_rate", 16),
            "num_inference_steps": params.get("num_inference_steps", 40),
            "guidance_scale": params.get("guidance_scale", 5.0),
            "max_guidance_scale": params.get("guidance_scale", 3.0),
            "output_type": "pil",
            "generator": torch.Generator().manual_seed(self.start.seed),  # for what does not come through us
        }
        if params.get("negative_prompt"):
            given["negative_prompt"] = params["negative_prompt"]
        if self.request.task == "image_to_video":
            given["image"] = start_picture(self._start_file(), (shape.width, shape.height))
        if self.chunks:
            given["chunk_partition"] = list(self.chunks)
        if self.pipe.components["vae"].config.get("timestep_conditioning"):
            given |= LAST_STEP
        return given

    def _start_file(self) -> Path:
        files = self.context.inputs.get("init_image") or ()
        if not files:
            raise InvalidInput("image_to_video needs an init image.", "Add one, then try again.", field="init_image")
        return files[0]


def chunks_of(pipe: Any, frames: int) -> tuple[int, ...]:
    """Of a pipeline that makes its latent frames chunk by chunk (AnyFlow): how many each has; () where all are made at
    once.
    """
    transformer = pipe.components.get("transformer")
    usual = transformer.config.get("chunk_partition") if transformer is not None else None
    if not usual:
        return ()
    left = 1 + (frames - 1) // pipe.vae_scale_factor_temporal - usual[0]
    whole, rest = divmod(max(left, 0), max(usual))
    return (usual[0], *[max(usual)] * whole, *([rest] if rest else []))


@contextmanager
def stoppable(pipe: Any, context: Context) -> Iterator[None]:
    """While open, Stop is heard before each block of the denoisers and of the decoder: a step of a film takes long."""
    parts = [pipe.components.get(name) for name in ("unet", "transformer", "transformer_2", "vae")]
    with ExitStack() as stack:
        for part in parts:
            lists = part.modules() if part is not None else ()
            for block in (one for many in lists if isinstance(many, torch.nn.ModuleList) for one in many):
                stack.callback(block.register_forward_pre_hook(lambda *_: context.check()).remove)
        yield


def middle_latents(pipe: Any, latents: torch.Tensor, shape: FilmShape, channels: int) -> torch.Tensor | None:
    """The latents of the frame in the middle as [1, channels, h, w], whatever layout the pipeline samples in: rows of
    patches, [n, channels, frames, h, w] or [n, frames, channels, h, w]; None for any other.
    """
    if latents.ndim == 3 and "_unpack_latents" in dir(pipe):
        scale, patch = pixels_a_latent(pipe), denoiser_of(pipe).config.get("patch_size") or 1
        frames = (shape.frames - 1) // frames_a_latent(pipe) + 1
        patch_t = denoiser_of(pipe).config.get("patch_size_t") or 1
        latents = pipe._unpack_latents(latents, frames, shape.height // scale, shape.width // scale, patch, patch_t)
    if latents.ndim != 5 or channels not in latents.shape[1:3]:
        return None
    if latents.shape[1] == channels:
        return latents[-1:, :, latents.shape[2] // 2]
    return latents[-1:, latents.shape[1] // 2]
