"""The `parameters` text of AUTOMATIC1111's web UI, which most programs read: written and read.

    {prompt}
    Negative prompt: {negative prompt}
    Steps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 5, Size: 512x512, Model: name, Version: ...

Knows the format, its quoting and its <lora:name:weight> tags; knows nothing of files. A prompt that has
itself a line beginning with "Negative prompt:" is ambiguous there; written here, that line gets a blank
before its colon.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from studio.library.peers import Recovered, number, recovered

MAX_LINE = 65_536  # characters of a line that may hold parameters

_NEGATIVE = "Negative prompt:"
_PAIR = re.compile(r'(\w[\w \-/]{1,60}):\s{0,4}("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_LORA = re.compile(r"[ \t]?<lora:([^:<>\n]{1,200})(?::([^:<>\n]{0,40}))?[^<>\n]{0,200}>")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")
_SAMPLERS = {
    "dpmpp_2m": ("DPM++ 2M", None), "dpmpp_2m_karras": ("DPM++ 2M", "Karras"),
    "dpmpp_sde": ("DPM++ SDE", None),
    "unipc": ("UniPC", None), "euler": ("Euler", None), "euler_a": ("Euler a", None), "ddim": ("DDIM", None),
    "heun": ("Heun", None), "lms": ("LMS", None), "lcm": ("LCM", None),
}  # fmt: skip


def write(
    prompt: str,
    negative_prompt: str,
    params: Mapping[str, Any],
    *,
    seed: int | None,
    model: str,
    size: tuple[int, int] | None,
    version: str,
    loras: Iterable[tuple[str, float]] = (),
) -> str:
    """The text. `params` are ours; steps, guidance, scheduler, strength and variation are told."""
    sampler, schedule = _SAMPLERS.get(str(params.get("scheduler")), (None, None))
    varied = number(params.get("variation_strength"), 0, 1)
    pairs = {
        "Steps": params.get("num_inference_steps"),
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": params.get("guidance_scale"),
        "Seed": -1 if seed is None else seed,
        "Size": f"{size[0]}x{size[1]}" if size else None,
        "Model": model,
        "Variation seed": params.get("variation_seed") if varied else None,
        "Variation seed strength": varied or None,
        "Denoising strength": params.get("strength"),
        "Version": version,
    }
    tags = "".join(f" <lora:{re.sub(r'[:<>]', '-', name)}:{weight:g}>" for name, weight in loras)
    lines = [_unambiguous(prompt) + tags]
    if negative_prompt.strip():
        lines.append(f"{_NEGATIVE} {_unambiguous(negative_prompt)}")
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in pairs.items() if value is not None))
    return "\n".join(lines)


def _unambiguous(text: str) -> str:
    lines = (line.strip() for line in re.split(r"\r\n?|\n", text.strip()))
    return "\n".join(re.sub(rf"^{_NEGATIVE}", "Negative prompt :", line) for line in lines)


def _quoted(value: Any) -> str:
    text = re.sub(r"\s+", " ", str(value)).strip()
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ',:"') else text


def read(text: str, source: str = "a1111") -> Recovered:
    """What the text says. Without a line of parameters all of it is the prompt, as in A1111 itself."""
    *lines, last = text.strip().split("\n")
    found = parameters(last)
    if not found:
        lines.append(last)
    words: list[str] = []
    avoided: list[str] = []
    into = words
    for line in map(str.strip, lines):
        if line.startswith(_NEGATIVE):
            into, line = avoided, line[len(_NEGATIVE) :].strip()
        into.append(line)
    prompt = "\n".join(words)
    size = _SIZE.fullmatch(found.get("Size", ""))
    return recovered(
        source,
        prompt=_LORA.sub("", prompt),
        negative="\n".join(avoided),
        steps=found.get("Steps"),
        guidance=found.get("CFG scale"),
        seed=found.get("Seed"),
        width=size[1] if size else None,
        height=size[2] if size else None,
        sampler=found.get("Sampler"),
        schedule=found.get("Schedule type"),
        strength=found.get("Denoising strength"),
        model=found.get("Model"),
        loras=[(tag[1], tag[2]) for tag in _LORA.finditer(prompt)],
    )


def parameters(line: str) -> dict[str, str]:
    """The `Key: value` pairs of a line; none below three, for then it is a line of words."""
    pairs = _PAIR.findall(line) if len(line) <= MAX_LINE else []
    if len(pairs) < 3:
        return {}
    return {key: _unquoted(value.strip()) for key, value in pairs}


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    try:
        return str(json.loads(value))
    except ValueError:
        return value.strip('"')
