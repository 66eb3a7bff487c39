"""Opens a folder of sound by its configuration: a diffusers pipeline, a MusicGen, or a speech model of transformers.
Local files, safetensors, no remote code; says in a sentence why one cannot be opened.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import (
    AutoModelForSpeechSeq2Seq,
    AutoModelForTextToSpectrogram,
    AutoModelForTextToWaveform,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    SpeechT5HifiGan,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES,
    MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES,
)

from studio.errors import InvalidInput, ModelError
from studio.families.audio.diffused import Diffused
from studio.families.audio.folders import MUSICAL, can_be_taught, read
from studio.families.audio.musicgen import Musicgen, open_musicgen
from studio.families.audio.speech import Speaker
from studio.families.causal_lm.text_adapters import add_to
from studio.families.diffusion import loading as diffusion
from studio.types import Device

LOCAL = {"local_files_only": True, "trust_remote_code": False}
DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RuntimeError,
    ImportError,
    SafetensorError,
    StrictDataclassError,
)
CODEC = "audio_tokenizer"  # what transformers calls it
READ = (".json", ".txt", ".model", ".jinja")  # what a processor is made of
AGAIN = "Download or import the model again, or choose another."


Adapters = Sequence[tuple[Path, float]]  # files and weights of LoRAs


def open_folder(folder: Path, device: Device, adapters: Adapters = ()) -> Musicgen | Diffused | Speaker:
    """On the device, in its dtype, with LoRAs worked in. ModelError says what is wrong with the folder, InvalidInput
    what is wrong with a LoRA.
    """
    if adapters and not can_be_taught(folder):
        said = f"{folder.name!r} takes no LoRA; only MusicGen does."
        raise InvalidInput(said, "Take the LoRA out, or choose the model that it was taught to.", field="adapters")
    if (folder / "model_index.json").is_file():
        return Diffused(diffusion.open_folder(folder, device), folder.name)
    if adapters:
        model = open_untouched(folder, device)
        for path, weight in adapters:
            add_to(model.decoder, path, weight, "a model of sounds")
        return open_musicgen(model, folder)
    with _explained(folder):
        return _transformers(folder, device)


def open_untouched(folder: Path, device: Device) -> Any:
    """A MusicGen as transformers has it, with all its parts. ModelError says what is wrong with the folder."""
    with _explained(folder):
        return _opened(AutoModelForTextToWaveform, folder, device)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """What is wrong with the folder as a ModelError."""
    try:
        yield
    except DAMAGE as error:
        if "out of memory" in str(error).lower():
            raise
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"The model in {folder.name!r} cannot be opened: {line[:200]}", AGAIN) from error


def _opened(auto: Any, place: Path, device: Device) -> Any:
    model = auto.from_pretrained(place, **LOCAL, use_safetensors=True, dtype=diffusion.DTYPES[device.dtype])
    return model.eval().requires_grad_(False).to("cpu" if device.kind == "cpu" else device.kind)


def _transformers(folder: Path, device: Device) -> Musicgen | Speaker:
    kind = str(read(folder / "config.json").get("model_type", ""))
    draws = kind in MODEL_FOR_TEXT_TO_SPECTROGRAM_MAPPING_NAMES
    auto: Any = AutoModelForTextToSpectrogram if draws else AutoModelForTextToWaveform
    if kind == "dia":  # which transformers counts among those that turn one sequence into another
        auto = AutoModelForSpeechSeq2Seq
    elif not draws and kind not in MODEL_FOR_TEXT_TO_WAVEFORM_MAPPING_NAMES:
        raise ModelError(
            f"{folder.name!r} is no model of sound that this version knows ({kind or 'no config.json'}).",
            "Choose a folder of a text-to-waveform or text-to-spectrogram class.",
        )
    model = _opened(auto, folder, device)
    if kind in MUSICAL:
        return open_musicgen(model, folder)
    vocoder = _opened(SpeechT5HifiGan, _vocoder(folder), device) if draws else None
    tokenizer, processor = _reader(folder)
    if getattr(processor, "audio_tokenizer", None) is not None:
        processor.audio_tokenizer.eval().requires_grad_(False).to(model.device)
    return Speaker(model, tokenizer, processor, vocoder, folder)


def _reader(folder: Path) -> tuple[PreTrainedTokenizerBase, Any]:
    """The tokenizer, and the processor around it where the class has one."""
    codec = read(folder / "processor_config.json").get(CODEC) or read(folder / f"{CODEC}_config.json")
    kind = str(codec.get("audio_tokenizer_class", ""))
    processor = _with_codec(folder, kind, codec) if kind else AutoProcessor.from_pretrained(folder, **LOCAL)
    if isinstance(processor, PreTrainedTokenizerBase):
        return processor, None
    tokenizer = getattr(processor, "tokenizer", None) or AutoTokenizer.from_pretrained(folder, **LOCAL)
    return tokenizer, processor


def _with_codec(folder: Path, kind: str, codec: Mapping[str, Any]) -> Any:
    """The processor with the codec that turns what the model writes into sound. The configuration names a repository
    of the hub, where nobody asks: it is read from a copy that names the folder instead.
    """
    repo = str(codec.get("audio_tokenizer_name_or_path", ""))
    found = _beside(folder, CODEC, kind)
    if found is None:
        said = f"{folder.name!r} writes codes and has no codec ({kind}) that makes sound of them."
        offer = repo if repo.count("/") == 1 and not repo.startswith("/") else f"a folder of {kind}"
        raise ModelError(said, f"Put its codec ({offer[:120]}) into its folder, as `{CODEC}`, or beside it.")
    with tempfile.TemporaryDirectory() as place:
        copied = Path(place)
        for file in folder.iterdir():
            if file.is_file() and file.suffix in READ:
                shutil.copyfile(file, copied / file.name)
        (copied / f"{CODEC}_config.json").unlink(missing_ok=True)  # an older place of the same
        told = {
            **read(folder / "processor_config.json"),
            CODEC: {"audio_tokenizer_class": kind, "audio_tokenizer_name_or_path": str(found)},
        }
        (copied / "processor_config.json").write_text(json.dumps(told), "utf-8")
        return AutoProcessor.from_pretrained(copied, **LOCAL)


def _vocoder(folder: Path) -> Path:
    """Where what turns a spectrogram into sound lies."""
    found = _beside(folder, "vocoder", "SpeechT5HifiGan")
    if found is None:
        said = f"{folder.name!r} makes spectrograms and has no vocoder that makes sound of them."
        raise ModelError(said, "Put a HiFi-GAN (as microsoft/speecht5_hifigan) into its folder, as `vocoder`.")
    return found


def _beside(folder: Path, name: str, kind: str) -> Path | None:
    """The folder of a model of class `kind` that this one needs: below it, or beside it."""
    places = [folder / name, *sorted(path for path in folder.parent.iterdir() if path.is_dir())]
    kinds = {place: read(place / "config.json").get("architectures") or () for place in places}
    return next((place for place, heads in kinds.items() if kind in heads), None)
