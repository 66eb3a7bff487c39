"""Metadata in picture files: ours comes back whole, everybody else's is understood, and no file does harm."""

import io
import json
import struct
import time
import tracemalloc
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from studio.errors import DiskFull, InvalidInput, NotFound, StudioError
from studio.library import a1111, comfyui, containers
from studio.library.provenance import Provenance, Recovered, read, write_jpeg, write_png, write_webp
from studio.types import Adapter, Input, Request

PARENT = "ab" * 32
ODD = "a fox\nNegative prompt: none of it\nSteps: 3, a: b, Seed: 4, Size: 9x9"
WRITERS = {"PNG": write_png, "JPEG": write_jpeg, "WEBP": write_webp}
A1111_TEXT = (
    "a fox, (snow:1.2) <lora:ink style:0.8>\nsecond line\nNegative prompt: blurry\n"
    "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 965400086, Size: 512x768, "
    "Model hash: 45dee52b, Model: dream_v8, Denoising strength: 0.5, "
    'Lora hashes: "a: 1, b: 2", Version: v1.10.1'
)


def picture(mode: str = "RGB", size: tuple[int, int] = (24, 16)) -> Image.Image:
    count = len(Image.new(mode, (1, 1)).tobytes())
    return Image.frombytes(mode, size, bytes(i * 37 % 256 for i in range(size[0] * size[1] * count)))


def made(prompt: str = "a red fox", negative: str = "blurry, dark", **changes: object) -> Provenance:
    request = Request(
        task="image_to_image", model="starter-image", prompt=prompt, seed=7, parent=PARENT,
        params={"num_inference_steps": 12, "guidance_scale": 3.5, "scheduler": "dpmpp_2m_karras",
        "strength": 0.6,
                "num_images_per_prompt": 4, "negative_prompt": negative, "tiling": "none"},
        inputs=(Input(role="init_image", artifact=PARENT),), adapters=(Adapter(id="ink", weight=0.8),),
    )  # fmt: skip
    fields: dict[str, object] = {
        "request": request.to_dict(), "prompt": prompt, "negative_prompt": negative, "params": request.params,
        "seed": 9, "model": request.model, "width": 24, "height": 16, "versions": {"atelier": "1.2"},
        "job": "j1",
        "index": 2, "parents": (PARENT,), "composite": True,
    }  # fmt: skip
    return Provenance(**{**fields, **changes})  # pyright: ignore[reportArgumentType]


