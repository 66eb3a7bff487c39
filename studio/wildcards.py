"""Dynamic prompts: `{a|b}` choices and `__list__` references, expanded by a seed or counted and listed in
order.

Knows the grammar and the word lists; knows nothing of styles, requests or pictures. The grammar:

    {a|b|c}            one of them; options nest and may be empty
    {3::a|b}           weights: a three times as often as b
    {2$$a|b|c}         two different ones, in the written order, joined by ", "; {1-2$$...} one or two
    {2$$ and $$a|b|c}  joined by " and "
    __animal__         a line of the list animal; lines may use all of this again
    \\{ \\} \\| \\_ \\\\      the characters themselves
"""

import difflib
import random
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from studio.errors import InvalidInput
from studio.settings import PRESETS

Lists = Mapping[str, Sequence[str]]

MAX_NESTING = 32  # of braces, and of lists that name lists
MAX_STEPS = 20_000  # choices made for one prompt
MAX_CHARACTERS = 400_000  # of an expanded prompt
MAX_PICKS = 20  # the n of {n$$...}
MAX_LIST_BYTES = 2_000_000
MAX_COUNT = 10**12  # counting stops there: lists of lists reach numbers that do not fit the memory

_ESCAPED = "{}|_\\"
_LIST = re.compile(r"__([^\W_](?:[\w/-]{0,78}?[^\W_])?)__")
_WEIGHT = re.compile(r"\s*(\d{1,6}(?:\.\d{1,6})?)::")
_PICKS = re.compile(r"\s*(\d{1,3})(?:-(\d{1,3}))?\$\$")
_PLAIN = re.compile(r"[^\\{}|_]+")


@dataclass(frozen=True)
class _Reference:
    name: str


@dataclass(frozen=True)
class _Choice:
    options: tuple["_Sequence", ...]
    weights: tuple[float, ...]
    least: int = 1
    most: int = 1
    joined: str = ", "

    @cached_property
    def bounds(self) -> tuple[float, ...]:
        """Running sums of the weights; all equal where every weight is nought."""
        return tuple(accumulate(self.weights if any(self.weights) else [1.0] * len(self.weights)))


_Sequence = tuple[str | _Reference | _Choice, ...]


@dataclass(frozen=True)
class Combinations:
    """How many prompts a dynamic prompt can become (equal options count each), and the first of them."""

    total: int  # MAX_COUNT: that many or more
    first: tuple[str, ...]


def expand(prompt: str, seed: int, lists: Lists) -> str:
    """One prompt out of a dynamic one; the same seed and lists give the same words on every machine.

    Raises InvalidInput for a brace that is never closed, an unknown list, lists that contain themselves, and
    prompts that would grow without bound.
    """
    return _Expansion(lists, random.Random(seed)).text(_parse(prompt))


def combinations(prompt: str, lists: Lists, limit: int = 20) -> Combinations:
    """Count the prompts that `prompt` can become, write out the first `limit`. Raises as `expand` does."""
    counter = _Counter(lists)
    sequence = _parse(prompt)
    total = counter.sequence(sequence)
    return Combinations(total, tuple(counter.text(sequence, i) for i in range(min(limit, total))))


def is_dynamic(prompt: str) -> bool:
    """Whether expanding may change the prompt at all."""
    return any(mark in prompt for mark in ("{", "__", "\\"))


def wildcard_lists(home: Path | None = None) -> dict[str, tuple[str, ...]]:
    """The lists by name: the shipped ones, then those of home/wildcards, which replace a shipped list.

    A file nature/tree.txt is the list `nature/tree`. Empty lines and lines that begin with # are left out.
    """
    return read_lists(home)[0]


def read_lists(home: Path | None = None) -> tuple[dict[str, tuple[str, ...]], tuple[InvalidInput, ...]]:
    """All lists that can be read, by name, and one InvalidInput for each file that cannot."""
    lists: dict[str, tuple[str, ...]] = {}
    problems: list[InvalidInput] = []
    for folder in (PRESETS / "wildcards", *([home / "wildcards"] if home else [])):
        for path in sorted(folder.rglob("*.txt")):
            name = path.relative_to(folder).with_suffix("").as_posix().lower()
            try:
                lists[name] = _read_list(path)
            except InvalidInput as problem:
                problems.append(problem)
    return lists, tuple(problems)


