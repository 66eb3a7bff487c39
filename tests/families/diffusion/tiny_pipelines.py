"""Builds every listed class of picture pipeline at tiny size with random weights, beside those of tiny.py."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    AutoencoderTiny,
    ChromaPipeline,
    ChromaTransformer2DModel,
    DPMSolverMultistepScheduler,
    DreamLiteMobilePipeline,
    DreamLiteUNetModel,
    ErnieImagePipeline,
    ErnieImageTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    Krea2Pipeline,
    Krea2Transformer2DModel,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    Lumina2Pipeline,
    Lumina2Transformer2DModel,
    OvisImagePipeline,
    OvisImageTransformer2DModel,
    PixArtSigmaPipeline,
    PixArtTransformer2DModel,
    PRXPipeline,
    PRXTransformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    SanaPipeline,
    SanaSprintPipeline,
    SanaTransformer2DModel,
    SCMScheduler,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextModel,
    CLIPTokenizer,
    Gemma2Config,
    Gemma2Model,
    Mistral3Config,
    Mistral3Model,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLModel,
    T5Config,
    T5EncoderModel,
    T5GemmaConfig,
)
from transformers.models.t5gemma.modeling_t5gemma import T5GemmaEncoder

from tests.families.diffusion import tiny

ATTENTION = ("to_q.weight", "to_v.weight", "img_qkv_proj.weight", "to_out.0.weight", "to_qkv_mlp_proj.weight")
WORDS: dict[str, Any] = {  # of a language model that reads the prompt
    "vocab_size": 190,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
EYES = {"depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 16, "patch_size": 14}
ROPE = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
TALK = "{% for m in messages %}{{ m['role'] }} {{ m['content'] }} {% endfor %}"


def talking(folder: Path) -> CLIPTokenizer:
    """Letters, with a template for messages."""
    words = tiny.tokenizer(folder / "tokenizer")
    words.chat_template = TALK
    return words


def flow(**changes: Any) -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(shift=3.0, **changes)


def plain_autoencoder(channels: int = 4, **changes: Any) -> Any:
    return tiny.autoencoder(channels, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.1, **changes)


def t5() -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=190, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=1)
    )


def qwen3(layers: int = 2) -> Qwen3Config:
    return Qwen3Config(**{**WORDS, "num_hidden_layers": layers})


def gemma2() -> Gemma2Model:
    return Gemma2Model(Gemma2Config(**WORDS))


def flux2_autoencoder() -> AutoencoderKLFlux2:
    return AutoencoderKLFlux2(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
    )


def qwen_autoencoder() -> AutoencoderKLQwenImage:
    return AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )


def deep_autoencoder() -> AutoencoderDC:
    """8 pixels a latent and side; Sana's own takes 32."""
    levels = (8, 8, 16, 16)
    return AutoencoderDC(
        latent_channels=4,
        attention_head_dim=8,
        encoder_block_types=("ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "ResBlock", "ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=levels,
        decoder_block_out_channels=levels,
        encoder_layers_per_block=(1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        encoder_qkv_multiscales=((), (), (), (5,)),
        decoder_qkv_multiscales=((), (), (), (5,)),
        scaling_factor=0.41,
    )


def lcm(folder: Path) -> LatentConsistencyModelPipeline:
    return LatentConsistencyModelPipeline(
        vae=tiny.autoencoder(),
        text_encoder=CLIPTextModel(tiny.text_config()),
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        unet=tiny.unet(time_cond_proj_dim=16),
        scheduler=LCMScheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def pixart_sigma(folder: Path) -> PixArtSigmaPipeline:
    return PixArtSigmaPipeline(
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        text_encoder=t5(),
        vae=tiny.autoencoder(),
        transformer=PixArtTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=8,
            num_layers=1,
            cross_attention_dim=16,
            sample_size=16,
            patch_size=2,
            caption_channels=16,
            use_additional_conditions=False,
        ),
        scheduler=DPMSolverMultistepScheduler(),
    )


def sana_transformer(**changes: Any) -> SanaTransformer2DModel:
    return SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=16,
        sample_size=8,
        **changes,
    )


def sana(folder: Path) -> SanaPipeline:
    return SanaPipeline(
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        text_encoder=gemma2(),
        vae=deep_autoencoder(),
        transformer=sana_transformer(),
        scheduler=DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
    )


def sana_sprint(folder: Path) -> SanaSprintPipeline:
    return SanaSprintPipeline(
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        text_encoder=gemma2(),
        vae=deep_autoencoder(),
        transformer=sana_transformer(guidance_embeds=True, qk_norm="rms_norm_across_heads"),
        scheduler=SCMScheduler(),
    )


def prx_words() -> T5GemmaConfig:
    module = {k: v for k, v in WORDS.items() if k not in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False, vocab_size=190)


def prx(folder: Path) -> PRXPipeline:
    return PRXPipeline(
        transformer=PRXTransformer2DModel(
            in_channels=4, patch_size=2, context_in_dim=16, hidden_size=16, num_heads=2, depth=1, axes_dim=[4, 4]
        ),
        scheduler=flow(),
        text_encoder=T5GemmaEncoder(prx_words().encoder),
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        vae=plain_autoencoder(),
        default_sample_size=64,
    )


def flux2_klein(folder: Path) -> Flux2KleinPipeline:
    return Flux2KleinPipeline(
        scheduler=flow(use_dynamic_shifting=True),
        vae=flux2_autoencoder(),
        text_encoder=Qwen3ForCausalLM(qwen3(28)),
        tokenizer=talking(folder),
        transformer=Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
    )


def z_image(folder: Path) -> ZImagePipeline:
    return ZImagePipeline(
        scheduler=flow(),
        vae=plain_autoencoder(16),
        text_encoder=Qwen3Model(qwen3()),
        tokenizer=talking(folder),
        transformer=ZImageTransformer2DModel(
            in_channels=16,
            dim=32,
            n_layers=1,
            n_refiner_layers=1,
            n_heads=2,
            n_kv_heads=2,
            cap_feat_dim=16,
            axes_dims=[8, 4, 4],
            axes_lens=[1024, 64, 64],
        ),
    )


def krea2(folder: Path) -> Krea2Pipeline:
    config = Qwen3VLConfig(text_config={**WORDS, "rope_parameters": ROPE}, vision_config=EYES)
    return Krea2Pipeline(
        scheduler=flow(use_dynamic_shifting=True),
        vae=qwen_autoencoder(),
        text_encoder=Qwen3VLModel(config),
        tokenizer=talking(folder),
        transformer=Krea2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=32,
            timestep_embed_dim=16,
            text_hidden_dim=16,
            num_text_layers=2,
            text_num_attention_heads=2,
            text_num_key_value_heads=2,
            text_intermediate_size=32,
            num_layerwise_text_blocks=1,
            num_refiner_text_blocks=1,
            axes_dims_rope=(4, 2, 2),
        ),
        text_encoder_select_layers=(1, 2),
    )


