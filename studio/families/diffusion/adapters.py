"""LoRA files on a pipeline: each is loaded once, and a run uses the ones it names with their weights."""

import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline
from safetensors import SafetensorError, safe_open

from studio.errors import InvalidInput


class Adapters:
    def __init__(self, pipe: DiffusionPipeline) -> None:
        self._pipe: Any = pipe
        self._names: dict[Path, tuple[int, str]] = {}  # by file: when it was written, its name in the pipeline
        self._loaded = 0
        self.in_use: tuple[tuple[str, float], ...] = ()

    def use(self, wanted: Sequence[tuple[Path, float]], warn: Callable[[str], None]) -> None:
        """Turns on exactly the wanted ones. InvalidInput when the model takes no LoRA or the file is not one
        for it.
        """
        named = tuple((self._load(Path(path)), float(weight)) for path, weight in wanted)
        if named == self.in_use:
            return
        if named:
            self._pipe.set_adapters([name for name, _ in named], adapter_weights=[weight for _, weight in named])
            self._pipe.enable_lora()
        else:
            self._pipe.disable_lora()
        self.in_use = named

    def triggers(self, files: Iterable[Path]) -> str:
        """The words that adapters taught here answer to, as their headers say; a file that is no LoRA says none."""
        words = []
        for path in files:
            if path.is_file():
                with suppress(SafetensorError), safe_open(path, framework="pt") as opened:
                    words.append((opened.metadata() or {}).get("atelier.trigger", ""))
        return " ".join(words)

    def _load(self, path: Path) -> str:
        written = path.stat().st_mtime_ns if path.exists() else 0
        known, name = self._names.get(path, (None, ""))
        if known == written:
            return name
        if not takes_lora(self._pipe):
            raise InvalidInput(
                f"This model takes no LoRA, so {path.name!r} cannot be used.",
                "Remove it, or choose another model.",
                field="adapters",
            )
        if name:  # another checkpoint of it lies there now
            self._pipe.delete_adapters(name)
            del self._names[path]
        name = f"lora{self._loaded}"
        self._loaded += 1
        folder, file = (path, None) if path.is_dir() else (path.parent, path.name)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # a second one is meant
                self._pipe.load_lora_weights(
                    folder, weight_name=file, adapter_name=name, local_files_only=True, use_safetensors=True
                )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise InvalidInput(
                f"{path.name!r} is not a LoRA for this model.",
                "Use one that was trained on the same kind of model.",
                field="adapters",
            ) from error
        self._names[path] = (written, name)
        return name


def takes_lora(pipe: Any) -> bool:
    """Whether the class can load a LoRA into its denoiser: that of PRX inherits a loader for a U-Net, and has none."""
    return "load_lora_weights" in dir(pipe) and bool(
        {"unet", "transformer"} & {*pipe._lora_loadable_modules} & {*pipe.components}
    )