def _read_list(path: Path) -> tuple[str, ...]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_LIST_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.", "Check its permissions.") from error
    if len(raw) > MAX_LIST_BYTES:
        raise InvalidInput(f"The word list {path} is larger than 2 MB.", "Split it into smaller lists.")
    lines = (line.strip() for line in raw.decode("utf-8-sig", errors="replace").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


# --- reading the grammar


def _parse(text: str) -> _Sequence:
    sequence, _ = _Parser(text).sequence(0, inside=False)
    return sequence


class _Parser:
    """Recursive descent, one pass: every character is looked at a bounded number of times."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0

    def sequence(self, at: int, inside: bool) -> tuple[_Sequence, int]:
        """Parse from `at` to the end, or inside braces to the next | or }: the parts, and where they end."""
        parts: list[str | _Reference | _Choice] = []
        while at < len(self.text) and not (inside and self.text[at] in "|}"):
            part, at = self.part(at)
            parts.append(part)
        return _joined(parts), at

    def part(self, at: int) -> tuple[str | _Reference | _Choice, int]:
        character = self.text[at]
        if character == "{":
            return self.choice(at)
        if character == "\\" and self.text[at + 1 : at + 2] and self.text[at + 1] in _ESCAPED:
            return self.text[at + 1], at + 2
        if reference := _LIST.match(self.text, at):
            return _Reference(reference[1].lower()), reference.end()
        if plain := _PLAIN.match(self.text, at):
            return plain[0], plain.end()
        return character, at + 1

    def choice(self, start: int) -> tuple[_Choice, int]:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise InvalidInput(f"The prompt nests braces more than {MAX_NESTING} deep.", "Use fewer { in one another.")
        least, most, joined, at = self.picks(start + 1)
        options: list[_Sequence] = []
        weights: list[float] = []
        while True:
            weight = _WEIGHT.match(self.text, at)
            weights.append(float(weight[1]) if weight else 1.0)
            option, at = self.sequence(weight.end() if weight else at, inside=True)
            options.append(option)
            if at >= len(self.text):
                raise InvalidInput(
                    f"The {{ at character {start + 1} of the prompt has no }}.",
                    "Close it, or write \\{ for a brace that is meant as such.",
                    field="prompt",
                )
            at += 1
            if self.text[at - 1] == "}":
                break
        self.depth -= 1
        most = min(most, len(options))
        return _Choice(tuple(options), tuple(weights), min(least, most), most, joined), at

    def picks(self, at: int) -> tuple[int, int, str, int]:
        """The `2$$`, `1-2$$` or `2$$ and $$` after a brace: least, most, joined by, where it ends."""
        found = _PICKS.match(self.text, at)
        if not found:
            return 1, 1, ", ", at
        least = int(found[1])
        most = int(found[2]) if found[2] else least
        if not least <= most <= MAX_PICKS:
            raise InvalidInput(
                f"{found[0].strip()} cannot be picked: the numbers run up to {MAX_PICKS}, the smaller first.",
                "Write {2$$a|b|c} or {1-3$$a|b|c}.",
                field="prompt",
            )
        end = self.text.find("$$", found.end(), found.end() + 40)
        joined = self.text[found.end() : end]
        if end < 0 or any(c in joined for c in "{}|"):
            return least, most, ", ", found.end()
        return least, most, joined, end + 2


def _joined(parts: list[str | _Reference | _Choice]) -> _Sequence:
    """Neighbouring texts as one."""
    merged: list[str | _Reference | _Choice] = []
    run: list[str] = []
    for part in parts:
        if isinstance(part, str):
            run.append(part)
            continue
        if run:
            merged.append("".join(run))
            run = []
        merged.append(part)
    return (*merged, "".join(run)) if run else tuple(merged)


# --- walking it


class _Walk:
    """What both walks share: the parsed lists, the guard against lists in themselves, the budget."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists
        self.parsed: dict[str, _Choice] = {}
        self.open: list[str] = []  # the lists being expanded, outermost first
        self.budget = MAX_STEPS
        self.room = MAX_CHARACTERS

    def enter(self, name: str) -> _Choice:
        if name in self.open:
            raise InvalidInput(
                f"The word list {name!r} contains itself: {' > '.join([*self.open, name])}.",
                "Take that reference out of the list.",
            )
        if len(self.open) >= MAX_NESTING:
            raise InvalidInput(f"Word lists refer to each other more than {MAX_NESTING} deep.", "Join some of them.")
        self.open.append(name)
        if name not in self.parsed:
            self.parsed[name] = self.entries(name)
        return self.parsed[name]

    def entries(self, name: str) -> _Choice:
        lines = self.lists.get(name)
        if lines is None:
            near = difflib.get_close_matches(name, self.lists, n=1, cutoff=0.5)
            hint = f"Did you mean __{near[0]}__?" if near else f"Known lists: {', '.join(sorted(self.lists)[:20])}."
            raise InvalidInput(f"There is no word list {name!r}.", hint, field="prompt")
        if not lines:
            raise InvalidInput(f"The word list {name!r} is empty.", "Write one word or phrase a line.", field="prompt")
        weights = [_WEIGHT.match(line) for line in lines]
        bare = [line[w.end() :] if w else line for line, w in zip(lines, weights, strict=True)]
        return _Choice(tuple(map(_parse, bare)), tuple(float(w[1]) if w else 1.0 for w in weights))

    def spend(self, text: str = "") -> str:
        self.budget -= 1
        self.room -= len(text)
        if self.budget < 0 or self.room < 0:
            raise InvalidInput(
                "The prompt makes too many choices or grows too long by them.", "Use fewer nested lists."
            )
        return text