def ovis(folder: Path) -> OvisImagePipeline:
    return OvisImagePipeline(
        scheduler=flow(use_dynamic_shifting=True),
        vae=plain_autoencoder(),
        text_encoder=Qwen3Model(qwen3()),
        tokenizer=talking(folder),
        transformer=OvisImageTransformer2DModel(
            in_channels=16,
            out_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 4, 8),
        ),
    )


def ernie(folder: Path) -> ErnieImagePipeline:
    config = Mistral3Config(
        text_config={"model_type": "mistral", **WORDS},
        vision_config={
            "model_type": "pixtral",
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "head_dim": 8,
            "image_size": 28,
            "patch_size": 14,
        },
    )
    return ErnieImagePipeline(
        transformer=ErnieImageTransformer2DModel(
            hidden_size=32,
            num_attention_heads=2,
            num_layers=1,
            ffn_hidden_size=32,
            in_channels=16,
            out_channels=16,
            text_in_dim=16,
            rope_axes_dim=(8, 4, 4),
        ),
        vae=flux2_autoencoder(),
        text_encoder=Mistral3Model(config),
        tokenizer=talking(folder),
        scheduler=flow(),
    )


def lumina2(folder: Path) -> Lumina2Pipeline:
    return Lumina2Pipeline(
        transformer=Lumina2Transformer2DModel(
            sample_size=16,
            in_channels=4,
            hidden_size=24,
            num_layers=1,
            num_refiner_layers=1,
            num_attention_heads=3,
            num_kv_heads=1,
            multiple_of=2,
            axes_dim_rope=(4, 2, 2),
            axes_lens=(300, 64, 64),
            cap_feat_dim=16,
        ),
        scheduler=flow(use_dynamic_shifting=True),
        vae=plain_autoencoder(widths=(8, 8, 8, 8)),
        text_encoder=gemma2(),
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
    )


