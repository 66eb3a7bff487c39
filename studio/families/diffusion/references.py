"""The IP-Adapter of a pipeline: at most one at a time, and none while no reference picture is given."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

from studio.errors import InvalidInput, ModelError
from studio.families.diffusion.loading import AGAIN, DTYPES
from studio.families.diffusion.reference_folders import ENCODER
from studio.types import Device


class References:
    def __init__(self, pipe: Any, device: Device) -> None:
        self._pipe, self._device = pipe, device
        self.in_use: Path | None = None  # its weights
        self._extractor: Any = pipe.components.get("feature_extractor")

    def use(self, weights: Path | None, scale: float) -> bool:
        """Turns on that one at that scale, or none; whether the pipeline has other parts now. InvalidInput."""
        changed = weights != self.in_use
        if changed and self.in_use is not None:
            self._pipe.unload_ip_adapter()
            self._pipe.register_modules(feature_extractor=self._extractor)
            self.in_use = None
        if changed and weights is not None:
            self._load(weights)
            self.in_use = weights
        if weights is not None:
            self._pipe.set_ip_adapter_scale(scale)
        return changed

    def _load(self, weights: Path) -> None:
        if "load_ip_adapter" not in dir(self._pipe) or self._pipe.components.get("unet") is None:
            raise InvalidInput("This model takes no reference picture.", "Choose another model.", field="ip_adapter")
        folder = weights.parent / ENCODER
        if not any(folder.glob("*.safetensors")):
            raise ModelError(
                f"The image encoder of {weights.parent.name!r} has no .safetensors file.",
                "Use a version of it that has one.",
            )
        try:
            encoder: Any = CLIPVisionModelWithProjection.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=DTYPES[self._device.dtype]
            )
            side = encoder.config.image_size
            encoder.to("cpu" if self._device.kind == "cpu" else self._device.kind).eval().requires_grad_(False)
            self._pipe.register_modules(
                image_encoder=encoder, feature_extractor=CLIPImageProcessor(size=side, crop_size=side)
            )
            self._pipe.load_ip_adapter(
                weights.parent,
                subfolder="",
                weight_name=weights.name,
                image_encoder_folder=None,
                local_files_only=True,
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            if "out of memory" in str(error).lower():
                raise
            self._pipe.unload_ip_adapter()
            self._pipe.register_modules(feature_extractor=self._extractor)
            said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"The IP-Adapter {weights.name!r} cannot be used with this model: {said}", AGAIN
            ) from error
