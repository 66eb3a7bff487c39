"""Takes of a brief or of a source as MIDI files, by a loaded model. Knows no training."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoModelForCausalLM, PreTrainedModel

from studio.errors import Cancelled, InvalidInput
from studio.families.causal_lm.loading import DTYPES, unusable
from studio.families.family import Context
from studio.families.model_card import read_card
from studio.families.score.arrangement import Setting, fifths_of, melody_on_top, score_of
from studio.families.score.beginnings import beginning_with, first_beats, opening_bars
from studio.families.score.briefs import read_brief
from studio.families.score.decoding import Composer, Row, chance_of
from studio.families.score.edits import Plan, continued, filled, harmonised, melody_kept, restyled, varied
from studio.families.score.grammar import GivenBar, Grammar, Written
from studio.families.score.key_lean import KeyLean
from studio.families.score.piece import CHORDS, MELODY, STYLES, bar_ticks
from studio.families.score.takes import Composing, Take
from studio.families.score.variety import Variety
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Wish, asked, key_name
from studio.music.files import read_score, settings_inside
from studio.music.lyrics import carried, with_words
from studio.music.score import Score
from studio.types import Device, Request, Value

COMPOSING, SETTING = 0, 100  # streams of a seed's random numbers: notes (and on, for candidates), what is left open
CANDIDATES = 3  # fillings of a gap, of which the one stays that makes what follows likeliest


class ScorePipeline:
    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary, card: Mapping[str, Any]) -> None:
        """ModelError for a model that the composer cannot read with."""
        self.model, self.vocabulary, self.card = model, vocabulary, card
        self.composer = Composer(model, vocabulary)

    @property
    def styles(self) -> tuple[str, ...]:
        """Those that the model has learnt."""
        return tuple(self.card.get("knows", {}).get("styles", STYLES))

    @property
    def bass_first(self) -> frozenset[str]:
        """Styles in which the model writes the lowest voice as melody."""
        return frozenset(self.card.get("knows", {}).get("bass_first", ()))

    def size(self) -> int:
        own = {id(weight): weight.nbytes for weight in self.model.parameters()}
        return 2 * sum(own.values())  # the composer packs them once more

    def run(self, request: Request, context: Context) -> None:
        """Take k is the piece of the seed + k; of what is stopped whole bars are kept. InvalidInput names the field."""
        context.check()
        takes = (
            self._from_words(request, context)
            if request.task == "text_to_score"
            else self._from_source(request, context)
        )
        job = Composing(context, takes)
        try:
            self.composer.compose(
                [row for take in takes for row in take.rows],
                temperature=float(str(request.params["temperature"])),
                top_p=float(str(request.params["top_p"])),
                each=job.each,
            )
        except Cancelled:
            job.keep()
            raise
        job.keep()

    def _from_words(self, request: Request, context: Context) -> list[Take]:
        begun = self._source(context, "beginning")[0] if "beginning" in context.inputs else None
        lyrics = str(request.params["lyrics"])
        takes = []
        for seed in seeds_of(request):
            one = asked(request.params, request.prompt, chance_of(seed, SETTING), self.styles)
            if begun:
                one = beginning_with(one, begun, request.params, request.prompt)
            for warning in one.warnings:
                context.warn(warning)
            given = opening_bars(one, begun, self.vocabulary) if begun else first_beats(one)
            wish, setting = one.wish, one.setting
            row = self._row(wish, given, seed, request)
            turns = wish.style in self.bass_first and not begun and {MELODY, CHORDS} <= setting.parts

            def arranged(
                written: Sequence[Written], bars: int, setting: Setting = setting, turns: bool = turns
            ) -> Score | None:
                meant = melody_on_top(written, bar_ticks(setting.metre)) if turns else written
                return score_of(meant, setting, bars) if bars else None

            meta = {"style": wish.style or "", "key": one.key}
            takes.append(Take(seed, [row], wish.bars, arranged, meta, sung=partial(with_words, text=lyrics)))
        return takes

    def _from_source(self, request: Request, context: Context) -> list[Take]:
        score, style = self._source(context, "source")
        plan_of = self._planned(request, score, style)
        takes = []
        for seed in seeds_of(request):
            plan = plan_of(chance_of(seed, SETTING))
            several = CANDIDATES if request.task == "fill_score" and plan.until > plan.new.stop else 1
            rows = [self._row(plan.wish, plan.given, seed, request, stream) for stream in range(several)]
            for row in rows:
                row.given_bars, row.until = plan.new.start, plan.until
                row.scored_from = plan.new.stop if several > 1 else None
            kept, sung = kept_of(plan, request.task), partial(carried, score)
            takes.append(Take(seed, rows, plan.new.stop, plan.rewritten, told_of(plan), kept, sung))
        return takes

    def _planned(self, request: Request, score: Score, own_style: str) -> Callable[[np.random.Generator], Plan]:
        """What becomes of the score, once a take. InvalidInput names the field that it cannot be done with."""
        params, words = request.params, self.vocabulary
        first, last = int(str(params.get("from_bar", 0))), int(str(params.get("to_bar", 0)))
        chosen = str(params.get("style", ""))
        style = chosen or style_in(request.prompt)
        if request.task in ("vary_score", "continue_score", "fill_score"):
            style = style or own_style
        if request.task == "vary_score":
            return varied(score, words, first, last, style, float(str(params["strength"])))
        if request.task == "continue_score":
            plan = continued(score, words, int(str(params["bars"])), style)
        elif request.task == "fill_score":
            plan = filled(score, words, first, last, style)
        elif request.task == "harmonise_score":
            plan = harmonised(score, words, style)
        else:
            plan = restyled(score, words, chosen)
        return lambda chance: plan

    def _source(self, context: Context, role: str) -> tuple[Score, str]:
        """The score and, where it was composed here, its style. InvalidInput where it is none or no note sounds."""
        data = context.inputs[role][0].read_bytes()
        score = read_score(data, "The source")
        if not any(track.notes for track in score.tracks):
            raise InvalidInput("No note sounds in the source.", "Give a score that has notes.", field=role)
        settings = settings_inside(data, "The source") or {}
        return score, style_inside(settings, self.styles)

    def _row(self, wish: Wish, given: Mapping[int, GivenBar], seed: int, request: Request, stream: int = 0) -> Row:
        grammar = Grammar(self.vocabulary, wish.metre, wish.bars, wish.tonic, given)
        weight = float(str(request.params["key_weight"]))
        lean = KeyLean(wish.tonic, wish.mode or 0, weight) if weight else None
        led_on = float(str(request.params["variety_weight"]))
        variety = Variety(led_on) if led_on else None
        return Row(wish.head(self.vocabulary), grammar, chance_of(seed, COMPOSING + stream), lean, variety)


def style_inside(settings: Mapping[str, Any], known: Collection[str]) -> str:
    """The style of the request that a file of ours carries, chosen or in its words; "" where there is none."""
    params = settings.get("params")
    chosen = str(params.get("style", "")) if isinstance(params, Mapping) else ""
    style = chosen or style_in(str(settings.get("prompt") or ""))
    return style if style in known else ""


def style_in(words: str) -> str:
    """The style that words name; "" where they name none, or are no brief at all, such as the name of a file."""
    try:
        return str(read_brief(words).get("style", ""))
    except InvalidInput:
        return ""


def seeds_of(request: Request) -> Sequence[int]:
    return range(request.seed, request.seed + int(str(request.params["num_return_sequences"])))


def told_of(plan: Plan) -> dict[str, Value]:
    tonic, mode = plan.wish.tonic, plan.wish.mode or 0
    new = {"new_from": plan.first_new, "new_to": plan.first_new + len(plan.new) - 1}
    return {"style": plan.wish.style or "", "key": key_name(fifths_of(tonic, mode), mode), **new}


def kept_of(plan: Plan, task: str) -> Callable[[Sequence[Written]], Mapping[str, Value]]:
    """How much of the melody a new style has left."""
    return lambda written: {"melody_kept": melody_kept(plan.source, written)} if task == "restyle_score" else {}


def load(folder: Path, device: Device) -> ScorePipeline:
    """ModelError when the folder is no causal LM with a vocabulary of scores."""
    try:
        vocabulary = Vocabulary.load(folder)
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=DTYPES[device.dtype]
        )
    except (OSError, ValueError, KeyError) as error:
        raise unusable(folder, error) from error
    return ScorePipeline(model.to(device.kind).eval(), vocabulary, read_card(folder))
