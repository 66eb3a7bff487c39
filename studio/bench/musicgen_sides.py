"""The process of `bench musicgen`: the studio and transformers' `generate` on the same weights, one at a time."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    AutoModelForTextToWaveform,
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
)

from studio.families.audio.musicgen import open_musicgen

WORDS = "a sad slow waltz in d minor with cello and piano"
SAMPLING = {"temperature": 1.0, "top_k": 250, "guidance_scale": 3.0}


def build(folder: Path, layers: int) -> None:
    """Of facebook/musicgen-small's shape with random weights, EnCodec of 32 kHz included; `layers` 24 is the whole."""
    words = ["<pad>", "</s>", "<unk>", *sorted(set(WORDS.split()))]
    tokenizer = Tokenizer(models.WordLevel({word: k for k, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    whole = layers >= 24
    text = T5Config(
        vocab_size=32_128,
        d_model=768,
        d_kv=64,
        d_ff=3072,
        num_layers=12 if whole else 1,
        num_heads=12,
        is_encoder_decoder=False,
    )
    codec = EncodecConfig(
        sampling_rate=32_000,
        audio_channels=1,
        num_filters=64 if whole else 8,
        codebook_size=2048,
        upsampling_ratios=[8, 5, 4, 4],
        target_bandwidths=[2.2],
        use_causal_conv=False,
        norm_type="weight_norm",
        chunk_length_s=None,
        normalize=False,
    )
    decoder = MusicgenDecoderConfig(num_hidden_layers=layers)
    torch.manual_seed(0)
    parts = {"text_encoder": text.to_dict(), "audio_encoder": codec.to_dict(), "decoder": decoder.to_dict()}
    model = MusicgenForConditionalGeneration(MusicgenConfig(**parts))
    model.generation_config.update(decoder_start_token_id=2048, pad_token_id=2048, bos_token_id=2048)
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)


class Bench:
    """Both write the same number of codes and decode them."""

    def __init__(self, folder: Path, frames: int) -> None:
        self.frames, self.plain = frames, self._open(folder)
        self.studio = open_musicgen(self._open(folder), folder)

    def _open(self, folder: Path) -> PreTrainedModel:
        return AutoModelForTextToWaveform.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()

    def facts(self) -> dict[str, Any]:
        return {"parameters": sum(p.numel() for p in self.plain.parameters())}

    def write(self, who: str, takes: int) -> float:
        """Seconds."""
        began = time.perf_counter()
        if who == "studio":
            codes = self.studio.write(
                WORDS,
                "",
                None,
                range(takes),
                self.frames,
                guidance=SAMPLING["guidance_scale"],
                temperature=SAMPLING["temperature"],
                top_k=int(SAMPLING["top_k"]),
                top_p=1.0,
                each=lambda step, steps, grown: None,
            )
            self.studio.sound(codes)
        elif who == "generate":
            self._theirs(takes)
        else:
            for _ in range(takes):
                self._theirs(1)
        return time.perf_counter() - began

    def _theirs(self, takes: int) -> None:
        tokens = self.studio.tokens(WORDS)[0].repeat(takes, 1)
        self.plain.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=True,
            max_new_tokens=self.frames + self.studio.layout.delays[-1],
            **SAMPLING,
        )


def answer(bench: Bench | None, asked: Mapping[str, Any]) -> tuple[Bench | None, dict[str, Any]]:
    if asked["do"] == "build":
        build(Path(asked["folder"]), asked["layers"])
        return bench, {}
    if asked["do"] == "load":
        opened = Bench(Path(asked["folder"]), asked["frames"])
        return opened, opened.facts()
    return bench, {"seconds": bench.write(asked["who"], asked["takes"])} if bench else {}


def main() -> None:
    """Answers each line on what was stdout; what libraries print goes to stderr."""
    reply, sys.stdout = sys.stdout, sys.stderr
    bench: Bench | None = None
    for line in sys.stdin:
        bench, made = answer(bench, json.loads(line))
        reply.write(json.dumps(made) + "\n")
        reply.flush()


if __name__ == "__main__":
    main()
