"""A score on paper: pages of SVG by verovio with the times of their notes, and the same pages as PDF.

One toolkit a call, one call at a time: verovio keeps some state of its own. The SVG is inert and takes the colour of
the text around it.
"""

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import verovio

from studio.errors import InvalidInput
from studio.music.musicxml import write_musicxml
from studio.music.pdf import pdf_of
from studio.music.score import QUARTER, Score

PAGE = (2100, 2970)  # tenths of a millimetre: A4
LABEL = 16  # characters before a staff
MAX_BARS = 1000
MAX_NOTES = 40_000
_ONE_AT_A_TIME = threading.Lock()
_DATA = Path(verovio.__file__).parent / "data"
_OPTIONS = {
    "pageWidth": PAGE[0],
    "pageHeight": PAGE[1],
    "scale": 40,
    "footer": "none",
    "header": "auto",
    "svgViewBox": True,
    "svgRemoveXlink": True,
    "smuflTextFont": "none",
    "breaks": "auto",
    "justifyVertically": False,
    "lyricWordSpace": 3.5,  # the text font of the one who reads may be wider than verovio's
    "lyricSize": 3.8,
}
# signs of verovio's music font inside text, such as the note of a tempo; in text they are this large
_SIGN = re.compile(
    r'(<text x="(\d+)" y="(\d+)"[^>]*>)((?:\s*<tspan[^>]*>)*?)\s*<tspan font-family="Leipzig" font-size="(\d+)px">'
    r"([\ue000-\uf8ff])</tspan>"
)


def engrave(score: Score, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """{"pages": SVG texts, "times": [[seconds, ids of the elements that sound from then on]]}.

    A note's id is "n" with the track's index, "-" and the note's index; the parts that it is tied to have ids of their
    own. `settings` go into the first page's metadata. InvalidInput for a score of more than 1,000 bars.
    """
    pages, times = _engraved(score, whole_pages=False)
    if settings is not None:
        text = f'<metadata id="atelier">{escape(json.dumps(settings))}</metadata>'
        pages[0] = re.sub(r"(<svg[^>]*>)", lambda found: found[1] + text, pages[0], count=1)
    return {"pages": pages, "times": times}


def score_pdf(score: Score, settings: Mapping[str, Any] | None = None) -> bytes:
    """The engraved score as vectors on A4."""
    pages, _ = _engraved(score, whole_pages=True)
    return pdf_of(pages, title=score.title, settings=settings)


def _engraved(score: Score, *, whole_pages: bool) -> tuple[list[str], list[list[Any]]]:
    if not score.tracks or not score.notes:
        raise InvalidInput("The score holds no notes.", "Write or compose some first.")
    if score.bars > MAX_BARS or score.notes > MAX_NOTES:
        raise InvalidInput(
            f"The score has {score.bars:,} bars and {score.notes:,} notes.",
            f"At most {MAX_BARS:,} bars and {MAX_NOTES:,} notes are engraved.",
        )
    named = replace(score, tracks=tuple(replace(track, name=_label(track.name)) for track in score.tracks))
    text = write_musicxml(named, ids=True).decode()
    with _ONE_AT_A_TIME:
        verovio.enableLog(verovio.LOG_OFF)
        verovio.setDefaultResourcePath(str(_DATA))  # each thread has its own, empty but in the one that imported it
        toolkit = verovio.toolkit()
        toolkit.setOptions({**_OPTIONS, "adjustPageHeight": not whole_pages})
        if not toolkit.loadData(text):
            raise InvalidInput("The score cannot be engraved.", "Export it as MusicXML for a notation program.")
        pages = [toolkit.renderToSVG(number) for number in range(1, toolkit.getPageCount() + 1)]
        timemap = toolkit.renderToTimemap({"includeMeasures": False, "includeRests": False})
    return [_neutral(page) for page in pages], _times(timemap, score)


def _label(name: str) -> str:
    """A part's name that fits before its staff: "Chords - Acoustic Grand Piano" is the piano."""
    short = name.rpartition(" - ")[2].strip()
    return short if len(short) <= LABEL else short.split()[-1][:LABEL]


def _times(timemap: list[dict[str, Any]], score: Score) -> list[list[Any]]:
    """Verovio counts in quarters; the seconds are ours."""
    sounding: dict[str, None] = {}
    found = []
    for entry in timemap:
        for name in entry.get("off", ()):
            sounding.pop(name, None)
        sounding.update(dict.fromkeys(entry.get("on", ())))
        found.append([round(score.seconds_at(round(entry["qstamp"] * QUARTER)), 4), list(sounding)])
    return found


def _neutral(page: str) -> str:
    """In the colour of the text around it, its signs drawn instead of set in a font that nobody has."""
    page = page.replace('color="black"', 'fill="currentColor"')
    page = re.sub(r"g\.cursor[^{}]*\{[^}]*\}", "", page)
    page = re.sub(r"#\w+ (?=#|</style>)", "", page)
    return _SIGN.sub(_drawn, page)


def _drawn(found: re.Match[str]) -> str:
    """The sign as a path before the text, which moves to the right by its width."""
    x, y, size = (int(found[group]) for group in (2, 3, 5))
    path, advance = _glyph(f"{ord(found[6]):04X}")
    scale = size / 1000
    drawn = f'<path transform="translate({x}, {y}) scale({scale:g}, {-scale:g})" d="{path}" />'
    moved = found[1].replace(f'x="{x}"', f'x="{x + round(advance * scale)}"', 1)
    return f"{drawn}{moved}{found[4]}<tspan></tspan>"


@lru_cache(maxsize=64)
def _glyph(code: str) -> tuple[str, float]:
    """Outline and width of a sign of the Leipzig font in thousandths of its size; nothing where it has none."""
    try:
        outline = (_DATA / "Leipzig" / f"{code}.xml").read_text("utf-8")
        metrics = (_DATA / "Leipzig.xml").read_text("utf-8")
    except OSError:
        return "", 0.0
    path = re.search(r' d="([^"]*)"', outline)
    width = re.search(rf'<g c="{code}"[^>]*h-a-x="([\d.]+)"', metrics)
    return (path[1] if path else ""), float(width[1]) if width else 500.0
