"""`models`: from looking for a model to its picture and its removal, as a person types it."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from studio.catalog import Catalog
from studio.cli import main
from studio.families.causal_lm import text_adapters
from studio.families.diffusion.loading import open_folder
from studio.families.diffusion.single_file import named_file
from studio.hub.access_token import token_file
from studio.hub.listed import listed
from studio.settings import ASSETS, Settings
from studio.types import Device
from tests.families.causal_lm import tiny_lm
from tests.families.diffusion import tiny
from tests.families.diffusion.test_controlnet import build_controlnet
from tests.families.diffusion.test_references import build_reference
from tests.hub.conftest import vectors, writer
from tests.hub.hub_server import HubServer
from tests.hub.ldm_layout import write_checkpoint, write_kohya_lora

SECRET = "hf_" + "NobodyMaySeeThis99"


@pytest.fixture
def run(settings: Settings, capsys: pytest.CaptureFixture) -> Any:
    def command(*words: str) -> tuple[int, list[Any], str]:
        code = main(["models", *words, "--home", str(settings.home), "--json"])
        told = capsys.readouterr()
        assert SECRET not in told.out + told.err
        return code, [json.loads(line) for line in told.out.splitlines()], told.err

    return command


def test_found_asked_downloaded_removed(server: HubServer, settings: Settings, run: Any) -> None:
    server.add("makers/words", writer(300_000), card={"license": "cc-by-nc-4.0"})
    code, (found,), _ = run("search", "words")
    assert code == 0 and found["id"] == "makers/words" and found["licence"] == "cc-by-nc-4.0"
    code, (shown,), _ = run("show", "makers/words", "--memory", "8G")
    assert code == 0 and shown["plan"]["limits_use"] and shown["plan"]["size"] > 300_000
    code, told, said = run("get", "makers/words", "--memory", "8G")
    assert code == 2 and not told and "Commercial use" in said and "--accept-licence" in said
    code, told, said = run("get", "makers/words", "--accept-licence", "--name", "writer", "--memory", "8G")
    assert code == 0 and told[-1]["model"] == "writer" and told[-2]["state"] == "done", (told, said)
    assert "Fits in 8 GB" in said and "GB free" in said
    code, told, said = run("get", "makers/words", "--name", "writer")
    assert code == 0 and told[-1]["model"] == "writer" and "here already" in said
    _, models, _ = run("list")
    mine = next(model for model in models if model["id"] == "writer")
    assert mine["source"] == "hub" and mine["licence"] == "cc-by-nc-4.0" and "text" in mine["tasks"]
    code, (shown,), _ = run("show", "starter-text", "--memory", "4G")
    assert code == 0 and shown["fit"]["fits"] and shown["freed_by_removing"] > 1e6
    code, (gone,), _ = run("remove", "writer")
    assert code == 0 and gone["kind"] == "model" and gone["freed"] > 300_000
    assert not (settings.models / "writer").exists()
    code, _, said = run("remove", "starter-text")
    assert code == 2 and "comes with the program" in said


def test_a_gated_model_with_a_token_from_the_keyboard(
    server: HubServer, settings: Settings, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.add("closed/words", writer(50_000), gated=True, token=SECRET)
    code, _, said = run("get", "closed/words")
    assert code == 2 and "gated" in said and "models token set" in said
    monkeypatch.setattr("sys.stdin", io.StringIO(SECRET + "\n"))
    assert run("token", "set") == (0, [{"token": True, "source": "home"}], "")
    code, told, _ = run("get", "closed/words", "--memory", "8G")
    assert code == 0 and told[-1]["model"] == "words"
    holders = [p for p in settings.home.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert holders == [token_file(settings.home)]
    code, _, said = run("token", SECRET + "x")
    assert code == 2 and "never given as an argument" in said
    assert run("token", "forget") == (0, [{"token": False, "source": ""}], "")
    code, _, said = run("get", "closed/words", "--name", "again")
    assert code == 2 and "gated" in said


def test_offline_asks_nobody(server: HubServer, settings: Settings, run: Any) -> None:
    code, entries, _ = run("available", "--offline")
    assert code == 0 and len(entries) == len(listed()) and not any(entry["installed"] for entry in entries)
    for words in (("search", "x"), ("get", "gpt2"), ("show", "some/thing")):
        code, _, said = run(*words, "--offline", *(["--memory", "8G"] if words[0] == "show" else []))
        assert code == 2 and "offline" in said
    code, (shown,), _ = run("show", "gpt2", "--offline", "--memory", "8G")
    assert code == 0 and shown["fit"]["fits"] and "offline" in shown["problem"]
    assert not server.seen


def test_the_table_of_what_fits(settings: Settings, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, rows, _ = run("fit")
    assert code == 0 and {row["id"] for row in rows} >= {entry.id for entry in listed() if not entry.kind} | {
        "starter-image"
    }
    sdxl = next(row for row in rows if row["id"] == "sdxl")["fit"]
    assert [plan["fits"] for plan in sdxl] == [False, True, True, True]
    monkeypatch.setenv("STUDIO_MEMORY_LIMIT", "8G")
    code, (row,), _ = run("fit", "qwen-image")
    assert not row["fit"][0]["fits"] and row["fit"][0]["smaller"] and row["fit"][0]["memory"] == 8 * 2**30
    code, (row,), _ = run("fit", "sd15", "--memory", "16G")
    assert row["fit"][0]["memory"] == 16 * 2**30 and row["fit"][0]["fits"]


def test_tables_for_people(settings: Settings, capsys: pytest.CaptureFixture) -> None:
    for words, expected in (
        (("available",), "limits use"),
        (("fit", "--memory", "8G"), "would fit."),
        (("show", "starter-image", "--memory", "8G"), "Fits in 8 GB with about"),
        (("show", "sdxl", "--offline", "--memory", "8G"), "Not checked:"),
        (("token",), "Access token: none."),
        (("list",), "starter-image"),
        (("list",), "with starter-image"),
        (("show", "starter-sketch"), "works with starter-image"),
        (("show", "starter-sketch"), "Starter sketch, begun with the drawing"),
        (("show", "starter-music", "--memory", "8G"), "Limits: Very small"),
        (("show", "starter-music", "--memory", "8G"), "Pieces heard in their key"),
    ):
        assert main(["models", *words, "--home", str(settings.home)]) == 0
        assert expected in capsys.readouterr().out
    for words in (("get",), ("show",), ("remove",), ("import",), ("search",), ("fit", "unheard-of", "--memory", "4G")):
        assert main(["models", *words, "--home", str(settings.home), "--offline"]) == 2
        assert capsys.readouterr().err.strip()


def test_a_file_is_imported_and_removed(settings: Settings, run: Any, tmp_path: Path) -> None:
    folder = tiny.build("sd", tmp_path / "sd")
    (tmp_path / "comfy").mkdir()
    file = write_checkpoint(folder, tmp_path / "comfy" / "mine.safetensors")
    code, (taken,), _ = run("import", str(file), "--config", str(folder))
    assert code == 0 and taken["kind"] == "model" and taken["id"] == "mine"
    code, (gone,), _ = run("remove", "mine")
    assert code == 0 and gone["kept"] == str(file) and file.is_file() and gone["freed"] < 100_000
    (tmp_path / "bad.ckpt").write_bytes(b"\x80\x04")
    code, _, said = run("import", str(tmp_path / "bad.ckpt"))
    assert code == 2 and "pickle" in said


def test_a_lora_and_a_checkpoint_from_the_hub(server: HubServer, settings: Settings, run: Any, tmp_path: Path) -> None:
    """Repositories of single files: told apart by their first bytes, before they are downloaded."""
    folder = tiny.build("sd", tmp_path / "sd")
    pipe = open_folder(folder, Device(kind="cpu", name="CPU", memory=2**31))
    lora = write_kohya_lora(pipe.unet, tmp_path / "lora.safetensors").read_bytes()
    checkpoint = write_checkpoint(folder, tmp_path / "one.safetensors").read_bytes()
    server.add("makers/lcm", {"pytorch_lora_weights.safetensors": lora, "README.md": b"#"}, card={"license": "mit"})
    code, told, said = run("get", "makers/lcm")
    assert code == 0 and told[-1]["lora"] == "lcm", said
    catalog = Catalog(settings)
    assert catalog.adapter("lcm").read_bytes() == lora
    assert catalog.adapter_facts("lcm")["hub"]["repo"] == "makers/lcm" and catalog.adapter_of_job("x") == ""
    files = {"one.safetensors": checkpoint, "two.safetensors": lora, "three.ckpt": b"\x80"}
    server.add("makers/many", files, card={"license": "mit"})
    code, _, said = run("get", "makers/many")
    assert code == 2 and "one.safetensors, two.safetensors" in said and "--file" in said
    code, _, said = run("get", "makers/many", "--file", "three.ckpt")
    assert code == 2 and "no file" in said
    code, told, said = run("get", "makers/many", "--file", "one.safetensors", "--name", "mine", "--memory", "8G")
    assert code == 0 and told[-1]["model"] == "mine", said
    model = catalog.model("mine")
    assert model.card["file"] == "model.safetensors" and model.card["layout"] == "Stable Diffusion 1.5"
    assert named_file(model.folder) == model.folder / "model.safetensors" and "inpaint" in model.tasks
    code, (gone,), _ = run("remove", "lcm")
    assert code == 0 and gone["kind"] == "lora" and gone["freed"] == len(lora) and not catalog.adapters()


def test_what_works_beside_models_comes_from_the_hub_and_goes_again(
    server: HubServer, settings: Settings, run: Any, tmp_path: Path
) -> None:
    model = tiny.build("sd", settings.models / "mine")
    build_reference(model, tmp_path / "look")
    build_controlnet("sd", model, tmp_path / "net")
    look = {f"models/{p.relative_to(tmp_path / 'look')}": p.read_bytes() for p in files_in(tmp_path / "look")}
    free = {"license": "apache-2.0"}
    server.add("h94/IP-Adapter", {**look, "models/ip-adapter_other.safetensors": b"0"}, card=free)
    server.add("lllyasviel/control_v11p_sd15_canny", tmp_path / "net", card=free)
    server.add("someone/master", {"old-master.safetensors": vectors()}, card=free)
    code, _, said = run("get", "h94/IP-Adapter")
    assert code == 2 and "models/ip-adapter_tiny.safetensors" in said and "--file" in said
    assert run("get", "h94/IP-Adapter", "--file", "models/ip-adapter_tiny.safetensors", "--name", "look")[0] == 0
    for name in ("control-canny-sd15", "someone/master"):
        code, _, said = run("get", name)
        assert code == 0, said
    rows = {row["id"]: row for row in run("list")[1] if "kind" in row}
    told = {id: (row["kind"], row["beside"]) for id, row in rows.items() if row["source"] == "local"}
    assert told == {
        "look": ("IP-Adapter", ["mine"]),
        "control-canny-sd15": ("ControlNet", ["mine"]),
        "old-master": ("embedding", []),
    }
    assert rows["old-master"]["repo"] == "someone/master"
    assert {row["id"] for row in run("available")[1] if row["installed"]} == {"control-canny-sd15"}
    assert "is here already" in run("get", "someone/master")[2]
    (net,) = Catalog(settings).controlnets(Catalog(settings).model("mine"))
    assert net.kind == "canny" and net.name == "ControlNet canny, SD 1.5"
    for id in told:
        assert run("remove", id)[0] == 0
    assert not any(row["source"] == "local" for row in run("list")[1] if "kind" in row)
    assert not list((settings.home / "embeddings").iterdir())


def files_in(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_assets_are_where_the_import_expects_them() -> None:
    for layout in ("sd15", "sdxl"):
        assert (ASSETS / "single_files" / layout / "model_index.json").is_file()


def test_a_lora_of_a_language_model_from_the_hub(
    server: HubServer, settings: Settings, run: Any, tmp_path: Path
) -> None:
    """In peft's layout, as they are shared there: taken, told with its model, offered for texts alone."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tiny_lm.build("llama", tmp_path / "base"))
    taught = get_peft_model(plain, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    taught.save_pretrained(tmp_path / "voice")
    files = {path.name: path.read_bytes() for path in (tmp_path / "voice").iterdir()}
    server.add("makers/voice", files, card={"license": "mit"})
    code, told, said = run("get", "makers/voice")
    assert code == 0 and told[-1]["lora"] == "voice", said
    catalog = Catalog(settings)
    facts = catalog.adapter_facts("voice")
    assert facts["family"] == "causal_lm" and facts["peft"]["r"] == 2 and facts["hub"]["repo"] == "makers/voice"
    config, tensors = text_adapters.read(catalog.adapter("voice"))
    assert config["task_type"] == "CAUSAL_LM" and len(tensors) == 6
    code, (gone,), _ = run("remove", "voice")
    assert code == 0 and gone["kind"] == "lora" and not catalog.adapters()
