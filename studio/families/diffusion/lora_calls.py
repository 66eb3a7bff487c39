"""How a pipeline calls its denoiser, learnt by watching it once, so that any of them can be fine-tuned.

A pipeline is run for one step on each prompt, and the arguments that reach its U-Net or transformer are kept: words
in whatever form, sizes, positions, guidance. Training then calls it with the same ones and its own noisy latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from studio.errors import InvalidInput

SAMPLE = ("sample", "hidden_states")  # names under which denoisers take the noisy latents


class Seen(Exception):
    """Ends the pipeline's run as soon as its denoiser was called; not an error."""


@dataclass(frozen=True)
class Call:
    """One call for one prompt, without latents and timestep: tensors with a first dimension of 1 are one a picture."""

    arguments: Mapping[str, Any]
    packed: bool  # the latents went in as a row of 2 x 2 patches (Flux)
    scale: float  # what the timestep is multiplied with on its way in


def denoiser_of(pipe: Any) -> torch.nn.Module:
    """The part that is trained. InvalidInput when the pipeline has none that is known."""
    part = pipe.components.get("unet") or pipe.components.get("transformer")
    if part is None or "load_lora_weights" not in dir(pipe):
        raise InvalidInput(f"{type(pipe).__name__} takes no LoRA.", "Choose another model to teach.", field="model")
    return part


@torch.no_grad()
def watch(pipe: Any, prompt: str, width: int, height: int) -> Call:
    """The call that the pipeline makes for this prompt without guidance by a second call."""
    denoiser = denoiser_of(pipe)
    found: list[tuple[Any, dict[str, Any]]] = []

    def look(module: torch.nn.Module, positional: Sequence[Any], named: dict[str, Any]) -> None:
        found.append((positional, named))
        raise Seen

    hook = denoiser.register_forward_pre_hook(look, with_kwargs=True)
    try:
        pipe(prompt=prompt, width=width, height=height, num_inference_steps=4, guidance_scale=1.0, output_type="latent")
    except Seen:
        pass
    finally:
        hook.remove()
        pipe.maybe_free_model_hooks()
    positional, named = found[0]
    arguments = {**dict(zip(("sample", "timestep"), positional, strict=False)), **named}
    latents = next(arguments.pop(name) for name in SAMPLE if name in arguments)
    time = torch.as_tensor(arguments.pop("timestep")).flatten()[0].float()
    first = pipe.scheduler.timesteps[0].float()
    scale = float(time / first) if first else 1.0
    if len(latents) != 1 or not (abs(scale - 1) < 1e-2 or abs(scale - 1e-3) < 1e-5):
        raise InvalidInput(
            f"{type(pipe).__name__} counts its steps in a way that is not known here.",
            "Choose another model to teach.",
            field="model",
        )
    kept = {name: value for name, value in arguments.items() if name not in ("return_dict", "guidance")}
    if arguments.get("guidance") is not None:
        kept["guidance"] = arguments["guidance"]
    return Call(kept, packed=latents.ndim == 3, scale=1.0 if scale > 0.5 else 1e-3)


def together(calls: Sequence[Call]) -> Call:
    """One call for several pictures."""
    first = calls[0]
    arguments = {name: _stacked([call.arguments[name] for call in calls]) for name in first.arguments}
    return Call(arguments, first.packed, first.scale)


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor) and first.ndim and len(first) == 1:
        return torch.cat(list(values))
    if isinstance(first, dict):
        return {name: _stacked([value[name] for value in values]) for name in first}
    return first


def predict(pipe: Any, call: Call, noisy: Tensor, timesteps: Tensor) -> Tensor:
    """The denoiser's answer to noisy latents [n, c, h, w] at timesteps [n] of 0..1000, in float32."""
    denoiser = denoiser_of(pipe)
    dtype = next(p for name, p in denoiser.named_parameters() if "lora" not in name).dtype
    shape = noisy.shape
    inner = pack(noisy) if call.packed else noisy
    times = (timesteps * call.scale).to(dtype) if call.scale != 1 else timesteps
    name = SAMPLE[0] if pipe.components.get("unet") is not None else SAMPLE[1]
    given = {name: inner.to(dtype), "timestep": times, **call.arguments, "return_dict": False}
    made = denoiser(**given)[0].float()
    return unpack(made, shape[2], shape[3]) if call.packed else made


def pack(latents: Tensor) -> Tensor:
    """[n, c, h, w] -> [n, h / 2 * w / 2, 4 c], as Flux takes them."""
    n, c, h, w = latents.shape
    return latents.view(n, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5).reshape(n, h // 2 * (w // 2), 4 * c)


def unpack(rows: Tensor, height: int, width: int) -> Tensor:
    n, _, channels = rows.shape
    patches = rows.view(n, height // 2, width // 2, channels // 4, 2, 2).permute(0, 3, 1, 4, 2, 5)
    return patches.reshape(n, channels // 4, height, width)


class Noising:
    """What is mixed into the latents at a time, and what the denoiser should answer, by the model's own scheduler."""

    def __init__(self, scheduler: Any) -> None:
        self.flow = "FlowMatch" in type(scheduler).__name__
        if not self.flow:
            plain = DDPMScheduler.from_config(scheduler.config)
            self.alphas = plain.alphas_cumprod
            self.kind = str(plain.config["prediction_type"])
            if self.kind not in ("epsilon", "v_prediction", "sample"):
                raise InvalidInput(f"The model predicts {self.kind!r}.", "Choose another model.", field="model")

    def times(self, count: int, chance: torch.Generator) -> Tensor:
        """Timesteps [n] in 0..999: logit-normal for flows (Esser et al., 2024), uniform otherwise."""
        if self.flow:
            return (torch.sigmoid(torch.randn(count, generator=chance)) * 1000).clamp(1, 999)
        return torch.randint(0, len(self.alphas), (count,), generator=chance)

    def mixed(self, latents: Tensor, noise: Tensor, times: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy latents, the right answer, and the signal-to-noise ratio [n]."""
        if self.flow:
            share = (times / 1000).view(-1, 1, 1, 1).to(latents)
            ratio = ((1 - share) / share.clamp(min=1e-3)).square().flatten()
            return (1 - share) * latents + share * noise, noise - latents, ratio
        alphas = self.alphas.to(latents.device)[times].view(-1, 1, 1, 1)
        signal, dirt = alphas.sqrt(), (1 - alphas).sqrt()
        noisy = signal * latents + dirt * noise
        right = {"epsilon": noise, "v_prediction": signal * noise - dirt * latents, "sample": latents}[self.kind]
        return noisy, right, (alphas / (1 - alphas)).flatten()

    def weights(self, ratio: Tensor, gamma: float) -> Tensor:
        """Min-SNR weights [n] (Hang et al., 2023); ones where gamma is 0 or the model is a flow."""
        if self.flow or gamma <= 0:
            return torch.ones_like(ratio)
        capped = ratio.clamp(max=gamma)
        return {"epsilon": capped / ratio, "v_prediction": capped / (ratio + 1), "sample": capped}[self.kind]
