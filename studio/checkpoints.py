"""The adapters that a LoRA training kept along its way, and which of them is offered; an adapter for other programs.

Decides nothing: the figures of the result card suggest one, the person chooses. It loads no model.
"""

import secrets
import shutil
from pathlib import Path

from studio.errors import InvalidInput, NotFound
from studio.families.diffusion import export_lora, lora_checkpoints
from studio.studio import Studio
from studio.types import Artifact, Job

FOLDER = "adapters"  # of a run


def kept(studio: Studio, job: Job) -> list[int]:
    """The steps whose adapters can be chosen, in order."""
    return lora_checkpoints.kept_steps(studio.training_folder(job.request) / FOLDER)


def offered(studio: Studio, job: str) -> tuple[Artifact | None, int | None]:
    """Of the files that a training delivered the one that its adapter is now, and of which step that is.

    Where the adapter was removed: the file that was delivered last. (None, None) where there is none.
    """
    outputs = studio.library.outputs(job)
    facts = studio.catalog.adapter_facts(studio.catalog.adapter_of_job(job))
    made = next(
        (output for output in outputs if output.sha256 == facts.get("sha256")), outputs[-1] if outputs else None
    )
    step = made.meta.get("best_step") if made else None
    return made, step if isinstance(step, int) else None


def use(studio: Studio, id: str, step: int) -> str:
    """Makes the training's adapter the checkpoint of that step; its id. NotFound, InvalidInput, DiskFull.

    The file goes into the library beside the one that was delivered, so pictures keep their ancestry.
    """
    job = studio.library.job(id)
    file = lora_checkpoints.file_of(studio.training_folder(job.request) / FOLDER, step)
    made, _ = offered(studio, id)
    if made is None or not made.meta.get("adapter"):
        raise InvalidInput("This training has delivered no LoRA yet.", "Wait until it is ready, or stop it.")
    if not file.is_file():
        raise NotFound(f"The checkpoint of step {step} is not kept any more.", "Choose one of those that are shown.")
    target = studio.settings.staging / f"adopt-{secrets.token_hex(6)}.safetensors"
    try:
        shutil.copyfile(file, target)
        meta = {**made.meta, "best_step": step}
        artifact = studio.library.keep(target, media_type=made.media_type, job=id, index=step, meta=meta)
    finally:
        target.unlink(missing_ok=True)
    adapter = studio.catalog.adapter_of_job(id)
    facts = {name: meta.get(name) for name in ("base", "family", "trigger", "steps")}
    facts |= {**studio.catalog.adapter_facts(adapter), "best_step": step, "sha256": artifact.sha256, "job": id}
    if not adapter:
        return studio.catalog.take_adapter(str(made.meta.get("name") or "lora"), artifact.path, facts)
    studio.catalog.replace_adapter(adapter, artifact.path, facts)
    return adapter


def has_kohya_names(studio: Studio, base: str) -> bool:
    """Whether adapters of that model can be written in kohya's format: whether it is there and has a U-Net."""
    return any(model.id == base and (model.folder / "unet").is_dir() for model in studio.catalog.models())


def for_other_programs(studio: Studio, adapter: str, target: Path) -> None:
    """Writes an adapter that was taught here to `target` in kohya's format. NotFound, InvalidInput, DiskFull."""
    base = str(studio.catalog.adapter_facts(adapter).get("base") or "")
    if not base:
        raise InvalidInput(f"{adapter!r} was not taught here, so its model is not known.", "Use it as it is.")
    file = studio.catalog.adapter(adapter)
    export_lora.export(file, studio.catalog.model(base).folder, target, "kohya", adapter)
