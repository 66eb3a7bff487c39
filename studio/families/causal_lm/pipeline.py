"""Drafts by a loaded causal LM, streamed as they grow, and the odds of the tokens of one. Knows no training."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
)

from studio.errors import Cancelled, InvalidInput
from studio.families.causal_lm.beginnings import Beginning, Beginnings
from studio.families.causal_lm.constraints import Constraints, Shape
from studio.families.causal_lm.decoding import Chances, Decoder, Draft
from studio.families.causal_lm.drafts import KeywordBias
from studio.families.causal_lm.fast_weights import HalfLinear, Int8Linear, PackedLinear, in_8_bits, pack
from studio.families.causal_lm.kept_text import room_of
from studio.families.causal_lm.learnt_windows import FILE, TOLD, LearntWindows, longest_of, read
from studio.families.causal_lm.loading import open_folder
from studio.families.causal_lm.odds import token_odds, write_odds
from studio.families.causal_lm.samplers import chain
from studio.families.causal_lm.stops import StopStrings, repeats, stop_strings
from studio.families.causal_lm.text_adapters import add_to
from studio.families.family import Context
from studio.types import Device, Request, Value

SHOWN_EVERY = 4  # tokens between two looks at the drafts
DRY_BREAKERS = ("\n", ":", '"', "*")  # llama.cpp's


class TextPipeline:
    def __init__(
        self,
        open_model: Callable[[], PreTrainedModel],
        tokenizer: Any,
        card: Mapping[str, Any],
        learnt: LearntWindows | None = None,
    ) -> None:
        """`open_model` is called once for each form of the weights that is asked for; `learnt`: what a person taught
        them.
        """
        self._open_model = open_model
        self.in_use: tuple[tuple[Path, int, float], ...] = ()  # LoRA files, when they were written, their weights
        self.model, self.tokenizer, self.card = open_model(), tokenizer, card
        pack(self.model)
        self.decoders = {"none": Decoder(self.model)}
        self.beginnings = Beginnings(tokenizer, self.card.get("knows", {}).get("genres", ()), self.ends)
        self.constraints = Constraints(tokenizer, self.ends)
        self._own_learnt = learnt
        self.learnt: list[LearntWindows] = [learnt] if learnt else []  # of the model and the LoRA in use

    def size(self) -> int:
        models = [decoder.model for decoder in self.decoders.values()]
        own = {id(weight): weight.nbytes for model in models for weight in model.parameters()}
        kinds = (PackedLinear, HalfLinear, Int8Linear)
        packed = [part.size() for m in models for part in m.modules() if isinstance(part, kinds)]
        return sum(own.values()) + sum(packed)

    def decoder(self, quantization: str) -> Decoder:
        """With the weights as they are ("none") or in 8 bits ("int8"), which are made at the first wish."""
        if quantization not in self.decoders:
            self.decoders[quantization] = Decoder(in_8_bits(self._adapted()))
        return self.decoders[quantization]

    def use(self, adapters: Sequence[tuple[Path, float]]) -> None:
        """Works exactly these LoRA into the weights, which are opened anew for that. InvalidInput for other files."""
        wanted = tuple((path, path.stat().st_mtime_ns, weight) for path, weight in adapters)
        if wanted == self.in_use:
            return
        before, self.in_use = self.in_use, wanted
        try:
            model = self._adapted()
        except InvalidInput:
            self.in_use = before
            raise
        pack(model)
        self.model, self.decoders = model, {"none": Decoder(model)}
        known = [self._own_learnt, *(read(path) for path, _, weight in wanted if weight)]
        self.learnt = [index for index in known if index]

    def _adapted(self) -> PreTrainedModel:
        model = self._open_model()
        for path, _, weight in self.in_use:
            add_to(model, path, weight)
        return model

    @property
    def ends(self) -> frozenset[int]:
        """Tokens that end a text: what the model's generation settings say, and its tokenizer's end."""
        told = getattr(self.model.generation_config, "eos_token_id", None)
        known = told if isinstance(told, list) else [told]
        return frozenset(int(token) for token in (*known, self.tokenizer.eos_token_id) if token is not None)

    def run(self, request: Request, context: Context) -> None:
        """Draft k is the text of the seed + k; what Stop finds of it is kept. InvalidInput names the wrong field."""
        context.check()
        self.use(context.adapters)
        if request.task == "token_odds":
            self._open_up(request, context)
        else:
            self._write(request, context)

    def _write(self, request: Request, context: Context) -> None:
        beginning = self._beginning(request, context, int(str(request.params["max_new_tokens"])))
        params = self._settled(request.params, beginning.genre)
        most = self._room(beginning, int(params["max_new_tokens"]), context)
        count = int(params["num_return_sequences"])
        job = _Writing(request, context, self, beginning, params, most)
        seeds = range(request.seed, request.seed + count)
        first = len(beginning.given)
        processors = self._processors(beginning, params, Chances(seeds, first, most, stream=1).table)
        try:
            self.decoder(str(params["quantization"])).write(
                beginning.tokens,
                seeds,
                most=most,
                first=first,
                ends=self.ends,
                processors=processors,
                greedy=params["temperature"] == 0,
                each=job.each,
                check=context.check,
            )
        except (Cancelled, InvalidInput):  # Stop, or a constraint that nothing more can meet
            job.keep(stopped=True)
            raise
        job.judge(next((processor for processor in processors if isinstance(processor, Shape)), None))
        job.keep()

    def _beginning(self, request: Request, context: Context, wanted: int, text: str | None = None) -> Beginning:
        """What stands before the new words. The oldest turns of a conversation that this model cannot look back whole
        are left out, with a word about it.
        """
        found, room = self.beginnings.of(request, text), room_of(self.model)
        turns = cast(list[Any], request.params.get("messages") or []) if request.params.get("mode") == "chat" else []
        first = [turn for turn in turns[:1] if turn["role"] == "system"]
        turns, left = turns[len(first) :], 0
        while turns and len(found.tokens) + min(wanted, room // 2) > room:
            turns, left = turns[2:], left + len(turns[:2])
            found = self.beginnings.of(request.with_params(messages=[*first, *turns]), text)
        if left:
            said = f"The conversation is longer than this model can look back: its first {left} turns are left out."
            context.warn(said)
        return found

    def _settled(self, params: Mapping[str, Any], genre: str) -> dict[str, Any]:
        """The settings, with what the card wants for this genre where they are its general ones."""
        general = self.card.get("defaults", {})
        special = general.get(genre, {}) if genre else {}
        changed = {k: v for k, v in special.items() if k in params and params[k] == general.get(k)}
        return {**params, **changed}

    def _room(self, beginning: Beginning, wanted: int, context: Context) -> int:
        """How many tokens may follow. InvalidInput when the beginning leaves no room, or no beginning would."""
        room, used = room_of(self.model), len(beginning.tokens)
        if wanted > room:
            said = f"{wanted:,} new tokens are more than the {room:,} that this model can look back."
            raise InvalidInput(said, f"Ask for at most {max(1, room - used):,}.", field="max_new_tokens")
        if used >= room:
            said = f"The text has {used:,} tokens, and this model can look back {room:,}."
            raise InvalidInput(said, "Shorten it.", field="prompt")
        if used + wanted > room:
            context.warn(f"The text has {used:,} tokens already, so at most {room - used:,} more are written.")
        return min(wanted, room - used)

    def _processors(
        self, beginning: Beginning, params: Mapping[str, Any], chances: torch.Tensor
    ) -> LogitsProcessorList:
        count, before = int(params["num_return_sequences"]), len(beginning.tokens)
        made = LogitsProcessorList()
        if beginning.keywords and params["keyword_bias"]:
            keywords = [beginning.keywords] * count
            made.append(KeywordBias(self.tokenizer, keywords, len(beginning.context), params["keyword_bias"]))
        vocabulary = self.model.get_output_embeddings().out_features
        shape = self.constraints.shape(str(params["json_schema"]), str(params["regex"]), count, vocabulary)
        without = self.constraints.without(params["word_filter"], len(beginning.context))
        made.extend(processor for processor in (shape, without) if processor)
        breakers = {tokens[-1] for text in DRY_BREAKERS if (tokens := self.beginnings.tokens(text))}
        made.extend(chain(params, breakers=frozenset(breakers), chances=chances, first=before))
        return made

    def _open_up(self, request: Request, context: Context) -> None:
        text = context.inputs["source"][0].read_text("utf-8")
        beginning = self._beginning(request, context, 0, text)
        if not beginning.given:
            raise InvalidInput("The draft is empty.", "Choose one with words.", field="source")
        if len(beginning.tokens) > room_of(self.model):
            said = f"The draft has {len(beginning.tokens):,} tokens, more than this model can look back."
            raise InvalidInput(said, "Open a shorter one.", field="source")
        written = len(request.prompt) if str(request.params["mode"]) == "write" else 0
        found = token_odds(
            self.decoder("none"), self.tokenizer, beginning, int(str(request.params["alternatives"])), written, context
        )
        context.output(0, write_odds(found), ".json", "application/json", {"source_characters": len(text)})


class _Writing:
    """One job: what is shown of its drafts while they grow, when they must end, and what is kept of them."""

    def __init__(
        self,
        request: Request,
        context: Context,
        pipeline: TextPipeline,
        beginning: Beginning,
        params: Mapping[str, Any],
        most: int,
    ) -> None:
        self.request, self.context, self.pipeline, self.beginning = request, context, pipeline, beginning
        self.most, self.budget = most, float(params["seconds"])
        self.stops = StopStrings(stop_strings(str(params["stop"])), pipeline.beginnings.text)
        self.began, self.first_token = time.monotonic(), 0.0
        self.took: dict[int, float] = {}  # seconds until a draft had ended
        self.cut: dict[int, int] = {}  # characters of its new text that a stop string leaves
        self.drafts: list[Draft] = []
        self.complete: list[bool] = []  # of drafts that keep to a schema or an expression: whether they came to its end

    def each(self, step: int, drafts: list[Draft]) -> None:
        self.drafts = drafts
        now = time.monotonic() - self.began
        for k, draft in enumerate(drafts):
            if not draft.finished and self.stops.reached(draft.tokens):
                draft.finished = "stop"
            if not draft.finished and self.budget and now >= self.budget:
                draft.finished = "time"
            if draft.finished:
                self.took.setdefault(k, now)
        self.context.check()
        self.context.progress(step, self.most, "Writing")
        if step == 1 or step % SHOWN_EVERY == 0:
            for k, draft in enumerate(drafts):
                self.context.preview(k, writer(lambda draft=draft: self.text(draft)), ".txt")

    def text(self, draft: Draft) -> str:
        """The whole text of a draft, what was given included."""
        given, text = self.beginning.given, self.beginning.text
        pipeline = self.pipeline.beginnings
        whole = pipeline.text([*given, *draft.tokens])
        if not whole.startswith(text):  # a tokenizer that does not give back what it took
            whole = text + whole[len(pipeline.text(given)) :]
        if draft.finished == "stop":
            whole = text + self.stops.before(whole[len(text) :])
        suffix = str(self.request.params["suffix"])
        gap = " " if suffix[:1].isalnum() and whole[-1:] and not whole[-1].isspace() else ""
        return whole + gap + suffix

    def judge(self, shape: Shape | None) -> None:
        """Says which drafts were cut before they were what they had to become."""
        if shape is None:
            return
        held = shape.complete([draft.tokens for draft in self.drafts])
        self.complete = [whole or draft.finished == "end" for draft, whole in zip(self.drafts, held, strict=True)]
        cut = [draft for draft, whole in zip(self.drafts, self.complete, strict=True) if not whole]
        if cut:
            many = len(self.drafts)
            who = "The draft was" if many == 1 else f"{len(cut)} of {many} drafts were"
            what = "what the regular expression asks" if shape.field == "regex" else "complete JSON"
            more = {"length": " Allow more tokens.", "time": " Allow more seconds."}.get(cut[0].finished, "")
            self.context.warn(f"{who} cut before becoming {what}.{more}")

    def keep(self, *, stopped: bool = False) -> None:
        """Every draft that has words of its own as an artifact."""
        end = time.monotonic() - self.began
        for k, draft in enumerate(self.drafts):
            if stopped and not draft.finished:
                draft.finished = "stopped"
            text, seconds = self.text(draft), self.took.get(k, end)
            fresh = text[len(self.beginning.text) :].removesuffix(str(self.request.params["suffix"]))
            if stopped and not draft.tokens:
                continue
            meta: dict[str, Value] = {
                "seed": draft.seed,
                "tokens": len(draft.tokens),
                "words": len(fresh.split()),
                "seconds": round(seconds, 3),
                "tokens_a_second": round(len(draft.tokens) / max(seconds, 1e-6), 2),
                "finished": draft.finished,
                "new_from": len(self.beginning.text),
                "context_tokens": len(self.beginning.tokens),
                "repeats": repeats(text),
                **({"complete": self.complete[k]} if self.complete else {}),
                **self.copied(text),
            }
            self.context.output(k, writer(lambda text=text: text), ".txt", "text/plain", meta)

    def copied(self, text: str) -> dict[str, Value]:
        """The longest run that the model wrote of what a person taught it, {} where it is not known what that was.

        In a notebook what was given is the person's own, and they know it; but for what a draft brought that is gone
        on from.
        """
        known = self.pipeline.learnt
        if not known:
            return {}
        own = 0
        if str(self.request.params.get("mode")) == "write":
            wrote = int(str(self.request.params["own_characters"]))
            own = len(self.beginning.text) if wrote < 0 else wrote
        run = longest_of(known, text.removesuffix(str(self.request.params["suffix"])), own)
        longest, start = (run.characters, run.start) if run else (0, 0)
        return {"copied": {"characters": longest, "start": start, "told": longest >= TOLD}}


def writer(text: str | Callable[[], str]) -> Callable[[Path], None]:
    """Writes that text, or what it is at that moment, to the path it is given."""

    def write(path: Path) -> None:
        path.write_text(text if isinstance(text, str) else text(), "utf-8", newline="")

    return write


def load(folder: Path, device: Device) -> TextPipeline:
    """ModelError when the folder is no causal LM."""
    opened = open_folder(folder, device)
    return TextPipeline(opened.open_model, opened.tokenizer, opened.card, read(folder / FILE))
