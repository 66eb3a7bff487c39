"""Reads what the words of a brief say about a piece: "a sad slow waltz in D minor with cello and piano, 16 bars".

Knows no model and no music of its own; light, so that the page can show what was understood.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from studio.errors import InvalidInput
from studio.families.score.instruments import blanked, instruments_in
from studio.families.score.params import FASTEST, KEYS, METRES, MOST_BARS, SLOWEST
from studio.families.score.styles import style_of
from studio.types import Value

# Words of a style, the longest first where one holds another.
STYLE_WORDS = {
    "hymn": r"hymns?|chorales?|choral|carols?|anthems?|church",
    "lied": r"lied(?:er)?|art songs?|songs?|ballads?|arias?",
    "polonaise": r"polonaises?|polacca",
    "mazurka": r"mazurkas?|mazurek|oberek|kujawiak",
    "waltz": r"waltz(?:es)?|valse|walzer",
    "jig": r"jigs?|gigue",
    "reel": r"reels?|hornpipes?|breakdown",
    "march": r"march(?:es)?|marching|parade",
    "rag": r"rags?|ragtime",
    "lo-fi": r"lo-?fi|lofi|chill ?hop|study beats?|chill(?:ed)?",
    "ambient": r"ambient|drone|meditation|meditative|soundscapes?|spacey",
    "house": r"house|techno|edm|dance music|club|disco|electronic dance",
    "blues": r"blues|bluesy|12-bar blues",
    "chiptune": r"chip ?tunes?|8-?bit|video ?games?|game music|arcade",
    "piano": r"nocturnes?|preludes?|études?|etudes?|sonatas?|sonatinas?|classical|romantic|piano (?:piece|music|solo)",
}
# Words of tempo: Italian ones as quarter notes a minute, the others as a share of what is usual in the style.
ITALIAN = {
    r"larghissimo|largo|grave": 50.0,
    r"prestissimo|presto": 176.0,
    r"adagio|lento|langsam": 62.0,
    r"andante": 78.0,
    r"moderato": 100.0,
    r"allegretto": 112.0,
    r"allegro|vivace|schnell": 138.0,
}
PACES = {
    r"very slow(?:ly)?": 0.5,
    r"very (?:fast|quick(?:ly)?)|frantic|furious": 1.5,
    r"slow(?:ly|er)?|lullaby": 0.66,
    r"calm(?:ly)?|relaxed|gentle|gently|peaceful|quiet|walking pace|unhurried": 0.8,
    r"moderate(?:ly)?|medium tempo|steady": 1.0,
    r"fast(?:er)?|quick(?:ly)?|energetic|driving|brisk|lively|upbeat": 1.3,
}
MINOR_MOODS = (
    r"sad(?:ly|der)?|melanchol(?:y|ic)|mournful|gloomy|dark|tragic|lonely|wistful|sorrowful|tearful|grieving|funeral|"
    r"angry|tense|haunting|spooky|scary|mysterious|ominous|bittersweet|nostalgic|dramatic|epic|stormy|somber|sombre"
)
MAJOR_MOODS = (
    r"happy|cheerful|joy(?:ful|ous)?|bright|sunny|merry|playful|triumphant|festive|glad|jolly|hopeful|proud|heroic|"
    r"uplifting|carefree"
)
# Moods that also slow down or hurry, where no word of tempo stands beside them.
SLOW_MOODS = r"sad(?:ly|der)?|mournful|lonely|melanchol(?:y|ic)|tender|dreamy|sleepy|funeral|solemn|sorrowful"
FAST_MOODS = r"joy(?:ful|ous)?|merry|jolly|festive|angry|stormy|playful|excited|battle|epic"
DENSITY_WORDS = {
    "very sparse": r"very sparse|very few notes|minimal(?:ist)?",
    "sparse": r"sparse|few notes|simple|bare|airy",
    "very dense": r"very dense|very busy|virtuos\w*",
    "dense": r"dense|busy|many notes|rich|ornate|running",
}
WORD = re.compile(r"[^\W\d_]{3,}(?:['’][^\W\d_]+)?")
# Words that ask for nothing by themselves.
IDLE = set(
    "about accompaniment all also and another any are bars beat beats but composition for from give has have into its "
    "just key kind like little loop made make melody metre mood music piece please quite really should some something "
    "solo sound sounds style tempo than that the their theme then there this track tune two under very want which with "
    "without write you your not too never less".split()
)
GENERAL = ("piano", "lied", "hymn")  # their words also stand beside another style's: "a romantic waltz"
NUMBERS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "six": 6,
    "eight": 8,
    "ten": 10,
    "twelve": 12,
    "sixteen": 16,
    "twenty-four": 24,
    "twenty": 20,
    "thirty-two": 32,
}
SIGNS = {"sharp": "#", "#": "#", "♯": "#", "flat": "b", "b": "b", "♭": "b", "": ""}
KEY = re.compile(
    r"\b([A-Ga-g])([#♯♭b]|[ -](?:sharp|flat))?[ -]?(major|minor|maj|min|dur|moll)\b"
    r"|\bin (?:the key of )?([A-G])([#♯♭b]|[ -](?:sharp|flat))?(m)?(?=$|[\s,.;])"
    r"(?! ?(?:major|minor|maj|min|dur|moll)\b)"
)
METRE = re.compile(r"\b(\d{1,2})\s?/\s?(\d{1,2})\b")
TEMPO = re.compile(r"\b(\d{1,4}(?:\.\d+)?)\s?(?:bpm|beats (?:a|per) minute)\b", re.I)
BARS = re.compile(rf"\b(\d{{1,6}}|{'|'.join(NUMBERS)})[ -](?:bars?|measures?)\b", re.I)
NOT = re.compile(r"\b(?:not|no|without|never|less)\s+(?:too\s+|very\s+|so\s+|a\s+)?$", re.I)


def read_brief(words: str, given: Mapping[str, Any] | None = None) -> dict[str, Value]:
    """Those settings of text_to_score that the words say, by its names; "mode" ("major", "minor") where only the mood
    tells it. What is `given` already is not looked for. InvalidInput for words that cannot be met or contradict each
    other."""
    known = {name for name, value in (given or {}).items() if value}
    style = str((given or {}).get("style") or _style(words))
    readers: dict[str, Callable[[], Mapping[str, Value]]] = {
        "style": lambda: {"style": style},
        "key": lambda: _key(words),
        "metre": lambda: {"metre": _metre(words)},
        "tempo": lambda: {"tempo": _tempo(words, style)},
        "bars": lambda: {"bars": _bars(words, style)},
        "density": lambda: {"density": next((name for name, p in DENSITY_WORDS.items() if _has(p, words)), "")},
        "instruments": lambda: {"instruments": ", ".join(instruments_in(words))},
    }
    found: dict[str, Value] = {}
    for name, read in readers.items():
        if name not in known:
            found |= {said: value for said, value in read().items() if value}
    return found


def _metre(words: str) -> str:
    metres = {f"{int(beats)}/{int(unit)}" for beats, unit in METRE.findall(words)}
    return nearest_metre(str(_one(metres, "metres", "metre"))) if metres else ""


def _bars(words: str, style: str) -> int:
    bars = {int(NUMBERS.get(number.lower(), number)) for number in BARS.findall(words)}
    if style == "blues" and len(bars) > 1:  # a 12-bar blues is a form
        bars -= {12}
    if not bars:
        return 0
    number = int(str(_one(bars, "numbers of bars", "bars")))
    if not 1 <= number <= MOST_BARS:
        raise InvalidInput(f"The brief asks for {number} bars.", f"Ask for 1 to {MOST_BARS}.", field="bars")
    return number


def nearest_metre(metre: str) -> str:
    """Of those that can be written: of the same unit of beats where there is one, then of the nearest length."""

    def distance(other: str) -> tuple[float, bool]:
        (beats, unit), (others, of) = (map(int, text.split("/")) for text in (metre, other))
        return abs(beats / max(unit, 1) - others / of), unit != of

    return min(METRES, key=distance)


def unmet(words: str) -> list[str]:
    """Sentences about what a brief asks for and does not get as it is."""
    asked = {f"{int(beats)}/{int(unit)}" for beats, unit in METRE.findall(words)}
    told = [
        f"The metre {metre} is not one that this model can write; {nearest_metre(metre)} is the nearest."
        for metre in sorted(asked - set(METRES))
    ]
    left = unread(words)
    return [*told, f"Nothing was taken from the words: {', '.join(left[:8])}."] if left else told


def unread(words: str) -> list[str]:
    """The words of a brief that nothing is taken from, in their order."""
    moods = (MINOR_MOODS, MAJOR_MOODS, SLOW_MOODS, FAST_MOODS)
    said = [*STYLE_WORDS.values(), *ITALIAN, *PACES, *DENSITY_WORDS.values(), *moods, "major|minor|drums?"]
    rest = blanked(words)
    for pattern in (KEY, METRE, TEMPO, BARS, re.compile(rf"(?<![\w-])(?:{'|'.join(said)})(?![\w-])", re.I)):
        rest = pattern.sub(" ", rest)
    return [word for word in dict.fromkeys(WORD.findall(rest.lower())) if word not in IDLE and word not in NUMBERS]


def _has(pattern: str, words: str) -> bool:
    """Whether one of the words stands there, and no "not" before it."""
    return any(
        not NOT.search(words[: m.start()]) for m in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", words, re.I)
    )


def _style(words: str) -> str:
    """The style that is named last: in "a waltz like a hymn" the likeness does not count, in "piano rag" the rag."""
    named = {name: pattern for name, pattern in STYLE_WORDS.items() if _has(pattern, words)}
    sure = [name for name in named if name not in GENERAL]
    if len(sure) > 1:
        raise InvalidInput(
            f"The brief names several styles: {', '.join(sure)}.", "Leave one, or choose the style.", field="style"
        )
    return (sure or [*named, ""])[0]


def _one(values: set, what: str, field: str) -> Value:
    if len(values) > 1:
        named = ", ".join(str(value) for value in sorted(values))
        raise InvalidInput(f"The brief names several {what}: {named}.", "Leave one of them.", field=field)
    return values.pop()


def _key(words: str) -> dict[str, Value]:
    keys: set[str] = set()
    for match in KEY.finditer(words):
        letter, sign, mode, other, other_sign, minor = (group or "" for group in match.groups())
        if letter == "a" and not sign and re.match(r"\s+(?!with|for|at|and)\w", words[match.end() :]):
            continue  # the article, in "a minor work"
        if letter:
            keys.add(letter.upper() + SIGNS[sign.strip(" -")] + ("m" if mode in ("minor", "min", "moll") else ""))
        else:
            keys.add(other + SIGNS[other_sign.strip(" -")] + minor)
    if keys:
        key = _one(keys, "keys", "key")
        if key not in KEYS:
            raise InvalidInput(f"The key {key} is not in use.", "Ask for one such as F#m or Bb.", field="key")
        return {"key": key}
    modes = {mode for mode in ("major", "minor") if re.search(rf"\b{mode}\b(?! (?:work|piece))", words, re.I)}
    if modes:
        return {"mode": _one(modes, "modes", "key")}
    moods = {mode for mode, pattern in (("minor", MINOR_MOODS), ("major", MAJOR_MOODS)) if _has(pattern, words)}
    return {"mode": moods.pop()} if len(moods) == 1 else {}


def _tempo(words: str, style: str) -> float:
    """Quarter notes a minute, 0 where the words say nothing of it."""
    numbers = {float(number) for number in TEMPO.findall(words)}
    if numbers:
        tempo = float(str(_one(numbers, "tempi", "tempo")))
        if not SLOWEST <= tempo <= FASTEST:
            said = f"The brief asks for {tempo:g} beats a minute."
            raise InvalidInput(said, f"Ask for {SLOWEST:g} to {FASTEST:g}.", field="tempo")
        return tempo
    slow = [share for pattern, share in PACES.items() if _has(pattern, words)]
    if "very slow" in words.lower():
        slow = [share for share in slow if share != PACES[r"slow(?:ly|er)?|lullaby"]]
    if re.search(r"very (?:fast|quick)", words, re.I):
        slow = [share for share in slow if share != 1.3]
    if min(slow, default=1) < 1 < max(slow, default=1):
        raise InvalidInput("The brief asks for slow and for fast music.", "Leave one of the two.", field="tempo")
    italian = [tempo for pattern, tempo in ITALIAN.items() if _has(pattern, words)]
    if italian:
        return italian[0]
    if not slow and _has(SLOW_MOODS, words) != _has(FAST_MOODS, words):
        slow = [0.8 if _has(SLOW_MOODS, words) else 1.15]
    return round(min(max(style_of(style).tempo * slow[0], SLOWEST), FASTEST)) * 1.0 if slow else 0.0
