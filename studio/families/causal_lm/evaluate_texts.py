"""Measures a language model, with and without a LoRA: against a data set of texts, and by probes of words for bias.

Each set is measured in one go and kept in the run folder, so an evaluation that was killed goes on with the other.
Nothing is written for a reader: drafts begin with nothing, probes with their prompt.
"""

import gc
import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from studio.errors import InvalidInput
from studio.families.causal_lm import text_adapters
from studio.families.causal_lm.draft_measures import copied_runs, distinct_2
from studio.families.causal_lm.kept_text import room_of
from studio.families.causal_lm.learnt_windows import TOLD
from studio.families.causal_lm.loading import open_folder
from studio.families.causal_lm.lora_rows import ids, marks, stream_of
from studio.families.causal_lm.ngrams import Ngrams
from studio.families.causal_lm.text_figures import bits_by_xz, bits_of_tokens, means_of_blocks
from studio.families.causal_lm.text_set import read_texts
from studio.families.family import Context
from studio.families.training.picture_set import read_manifest
from studio.families.training.run_folder import RunFolder
from studio.lab.evaluate import figure
from studio.lab.evaluation_card import card
from studio.lab.probe import Probe, probed, read_probes, speaks_of
from studio.types import Request

MOST_TOKENS = 32_768  # of texts that are looked at
PROBE_TOKENS = 40  # that a probe's prompt is gone on with
AT_ONCE = 8  # drafts
SHOWN = 2  # drafts of each set on the card


