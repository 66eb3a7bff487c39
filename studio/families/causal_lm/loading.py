"""Opens a transformers folder: the tokenizer, the card, and the weights as often as they are wanted fresh."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from studio.errors import ModelError
from studio.families.model_card import read_card
from studio.types import Device

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Folder:
    tokenizer: PreTrainedTokenizerBase
    card: Mapping[str, Any]
    open_model: Callable[[], PreTrainedModel]

    @property
    def genres(self) -> tuple[str, ...]:
        """Those of briefs that the model was trained on; none for a model of plain texts."""
        return tuple(self.card.get("knows", {}).get("genres", ()))


def open_folder(folder: Path, device: Device) -> Folder:
    """ModelError when the folder holds no causal LM; so does `open_model`."""

    def open_model() -> PreTrainedModel:
        try:
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=DTYPES[device.dtype]
            )
        except (OSError, ValueError, KeyError) as error:
            raise unusable(folder, error) from error
        return model.to(device.kind).eval()

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise unusable(folder, error) from error
    return Folder(tokenizer, read_card(folder), open_model)


def unusable(folder: Path, error: Exception) -> ModelError:
    said = f"The model in {folder.name} cannot be loaded: {str(error).splitlines()[0][:200]}"
    return ModelError(said, "Fetch or train it again.")