class _Expansion(_Walk):
    """Chooses at random. Only `random()` is drawn, the one method whose results Python promises to keep."""

    def __init__(self, lists: Lists, chance: random.Random) -> None:
        super().__init__(lists)
        self.chance = chance

    def text(self, sequence: _Sequence) -> str:
        return "".join(self.part(part) for part in sequence)

    def part(self, part: str | _Reference | _Choice) -> str:
        if isinstance(part, str):
            return self.spend(part)
        self.spend()
        if isinstance(part, _Choice):
            return self.choice(part)
        text = self.choice(self.enter(part.name))
        self.open.pop()
        return text

    def choice(self, choice: _Choice) -> str:
        count = choice.least + int(self.chance.random() * (choice.most - choice.least + 1))
        picked = [self.weighted(choice)] if choice.most == 1 else self.several(choice, count)
        return self.spend(choice.joined.join(self.text(choice.options[i]) for i in picked[:count]))

    def weighted(self, choice: _Choice) -> int:
        return bisect_right(choice.bounds, self.chance.random() * choice.bounds[-1])

    def several(self, choice: _Choice, count: int) -> list[int]:
        self.budget -= len(choice.options) * count // 100
        left = _Choice(choice.options, choice.weights)
        places = list(range(len(choice.options)))
        picked: list[int] = []
        for _ in range(count):
            at = self.weighted(left)
            picked.append(places.pop(at))
            left = _Choice((), left.weights[:at] + left.weights[at + 1 :])
        return sorted(picked)


class _Counter(_Walk):
    """Counts exactly up to MAX_COUNT, and writes the prompt of any index; the last choice turns fastest."""

    def __init__(self, lists: Lists) -> None:
        super().__init__(lists)
        self.counts: dict[int, int] = {}  # id of a choice -> count; the parsed tree outlives the walk
        self.tables: dict[int, list[list[int]]] = {}

    def sequence(self, sequence: _Sequence) -> int:
        count = 1
        for part in sequence:
            if not isinstance(part, str):
                count = min(count * self.part(part), MAX_COUNT)
        return count

    def part(self, part: _Reference | _Choice) -> int:
        if isinstance(part, _Choice):
            return self.choice(part)
        count = self.choice(self.enter(part.name))
        self.open.pop()
        return count

    def choice(self, choice: _Choice) -> int:
        key = id(choice)
        if key not in self.counts:
            table = self.table(choice)
            self.counts[key] = min(sum(table[0][choice.least : choice.most + 1]), MAX_COUNT)
        return self.counts[key]

    def table(self, choice: _Choice) -> list[list[int]]:
        """ways[i][n]: how many texts n picks out of the options from i on can give."""
        key = id(choice)
        if key not in self.tables:
            ways = [[1] + [0] * choice.most]
            for option in reversed(choice.options):
                one, after = self.sequence(option), ways[-1]
                more = (after[n] + one * after[n - 1] for n in range(1, choice.most + 1))
                ways.append([1, *(min(n, MAX_COUNT) for n in more)])
            self.tables[key] = ways[::-1]
        return self.tables[key]

    def text(self, sequence: _Sequence, index: int) -> str:
        self.budget, self.room = MAX_STEPS, MAX_CHARACTERS
        return self.write(sequence, index)

    def write(self, sequence: _Sequence, index: int) -> str:
        written: list[str] = []
        for part in reversed(sequence):
            if isinstance(part, str):
                written.append(self.spend(part))
                continue
            self.spend()
            index, place = divmod(index, self.part(part))
            choice = part if isinstance(part, _Choice) else self.enter(part.name)
            written.append(self.spend(self.picked(choice, place)))
            if isinstance(part, _Reference):
                self.open.pop()
        return "".join(reversed(written))

    def picked(self, choice: _Choice, index: int) -> str:
        """The text of one index within a choice: by the number of picks, then by the first option picked."""
        ways = self.table(choice)
        wanted = choice.least
        while index >= ways[0][wanted]:
            index -= ways[0][wanted]
            wanted += 1
        texts: list[str] = []
        for place, option in enumerate(choice.options):
            if not wanted:
                break
            rest = ways[place + 1][wanted - 1]
            if index < self.sequence(option) * rest:
                mine, index = divmod(index, rest)
                texts.append(self.write(option, mine))
                wanted -= 1
            else:
                index -= self.sequence(option) * rest
        return choice.joined.join(texts)
