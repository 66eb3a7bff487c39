"""What a folder of sound is told by, without loading it: which task it can do, and which settings suit it. Light."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.types import Value

# transformers' types of text-to-waveform and text-to-spectrogram models, as its Auto classes know them
MUSICAL = ("musicgen", "musicgen_melody")
SPEAKING = (
    "bark",
    "csm",
    "dia",
    "fastspeech2_conformer_with_hifigan",
    "gradium_phonon_tts",
    "higgs_audio_v2",
    "pocket_tts",
    "seamless_m4t",
    "seamless_m4t_v2",
    "speecht5",
    "vibevoice",
    "vits",
)
# diffusers' classes that make sound have one of these in their names
DIFFUSED = ("Audio", "Music", "AceStep")
# what their makers name: steps and guidance
BY_CLASS: Mapping[str, Mapping[str, Value]] = {
    "StableAudioPipeline": {"num_inference_steps": 100, "guidance_scale": 7.0},
    "StableAudio3Pipeline": {"num_inference_steps": 8, "guidance_scale": 1.0},
    "AudioLDM2Pipeline": {"num_inference_steps": 200, "guidance_scale": 3.5},
    "AceStepPipeline": {"num_inference_steps": 8, "guidance_scale": 7.0, "seconds": 30.0},
    "LongCatAudioDiTPipeline": {"num_inference_steps": 16, "guidance_scale": 4.0},
}
USUAL: Mapping[str, Value] = {"num_inference_steps": 50, "guidance_scale": 3.5}


def tasks_of(folder: Path) -> tuple[str, ...]:
    """The tasks of a folder that makes sound; () for every other one."""
    pipeline = read(folder / "model_index.json").get("_class_name")
    if isinstance(pipeline, str):
        return ("text_to_audio",) if any(word in pipeline for word in DIFFUSED) else ()
    config = read(folder / "config.json")
    kind, heads = config.get("model_type"), config.get("architectures")
    if kind == "speecht5" and heads and "SpeechT5ForTextToSpeech" not in heads:
        return ()  # its sisters listen
    return ("text_to_audio",) if kind in MUSICAL else ("text_to_speech",) if kind in SPEAKING else ()


def suggested(folder: Path) -> Mapping[str, Value]:
    """Params by name, as the folder's configurations and its class's makers want them."""
    pipeline = read(folder / "model_index.json").get("_class_name")
    if isinstance(pipeline, str):
        found = dict(BY_CLASS.get(pipeline, USUAL))
        longest = _longest(folder)
        if longest:
            found["seconds"] = min(longest, 8.0)
        return found
    told = read(folder / "generation_config.json")
    names = ("guidance_scale", "temperature", "top_k", "top_p")
    return {name: told[name] for name in names if isinstance(told.get(name), int | float)}


def _longest(folder: Path) -> float | None:
    """Seconds that a Stable Audio folder can make; None where nothing in the folder says it."""
    vae, transformer = read(folder / "vae" / "config.json"), read(folder / "transformer" / "config.json")
    ratios, rate, size = vae.get("downsampling_ratios"), vae.get("sampling_rate"), transformer.get("sample_size")
    if not (isinstance(ratios, list) and isinstance(rate, int) and isinstance(size, int)):
        return None
    hop = 1
    for ratio in ratios:
        hop *= int(ratio)
    return size * hop / rate


def read(file: Path) -> Mapping[str, Any]:
    """A JSON object; {} where there is none, or a damaged one: loading the model says so."""
    try:
        found = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
