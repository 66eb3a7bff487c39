"""The model card of an evaluation as Markdown: formats what was measured and adds nothing."""

from collections.abc import Mapping, Sequence
from typing import Any


def card(result: Mapping[str, Any]) -> str:
    """card.md of an evaluation's result."""
    lines = [f"# {result['model']}" + (f" with {', '.join(result['adapters'])}" if result["adapters"] else ""), ""]
    settings = f", with {result['settings']}" if result["settings"] else ""
    lines += [f"Measured on {result['date']}, seed {result['seed']}{settings}.", ""]
    if result["alarms"]:
        lines += ["## What to look at", *(f"- {sentence}" for sentence in result["alarms"]), ""]
    if result["figures"]:
        lines += ["## Figures", *_figures(result), ""]
    if result["probe"]:
        lines += ["## Bias probe", *_probe(result["probe"]), ""]
    if result["nearest"]:
        lines += [
            "## Nearest pictures",
            "Made pictures beside the ones of the data set that are most like them: samples/nearest.webp. The ratio is "
            "the distance to the nearest as a share of that to the second nearest; below 0.33 counts as a copy.",
            *(f"- {pair['made']}: {pair['sha256'][:12]}, ratio {pair['ratio']}" for pair in result["nearest"]),
            "",
        ]
    if result.get("drafts"):
        lines += ["## Drafts", *_drafts(result["drafts"])]
    lines += ["## How it was measured", *(f"- {sentence}" for sentence in result["how"]), ""]
    lines += ["## Limits", *(f"- {sentence}" for sentence in result["limits"]), ""]
    return "\n".join(lines)


def _drafts(drafts: Mapping[str, Sequence[str]]) -> list[str]:
    """The first of each set, quoted."""
    lines = []
    for name, some in drafts.items():
        for draft in some:
            quoted = "\n".join(f"> {line}" for line in draft.strip().splitlines())
            lines += [f"By {name.replace('_', ' ')}:", "", quoted or "> (nothing)", ""]
    return lines


def _figures(result: Mapping[str, Any]) -> list[str]:
    before = result["before"]
    head = "| figure | value | interval |" + (" without the LoRA |" if before else "") + " meaning |"
    lines = [head, "|---|---|---|" + ("---|" if before else "") + "---|"]
    for name, found in result["figures"].items():
        row = f"| {name.replace('_', ' ')} | {found['value']} | {_interval(found)} |"
        if before:
            other = before.get(name, {})
            row += f" {other.get('value', '')}" + (f" ({_interval(other)}) |" if "low" in other else " |")
        lines.append(f"{row} {found['means']} |")
    return lines


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['low']} to {found['high']}" if "low" in found else ""


def _probe(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        lines += [f"### “{row['prompt']}”: {row['attribute']}", ""]
        sets = row["sets"]
        lines += ["| word | asked |" + "".join(f" {name.replace('_', ' ')} |" for name in sets) + " change |"]
        lines += ["|---|---|" + "---|" * (len(sets) + 1)]
        for word in row["words"]:
            cells = [_share(found["shares"][word]) for found in sets.values()]
            change = _points(row["change"][word]) if "change" in row else ""
            lines.append(f"| {word} | {row['asked'][word]:.0%} | {' | '.join(cells)} | {change} |")
        counts = ", ".join(f"{name.replace('_', ' ')} {found['many']}" for name, found in sets.items())
        lines += ["", f"Pictures in which one of the words was told: {counts}."]
        skews = ", ".join(
            f"{name.replace('_', ' ')} {found['distance']['value']:.2f} "
            f"({found['distance']['low']:.2f}-{found['distance']['high']:.2f})"
            for name, found in sets.items()
        )
        lines += [f"Total variation distance from what was asked for: {skews}."]
        if row.get("captions"):
            said = ", ".join(f"{word} {share['share']:.0%}" for word, share in row["captions"].items())
            lines += [f"In the captions: {said}."]
        lines += ["", *(row["sentences"] or ["Nothing here is beyond chance."]), ""]
    return lines


def _share(found: Mapping[str, Any]) -> str:
    return f"{found['share']:.0%} ({found['low']:.0%}-{found['high']:.0%})"


def _points(change: Mapping[str, float]) -> str:
    """In percentage points."""
    value, low, high = (f"{100 * change[name]:+.0f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
