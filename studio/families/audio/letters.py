"""The language of a text by its letters, where they are those of one language alone. Light; knows no words."""

import unicodedata
from collections import Counter

ELSE = "en"  # what a model takes a text for that says nothing
BY_SCRIPT = {  # the first word of a letter's name in Unicode: its language
    "HEBREW": "he",
    "GREEK": "el",
    "HANGUL": "ko",
    "THAI": "th",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "TAMIL": "ta",
    "TELUGU": "te",
}
# letters that tell languages of one script apart
URDU, PERSIAN = set("ٹڈڑں"), set("پچژگ")
UKRAINIAN, SERBIAN, RUSSIAN = set("їєґ"), set("ђћ"), set("ыэё")
ALPHABET = set("абвгдеёжзийклмнопрстуфхцчшщъыьэюя")  # of Russian: others have letters beyond it
MOST_READ = 20_000  # characters


def language_of(text: str) -> str:
    """A code like "he"; "en" where the letters do not say it: Latin ones are of many languages."""
    letters = [c for c in text[:MOST_READ].lower() if c.isalpha()]
    scripts = Counter(unicodedata.name(c, "?").split()[0] for c in letters)
    if not scripts:
        return ELSE
    if scripts["HIRAGANA"] + scripts["KATAKANA"] > len(letters) / 10:  # beside Chinese letters
        return "ja"
    script, count = scripts.most_common(1)[0]
    if count <= len(letters) / 2:
        return ELSE
    if script == "CJK":
        return "zh"
    own = {c for c in letters if unicodedata.name(c, "?").startswith(script)}
    if script == "ARABIC":
        return "ur" if own & URDU else "fa" if own & PERSIAN else "ar"
    if script == "CYRILLIC":
        if own & UKRAINIAN or own & SERBIAN:
            return "uk" if own & UKRAINIAN else "sr"
        return "ru" if own & RUSSIAN and own <= ALPHABET else ELSE
    return BY_SCRIPT.get(script, ELSE)
