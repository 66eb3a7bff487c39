"""Composes pieces for wishes with a trained model, as trainings and figures need them: no files, no board."""

import numpy as np
from transformers import PreTrainedModel

from studio.families.score.decoding import Composer, Row, chance_of
from studio.families.score.grammar import Grammar
from studio.families.score.key_lean import KeyLean
from studio.families.score.variety import Variety
from studio.families.score.vocabulary import Vocabulary
from studio.families.score.wishes import Wish


def generate(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    wishes: list[Wish],
    *,
    seed: int,
    temperature: float = 0.9,
    top_p: float = 0.9,
    key_weight: float = 0.0,
    variety_weight: float = 0.0,
    constrained: bool = True,
    most: int | None = None,
) -> list[np.ndarray]:
    """A sequence of tokens for each wish, together; wish k is drawn from the seed + k.

    A sequence that reaches `most` tokens (default: none does, constrained; else the model's context) is finished with
    what the grammar asks for and no more notes. Unconstrained ones may break off anywhere.
    """
    rows = []
    for number, wish in enumerate(wishes):
        grammar = Grammar(vocabulary, wish.metre, wish.bars, wish.tonic) if constrained else None
        lean = KeyLean(wish.tonic, wish.mode, key_weight) if key_weight and wish.mode is not None else None
        variety = Variety(variety_weight) if variety_weight and constrained else None
        rows.append(Row(wish.head(vocabulary), grammar, chance_of(seed + number), lean, variety))
    most = most if constrained else (most or model.config.max_position_embeddings) - 1
    Composer(model, vocabulary).compose(rows, temperature=temperature, top_p=top_p, most=most)
    for row in rows:
        if row.grammar:
            _finish(row, row.grammar, vocabulary)
    return [np.array(row.tokens) for row in rows]


def _finish(row: Row, grammar: Grammar, vocabulary: Vocabulary) -> None:
    """Add the bars that are missing, empty; a place or length without a note is taken back."""
    while not grammar.done and vocabulary.names[row.tokens[-1]].partition("=")[0] in ("PLACE", "LENGTH"):
        row.tokens.pop()
        grammar.after = "taken back"
    while not grammar.done:
        may = np.flatnonzero(grammar.allowed())
        kinds = {vocabulary.names[token].partition("=")[0]: int(token) for token in may}
        row.take(next(kinds[kind] for kind in ("BAR", "PHRASE", "CHORD", "END") if kind in kinds))
