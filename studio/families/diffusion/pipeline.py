"""Runs the picture tasks on any diffusers text-to-image pipeline: many takes as one batch, each with its own
noise.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
    DiffusionPipeline,
)
from PIL import Image

from studio.design.films import write_film
from studio.errors import InvalidInput
from studio.families.diffusion import FAMILY, attention, previews, schedulers
from studio.families.diffusion.acceleration import SPARE, Budget, accelerate
from studio.families.diffusion.adapters import Adapters
from studio.families.diffusion.call_arguments import fitting, not_avoided, not_taken
from studio.families.diffusion.controlnets import ControlNets, looked_at_once, steered
from studio.families.diffusion.embeddings import Embeddings
from studio.families.diffusion.hires import enlarged, second_pass
from studio.families.diffusion.loading import modules, open_folder
from studio.families.diffusion.masked import kept_outside, needs_this
from studio.families.diffusion.memory import Sparing, first_batch, slice_decoding
from studio.families.diffusion.noise import Noise, Take
from studio.families.diffusion.packed import pack
from studio.families.diffusion.picture_job import PictureJob, unit_of
from studio.families.diffusion.prompt_weights import plain_words, reads_weights, words_for
from studio.families.diffusion.prompts import Mix, PromptMemory, read_limit
from studio.families.diffusion.reference_folders import USUAL_SCALE
from studio.families.diffusion.references import References
from studio.families.diffusion.safety import filtered
from studio.families.diffusion.siblings import sibling
from studio.families.diffusion.steps import heard
from studio.families.diffusion.takes import starts
from studio.families.diffusion.tiling import wrapped
from studio.families.diffusion.tiny_previews import TinyPreviews
from studio.families.diffusion.walk import Walk
from studio.families.diffusion.weighted_words import read
from studio.families.family import Context
from studio.families.model_card import read_card
from studio.families.training.short_memory import is_out_of_memory
from studio.presets import unknown_words
from studio.types import Device, Request, Value

WAYS = {
    "text_to_image": AutoPipelineForText2Image,
    "image_to_image": AutoPipelineForImage2Image,
    "inpaint": AutoPipelineForInpainting,
    "outpaint": AutoPipelineForInpainting,
    "latent_walk": AutoPipelineForText2Image,
}
CANNOT = {
    "text_to_image": "make pictures from words alone",
    "image_to_image": "start from a picture",
    "inpaint": "paint inside a mask",
    "outpaint": "paint beyond a picture's edges",
    "latent_walk": "walk between pictures",
}


def load(folder: Path, device: Device) -> "PicturePipeline":
    """Opens a local diffusers folder for that device. ModelError in a sentence when it cannot."""
    pipe = open_folder(folder, device)
    return PicturePipeline(pipe, folder, device, read_card(folder))


class PicturePipeline:
    def __init__(self, pipe: DiffusionPipeline, folder: Path, device: Device, card: Mapping[str, Any]) -> None:
        self._name = folder.name
        self._device = device
        self._card = card
        self._own = pipe
        self._ways: dict[Any, DiffusionPipeline] = {}
        self._prompts = PromptMemory()
        self._adapters = Adapters(pipe)
        self._references = References(pipe, device)
        self._embeddings = Embeddings(pipe)
        self._tiny = TinyPreviews(device)
        self._map: previews.LatentMap | None = None
        self._controlnets = ControlNets(device)
        self._faster = Budget(0)
        slice_decoding(pipe)
        if device.channels_last:
            for part in modules(pipe):
                kinds = {type(m) for m in part.modules()}
                flat = any(issubclass(kind, torch.nn.Conv2d) for kind in kinds)
                if flat and not any(issubclass(kind, torch.nn.Conv3d) for kind in kinds):
                    part.to(memory_format=torch.channels_last)
        if device.kind == "cpu":
            faster = accelerate if device.dtype == "float32" else pack
            self._faster = faster(modules(pipe), int((device.memory - self.size()) * SPARE))
            attention.install(products=device.dtype == "bfloat16" and "amx" not in device.features)
        with torch.inference_mode():
            self._map = previews.from_card(card) or previews.fit(pipe)

    def size(self) -> int:
        tensors = (t for part in modules(self._own) for t in (*part.parameters(), *part.buffers()))
        return sum(t.nbytes for t in tensors) + self._faster.used + self._controlnets.size + self._tiny.size

    def run(self, request: Request, context: Context) -> None:
        context.check()
        reference = next(iter(context.inputs.get("ip_adapter", ())), None)
        scale = request.params.get("ip_adapter_scale")
        if self._references.use(reference, float(str(USUAL_SCALE if scale is None else scale))):
            self._ways.clear()  # they hold parts that the pipeline has no more, or lack new ones
        pipe = self._way(request.task, context.inputs.get("controlnet", ()))
        width, height = self._size_of(request, pipe)
        self._hint(request, context)
        self._adapters.use(context.adapters, context.warn)
        self._embeddings.use(context.inputs.get("embedding", ()), context.warn)
        self._tiny.use(next(iter(context.inputs.get("preview", ())), None), context.warn)
        job = PictureJob(request, context, pipe, width, height, unit_of(pipe), tokens=self._embeddings.tokens)
        self._tell_what_is_not_taken(job, self._usual(request.task))
        if request.task == "latent_walk":
            self._walk(job)
        else:
            self._takes(job)

    def _takes(self, job: PictureJob) -> None:
        count = int(job.params.get("num_images_per_prompt", 1))
        takes = [Take(start=start) for start in starts(job.request, count)]
        again = self._second_pass(job, count)
        done: list[int] = []

        def finish(first: int, pictures: Sequence[Image.Image], seconds: float) -> None:
            for index, picture in enumerate(pictures, first):
                done.append(index)
                final = job.finish(picture)
                began, base = time.perf_counter(), {}
                if again is not None:
                    base = {"base_width": final.width, "base_height": final.height}
                    final = self._larger(job, again, index, takes[index], final)
                meta = self._meta(job, index, takes[index].start.seed, seconds / len(pictures))
                meta |= {**job.kept_outline(final), **base, "width": final.width, "height": final.height}
                if index in job.unsafe or (again is not None and index in again.unsafe):
                    meta["made_black"] = True
                meta["seconds"] = round(seconds / len(pictures) + time.perf_counter() - began, 3)
                job.context.output(index, lambda path, final=final: final.save(path, "PNG"), ".png", "image/png", meta)

        self._batches(job, takes, finish)

    def _second_pass(self, job: PictureJob, count: int) -> PictureJob | None:
        """The job that makes each take larger, told to the first one's progress; None where that is not asked."""
        asked = second_pass(job.request, (job.width, job.height), unit_of(job.pipe))
        if asked is None:
            return None
        pipe = self._way(asked.task, job.context.inputs.get("controlnet", ()))
        width, height = self._size_of(asked, pipe)
        blank = Image.new("RGB", (width, height))
        again = PictureJob(asked, job.context, pipe, width, height, start=blank, tokens=job.tokens)
        self._tell_what_is_not_taken(again, {})
        job.further = count * again.steps
        return again

    def _larger(self, job: PictureJob, again: PictureJob, index: int, take: Take, picture: Image.Image) -> Image.Image:
        """The take, enlarged and made anew as far as the second pass is to change it."""
        again.begin_with(enlarged(picture, (again.width, again.height)))
        again.watch(index, 1, film=False)
        job.hand_over(again)
        sparing = Sparing(again.pipe, self._device, 1, job.context.warn)
        sparing.foresee(self.size(), again.width, again.height)
        while True:
            try:
                made = self._call(again, [take], None)[0]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                sparing.give_up(again.width, again.height)
                continue
            job.take_back(again)
            return made

    def _walk(self, job: PictureJob) -> None:
        walk = Walk.of(job.request)
        frames: list[Image.Image] = []
        started = time.perf_counter()
        self._batches(job, walk.takes(), lambda first, pictures, seconds: frames.extend(pictures), walk)
        meta = self._meta(job, 0, walk.start.seed, time.perf_counter() - started)
        suffix, media_type = (".mp4", "video/mp4") if walk.format == "mp4" else (".gif", "image/gif")
        job.context.check()
        job.context.output(0, lambda path: write_film(path, frames, walk.fps), suffix, media_type, meta)

    def _batches(self, job: PictureJob, takes: Sequence[Take], finish: Any, walk: Walk | None = None) -> None:
        """Makes the takes batch by batch; when memory runs out, the same one again more sparingly."""
        batch = first_batch(len(takes), job.pipe, self._device, self.size(), job.width, job.height)
        sparing = Sparing(job.pipe, self._device, min(batch, 8) if walk else batch, job.context.warn)
        sparing.foresee(self.size(), job.width, job.height)
        first = 0
        while first < len(takes):
            chunk = takes[first : first + sparing.batch]
            started = time.perf_counter()
            job.watch(first, -(-(len(takes) - first) // len(chunk)), film=walk is not None)
            far = words_for(job.pipe, walk.to_prompt) if walk and walk.mixes else None
            mix = Mix(far, [take.amount for take in chunk]) if far is not None else None
            try:
                pictures = self._call(job, chunk, mix)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                sparing.give_up(job.width, job.height)
                continue
            finish(first, pictures, time.perf_counter() - started)
            first += len(chunk)
            job.advance()

    @torch.inference_mode()
    def _call(self, job: PictureJob, takes: Sequence[Take], mix: Mix | None) -> list[Image.Image]:
        """One call of the diffusers pipeline: a picture a take."""
        if job.unchanged is not None:
            return [job.unchanged] * len(takes)
        pipe, noise = job.pipe, Noise(takes)
        scheduler = schedulers.make(str(job.params.get("scheduler", "default")), self._own.scheduler)
        given = {
            **job.arguments,
            "num_images_per_prompt": len(takes),
            "generator": torch.Generator().manual_seed(takes[0].start.seed),
        }  # for what does not come through us
        own, pipe.scheduler = pipe.scheduler, scheduler
        with ExitStack() as stack:
            stack.callback(setattr, pipe, "scheduler", own)
            stack.enter_context(noise.supplies(pipe))
            stack.enter_context(self._prompts.serves(pipe, self._adapters.in_use, mix))
            stack.enter_context(wrapped(pipe, str(job.params.get("tiling", "none"))))
            stack.enter_context(looked_at_once(pipe))
            stack.enter_context(heard(scheduler, lambda step, steps, clean: self._step(job, step, steps, clean)))
            stack.enter_context(kept_outside(scheduler, job.mask_kept))
            stack.enter_context(filtered(pipe, job.params.get("safety_filter") != "off", job.judged))
            stack.enter_context(self._between_decodes(job))
            try:
                images = pipe(**fitting(given, pipe)).images
            except ValueError as error:
                raise InvalidInput(
                    f"The model {self._name!r} does not take this: {error}",
                    "Change the size or the settings, then try again.",
                ) from error
        if said := not_avoided(job.params, pipe):
            job.context.warn(said)
        return images

    def _usual(self, task: str) -> Mapping[str, Value]:
        """Settings that nobody chose: the family's and what the card wants instead."""
        return {param.name: param.default for param in FAMILY.params(task)} | dict(self._card.get("defaults", {}))

    def _tell_what_is_not_taken(self, job: PictureJob, usual: Mapping[str, Value]) -> None:
        for said in not_taken(job.params, usual, job.pipe, str(self._card.get("name", self._name))):
            job.context.warn(said)

    def _step(self, job: PictureJob, step: int, steps: int, clean: torch.Tensor) -> None:
        job.context.check()
        job.stepped(step, steps)
        if self._map is None and not self._tiny.size:
            return
        latents = previews.unpacked(job.pipe, clean, job.height, job.width)
        if latents is None:
            return
        seen = latents[-1:] if job.film else latents
        looks = []
        if self._tiny.shows(seen.shape[1]):
            looks = self._tiny.pictures(seen)
        elif self._map is not None and seen.shape[1] == len(self._map.weight):
            looks = self._map.pictures(seen)
        if looks:
            for k, look in enumerate(looks):
                job.context.preview(0 if job.film else job.first + k, previews.save_as(look))

    def _between_decodes(self, job: PictureJob) -> Any:
        """Hears Stop before each decoding too; with slicing that is once a picture."""
        stack = ExitStack()
        vae = job.pipe.components.get("vae")
        decoder = dict(vae.named_children()).get("decoder") if vae is not None else None
        if decoder is not None:
            stack.callback(decoder.register_forward_pre_hook(lambda *_: job.context.check()).remove)
        return stack

    def _way(self, task: str, controlnet: Sequence[Path] = ()) -> DiffusionPipeline:
        """The pipeline class for the task, sharing all parts with the loaded one, with the ControlNet of that folder if
        one is given. InvalidInput when the model has none.
        """
        way = WAYS[task]
        if way is AutoPipelineForInpainting and needs_this(self._own):
            way = AutoPipelineForImage2Image
        if controlnet:
            return self._steered_way(way, task, controlnet[0])
        if way not in self._ways:
            try:
                made = way.from_pipe(self._own)
            except ValueError as error:
                plain = way is AutoPipelineForText2Image and "prompt" in signature(self._own.__call__).parameters
                made = self._own if plain else sibling(self._own, task)
                if made is None:
                    raise InvalidInput(
                        f"The model {self._name!r} cannot {CANNOT[task]}.",
                        "Choose another model for this.",
                        field="model",
                    ) from error
            made.set_progress_bar_config(disable=True)
            self._ways[way] = made
        return self._ways[way]

    def _steered_way(self, way: Any, task: str, folder: Path) -> DiffusionPipeline:
        if (way, folder) not in self._ways:  # those of another ControlNet would hold it in memory
            self._ways = {k: made for k, made in self._ways.items() if not isinstance(k, tuple) or k[1] == folder}
            net = self._controlnets.take(folder, int((self._device.memory - self.size()) * SPARE))
            made = steered(way, self._own, net, self._name, CANNOT[task])
            made.set_progress_bar_config(disable=True)
            self._ways[way, folder] = made
        return self._ways[way, folder]

    def _size_of(self, request: Request, pipe: DiffusionPipeline) -> tuple[int, int]:
        unit = unit_of(pipe)
        for name in ("width", "height"):
            side = int(request.params.get(name, 256))  # type: ignore[arg-type]  # validated as a number
            if side % unit:
                nearest = max(unit, round(side / unit) * unit)
                raise InvalidInput(
                    f"{name.capitalize()} {side} does not fit: this model works in steps of {unit} px.",
                    f"The nearest is {nearest}.",
                    field=name,
                )
        return int(request.params.get("width", 256)), int(request.params.get("height", 256))  # type: ignore[arg-type]

    def _hint(self, request: Request, context: Context) -> None:
        known = _words_in(self._card.get("knows", {}))
        taught = self._adapters.triggers(path for path, _ in context.adapters)
        words = plain_words(self._own, request.prompt)
        named = [file.stem for file in context.inputs.get("embedding", ())]
        unknown = unknown_words(words, [*known, *taught.split(), *named]) if known else ()
        if unknown:
            context.warn(f"{self._card.get('name', self._name)} does not know: {', '.join(unknown[:8])}.")
        if read(request.prompt).meant and not reads_weights(self._own):
            context.warn("This model reads no weights in the prompt: its brackets were left out.")
        limit = read_limit(self._own, words)
        if limit:
            context.warn(f"The prompt is long: this model reads only about its first {limit} words.")

    def _meta(self, job: PictureJob, index: int, seed: int, seconds: float) -> dict[str, Value]:
        meta: dict[str, Value] = {
            **job.params,
            "task": job.request.task,
            "model": self._name,
            "prompt": job.request.prompt,
            "negative_prompt": job.params.get("negative_prompt", ""),
            "seed": seed,
            "width": job.width,
            "height": job.height,
            "seconds": round(seconds, 3),
        }
        if "num_images_per_prompt" in meta:
            meta["num_images_per_prompt"] = 1
        if job.params.get("variation_seed") is not None:
            meta["variation_seed"] = int(job.params["variation_seed"]) + index  # type: ignore[arg-type]
        return meta


def _words_in(knows: Any) -> list[str]:
    """Every word of a card's [knows], however it is sorted."""
    if isinstance(knows, str):
        return [knows]
    if isinstance(knows, Mapping):
        return [word for value in knows.values() for word in _words_in(value)]
    return [word for value in knows for word in _words_in(value)] if isinstance(knows, (list, tuple)) else []
