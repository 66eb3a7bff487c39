"""`models merge` and `models export-lora`: what is worked in is a model at once, what is exported others can read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from studio.catalog import Catalog
from studio.cli import main
from studio.settings import ROOT, Settings
from tests.families.diffusion.lessons import adapter_of
from tests.ui.story import tiny_model


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a tiny model and an adapter of it."""
    home = tiny_model(tmp_path_factory.mktemp("home"))
    file = adapter_of(home / "models" / "a-tiny-one", home / "foxes.safetensors")
    Catalog(Settings.load({"home": str(home)})).take_adapter("foxes", file, {"sha256": "f" * 64, "base": "tiny"})
    return home


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_merged_model_is_listed_at_once(lived_in: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "studio",
        "models",
        "merge",
        "tiny",
        "--home",
        str(lived_in),
        "--out",
        "fox inside",
    ]
    (lived_in / "adapters" / "foxes.json").write_text('{"base": "tiny"}')
    done = subprocess.run(
        [*command, "--lora", "foxes:0.8", "--out", "fox inside"], cwd=ROOT, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    model = Catalog(Settings.load({"home": str(lived_in)})).model(told["model"])
    assert model.name == "fox inside" and model.source == "trained" and "text_to_image" in model.tasks
    assert model.card["merged"]["adapters"] == ["foxes:0.8"] and model.defaults["width"] == 64
    assert model.card["made"]["job"] == told["job"] and (model.folder / "unet").is_dir()


def test_an_export_is_a_file_with_their_names(lived_in: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (lived_in / "adapters" / "foxes.json").write_text('{"base": "tiny"}')
    target = tmp_path / "foxes-for-others.safetensors"
    assert main(["models", "export-lora", "foxes", "--home", str(lived_in), "--out", str(target)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert len(load_file(target)) == 3 * told["layers"] and told["path"] == str(target)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["merge", "tiny"], "A merge needs a model, a LoRA and a name."),
        (["merge", "tiny", "--lora", "foxs", "--out", "x"], "There is no LoRA 'foxs'"),
        (["export-lora", "foxes"], "An export needs a LoRA and a file."),
        (["export-lora", "stranger", "--out", "x.safetensors"], "was not taught here"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    lived_in: Path, words: list[str], sentence: str, capsys: pytest.CaptureFixture
) -> None:
    (lived_in / "adapters" / "stranger.safetensors").touch()
    assert main(["models", *words, "--home", str(lived_in)]) == 2
    assert sentence in capsys.readouterr().err
