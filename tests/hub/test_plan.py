"""What a download would be: the files that are needed and no others, and what is refused before a byte is fetched."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from studio.errors import DiskFull, InvalidInput, ModelError, NotFound
from studio.families import FAMILIES
from studio.families.diffusion.controlnet_folders import KINDS
from studio.families.diffusion.preview_folders import NAMES
from studio.hub import licences, plan
from studio.hub.access_token import AccessToken, find_token, forget_token, keep_token, redacted, without_tokens
from studio.hub.hub_cache import place_link
from studio.hub.licences import Licence, licence_of
from studio.hub.listed import CHECKABLE, listed, listed_by_repo
from studio.hub.plan import make_plan
from studio.hub.refusals import Gated, LicenceNotAccepted, SeveralFiles, Unreachable
from studio.hub.repository import Hub, check_id, may_carry_a_token
from studio.hub.selection import File, choose_files, safe_path
from studio.settings import ASSETS, ROOT, Settings
from tests.hub.conftest import vectors, writer
from tests.hub.hub_server import HubServer

TURBO = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "safety_checker": [None, None],
}


def turbo() -> dict[str, bytes]:
    """As the makers of picture models publish them: every format and precision beside each other."""
    files = {"model_index.json": json.dumps(TURBO).encode(), "README.md": b"#", "LICENSE.md": b"..."}
    files |= {"sd_turbo.safetensors": bytes(900), "sd_turbo.ckpt": bytes(900), "image.png": bytes(50)}
    for part, stem in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model")):
        files |= {f"{part}/config.json": b"{}", f"{part}/{stem}.safetensors": bytes(400)}
        files |= {f"{part}/{stem}.fp16.safetensors": bytes(200), f"{part}/{stem}.bin": bytes(400)}
        files |= {f"{part}/{stem}.non_ema.safetensors": bytes(400), f"{part}/openvino_model.xml": bytes(9)}
    files |= {"text_encoder/config.json": b"{}", "text_encoder/pytorch_model.bin": bytes(9)}
    shards = ("model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors")
    files |= {f"text_encoder/{name}": bytes(70) for name in shards}
    files |= {"text_encoder/model.safetensors.index.fp16.json": b"{}", "text_encoder/flax_model.msgpack": bytes(9)}
    files |= {"tokenizer/vocab.json": b"{}", "tokenizer/merges.txt": b"", "scheduler/scheduler_config.json": b"{}"}
    return files | {"safety_checker/model.safetensors": bytes(500), "unet/model.onnx": bytes(9), "vae/evil.py": b""}


def test_only_what_is_needed_is_taken(server: HubServer, settings: Settings, hub: Hub) -> None:
    server.add("makers/turbo", turbo(), card={"license": "mit"})
    plan = make_plan(settings, hub, "makers/turbo")
    assert [each.target for each in plan.files] == [
        "LICENSE.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "text_encoder/config.json",
        "text_encoder/model.fp16-00001-of-00002.safetensors",
        "text_encoder/model.fp16-00002-of-00002.safetensors",
        "text_encoder/model.safetensors.index.json",
        "tokenizer/merges.txt",
        "tokenizer/vocab.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    unet = next(each for each in plan.files if each.target == "unet/diffusion_pytorch_model.safetensors")
    assert unet.file.path == "unet/diffusion_pytorch_model.fp16.safetensors" and unet.file.size == 200
    assert plan.size == sum(each.file.size for each in plan.files) and not plan.problem


def test_a_language_model_is_taken_once(server: HubServer, settings: Settings, hub: Hub) -> None:
    more = {"pytorch_model.bin": bytes(9), "original/consolidated.safetensors": bytes(9), "onnx/model.onnx": bytes(9)}
    more |= {"consolidated.safetensors": bytes(9), "chat_template.jinja": b"{{ messages }}", "tf_model.h5": bytes(9)}
    server.add("makers/words", {**writer(500), **more})
    plan = make_plan(settings, hub, "makers/words")
    assert [each.target for each in plan.files] == [
        "LICENSE",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_speaker_is_taken_with_its_codec_and_its_voices(server: HubServer, settings: Settings, hub: Hub) -> None:
    files = {"config.json": b"{}", "model.safetensors": bytes(90), "processor_config.json": b"{}", "README.md": b"#"}
    files |= {"audio_tokenizer/config.json": b"{}", "audio_tokenizer/model.safetensors": bytes(50)}
    files |= {"audio_tokenizer/pytorch_model.bin": bytes(50), "voices/anna.safetensors": bytes(9)}
    files |= {"voices/anna.wav": bytes(9), "samples/anna.safetensors": bytes(9)}
    server.add("someone/speaker", files)
    assert [each.target for each in make_plan(settings, hub, "someone/speaker").files] == [
        "audio_tokenizer/config.json",
        "audio_tokenizer/model.safetensors",
        "config.json",
        "model.safetensors",
        "processor_config.json",
        "voices/anna.safetensors",
    ]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": bytes(9)}, "a pickle, which can run programs"),
        ({"config.json": b'{"auto_map": {"AutoModel": "x.Y"}}', "model.safetensors": b"0"}, "programs of its own"),
        ({"model_index.json": b'{"_class_name": ["pipeline", "MyPipeline"]}'}, "programs of its own"),
        ({"model_index.json": b'{"_class_name": "UnheardOfPipeline"}'}, "this version of diffusers does not have"),
        (
            {"model_index.json": b'{"_class_name": "StableDiffusionPipeline", "unet": ["my_unet", "Net"]}'},
            "programs of its own",
        ),
        ({"config.json": b"{}", "README.md": b"#"}, "no weights that are opened here"),
        (
            {
                "adapter_config.json": b'{"task_type": "CAUSAL_LM", "use_dora": true}',
                "adapter_model.safetensors": b"0",
            },
            "is a DoRA, and only plain LoRA is read",
        ),
        ({"model.gguf": b"0"}, "neither model_index.json nor config.json"),
        ({"lora.safetensors": b"0"}, "no whole safetensors file"),
        ({"config.json": b"[", "model.safetensors": b"0"}, "cannot be read"),
        ({"config.json": b"{}", "model.safetensors": b"0", "../../evil.json": b"{}"}, "no safe name"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    server: HubServer, settings: Settings, hub: Hub, files: dict[str, bytes], said: str
) -> None:
    server.add("makers/odd", files)
    with pytest.raises((ModelError, InvalidInput), match=said) as told:
        make_plan(settings, hub, "makers/odd")
    assert told.value.hint


def test_names_of_theirs_that_become_paths() -> None:
    bad = ["../x", "/etc/passwd", "a//b", "C:evil", "a\\b", "x\n", "a/../b", "con.", "a ", ".", "", "x" * 300, "a|b"]
    bad += ["unet/aux.json", "NUL"]
    assert not any(map(safe_path, bad))
    assert safe_path("unet/diffusion_pytorch_model-00001-of-00002.safetensors")
    with pytest.raises(InvalidInput):
        choose_files([File(path="..\\evil.json", size=1)], {}, "x/y", whole=True)
    for bad_id in ("a/b/c", "../x", "", "a/..", "https://elsewhere.org/a", "a b\n/c"):
        with pytest.raises(InvalidInput):
            check_id(bad_id)
    assert check_id("https://huggingface.co/openai-community/gpt2") == "openai-community/gpt2"


def test_licences_that_limit_are_accepted_once(server: HubServer, settings: Settings, hub: Hub) -> None:
    server.add("makers/nc", writer(300), card={"license": "cc-by-nc-4.0"})
    plan = make_plan(settings, hub, "makers/nc")
    assert plan.licence.limits_use and "Commercial use" in plan.problem
    with pytest.raises(LicenceNotAccepted, match="Commercial use"):
        plan.check()
    licences.accept(settings.home, "makers/nc", plan.licence)
    make_plan(settings, hub, "makers/nc").check()
    assert licences.acceptance(settings.home, "makers/nc")["accepted"] > 1e9
    server.add("makers/nc", writer(300), card={"license": "other", "license_name": "harder", "license_link": "x"})
    again = make_plan(settings, hub, "makers/nc")
    assert again.licence.name == "harder" and not again.accepted
    server.add("makers/nothing", writer(300), card={})
    assert "names no licence" in make_plan(settings, hub, "makers/nothing").problem
    assert not licence_of({}, ("license:apache-2.0",)).limits_use
    assert not Licence(name="MIT").limits_use and Licence(name="llama3.3").limits_use


def test_a_disk_without_room_is_told_before(
    server: HubServer, settings: Settings, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add("makers/words", writer(20_000))
    usage = type("Usage", (), {"free": plan.SPARE_DISK + 1000})
    monkeypatch.setattr(plan.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match="needs .* GB, and there is room for"):
        make_plan(settings, hub, "makers/words").check()


def test_the_hub_is_asked_and_answers_in_sentences(server: HubServer, settings: Settings, hub: Hub) -> None:
    server.add("makers/words", writer(300))
    server.add("makers/gated", writer(300), gated=True, token="hf_right1234")
    assert [found.id for found in hub.search("wor")] == ["makers/words"]
    with pytest.raises(NotFound, match="no model 'makers/none'"):
        hub.look_up("makers/none")
    with pytest.raises(NotFound, match="no such revision"):
        hub.look_up("makers/words", "v9")
    with pytest.raises(Gated, match="is gated"):
        make_plan(settings, hub, "makers/gated")
    knocks = Hub(settings, {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_wrong1234"})
    with pytest.raises(Gated, match="Your token does not open") as told:
        make_plan(settings, knocks, "makers/gated")
    assert "hf_" not in str(told.value) and told.value.__cause__ is None
    server.repos["makers/gated"].hides_gate = True
    with pytest.raises(Gated):
        make_plan(settings, hub, "makers/gated")
    nobody = Hub(settings, {"HF_ENDPOINT": "http://127.0.0.1:9"})
    with pytest.raises(Unreachable, match="does not answer"):
        nobody.look_up("makers/words")


def test_a_token_is_kept_for_this_user_alone(home: Path) -> None:
    secret = "hf_" + "A1b2C3d4E5f6"
    keep_token(home, f"  {secret}\n")
    file = home / "hub" / "token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"
    assert find_token(home, {}) == AccessToken(secret, "home")
    assert find_token(home, {"HF_TOKEN": "hf_other123"}).source == "HF_TOKEN"
    assert secret not in repr(find_token(home, {})) + str(find_token(home, {})) + f"{find_token(home, {})}"
    for odd in ("", "two words", "a" * 500, "hf_x\nhf_y"):
        with pytest.raises(InvalidInput):
            keep_token(home, odd)
    assert forget_token(home) and not forget_token(home) and not find_token(home, {})
    assert without_tokens({"HF_TOKEN": "x", "PATH": "/bin", "HUGGING_FACE_HUB_TOKEN": "y"}) == {"PATH": "/bin"}


def test_tokens_are_struck_out_of_what_is_told() -> None:
    token = AccessToken("org-secret-value", "home")
    text = "Authorization: Bearer abc.def-ghi hf_ABCDEFGHIJ org-secret-value api_org_QWERTYUIOP fine"
    assert redacted(text, token) == "Authorization: Bearer *** *** *** *** fine"


def test_a_token_never_travels_in_the_clear(settings: Settings) -> None:
    assert may_carry_a_token("https://huggingface.co") and may_carry_a_token("http://127.0.0.1:8000")
    assert not Hub(settings, {"HF_ENDPOINT": "http://mirror.example", "HF_TOKEN": "hf_abcdefgh"}).token


def test_a_link_costs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hard link, else a symbolic one, else a copy."""
    source = tmp_path / "a"
    source.write_bytes(b"x" * 100)
    assert place_link(source, tmp_path / "b") == "hard link" and (tmp_path / "b").samefile(source)

    def no(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(os, "link", no)
    assert place_link(source, tmp_path / "b") == "symbolic link" and (tmp_path / "b").is_symlink()
    monkeypatch.setattr(os, "symlink", no)
    assert place_link(source, tmp_path / "b") == "copy" and not (tmp_path / "b").is_symlink()
    assert (tmp_path / "b").read_bytes() == source.read_bytes()


def test_the_id_of_a_download_hides_no_starter(server: HubServer, settings: Settings, hub: Hub) -> None:
    server.add("someone/starter-text", ASSETS / "models" / "starter-text")
    plan = make_plan(settings, hub, "someone/starter-text")
    assert plan.id == "starter-text-2" and plan.card["family"] == "causal_lm"
    assert "judge.safetensors" not in [each.target for each in plan.files]


def test_cards_of_theirs_say_nothing_of_paths(server: HubServer, settings: Settings, hub: Hub) -> None:
    card = (
        b'family = "gan"\nname = "Nice"\nfile = "/etc/shadow.safetensors"\nid = "starter-image"\nsource = "starter"\n'
    )
    server.add("someone/gan", {"config.json": b"{}", "generator.safetensors": bytes(90), "card.toml": card})
    plan = make_plan(settings, hub, "someone/gan")
    assert plan.card["source"] == "hub" and "file" not in plan.card and plan.card["name"] == "Nice" and plan.id == "gan"


# --- what is listed


def known_classes() -> str:
    """The sources in which diffusers and transformers name what they have; neither is imported."""
    import importlib.util

    places: list[Path] = []
    for package, file in (("diffusers", "__init__.py"), ("transformers", "models/auto/modeling_auto.py")):
        found: Any = importlib.util.find_spec(package)
        places.append(Path(found.origin).parent / file)
    return "\n".join(path.read_text("utf-8") for path in places)


def test_every_entry_is_complete_and_of_a_class_that_exists() -> None:
    entries, classes = listed(), known_classes()
    assert len(entries) >= 40 and {entry.medium for entry in entries} >= {
        "text", "image", "music", "sound", "speech", "3d", "video"
    }  # fmt: skip
    for entry in entries:
        assert f'"{entry.pipeline}"' in classes, entry.id
        assert check_id(entry.repo) == entry.repo and "/" in entry.repo
        assert entry.good_for.endswith(".") and entry.family in FAMILIES and entry.size > 0, entry.id
        assert entry.revision == "" or plan.is_commit(entry.revision)
        assert bool(entry.revision) != ("revision" in entry.unchecked), f"{entry.id}: a revision is known or unchecked"
        assert bool(entry.memory) or "memory" in entry.unchecked, entry.id
        assert entry.licence or "licence" in entry.unchecked, entry.id
        assert set(entry.unchecked) <= set(CHECKABLE)
        assert not entry.limits_use or not entry.licence or entry.forbids or "forbids" in entry.unchecked, entry.id
    assert sum(entry.runs for entry in entries) >= 40
    assert listed_by_repo("STABILITYAI/sd-turbo") is not None and listed_by_repo("nobody/nothing") is None
    assert len(list((ROOT / "presets" / "models").glob("*.toml"))) == 8


def test_what_works_beside_models_is_listed_by_its_kind() -> None:
    beside = [entry for entry in listed() if entry.kind]
    assert len(beside) >= 10 and {entry.kind for entry in beside} == {"ControlNet", "IP-Adapter", "preview", "LoRA"}
    for entry in beside:
        assert entry.runs and not entry.tasks and entry.medium == "image", entry.id
        if entry.kind == "ControlNet":  # what picture it wants is told by the name of its folder
            assert any(kind in entry.id for kind in KINDS), entry.id
        if entry.kind == "preview":
            assert entry.id in {name for _, name in NAMES}, entry.id


# --- what works beside models


def looks() -> dict[str, bytes]:
    """As the makers of IP-Adapters publish them: many adapters beside two models that see, nothing at the root."""
    files = {"README.md": b"#", "LICENSE": b"...", "fig1.png": b"0"}
    for folder in ("models", "sdxl_models"):
        encoder = f"{folder}/image_encoder"
        files |= {f"{encoder}/config.json": b"{}", f"{encoder}/pytorch_model.bin": bytes(900)}
        files |= {f"{encoder}/model.safetensors": folder.encode() * 9}
    files |= {"models/ip-adapter_sd15.safetensors": bytes(100), "models/ip-adapter_sd15.bin": bytes(100)}
    files |= {"models/ip-adapter-plus_sd15.safetensors": bytes(120), "models/light.safetensors": bytes(9)}
    return files | {f"sdxl_models/ip-adapter_sdxl{end}.safetensors": bytes(150) for end in ("", "_vit-h")}


def test_an_ip_adapter_is_taken_with_the_model_that_sees_for_it(
    server: HubServer, settings: Settings, hub: Hub
) -> None:
    server.add("h94/IP-Adapter", looks())
    with pytest.raises(SeveralFiles, match="holds several files") as told:
        make_plan(settings, hub, "h94/IP-Adapter")
    assert [(file.path, file.size) for file in told.value.files] == [
        ("models/ip-adapter_sd15.safetensors", 100),
        ("models/ip-adapter-plus_sd15.safetensors", 120),
        ("sdxl_models/ip-adapter_sdxl.safetensors", 150),
        ("sdxl_models/ip-adapter_sdxl_vit-h.safetensors", 150),
    ]
    for file, seen_by in (
        ("models/ip-adapter_sd15.safetensors", "models"),
        ("sdxl_models/ip-adapter_sdxl.safetensors", "sdxl_models"),
        ("sdxl_models/ip-adapter_sdxl_vit-h.safetensors", "models"),  # it wants the smaller one, as its name says
    ):
        found = make_plan(settings, hub, "h94/IP-Adapter", file=file)
        name = file.rpartition("/")[2]
        assert found.id == Path(name).stem and found.kind == "folder" and found.card["hub"]["file"] == file
        assert {each.target: each.file.path for each in found.files} == {
            "LICENSE": "LICENSE",
            "image_encoder/config.json": f"{seen_by}/image_encoder/config.json",
            "image_encoder/model.safetensors": f"{seen_by}/image_encoder/model.safetensors",
            name: file,
        }
        assert plan.fit_of(found, 2**33, "cuda") is None and not {"family", "tasks"} & set(found.card)
    listed_one = make_plan(settings, hub, "ip-adapter-sd15")
    assert listed_one.id == "ip-adapter-sd15" and listed_one.card["hub"]["file"] == "models/ip-adapter_sd15.safetensors"
    server.add(
        "someone/look", {name: data for name, data in looks().items() if "plus" not in name and "xl" not in name}
    )
    assert make_plan(settings, hub, "someone/look").id == "look"


def test_an_embedding_is_one_file_among_others(server: HubServer, settings: Settings, hub: Hub) -> None:
    server.add("someone/old-master", {"old-master.safetensors": vectors(), "README.md": b"#"})
    found = make_plan(settings, hub, "someone/old-master")
    assert (found.kind, found.id, [each.target for each in found.files]) == (
        "embedding", "old-master", ["model.safetensors"])  # fmt: skip
    server.add(
        "someone/many", {"day.safetensors": vectors(), "night.safetensors": vectors(), "x/deep.safetensors": b""}
    )
    with pytest.raises(SeveralFiles) as told:
        make_plan(settings, hub, "someone/many")
    assert [file.path for file in told.value.files] == ["day.safetensors", "night.safetensors"]
    assert make_plan(settings, hub, "someone/many", file="night.safetensors").id == "night"
