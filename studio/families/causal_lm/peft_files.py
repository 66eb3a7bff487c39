"""LoRAs of language models in peft's layout, as the hub has them: which can be worked into a model here. Light.

adapter_config.json stands beside adapter_model.safetensors; of a download, which keeps one file an adapter, the config
lies in what is known of it, under the name "peft".
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def teaches_texts(config: Mapping[str, Any]) -> bool:
    return config.get("task_type") == "CAUSAL_LM"


def obstacle(config: Mapping[str, Any]) -> str:
    """What of a config cannot be worked into the weights, as the end of a sentence; "" where all can."""
    if config.get("peft_type", "LORA") != "LORA":
        return f"is of the kind {str(config.get('peft_type'))[:40]}, and only LoRA is read"
    if config.get("use_dora"):
        return "is a DoRA, and only plain LoRA is read"
    if config.get("modules_to_save"):
        return "brings whole layers beside its LoRA, which are not read"
    if config.get("bias", "none") != "none":
        return "changes biases too, which is not read"
    return ""


def facts_of(folder: Path) -> Mapping[str, Any]:
    """What peft's config in a folder tells, in the words that we keep of an adapter; {} for one of something else."""
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(config, dict) or not teaches_texts(config):
        return {}
    return {"family": "causal_lm", "base": str(config.get("base_model_name_or_path") or ""), "peft": config}
