"""What a data set holds and what is wrong with it, in figures and in sentences for a person.

It reads items and judges no model: whether the words of the captions are skewed, not whether the pictures are.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

from studio.lab.items import Item, Problem

CAPTIONED = ("image", "sound")  # kinds whose items should have a caption each
FEW = 5  # items below which nothing can be held out and a style can hardly be learned
WORDS = 20  # of the most frequent words that a report lists
MOSTLY = 1.5  # times its even share, from which on a word of a group counts as over-represented
_UNSAID = set(
    "a an the of in on at with and or by for to from is are it its this that der die das ein eine und mit im in auf"
    " le la les un une et de du des avec sur el los las y con".split()
)
# words of which a picture usually has one; more than one of a group in a set is where skew can be seen
GROUPS: Mapping[str, tuple[str, ...]] = {
    "colour": tuple("red orange yellow green blue purple violet pink brown black white grey gray silver gold".split()),
    "person": ("man", "woman", "boy", "girl", "men", "women", "boys", "girls", "male", "female", "he", "she"),
    "age": ("baby", "child", "young", "adult", "old", "elderly"),
    "time": ("day", "night", "morning", "evening", "noon", "dawn", "dusk", "sunset", "sunrise"),
    "season": ("spring", "summer", "autumn", "fall", "winter"),
    "place": ("indoors", "outdoors", "city", "beach", "forest", "street", "garden", "mountains", "desert", "studio"),
    "style": ("photo", "painting", "drawing", "sketch", "watercolour", "watercolor", "cartoon", "render", "pixel"),
}
_TOLD = {
    "rotated": "were not upright and were turned",
    "alpha": "had transparent parts and were laid on white",
    "profile": "had other colour profiles and were converted to sRGB",
    "animated": "hold several frames or pages; the first was taken",
    "depth": "had 16 or more bits a colour and were reduced to 8",
    "cmyk": "were in printing colours and were converted to RGB",
    "shrunk": "were larger than training uses and were copied smaller",
    "encoding": "were in other encodings and were converted to UTF-8",
    "empty": "are empty and were left out",
    "unreadable": "cannot be read and were left out",
    "truncated": "are damaged or cut off and were left out",
    "broken": "are broken and were left out",
    "too_large": "have too many pixels to be read and were left out",
    "too_small": "are smaller than the model works with",
    "cut_off": "were cut off; what is there was kept",
    "silent": "are silent and were left out",
    "silence": "had silence at an end, which was cut away",
    "clipped": "are clipped and teach the distortion",
    "offset": "stood off the middle (DC) and were put back",
    "quiet": "were very quiet and were made louder",
    "loud": "went beyond full scale and were made softer",
    "nan": "held samples that are no numbers, which became silence",
    "too_short": "hold less than a second of sound and were left out",
    "long": "were long and were cut into parts at quiet places",
    "channels": "had more than two channels and were mixed to two",
    "dull": "have few samples a second, so that their highest tones are missing",
    "duplicate": "repeat another file and were left out",
    "near_duplicate": "look almost like another; only one of each group stays in",
    "no_numbers": "had corners without a place, now taken out",
    "doubled": "had faces twice",
    "many_faces": "had more faces than training can see; their copies have fewer",
    "crumbs": "had loose crumbs, now swept away",
    "holes": "had holes, now closed",
    "flipped": "had faces that looked inwards, now turned",
    "bodies": "hold several bodies that stand apart",
    "open": "enclose nothing and were left out",
    "flat": "are flat or without walls and were left out",
    "archive": "in archives could not be taken",
    "other": "are of another kind and were left out",
}
_SOUNDS = {"near_duplicate": "sound almost like another; only one of each group stays in"}  # instead, of sounds


@dataclass(frozen=True, kw_only=True)
class Share:
    """How often a word stands in the captions: `low` and `high` bound the true share with 95 % (Wilson 1927)."""

    word: str
    count: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The words of one group (colours, times of day ...) in the captions, the most frequent first; shares within it."""

    group: str
    words: tuple[Share, ...]

    @property
    def skewed(self) -> bool:
        """Whether one word surely outweighs the others: its share well above an even one, the low end above it too."""
        even, most = 1 / len(self.words), self.words[0]
        return most.share >= MOSTLY * even and most.low > even


@dataclass(frozen=True, kw_only=True)
class Report:
    """The data set, or what was just added to it, at a glance."""

    items: int
    included: int
    train: int  # of the included ones
    held_out: int
    problems: Mapping[str, int]  # kind -> number of files
    found: tuple[tuple[str, Problem], ...]  # (name, problem), in order
    sizes: Mapping[str, int]  # portrait, square, landscape (width to height, within 10 %) of the included ones
    smallest: tuple[int, int] | None  # (width, height) of the included picture with the fewest pixels
    largest: tuple[int, int] | None
    longest: tuple[float, float] | None  # mm, the least and the most, of the longest sides of included shapes
    length: int  # characters of included texts, notes, faces, milliseconds
    languages: Mapping[str, int]
    uncaptioned: int  # included without caption
    words: tuple[Share, ...]  # the most frequent words of the included captions
    balance: tuple[Balance, ...]
    sentences: tuple[str, ...]


