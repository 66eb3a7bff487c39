"""Textual inversion embeddings in tiny pipelines of the real classes: named in prompts, of several vectors, refused."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from studio.catalog import Catalog
from studio.errors import InvalidInput
from studio.families.diffusion import FAMILY
from studio.families.diffusion.embedding_files import named_in, read_embeddings
from studio.families.diffusion.pipeline import PicturePipeline
from studio.settings import Settings
from studio.types import Request
from tests.families.diffusion.listener import Listener

Run = Callable[..., np.ndarray]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "home" / "embeddings"
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(4)
    save_file({"emb_params": torch.randn(1, 16)}, folder / "moss.safetensors")
    save_file({"<any>": torch.randn(3, 16)}, folder / "three-words.safetensors")
    save_file({"clip_l": torch.randn(2, 16), "clip_g": torch.randn(2, 16)}, folder / "large.safetensors")
    save_file({"emb_params": torch.randn(1, 768)}, folder / "other.safetensors")
    (folder / "old.pt").write_bytes(b"\x80\x02}q\x00.")
    return folder


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def run(models: dict[str, PicturePipeline], place: Path, tmp_path: Path, told: list[str]) -> Run:
    numbers = itertools.count()

    def start(kind: str, prompt: str, negative: str = "", **params: Any) -> np.ndarray:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        size = {"num_inference_steps": 2, "width": 64, "height": 64, "num_images_per_prompt": 1, "guidance_scale": 5.0}
        asked = Request(task="text_to_image", model=kind, prompt=prompt, seed=5,
                        params={**size, "negative_prompt": negative, **params})  # fmt: skip
        files = named_in(f"{prompt}\n{negative}", read_embeddings(place))
        listener = Listener(folder, inputs={"embedding": files} if files else {})
        models[kind].run(FAMILY.validate(asked), listener)
        told[:] = listener.warnings
        return np.asarray(listener.pictures()[-1], float)

    return start


@pytest.mark.parametrize(("kind", "name"), [("sd", "moss"), ("sd", "three-words"), ("sdxl", "large")])
def test_an_embedding_changes_the_picture_by_its_name(run: Run, kind: str, name: str) -> None:
    plain = run(kind, "a fox in")
    used = run(kind, f"a fox in <{name}>")
    assert np.abs(used - plain).max() > 1
    assert (run(kind, f"a fox in {name.upper()}") == used).all()
    assert (run(kind, f"a fox in x{name}") != used).any()  # a part of another word is no name
    assert (run(kind, "a fox in") == plain).all()
    assert np.abs(run(kind, "a fox in", f"{name}, blue") - run(kind, "a fox in", "blue")).max() > 1


def test_its_words_carry_weights(run: Run) -> None:
    plain = run("sd", "a fox in <three-words>")
    assert (run("sd", "a fox in (<three-words>:1)") == plain).all()
    moved = [np.abs(run("sd", f"a fox in (<three-words>:{weight})") - plain).mean() for weight in (1.2, 2.0)]
    assert 0 < moved[0] < moved[1]


def test_a_changed_file_is_another_embedding(run: Run, place: Path) -> None:
    before = run("sd", "a fox in moss")
    save_file({"emb_params": 3 * torch.randn(1, 16)}, place / "moss.safetensors")
    assert (run("sd", "a fox in moss") != before).any()


def test_what_cannot_be_used_is_said(run: Run, place: Path, told: list[str]) -> None:
    with pytest.raises(InvalidInput, match=r"'old\.pt' is a pickle, which can run programs"):
        run("sd", "a fox, old")
    for kind, name in (("sd", "other"), ("sdxl", "moss")):
        with pytest.raises(InvalidInput, match=f"'{name}' is made for another kind of model"):
            run(kind, f"a fox in {name}")
    run("sd3", "a fox in moss")
    assert any("takes no embeddings: moss" in line for line in told)
    (place / "torn.safetensors").write_bytes(b"nothing")
    with pytest.raises(InvalidInput, match="cannot be read"):
        run("sd", "torn")


def test_the_catalog_finds_those_that_a_prompt_names(place: Path) -> None:
    catalog = Catalog(Settings.load({"home": place.parent}))
    assert set(catalog.embeddings()) == {"moss", "three-words", "large", "other"}
    model = catalog.model("starter-image")
    asked = Request(task="text_to_image", model=model.id, prompt="<moss> fox", params={"negative_prompt": "large"})
    found = catalog.beside(asked, model)["embedding"]
    assert [Path(path).stem for path in found] == ["large", "moss"]
    with pytest.raises(InvalidInput, match="pickle"):
        catalog.check_beside(asked.replace(prompt="an OLD fox"), model)
    assert "embedding" not in catalog.beside(asked.replace(task="train_lora"), model)
