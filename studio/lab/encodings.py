"""Bytes to text: the encoding, a tidy form, and a rough guess at the language. It knows no files and no formats."""

import re
import unicodedata
from collections import Counter

import charset_normalizer

from studio.errors import InvalidInput

PARAGRAPH = 80  # characters from which a repeated paragraph is worth a word
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# the commonest words of a language that its neighbours do not share
_WORDS = {
    "en": "the and of to that was with his her for it you",
    "de": "der die und das nicht ist ein sie mit den auf ich",
    "fr": "les des est une dans qui pas vous sur avec pour nous",
    "es": "los las del que una por con para como pero esta",
    "it": "il che di non per gli della sono una più anche",
    "pt": "não uma os com para dos das mais como ele foi",
    "nl": "het een van niet dat zijn en ik voor met maar",
    "pl": "nie się na że jest jak ale czy przez był",
}
_SCRIPTS = {"CYRILLIC": "ru", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh", "HANGUL": "ko", "ARABIC": "ar"} | {
    "GREEK": "el",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "THAI": "th",
}


def decode(data: bytes, name: str) -> tuple[str, str]:
    """(text, encoding). UTF-8 if it can be, else guessed. InvalidInput for what is no text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise InvalidInput(f"{name} is damaged: it is not the {encoding} that it claims.") from error
    if b"\0" in data[:65536]:
        raise InvalidInput(f"{name} is binary, not text.")
    try:
        text, encoding = data.decode("utf-8"), "ascii" if data.isascii() else "utf-8"
    except UnicodeDecodeError:
        text, encoding = _guessed(data, name)
    control = sum(1 for c in text[:65536] if c < " " and c not in "\t\n\r\f")
    if control > 0.01 * len(text[:65536]):
        raise InvalidInput(f"{name} is binary, not text.")
    return text, encoding


def _guessed(data: bytes, name: str) -> tuple[str, str]:
    best = charset_normalizer.from_bytes(data[:65536]).best()
    if best is None:
        raise InvalidInput(f"{name} is not text in an encoding that could be recognised.")
    # Western texts fit several one-byte encodings alike; of these Windows' own is by far the most used
    western = data.decode("cp1252", "replace")
    if "\ufffd" not in western and language_of(western) in ("en", "de", "fr", "es", "it", "pt", "nl"):
        return western, "cp1252"
    try:
        return data.decode(best.encoding), best.encoding
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not text in one encoding throughout.") from error


def tidy(text: str) -> str:
    """Composed characters (NFC), \\n line ends, no control characters, no spaces at line ends, blank lines single."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\ufeff]", "", text)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip()


def language_of(text: str) -> str:
    """A rough guess from the commonest words or the script of the first 20,000 characters; '' when nothing speaks."""
    sample = text[:20_000]
    letters = [c for c in sample[:2000] if c.isalpha()]
    scripts = Counter(unicodedata.name(c, "").split(" ")[0].split("-")[0] for c in letters)
    for script, language in _SCRIPTS.items():  # Japanese before Chinese: it uses both scripts
        if scripts[script] > (0.05 if language == "ja" else 0.3) * len(letters):
            return language
    words = re.findall(r"\w+", sample.lower())
    counts = Counter(words)
    shares = {lang: sum(counts[w] for w in common.split()) / max(1, len(words)) for lang, common in _WORDS.items()}
    best = max(shares, key=lambda lang: shares[lang])
    return best if shares[best] > 0.04 and len(words) >= 5 else ""


def repeated_paragraphs(texts: list[str]) -> int:
    """How many long paragraphs stand in more than one of the texts, or more than once in one."""
    counts = Counter(
        " ".join(p.lower().split()) for text in texts for p in re.split(r"\n\s*\n", text) if len(p) >= PARAGRAPH
    )
    return sum(1 for many in counts.values() if many > 1)
