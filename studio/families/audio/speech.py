"""Speech by any text-to-waveform or text-to-spectrogram class of transformers, sentence by sentence. Knows no panel."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase, TextToAudioPipeline
from transformers.models.speecht5.number_normalizer import EnglishNumberNormalizer
from transformers.utils.chat_template_utils import Chat

from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families.audio import CONSENT
from studio.families.audio.folders import CLONING, LATENT, TURNS, chosen_voice
from studio.families.audio.sentences import Sentence, sentences
from studio.families.audio.stretch import stretched
from studio.families.family import Context
from studio.music.levels import Samples, read_sound, writer
from studio.types import Request, Value

SUBMODELS = ("bark", "seamless_m4t", "seamless_m4t_v2")  # hand their settings on to the models they are made of
CHATTED = ("pocket_tts", "gradium_phonon_tts", "higgs_audio_v2", "vibevoice")  # are given a text as a turn of a chat
Deliver = Callable[..., None]


class Speaker:
    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        processor: Any,
        vocoder: PreTrainedModel | None,
        folder: Path,
    ) -> None:
        self.model, self.tokenizer, self.vocoder, self.folder = model, tokenizer, vocoder, folder
        self.processor, self.kind = processor, str(model.config.model_type)
        self.pipe = TextToAudioPipeline(
            model=model, tokenizer=tokenizer, processor=processor, vocoder=vocoder, device=model.device
        )
        rate = self.pipe.sampling_rate
        if not rate:
            raise ModelError(f"{folder.name!r} does not say its sample rate.", "Choose another model.")
        self.rate = int(rate)
        self.own_pace = self.kind == "vits"
        self.reads_digits = not {str(digit) for digit in range(10)}.isdisjoint(tokenizer.get_vocab())

    @property
    def voices(self) -> tuple[str, ...]:
        """By name or number; none for a model of one voice."""
        config = self.model.config
        if self.kind == "bark" and self.processor is not None:
            return tuple(self.processor.available_voice_presets)
        if self.kind == "speecht5":
            return tuple(sorted(file.stem for file in (self.folder / "voices").glob("*.npy")))
        if self.kind in TURNS:
            return TURNS[self.kind]
        if self.kind in LATENT:
            return tuple(sorted(kept_voices(self.folder, self._voice_width)))
        inner = getattr(config, "model_config", config)
        count = getattr(config, "vocoder_num_spkrs", None) or getattr(inner, "num_speakers", None) or 1
        return tuple(map(str, range(count))) if count > 1 else ()

    def voice(self, asked: str) -> str:
        """A known voice, the first where none is asked for; "" for a model of one. InvalidInput."""
        return chosen_voice(self.folder.name, self.voices, asked)

    @torch.inference_mode()
    def say(self, text: str, voice: str, speed: float, temperature: float, language: str, model_voice: Any) -> Samples:
        """(1, samples), at the model's own pace unless it can be told another one."""
        told = self._told(voice, temperature, language)
        if self.own_pace:
            told["speaking_rate"] = speed
        given: Any = f"[{voice}] {text}" if self.kind == "dia" else f"[{voice}]{text}" if self.kind == "csm" else text
        reading: dict[str, Any] = {}
        if self.kind in CHATTED:
            reading["return_tensors"] = "pt"
            before = [] if model_voice is None else [{"type": "audio", "audio": model_voice}]
            if self.kind in LATENT and voice and not before:
                before = [{"type": "audio"}]
                kept = load_file(kept_voices(self.folder, self._voice_width)[voice])
                latents = next(iter(kept.values())).reshape(-1, self._voice_width)
                reading["processor_kwargs"] = {"audio_prompt_latents": [latents.float()]}
            role = voice if self.kind in TURNS else "user"
            given = Chat([{"role": role, "content": [*before, {"type": "text", "text": text}]}])
        if self.kind == "bark" and voice:
            reading["voice_preset"] = voice
        if self.kind in SUBMODELS and language:
            reading["src_lang"] = language
        try:
            inputs = self.pipe.preprocess(given, **reading)
            if self.kind in LATENT:
                told["max_new_tokens"] = self._frames(inputs["input_ids"])
            made = self.pipe.forward(inputs, forward_params=told, generate_kwargs={})
        except ImportError as error:
            line = str(error).strip().splitlines()[0][:160]
            raise ModelError(f"{self.folder.name!r} needs a program that is not here: {line}", "") from error
        except ValueError as error:
            line = str(error).strip().splitlines()[0][:200]
            said = f"The model {self.folder.name!r} does not take this: {line}"
            raise InvalidInput(said, "Change the text, the voice or the language, then try again.") from error
        if self.kind in LATENT:  # which transformers' pipeline leaves undecoded
            return self.processor.decode(made["audio_latents"])[0].numpy()[None]
        if self.kind == "vibevoice" and made["audio"][0] is None:
            return np.zeros((1, 0), np.float32)  # it ended before it began
        return np.atleast_2d(dict(self.pipe.postprocess(made))["audio"])[:1]

    def _told(self, voice: str, temperature: float, language: str) -> dict[str, Any]:
        """What the class's forward or generate is given beside the text."""
        if self.kind == "vits":
            return {"speaker_id": int(voice)} if voice else {}
        if self.kind == "fastspeech2_conformer_with_hifigan":
            return {"speaker_ids": torch.tensor([[int(voice)]], device=self.model.device)} if voice else {}
        if self.kind == "speecht5":
            return {"speaker_embeddings": self._embedding(voice)}
        if self.kind == "bark":
            warm = temperature > 0
            settings = {"do_sample": warm, "temperature": temperature if warm else 1.0}
            return {f"{part}_{k}": v for part in ("semantic", "coarse") for k, v in settings.items()}
        if self.kind in SUBMODELS:
            return {"tgt_lang": language or "eng", **({"speaker_id": int(voice)} if voice else {})}
        told: dict[str, Any] = {"do_sample": temperature > 0}
        if temperature > 0:
            told["temperature"] = temperature
        if self.kind == "csm":
            told |= {f"depth_decoder_{name}": value for name, value in told.items()}
        return told

    def _frames(self, tokens: torch.Tensor) -> int:
        """The most latents that these tokens of one text may take, by the measure of the model's makers. That of
        transformers' pipeline would cut long sentences.
        """
        read = int((tokens != self.model.config.audio_prompt_token_id).sum())
        return math.ceil((read / 3 + 2) * self.model.config.frame_rate)

    @property
    def _voice_width(self) -> int:
        return int(getattr(self.model.config, "audio_prompt_dim", 0) or self.model.config.latent_dim)

    def _embedding(self, voice: str) -> torch.Tensor:
        """(1, width) of a voice, an x-vector kept as voices/NAME.npy; zeros where the folder has none."""
        width = self.model.config.speaker_embedding_dim
        if not voice:
            return torch.zeros(1, width, device=self.model.device, dtype=self.model.dtype)
        try:
            kept = np.load(self.folder / "voices" / f"{voice}.npy", allow_pickle=False).reshape(1, width)
        except (OSError, ValueError) as error:
            said = f"The voice {voice!r} of {self.folder.name!r} is damaged."
            raise ModelError(said, f"It must be {width} numbers.") from error
        return torch.from_numpy(kept).to(self.model.device, self.model.dtype)

    def readable(self, text: str) -> str:
        """As this model can read it: numbers as words where its alphabet has no digits."""
        digits = any(letter.isdigit() for letter in text)
        spoken = EnglishNumberNormalizer()(text) if digits and not self.reads_digits else text
        if self.kind == "vits" and not any(c in self.tokenizer.get_vocab() for c in spoken.lower() if c.isalpha()):
            return ""
        return spoken

    def size(self) -> int:
        parts = [part for part in (self.model, self.vocoder) if part is not None]
        return sum(p.nbytes for part in parts for p in part.parameters())