def chroma(folder: Path) -> ChromaPipeline:
    return ChromaPipeline(
        scheduler=flow(),
        vae=plain_autoencoder(),
        text_encoder=t5(),
        tokenizer=tiny.tokenizer(folder / "tokenizer"),
        transformer=ChromaTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 4, 8),
            approximator_num_channels=8,
            approximator_hidden_dim=16,
            approximator_layers=1,
        ),
    )


def qwen_image(folder: Path) -> QwenImagePipeline:
    config = Qwen2_5_VLConfig(text_config={**WORDS, "rope_parameters": ROPE}, vision_config=EYES)
    return QwenImagePipeline(
        scheduler=flow(use_dynamic_shifting=True),
        vae=qwen_autoencoder(),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=talking(folder),
        transformer=QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(8, 4, 4),
        ),
    )


def dreamlite(folder: Path) -> DreamLiteMobilePipeline:
    config = Qwen3VLConfig(text_config={**WORDS, "rope_parameters": ROPE}, vision_config=EYES)
    return DreamLiteMobilePipeline(
        text_encoder=Qwen3VLForConditionalGeneration(config),
        tokenizer=talking(folder),
        processor=None,
        vae=AutoencoderTiny(
            encoder_block_out_channels=(8, 8, 8, 8),
            decoder_block_out_channels=(8, 8, 8, 8),
            num_encoder_blocks=(1, 1, 1, 1),
            num_decoder_blocks=(1, 1, 1, 1),
        ),
        unet=DreamLiteUNetModel(
            sample_size=8,
            block_out_channels=(16, 16, 32),
            layers_per_block=1,
            norm_num_groups=8,
            cross_attention_dim=16,
            attention_head_dim=2,
        ),
        scheduler=flow(use_dynamic_shifting=True),
    )


BUILDERS = {
    "lcm": lcm,
    "pixart-sigma": pixart_sigma,
    "sana": sana,
    "sana-sprint": sana_sprint,
    "prx": prx,
    "flux2-klein": flux2_klein,
    "z-image": z_image,
    "krea2": krea2,
    "ovis": ovis,
    "ernie": ernie,
    "lumina2": lumina2,
    "chroma": chroma,
    "qwen-image": qwen_image,
    "dreamlite": dreamlite,
}
KINDS = (*tiny.KINDS, *BUILDERS)
CLASSES = {
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "FluxPipeline",
    *(builder.__annotations__["return"].__name__ for builder in BUILDERS.values()),
}


def build(kind: str, folder: Path, seed: int = 0) -> Path:
    """The folder of a tiny pipeline of that kind, the same for the same seed."""
    if kind in tiny.KINDS:
        return tiny.build(kind, folder, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipe = BUILDERS[kind](folder)
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                enliven(part)
        pipe.save_pretrained(folder)
    if kind == "prx":  # its makers keep the encoder's weights under the configuration of the whole
        prx_words().save_pretrained(folder / "text_encoder")
    if kind == "dreamlite":  # its makers add a processor, which torchvision alone can make
        index = json.loads((folder / "model_index.json").read_text("utf-8"))
        index["processor"] = ["transformers", "Qwen3VLProcessor"]
        (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
        (folder / "processor").mkdir()
        (folder / "processor" / "preprocessor_config.json").write_text("{}", "utf-8")
    return folder


def enliven(part: torch.nn.Module) -> None:
    """What begins at zero, as the last layers and gates of transformers do, would hide what the words change."""
    for weight in part.parameters():
        if not weight.any():
            torch.nn.init.normal_(weight, std=0.1)


def write_lora(folder: Path, file: Path) -> Path:
    """A LoRA of large random numbers for the denoiser of that folder, under diffusers' own names."""
    part = "unet" if (folder / "unet").is_dir() else "transformer"
    found = load_file(next((folder / part).glob("*.safetensors")))
    kept = {}
    for name, weight in found.items():
        if name.endswith(ATTENTION) and weight.ndim == 2:
            inside = f"{part}.{name.removesuffix('.weight')}"
            kept[f"{inside}.lora_A.weight"] = torch.randn(2, weight.shape[1])
            kept[f"{inside}.lora_B.weight"] = torch.randn(weight.shape[0], 2)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, file)
    return file
