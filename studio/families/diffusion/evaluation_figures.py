"""The figures of an evaluation, from rows and from answers: each {value, low, high, means}. It sees no picture."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studio.lab.evaluate import (
    NEAR,
    copied,
    half_samples,
    kid_floor,
    kid_interval,
    nearest,
    newcombe,
    precision,
    recall,
    share_figure,
    standardised,
    told,
    unit,
    vendi,
)

ENOUGH = 8  # held-out pictures from which on the comparison is with them alone
Figures = dict[str, Any]


def data_figures(
    train: np.ndarray, held: np.ndarray, made: Mapping[str, np.ndarray], last: str
) -> tuple[dict[str, Figures], list[str], list[tuple[int, int, float]]]:
    """Figures by set, sentences on how, and (made, training, ratio) of the `last` set's rows, the nearest first.

    All rows are (n, d) of one encoder. A figure that so few rows cannot give is left out.
    """
    said = []
    real = held if len(held) >= ENOUGH else np.concatenate([train, held])
    if real is held:
        said.append(f"Compared with the {len(held)} held-out pictures of the data set.")
    else:
        said.append(
            f"Compared with all {len(real)} pictures of the data set, as only {len(held)} are held out: figures are "
            "kinder to a model that learnt them by heart."
        )
    found = {name: _of_one(rows, real, train) for name, rows in made.items()}
    whole = np.concatenate([train, held])
    if len(whole) >= 4:
        rows = unit(standardised(real, whole)[1])
        size = min(len(rows) for rows in made.values())
        floor = told(*kid_floor(rows, size, 1.0), "The same distance between parts of the data set itself: the floor.")
        for figures in found.values():
            if "kid" in figures:
                figures["kid_floor"] = floor
    pairs: list[tuple[int, int, float]] = []
    if len(train) >= 2 and len(made[last]):
        order, ratio = nearest(made[last], train)
        pairs = [(int(k), int(order[k]), float(ratio[k])) for k in np.argsort(ratio)]
    return found, said, pairs


def _of_one(made: np.ndarray, real: np.ndarray, train: np.ndarray) -> Figures:
    figures: Figures = {}
    known, ours = standardised(real, made)
    if len(real) >= 2 and len(made) >= 2:
        figures["kid"] = told(
            *kid_interval(unit(known), unit(ours), 1.0),
            "Distance to the data set's pictures (unbiased KID of directions from their mean); 0 is none.",
        )
    if len(real) >= 4 and len(made) >= 4:
        figures["diversity"] = told(
            *half_samples(lambda some: vendi(unit(some)), ours),
            f"How many different pictures these {len(made)} amount to (Vendi score).",
        )
        size = min(len(known), len(ours))
        own = vendi(unit(known[:size]))
        figures["diversity_of_data"] = {
            "value": round(own, 4),
            "means": f"The same of {size} pictures of the data set.",
        }
        figures["recall"] = told(
            *_bounded(half_samples(recall, known, ours)), "Share of the data set's variety that is reached."
        )
        figures["precision"] = told(
            *_bounded(half_samples(precision, known, ours)), "Share of its pictures that could be the data set's."
        )
    if len(train) >= 2:
        copies = int(copied(made, train).sum())
        figures["copying"] = share_figure(
            copies, len(made), f"Share of its pictures that repeat one of yours (nearest below {NEAR:.2f} of second)."
        )
    return figures


def _bounded(found: tuple[float, float, float]) -> tuple[float, float, float]:
    """A share stays within 0 and 1."""
    value, low, high = found
    return value, max(0.0, low), min(1.0, high)


def following_figures(found: Mapping[str, Sequence[Mapping[str, bool]]], kinds: Sequence[str]) -> Figures:
    """From answers by group ("all", "seen", "unseen" pairs of thing and place): whether each kind is as asked."""
    figures: Figures = {}
    for kind in kinds:
        right = [one[kind] for one in found["all"] if kind in one]
        if right:
            figures[f"following_{kind}"] = share_figure(
                sum(right), len(right), f"Share of pictures that show the {kind} that was asked for, by its judge."
            )
    counts = {}
    for group, means in (
        ("seen", "Both thing and place right, for pairs that its training had."),
        ("unseen", "Both right, for pairs that its training never had together."),
    ):
        both = [one["thing"] and one["place"] for one in found[group] if "thing" in one and "place" in one]
        if both:
            counts[group] = (sum(both), len(both))
            figures[f"{group}_pairs"] = share_figure(*counts[group], means)
    if len(counts) == 2:
        change, low, high = newcombe(counts["seen"], counts["unseen"])
        figures["generalisation"] = told(change, low, high, "What is lost on pairs that it never had (difference).")
    return figures


def worse(before: Figures, after: Figures) -> list[str]:
    """Sentences on what an adapter made worse beyond chance: distance to the data set, and what prompts ask for."""
    said = []
    if "kid" in before and "kid" in after and after["kid"]["low"] > before["kid"]["high"]:
        said.append(
            f"With the LoRA its pictures are further from the data set's than without: {after['kid']['value']:.2f} "
            f"({after['kid']['low']:.2f} to {after['kid']['high']:.2f}) instead of {before['kid']['value']:.2f}."
        )
    for name, one in after.items():
        if not name.startswith("following") or name not in before:
            continue
        other = before[name]
        change, low, high = newcombe((other["count"], other["many"]), (one["count"], one["many"]))
        if high < 0:
            said.append(
                f"With the LoRA the {name.removeprefix('following_')} that was asked for is seen in {one['value']:.0%} "
                f"of the pictures instead of {other['value']:.0%}: {100 * change:+.0f} points "
                f"({100 * low:+.0f} to {100 * high:+.0f})."
            )
    return said
