"""The size and length that a film can have: what a pipeline's autoencoder and denoiser can divide."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

SPATIAL = ("vae_spatial_compression_ratio", "vae_scale_factor_spatial", "vae_scale_factor")
TEMPORAL = ("vae_temporal_compression_ratio", "vae_scale_factor_temporal")


@dataclass(frozen=True, kw_only=True)
class FilmShape:
    width: int  # pixels
    height: int
    frames: int


def denoiser_of(pipe: Any) -> Any:
    """The part that does the steps: a U-Net, or one of Wan's two transformers."""
    parts = pipe.components
    return parts.get("unet") or parts.get("transformer") or parts.get("transformer_2")


def pixels_a_latent(pipe: Any) -> int:
    return next((int(vars(pipe)[name]) for name in SPATIAL if name in vars(pipe)), 8)


def frames_a_latent(pipe: Any) -> int:
    return next((int(vars(pipe)[name]) for name in TEMPORAL if name in vars(pipe)), 1)


def unit_of(pipe: Any) -> int:
    """Pixels that width and height must be a multiple of."""
    patch = denoiser_of(pipe).config.get("patch_size") or 1
    return pixels_a_latent(pipe) * (patch if isinstance(patch, int) else patch[-1])


def possible(params: Mapping[str, Any], pipe: Any, warn: Callable[[str], None]) -> FilmShape:
    """The nearest shape to what the params ask for that the pipeline can make; `warn` is told what was changed."""
    unit, step = unit_of(pipe), frames_a_latent(pipe)
    asked = [int(params.get(name, other)) for name, other in (("width", 512), ("height", 512), ("num_frames", 49))]
    sides = [max(unit, round(side / unit) * unit) for side in asked[:2]]
    if sides != asked[:2]:
        told = f"{sides[0]} × {sides[1]} is the nearest to {asked[0]} × {asked[1]}"
        warn(f"This model works in steps of {unit} px: {told}.")
    frames = max(1, round((asked[2] - 1) / step)) * step + 1 if step > 1 else asked[2]
    if frames != asked[2]:
        warn(f"This model makes {step}, {2 * step}, {3 * step} … frames and one more: {frames} instead of {asked[2]}.")
    longest = denoiser_of(pipe).config.get("motion_max_seq_length")
    if longest and frames > longest:
        warn(f"This model makes at most {longest} frames: {longest} instead of {asked[2]}.")
        frames = int(longest)
    return FilmShape(width=sides[0], height=sides[1], frames=frames)
