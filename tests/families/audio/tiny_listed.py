"""More sound models of the real classes at tiny size with random weights: those of presets/models that lie in no other
module of tests, saved as the Hub's folders are.
"""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderSAME,
    FlowMatchEulerDiscreteScheduler,
    StableAudio3DiTModel,
    StableAudio3Pipeline,
)
from diffusers.pipelines.stable_audio_3 import StableAudio3DurationEmbedder
from safetensors.torch import save_file
from tokenizers import processors
from transformers import (
    DacConfig,
    DacModel,
    DiaConfig,
    DiaFeatureExtractor,
    DiaForConditionalGeneration,
    DiaProcessor,
    DiaTokenizer,
    GemmaTokenizer,
    GradiumPhononTTSConfig,
    GradiumPhononTTSForConditionalGeneration,
    PocketTTSAudioTokenizerConfig,
    PocketTTSAudioTokenizerModel,
    PocketTTSConfig,
    PocketTTSFeatureExtractor,
    PocketTTSForConditionalGeneration,
    PocketTTSProcessor,
    T5GemmaConfig,
    T5GemmaEncoderModel,
    VibeVoiceAcousticTokenizerFeatureExtractor,
    VibeVoiceConfig,
    VibeVoiceForConditionalGeneration,
    VibeVoiceProcessor,
)

from tests.families.audio.tiny import LETTERS, lively, tokenizer

MARKS = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
LAYER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
}
# a voice, the words, and the place where the sound begins, as the released models write them
SPOKEN = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'audio' %}VOICE{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}<|begin|>"
)


