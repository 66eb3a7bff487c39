"""Text into search words, for what is stored and for what is asked alike. It knows no table.

The words are made here rather than by an SQLite tokenizer, so that emoji, scripts without spaces and accents
are found the same way with every SQLite version, and so that a person's text never reaches the MATCH language
raw.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

STORED_LIMIT = 50_000  # words kept of one artifact
ASKED_LIMIT = 64  # words used of one question
LENGTH_LIMIT = 64  # characters kept of one word
_PLAIN = re.compile(r"[a-z0-9]+")
_DROPPED = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")  # emoji presentation and skin tones


def words(text: str) -> list[str]:
    """'Crème brûlée, 狐狸 🦊!' -> ['creme', 'brulee', '狐', '狸', '🦊']: no case, no accents."""
    if text.isascii():
        return [w[:LENGTH_LIMIT] for w in _PLAIN.findall(text.lower())]
    folded = unicodedata.normalize("NFKD", _DROPPED.sub("", text)).casefold()
    found: list[str] = []
    current: list[str] = []
    for char in folded:
        kind = _kind(char)
        if kind == "in":
            current.append(char)
        elif kind != "accent":
            if current:
                found.append("".join(current)[:LENGTH_LIMIT])
                current.clear()
            if kind == "alone":
                found.append(char)
    if current:
        found.append("".join(current)[:LENGTH_LIMIT])
    return found


def stored(texts: Iterable[object]) -> str:
    """What goes into the index, words parted by blanks. Things that are not text are passed over."""
    found: list[str] = []
    for text in texts:
        if isinstance(text, str):
            found.extend(words(text))
        if len(found) >= STORED_LIMIT:
            break
    return " ".join(found[:STORED_LIMIT])


def match(text: str) -> str | None:
    """The MATCH expression that finds all words of `text`, the last also as a beginning. None: no word in it.

    What stands together without a blank ('starter-image', '狐狸') is searched as one phrase.
    """
    phrases: list[str] = []
    count = 0
    for chunk in text[: ASKED_LIMIT * 1000].split():
        parts = words(chunk)[: ASKED_LIMIT - count]
        count += len(parts)
        if parts:
            phrases.append(f'"{" ".join(parts)}"')
        if count >= ASKED_LIMIT:
            break
    if not phrases:
        return None
    return " AND ".join(phrases) + ("*" if not text[-1:].isspace() else "")


def storable(text: str) -> str:
    """The text without the lone surrogates and NULs that SQLite cannot keep."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")


@lru_cache(maxsize=16384)
def _kind(char: str) -> str:
    """in: part of a word; alone: a word by itself; accent: dropped; out: parts two words."""
    category = unicodedata.category(char)
    if category == "So" or _has_no_spaces(ord(char)):
        return "alone"
    if category[0] in "LN":
        return "in"
    if category[0] == "M":
        # Accents and vowel points go (class 10 and up), vowel signs of Indic scripts stay.
        return "accent" if unicodedata.combining(char) >= 10 else "in"
    return "out"


def _has_no_spaces(code: int) -> bool:
    """Han, Kana, Bopomofo, Thai, Lao, Khmer, Burmese: written without blanks, so each character is a word."""
    return (
        0x2E80 <= code <= 0x312F
        or 0x31A0 <= code <= 0x9FFF
        or 0xF900 <= code <= 0xFAFF
        or 0x20000 <= code <= 0x3FFFF
        or 0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
    )
