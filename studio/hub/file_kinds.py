"""What a safetensors file of another program is, told by the names and shapes in its header alone: a checkpoint
and of which model, a LoRA, an embedding, a ControlNet ..., and whether it can be used here. Reads no weights, knows no
folders.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.errors import ModelError
from studio.hub.safetensors_header import Header

SD15, SD2, SDXL = "Stable Diffusion 1.5", "Stable Diffusion 2", "Stable Diffusion XL"
NAMES = {"sd15": SD15, "sdxl": SDXL}  # of the layouts that are opened
CHECKPOINT, LORA, EMBEDDING, UNKNOWN = "checkpoint", "LoRA", "embedding", "unknown"
_DENOISER, _DECODER = "model.diffusion_model.", "first_stage_model."
_READERS = {"sd15": "cond_stage_model.transformer.", "sdxl": "conditioner.embedders.1."}
_LORA = ("lora_unet_", "lora_te", "lora_A.", "lora_B.", ".lora_down.", ".lora_up.", ".lora.down.", ".lora.up.", "hada_")
_WIDTHS = {768: SD15, 1024: SD2, 2048: SDXL, 1280: "the refiner of SDXL"}  # of the words that a denoiser attends to
_LARGEST_VECTOR = 200_000  # numbers in one tensor of an embedding

# Models that are opened as folders alone: what only their tensors are called, their name, one of them in our list.
_AS_FOLDERS = (
    ("single_stream_modulation.", "FLUX.2", "flux2-klein-4b"),
    ("distilled_guidance_layer.", "Chroma", "chroma1-hd"),
    ("double_blocks.0.img_attn.", "FLUX.1", "flux1-schnell"),
    ("joint_blocks.0.", "Stable Diffusion 3", "sd35-medium"),
    ("layers.0.adaLN_modulation.0.", "Z-Image", "z-image-turbo"),
    ("cap_embedder.0.", "Lumina 2", "lumina-image-2"),
    ("transformer_blocks.0.img_mod.", "Qwen-Image", "qwen-image"),
    ("blocks.0.cross_attn.q_linear.", "PixArt or Sana", "pixart-sigma"),
    ("head.modulation", "Wan", "wan2.1-t2v-1.3b"),
    ("patchify_proj.", "LTX-Video", "ltx-video"),
    ("txt_in.individual_token_refiner.", "HunyuanVideo", ""),
    ("double_stream_blocks.0.", "HiDream", ""),
    ("double_layers.0.", "AuraFlow", ""),
    ("clip_txt_mapper.", "Stable Cascade", ""),
)
_CONTROL = "A ControlNet is used as a folder with its config.json."
_ENLARGES = "Models that enlarge are used as folders of Swin2SR or of Stable Diffusion's upscalers."
_PART = "It is one part of a model, which is used as a whole."
_WHOLE = "Take the whole model: a checkpoint, or a folder in the layout of diffusers."
# What is none of the above: kind, names that one of its tensors contains, why it is not used, what to do instead.
_OTHERS = (
    ("IP-Adapter", ("ip_adapter.", "image_proj.proj", "image_proj.latents"), "An IP-Adapter needs the model that sees "
     "pictures for it.", "Get 'ip-adapter-sd15' or 'ip-adapter-sdxl' in Models, which bring it along."),
    ("ControlNet", ("control_model.", "controlnet_cond_embedding.", "controlnet_blocks.", "lora_controlnet", "lllite_",
     "controlnet_down_blocks."), _CONTROL, "Get one in Models, 'control-canny-sd15' for instance."),
    ("T2I-Adapter", ("adapter.body.", "body.0.block1."), "T2I-Adapters are not used here.", "Use a ControlNet."),
    ("motion module", ("motion_modules.",), "A motion module is used as a folder with its config.json.",
     "Get 'animatediff-v1-5-3' in Models."),
    ("upscaler", ("conv_first.", "model.1.sub.", "conv_1.sk."), _ENLARGES, "Get 'swin2sr-x2' in Models."),
    ("small VAE", ("taesd", "decoder.layers.18."), "A small autoencoder for previews is used as a folder.",
     "Get 'taesd' in Models."),
    ("VAE", ("decoder.mid.block_1.", "decoder.mid_block.", "decoder.middle.0."), "An autoencoder alone is not used: "
     "each model brings its own.", "Nothing has to be done."),
    ("image encoder", ("vision_model.encoder.", "visual.transformer."), _PART, _WHOLE),
    ("text encoder", ("text_model.encoder.", ".SelfAttention.q.", "transformer.resblocks."), _PART, _WHOLE),
    ("language model", ("model.layers.0.",), "A language model is used as a folder with its config.json.",
     "Take that folder, or get a model in Models."),
    ("U-Net", (_DENOISER, "down_blocks.0.", "input_blocks.0."), _PART, _WHOLE),
)  # fmt: skip
_TOLD = (  # what trainers write of the model that a LoRA was taught on (ss_base_model_version, modelspec.architecture)
    (("flux2", "flux-2", "flux.2"), "FLUX.2"),
    (("flux",), "FLUX.1"),
    (("sdxl", "stable-diffusion-xl"), SDXL),
    (("sd3", "stable-diffusion-3"), "Stable Diffusion 3"),
    (("sd_v2", "stable-diffusion-v2"), SD2),
    (("sd_v1", "sd_1", "stable-diffusion-v1"), SD15),
    (("lumina",), "Lumina 2"),
    (("qwen",), "Qwen-Image"),
    (("wan",), "Wan"),
)


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """`problem` says why nothing here can use it, "" where something can; `hint` what to do instead."""

    kind: str
    base: str = ""  # the model that it is, or is made for; "" where nobody knows
    problem: str = ""
    hint: str = ""


_UNKNOWN = FileKind(
    kind=UNKNOWN,
    problem="This file is no checkpoint that is known here.",
    hint="Checkpoints of Stable Diffusion 1.5 and XL, LoRAs and embeddings are opened as single files. Get others in "
    "Models or with `models get`.",
)


def kind_of(header: Header) -> FileKind:
    """What that file is."""
    if is_lora(header):
        return _lora(header)
    names = header.tensors.keys()
    if any(name.startswith(_DENOISER) for name in names):
        try:
            return FileKind(kind=CHECKPOINT, base=NAMES[layout_of(header)])
        except ModelError as error:
            return FileKind(kind=CHECKPOINT, base=_base_of(header), problem=error.message, hint=error.hint)
    if named := _as_folder(names):
        return FileKind(kind=CHECKPOINT, base=named[0], problem=named[1], hint=named[2])
    together = "\n".join(names)
    for kind, parts, problem, hint in _OTHERS:
        if any(part in together for part in parts):
            return FileKind(kind=kind, base=_base_of(header), problem=problem, hint=hint)
    if is_embedding(header):
        return FileKind(kind=EMBEDDING, base=_base_of_vectors(header))
    return _UNKNOWN


def is_lora(header: Header) -> bool:
    return bool(header.tensors) and any(word in key for key in header.tensors for word in _LORA)


def is_embedding(header: Header) -> bool:
    """Whether it holds the vectors of a word and nothing else: a textual inversion embedding."""
    if not 0 < len(header.tensors) < 10:
        return False
    shapes = [(tensor.shape, tensor.parameters) for tensor in header.tensors.values()]
    flat = all(0 < len(shape) <= 2 and 1 < shape[-1] <= many < _LARGEST_VECTOR for shape, many in shapes)
    names = set(header.tensors)
    return flat and (len(names) == 1 or "emb_params" in names or names == {"clip_l", "clip_g"})


def layout_of(header: Header) -> str:
    """Which layout of checkpoint it is: sd15 or sdxl. ModelError says what it is otherwise, and what to do then."""
    keys = header.tensors.keys()

    def has(prefix: str) -> bool:
        return any(key.startswith(prefix) for key in keys)

    if named := _as_folder(keys):
        raise ModelError(named[1], named[2])
    if not has(_DENOISER):
        raise ModelError(_UNKNOWN.problem, _UNKNOWN.hint)
    layout = next((name for name, prefix in _READERS.items() if has(prefix)), "")
    if not layout and has("cond_stage_model.model."):
        raise ModelError(
            "This is a checkpoint of Stable Diffusion 2, which does not say how it is to be sampled.",
            "Get the model from the hub with `models get`.",
        )
    if not layout and has("conditioner.embedders.0."):
        raise ModelError("This is the refiner of SDXL, which makes no pictures alone.", "Import the base model.")
    if not layout or not has(_DECODER):
        lacking = "the reader of prompts" if not layout else "the autoencoder"
        raise ModelError(
            f"This file lacks {lacking}: it holds only a part of a model.",
            "Use the full checkpoint, or get the model with `models get`.",
        )
    return layout


def _as_folder(names: Iterable[str]) -> tuple[str, str, str] | None:
    """Of a checkpoint that is opened as a folder alone: its name, what is said of it, what to do instead."""
    together = "\n".join(names)
    for part, name, entry in _AS_FOLDERS:
        if part in together:
            said = f"This is {name} as one file; here it is opened only as a folder in the layout of diffusers."
            instead = f"Get {entry!r}" if entry else "Search the hub for such a folder and get it"
            return name, said, f"{instead} in Models or with `models get`."
    return None


def _lora(header: Header) -> FileKind:
    base = _told_base(header.metadata) or _base_of(header)
    names = "\n".join(header.tensors)
    problem = hint = ""
    if ".hada_" in names or (".lokr_" in names and base != "FLUX.2"):
        said = "LoHa" if ".hada_" in names else "LoKr"
        problem, hint = f"It is a {said}, which diffusers does not open for such models.", "Use a plain LoRA."
    elif ".layers.0.self_attn." in names and not header.metadata.get("atelier.base"):
        problem = "A LoRA of a language model is used as a folder with its adapter_config.json."
        hint = "Put that folder into the home's `adapters`."
        base = "a language model"
    return FileKind(kind=LORA, base=base, problem=problem, hint=hint)


def _told_base(metadata: Mapping[str, str]) -> str:
    told = f"{metadata.get('ss_base_model_version', '')} {metadata.get('modelspec.architecture', '')}".lower()
    return next((base for words, base in _TOLD if any(word in told for word in words)), "")


def _base_of(header: Header) -> str:
    """By names that only one kind of model has, else by the width of the words that the denoiser attends to."""
    names = "\n".join(header.tensors)
    if "single_transformer_blocks" in names or "double_blocks" in names:
        return "FLUX.1"
    if "joint_blocks" in names:
        return "Stable Diffusion 3"
    for name, tensor in header.tensors.items():
        attends = "attn2" in name and "to_k" in name and not any(way in name for way in ("lora_up", "lora_B", ".up."))
        if attends and len(tensor.shape) >= 2:
            return _WIDTHS.get(tensor.shape[1], "")
    return SDXL if "lora_te2_" in names or "add_embedding." in names else ""


def _base_of_vectors(header: Header) -> str:
    if {"clip_l", "clip_g"} <= set(header.tensors):
        return SDXL
    widest = max((tensor.shape[-1] for tensor in header.tensors.values() if tensor.shape), default=0)
    return _WIDTHS.get(widest, "")
