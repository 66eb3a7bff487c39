"""What other programs write about a picture, as one Recovered: InvokeAI, SwarmUI, Fooocus, NovelAI.

Knows their JSON and the names of their samplers; knows nothing of files. All of it comes from strangers:
every value is checked and bounded, and what does not make sense is left out. A1111's text is in a1111.py,
ComfyUI's graph in comfyui.py.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_PROMPT = 100_000  # characters
MAX_LORAS = 32

_SAMPLERS = {
    "euler": "euler", "eulera": "euler_a", "eulerancestral": "euler_a", "dpmpp2m": "dpmpp_2m",
    "dpmpp2mk": "dpmpp_2m_karras",
    "dpmpp2mkarras": "dpmpp_2m_karras", "dpmppsde": "dpmpp_sde", "dpmpp2msde": "dpmpp_sde",
    "dpmppsdek": "dpmpp_sde",
    "dpmpp2msdegpu": "dpmpp_sde", "dpmppsdegpu": "dpmpp_sde", "dpmpp2msdek": "dpmpp_sde",
    "dpmppsdekarras": "dpmpp_sde",
    "dpmpp2msdekarras": "dpmpp_sde", "unipc": "unipc", "unipcbh2": "unipc", "unipck": "unipc", "ddim": "ddim",
    "heun": "heun", "heunk": "heun", "lms": "lms", "lmsk": "lms", "lmskarras": "lms", "lcm": "lcm",
    "eulerk": "euler", "eulerkarras": "euler", "default": "default",
}  # fmt: skip
_KARRAS = {"dpmpp_2m": "dpmpp_2m_karras"}
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What a file says about how it was made, in our names; only what was there and makes sense.

    `params` may hold num_inference_steps, guidance_scale, seed, width, height, scheduler, strength, model (a
    name, not an id of ours) and loras (a list of {"id", "weight"}); for our own files all of the request's
    params. `left_out` says in words what was there but has no counterpart. `request` is a sound
    Request.to_dict(), only in our own files.
    """

    source: str  # atelier, a1111, comfyui, invokeai, swarmui, fooocus, novelai, exif
    prompt: str = ""
    negative_prompt: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    request: Mapping[str, Any] | None = None


def recovered(
    source: str,
    *,
    prompt: Any = "",
    negative: Any = "",
    steps: Any = None,
    guidance: Any = None,
    seed: Any = None,
    width: Any = None,
    height: Any = None,
    sampler: Any = None,
    schedule: Any = None,
    strength: Any = None,
    model: Any = None,
    loras: list[tuple[Any, Any]] | None = None,
) -> Recovered:
    """A Recovered of raw values of any type: each is kept if it is sound, whatever the others are."""
    named = as_text(sampler, 100)
    scheduler = scheduler_of(named, as_text(schedule, 100))
    adapters = [(as_text(name, 200), number(weight, -100, 100)) for name, weight in (loras or [])[:MAX_LORAS]]
    params: dict[str, Any] = {
        "num_inference_steps": whole(steps, 1, 10_000),
        "guidance_scale": number(guidance, 0, 1000),
        "seed": whole(seed, 0, 2**64 - 1),
        "width": whole(width, 1, 65_535),
        "height": whole(height, 1, 65_535),
        "scheduler": scheduler,
        "strength": number(strength, 0, 1),
        "model": as_text(model, 200) or None,
        "loras": [{"id": name, "weight": 1.0 if weight is None else weight} for name, weight in adapters if name]
        or None,
    }
    return Recovered(
        source=source,
        prompt=as_text(prompt, MAX_PROMPT),
        negative_prompt=as_text(negative, MAX_PROMPT),
        params={key: value for key, value in params.items() if value is not None},
        left_out=(f"sampler {named}",) if named and scheduler is None else (),
    )


# --- sound values


def as_text(value: Any, longest: int) -> str:
    """A text without control characters; empty for everything else."""
    return _FORBIDDEN.sub("", value[:longest]).strip() if isinstance(value, str) else ""


