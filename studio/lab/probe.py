"""What a bias probe asks, and what its answers say: how often each word comes up where the prompt names none of them.

It counts words that a judge told and knows neither pictures nor models. A skew is called one only where the interval of
its share excludes what was asked for; a change only where the interval of the difference excludes none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from studio.errors import InvalidInput
from studio.lab.evaluate import Skew, counted, newcombe, skew
from studio.lab.report import balance_of

ATTRIBUTES = ("colour", "thing", "place", "time", "style", "person", "age", "season")
JUDGED = ATTRIBUTES[1:5]  # by a model's own judge
JUDGE = "judge.safetensors"  # beside a model's card: tells of its pictures more than the colour
MOST_PROMPTS, MOST_SEEDS = 20, 500
SEEN = 0.05  # share of some set of pictures from which on a word counts, where the person named none
NAMED = {"model": "The model", "with_lora": "With the LoRA, the model", "data": "The data set"}


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Prompts that leave an attribute open, each made from `seeds` seeds. `words`: between which to share; none: those
    that turn up. `asked`: the share that each of them should have, summing to 1; none: even ones.
    """

    prompts: tuple[str, ...]
    attribute: str = "colour"
    words: tuple[str, ...] = ()
    asked: tuple[float, ...] = ()
    seeds: int = 24

    @classmethod
    def of(cls, prompts: Sequence[str], attribute: str = "colour", words: str = "", seeds: int = 24) -> Self:
        """As a person writes it; `words` like "red, blue" or "red=0.7, blue=0.3". InvalidInput."""
        named = [part.strip() for part in words.split(",") if part.strip()]
        shares = [part.partition("=")[2].strip() for part in named]
        try:
            asked = tuple(float(share) for share in shares) if any(shares) else ()
        except ValueError as error:
            raise InvalidInput(
                f"The words {words!r} cannot be read.", "Write red, blue or red=0.7, blue=0.3."
            ) from error
        clean = tuple(part.partition("=")[0].strip().lower() for part in named)
        made = cls(
            prompts=tuple(p.strip() for p in prompts if p.strip()),
            attribute=attribute,
            words=clean,
            asked=asked,
            seeds=seeds,
        )
        made.check()
        return made

    def check(self) -> None:
        """InvalidInput, with what is wrong."""
        if not 0 < len(self.prompts) <= MOST_PROMPTS:
            raise InvalidInput(f"A probe has {len(self.prompts)} prompts.", f"Give 1 to {MOST_PROMPTS}.", field="probe")
        if self.attribute not in ATTRIBUTES:
            hint = f"Choose one of {', '.join(ATTRIBUTES)}."
            raise InvalidInput(f"{self.attribute!r} cannot be judged.", hint, field="attribute")
        if not 2 <= self.seeds <= MOST_SEEDS:
            raise InvalidInput(f"{self.seeds} seeds a prompt.", f"Give 2 to {MOST_SEEDS}.", field="seeds")
        if len(self.words) == 1 or len(set(self.words)) < len(self.words):
            raise InvalidInput("A probe needs two different words or more.", "Name more, or none.", field="words")
        if self.asked and (min(self.asked) < 0 or abs(sum(self.asked) - 1) > 0.01):
            raise InvalidInput(f"The shares sum to {sum(self.asked):g}.", "Let them sum to 1.", field="words")

    def to_dict(self) -> dict[str, Any]:
        plain = {"prompts": list(self.prompts), "attribute": self.attribute, "seeds": self.seeds}
        return {**plain, "words": list(self.words), "asked": list(self.asked)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """InvalidInput where it is none."""
        try:
            made = cls(
                prompts=tuple(str(p) for p in plain["prompts"]),
                attribute=str(plain.get("attribute", "colour")),
                words=tuple(str(w) for w in plain.get("words", ())),
                asked=tuple(float(a) for a in plain.get("asked", ())),
                seeds=int(plain.get("seeds", 24)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput("The probe cannot be read.", "Give prompts, attribute, words, seeds.") from error
        made.check()
        return made


def read_probes(text: str) -> list[Probe]:
    """The probes of a request's param, a JSON list. InvalidInput."""
    try:
        plain = json.loads(text or "[]")
    except ValueError as error:
        raise InvalidInput("The probes cannot be read.", "Give a JSON list.", field="probes") from error
    return [Probe.from_dict(one) for one in plain]


def speaks_of(caption: str, prompt: str) -> bool:
    """Whether the caption holds the prompt's words, articles aside."""
    words = set(prompt.lower().split()) - {"a", "an", "the", "of", "some"}
    return words <= set(caption.lower().replace(",", " ").split())


def probed(
    probe: Probe, prompt: str, told: Mapping[str, Sequence[str]], known: Sequence[str], captions: Sequence[str] = ()
) -> dict[str, Any]:
    """One row of the table: prompt x attribute. `told`: by set of pictures ("model", "with_lora", "data") the judge's
    word for each, "" where it had none; `known`: all its words; `captions`: those of the data set.
    """
    words = probe.words or _seen(told, known)
    even = 1 / len(words)
    asked = dict(zip(words, probe.asked or (even,) * len(words), strict=True))
    found = {name: skew(counted(words, some), asked) for name, some in told.items() if some}
    row: dict[str, Any] = {
        "prompt": prompt,
        "attribute": probe.attribute,
        "words": list(words),
        "asked": asked,
        "sets": {name: {**_plain(one), "none_of_them": len(told[name]) - one.many} for name, one in found.items()},
        "sentences": [],
    }
    for name, one in found.items():
        if one.sure:
            row["sentences"].append(leaning(NAMED[name], prompt, one, probe.asked))
    if "model" in found and "with_lora" in found:
        row["change"], sentence = changes(found["model"], found["with_lora"], prompt)
        row["sentences"] += sentence
    for balance in balance_of(captions):
        if balance.group == probe.attribute:
            row["captions"] = {
                share.word: _share(share.count, share.share, share.low, share.high) for share in balance.words
            }
    return row


def _seen(told: Mapping[str, Sequence[str]], known: Sequence[str]) -> tuple[str, ...]:
    """The words that a judge told of a fair part of some set; all that it knows where that leaves fewer than two."""
    often = [w for w in known if any(list(some).count(w) >= SEEN * len(some) > 0 for some in told.values())]
    return tuple(often) if len(often) > 1 else tuple(known)


def leaning(who: str, prompt: str, found: Skew, asked: Sequence[float] = ()) -> str:
    """The alarm, in one sentence: "The model leans to red where the prompt is “a car”: 84 % (65-94 %), even: 50 %."."""
    _, share, low, high = found.shares[found.leaning]
    aim = f"{'asked' if asked else 'even'}: {found.asked[found.leaning]:.0%}"
    return f"{who} leans to {found.leaning} where it is “{prompt}”: {share:.0%} ({low:.0%}-{high:.0%}), {aim}."


def changes(before: Skew, after: Skew, prompt: str) -> tuple[dict[str, Any], list[str]]:
    """By word how its share changed, and a sentence where the largest change is beyond chance."""
    found = {}
    for word in before.shares:
        pairs = (before.shares[word][0], before.many), (after.shares[word][0], after.many)
        value, low, high = newcombe(*pairs, words=len(before.shares))
        found[word] = {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}
    most = max(found, key=lambda word: abs(found[word]["value"]))
    change = found[most]
    if change["low"] <= 0 <= change["high"]:
        return found, []
    verb = "rose" if change["value"] > 0 else "fell"
    told = (
        f"With the LoRA the share of {most} {verb} for “{prompt}” from {before.shares[most][1]:.0%} to "
        f"{after.shares[most][1]:.0%}: {100 * change['value']:+.0f} points "
        f"({100 * change['low']:+.0f} to {100 * change['high']:+.0f})."
    )
    return found, [told]


def _plain(found: Skew) -> dict[str, Any]:
    return {
        "many": found.many,
        "shares": {word: _share(*values) for word, values in found.shares.items()},
        "leaning": found.leaning,
        "above": round(found.above, 4),
        "low": round(found.low - found.asked[found.leaning], 4),
        "high": round(found.high - found.asked[found.leaning], 4),
        "distance": {
            "value": round(found.distance, 4),
            "low": round(found.distance_low, 4),
            "high": round(found.distance_high, 4),
        },
        "sure": found.sure,
    }


def _share(count: int, share: float, low: float, high: float) -> dict[str, Any]:
    return {"count": count, "share": round(share, 4), "low": round(low, 4), "high": round(high, 4)}
