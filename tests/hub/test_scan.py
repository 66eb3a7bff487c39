"""A folder of another program: listed by headers alone, taken in as links, and left as it was."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file

from studio.catalog import Catalog
from studio.cli import main
from studio.errors import InvalidInput, NotFound
from studio.hub import hub_cache
from studio.hub.file_kinds import kind_of
from studio.hub.hub_cache import how_linked, place_link
from studio.hub.installed import remove
from studio.hub.safetensors_header import read_header
from studio.hub.scan import typed_path, usual_folders, walk
from studio.hub.single_file import import_file
from studio.settings import Settings
from tests.families.diffusion import tiny
from tests.families.diffusion.test_controlnet import build_controlnet
from tests.hub.conftest import vectors

Scan = Callable[..., tuple[int, dict[str, Any], str]]
Shapes = Mapping[str, tuple[int, ...]]
SD15 = {
    "model.diffusion_model.input_blocks.0.0.weight": (2, 4, 1, 1),
    "first_stage_model.decoder.mid.block_1.norm1.weight": (2,),
    "cond_stage_model.transformer.text_model.final_layer_norm.weight": (2,),
}
ATTENDS = "down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"


def write(path: Path, shapes: Shapes, metadata: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: torch.rand(shape) for name, shape in shapes.items()}, path, metadata)
    return path


def lora(path: Path, width: int = 768, metadata: dict[str, str] | None = None) -> Path:
    down, up = f"lora_unet_{ATTENDS}.lora_down.weight", f"lora_unet_{ATTENDS}.lora_up.weight"
    return write(path, {up: (8, 2), down: (2, width)}, metadata)


def state_of(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """What every file of a folder is: its bytes, when it was written, its rights."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns, p.stat().st_mode) for p in files}


def mine(settings: Settings) -> list[str]:
    return [model.id for model in Catalog(settings).models() if model.source != "starter"]


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return tmp_path / "Comfy UI" / "models"


@pytest.fixture
def scan(settings: Settings, capsys: pytest.CaptureFixture) -> Scan:
    """The command; its lines by path."""

    def command(folder: object, *words: str) -> tuple[int, dict[str, Any], str]:
        code = main(["models", "scan", str(folder), *words, "--home", str(settings.home), "--json"])
        told = capsys.readouterr()
        return code, {line["path"]: line for line in map(json.loads, told.out.splitlines())}, told.err

    return command