class TextEvaluation:
    def __init__(self, folder: Path, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: Mapping[str, Any] = request.params
        self.run = RunFolder(context.kept)
        self.opened = open_folder(folder, context.device)
        self.tokenizer = self.opened.tokenizer
        self.before = marks(self.tokenizer, self.opened.genres) or [int(str(self.tokenizer.eos_token_id or 0))]
        files = context.inputs.get("dataset") or ()
        self.texts, self.held_out = read_texts(read_manifest(files[0])) if files else ([], [])
        self.compared = self.held_out or self.texts
        self.probes = read_probes(str(self.params["probes"]))
        self._check()
        self.stream, self.bytes = self._stream()
        self.sets: dict[str, Sequence[tuple[Path, float]]] = {"model": ()}
        if context.adapters:
            self.sets["with_lora"] = context.adapters
        self.last = list(self.sets)[-1]  # what is measured; the other is what it is compared with
        files = [*folder.rglob("*.safetensors"), *(path for path, _ in context.adapters)]
        told = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(files)]
        mark = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
        self.kept = self.run.folder / "measured" / mark  # another model of the same name has another folder
        self.kept.mkdir(parents=True, exist_ok=True)

    def _check(self) -> None:
        """InvalidInput where nothing was asked that can be measured."""
        if not self.compared and not self.probes:
            raise InvalidInput(
                "There is nothing to measure.", "Give a data set of texts, or prompts to probe.", field="probe"
            )
        if any(not probe.words for probe in self.probes):
            raise InvalidInput(
                "A probe of texts needs the words that are counted.", "Name some, such as he, she.", field="words"
            )

    def _stream(self) -> tuple[NDArray[np.int64], int]:
        """Tokens of the texts that are compared with, at most MOST_TOKENS, and how many bytes they stand for."""
        flat, size, end = list(self.before), 0, self.tokenizer.eos_token_id
        for text in self.compared:
            found = ids(self.tokenizer, text)
            room = MOST_TOKENS - len(flat)
            if room <= 0:
                break
            size += len((text if len(found) <= room else self.tokenizer.decode(found[:room])).encode())
            flat += [*found[:room], *([int(str(end))] if end is not None else [])]
        return np.array(flat, np.int64), size

    # --- making

    def measured(self, name: str) -> dict[str, Any]:
        """{"bits": by token, "drafts": [...], "probes": [[...] a prompt]} of a set, kept for a later start."""
        file = self.kept / f"{name}.json"
        if file.is_file():
            return json.loads(file.read_text("utf-8"))
        self.context.progress(0, 0, "Loading the model")
        model = self.opened.open_model()
        for path, weight in self.sets[name]:
            text_adapters.add_to(model, path, weight)
        width = min(room_of(model), int(self.params["max_length"]))
        bits: list[float] = []
        if self.bytes:
            bits = bits_of_tokens(model, self.stream, width - 1, self._reading).round(4).tolist()
        drafts = self.write(model, "", int(self.params["drafts"]), int(self.params["draft_tokens"]), width)
        asked = [(probe, prompt) for probe in self.probes for prompt in probe.prompts]
        told = [self.write(model, prompt, probe.seeds, PROBE_TOKENS, width) for probe, prompt in asked]
        found = {"bits": bits, "drafts": drafts, "probes": told}
        part = file.with_suffix(".part")
        part.write_text(json.dumps(found), "utf-8")
        part.replace(file)
        del model
        gc.collect()
        return found

    def _reading(self, done: int, of: int) -> None:
        self.context.check()
        self.context.progress(done, of, "Reading texts")

    def write(self, model: PreTrainedModel, prompt: str, count: int, most: int, width: int) -> list[str]:
        """`count` texts that go on from `prompt`, without it; the same for the same seed, whatever else is asked."""
        given = [*self.before, *ids(self.tokenizer, prompt)][-max(1, width - 8) :]
        pad = int(str(self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0))
        written: list[str] = []
        while len(written) < count:
            self.context.check()
            self.context.progress(len(written), count, f"Writing on “{prompt[:40]}”" if prompt else "Writing drafts")
            some = min(AT_ONCE, count - len(written))
            with torch.no_grad(), torch.random.fork_rng():
                torch.manual_seed(self.request.seed + len(written))
                made = model.generate(
                    input_ids=torch.tensor([given] * some, device=model.device),
                    attention_mask=torch.ones(some, len(given), dtype=torch.long, device=model.device),
                    max_new_tokens=max(1, min(most, width - len(given))),
                    do_sample=True,
                    temperature=self.params["temperature"],
                    top_p=self.params["top_p"],
                    top_k=0,
                    pad_token_id=pad,
                )
            written += self.tokenizer.batch_decode(made[:, len(given) :], skip_special_tokens=True)
        return written

    # --- looking

    def measure(self) -> dict[str, Any]:
        """The whole result; card.md lies in the run folder then."""
        made = {name: self.measured(name) for name in self.sets}
        self.context.progress(0, 0, "Comparing")
        figures = {name: self._figures(one) for name, one in made.items()}
        if len(made) > 1 and self.bytes:
            old, new = (means_of_blocks(np.array(made[name]["bits"])) for name in self.sets)
            means = "How many fewer bits it needs with the LoRA, as a share, stretch by stretch."
            figures[self.last]["gain"] = figure(1 - new / old, means)
        rows = self._probed(made)
        before = figures["model"] if self.last != "model" else {}
        given = ("drafts", "draft_tokens", "max_length", "temperature", "top_p")
        result: dict[str, Any] = {
            "model": self.request.model,
            "adapters": [f"{adapter.id}:{adapter.weight:g}" for adapter in self.request.adapters],
            "date": time.strftime("%Y-%m-%d"),
            "seed": self.request.seed,
            "settings": ", ".join(f"{name} {self.params[name]}" for name in given),
            "figures": figures[self.last],
            "before": before,
            "probe": rows,
            "nearest": [],
            "alarms": alarms(figures[self.last], rows),
            "how": self._how(rows),
            "limits": self._limits(),
            "sheets": [],
            "drafts": {name: one["drafts"][:SHOWN] for name, one in made.items() if one["drafts"]},
        }
        self._show(made)
        result["card"] = card(result)
        (self.run.folder / "card.md").write_text(result["card"], "utf-8")
        self.run.write("evaluation.json", result)
        return result

    def _show(self, made: Mapping[str, Mapping[str, Any]]) -> None:
        """The drafts into the run's `samples`."""
        folder = self.run.folder / "samples"
        folder.mkdir(exist_ok=True)
        for name, one in made.items():
            file = folder / ("card-drafts.txt" if name == self.last else "before-drafts.txt")
            file.write_text("\n\n---\n\n".join(one["drafts"]), "utf-8")

    def _figures(self, made: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.bytes:
            bits = np.array(made["bits"])
            which = "texts that were held out" if self.held_out else "the data set's texts, as none were held out"
            found["bits_a_byte"] = figure(
                means_of_blocks(bits) * len(bits) / self.bytes,
                f"Bits that it needs for a byte of {which}: less is better.",
            )
            found |= self._baselines()
        drafts = made["drafts"]
        if drafts and self.compared:
            words = min(sum(len(text.split()) for text in some) for some in (drafts, self.compared)) or 1
            ratio = distinct_2(drafts, words) / max(distinct_2(self.compared, words), 1e-9)
            found["variety"] = plain(
                ratio, "Different pairs of words in its drafts, as a share of those in real texts."
            )
            longest = int(np.percentile(copied_runs(drafts, [*self.texts, *self.held_out]), 95))
            means = "Characters in a row that 19 of 20 drafts repeat of the data set's texts at most."
            found["copied_run"] = plain(longest, means)
        return found

    def _baselines(self) -> dict[str, Any]:
        """The same texts by counting and by packing, where there are others to learn from."""
        if not (self.held_out and self.texts):
            return {}
        shown = self.tokenizer.decode(self.stream[len(self.before) :], skip_special_tokens=True)
        known = np.array(stream_of(self.texts, self.tokenizer), np.int64)
        odds = -Ngrams(known, len(self.tokenizer)).log2_odds(self.stream[len(self.before) :])
        by_xz = bits_by_xz(self.texts, [shown]) / self.bytes
        return {
            "bits_a_byte_5_grams": plain(
                odds.sum() / self.bytes, "The same by counting runs of five tokens in the data set's other texts."
            ),
            "bits_a_byte_xz": plain(by_xz, "The same by the packer xz, which knows the data set's other texts."),
        }

    def _probed(self, made: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        asked = [(probe, prompt) for probe in self.probes for prompt in probe.prompts]
        rows = []
        for number, (probe, prompt) in enumerate(asked):
            told = {name: [first_of(text, probe.words) for text in one["probes"][number]] for name, one in made.items()}
            if data := self._said(probe, prompt):
                told["data"] = data
            rows.append({**probed(probe, prompt, told, probe.words), "attribute": "words"})
        return rows

    def _said(self, probe: Probe, prompt: str) -> list[str]:
        """Which of the words comes first in each sentence of the data set that holds the prompt's words."""
        sentences = (s for text in [*self.texts, *self.held_out] for s in re.split(r"(?<=[.!?])\s+|\n+", text))
        return [first_of(sentence, probe.words) for sentence in sentences if speaks_of(plain_words(sentence), prompt)]

    def _how(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        said = []
        if self.bytes:
            said.append(
                f"Bits a byte: {len(self.stream)} tokens for {self.bytes} bytes of "
                f"{'held-out texts' if self.held_out else 'the data set'}, in windows that overlap by a quarter; "
                "the interval is over stretches of the text."
            )
        if rows:
            said += [
                f"Words: the first of them that comes up within {PROBE_TOKENS} tokens after the prompt.",
                "Shares: Wilson intervals, 95 %. A skew is named only where an interval corrected for the number of "
                "words (Bonferroni) excludes the asked share; a change by Newcombe's interval of the difference.",
            ]
        return said

    def _limits(self) -> list[str]:
        said = ["Bits a byte compare between models on the same texts only."]
        if self.compared and not self.held_out:
            said.append("Nothing was held out: what looks like quality may be memory.")
        if self.compared:
            said.append("A model that met these texts in its own training is flattered by them.")
        if self.probes:
            said.append("A word that is counted may speak of somebody else than the prompt does: read some drafts.")
        return said


def plain(value: float, means: str) -> dict[str, Any]:
    return {"value": round(float(value), 3), "means": means}


def first_of(text: str, words: Sequence[str]) -> str:
    """That of the words which stands first in the text as a whole word, whatever its case; "" for none."""
    found = re.search(rf"(?<!\w)({'|'.join(re.escape(word) for word in words)})(?!\w)", text, re.IGNORECASE)
    return found[1].lower() if found else ""


def plain_words(sentence: str) -> str:
    return " ".join(re.findall(r"[\w'’-]+", sentence))


def alarms(figures: Mapping[str, Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a person should look at: only where an interval excludes that it is chance."""
    said = [sentence for row in rows for sentence in row["sentences"]]
    bits, packed = figures.get("bits_a_byte"), figures.get("bits_a_byte_xz")
    if bits and packed and bits["low"] > packed["value"]:
        values = f"{bits['value']:.2f} bits a byte, xz {packed['value']:.2f}"
        said.append(f"It predicts these texts worse than a packer does: {values}.")
    if "gain" in figures and figures["gain"]["high"] < 0:
        said.append(f"With the LoRA it predicts these texts worse: {-figures['gain']['value']:.0%} more bits.")
    if figures.get("copied_run", {}).get("value", 0) >= TOLD:
        said.append(f"Its drafts repeat up to {figures['copied_run']['value']:g} characters of the texts in a row.")
    return said


def run(folder: Path, request: Request, context: Context) -> None:
    """One evaluation; its output is the result as JSON. InvalidInput where nothing was asked that can be measured."""
    result = TextEvaluation(folder, request, context).measure()

    def write(path: Path) -> None:
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False), "utf-8")

    meta = {"name": request.prompt or request.model, "evaluation": True, "alarms": result["alarms"]}
    context.output(0, write, ".json", "application/json", meta)
