"""Reads the texts that starter-text learns from, and sets whole books aside. Knows no tokens and no model.

Books are JSON Lines packed with xz, one chapter, poem, scene or letter a line; code is the standard library of the
Python that runs this (Python Software Foundation licence), function by function.
"""

import ast
import json
import lzma
import random
import re
import sysconfig
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from studio.errors import InvalidInput

SHINGLE = 12  # words that two texts must share in a row to count as the same passage
NOT_LIBRARY = {"test", "tests", "idlelib", "lib2to3", "site-packages", "turtledemo", "ensurepip", "pydoc_data"}
CODE_CHARACTERS = (60, 1200)  # shortest and longest function taken


@dataclass(frozen=True)
class Record:
    """One text of a book (or function of a module) with what the book says of it."""

    genre: str
    author: str
    book: str
    title: str
    children: bool
    text: str


def read_books(folder: Path) -> list[Record]:
    """All records of `*.jsonl.xz` in `folder`, in the order of the files and lines."""
    paths = sorted(folder.glob("*.jsonl.xz"))
    if not paths:
        raise InvalidInput(f"{folder} holds no *.jsonl.xz.", "Give the folder of the books with --data.")
    records = []
    for path in paths:
        try:
            with lzma.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    row = json.loads(line)
                    records.append(
                        Record(
                            row["genre"], row["author"], row["book"], row["title"], row["children"], row["text"].strip()
                        )
                    )
        except (lzma.LZMAError, json.JSONDecodeError, KeyError) as problem:
            raise InvalidInput(f"{path} cannot be read: {problem!r}.", "Fetch the file again.") from problem
    return records


def read_functions(folder: Path | None = None) -> list[Record]:
    """Functions of the Python sources in `folder` (the standard library), each once, without tests.

    They are written anew by `ast.unparse`: one style of quotes and indents, no comments. The docstring's first
    sentence becomes the title and leaves the function.
    """
    library = folder or Path(sysconfig.get_paths()["stdlib"])
    records: dict[str, Record] = {}
    for path in sorted(library.rglob("*.py")):
        relative = path.relative_to(library)
        if NOT_LIBRARY & set(relative.parts[:-1]) or relative.name.startswith("test"):
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # the library keeps a few broken files on purpose
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                text, title = _plain(function)
                if CODE_CHARACTERS[0] <= len(text) <= CODE_CHARACTERS[1]:
                    name = title or function.name.strip("_").replace("_", " ")
                    records.setdefault(text, Record("code", "Python", relative.as_posix(), name, False, text))
    return list(records.values())


def _plain(function: ast.FunctionDef) -> tuple[str, str]:
    """The function's source without its docstring, and the docstring's first sentence."""
    said = ast.get_docstring(function)
    body = function.body[1:] if said is not None else function.body
    bare = ast.FunctionDef(**{**vars(function), "body": body or [ast.Pass()]})
    first = re.split(r"(?<=[.:])\s|\n", said.strip())[0].rstrip(".:") if said else ""
    return ast.unparse(ast.fix_missing_locations(bare)), first


def read_and_split(data: Path, *, code: bool, held_out: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Training and held-out records of a recipe: the same for the same books, settings and Python."""
    return hold_out(read_books(data) + (read_functions() if code else []), held_out, seed)


def hold_out(records: list[Record], share: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Training and held-out records: whole books, about `share` of the characters of every genre.

    Where every book of a genre is far larger than that, the last `share` of each of its books is held out instead.
    Training records that repeat a passage of a held-out one (tales that two collections hold) are left out.
    """
    genres: dict[str, dict[tuple[str, str], list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        genres[record.genre][record.author, record.book].append(record)
    held: list[Record] = []
    for genre in sorted(genres):
        held += _held_of(genres[genre], share, random.Random(f"{seed} {genre}"))
    kept, passages = set(map(id, held)), set()
    for record in held:
        if record.genre != "code":
            passages.update(_shingles(record.text))
    train = [record for record in records if id(record) not in kept and not _repeats(record, passages)]
    return train, held


def _held_of(books: dict[tuple[str, str], list[Record]], share: float, rng: random.Random) -> list[Record]:
    sizes = {name: sum(len(record.text) for record in book) for name, book in books.items()}
    wanted = share * sum(sizes.values())
    names = sorted(books)
    rng.shuffle(names)
    taken, held = 0, []
    for name in names:
        if taken < 0.8 * wanted and taken + sizes[name] <= 1.6 * wanted:
            taken += sizes[name]
            held += books[name]
    if taken >= 0.4 * wanted:
        return held
    tails = []
    for name in names:
        left = share * sizes[name]
        for record in reversed(books[name]):
            if left <= 0:
                break
            tails.append(record)
            left -= len(record.text)
    return tails


def _shingles(text: str) -> Iterator[int]:
    words = re.findall(r"\w+", text.lower())
    return (hash(tuple(words[i : i + SHINGLE])) for i in range(len(words) - SHINGLE + 1))


def _repeats(record: Record, passages: set[int]) -> bool:
    """Whether a twentieth of the text's passages also stand in the held-out books."""
    found = [shingle in passages for shingle in _shingles(record.text)]
    return sum(found) > 0.05 * len(found)
