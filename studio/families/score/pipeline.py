"""Takes of a brief or of a source as MIDI files, by a loaded model. Knows no training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedModel

from studio.errors import Cancelled
from studio.families.causal_lm.loading import DTYPES, read_card, unusable
from studio.families.family import Context
from studio.families.score.arrangement import score_of
from studio.families.score.decoding import Composer, Row, chance_of
from studio.families.score.grammar import GivenBar, Grammar
from studio.families.score.key_lean import KeyLean
from studio.families.score.piece import STYLES
from studio.families.score.takes import Composing, Take
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Asked, asked
from studio.music.score import Score
from studio.types import Device, Request


class ScorePipeline:
    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary, card: Mapping[str, Any]) -> None:
        """ModelError for a model that the composer cannot read with."""
        self.model, self.vocabulary, self.card = model, vocabulary, card
        self.composer = Composer(model, vocabulary)
        self._tasks = {"text_to_score": self._from_words}

    @property
    def styles(self) -> tuple[str, ...]:
        """Those that the model has learnt."""
        return tuple(self.card.get("knows", {}).get("styles", STYLES))

    def size(self) -> int:
        own = {id(weight): weight.nbytes for weight in self.model.parameters()}
        return 2 * sum(own.values())  # the composer packs them once more

    def run(self, request: Request, context: Context) -> None:
        """Take k is the piece of the seed + k; of what is stopped whole bars are kept. InvalidInput names the field."""
        context.check()
        takes = self._tasks[request.task](request, context)
        job = Composing(context, takes)
        try:
            self.composer.compose(
                [take.row for take in takes],
                temperature=float(str(request.params["temperature"])),
                top_p=float(str(request.params["top_p"])),
                each=job.each,
            )
        except Cancelled:
            job.keep()
            raise
        job.keep()

    def _from_words(self, request: Request, context: Context) -> list[Take]:
        takes = []
        for seed in seeds_of(request):
            one = asked(request.params, request.prompt, chance_of(seed, 1), self.styles)
            for warning in one.warnings:
                context.warn(warning)
            row = self._row(one, seed, float(str(request.params["key_weight"])))
            meta = {"style": one.wish.style or "", "key": one.key}
            takes.append(Take(seed, row, arranged_as(one, row), meta))
        return takes

    def _row(self, one: Asked, seed: int, key_weight: float) -> Row:
        wish = one.wish
        only = {bar: GivenBar(free=one.setting.parts) for bar in range(wish.bars)}
        grammar = Grammar(self.vocabulary, wish.metre, wish.bars, wish.tonic, only)
        lean = KeyLean(wish.tonic, wish.mode or 0, key_weight) if key_weight else None
        return Row(wish.head(self.vocabulary), grammar, chance_of(seed), lean)


def seeds_of(request: Request) -> Sequence[int]:
    return range(request.seed, request.seed + int(str(request.params["num_return_sequences"])))


def arranged_as(one: Asked, row: Row):
    def arranged(bars: int) -> Score | None:
        assert row.grammar is not None
        return score_of(row.grammar.written, one.setting, bars) if bars else None

    return arranged


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
