"""Files of other programs: a checkpoint makes the picture that its pipeline makes, a pickle is refused and why."""

import json
import struct
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from studio.catalog import Catalog
from studio.errors import InvalidInput, ModelError
from studio.families.diffusion.adapters import Adapters
from studio.families.diffusion.loading import open_folder
from studio.hub.file_kinds import layout_of
from studio.hub.safetensors_header import read_header
from studio.hub.single_file import LAYOUTS, clip_words, import_file
from studio.settings import Settings
from studio.types import Device
from tests.families.diffusion import tiny
from tests.hub.ldm_layout import write_checkpoint, write_kohya_lora

CPU = Device(kind="cpu", name="CPU", memory=2**31)


def wide_sdxl(folder: Path) -> Path:
    """A tiny SDXL whose two readers of prompts differ in width, as those of the real one do."""
    torch.manual_seed(2)
    words = tiny.tokenizer(folder / "tokenizer")
    StableDiffusionXLPipeline(
        vae=tiny.autoencoder(),
        text_encoder=CLIPTextModel(tiny.text_config(16)),
        tokenizer=words,
        text_encoder_2=CLIPTextModelWithProjection(tiny.text_config(24)),
        tokenizer_2=words,
        unet=tiny.unet(
            cross_attention_dim=40,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24 + 6 * 8,
        ),
        scheduler=tiny.scheduler(prediction_type="epsilon"),
    ).save_pretrained(folder)
    return folder


def picture(pipe: DiffusionPipeline) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    made = pipe("a fox", height=64, width=64, num_inference_steps=2, generator=generator, output_type="pt")
    return made.images


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """A kind, its pipeline's folder, and the same weights as a file of another program."""
    place = tmp_path_factory.mktemp(request.param)
    folder = wide_sdxl(place / "folder") if request.param == "sdxl" else tiny.build("sd", place / "folder")
    return request.param, folder, write_checkpoint(folder, place / "my checkpoint.safetensors")


def test_a_checkpoint_makes_the_same_picture(pair: tuple[str, Path, Path], settings: Settings) -> None:
    kind, folder, file = pair
    before = file.stat()
    taken = import_file(settings, file, config=folder)
    assert taken.kind == "model" and taken.how == "named by its card"
    model = Catalog(settings).model(taken.id)
    assert model.family == "diffusion" and model.source == "local" and "inpaint" in model.tasks
    assert model.size > file.stat().st_size  # the file is counted, though it lies elsewhere
    assert not list(model.folder.rglob("*.safetensors"))
    assert model.card["layout"] == {"sd": "Stable Diffusion 1.5", "sdxl": "Stable Diffusion XL"}[kind]
    opened = open_folder(model.folder, CPU)
    expected = picture(open_folder(folder, CPU))
    assert torch.allclose(picture(opened), expected, atol=1e-5)
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert import_file(settings, file, config=folder).id == taken.id  # a second time is the same model


def test_a_file_that_went_away_is_named(pair: tuple[str, Path, Path], settings: Settings, tmp_path: Path) -> None:
    _, folder, file = pair
    moved = tmp_path / "away.safetensors"
    moved.write_bytes(file.read_bytes())
    model = Catalog(settings).model(import_file(settings, moved, config=folder).id)
    moved.unlink()
    with pytest.raises(ModelError, match="away.safetensors any more"):
        open_folder(model.folder, CPU)


def test_a_kohya_lora_is_linked_and_changes_the_picture(
    pair: tuple[str, Path, Path], settings: Settings, tmp_path: Path
) -> None:
    kind, folder, _ = pair
    pipe = open_folder(folder, CPU)
    file = write_kohya_lora(pipe.unet, tmp_path / "foxes.safetensors")
    taken = import_file(settings, file)
    assert taken.kind == "lora" and taken.how == "hard link" and taken.id == "foxes"
    assert import_file(settings, file).id == "foxes"
    path = Catalog(settings).adapter("foxes")
    assert path.samefile(file)
    if kind == "sd":
        plain = picture(pipe)
        Adapters(pipe).use([(path, 1.0)], lambda text: None)
        assert (picture(pipe) - plain).abs().mean() > 0.01