def make_report(
    kind: str,
    items: Sequence[Item],
    left: Sequence[tuple[str, Problem]] = (),
    trigger: str = "",
    notes: Sequence[str] = (),
) -> Report:
    """`left` are files that did not become items; `notes` are sentences to put first."""
    included = [item for item in items if item.included and item.usable]
    found = (*((item.name, problem) for item in items for problem in item.problems), *left)
    problems = dict(Counter(problem.kind for _, problem in found).most_common())
    pictures = sorted(((i.width, i.height) for i in included if i.width), key=lambda size: size[0] * size[1])
    sides = [max(item.size_mm) for item in included if item.size_mm]
    words = word_shares([item.caption for item in included], trigger)
    balance = balance_of([item.caption for item in included])
    report = Report(
        items=len(items),
        included=len(included),
        train=sum(item.split == "train" for item in included),
        held_out=sum(item.split == "held_out" for item in included),
        problems=problems,
        found=found,
        sizes=dict(Counter(_format(width, height) for width, height in pictures)),
        smallest=pictures[0] if pictures else None,
        largest=pictures[-1] if pictures else None,
        longest=(min(sides), max(sides)) if sides else None,
        length=sum(item.length for item in included),
        languages=dict(Counter(item.language for item in included if item.language).most_common()),
        uncaptioned=sum(not item.caption for item in included) if kind in CAPTIONED else 0,
        words=words[:WORDS],
        balance=balance,
        sentences=(),
    )
    return Report(**{**vars(report), "sentences": (*notes, *_sentences(kind, report, words))})


def word_shares(captions: Sequence[str], trigger: str = "") -> tuple[Share, ...]:
    """In how many captions each word stands, the most frequent first; without articles and the trigger word."""
    unsaid = _UNSAID | set(_words(trigger))
    counts = Counter(word for caption in captions for word in set(_words(caption)) - unsaid)
    return _shares(counts, sum(bool(caption) for caption in captions))


def balance_of(captions: Sequence[str]) -> tuple[Balance, ...]:
    """The word groups of which the captions name at least two words. A single one may be the very subject."""
    said = [set(_words(caption)) for caption in captions]
    found: list[Balance] = []
    for group, members in GROUPS.items():
        counts = Counter(word for words in said for word in words & set(members))
        if len(counts) > 1:
            found.append(Balance(group=group, words=_shares(counts, sum(counts.values()))))
    return tuple(found)


def wilson(count: int, many: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share (Wilson 1927): low, high, both in 0..1."""
    if not many:
        return 0.0, 1.0
    share = count / many
    middle = share + z * z / (2 * many)
    spread = z * sqrt(share * (1 - share) / many + z * z / (4 * many * many))
    return max(0.0, (middle - spread) / (1 + z * z / many)), min(1.0, (middle + spread) / (1 + z * z / many))


def _shares(counts: Counter[str], many: int) -> tuple[Share, ...]:
    order = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        Share(word=word, count=count, share=count / many, low=wilson(count, many)[0], high=wilson(count, many)[1])
        for word, count in order
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def clock(seconds: float) -> str:
    """65 -> '1:05 minutes'"""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} seconds"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02} hours" if hours else f"{minutes}:{whole % 60:02} minutes"


def _format(width: int, height: int) -> str:
    ratio = width / height
    return "square" if 1 / 1.1 <= ratio <= 1.1 else "landscape" if ratio > 1 else "portrait"


def _sentences(kind: str, report: Report, words: Sequence[Share]) -> Iterable[str]:
    noun = {"image": "pictures", "text": "texts", "score": "scores", "shape": "shapes", "sound": "sounds"}[kind]
    yield f"{_many(report.included, noun)} of {report.items} will be used: {report.train} to train, " + (
        f"{report.held_out} held out to judge with." if report.held_out else "none held out."
    )
    told = {**_TOLD, **_SOUNDS} if kind == "sound" else _TOLD
    for problem, count in report.problems.items():
        yield f"{_many(count, 'files')} {_verb(count, told.get(problem, 'have other problems'))}."
    if 0 < report.included < FEW:
        yield f"With fewer than {FEW} {noun} nothing can be held out, and more would teach far better."
    elif report.included and not report.held_out:
        yield "Nothing is held out, so that nothing can show when the training starts to learn by heart."
    if report.smallest and report.largest:
        low, high = (f"{width} x {height}" for width, height in (report.smallest, report.largest))
        yield f"Sizes run from {low} to {high} pixels." if low != high else f"All have {low} pixels."
    if kind == "sound" and report.length:
        yield f"They last {clock(report.length / 1000)} in all."
    if report.longest:
        low, high = (f"{side:.4g}" for side in report.longest)
        span = f"Their longest sides run from {low} to {high} mm" if low != high else f"All are {low} mm long"
        yield f"{span}; the copies have one size."
    if report.uncaptioned:
        yield f"{report.uncaptioned} of {report.included} have no caption."
    if len(report.languages) > 1:
        yield "Languages: " + ", ".join(f"{name} {count}" for name, count in report.languages.items()) + "."
    for balance in report.balance:
        if balance.skewed:
            most, rest = balance.words[0], balance.words[1:4]
            others = ", ".join(f"“{share.word}” {share.share:.0%}" for share in rest)
            yield (
                f"Where a {balance.group} is named, it is “{most.word}” in {most.share:.0%}"
                f" ({most.low:.0%}-{most.high:.0%}) and {others}: the model will lean the same way."
            )
    once = [share.word for share in words if share.count == 1]
    if report.included >= 10 and once and len(once) <= 0.5 * len(words):
        yield "Only once in the captions: " + ", ".join(f"“{word}”" for word in once[:8]) + "."


def _many(count: int, noun: str) -> str:
    return f"{count} {noun.removesuffix('s') if count == 1 else noun}"


_ONE = {
    "are": "is",
    "were": "was",
    "have": "has",
    "repeat": "repeats",
    "look": "looks",
    "sound": "sounds",
    "teach": "teaches",
    "hold": "holds",
    "enclose": "encloses",
}


def _verb(count: int, told: str) -> str:
    """The sentence's end for one file or for several."""
    return " ".join(_ONE.get(word, word) for word in told.split()) if count == 1 else told