def png_bytes(**texts: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    buffer = io.BytesIO()
    picture().save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def recovered(tmp_path: Path, data: bytes) -> Recovered | None:
    path = tmp_path / "some.bin"
    path.write_bytes(data)
    return read(path)


def certainly(found: Recovered | None) -> Recovered:
    assert found is not None
    return found


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(*chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    return containers.PNG + head + b"".join(chunks) + chunk(b"IEND", b"")


# --- ours


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("prompt", ["a red fox", ODD, '🦊 رأس <b>&amp;</b> "q"', "", "x " * 60_000])
def test_ours_comes_back_whole(tmp_path: Path, form: str, prompt: str) -> None:
    target, record = tmp_path / "out.bin", made(prompt)
    WRITERS[form](picture(), target, record)
    found = certainly(read(target))
    assert found.source == "atelier"
    assert (found.prompt, found.negative_prompt) == (prompt.strip()[:100_000].strip(), "blurry, dark")
    alone = Request.from_dict(record.request).with_params(num_images_per_prompt=1).replace(seed=7 + 2)
    assert Request.from_dict(certainly(found).request or {}) == alone
    assert found.params["seed"] == 9
    assert found.params["loras"] == [{"id": "ink", "weight": 0.8}]
    assert {k: found.params[k] for k in ("width", "height", "tiling", "scheduler")} == {
        "width": 24, "height": 16, "tiling": "none", "scheduler": "dpmpp_2m_karras",
    }  # fmt: skip
    with Image.open(target) as image:
        assert (image.format, image.size) == (form, (24, 16))
        image.load()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_no_pixel_changes(tmp_path: Path, form: str, mode: str) -> None:
    WRITERS[form](picture(mode), tmp_path / "out", made())
    with Image.open(tmp_path / "out") as image:
        assert image.convert(mode).tobytes() == picture(mode).tobytes()


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("how", [{}, {"lossless": True}, {"quality": 60}, {"exif": Image.Exif()}])
def test_files_are_not_encoded_again_and_may_be_rewritten_in_place(tmp_path: Path, form: str, how: dict) -> None:
    path = tmp_path / "x"
    picture().save(path, form, **how)
    with Image.open(path) as image:
        before = image.convert("RGB").tobytes()
    WRITERS[form](path, path, made("first"))
    size = path.stat().st_size
    WRITERS[form](path, path, made("other"))
    assert path.stat().st_size == size
    assert certainly(read(path)).prompt == "other"
    with Image.open(path) as image:
        assert image.convert("RGB").tobytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_picture_data_and_other_chunks_stay_byte_for_byte(tmp_path: Path) -> None:
    data = png_bytes(parameters="old", workflow="{}")
    (tmp_path / "in.png").write_bytes(data)
    write_png(tmp_path / "in.png", tmp_path / "out.png", made())
    with Image.open(tmp_path / "out.png") as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        assert image.text["workflow"] == "{}"
        assert image.text["parameters"].startswith("a red fox <lora:ink:0.8>\nNegative prompt: blurry, dark\nSteps: 12")
    assert data[data.index(b"IDAT") :] == (tmp_path / "out.png").read_bytes()[-len(data[data.index(b"IDAT") :]) :]


@pytest.mark.parametrize("form", WRITERS)
def test_other_programs_can_read_it(tmp_path: Path, form: str) -> None:
    target = tmp_path / "out"
    WRITERS[form](picture(), target, made("рыжая fox"))
    with Image.open(target) as image:
        packet = image.info["xmp"]
        tree = ElementTree.fromstring(packet.decode().strip("\ufeff\0"))
        told = {element.tag.rpartition("}")[2]: element.text for element in tree.iter()}
        assert told["DigitalSourceType"] == (
            "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
        )
        assert told["CreatorTool"] == "Atelier 1.2"
        if form != "PNG":
            comment = image.getexif().get_ifd(0x8769)[0x9286]
            assert comment[:8] == b"UNICODE\0"
            assert comment[8:].decode("utf-16-be").startswith("рыжая fox <lora:ink:0.8>\nNegative prompt: blurry")
            assert image.getexif()[0x0131] == "Atelier 1.2"
    write_png(picture(), target, made(composite=False))
    assert b"digitalsourcetype/trainedAlgorithmicMedia<" in target.read_bytes()


def test_orientation_is_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in ("JPEG", "WEBP"):
        picture().save(tmp_path / form, form, exif=exif)
        WRITERS[form](tmp_path / form, tmp_path / form, made())
        with Image.open(tmp_path / form) as image:
            assert image.getexif()[0x0112] == 6
        assert certainly(read(tmp_path / form)).source == "atelier"


def test_other_formats_are_converted(tmp_path: Path) -> None:
    picture().save(tmp_path / "in.webp", "WEBP", lossless=True)
    write_png(tmp_path / "in.webp", tmp_path / "out.png", made())
    picture("RGBA").save(tmp_path / "in.png")
    write_jpeg(tmp_path / "in.png", tmp_path / "out.jpg", made())
    with Image.open(tmp_path / "out.png") as png, Image.open(tmp_path / "out.jpg") as jpeg:
        assert (png.format, jpeg.format) == ("PNG", "JPEG")
        assert png.tobytes() == picture().tobytes()


@pytest.mark.parametrize("form", WRITERS)
def test_damaged_sources_are_refused_and_leave_the_target_alone(tmp_path: Path, form: str) -> None:
    buffer = io.BytesIO()
    picture().save(buffer, form)
    whole = buffer.getvalue()
    target = tmp_path / "out"
    target.write_text("old")
    for data in (
        b"",
        b"text as a picture",
        whole[:12],
        whole[:20],
        *([] if form == "JPEG" else [whole[:-20]]),
    ):
        (tmp_path / "in").write_bytes(data)
        with pytest.raises(InvalidInput) as raised:
            WRITERS[form](tmp_path / "in", target, made())
        assert raised.value.hint
    with pytest.raises(NotFound):
        WRITERS[form](tmp_path / "nowhere", target, made())
    assert target.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="cannot be written"):
        write_png(picture(), tmp_path / "no" / "folder.png", made())
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiskFull):
        write_png(picture(), tmp_path / "folder", made())
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "change",
    [
        {"request": 3}, {"request": {}}, {"request": {"task": 1, "model": "m"}},
        {"request": {"task": "t", "model": "m", "inputs": [{"role": "x", "artifact": "../../etc"}]}},
        {"request": {"task": "t", "model": "m", "inputs": 3}}, {"request": {"task": "t", "model": "m",
        "params": []}},
        {"request": {"task": "t", "model": "m", "parent": ["x"]}}, {"request": {"task": "t", "model": "m",
        "seed": -1}},
        {"request": {"task": "t", "model": "m", "adapters": [3]}},
        {"request": {"task": "t", "model": "m", "adapters": [{"id": "x", "weight": "heavy"}]}},
    ],
)  # fmt: skip
def test_an_unsound_request_of_ours_is_not_handed_on(tmp_path: Path, change: dict) -> None:
    found = recovered(tmp_path, png_bytes(atelier=json.dumps({"prompt": "a fox", "seed": 3, **change})))
    assert (certainly(found).request, certainly(found).prompt, certainly(found).params) == (
        None,
        "a fox",
        {"seed": 3},
    )


