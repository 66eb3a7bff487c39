"""Opens a checkpoint in the original layout, one safetensors file, with the configurations of a model folder.

`from_single_file` asks the network for configurations that it does not find; here it gets a folder that has them all,
so it never does.
"""

import tomllib
from pathlib import Path
from typing import Any

import torch

from studio.errors import ModelError
from studio.families.model_card import CARD


def named_file(folder: Path) -> Path | None:
    """The safetensors file that the folder's card names; None for a folder that holds its own weights. ModelError when
    the file is not there, or no safetensors.
    """
    try:
        named = tomllib.loads((folder / CARD).read_text("utf-8")).get("file")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None
    if not named:
        return None
    file = folder / str(named)  # an absolute path stays itself
    if file.suffix.lower() != ".safetensors":
        raise ModelError(f"{file.name!r}, which {folder.name!r} names, is no safetensors file.", "Import it again.")
    if not file.is_file():
        raise ModelError(
            f"The file of {folder.name!r} is not at {file} any more.", "Put it back, or import it from where it is now."
        )
    return file


def open_file(kind: Any, file: Path, folder: Path, dtype: Any) -> Any:
    """The pipeline of that class. What diffusers raises is the caller's to explain; ModelError where weights lack."""
    pipe = kind.from_single_file(str(file), config=str(folder), dtype=dtype, local_files_only=True)
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module) and any(weight.is_meta for weight in part.parameters()):
            raise ModelError(f"{file.name!r} lacks weights of its {name}.", "Use the full checkpoint.")
    return pipe
