"""What a folder of sound is told by, without loading it: which task it can do, and which settings suit it. Light."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
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
CLONING = ("pocket_tts", "vibevoice")  # say a text in the voice of a recording, without its words
LATENT = ("pocket_tts", "gradium_phonon_tts")  # write latents of sound, led by those of a voice
TURNS = {  # speakers of a dialogue, marked in the text or by their turn
    "csm": ("0", "1", "2", "3"),
    "dia": ("S1", "S2"),
    "vibevoice": ("0", "1", "2", "3"),
}
SPEAKERS = {"seamless_m4t": 200, "seamless_m4t_v2": 200}  # where a configuration leaves out what its class has
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


def voices_of(folder: Path) -> tuple[str, ...]:
    """The voices of a speech model by name or number, as its folder tells them; none for a model of one voice."""
    config = read(folder / "config.json")
    kind = str(config.get("model_type"))
    if kind == "bark":
        return tuple(name for name in read(folder / "speaker_embeddings_path.json") if name != "repo_or_path")
    if kind in TURNS:
        return TURNS[kind]
    kept = {"speecht5": "*.npy", **dict.fromkeys(LATENT, "*.safetensors")}
    if kind in kept:
        return tuple(sorted(file.stem for file in (folder / "voices").glob(kept[kind])))
    inner = config.get("model_config")
    inner = inner if isinstance(inner, dict) else config
    count = config.get("vocoder_num_spkrs") or inner.get("num_speakers") or SPEAKERS.get(kind, 1)
    return tuple(map(str, range(count))) if isinstance(count, int) and count > 1 else ()


def chosen_voice(model: str, known: Sequence[str], asked: str) -> str:
    """A known voice, the first where none is asked for; "" for a model of one. InvalidInput."""
    if not asked:
        return known[0] if known else ""
    if asked in known:
        return asked
    if not known:
        said = f"{model!r} has one voice and no {asked[:60]!r}."
        raise InvalidInput(said, "Leave the voice empty.", field="voice")
    some = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
    raise InvalidInput(f"{model!r} has no voice {asked[:60]!r}.", f"It has: {some}.", field="voice")


def clones(folder: Path) -> bool:
    """Whether a speech model can speak in the voice of a recording."""
    return read(folder / "config.json").get("model_type") in CLONING


def can_be_taught(folder: Path) -> bool:
    """Whether a LoRA can be taught to it, from sounds."""
    return read(folder / "config.json").get("model_type") == "musicgen"


def makes_songs(folder: Path) -> bool:
    """Whether a model of sounds is told tempo, key, metre and the language of what is sung."""
    return "AceStep" in str(read(folder / "model_index.json").get("_class_name"))


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
