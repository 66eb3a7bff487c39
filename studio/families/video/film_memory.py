"""What a film can give up when memory runs out: its decoding in one piece, then the model's place on the card."""

from collections.abc import Callable
from typing import Any

from studio.errors import OutOfMemory
from studio.families.diffusion.estimates import film_decoder_bytes
from studio.families.training.short_memory import release
from studio.families.video.film_shape import FilmShape
from studio.types import Device


class FilmMemory:
    """Of one run. Each `give_up` frees something and tells it, or raises OutOfMemory."""

    def __init__(self, pipe: Any, device: Device, warn: Callable[[str], None]) -> None:
        self._pipe, self._device, self._warn = pipe, device, warn
        self._left = [self._tile, *([self._offload] if device.kind == "cuda" else [])]

    def foresee(self, held: int, shape: FilmShape) -> None:
        """Decodes in tiles at once where a whole film will not fit beside the `held` bytes of the model."""
        vae = self._pipe.components["vae"]
        channels = vae.config.get("decoder_base_dim") or vae.config.get("base_dim")
        channels = channels or (vae.config.get("block_out_channels") or (128,))[0]
        itemsize = next(vae.parameters()).element_size()
        needed = film_decoder_bytes(channels, shape.width, shape.height, shape.frames, itemsize)
        if self._device.memory and needed > self._device.memory - held:
            self._left.pop(0)()

    def give_up(self, shape: FilmShape) -> None:
        release(self._device.kind)
        if not self._left:
            raise OutOfMemory(
                f"A film of {shape.frames} frames of {shape.width} x {shape.height} does not fit in the memory of "
                f"{self._device.name}.",
                "Choose fewer frames or a smaller size, or close other programs that use the device.",
            )
        self._left.pop(0)()

    def _tile(self) -> None:
        vae = self._pipe.components["vae"]
        if "enable_tiling" in dir(vae):
            vae.enable_tiling()
        if "use_framewise_decoding" in vars(vae):
            vae.use_framewise_decoding = True
        self._warn("Memory is short: films are decoded in tiles.")

    def _offload(self) -> None:
        self._pipe.enable_model_cpu_offload()
        self._warn("Memory is short: parts of the model wait in main memory, which takes longer.")
