"""Every class of text model that presets/models/text.toml lists, at tiny size with random weights: what it writes is
what transformers alone would write, also where a text is read in parts and by several drafts.
"""

import tomllib
from pathlib import Path

import pytest
import torch

from studio.families.causal_lm import decoding
from studio.families.causal_lm.pipeline import load
from studio.settings import ROOT
from tests.families.causal_lm import tiny_listed
from tests.families.desk import CPU, Desk, asked

LISTED = tomllib.loads((ROOT / "presets" / "models" / "text.toml").read_text("utf-8"))["model"]
KINDS = sorted({model["pipeline"] for model in LISTED if model["family"] == "causal_lm"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_listed_model_writes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "AT_ONCE", 8)  # tokens: the prompt is read in several parts
    pipeline = load(tiny_listed.build(kind, tmp_path / "model"), CPU)
    prompt = "The fox walked to the sea, and the owl sang of the winter."
    plain = {"max_new_tokens": 10, "temperature": 0.0, "repetition_penalty": 1.0}
    desk = Desk(tmp_path / "out")
    pipeline.run(asked("causal_lm", "text", prompt, num_return_sequences=3, **plain), desk)
    texts = [file.read_text("utf-8") for file in desk.files]
    assert len(texts) == 3 and len(set(texts)) == 1 and texts[0].startswith(prompt), texts
    words = pipeline.tokenizer
    tokens = words(prompt, return_tensors="pt").input_ids
    with torch.inference_mode():
        alone = pipeline.model.generate(tokens, max_new_tokens=10, do_sample=False, pad_token_id=1)
    assert texts[0] == words.decode(alone[0], skip_special_tokens=True)
