"""The process of `bench music`: the studio's composer and transformers' `generate` on the same weights, one at a time.

Both sides draw the same tokens: within the same grammar, led to the same key, with the same random numbers.
"""

import json
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from studio.families import family
from studio.families.score.arrangement import score_of
from studio.families.score.beginnings import first_beats
from studio.families.score.decoding import Composer, Row, chance_of, choose
from studio.families.score.grammar import Grammar
from studio.families.score.key_lean import KeyLean
from studio.families.score.variety import Variety
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Asked, asked
from studio.music.sound import render

SEEDS = range(7, 10)
PARAMS: Mapping[str, Any] = {param.name: param.default for param in family("score").tasks["text_to_score"]}
TEMPERATURE, TOP_P = float(PARAMS["temperature"]), float(PARAMS["top_p"])


class WithinGrammar(LogitsProcessor):
    """Leaves open only the token that the studio would draw of these scores, row by row."""

    def __init__(self, rows: Sequence[Row], vocabulary: Vocabulary) -> None:
        self.rows, self.vocabulary = rows, vocabulary

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids (rows, tokens so far), scores (rows, vocabulary)."""
        choose(self.rows, scores.float().numpy(), self.vocabulary, TEMPERATURE, TOP_P)
        forced = torch.full_like(scores, -torch.inf)
        pad, end = self.vocabulary.ids["PAD"], self.vocabulary.ids["END"]
        for place, row in enumerate(self.rows):
            over = row.ended and int(input_ids[place, -1]) in (pad, end)
            forced[place, pad if over else row.tokens[-1]] = 0.0
        return forced


class Bench:
    def __init__(self, folder: Path) -> None:
        self.vocabulary = Vocabulary.load(folder)
        self.plain = self._open(folder)
        self.composer = Composer(self._open(folder), self.vocabulary)

    def _open(self, folder: Path) -> PreTrainedModel:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()

    def begun(self, brief: str) -> tuple[list[Asked], list[Row]]:
        wanted = [asked(PARAMS, brief, chance_of(seed, 100)) for seed in SEEDS]
        rows = []
        for seed, one in zip(SEEDS, wanted, strict=True):
            wish = one.wish
            grammar = Grammar(self.vocabulary, wish.metre, wish.bars, wish.tonic, first_beats(one))
            lean = KeyLean(wish.tonic, wish.mode or 0, float(PARAMS["key_weight"]))
            variety = Variety(float(PARAMS["variety_weight"]))
            rows.append(Row(wish.head(self.vocabulary), grammar, chance_of(seed), lean, variety))
        return wanted, rows

    def write(self, who: str, brief: str) -> list[Row]:
        _, rows = self.begun(brief)
        if who == "studio":
            self.composer.compose(rows, temperature=TEMPERATURE, top_p=TOP_P)
            return rows
        ids = torch.tensor([row.tokens for row in rows])
        self.plain.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_length=self.plain.config.max_position_embeddings,
            use_cache=True,
            logits_processor=LogitsProcessorList([WithinGrammar(rows, self.vocabulary)]),
        )
        return rows

    def whole(self, brief: str) -> dict[str, float]:
        """Three takes composed and made sound as a job does it."""
        began = time.perf_counter()
        wanted, rows = self.begun(brief)
        self.composer.compose(rows, temperature=TEMPERATURE, top_p=TOP_P)
        scores = [
            score_of(row.grammar.written, one.setting) for row, one in zip(rows, wanted, strict=True) if row.grammar
        ]
        composed = time.perf_counter()
        for score in scores:
            render(score)
        rendered = time.perf_counter()
        plays = sum(score.seconds for score in scores)
        return {"composed": composed - began, "rendered": rendered - composed, "plays": plays}


def answer(bench: Bench, asked_for: Mapping[str, Any]) -> dict[str, Any]:
    if asked_for["do"] == "whole":
        return bench.whole(asked_for["brief"])
    began = time.perf_counter()
    rows = bench.write(asked_for["who"], asked_for["brief"])
    seconds = time.perf_counter() - began
    tokens = sum(len(row.tokens) for row in rows)
    written = [row.tokens[: bench.plain.config.max_position_embeddings] for row in rows]
    return {
        "seconds": seconds,
        "tokens": tokens,
        "notes": zlib.crc32(np.concatenate(written).astype(np.int32).tobytes()),
    }


def main() -> None:
    """Answers each line on what was stdout; what libraries print goes to stderr."""
    reply, sys.stdout = sys.stdout, sys.stderr
    bench: Bench | None = None
    for line in sys.stdin:
        asked_for = json.loads(line)
        made: dict[str, Any] = {}
        if asked_for["do"] == "load":
            bench = Bench(Path(asked_for["folder"]))
        elif bench:
            made = answer(bench, asked_for)
        reply.write(json.dumps(made) + "\n")
        reply.flush()


if __name__ == "__main__":
    main()