KINDS: list[tuple[Shapes, dict[str, str] | None, tuple[str, str, str]]] = [
    (SD15, None, ("checkpoint", "Stable Diffusion 1.5", "")),
    ({"model.diffusion_model.double_blocks.0.img_attn.norm.key_norm.scale": (1,)}, None,
     ("checkpoint", "FLUX.1", "folder in the layout of diffusers")),
    ({"double_blocks.0.img_attn.proj.weight": (1, 1)}, None, ("checkpoint", "FLUX.1", "folder in the layout")),
    ({"model.diffusion_model.joint_blocks.0.x_block.mlp.fc1.bias": (1,), "text_encoders.clip_l.x": (1,)}, None,
     ("checkpoint", "Stable Diffusion 3", "folder in the layout")),
    ({"layers.0.adaLN_modulation.0.weight": (1, 1), "cap_embedder.0.weight": (1,)}, None,
     ("checkpoint", "Z-Image", "folder in the layout")),
    ({"model.diffusion_model.x": (1,), "cond_stage_model.model.x": (1,)}, None, ("checkpoint", "", "Diffusion 2")),
    ({f"lora_unet_{ATTENDS}.lora_up.weight": (768, 2), f"lora_unet_{ATTENDS}.lora_down.weight": (2, 2048)}, None,
     ("LoRA", "Stable Diffusion XL", "")),
    ({"unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight": (2, 768)}, None,
     ("LoRA", "Stable Diffusion 1.5", "")),
    ({"transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight": (2, 8)}, None, ("LoRA", "FLUX.1", "")),
    ({"lora_unet_x.lora_down.weight": (2, 8)}, {"ss_base_model_version": "sdxl_base_v1-0"},
     ("LoRA", "Stable Diffusion XL", "")),
    ({"lora_unet_x.hada_w1_a": (2, 8)}, None, ("LoRA", "", "LoHa")),
    ({"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (2, 8)}, None,
     ("LoRA", "a language model", "adapter_config.json")),
    ({"emb_params": (4, 768)}, None, ("embedding", "Stable Diffusion 1.5", "")),
    ({"clip_l": (4, 768), "clip_g": (4, 1280)}, None, ("embedding", "Stable Diffusion XL", "")),
    ({"control_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (8, 768)}, None,
     ("ControlNet", "Stable Diffusion 1.5", "config.json")),
    ({"decoder.mid.block_1.norm1.weight": (1,), "encoder.conv_in.weight": (1,)}, None, ("VAE", "", "alone is not")),
    ({"model.1.sub.0.RDB1.conv1.0.weight": (1,)}, None, ("upscaler", "", "enlarge")),
    ({"image_proj.proj.weight": (1,), "ip_adapter.1.to_k_ip.weight": (1, 1)}, None, ("IP-Adapter", "", "sees")),
    ({"encoder.block.0.layer.0.SelfAttention.q.weight": (1, 1)}, None, ("text encoder", "", "one part")),
    ({"something.else": (300, 300, 3)}, None, ("unknown", "", "no checkpoint that is known")),
]  # fmt: skip


@pytest.mark.parametrize(("shapes", "metadata", "expected"), KINDS, ids=lambda value: str(value)[:50])
def test_a_header_says_what_a_file_is(
    shapes: Shapes, metadata: dict[str, str] | None, expected: tuple[str, str, str], tmp_path: Path
) -> None:
    told = kind_of(read_header(write(tmp_path / "x.safetensors", shapes, metadata)))
    kind, base, problem = expected
    assert (told.kind, told.base) == (kind, base)
    assert problem in told.problem and bool(problem) == bool(told.problem) == bool(told.hint)


def test_listed_chosen_taken_in_and_removed(theirs: Path, scan: Scan, settings: Settings) -> None:
    write(theirs / "checkpoints" / "dream.safetensors", SD15)
    write(theirs / "checkpoints" / "other" / "dream.safetensors", SD15)
    write(theirs / "unet" / "flux.safetensors", {"double_blocks.0.img_attn.proj.weight": (1, 1)})
    lora(theirs / "loras" / "ink 'n wash – été.safetensors")
    (theirs / "embeddings").mkdir()
    (theirs / "embeddings" / "EasyNegative.safetensors").write_bytes(vectors(768))
    (theirs / "embeddings" / "bad-hands.pt").write_bytes(b"\x80\x04cos\nsystem\n")
    (theirs / "checkpoints" / "old.ckpt").write_bytes(b"\x80\x04.")
    (theirs / "loras" / "cut.safetensors").write_bytes(b"short")
    before = state_of(theirs)
    code, told, said = scan(f"'{theirs}'")  # as it is pasted from a file manager
    assert code == 0 and not said
    usable = {path for path, one in told.items() if not one["problem"]}
    assert usable == {"checkpoints/dream.safetensors", "checkpoints/other/dream.safetensors",
                      "loras/ink 'n wash – été.safetensors", "embeddings/EasyNegative.safetensors"}  # fmt: skip
    assert told["checkpoints/dream.safetensors"]["how"] == "named by its card"
    assert told["loras/ink 'n wash – été.safetensors"]["how"] == "hard link"
    assert "flux1-schnell" in told["unet/flux.safetensors"]["hint"]
    assert {path for path, one in told.items() if one["kind"] == "pickle"} == {
        "checkpoints/old.ckpt",
        "embeddings/bad-hands.pt",
    }
    assert not Catalog(settings).adapters() and not mine(settings)  # only listed so far

    code, told, said = scan(theirs, "--take", "LoRA", "--take", "checkpoints/dream.safetensors", "--take", "nothing")
    assert code == 1 and "Nothing there is nothing." in said
    code, told, said = scan(theirs, "--take", "all")
    assert code == 0 and told["embeddings/EasyNegative.safetensors"]["here"] == "EasyNegative"
    assert told["checkpoints/dream.safetensors"]["here"] == "dream"  # taken in before, and known again
    assert told["checkpoints/other/dream.safetensors"]["here"] == "dream-2"
    catalog = Catalog(settings)
    assert catalog.model("dream-2").name == "dream (2)" and catalog.embeddings() == ("EasyNegative",)
    (id,) = catalog.adapters()
    assert catalog.adapter(id).samefile(theirs / "loras" / "ink 'n wash – été.safetensors")
    assert state_of(theirs) == before

    for name in ("dream", "dream-2", id, "EasyNegative"):
        remove(settings, name)
    assert state_of(theirs) == before
    assert not any(one["here"] for one in scan(theirs)[1].values() if one["kind"] != "pickle")


def test_folders_of_models_are_taken_whole(theirs: Path, scan: Scan, settings: Settings) -> None:
    tiny.build("sd", theirs / "main" / "tiny-sd")
    build_controlnet("sd", theirs / "main" / "tiny-sd", theirs / "controlnet" / "canny")
    (theirs / "config.json").write_text('{"theme": "dark"}')  # settings of that program, no model
    pickled = theirs / "main" / "old"
    pickled.mkdir()
    (pickled / "config.json").write_text('{"_class_name": "ControlNetModel"}')
    (pickled / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04.")
    before = state_of(theirs)
    code, told, _ = scan(theirs, "--take", "all")
    assert code == 0 and "pickle" in told["main/old"]["problem"]
    assert {path: one["here"] for path, one in told.items()} == {
        "main/tiny-sd": "tiny-sd",
        "controlnet/canny": "canny",
        "main/old": "",
    }
    model = Catalog(settings).model("tiny-sd")
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert (model.folder / weights).samefile(theirs / "main" / "tiny-sd" / weights)
    assert not (model.folder / "model_index.json").samefile(theirs / "main" / "tiny-sd" / "model_index.json")
    assert [one.id for one in Catalog(settings).controlnets(model)] == ["canny"]
    assert scan(theirs)[1]["main/tiny-sd"]["here"] == "tiny-sd"
    assert main(["models", "import", str(theirs / "main" / "tiny-sd"), "--home", str(settings.home)]) == 0
    assert mine(settings) == ["tiny-sd"]  # a second time it is the same
    for name in ("tiny-sd", "canny"):
        remove(settings, name)
    assert state_of(theirs) == before


def test_links_are_followed_once_and_nothing_is_stuck(theirs: Path, scan: Scan) -> None:
    elsewhere = theirs.parent / "big disk"
    lora(elsewhere / "far.safetensors")
    lora(theirs / "near.safetensors")
    (theirs / "again.safetensors").hardlink_to(theirs / "near.safetensors")
    (theirs / "zoom").symlink_to(theirs)  # a loop
    (theirs / "big").symlink_to(elsewhere)
    (theirs / "self.safetensors").symlink_to("self.safetensors")
    (theirs / "gone.safetensors").symlink_to(theirs / "nothing")
    (theirs / ".hidden").mkdir()
    lora(theirs / ".hidden" / "x.safetensors")
    os.mkfifo(theirs / "pipe.safetensors")  # opening it would wait for ever
    code, told, said = scan(theirs)
    assert code == 0 and set(told) == {"again.safetensors", "big/far.safetensors"}
    assert "self.safetensors was passed over" in said and "gone.safetensors was passed over" in said
    code, told, _ = scan(theirs, "--take", "big/far.safetensors")
    assert told["big/far.safetensors"]["here"] == "far"


def test_names_that_are_no_text_are_told(theirs: Path, scan: Scan, settings: Settings) -> None:
    odd = Path(os.fsdecode(os.fsencode(theirs) + b"/caf\xe9.safetensors"))
    lora(theirs / "plain.safetensors").rename(odd)
    lora(theirs / "two\nlines <b>.safetensors")
    code, told, said = scan(theirs, "--take", "all")
    assert code == 0 and not said
    assert told["caf\ufffd.safetensors"]["problem"] == "Its name is no text (UTF-8)."
    assert told["two\nlines <b>.safetensors"]["here"] == "two-lines--b"
    with pytest.raises(InvalidInput, match="no text"):
        import_file(settings, odd)


@pytest.fixture
def barred() -> Iterator[Path]:
    """A folder with one inside that its reader has no right to, whoever runs the tests."""
    place = Path(tempfile.mkdtemp(prefix="atelier-barred-"))
    place.chmod(0o755)
    lora(place / "open.safetensors")
    (place / "barred").mkdir()
    (place / "barred").chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield place
    if root:
        os.seteuid(0)
    (place / "barred").chmod(0o755)
    (place / "barred").rmdir()
    (place / "open.safetensors").unlink()
    place.rmdir()


def test_a_folder_without_rights_stops_nothing(barred: Path) -> None:
    walked = walk(Settings.load({"home": str(barred / "home")}, {}), barred)
    assert list(walked.paths) == [barred / "open.safetensors"]
    assert walked.unread == ((barred / "barred", "Permission denied"),)


def test_ten_thousand_files_are_read_quickly(theirs: Path, scan: Scan) -> None:
    data = save({f"lora_unet_{ATTENDS}.lora_down.weight": torch.zeros(2, 768)})
    for number in range(40):
        (theirs / str(number)).mkdir(parents=True)
        for k in range(250):
            (theirs / str(number) / f"{k}.safetensors").write_bytes(data)
    began = time.process_time()
    code, told, _ = scan(theirs)
    assert code == 0 and len(told) == 10_000
    assert time.process_time() - began < 15  # of the processor, however busy the machine is


def test_paths_are_read_as_people_give_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    models = tmp_path / "My Models"
    models.mkdir()
    escaped = str(models).replace(" ", "\\ ")
    for typed in ("~/My Models", f" '{models}' ", f'"{models}"', f"file://{tmp_path}/My%20Models", escaped):
        assert typed_path(typed) == models, typed
    for typed in ("", " '' ", "~nobody-of-that-name/x"):
        with pytest.raises(InvalidInput):
            typed_path(typed)
    assert usual_folders() == ()
    (tmp_path / "ComfyUI" / "models").mkdir(parents=True)
    assert usual_folders() == (tmp_path / "ComfyUI" / "models",)


@pytest.mark.parametrize("folder", ["nothing", "x" * 5000, "home/models"])
def test_what_is_no_folder_of_theirs_is_one_sentence(folder: str, scan: Scan, tmp_path: Path) -> None:
    (tmp_path / "home" / "models").mkdir(parents=True)
    code, told, said = scan(tmp_path / folder)
    assert code == 2 and not told
    assert "There is no folder" in said or "this program's own folder" in said


def test_without_links_a_copy_needs_room(
    theirs: Path, settings: Settings, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lora(theirs / "ink.safetensors")
    settings.home.mkdir()
    assert how_linked(file, settings.home) == "hard link"

    def no(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(os, "link", no)
    monkeypatch.setattr(os, "symlink", no)
    shm = Path("/dev/shm")
    if shm.is_dir() and shm.stat().st_dev != settings.home.stat().st_dev:
        with tempfile.TemporaryDirectory(dir=shm) as far:
            assert how_linked(lora(Path(far) / "x.safetensors"), settings.home) == "copy"  # said beforehand
    full = type("Usage", (), {"free": 10})()
    with monkeypatch.context() as patched:
        patched.setattr(hub_cache.shutil, "disk_usage", lambda _: full)
        with pytest.raises(OSError, match="No space left"):
            place_link(file, settings.home / "copy")
        assert not (settings.home / "copy").exists()
    code, told, _ = scan(theirs, "--take", "all")
    assert code == 0 and told["ink.safetensors"]["how"] == "copy"


def test_a_linked_lora_whose_disk_is_away_is_named(theirs: Path, settings: Settings) -> None:
    file = lora(theirs / "ink.safetensors")
    (settings.home / "adapters").mkdir(parents=True)
    (settings.home / "adapters" / "ink.safetensors").symlink_to(file)
    file.unlink()
    with pytest.raises(NotFound, match="ink.safetensors any more"):
        Catalog(settings).adapter("ink")
    lora(theirs / "new" / "ink.safetensors")
    assert import_file(settings, theirs / "new" / "ink.safetensors").id == "ink"  # takes the place of the link
    assert Catalog(settings).adapter("ink").is_file()
