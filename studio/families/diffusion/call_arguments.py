"""What a pipeline is called with: what its class takes of a request, under the names that it has for it.

Read from the signature, and from the denoiser's configuration where one name means two things.
"""

import inspect
from collections.abc import Mapping
from typing import Any

# A picture has the size that was asked for, its words stay as they were written (an enhancer would draw other words
# each time), and prompts are not cleaned as those of the training data were.
SETTLED = {"use_resolution_binning": False, "use_pe": False, "clean_caption": False}
MIDDLE = "intermediate_timesteps"  # of Sana Sprint, which goes with two steps alone


def fitting(given: Mapping[str, Any], pipe: Any) -> dict[str, Any]:
    """The arguments of `pipe`'s call, from what is given in the names that most pipelines share."""
    signature = inspect.signature(pipe.__call__).parameters
    made = {name: value for name, value in {**SETTLED, **given}.items() if name in signature}
    if MIDDLE in signature and given["num_inference_steps"] != 2:
        made[MIDDLE] = None
    if _guided_by_difference(pipe, signature):
        scale = made.pop("guidance_scale")
        made["true_cfg_scale"] = scale
        if scale > 1:
            made.setdefault("negative_prompt", " ")  # without one the class does not guide
    return made


def _guided_by_difference(pipe: Any, signature: Mapping[str, inspect.Parameter]) -> bool:
    """Whether guidance is the difference to no words under the name `true_cfg_scale`, as of Qwen-Image: a class that
    guides so by itself, with a denoiser that was not taught to be told a scale.
    """
    scale = signature.get("true_cfg_scale")
    if scale is None or not isinstance(scale.default, int | float) or scale.default <= 1:
        return False
    return not pipe.components["transformer"].config.get("guidance_embeds")