# --- the A1111 text


def test_a1111_png(tmp_path: Path) -> None:
    expected = {
        "num_inference_steps": 20, "guidance_scale": 7.0, "seed": 965400086, "width": 512, "height": 768,
        "scheduler": "dpmpp_2m_karras", "strength": 0.5, "model": "dream_v8",
        "loras": [{"id": "ink style", "weight": 0.8}],
    }  # fmt: skip
    found = certainly(recovered(tmp_path, png_bytes(parameters=A1111_TEXT)))
    assert (found.source, found.prompt, found.negative_prompt) == (
        "a1111",
        "a fox, (snow:1.2)\nsecond line",
        "blurry",
    )
    assert found.params == expected
    packed = certainly(
        recovered(tmp_path, png_of(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(A1111_TEXT.encode()))))
    )
    assert packed == found


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        (b"UNICODE\0", "utf-16-be"),
        (b"UNICODE\0", "utf-16-le"),
        (b"ASCII\0\0\0", "ascii"),
        (bytes(8), "utf-8"),
        (b"", "utf-8"),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "WEBP", "PNG"])
def test_a1111_exif_comment(tmp_path: Path, form: str, head: bytes, codec: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = head + A1111_TEXT.encode(codec)
    picture().save(tmp_path / "x", form, exif=exif.tobytes())
    found = certainly(read(tmp_path / "x"))
    assert (found.source, found.params["seed"], found.negative_prompt) == ("a1111", 965400086, "blurry")


def test_words_without_parameters(tmp_path: Path) -> None:
    found = certainly(recovered(tmp_path, png_bytes(parameters="only words: yes, and more")))
    assert (found.source, found.prompt, dict(found.params)) == ("a1111", "only words: yes, and more", {})
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0a fox"
    picture().save(tmp_path / "x", "JPEG", exif=exif)
    assert read(tmp_path / "x") == Recovered(source="exif", prompt="a fox")


def test_nonsense_values_are_left_out_one_by_one(tmp_path: Path) -> None:
    line = "Steps: many, Sampler: Restart, CFG scale: nan, Seed: -1, Size: 0x512, Model: m"
    line += ", Denoising strength: 7"
    found = certainly(recovered(tmp_path, png_bytes(parameters=f"a fox\n{line}")))
    assert dict(found.params) == {"height": 512, "model": "m"}
    assert found.left_out == ("sampler Restart",)


lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
prompts = st.lists(
    lines
    | st.sampled_from(["Steps: 1, Seed: 2, Size: 3x4", "Negative prompt: x", 'a: "b, c: d', "", "1: 2, 3: 4, 5: 6"]),
    max_size=4,
).map("\n".join)


@given(
    prompt=prompts, negative=prompts, model=lines, seed=st.integers(0, 2**64 - 1), steps=st.integers(1, 150),
    guidance=st.floats(0, 30), strength=st.none() | st.floats(0, 1), scheduler=st.sampled_from(["euler_a",
    "default", "lcm"]),
    lora=st.none() | st.tuples(st.sampled_from(["ink", "a b", "x-1"]), st.sampled_from([0.5, 1.0, -2.0])),
)  # fmt: skip
@example(
    prompt=ODD,
    negative=ODD,
    model='a "b", c: d',
    seed=0,
    steps=1,
    guidance=1.0,
    strength=0.0,
    scheduler="lcm",
    lora=None,
)
@settings(max_examples=400, deadline=None)
def test_a1111_round_trip(prompt, negative, model, seed, steps, guidance, strength, scheduler, lora) -> None:
    params = {
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "strength": strength,
        "scheduler": scheduler,
    }
    text = a1111.write(
        prompt,
        negative,
        params,
        seed=seed,
        model=model,
        size=(512, 640),
        version="Atelier 1",
        loras=[lora] if lora else [],
    )
    found = a1111.read(text)
    assert found.prompt == plain(prompt)
    assert found.negative_prompt == plain(negative)
    expected = {
        "num_inference_steps": steps, "guidance_scale": guidance, "seed": seed, "width": 512, "height": 640,
        "model": " ".join(model.split())[:200].strip() or None, "strength": strength,
        "scheduler": None if scheduler == "default" else scheduler,
        "loras": [{"id": lora[0], "weight": lora[1]}] if lora else None,
    }  # fmt: skip
    assert dict(found.params) == {key: value for key, value in expected.items() if value is not None}


def plain(text: str) -> str:
    """What the format can hold of a text: no blanks at the ends of lines, no line that reads like its own."""
    stripped = "\n".join(line.strip() for line in text.strip().split("\n")).strip()
    return "\n".join(
        line.replace("Negative prompt:", "Negative prompt :", 1) if line.startswith("Negative prompt:") else line
        for line in stripped.split("\n")
    )


# --- the peers


def test_invokeai(tmp_path: Path) -> None:
    metadata = {
        "generation_mode": "txt2img", "positive_prompt": "a fox", "negative_prompt": "dark", "width": 512,
        "height": 640,
        "seed": 12, "cfg_scale": 7.5, "steps": 30, "scheduler": "euler_a", "model": {"name": "Dream",
        "key": "k"},
        "loras": [{"model": {"name": "ink"}, "weight": 0.75}], "strength": 0.4, "app_version": "6.13",
    }  # fmt: skip
    found = certainly(recovered(tmp_path, png_bytes(invokeai_metadata=json.dumps(metadata), invokeai_graph="{}")))
    assert (found.source, found.prompt, found.negative_prompt) == ("invokeai", "a fox", "dark")
    assert found.params == {
        "num_inference_steps": 30, "guidance_scale": 7.5, "seed": 12, "width": 512, "height": 640,
        "scheduler": "euler_a",
        "strength": 0.4, "model": "Dream", "loras": [{"id": "ink", "weight": 0.75}],
    }  # fmt: skip


def test_swarmui(tmp_path: Path) -> None:
    parameters = {
        "sui_image_params": {
            "prompt": "a fox", "negativeprompt": "dark", "model": "folder/flux.safetensors", "seed": 5,
            "steps": 8,
            "cfgscale": 1.0, "width": 1024, "height": 768, "sampler": "dpmpp_2m", "scheduler": "karras",
            "loras": ["a/ink"], "loraweights": ["0.5"], "swarm_version": "0.9.8",
        },
        "sui_extra_data": {"date": "x"},
    }  # fmt: skip
    found = certainly(recovered(tmp_path, png_bytes(parameters=json.dumps(parameters))))
    assert (found.source, found.prompt) == ("swarmui", "a fox")
    assert found.params == {
        "num_inference_steps": 8, "guidance_scale": 1.0, "seed": 5, "width": 1024, "height": 768,
        "model": "flux",
        "scheduler": "dpmpp_2m_karras", "loras": [{"id": "ink", "weight": 0.5}],
    }  # fmt: skip


FOOOCUS = {
    "prompt": "a fox", "negative_prompt": "dark", "performance": "Speed", "steps": 30,
    "resolution": "(1152, 896)",
    "guidance_scale": 4.0, "base_model": "juggernaut.safetensors", "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "77", "lora_combined_1": "offset.safetensors : 0.1", "version": "Fooocus v2.5.5",
}  # fmt: skip


def test_fooocus_png_and_jpeg(tmp_path: Path) -> None:
    found = certainly(recovered(tmp_path, png_bytes(parameters=json.dumps(FOOOCUS), fooocus_scheme="fooocus")))
    assert (found.source, found.prompt, found.negative_prompt) == ("fooocus", "a fox", "dark")
    assert found.params == {
        "num_inference_steps": 30, "guidance_scale": 4.0, "seed": 77, "width": 1152, "height": 896,
        "scheduler": "dpmpp_sde", "model": "juggernaut", "loras": [{"id": "offset", "weight": 0.1}],
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x9286], exif[0x927C], exif[0x0131] = json.dumps(FOOOCUS), "fooocus", "Fooocus v2.5.5"
    picture().save(tmp_path / "x", "JPEG", exif=exif)
    assert read(tmp_path / "x") == found
    text = certainly(recovered(tmp_path, png_bytes(parameters=A1111_TEXT, fooocus_scheme="a1111")))
    assert (text.source, text.params["seed"]) == ("fooocus", 965400086)


def test_novelai(tmp_path: Path) -> None:
    comment = {"steps": 28, "sampler": "k_euler_ancestral", "seed": 3, "scale": 5.0, "uc": "dark",
    "width": 832,
               "height": 1216, "v4_prompt": {"caption": {"base_caption": "a fox"}}}  # fmt: skip
    found = recovered(
        tmp_path,
        png_bytes(Software="NovelAI", Description="older", Comment=json.dumps(comment), Source="NAI Diffusion V4"),
    )
    assert (certainly(found).source, certainly(found).prompt, certainly(found).negative_prompt) == (
        "novelai",
        "a fox",
        "dark",
    )
    assert certainly(found).params == {
        "num_inference_steps": 28, "guidance_scale": 5.0, "seed": 3, "width": 832, "height": 1216,
        "scheduler": "euler_a",
        "model": "NAI Diffusion V4",
    }  # fmt: skip


COMFY = {
    "3": {"class_type": "KSampler", "inputs": {
        "seed": ["20", 0], "steps": 20, "cfg": 8.0, "sampler_name": "euler_ancestral", "scheduler": "normal",
        "denoise": 1.0, "model": ["10", 0], "positive": ["12", 0], "negative": ["7", 0],
        "latent_image": ["5", 0]}},
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "sub\\dream.safetensors"}},
    "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768, "batch_size": 1}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": ["21", 0], "clip": ["4", 1]}},
    "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "dark", "clip": ["4", 1]}},
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["30", 0], "vae": ["4", 2]}},
    "10": {"class_type": "LoraLoader", "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.7,
    "model": ["4", 0]}},
    "12": {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["6", 0], "negative": ["7", 0],
    "image": ["x", 0]}},
    "20": {"class_type": "PrimitiveInt", "inputs": {"value": 99}},
    "21": {"class_type": "StringConstant", "inputs": {"string": "a fox"}},
    "30": {"class_type": "KSampler", "inputs": {
        "seed": 5, "steps": 10, "cfg": 4.0, "sampler_name": "ddim", "denoise": 0.5, "model": ["4", 0],
        "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["31", 0]}},
    "31": {"class_type": "LatentUpscale", "inputs": {"samples": ["3", 0], "width": 1024, "height": 1536}},
}  # fmt: skip


def test_comfyui(tmp_path: Path) -> None:
    found = certainly(recovered(tmp_path, png_bytes(prompt=json.dumps(COMFY), workflow="{}")))
    assert (found.source, found.prompt, found.negative_prompt) == ("comfyui", "a fox", "dark")
    assert found.params == {
        "num_inference_steps": 20, "guidance_scale": 8.0, "seed": 99, "width": 512, "height": 768,
        "scheduler": "euler_a",
        "model": "dream", "loras": [{"id": "ink", "weight": 0.7}],
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0110], exif[0x010F] = "prompt:" + json.dumps(COMFY), "workflow:{}"
    picture().save(tmp_path / "x", "WEBP", exif=exif)
    assert read(tmp_path / "x") == found


def test_comfyui_custom_sampler() -> None:
    graph = {
        "1": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["2", 0], "guider": ["3", 0],
        "sampler": ["4", 0],
              "sigmas": ["5", 0], "latent_image": ["6", 0]}},
        "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 42}},
        "3": {"class_type": "BasicGuider", "inputs": {"model": ["7", 0], "conditioning": ["8", 0]}},
        "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "5": {"class_type": "BasicScheduler", "inputs": {"scheduler": "simple", "steps": 4, "denoise": 0.8}},
        "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": 1024, "height": 512}},
        "7": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux.safetensors"}},
        "8": {"class_type": "FluxGuidance", "inputs": {"guidance": 3.5, "conditioning": ["9", 0]}},
        "9": {"class_type": "CLIPTextEncodeFlux", "inputs": {"clip_l": "a fox", "t5xxl": "a fox"}},
    }  # fmt: skip
    found = certainly(comfyui.read(json.dumps(graph)))
    assert (found.prompt, found.negative_prompt) == ("a fox", "")
    assert found.params == {
        "num_inference_steps": 4, "seed": 42, "width": 1024, "height": 512, "scheduler": "euler",
        "model": "flux",
        "strength": 0.8,
    }  # fmt: skip


