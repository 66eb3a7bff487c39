"""What can be asked of the library, as SQL with bound values. It knows the tables, not the files."""

from dataclasses import dataclass

from studio.errors import InvalidInput
from studio.library import words
from studio.types import Artifact

SORTS = {
    "newest": "a.created DESC, a.id DESC",
    "oldest": "a.created ASC, a.id ASC",
    "starred": "a.starred DESC, a.created DESC, a.id DESC",
}
# what the page asks for only to show it, and what a training or a captioning is given: no works of a person's
ASIDE = ("token_odds", "describe", "expand_prompt", "dataset", "caption")
LIMIT = 100_000  # artifacts in one page at most


@dataclass(frozen=True, kw_only=True)
class Query:
    """All conditions hold together; the defaults ask for all that is not in the trash, newest first."""

    text: str = ""  # words of the prompt, negative prompt, tags, model or file name; the last one may be a beginning
    media: tuple[str, ...] = ()  # any of "image", "audio" ... or full media types
    starred: bool | None = None
    tags: tuple[str, ...] = ()  # all of them
    model: str | None = None
    task: str | None = None
    trashed: bool = False
    after: float | None = None  # seconds since the epoch, inclusive
    before: float | None = None  # exclusive
    sort: str = "newest"  # oldest, starred
    offset: int = 0
    limit: int = 100


@dataclass(frozen=True, kw_only=True)
class Page:
    items: tuple[Artifact, ...]
    total: int  # of all pages
    offset: int


@dataclass(frozen=True)
class Select:
    """WHERE and ORDER BY of a query over `artifacts AS a`, with its bound values."""

    where: str
    values: tuple[object, ...]
    order: str


def select(query: Query) -> Select:
    if query.sort not in SORTS:
        raise InvalidInput(f"Unknown order {query.sort!r}.", f"Choose one of {', '.join(SORTS)}.", field="sort")
    conditions = ["a.lost IS NULL", f"a.trashed IS {'NOT ' if query.trashed else ''}NULL"]
    values: list[object] = []

    def add(condition: str, *bound: object) -> None:
        conditions.append(condition)
        values.extend(bound)

    matching = words.match(query.text)
    if matching is not None:
        add("a.id IN (SELECT rowid FROM artifacts_words WHERE artifacts_words MATCH ?)", matching)
    if query.media:
        kinds = [("a.media_type = ?", m) if "/" in m else ("a.media_type GLOB ?", _glob(m)) for m in query.media]
        add(f"({' OR '.join(c for c, _ in kinds)})", *(words.storable(v) for _, v in kinds))
    if query.starred is not None:
        add("a.starred = ?", int(query.starred))
    for tag in query.tags:
        add("EXISTS (SELECT 1 FROM tags t WHERE t.artifact = a.sha256 AND t.folded = ?)", fold(tag))
    if query.model is not None:
        add("a.model = ?", words.storable(query.model))
    if query.task is not None:
        add("a.task = ?", words.storable(query.task))
    else:
        for task in ASIDE:
            add("a.task IS NOT ?", task)
    if query.after is not None:
        add("a.created >= ?", query.after)
    if query.before is not None:
        add("a.created < ?", query.before)
    return Select(" AND ".join(conditions), tuple(values), SORTS[query.sort])


def window(query: Query) -> tuple[int, int]:
    """(limit, offset) within what is sensible."""
    return max(0, min(query.limit, LIMIT)), max(0, min(query.offset, 2**31))


def fold(tag: str) -> str:
    return words.storable(" ".join(tag.split())).casefold()


def _glob(kind: str) -> str:
    return "".join(c for c in kind if c.isalnum()) + "/*"
