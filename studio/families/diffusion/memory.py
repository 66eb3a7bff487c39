"""How many takes fit at once, and what to give up when memory runs out."""

from collections.abc import Callable
from typing import Any

from studio.errors import OutOfMemory
from studio.families.diffusion.estimates import decoder_bytes, transformer_bytes, unet_bytes
from studio.families.training.short_memory import release
from studio.types import Device

# diffusers 0.42 gives its denoiser the times of one picture, however many there are
ALONE = ("PRXPipeline",)


def first_batch(count: int, pipe: Any, device: Device, held: int, width: int, height: int) -> int:
    """How many of `count` takes to try at once, from a rough estimate of what one needs beside the `held`
    bytes of the model.
    """
    part = pipe.components.get("unet") or pipe.components.get("transformer")
    if type(pipe).__name__ in ALONE:
        return 1
    if part is None or not device.memory:
        return count
    levels = part.config.get("block_out_channels")
    itemsize = next(part.parameters()).element_size()
    if levels:
        one = unet_bytes(levels[0], width, height, scale_factor(pipe), itemsize)
    else:
        hidden = part.config.get("num_attention_heads", 16) * part.config.get("attention_head_dim", 64)
        one = transformer_bytes(hidden, width, height, scale_factor(pipe), itemsize)
    if pipe.components.get("controlnet") is not None:
        one += one // 2  # a copy of the way down, whose answers wait for the way up
    one = max(one, 8 * width * height * 4)
    return max(1, min(count, int((device.memory - held) / one)))


def scale_factor(pipe: Any) -> int:
    """Pixels a latent and side."""
    return int(vars(pipe).get("vae_scale_factor", 8))


def slice_decoding(pipe: Any) -> bool:
    """Lets the autoencoder work picture by picture: the same result, less memory, and Stop is heard in
    between.
    """
    vae = pipe.components.get("vae")
    if vae is None or "enable_slicing" not in dir(vae) or "use_slicing" not in vars(vae):
        return False
    vae.enable_slicing()
    return True


class Sparing:
    """What one run still can give up. Each `give_up` frees something and tells it, or raises OutOfMemory."""

    def __init__(self, pipe: Any, device: Device, batch: int, warn: Callable[[str], None]) -> None:
        self._pipe, self._device, self._warn = pipe, device, warn
        self.batch = batch
        self._left = ["tile", *(["offload"] if device.kind == "cuda" else [])]

    def foresee(self, held: int, width: int, height: int) -> None:
        """Gives up at once what will not fit beside the `held` bytes of the model: the decoding of a whole picture."""
        vae = self._pipe.components.get("vae")
        levels = vae.config.get("block_out_channels") if vae is not None else None
        if not levels or not self._device.memory or "tile" not in self._left:
            return
        needed = decoder_bytes(levels[0], width, height, next(vae.parameters()).element_size())
        if needed > self._device.memory - held:
            self._left.remove("tile")
            self._tile()

    def give_up(self, width: int, height: int) -> None:
        release(self._device.kind)
        if self.batch > 1:
            self.batch = (self.batch + 1) // 2
            self._warn(f"Memory is short: {self.batch} at a time.")
        elif self._left:
            getattr(self, f"_{self._left.pop(0)}")()
        else:
            raise OutOfMemory(
                f"A picture of {width} x {height} does not fit in the memory of {self._device.name}.",
                "Choose a smaller size, or close other programs that use the device.",
            )

    def _tile(self) -> None:
        vae = self._pipe.components.get("vae")
        if vae is not None and "enable_tiling" in dir(vae):
            vae.enable_tiling()
        self._warn("Memory is short: pictures are decoded in tiles.")

    def _offload(self) -> None:
        self._pipe.enable_model_cpu_offload()
        self._warn("Memory is short: parts of the model wait in main memory, which takes longer.")