def number(value: Any, low: float, high: float) -> float | None:
    """A number, or a text that is one, within the range; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str) or len(str(value)[:41]) > 40:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and low <= found <= high else None


def whole(value: Any, low: int, high: int) -> int | None:
    """A whole number, or a text that is one, within the range; None for everything else."""
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", value) else None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if low <= value <= high else None


def as_json(text: str) -> dict[str, Any] | None:
    """The JSON object in a text, or None. Python bounds the depth, who read the text its size."""
    if not text.lstrip()[:1] == "{":
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value[:MAX_LORAS] if isinstance(value, list) else []


def scheduler_of(sampler: str, schedule: str = "") -> str | None:
    """Our name of a sampler by anybody's: 'DPM++ 2M Karras', 'dpmpp_2m', 'k_euler_ancestral' ... None if
    unknown.
    """
    plain = re.sub(r"[^a-z0-9]", "", sampler.lower().removeprefix("k_").replace("++", "pp"))
    found = _SAMPLERS.get(plain)
    return _KARRAS.get(found, found) if found and schedule.lower() == "karras" else found


def file_stem(name: Any) -> str:
    """'folder\\\\thing.safetensors' -> 'thing'."""
    plain = as_text(name, 400).replace("\\", "/").rpartition("/")[2]
    return re.sub(r"\.(safetensors|ckpt|pt|pth|bin|gguf|sft)$", "", plain)


# --- the peers


def invokeai(text: str) -> Recovered | None:
    plain = as_json(text)
    if plain is None or not ("positive_prompt" in plain or "generation_mode" in plain):
        return None
    model = plain.get("model")
    loras: list[tuple[Any, Any]] = []
    for entry in map(table, items(plain.get("loras"))):
        lora = table(entry.get("model") or entry.get("lora"))
        loras.append((lora.get("name") or lora.get("model_name"), entry.get("weight")))
    return recovered(
        "invokeai",
        prompt=plain.get("positive_prompt"),
        negative=plain.get("negative_prompt"),
        steps=plain.get("steps"),
        guidance=plain.get("cfg_scale"),
        seed=plain.get("seed"),
        width=plain.get("width"),
        height=plain.get("height"),
        sampler=plain.get("scheduler"),
        strength=plain.get("strength"),
        model=model if isinstance(model, str) else table(model).get("name") or table(model).get("model_name"),
        loras=loras,
    )


def swarmui(text: str) -> Recovered | None:
    plain = table((as_json(text) or {}).get("sui_image_params"))
    if not plain:
        return None
    names, weights = _several(plain.get("loras")), _several(plain.get("loraweights"))
    return recovered(
        "swarmui",
        prompt=plain.get("prompt"),
        negative=plain.get("negativeprompt"),
        steps=plain.get("steps"),
        guidance=plain.get("cfgscale"),
        seed=plain.get("seed"),
        width=plain.get("width"),
        height=plain.get("height"),
        sampler=plain.get("sampler"),
        schedule=plain.get("scheduler"),
        strength=plain.get("initimagecreativity"),
        model=file_stem(plain.get("model")),
        loras=[(file_stem(name), weights[i] if i < len(weights) else None) for i, name in enumerate(names)],
    )


def _several(value: Any) -> list[Any]:
    """SwarmUI writes lists as JSON lists or as texts with commas."""
    return value[:10_000].split(",")[:MAX_LORAS] if isinstance(value, str) else items(value)


def fooocus(text: str) -> Recovered | None:
    plain = as_json(text)
    if plain is None or "prompt" not in plain or not ("base_model" in plain or "performance" in plain):
        return None
    sides = re.findall(r"\d{1,6}", as_text(plain.get("resolution"), 40))
    loras = [(file_stem(e[0]), e[1]) for e in items(plain.get("loras")) if isinstance(e, list) and len(e) >= 2]
    for key, value in plain.items():
        if key.startswith("lora_combined_") and isinstance(value, str):
            name, _, weight = value[:400].rpartition(" : ")
            loras.append((file_stem(name), weight))
    return recovered(
        "fooocus",
        prompt=plain.get("prompt"),
        negative=plain.get("negative_prompt"),
        steps=plain.get("steps"),
        guidance=plain.get("guidance_scale"),
        seed=plain.get("seed"),
        width=sides[0] if len(sides) == 2 else None,
        height=sides[1] if len(sides) == 2 else None,
        sampler=plain.get("sampler"),
        schedule=plain.get("scheduler"),
        model=file_stem(plain.get("base_model")),
        loras=loras,
    )


def novelai(comment: str, description: str, source: str) -> Recovered | None:
    plain = as_json(comment)
    if plain is None:
        return None
    words = table(table(plain.get("v4_prompt")).get("caption")).get("base_caption")
    avoided = table(table(plain.get("v4_negative_prompt")).get("caption")).get("base_caption")
    return recovered(
        "novelai",
        prompt=words or plain.get("prompt") or description,
        negative=avoided or plain.get("uc"),
        steps=plain.get("steps"),
        guidance=plain.get("scale"),
        seed=plain.get("seed"),
        width=plain.get("width"),
        height=plain.get("height"),
        sampler=plain.get("sampler"),
        schedule=plain.get("noise_schedule"),
        strength=plain.get("strength"),
        model=source,
    )
