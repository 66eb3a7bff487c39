"""Composes pieces with a trained model, several at a time, within the grammar."""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import DynamicCache, LlamaForCausalLM

from studio.families.score.grammar import Grammar
from studio.families.score.piece import METRES, MODES, STYLES, TONICS
from studio.families.score.vocabulary import ANY, CONTROLS, Vocabulary


@dataclass(frozen=True)
class Wish:
    """What a piece shall be like; None leaves a control open. `bars` 1 to 48, `tempo` and `density` classes 0 to 4."""

    style: str | None
    bars: int
    metre: tuple[int, int] = (4, 4)
    tonic: int = 0
    mode: int | None = 0
    tempo: int | None = None
    density: int | None = None
    opens: bool = True
    closes: bool = True

    def head(self, vocabulary: Vocabulary) -> list[int]:
        """The tokens before the first bar."""
        said = {
            "style": ANY if self.style is None else STYLES[STYLES.index(self.style)],
            "mode": ANY if self.mode is None else MODES[self.mode],
            "key": TONICS[self.tonic],
            "metre": "{}/{}".format(*METRES[METRES.index(self.metre)]),
            "tempo": ANY if self.tempo is None else self.tempo,
            "density": ANY if self.density is None else self.density,
            "opens": "yes" if self.opens else "no",
            "closes": "yes" if self.closes else "no",
        }
        return [vocabulary.ids["BEGIN"], *(vocabulary.ids[f"{control}={said[control]}"] for control in CONTROLS)]


@torch.inference_mode()
def generate(
    model: LlamaForCausalLM,
    vocabulary: Vocabulary,
    wishes: list[Wish],
    *,
    seed: int,
    temperature: float = 0.9,
    top_p: float = 0.9,
    constrained: bool = True,
    most: int | None = None,
) -> list[np.ndarray]:
    """A sequence of tokens for each wish, together; the same seed and wishes give the same sequences.

    A sequence that reaches `most` tokens (default: the model's context) is finished with what the grammar asks for
    and no more notes. Unconstrained ones may break off anywhere.
    """
    most = most or model.config.max_position_embeddings
    chance = np.random.default_rng(seed)
    grammars = [Grammar(vocabulary, wish.metre, wish.bars, wish.tonic) for wish in wishes]
    rows = [wish.head(vocabulary) for wish in wishes]
    cache = DynamicCache(config=model.config)
    pad, end = vocabulary.ids["PAD"], vocabulary.ids["END"]
    going = list(range(len(rows)))  # those that are computed; finished ones leave as soon as they are a quarter
    given = np.array(rows)
    for _ in range(most - 1 - len(rows[0])):
        tokens_in = torch.from_numpy(given).to(model.device)
        logits = model(input_ids=tokens_in, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
        scores = logits.float().cpu().numpy()
        if constrained:
            scores[~np.stack([grammars[i].allowed() for i in going])] = -np.inf
        else:
            scores[:, pad] = -np.inf
        given = choose(scores, temperature, top_p, chance)[:, None]
        for i, token in zip(going, given[:, 0].tolist(), strict=True):
            grammar = grammars[i]
            rows[i].append(pad if grammar.done else token)
            if constrained:
                grammar.take(token)
            elif token == end:
                grammar.done = True
        kept = [place for place, i in enumerate(going) if not grammars[i].done]
        if not kept:
            break
        if len(kept) <= 0.75 * len(going):
            cache.batch_select_indices(torch.tensor(kept, device=model.device))
            going, given = [going[place] for place in kept], given[kept]
    if constrained:
        for row, grammar in zip(rows, grammars, strict=True):
            _finish(row, grammar, vocabulary)
    return [np.array([token for token in row if token != pad]) for row in rows]


def _finish(row: list[int], grammar: Grammar, vocabulary: Vocabulary) -> None:
    """Add the bars that are missing, empty; a place or length without a note is taken back."""
    while row and vocabulary.names[row[-1]].partition("=")[0] in ("PLACE", "LENGTH") and not grammar.done:
        row.pop()
        grammar.after = "taken back"
    while not grammar.done:
        may = np.flatnonzero(grammar.allowed())
        kinds = {vocabulary.names[token].partition("=")[0]: int(token) for token in may}
        token = next(kinds[kind] for kind in ("BAR", "PHRASE", "CHORD", "END") if kind in kinds)
        row.append(token)
        grammar.take(token)


def choose(logits: np.ndarray, temperature: float, top_p: float, chance: np.random.Generator) -> np.ndarray:
    """(n,) tokens drawn from (n, tokens) logits, of the likeliest that make up `top_p`; row by row the same draw."""
    scaled = logits / max(temperature, 1e-4)
    scaled -= scaled.max(1, keepdims=True)
    shares = np.exp(scaled)
    shares /= shares.sum(1, keepdims=True)
    order = np.argsort(-shares, 1)
    sorted_shares = np.take_along_axis(shares, order, 1)
    sums = sorted_shares.cumsum(1)
    sorted_shares[sums - sorted_shares >= top_p] = 0.0
    sums = sorted_shares.cumsum(1)
    draw = chance.random(len(logits))[:, None] * sums[:, -1:]
    at = np.minimum((sums <= draw).sum(1), logits.shape[1] - 1)
    return np.take_along_axis(order, at[:, None], 1)[:, 0]
