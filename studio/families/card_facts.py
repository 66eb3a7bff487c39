"""What a card tells a person beside its description: limits, figures, what the model knows, what it was taught on and
by whose leave. Cards in, words out; nothing is computed but shares as per cent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from studio.families.figure_words import COLUMN_WORDS, DATA_WORDS, FIGURE_WORDS
from studio.types import Json

APART = ("means", "command", "date")  # of [figures]: told beside them
KEPT_APART = ("licence", "credits", "seed")  # of [data]
NOT_TOLD = ("words",)  # of [knows]: every form of what stands there as well
FEW = 4  # values of a group that stand on one line
BY = "_by_"
Known = Mapping[str, tuple[str, str]]


def card_facts(card: Mapping[str, Any]) -> Json:
    """Everything as words, empty where the card does not say it: `limits`, `teaching`; `figures` as [name, value] and
    `tables` {title, columns, rows}; `means`, `command` and `measured` (a date) of the figures; `knows`, `data` as
    [name, text]; `credits`; `trained` as lines, the last one first.
    """
    figures, data = _table(card, "figures"), _table(card, "data")
    return {
        "limits": str(card.get("limits") or ""),
        "teaching": str(card.get("teaching") or ""),
        "figures": [[words(name), line] for name, line in _lines(figures)],
        "tables": list(_tables(figures)),
        "means": str(figures.get("means") or ""),
        "command": str(figures.get("command") or ""),
        "measured": str(figures.get("date") or ""),
        "knows": [[plain(name), _list(value)] for name, value in _table(card, "knows").items() if name not in NOT_TOLD],
        "data": [
            [DATA_WORDS.get(name, plain(name)), _list(value)] for name, value in data.items() if name not in KEPT_APART
        ],
        "credits": [*map(str, data.get("credits") or ()), *([str(data["licence"])] if data.get("licence") else [])],
        "trained": list(_trained(_table(card, "trained"))),
    }


def plain(name: str) -> str:
    """A key as words, with a capital."""
    spaced = name.replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


def words(name: str, known: Known = FIGURE_WORDS) -> str:
    return known[name][0] if name in known else plain(name)


def value(name: str, given: Any, known: Known = FIGURE_WORDS) -> str:
    """A figure in the unit of its name, with its interval where it has one."""
    unit = known.get(name, known.get(name.partition(BY)[0], ("", "")))[1]
    if isinstance(given, Mapping) and "value" in given:
        given = [given[part] for part in ("value", "low", "high") if part in given]
    if isinstance(given, Sequence) and not isinstance(given, str):
        if len(given) == 3:  # mean and interval
            middle, low, high = (_number(one, unit) for one in given)
            return f"{middle} ({low.removesuffix(' %')} to {high})"
        return ", ".join(_number(one, unit) for one in given)
    return _number(given, unit)


def _number(given: Any, unit: str) -> str:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return str(given)
    if unit == "%":
        return f"{100 * given:.1f} %".replace(".0 %", " %")
    text = f"{given:,}" if isinstance(given, int) else f"{given:,.4f}".rstrip("0").rstrip(".")
    return f"{text} {unit}" if unit not in ("", "n") else text


def _lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The figures that stand alone, and groups of a few."""
    grouped = {name for group in _groups(figures) for name in group}
    for name, given in figures.items():
        if name in APART or name in grouped or _of_tables(given):
            continue
        if _is_group(given):
            yield name, ", ".join(f"{words(part).lower()} {value(name, one)}" for part, one in given.items())
        else:
            yield name, value(name, given)


def _tables(figures: Mapping[str, Any]) -> Iterator[Json]:
    """Groups whose parts have the same names beside one another, and figures of several ways to do the same."""
    for group in _groups(figures):
        rows = list(dict.fromkeys(part for name in group for part in figures[name]))
        by = {name.partition(BY)[2] for name in group}
        alone = words(group[0]) if len(group) == 1 else "One by one"
        title = f"By {by.pop()}" if len(by) == 1 and "" not in by else alone
        columns = [words(name.partition(BY)[0]) for name in group]
        yield {
            "title": title,
            "columns": ["" if name == title else name for name in columns],
            "rows": [
                [plain(part), *(value(name, figures[name][part]) if part in figures[name] else "" for name in group)]
                for part in rows
            ],
        }
    for name, ways in figures.items():
        if _of_tables(ways):
            columns = list(dict.fromkeys(part for way in ways.values() for part in way))
            rows = [
                [words(way), *(value(part, given[part], COLUMN_WORDS) if part in given else "" for part in columns)]
                for way, given in ways.items()
            ]
            yield {"title": words(name), "columns": [words(part, COLUMN_WORDS) for part in columns], "rows": rows}


def _groups(figures: Mapping[str, Any]) -> list[list[str]]:
    """Names of groups whose parts are the same, or some of the same; a group of few parts that is alone is no table."""
    found: list[list[str]] = []
    for name, given in figures.items():
        if not _is_group(given):
            continue
        like = (group for group in found if set(given) <= set(figures[group[0]]))
        group = next(like, None)
        if group is None:
            found.append([name])
        else:
            group.append(name)
    return [group for group in found if len(group) > 1 or len(figures[group[0]]) > FEW]


def _is_group(given: Any) -> bool:
    return isinstance(given, Mapping) and "value" not in given and not _of_tables(given)


def _of_tables(given: Any) -> bool:
    return isinstance(given, Mapping) and bool(given) and all(_is_group(part) for part in given.values())


def _table(card: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of the card; cards are written by people, too."""
    found = card.get(name)
    return found if isinstance(found, Mapping) else {}


def _list(given: Any) -> str:
    if isinstance(given, Mapping):
        return "; ".join(f"{plain(name).lower()}: {_list(part)}" for name, part in given.items())
    if isinstance(given, Sequence) and not isinstance(given, str):
        return ", ".join(map(_list, given))
    return {True: "yes", False: "no"}[given] if isinstance(given, bool) else _number(given, "n")


def _trained(trained: Mapping[str, Any]) -> Iterator[str]:
    """A line a training, the one that others went before first."""
    while trained:
        length = _number(trained["minutes"], "min") if "minutes" in trained else ""
        seen = [
            f"{_number(given, 'n')} {plain(name).lower()}"
            for name, given in trained.items()
            if name not in ("date", "machine", "minutes", "before") and isinstance(given, int | float)
        ]
        told = (trained.get("date"), length, trained.get("machine"), *seen)
        yield ", ".join(str(one) for one in told if one)
        trained = _table(trained, "before")
