"""Samplers by our short names, as diffusers schedulers that keep the model's own noise schedule and kind of
prediction.
"""

from typing import Any

import diffusers

from studio.errors import InvalidInput

NOISE = {  # models that predict noise, velocity (v) or the picture
    "dpmpp_2m": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False},
    ),
    "dpmpp_2m_karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True},
    ),
    "dpmpp_sde": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": False},
    ),
    "unipc": ("UniPCMultistepScheduler", {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}
FLOW = {  # models that predict the flow from picture to noise (SD3, Flux and later)
    "euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "lcm": ("FlowMatchLCMScheduler", {}),
}


def is_flow(scheduler: Any) -> bool:
    config = scheduler.config
    return (
        type(scheduler).__name__.startswith("FlowMatch")
        or bool(config.get("use_flow_sigmas"))
        or config.get("prediction_type") == "flow_prediction"
    )


def make(name: str, own: Any) -> Any:
    """The scheduler of that name for the model whose `own` scheduler is given. InvalidInput when they do not
    go together.
    """
    if name in ("default", ""):
        return type(own).from_config(own.config)
    offered = FLOW if is_flow(own) else NOISE
    if name not in offered:
        raise InvalidInput(
            f"This model cannot be sampled with {name!r}.",
            f"Choose one of default, {', '.join(offered)}.",
            field="scheduler",
        )
    kind, settings = offered[name]
    config = {k: v for k, v in own.config.items() if not k.startswith("_")}
    if kind == "DPMSolverMultistepScheduler" and config.get("algorithm_type") != settings.get("algorithm_type"):
        config.pop("final_sigmas_type", None)  # another algorithm's last step may be forbidden here
    return getattr(diffusers, kind).from_config({**config, **settings})
