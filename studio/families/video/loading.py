"""Opens a folder of films: a diffusers video pipeline, or a motion adapter together with the picture model it moves."""

import tomllib
from pathlib import Path

from diffusers import AnimateDiffPipeline, DDIMScheduler, DiffusionPipeline, MotionAdapter
from safetensors import SafetensorError

from studio.errors import ModelError
from studio.families.diffusion.loading import DTYPES, modules, open_folder
from studio.families.model_card import CARD
from studio.families.video.film_folders import BASE, is_motion
from studio.types import Device

PARTS = ("vae", "text_encoder", "tokenizer", "unet")


def open_film_folder(folder: Path, device: Device) -> DiffusionPipeline:
    """The pipeline of that folder in the device's dtype, on the device. ModelError says what is wrong with it."""
    return _animated(folder, device) if is_motion(folder) else open_folder(folder, device)


def _animated(folder: Path, device: Device) -> DiffusionPipeline:
    """AnimateDiff (Guo et al., 2023): the layers of a motion adapter put between those of a Stable Diffusion 1.5."""
    base = folder.parent / _base(folder)
    if not (base / "model_index.json").is_file():
        raise ModelError(
            f"{folder.name!r} moves the pictures of {base.name!r}, which is not installed.",
            f"Run `models get {base.name}`, or name another Stable Diffusion 1.5 as `base` in {folder.name}/{CARD}.",
        )
    pictures = open_folder(base, device)
    try:
        motion = MotionAdapter.from_pretrained(
            folder, dtype=DTYPES[device.dtype], local_files_only=True, use_safetensors=True
        )
        scheduler = DDIMScheduler.from_config(
            pictures.scheduler.config,
            beta_schedule="linear",  # what the adapters were trained with
            clip_sample=False,
            timestep_spacing="linspace",
            steps_offset=1,
        )
        pipe = AnimateDiffPipeline(
            **{name: pictures.components[name] for name in PARTS}, motion_adapter=motion, scheduler=scheduler
        )
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, SafetensorError) as error:
        if "out of memory" in str(error).lower():
            raise
        said = f"{folder.name!r} does not go together with {base.name!r}: {str(error).splitlines()[0][:200]}."
        raise ModelError(said, "Use a Stable Diffusion 1.5 and an adapter for it.") from error
    pipe.set_progress_bar_config(disable=True)
    pipe.to("cpu" if device.kind == "cpu" else device.kind)
    for part in modules(pipe):
        part.eval().requires_grad_(False)
    return pipe


def _base(folder: Path) -> str:
    try:
        card = tomllib.loads((folder / CARD).read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return BASE
    return Path(str(card.get("base") or BASE)).name