def kept_voices(folder: Path, width: int) -> dict[str, Path]:
    """Files of a folder's `voices` by name, each one tensor of latents (frames, `width`) or (1, frames, `width`)."""
    found: dict[str, Path] = {}
    for file in (folder / "voices").glob("*.safetensors"):
        try:
            with safe_open(file, "pt") as opened:
                shapes = [opened.get_slice(name).get_shape() for name in opened.keys()]
        except (OSError, SafetensorError):
            continue
        if len(shapes) == 1 and shapes[0][-1] == width and shapes[0][:-2] in ([], [1]):
            found[file.stem] = file
    return found


def speak(speaker: Speaker, request: Request, context: Context, deliver: Deliver) -> None:
    """Every take in turn, one look at it a sentence; Stop keeps the sentences that were said. InvalidInput."""
    params: Mapping[str, Any] = request.params
    voice, pieces = speaker.voice(str(params["voice"]).strip()), _readable(speaker, request.prompt, context)
    recording = _recording(speaker, context, str(params["consent"]))
    if speaker.kind == "speecht5" and not speaker.voices:
        context.warn("This folder has no voices (voices/NAME.npy), so a blank one speaks.")
    count, done = int(params["num_return_sequences"]), 0
    more: dict[str, Value] = {"voice": voice or "its own", "sentences": len(pieces)}
    for take in range(count):
        began, said = time.monotonic(), []
        try:
            for place, sentence in enumerate(pieces):
                with listening(speaker.model, context.check), seeded(request.seed + take, place, speaker.model.device):
                    made = speaker.say(
                        sentence.text,
                        voice,
                        float(params["speed"]),
                        float(params["temperature"]),
                        str(params["language"]).strip(),
                        recording,
                    )
                said += [paced(speaker, made, float(params["speed"])), rest(speaker, sentence, float(params["pause"]))]
                done += 1
                context.progress(done, count * len(pieces), "Speaking")
                context.preview(take, writer(joined(said), speaker.rate, "WAV"), ".wav")
                context.check()
        except Cancelled:
            if said:
                deliver(take, joined(said), speaker.rate, more, stopped=True)
            raise
        deliver(take, joined(said), speaker.rate, {**more, "took": round(time.monotonic() - began, 3)})


