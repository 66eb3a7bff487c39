"""Reads what the words of a brief say about a text: "a poem for children about the winter sea".

Knows no model; light, so that the page can show what was understood.
"""

import re
from collections.abc import Sequence

from studio.families.causal_lm.briefs import Brief
from studio.families.causal_lm.keywords import AFTER, BEFORE, COMMON
from studio.types import Request

MOST_KEYWORDS = 5  # as many as a brief of the training had
# words that say what is wanted rather than what it is about
ASKING = set(
    "write writing give make tell compose please about short long brief little new text piece draft want would like "
    "need something someone titled called entitled style manner tone words lines between how what why very really "
    "because than then them also just only into over under one once upon dear thank words sentence "
    "sentences paragraph".split()
)
GENRE_WORDS = {
    "story": "story stories tale fable novel narrative fairytale fiction chapter legend adventure",
    "poem": "poem poems poetry verse verses lyric lyrics song songs sonnet ballad ode haiku hymn rhyme",
    "play": "play plays scene scenes dialogue drama monologue script comedy tragedy",
    "essay": "essay essays article articles speech advert advertisement review reflection",
    "letter": "letter letters email mail note postcard",
    "code": "code function functions python program class method",
}
OPENINGS = {"dear": "letter", "once upon": "story", "def": "code", "import": "code"}  # a brief that is a text's begin
USUAL = "story"  # what a brief that names no genre gets: left open, a small model mostly writes code
ALIKE = {"product text": "essay"}  # genres whose words alone do not tell
GENRE_OF = {word: genre for genre, words in GENRE_WORDS.items() for word in words.split()}


def brief_of(request: Request, genres: Sequence[str], *, guess: bool) -> Brief:
    """The brief in a request's settings; with `guess`, what they leave open is read from the words of the prompt."""
    told = {name: str(request.params.get(name, "")).strip() for name in ("genre", "audience", "part", "title")}
    words = re.findall(r"[A-Za-z]+", request.prompt.lower()) if guess else []
    genre = genre_of(told["genre"], genres) or (genre_told(words, genres) if guess else "")
    given = [word.strip() for word in str(request.params.get("keywords", "")).split(",") if word.strip()]
    audience = told["audience"]
    if guess and not audience and {"children", "child", "kids"} & set(words):
        audience = "children"
    return Brief(
        genre,
        audience,
        told["part"] or ("whole" if guess and genre in ("poem", "code") else ""),
        tuple(given or (content_words(words) if guess else ()))[:MOST_KEYWORDS],
        told["title"],
    )


def genre_of(wanted: str, genres: Sequence[str]) -> str:
    """The model's own genre for a name such as "song lyrics" or "article"; "" when it has none for it."""
    plain = wanted.lower()
    plain = ALIKE.get(plain, plain)
    if plain in genres:
        return plain
    return next((GENRE_OF[w] for w in re.findall(r"[a-z]+", plain) if GENRE_OF.get(w) in genres), "")


def genre_told(words: Sequence[str], genres: Sequence[str]) -> str:
    """The genre that a brief names, else that of a text which begins so, else the usual one; "" where the model has
    none of them.
    """
    named = (GENRE_OF[word] for word in words if word in GENRE_OF)
    begun = (genre for opening, genre in OPENINGS.items() if " ".join(words).startswith(f"{opening} "))
    return next((genre for genre in (*named, *begun, USUAL) if genre in genres), "")


def content_words(words: Sequence[str]) -> list[str]:
    """What the words are about, in their order: those that are left without function words and words of asking."""
    idle = BEFORE | AFTER | COMMON | ASKING | set(GENRE_OF) | {"children", "child", "kids", "everyone"}
    return list(dict.fromkeys(word for word in words if len(word) > 2 and word not in idle))