def stable_audio_3(folder: Path) -> Path:
    """Stereo at 4,000 Hz, 64 samples a latent; the distilled kind, which noises again at each step."""
    words = GemmaTokenizer(vocab={word: k for k, word in enumerate([*MARKS, "▁", *LETTERS])}, model_max_length=24)
    text = {**LAYER, "vocab_size": len(words), "hidden_size": 16, "query_pre_attn_scalar": 16, "sliding_window": 8}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        pipe = StableAudio3Pipeline(
            vae=lively(
                AutoencoderSAME(
                    patch_size=16,
                    encoder_channels=16,
                    encoder_c_mults=[1],
                    encoder_strides=[4],
                    encoder_transformer_depths=[1],
                    latent_dim=8,
                    dim_heads=8,
                    sampling_rate=4000,
                )
            ),
            text_encoder=T5GemmaEncoderModel(
                T5GemmaConfig(encoder=text, decoder=text, is_encoder_decoder=False, vocab_size=len(words))
            ),
            tokenizer=words,
            duration_embedder=StableAudio3DurationEmbedder(output_dim=16, fourier_dim=16),
            transformer=lively(
                StableAudio3DiTModel(
                    io_channels=8,
                    embed_dim=32,
                    depth=1,
                    num_heads=2,
                    cond_token_dim=16,
                    global_cond_dim=16,
                    local_add_cond_dim=9,
                    timestep_features_dim=16,
                    num_memory_tokens=4,
                )
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(stochastic_sampling=True),
        )
    pipe.save_pretrained(folder)
    return folder


def pocket_tts(folder: Path) -> Path:
    """8,000 Hz, 25 latents a second; two voices of its own; its codec lies in it."""
    marks = {"audio_prompt_bos_token": "<|voice-begins|>", "audio_prompt_token": "<|voice|>"}
    words = spoken_tokenizer(**marks, audio_latent_token="<|sound|>", audio_bos_token="<|begin|>")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = PocketTTSForConditionalGeneration(
            PocketTTSConfig(**latent_writer(words), audio_prompt_bos_token_id=id_of(words, "<|voice-begins|>"))
        )
        lively(model).save_pretrained(folder)
        latent_codec(folder, words, SPOKEN.replace("VOICE", "<|voice-begins|><|voice|>"))
    voices(folder, width=8)
    return folder


def phonon(folder: Path) -> Path:
    """As `pocket_tts`; its voices come from a codec that is not in the folder."""
    marks = {"audio_prompt_token": "<|voice|>", "audio_latent_token": "<|sound|>"}
    words = spoken_tokenizer(**marks, audio_bos_token="<|begin|>")
    with torch.random.fork_rng():
        torch.manual_seed(7)
        config = GradiumPhononTTSConfig(
            **latent_writer(words),
            audio_prompt_dim=12,
            num_speakers_vocab_size=4,
            num_speakers_embedding_dim=4,
            duration_delta_embedding_dim=8,
        )
        lively(GradiumPhononTTSForConditionalGeneration(config)).save_pretrained(folder)
        latent_codec(folder, words, SPOKEN.replace("VOICE", "<|voice|>"))
    voices(folder, width=12)
    return folder


def spoken_tokenizer(**marks: str) -> Any:
    """Without the mark of an end: the sound goes on where the words end."""
    words = tokenizer(padding_side="left", extra_special_tokens=marks)
    words.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A", special_tokens=[])
    return words


def id_of(words: Any, token: str) -> int:
    return int(words.convert_tokens_to_ids(token))


def latent_writer(words: Any) -> dict[str, Any]:
    """The configuration that Pocket TTS and Phonon share."""
    return {
        **LAYER,
        "vocab_size": len(words),
        "latent_dim": 8,
        "frame_rate": 25.0,
        "pad_token_id": 0,
        "audio_prompt_token_id": id_of(words, "<|voice|>"),
        "audio_latent_token_id": id_of(words, "<|sound|>"),
        "audio_bos_token_id": id_of(words, "<|begin|>"),
        "flow_head_config": {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "latent_dim": 8,
            "condition_dim": 32,
            "frequency_embedding_size": 8,
        },
    }


def latent_codec(folder: Path, words: Any, template: str) -> None:
    """The codec of Pocket TTS and Phonon below the folder, and the processor, which names it as the Hub does."""
    config = PocketTTSAudioTokenizerConfig(
        sampling_rate=8000,
        hidden_size=16,
        num_filters=4,
        upsampling_ratios=[8, 5],
        latent_stride=8,
        upsample_groups=16,
        num_hidden_layers=1,
        intermediate_size=16,
        num_attention_heads=2,
        num_key_value_heads=2,
        latent_dim=8,
    )
    codec = lively(PocketTTSAudioTokenizerModel(config), 0.3)
    hears = PocketTTSFeatureExtractor(sampling_rate=8000, frame_size=320, pad_to_multiple_of=320)
    named_codec(folder, codec, PocketTTSProcessor(hears, words, codec, chat_template=template))


def named_codec(folder: Path, codec: Any, processor: Any) -> None:
    codec.save_pretrained(folder / "audio_tokenizer")
    codec.name_or_path = "somebody/a-codec"
    processor.save_pretrained(folder)


def voices(folder: Path, width: int) -> None:
    noise = torch.Generator().manual_seed(7)
    (folder / "voices").mkdir()
    for name in ("anna", "bert"):
        latents = torch.randn(5, width, generator=noise) * 3
        save_file({"audio_prompt_latents": latents}, folder / "voices" / f"{name}.safetensors")


def dia(folder: Path) -> Path:
    """A dialogue of two at 8,000 Hz, 50 frames a second; its codec lies in it. What the codes mean is fixed."""
    marks = {"eos_token_id": 1024, "pad_token_id": 1025, "bos_token_id": 1026}
    config = DiaConfig(
        encoder_config={**LAYER, "vocab_size": 256, "max_position_embeddings": 256},
        decoder_config={
            **LAYER,
            **marks,
            "num_key_value_heads": 1,
            "cross_num_attention_heads": 2,
            "cross_head_dim": 16,
            "cross_num_key_value_heads": 2,
            "cross_hidden_size": 32,
            "vocab_size": 1028,
            "max_position_embeddings": 256,
        },
    )
    codec = DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=16,
        downsampling_ratios=[4, 5, 8],
        codebook_dim=4,
        sampling_rate=8000,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model: Any = lively(DiaForConditionalGeneration(config))
        model.generation_config.update(
            max_length=20, do_sample=True, guidance_scale=3.0, temperature=1.3, top_k=20, **marks
        )
        model.generation_config.decoder_start_token_id = 1026
        model.save_pretrained(folder)
        hears = DiaFeatureExtractor(sampling_rate=8000, hop_length=160)
        made: Any = lively(DacModel(codec))
        named_codec(folder, made, DiaProcessor(hears, DiaTokenizer(), made))
    return folder


def vibevoice(folder: Path) -> Path:
    """Speakers by number at 8,000 Hz, 25 latents a second, each by diffusion."""
    begins, ends, goes_on = "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"
    words = tokenizer(extra_special_tokens={"begins": begins, "ends": ends, "goes_on": goes_on})
    hears = {
        "hidden_size": 8,
        "num_filters": 4,
        "downsampling_ratios": [8, 5, 8],
        "depths": [1, 1, 1, 1],
        "ffn_expansion": 2,
    }
    config = VibeVoiceConfig(
        audio_config={"model_type": "vibevoice_acoustic_tokenizer", **hears},
        semantic_model_config={"model_type": "vibevoice_acoustic_tokenizer_encoder", **hears},
        text_config={
            "model_type": "qwen2",
            **{k: v for k, v in LAYER.items() if k != "head_dim"},
            "vocab_size": len(words),
            "max_position_embeddings": 512,
        },
        diffusion_head_config={"num_hidden_layers": 1, "intermediate_size": 16, "frequency_embedding_size": 8},
        pad_token_id=0,
        eos_token_id=1,
        audio_bos_token_id=id_of(words, begins),
        audio_eos_token_id=id_of(words, ends),
        audio_token_id=id_of(words, goes_on),
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model: Any = lively(VibeVoiceForConditionalGeneration(config))
        heads = model.lm_head.weight.data
        heads[[1, id_of(words, begins), id_of(words, ends)]] = heads[id_of(words, goes_on)] * 0.999  # it goes on
        model.generation_config.update(max_new_tokens=12, guidance_scale=1.3, pad_token_id=0, eos_token_id=1)
        model.generation_config.num_diffusion_steps = 3
        model.save_pretrained(folder)
    template = (
        "{% for message in messages %}Speaker {{ message['role'] }}: {% for part in message['content'] %}"
        f"{{% if part['type'] == 'audio' %}}{begins}{goes_on}{ends}{{% else %}}{{{{ part['text'] }}}}{{% endif %}}"
        f"{{% endfor %}}{{% endfor %}}{begins}"
    )
    VibeVoiceProcessor(
        VibeVoiceAcousticTokenizerFeatureExtractor(sampling_rate=8000, pad_to_multiple_of=320),
        words,
        chat_template=template,
    ).save_pretrained(folder)
    return folder