nodes = st.fixed_dictionaries(
    {
        "class_type": st.sampled_from(["KSampler", "CLIPTextEncode", "LoraLoader", "X",
        "ConditioningZeroOut"]),
        "inputs": st.dictionaries(
            st.sampled_from(["positive", "negative", "model", "text", "latent_image", "samples", "seed",
            "conditioning",
                             "string_a", "string_b", "width", "height", "lora_name", "lora_1", "noise",
                             "guider"]),
            st.tuples(st.sampled_from("12345"),
            st.just(0)).map(list) | st.integers() | st.text(max_size=3) | st.just([None, {}]),
        ),
    }
)  # fmt: skip


@given(st.dictionaries(st.sampled_from("12345"), nodes))
@settings(max_examples=300, deadline=None)
def test_knotted_graphs_end(graph: dict) -> None:
    found = comfyui.read(json.dumps(graph))
    assert found is None or isinstance(found.prompt, str)


def test_ours_wins_over_the_others(tmp_path: Path) -> None:
    both = png_bytes(prompt=json.dumps(COMFY), parameters=A1111_TEXT, atelier=made(ODD).json())
    assert certainly(recovered(tmp_path, both)).prompt == ODD


# --- harm


def bomb(kind: bytes) -> bytes:
    packed = zlib.compress(bytes(200 * 2**20), 9)
    head = b"parameters\0\0" if kind == b"zTXt" else b"parameters\0\1\0\0\0"
    return png_of(chunk(kind, head + packed))


