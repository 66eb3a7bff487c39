"""`bench text` on a tiny model: every side writes the same number of tokens, and the ratios follow from the times."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from studio.bench import text
from studio.bench.llama_cpp_sides import LlamaCpp, gguf_name, is_installed, write_gguf
from studio.errors import NotFound
from studio.settings import Settings
from tests.families.causal_lm import tiny_lm


def test_sides_are_timed_in_turn(tmp_path: Path) -> None:
    folder = tiny_lm.build("llama", tmp_path / "tiny")
    settings = Settings.load({"home": str(tmp_path / "home")})
    found = text.run(settings, quick=True, models={"tiny": folder}, rounds=2)["models"]["tiny"]
    expected = {name for name, (who, _) in text.WORK.items() if who != "llama_cpp" or is_installed()}
    assert set(found["seconds"]) == expected
    assert all(len(times) == 2 and min(times) > 0 for times in found["seconds"].values())
    pace = found["tokens_a_second"]
    assert found["ratios"]["1 draft"] == pytest.approx(pace["studio, 1 draft"] / pace["generate, 1 draft"], abs=0.02)
    assert found["first_token"]["forward"] > 0 and found["bandwidth_share"] > 0


def test_every_weight_has_a_name_in_gguf_and_scores_stay_the_same(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_lm.build("llama", tmp_path / "tiny"))
    names = [gguf_name(name) for name in model.state_dict()]
    assert len(set(names)) == len(names) and {"token_embd", "output_norm", "blk.0.attn_q", "blk.1.ffn_up"} <= set(names)
    if is_installed():
        write_gguf(model, tmp_path / "tiny.gguf")
        tokens = list(range(5, 14))
        truth = model(input_ids=torch.tensor([tokens])).logits[0, -1]
        assert (LlamaCpp(tmp_path / "tiny.gguf", 16, 1).scores(tokens) - truth).abs().max() < 0.02 * truth.std()


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no model"):
        text.run(Settings.load({"home": str(tmp_path)}), quick=True, models={"none": tmp_path / "none"})
