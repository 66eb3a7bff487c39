"""One request for pictures under way: what the diffusers pipeline is called with, and how far it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline
from PIL import Image

from studio.design.outlines import agreement
from studio.errors import InvalidInput
from studio.families.diffusion.controlnets import steering
from studio.families.diffusion.detail import part_of
from studio.families.diffusion.embedding_files import replaced
from studio.families.diffusion.masked import needs_this
from studio.families.diffusion.memory import scale_factor
from studio.families.diffusion.pictures import mask_picture, put_back, start_picture, whole_picture
from studio.families.diffusion.prompt_weights import words_for
from studio.families.diffusion.safety import BLACKED
from studio.families.family import Context
from studio.types import Request, Value


class PictureJob:
    """One request under way: what the pipeline is called with, and how far it is."""

    def __init__(
        self,
        request: Request,
        context: Context,
        pipe: DiffusionPipeline,
        width: int,
        height: int,
        unit: int = 8,
        start: Image.Image | None = None,
        tokens: Mapping[str, str] = {},  # of embeddings, by their names
    ) -> None:
        self.request, self.context, self.pipe = request, context, pipe
        self.params = dict(request.params)
        self.tokens = tokens
        self.part = part_of(request.task, self.params, context.inputs, (width, height), unit)
        self.width, self.height = self.part.size if self.part else (width, height)
        self.first, self.film = 0, False
        self._past, self._seen, self._batches_left = 0, 0, 1
        self.unsafe: set[int] = set()  # takes that the model's filter made black
        self.further = 0  # steps of a second pass that are still to come
        self._start = start
        self._mask: Image.Image | None = None
        self.mask_kept: Image.Image | None = None  # for a pipeline that takes none
        self._drawing: Image.Image | None = None
        self.unchanged: Image.Image | None = None
        self.arguments = self._arguments()

    def watch(self, first: int, batches_left: int, film: bool) -> None:
        """A batch begins whose first take is `first`; so many are left, this one included."""
        self.first, self.film, self._batches_left = first, film, batches_left

    def judged(self, unsafe: list[bool]) -> None:
        """What the model's safety filter says of the pictures of this batch."""
        found = {self.first + k for k, one in enumerate(unsafe) if one}
        if found and not self.unsafe:
            self.context.warn(BLACKED)
        self.unsafe |= found

    def advance(self) -> None:
        """The batch is done."""
        self._past += self._seen

    def stepped(self, step: int, steps: int) -> None:
        self._seen = step
        self.context.progress(self._past + step, self._past + steps * self._batches_left + self.further)

    @property
    def steps(self) -> int:
        """About how many steps a take needs that begins with a picture."""
        steps, strength = int(self.arguments["num_inference_steps"]), float(self.arguments.get("strength", 1.0))
        return 0 if self.unchanged is not None else max(1, int(steps * strength))

    def begin_with(self, picture: Image.Image) -> None:
        """Another start picture of the same size."""
        self._start = self.arguments["image"] = picture
        self.unchanged = picture if self.unchanged is not None else None

    def hand_over(self, again: "PictureJob") -> None:
        """A second pass goes on where this one's progress stands."""
        left = int(self.arguments["num_inference_steps"]) * (self._batches_left - 1)
        again._past, again.further = self._past + self._seen, self.further - again.steps + left

    def take_back(self, again: "PictureJob") -> None:
        self._past, self.further = self._past + again.steps, self.further - again.steps

    def finish(self, picture: Image.Image) -> Image.Image:
        blur = int(self.params.get("mask_blur", 0))  # type: ignore[arg-type]  # validated as a number
        if self.part is not None:
            return self.part.whole if self.unchanged is not None else self.part.put_back(picture, blur)
        if self._mask is None or self._start is None or self.unchanged is not None:
            return picture
        return put_back(self._start, picture, self._mask, blur)

    def _arguments(self) -> dict[str, Any]:
        params, size = self.params, (self.width, self.height)
        given: dict[str, Any] = {
            "prompt": replaced(words_for(self.pipe, self.request.prompt), self.tokens),
            "width": self.width,
            "height": self.height,
            "output_type": "pil",
            "num_inference_steps": params.get("num_inference_steps", 25),
            "guidance_scale": params.get("guidance_scale", 7.0),
        }
        if params.get("negative_prompt"):
            given["negative_prompt"] = replaced(words_for(self.pipe, str(params["negative_prompt"])), self.tokens)
        if self.part is not None:
            self._start, self._mask = self.part.start, self.part.painted
        elif self._start is None and self.request.task in ("image_to_image", "inpaint"):
            self._start = start_picture(self._file("init_image"), size)
        if self.part is None and self.request.task == "inpaint":
            self._mask = mask_picture(self._file("mask_image"), size)
        if self._start is not None:
            given |= {"image": self._start, "strength": self._strength(given)}
        if self._mask is not None and needs_this(self.pipe):
            self.mask_kept = self._mask
        elif self._mask is not None:
            given["mask_image"] = self._mask
        if self.context.inputs.get("ip_adapter"):
            given["ip_adapter_image"] = [whole_picture(self._file("reference"))]
        if self.context.inputs.get("controlnet"):
            seer = (next(iter(self.context.inputs.get("seer", ())), None), self.context.device)
            given |= steering(self.request, self._file("control"), self.pipe, size, *seer)
        return given

    def kept_outline(self, picture: Image.Image) -> dict[str, Value]:
        """How well a take keeps the outline of the drawing that came with the request."""
        if not self.context.inputs.get("control"):
            return {}
        if self._drawing is None:
            self._drawing = start_picture(self._file("control"), picture.size)
        kept = agreement(self._drawing, picture)
        return {"outline": dict(kept.to_dict())} if kept else {}

    def _strength(self, given: dict[str, Any]) -> float:
        """At least one step's worth; 0 leaves the picture as it is."""
        strength = float(self.params.get("strength", 0.6))  # type: ignore[arg-type]
        if strength <= 0:
            self.unchanged = self._start
        return max(strength, 1.001 / given["num_inference_steps"])  # a hair more, as the steps are rounded down

    def _file(self, role: str) -> Path:
        files = self.context.inputs.get(role) or ()
        if not files:
            raise InvalidInput(
                f"{self.request.task} needs a {role.replace('_', ' ')}.",
                "Add one, then try again.",
                field=role,
            )
        return files[0]


def unit_of(pipe: DiffusionPipeline) -> int:
    """Pixels that width and height must be a multiple of."""
    transformer = pipe.components.get("transformer")
    patch = transformer.config.get("patch_size", 1) if transformer is not None else 1
    patch = patch if isinstance(patch, int) else 1
    own = scale_factor(pipe) * max(patch, 2 if "_unpack_latents" in dir(pipe) else 1)
    return max(own, int(pipe.image_processor.config.vae_scale_factor)) if "image_processor" in vars(pipe) else own