HARM = {
    "empty": lambda: b"",
    "text as png": lambda: b"not a picture at all" * 50,
    "ztxt bomb": lambda: bomb(b"zTXt"),
    "itxt bomb": lambda: bomb(b"iTXt"),
    "100 MB text": lambda: png_of(chunk(b"tEXt", b"parameters\0" + b"x" * 100 * 2**20)),
    "many texts": lambda: png_of(*[chunk(b"tEXt", b"k%d\0" % i + b"x" * 2**20) for i in range(60)]),
    "many chunks": lambda: png_of(chunk(b"tIME", b"") * 400_000),
    "nested json": lambda: png_bytes(parameters='{"a":' * 100_000, prompt="[" * 100_000, atelier='{"a":[' * 100_000),
    "bad utf-8": lambda: png_of(chunk(b"iTXt", b"atelier\0\0\0\0\0\xff\xfe{")),
    "huge number": lambda: png_bytes(atelier='{"request":{},"seed":' + "9" * 5000 + "}"),
    "lying length": lambda: containers.PNG + b"\xff\xff\xff\xfftEXtparameters\0x",
    "no keyword": lambda: png_of(chunk(b"zTXt", b""), chunk(b"iTXt", b""), chunk(b"tEXt", b""), chunk(b"eXIf", b"")),
    "jpeg lies": lambda: b"\xff\xd8\xff\xe1\x00\x01" + b"\xff" * 100_000,
    "webp lies": lambda: b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff",
    "exif loop": lambda: png_of(chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + b"\x87\x69\0\4\0\0\0\1\0\0\0\x08" * 5000)),
}


