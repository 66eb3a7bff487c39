"""Chooses the words that a text is about: frequent in it, rare elsewhere, and used like nouns. Knows no model.

Term frequency times inverse document frequency (Sparck Jones, 1972); a noun is told by its neighbours: a determiner
or preposition before it, and no further word that it could describe behind it.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

BEFORE = set(
    "the a an his her its my your our their this that these those of in with no some every each any from by to for "
    "upon into on at and or two three".split()
)
AFTER = set(
    "of and or in on at to was is were are had has that which who with for from by as but when where would could "
    "will shall did he she they it i we you there till until before after into upon".split()
)
COMMON = set(
    "thing things time times way ways day days man men hand hands part kind sort place course case moment fact "
    "nothing something anything everything one ones other others day night more most such same".split()
)
WORD = re.compile(r"[A-Za-z]+|[^\sA-Za-z]")
NAME = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True)
class Keywords:
    """Nouns and their inverse document frequencies, learned once from the training texts."""

    prose: dict[str, float]
    code: dict[str, float]

    @classmethod
    def learn(
        cls, prose: Iterable[str], code: Iterable[str], rarest: float = 0.00125, commonest: float = 0.06
    ) -> "Keywords":
        """Words that at least the share `rarest` of the texts holds, and two, and at most the share `commonest`."""
        texts, documents, all_uses, noun_uses = 0, Counter[str](), Counter[str](), Counter[str]()
        for text in prose:
            texts += 1
            words = ["", *WORD.findall(text), ""]
            documents.update({word for word in words if NAME.fullmatch(word)})
            for before, word, after in zip(words, words[1:], words[2:], strict=False):
                if NAME.fullmatch(word):
                    all_uses[word] += 1
                    if before.lower() in BEFORE or before in ",":
                        noun_uses[word] += after in AFTER or not after.isalpha()
        nouns = {
            word: math.log(texts / many)
            for word, many in documents.items()
            if max(2, rarest * texts) <= many <= commonest * texts
            and word not in COMMON
            and not word.endswith(("ly", "ing", "ed", "est"))
            and noun_uses[word] >= 0.3 * all_uses[word]
        }
        functions = [set(NAME.findall(text.lower())) for text in code]
        counts = Counter(word for words in functions for word in words)
        names = {
            word: math.log(len(functions) / many) for word, many in counts.items() if 4 <= many <= 0.2 * len(functions)
        }
        return cls(nouns, names)

    def of(self, text: str, genre: str, most: int = 5) -> tuple[str, ...]:
        """Up to `most` words of `text`, the most telling first."""
        known = self.code if genre == "code" else self.prose
        counts = Counter(NAME.findall(text.lower()) if genre == "code" else re.findall(r"(?<![A-Za-z])[a-z]{3,}", text))
        scores = {word: (1 + 2 * math.log(many)) * known[word] for word, many in counts.items() if word in known}
        chosen: list[str] = []
        for word in sorted(scores, key=lambda word: (-scores[word], word)):
            if not any(word.startswith(other[:5]) for other in chosen):  # not "light" beside "lights"
                chosen.append(word)
            if len(chosen) == most:
                break
        return tuple(chosen)
