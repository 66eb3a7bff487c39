"""A text as what is said in one breath: sentences, with what cannot be spoken taken out. Knows no model."""

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 220  # characters of one piece: speech models lose their way in longer ones
ENDS = ".!?…。！？"
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof st no vs etc e.g i.e a.m p.m fig vol jr sr co inc bzw z.b d.h usw ca nr str hr fr".split()
)
INITIALS = re.compile(r"(?:[a-z]\.)*[a-hj-z]")  # "i" is a word
PLAIN = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "—": ", ", "–": "-"})


@dataclass(frozen=True)
class Sentence:
    text: str
    paragraph: bool = False  # whether a paragraph ends here


def sentences(text: str) -> list[Sentence]:
    """What is said in one go, in order; nothing for a text without a letter or a digit."""
    found: list[Sentence] = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        pieces = [piece for whole in _whole(spoken(paragraph)) for piece in _short(whole)]
        said = [piece for piece in pieces if any(letter.isalnum() for letter in piece)]
        found += [Sentence(piece, paragraph=k == len(said) - 1) for k, piece in enumerate(said)]
    return found


def spoken(text: str) -> str:
    """Without control characters and marks that no voice reads; white space as single spaces."""
    plain = unicodedata.normalize("NFC", text).translate(PLAIN)
    kept = (" " if unicodedata.category(c)[0] in "ZC" else c for c in plain if unicodedata.category(c) != "Cf")
    return " ".join("".join(kept).replace("*", " ").replace("_", " ").replace("#", " ").split())


def _whole(text: str) -> list[str]:
    """Cut behind what ends a sentence, not behind an abbreviation, an initial or inside a number."""
    found, begin = [], 0
    for mark in re.finditer(rf"[{re.escape(ENDS)}]+[\"')\]]*(?=\s|$)|[。！？]", text):
        last = text[begin : mark.start()].rsplit(" ", 1)[-1].lower().lstrip("(\"'")
        short = mark.group() == "." and (last in ABBREVIATIONS or bool(INITIALS.fullmatch(last)))
        goes_on = mark.group() != "." and text[mark.end() :].lstrip()[:1].islower()  # "Hello!" she said
        if (short or goes_on) and mark.end() < len(text):
            continue
        found.append(text[begin : mark.end()].strip())
        begin = mark.end()
    rest = text[begin:].strip()
    return [*found, rest] if rest else found


def _short(text: str) -> list[str]:
    """In pieces of at most LONGEST characters: at commas where there are, else between words, else anywhere."""
    if len(text) <= LONGEST:
        return [text]
    for marks in (";:", ",，、", " "):
        at = max(text.rfind(mark, LONGEST // 4, LONGEST) for mark in marks)
        if at >= 0:
            return [text[: at + 1].strip(), *_short(text[at + 1 :].strip())]
    return [text[:LONGEST], *_short(text[LONGEST:])]
