"""Sound models of the real classes at tiny size with random weights, saved as people's folders are."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from diffusers import (
    AceStepPipeline,
    AceStepTransformer1DModel,
    AudioLDM2Pipeline,
    AudioLDM2ProjectionModel,
    AudioLDM2UNet2DConditionModel,
    AutoencoderKL,
    AutoencoderOobleck,
    CosineDPMSolverMultistepScheduler,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    LongCatAudioDiTPipeline,
    LongCatAudioDiTTransformer,
    LongCatAudioDiTVae,
    StableAudioDiTModel,
    StableAudioPipeline,
    StableAudioProjectionModel,
)
from diffusers.pipelines.ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BarkCoarseConfig,
    BarkConfig,
    BarkFineConfig,
    BarkModel,
    BarkProcessor,
    BarkSemanticConfig,
    ClapConfig,
    ClapFeatureExtractor,
    ClapModel,
    CsmConfig,
    CsmDepthDecoderConfig,
    CsmForConditionalGeneration,
    CsmProcessor,
    EncodecConfig,
    EncodecFeatureExtractor,
    GPT2Config,
    GPT2LMHeadModel,
    MimiConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    MusicgenMelodyConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
    RobertaTokenizer,
    SpeechT5Config,
    SpeechT5FeatureExtractor,
    SpeechT5ForTextToSpeech,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    SpeechT5Processor,
    SpeechT5Tokenizer,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
    VitsConfig,
    VitsModel,
    VitsTokenizer,
)

LETTERS = [chr(code) for code in range(33, 127)]
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "Ġ", *LETTERS]


def tokenizer(**marks: Any) -> PreTrainedTokenizerFast:
    """One token a letter, `</s>` at the end."""
    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, **{letter: 3 + k for k, letter in enumerate(["▁", *LETTERS])}}
    made = Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", **marks}
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def lively(model: torch.nn.Module, std: float = 0.2) -> torch.nn.Module:
    """Larger weights than fresh ones, whose choices all look alike."""
    with torch.no_grad():
        for part in model.parameters():
            if part.ndim > 1:
                part.normal_(std=std)
        for name, part in model.named_buffers():
            if name.endswith(("codebook.embed", "codebook.embed_sum")):
                part.normal_(std=3.0)
    return model.eval()


def codec(books: int) -> EncodecConfig:
    """50 frames a second at 8,000 Hz."""
    return EncodecConfig(
        sampling_rate=8000,
        audio_channels=1,
        num_filters=4,
        hidden_size=16,
        codebook_dim=16,
        codebook_size=64,
        upsampling_ratios=[8, 5, 4],
        target_bandwidths=[books * 0.3],
        num_lstm_layers=1,
        use_causal_conv=False,
        norm_type="weight_norm",
        chunk_length_s=None,
        normalize=False,
    )


def musicgen(folder: Path, *, melody: bool = False, stereo: bool = False, places: int = 512) -> Path:
    text = T5Config(
        vocab_size=len(tokenizer()), d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=2, is_encoder_decoder=False
    )
    books = 8 if stereo else 4
    shape: dict[str, Any] = {
        "vocab_size": 64,
        "max_position_embeddings": places,
        "num_hidden_layers": 3,
        "ffn_dim": 64,
        "num_attention_heads": 4,
        "hidden_size": 32,
        "num_codebooks": books,
        "audio_channels": 2 if stereo else 1,
        "pad_token_id": 64,
        "bos_token_id": 64,
    }
    with torch.random.fork_rng():
        torch.manual_seed(7)
        if melody:
            config = MusicgenMelodyConfig(
                text_encoder=text.to_dict(),
                audio_encoder=codec(4).to_dict(),
                decoder=MusicgenMelodyDecoderConfig(**shape).to_dict(),
                chroma_length=5,
            )
            model: Any = MusicgenMelodyForConditionalGeneration(config)
        else:
            config = MusicgenConfig(
                text_encoder=text.to_dict(),
                audio_encoder=codec(4).to_dict(),
                decoder=MusicgenDecoderConfig(**shape).to_dict(),
            )
            model = MusicgenForConditionalGeneration(config)
        lively(model)
    settings = {"decoder_start_token_id": 64, "pad_token_id": 64, "bos_token_id": 64}
    model.generation_config.update(guidance_scale=3.0, do_sample=True, max_length=200, **settings)
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def vits(folder: Path, speakers: int = 3) -> Path:
    letters = ["<pad>", "<unk>", " ", "'", "-", *"abcdefghijklmnopqrstuvwxyz"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({letter: k for k, letter in enumerate(letters)}), "utf-8")
    config = VitsConfig(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        ffn_dim=16,
        flow_size=16,
        spectrogram_bins=17,
        upsample_initial_channel=16,
        upsample_rates=[8, 8],
        upsample_kernel_sizes=[16, 16],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3]],
        prior_encoder_num_flows=2,
        prior_encoder_num_wavenet_layers=1,
        posterior_encoder_num_wavenet_layers=1,
        depth_separable_num_layers=1,
        duration_predictor_num_flows=2,
        num_speakers=speakers,
        speaker_embedding_size=8 if speakers > 1 else 0,
        sampling_rate=4000,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        VitsModel(config).eval().save_pretrained(folder)
    VitsTokenizer(str(folder / "vocab.json"), phonemize=False, language="eng").save_pretrained(folder)
    return folder


def bark(folder: Path) -> Path:
    """Two voices; half a second a sentence."""
    shape: dict[str, Any] = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "block_size": 256}
    words = tokenizer()
    start = len(words)  # the text's tokens come behind this offset
    semantic = BarkSemanticConfig(**shape, input_vocab_size=64 + start + 32, output_vocab_size=64)
    coarse = BarkCoarseConfig(**shape, input_vocab_size=200, output_vocab_size=200)
    fine = BarkFineConfig(**shape, input_vocab_size=65, output_vocab_size=65, n_codes_total=4, n_codes_given=1)
    config = BarkConfig(
        semantic_config=semantic.to_dict(),
        coarse_acoustics_config=coarse.to_dict(),
        fine_acoustics_config=fine.to_dict(),
        codec_config=codec(4).to_dict(),
    )
    ids = {"semantic_vocab_size": 32, "text_encoding_offset": 64, "semantic_pad_token": 33, "semantic_infer_token": 34}
    settings = dict(
        semantic_config={
            **ids,
            "text_pad_token": 35,
            "eos_token_id": 33,
            "max_new_tokens": 12,
            "max_input_semantic_length": 64,
            "semantic_rate_hz": 25,
            "do_sample": True,
        },
        coarse_acoustics_config={
            "n_coarse_codebooks": 2,
            "coarse_rate_hz": 50,
            "coarse_semantic_pad_token": 190,
            "coarse_infer_token": 191,
            "max_coarse_input_length": 64,
            "max_coarse_history": 30,
            "sliding_window_len": 30,
            "do_sample": True,
        },
        fine_acoustics_config={
            "max_fine_history_length": 32,
            "max_fine_input_length": 64,
            "n_fine_codebooks": 4,
            "temperature": 0.5,
        },
        sample_rate=8000,
        codebook_size=64,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        lively(BarkModel(config)).save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps(settings), "utf-8")
    voices = {}
    noise = np.random.default_rng(7)
    for name in ("en_speaker_1", "en_speaker_2"):
        parts = {"semantic_prompt": (8,), "coarse_prompt": (2, 16), "fine_prompt": (4, 16)}
        (folder / "voices").mkdir(exist_ok=True)
        voices[name] = {}
        for part, shape_of in parts.items():
            np.save(folder / "voices" / f"{name}_{part}.npy", noise.integers(0, 32, shape_of))
            voices[name][part] = f"voices/{name}_{part}.npy"
    (folder / "speaker_embeddings_path.json").write_text(json.dumps({"repo_or_path": str(folder), **voices}))
    BarkProcessor(words).tokenizer.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps({"processor_class": "BarkProcessor"}))
    return folder


def speecht5(folder: Path) -> Path:
    """Two voices, and the vocoder in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the quick brown fox jumps over the lazy dog's back, again. why? no! -"] * 4),
        model_writer=made,
        model_type="char",
        vocab_size=40,
        hard_vocab_limit=False,
        bos_id=0,
        pad_id=1,
        eos_id=2,
        unk_id=3,
        minloglevel=2,
    )
    (folder / "spm_char.model").write_bytes(made.getvalue())
    words = SpeechT5Tokenizer(str(folder / "spm_char.model"))
    config = SpeechT5Config(
        vocab_size=len(words),
        hidden_size=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_mel_bins=8,
        reduction_factor=10,
        speech_decoder_prenet_units=16,
        speech_decoder_postnet_units=16,
        speaker_embedding_dim=8,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        conv_dim=[16],
        conv_stride=[2],
        conv_kernel=[3],
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = SpeechT5ForTextToSpeech(config).eval()
        model.speech_decoder_postnet.prob_out.bias.data.fill_(-9.0)  # it goes on until it may no longer
        model.save_pretrained(folder)
        horn = SpeechT5HifiGanConfig(
            model_in_dim=8,
            sampling_rate=4000,
            upsample_initial_channel=8,
            upsample_rates=[4, 4],
            upsample_kernel_sizes=[8, 8],
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
        )
        lively(SpeechT5HifiGan(horn)).save_pretrained(folder / "vocoder")
    SpeechT5Processor(SpeechT5FeatureExtractor(num_mel_bins=8, sampling_rate=16000), words).save_pretrained(folder)
    (folder / "voices").mkdir()
    for name, value in (("anna", 0.5), ("bert", -0.5)):
        np.save(folder / "voices" / f"{name}.npy", np.full(8, value, np.float32))
    return folder


def small_text(width: int) -> T5EncoderModel:
    config = T5Config(vocab_size=len(tokenizer()), d_model=width, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    return T5EncoderModel(config)


def stable_audio(folder: Path) -> Path:
    """At most 2 seconds, stereo, at 4,000 Hz."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        pipe = StableAudioPipeline(
            vae=AutoencoderOobleck(
                encoder_hidden_size=6,
                downsampling_ratios=[2, 4],
                decoder_channels=3,
                decoder_input_channels=3,
                audio_channels=2,
                channel_multiples=[2, 4],
                sampling_rate=4000,
            ),
            text_encoder=small_text(4),
            projection_model=StableAudioProjectionModel(
                text_encoder_dim=4, conditioning_dim=4, min_value=0, max_value=32
            ),
            tokenizer=tokenizer(model_max_length=24),
            transformer=StableAudioDiTModel(
                sample_size=1000,
                in_channels=3,
                num_layers=1,
                attention_head_dim=4,
                num_attention_heads=2,
                num_key_value_attention_heads=2,
                out_channels=3,
                cross_attention_dim=4,
                time_proj_dim=4,
                global_states_input_dim=8,
                cross_attention_input_dim=4,
            ),
            scheduler=CosineDPMSolverMultistepScheduler(
                solver_order=2, prediction_type="v_prediction", sigma_data=1.0, sigma_schedule="exponential"
            ),
        )
    pipe.save_pretrained(folder)
    return folder


def audioldm2(folder: Path) -> Path:
    """Mono at 16,000 Hz."""
    bare = RobertaTokenizer(vocab={word: k for k, word in enumerate(WORDS)}, merges=[], model_max_length=24)
    text = {"vocab_size": len(WORDS), "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1}
    hears = {
        "spec_size": 64,
        "window_size": 4,
        "num_mel_bins": 64,
        "patch_size": 16,
        "patch_stride": [16, 16],
        "depths": [1, 1],
        "num_attention_heads": [1, 1],
        "num_hidden_layers": 1,
        "hidden_size": 32,
        "patch_embeds_hidden_size": 16,
    }
    with torch.random.fork_rng():
        torch.manual_seed(7)
        clap = ClapConfig(
            text_config={**text, "num_attention_heads": 2, "projection_dim": 16, "pad_token_id": 1},
            audio_config={**hears, "projection_dim": 16},
            projection_dim=16,
        )
        pipe = AudioLDM2Pipeline(
            vae=AutoencoderKL(
                block_out_channels=[8, 16],
                in_channels=1,
                out_channels=1,
                norm_num_groups=8,
                down_block_types=["DownEncoderBlock2D"] * 2,
                up_block_types=["UpDecoderBlock2D"] * 2,
                latent_channels=4,
            ),
            text_encoder=ClapModel(clap),
            text_encoder_2=small_text(16),
            projection_model=AudioLDM2ProjectionModel(
                text_encoder_dim=16, text_encoder_1_dim=16, langauge_model_dim=16
            ),
            language_model=GPT2LMHeadModel(
                GPT2Config(
                    n_embd=16,
                    n_head=2,
                    n_layer=1,
                    vocab_size=30,
                    n_positions=99,
                    bos_token_id=1,
                    eos_token_id=2,
                    max_new_tokens=8,
                )
            ),
            tokenizer=bare,
            tokenizer_2=T5Tokenizer(
                vocab=[(word, 0.0) for word in ("<pad>", "</s>", "<unk>", "▁", *LETTERS)],
                extra_ids=0,
                model_max_length=24,
            ),
            feature_extractor=ClapFeatureExtractor(feature_size=64, hop_length=480),
            unet=AudioLDM2UNet2DConditionModel(
                block_out_channels=[8, 16],
                layers_per_block=1,
                norm_num_groups=8,
                sample_size=32,
                in_channels=4,
                out_channels=4,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
                cross_attention_dim=(16, 16),
            ),
            scheduler=DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
            vocoder=lively(
                SpeechT5HifiGan(
                    SpeechT5HifiGanConfig(
                        model_in_dim=64,
                        sampling_rate=16_000,
                        upsample_initial_channel=16,
                        upsample_rates=[5, 4, 8],
                        upsample_kernel_sizes=[10, 8, 16],
                        resblock_kernel_sizes=[3],
                        resblock_dilation_sizes=[[1]],
                        normalize_before=False,
                    )
                )
            ),
        )
    pipe.save_pretrained(folder)
    return folder


def ace_step(folder: Path) -> Path:
    """Stereo at 4,000 Hz, 40 latents a second; sings, and makes covers."""
    layer: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "sliding_window": 16,
    }
    words = tokenizer()
    text = {"vocab_size": len(words), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        pooled = {
            **layer,
            "audio_acoustic_hidden_dim": 8,
            "pool_window_size": 5,
            "num_attention_pooler_hidden_layers": 1,
        }
        pipe = AceStepPipeline(
            vae=AutoencoderOobleck(
                encoder_hidden_size=16,
                downsampling_ratios=[10, 10],
                decoder_channels=8,
                decoder_input_channels=8,
                audio_channels=2,
                channel_multiples=[1, 2],
                sampling_rate=4000,
            ),
            text_encoder=Qwen3Model(Qwen3Config(**text, num_attention_heads=2, num_key_value_heads=1, head_dim=16)),
            tokenizer=words,
            transformer=AceStepTransformer1DModel(
                **layer, num_hidden_layers=2, in_channels=24, audio_acoustic_hidden_dim=8, patch_size=2
            ),
            condition_encoder=AceStepConditionEncoder(
                **layer,
                text_hidden_dim=32,
                timbre_hidden_dim=8,
                num_lyric_encoder_hidden_layers=1,
                num_timbre_encoder_hidden_layers=1,
            ),
            scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
            audio_tokenizer=AceStepAudioTokenizer(**pooled, fsq_dim=32, fsq_input_levels=[4, 4]),
            audio_token_detokenizer=AceStepAudioTokenDetokenizer(**pooled),
        )
    pipe.save_pretrained(folder)
    return folder


def csm(folder: Path) -> Path:
    """A dialogue's speakers; the voice is made by Mimi at 8,000 Hz."""
    words = tokenizer(
        pad_token="<pad>", extra_special_tokens={"audio_token": "<|AUDIO|>", "audio_eos_token": "<|eos|>"}
    )
    shape: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
    }
    mimi = MimiConfig(
        **shape,
        sampling_rate=8000,
        num_filters=4,
        upsampling_ratios=[8, 5],
        codebook_size=32,
        codebook_dim=8,
        vector_quantization_hidden_dimension=8,
        num_quantizers=4,
        upsample_groups=16,
        max_position_embeddings=256,
    )
    depth = CsmDepthDecoderConfig(
        **shape, num_codebooks=4, backbone_hidden_size=16, vocab_size=20, max_position_embeddings=5
    )
    config = CsmConfig(
        **shape,
        num_codebooks=4,
        vocab_size=20,
        text_vocab_size=len(words),
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=1,
        codebook_pad_token_id=19,
        codebook_eos_token_id=18,
        audio_token_id=words.convert_tokens_to_ids("<|AUDIO|>"),
        audio_eos_token_id=words.convert_tokens_to_ids("<|eos|>"),
        depth_decoder_config=depth.to_dict(),
        codec_config=mimi.to_dict(),
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model = lively(CsmForConditionalGeneration(config))
    model.generation_config.update(max_new_tokens=12, do_sample=True)
    model.depth_decoder.generation_config.update(min_new_tokens=3, max_new_tokens=3, do_sample=True)
    model.save_pretrained(folder)
    CsmProcessor(EncodecFeatureExtractor(sampling_rate=8000), words, chat_template="{{ messages }}").save_pretrained(
        folder
    )
    return folder


def longcat(folder: Path) -> Path:
    """Mono at 8,000 Hz; the folder lacks the scheduler, which the class makes itself."""
    words = tokenizer(model_max_length=64)
    text = {"vocab_size": len(words), "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        pipe = LongCatAudioDiTPipeline(
            vae=LongCatAudioDiTVae(
                channels=4,
                c_mults=[1, 2],
                strides=[4, 8],
                latent_dim=8,
                encoder_latent_dim=16,
                downsampling_ratio=32,
                sample_rate=8000,
            ),
            text_encoder=UMT5EncoderModel(UMT5Config(**text, is_encoder_decoder=False)),
            tokenizer=words,
            transformer=LongCatAudioDiTTransformer(dit_dim=32, dit_depth=1, dit_heads=2, dit_text_dim=16, latent_dim=8),
        )
    pipe.save_pretrained(folder)
    return folder