@pytest.mark.parametrize("name", ["old.ckpt", "old.pt", "pytorch_model.bin", "x.PTH"])
def test_a_pickle_is_refused_with_the_reason(name: str, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ModelError, match="pickle: opening it can run programs"):
        import_file(settings, file)


def test_what_is_no_checkpoint_is_told_apart(settings: Settings, tmp_path: Path) -> None:
    one = torch.zeros(1)
    kinds = {
        "no checkpoint that is known": {"transformer_blocks.0.weight": one},
        "lacks the reader of prompts": {"model.diffusion_model.x": one, "first_stage_model.x": one},
        "lacks the autoencoder": {"model.diffusion_model.x": one, "cond_stage_model.transformer.x": one},
        "Stable Diffusion 2": {"model.diffusion_model.x": one, "cond_stage_model.model.x": one},
        "refiner": {"model.diffusion_model.x": one, "conditioner.embedders.0.model.x": one},
    }
    for number, (said, weights) in enumerate(kinds.items()):
        file = tmp_path / f"{number}.safetensors"
        save_file({key: value.clone() for key, value in weights.items()}, file)
        with pytest.raises(ModelError, match=said):
            import_file(settings, file)
    with pytest.raises(InvalidInput, match="There is no file"):
        import_file(settings, tmp_path / "nothing.safetensors")
    whole = (tmp_path / "0.safetensors").read_bytes()
    odd = [b"", b"short", whole[:-2], struct.pack("<Q", 2**60) + b"{}", struct.pack("<Q", 2) + b"[]", whole[:20]]
    for number, data in enumerate(odd):
        file = tmp_path / f"odd{number}.safetensors"
        file.write_bytes(data)
        with pytest.raises(ModelError, match="no whole safetensors file"):
            import_file(settings, file)


def test_the_real_layouts_take_their_checkpoints(settings: Settings, tmp_path: Path) -> None:
    """The configurations that come along: the right words, and the right shapes by their own classes."""
    first, v = torch.zeros(1, 9, 1, 1), torch.zeros(1)
    keys = {"model.diffusion_model.input_blocks.0.0.weight": first, "first_stage_model.x": v}
    for layout, prefix in (("sd15", "cond_stage_model.transformer.x"), ("sdxl", "conditioner.embedders.1.model.x")):
        file = tmp_path / f"{layout}.safetensors"
        save_file({key: value.clone() for key, value in {**keys, prefix: v, "v_pred": v}.items()}, file)
        assert layout_of(read_header(file)) == layout
        model = Catalog(settings).model(import_file(settings, file).id)
        assert model.tasks == ("inpaint",) and model.defaults["width"] in (512, 1024)
        index = json.loads((model.folder / "model_index.json").read_text())
        assert index["_class_name"].endswith("InpaintPipeline")
        scheduler = json.loads((model.folder / "scheduler" / "scheduler_config.json").read_text())
        assert scheduler["prediction_type"] == "v_prediction"
        words = CLIPTokenizer.from_pretrained(model.folder / "tokenizer", local_files_only=True)
        assert words("a photo of a cat").input_ids == [49406, 320, 1125, 539, 320, 2368, 49407]
        with torch.device("meta"):
            unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(model.folder / "unet"))
            vae = AutoencoderKL.from_config(AutoencoderKL.load_config(model.folder / "vae"))
            text = CLIPTextModel(CLIPTextConfig.from_pretrained(model.folder / "text_encoder"))
        sizes = [round(sum(p.numel() for p in part.parameters()) / 1e6) for part in (unet, vae, text)]
        assert sizes == [{"sd15": 860, "sdxl": 2567}[layout], 84, 123]
    assert len(clip_words((LAYOUTS / "clip" / "merges.txt").read_text("utf-8"))) == 49408


def test_a_header_is_what_the_file_holds(tmp_path: Path) -> None:
    weights = {"a": torch.zeros(2, 3, dtype=torch.float16), "b": torch.ones(4)}
    save_file(weights, tmp_path / "x.safetensors", metadata={"made": "here"})
    header = read_header(tmp_path / "x.safetensors")
    assert header.parameters == 10 and header.metadata == {"made": "here"}
    assert header.tensors["a"].shape == (2, 3) and header.tensors["a"].precision == "F16"
    assert set(load_file(tmp_path / "x.safetensors")) == set(header.tensors)
