"""What a pipeline is called with: what its class takes of a request, under the names that it has for it; and what is
told of the settings that it takes no notice of.

Read from the signature, and from the denoiser's configuration where one name means two things.
"""

import inspect
from collections.abc import Iterator, Mapping
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


def not_taken(params: Mapping[str, Any], usual: Mapping[str, Any], pipe: Any, name: str) -> Iterator[str]:
    """A sentence on each setting that `pipe`'s class has no place for and that is not as `usual`: somebody chose it."""
    signature = inspect.signature(pipe.__call__).parameters
    if params.get("negative_prompt") and not _avoids(pipe, signature):
        yield f"{name} takes no words to avoid, so they were left out: say in the prompt what shall be there instead."
    strength = params.get("strength")
    if strength is not None and strength != usual.get("strength") and "strength" not in signature:
        yield f"{name} takes no strength: it edits the start picture by the words, so say in them what shall change."


def not_avoided(params: Mapping[str, Any], pipe: Any) -> str:
    """What is told of words to avoid that its class takes, but which came to nothing in the call that `pipe` has just
    done, as it says itself; "" where they counted.
    """
    if not params.get("negative_prompt") or not _avoids(pipe, inspect.signature(pipe.__call__).parameters):
        return ""
    amplified = float(params.get("guidance_scale", 7.0)) > 1
    if pipe.do_classifier_free_guidance if "do_classifier_free_guidance" in dir(pipe) else amplified:
        return ""
    if amplified:
        return "This model was taught to do without words to avoid, so they came to nothing: leave them out."
    return "At this guidance the words to avoid come to nothing: raise Guidance above 1, or leave them out."


def _avoids(pipe: Any, signature: Mapping[str, inspect.Parameter]) -> bool:
    """Whether words to avoid are read in our calls: FLUX has a place for them, and reads them only where a
    `true_cfg_scale` is given, which it is not here.
    """
    if "negative_prompt" not in signature:
        return False
    return "true_cfg_scale" not in signature or _guided_by_difference(pipe, signature)


def _guided_by_difference(pipe: Any, signature: Mapping[str, inspect.Parameter]) -> bool:
    """Whether guidance is the difference to no words under the name `true_cfg_scale`, as of Qwen-Image: a class that
    guides so by itself, with a denoiser that was not taught to be told a scale.
    """
    scale = signature.get("true_cfg_scale")
    if scale is None or not isinstance(scale.default, int | float) or scale.default <= 1:
        return False
    return not pipe.components["transformer"].config.get("guidance_embeds")