@pytest.mark.parametrize("name", HARM)
def test_harmful_files_cost_little_and_say_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(HARM[name]())
    tracemalloc.start()
    start = time.perf_counter()
    found = read(path)
    seconds, (_, most) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is None or not found.params
    assert seconds < 10  # under tracemalloc, on a busy machine; a bomb would take minutes or gigabytes
    assert most < 120 * 2**20


@pytest.mark.parametrize(
    "line",
    ["a" * 60_000, "a " * 30_000, 'aa:"' * 15_000, "aa: " * 15_000, "<lora:" * 10_000, 'aa:"\\' * 12_000],
)
def test_long_lines_take_no_time(line: str) -> None:
    start = time.perf_counter()
    a1111.read(f"{line}\n{line}")
    assert time.perf_counter() - start < 3


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff\xe1\x00\x80Exif\0\0", b"RIFF\0\0\0\0WEBPEXIF\x80\0\0\0", b"II*\0\x08\0\0\0"]),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, head: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "x"
    for start in (head, head + b"MM\0*\0\0\0\x08", containers.PNG + head):
        path.write_bytes(start + data)
        found = read(path)
        assert found is None or found.source in ("a1111", "exif")


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_anywhere_in_our_files(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("damage")
    form = data.draw(st.sampled_from(list(WRITERS)))
    WRITERS[form](picture(), folder / "x", made())
    raw = bytearray((folder / "x").read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (folder / "x").write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    found = read(folder / "x")
    assert found is None or found.source in ("atelier", "a1111", "exif")
    try:
        WRITERS[form](folder / "x", folder / "y", made())
    except StudioError:
        assert not (folder / "y").exists()


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read(tmp_path / "nothing")
    with pytest.raises(InvalidInput):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_white_in_a_jpeg(tmp_path: Path, mode: str) -> None:
    """The colours behind a cut-out are still in the file, and must not come back."""
    cut = Image.new("RGBA", (64, 64), (200, 0, 0, 0))
    cut.paste((0, 0, 200, 255), (16, 16, 48, 48))
    cut.convert(mode).save(tmp_path / "cut.png")
    write_jpeg(tmp_path / "cut.png", tmp_path / "cut.jpg", made())
    with Image.open(tmp_path / "cut.jpg") as flat:
        assert min(flat.convert("RGB").getpixel((4, 4))) > 245 and min(flat.convert("RGB").getpixel((32, 32))) < 60