def _readable(speaker: Speaker, text: str, context: Context) -> list[Sentence]:
    """The sentences as this model reads them. InvalidInput where it can read none."""
    found = sentences(text)
    if not found:
        raise InvalidInput("There is nothing to say.", "Write a sentence.", field="prompt")
    pieces = [Sentence(spoken, one.paragraph) for one in found if (spoken := speaker.readable(one.text))]
    if not pieces:
        said = f"{speaker.folder.name!r} knows no letter of this text."
        raise InvalidInput(said, "Choose a model of its language.", field="prompt")
    if len(pieces) < len(found):
        context.warn("Some sentences are in letters that this model does not know; they are left out.")
    return pieces


def _recording(speaker: Speaker, context: Context, consent: str) -> Samples | None:
    files = context.inputs.get("voice") or ()
    if not files:
        return None
    if speaker.kind not in CLONING:
        said = f"{speaker.folder.name!r} cannot speak in the voice of a recording."
        raise InvalidInput(said, "Remove it, or choose a model that can (Pocket TTS).", field="voice")
    if consent != CONSENT:
        said = "It is not said that the voice of this recording may be used."
        raise InvalidInput(said, f"Agree to the sentence: {CONSENT}", field="voice")
    return read_sound(files[0], speaker.rate, 1, "voice")[0]


def paced(speaker: Speaker, samples: Samples, speed: float) -> Samples:
    return samples if speaker.own_pace else stretched(samples, speaker.rate, speed)


def rest(speaker: Speaker, sentence: Sentence, pause: float) -> Samples:
    return np.zeros((1, round(pause * (2 if sentence.paragraph else 1) * speaker.rate)), np.float32)


def joined(said: list[Samples]) -> Samples:
    """Without the rest behind the last sentence."""
    return np.concatenate(said[:-1], axis=1)


@contextmanager
def listening(model: PreTrainedModel, check: Callable[[], None]) -> Iterator[None]:
    """While open, `check` is called before each pass through a stack of layers; what it raises ends the work."""
    stacks = [part for part in model.modules() if isinstance(part, torch.nn.ModuleList) and len(part)]
    hooks = [stack[0].register_forward_pre_hook(lambda *_: check()) for stack in stacks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def seeded(seed: int, place: int, device: torch.device) -> Iterator[None]:
    """Random numbers of one sentence of one take; torch's generators are left as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed((seed * 1_000_003 + place) % 2**63)
        yield
