"""A picture as a page for the printer: PDF 1.4 with trim, bleed and media boxes (ISO 32000-1, 14.11.2), the bleed
filled with the picture mirrored at its edge, crop marks outside of it. Pictures stay in sRGB; no colour is converted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from studio.design.ground import opaque
from studio.design.pdf import POINT, Pdf, number
from studio.errors import InvalidInput

SIZES = {  # mm, upright
    "A3": (297.0, 420.0),
    "A4": (210.0, 297.0),
    "A5": (148.0, 210.0),
    "A6": (105.0, 148.0),
    "letter": (215.9, 279.4),
    "card": (55.0, 85.0),
}
ENOUGH = 150  # dots per inch from which a print looks sharp at arm's length
_MOST = 600  # dots per inch; more is not printed
_OFFSET, _LENGTH = 3.0, 5.0  # mm: crop marks begin so far outside the trim, at least beyond the bleed, and are so long


def trim_of(size: str, lying: bool = False) -> tuple[float, float]:
    """Width and height in mm of a name of SIZES or of `WIDTHxHEIGHT`. InvalidInput."""
    if size in SIZES:
        wide, high = SIZES[size]
    else:
        left, _, right = size.lower().replace("mm", "").replace("×", "x").partition("x")
        try:
            wide, high = float(left), float(right)
        except ValueError as error:
            known = ", ".join(SIZES)
            raise InvalidInput(
                f"The size {size[:40]!r} is not known.", f"Choose {known}, or write 100x150 in mm.", field="size"
            ) from error
        if not (10 <= wide <= 2000 and 10 <= high <= 2000):
            raise InvalidInput(f"The size is {wide:g} x {high:g} mm.", "A side has 10 to 2000 mm.", field="size")
    return (max(wide, high), min(wide, high)) if lying else (wide, high)


@dataclass(frozen=True)
class Page:
    """`trim`: mm of the finished page. `bleed`: mm around it that are printed and cut away."""

    trim: tuple[float, float]
    bleed: float = 3.0
    crop_marks: bool = True
    fit: str = "cover"  # or contain, on white

    @property
    def slug(self) -> float:
        """mm around the trim, crop marks included."""
        return max(self.bleed, _OFFSET) + _LENGTH + 1 if self.crop_marks else self.bleed

    def _scale(self, picture: Image.Image) -> float:
        """mm of a pixel."""
        choose = max if self.fit == "cover" else min
        return choose(self.trim[0] / picture.width, self.trim[1] / picture.height)

    def resolution(self, picture: Image.Image) -> float:
        """Dots per inch of the picture as it is printed."""
        return 25.4 / self._scale(picture)

    def filled(self, picture: Image.Image) -> Image.Image:
        """What fills trim and bleed, in the picture's own pixels."""
        scale = max(self._scale(picture), 25.4 / _MOST)
        size = (max(1, round(self.trim[0] / scale)), max(1, round(self.trim[1] / scale)))
        wide, high = (max(1, round(side * self._scale(picture) / scale)) for side in picture.size)
        whole = opaque(picture)
        whole = whole if whole.size == (wide, high) else whole.resize((wide, high), Image.Resampling.LANCZOS)
        page = Image.new("RGB", size, "white")
        page.paste(whole, ((size[0] - wide) // 2, (size[1] - high) // 2))
        across, down = (round(self.bleed / scale) for _ in size)
        return Image.fromarray(np.pad(np.asarray(page), ((down, down), (across, across), (0, 0)), "symmetric"))


def pdf_of(picture: Image.Image, page: Page, title: str = "", settings: Mapping[str, Any] | None = None) -> bytes:
    """One page. Its media box holds the crop marks, its bleed box the picture, its trim box what stays."""
    wide, high = page.trim
    slug, bleed = page.slug, page.bleed
    pdf = Pdf(title, settings)
    name = pdf.picture(page.filled(picture))
    box = [slug - bleed, slug - bleed, wide + 2 * bleed, high + 2 * bleed]
    x, y, across, down = (number(value * POINT) for value in box)
    lines = [f"q {across} 0 0 {down} {x} {y} cm /{name} Do Q"]
    if page.crop_marks:
        lines += [f"{number(0.25)} w 0 0 0 1 K", *_marks(page)]
    media = (0.0, 0.0, wide + 2 * slug, high + 2 * slug)
    trim = (slug, slug, slug + wide, slug + high)
    bled = (slug - bleed, slug - bleed, slug + wide + bleed, slug + high + bleed)
    pdf.page("\n".join(lines), media, trim=trim, bleed=bled)
    return pdf.data()


def _marks(page: Page) -> list[str]:
    wide, high = page.trim
    slug, gap = page.slug, max(page.bleed, _OFFSET)
    lines = []
    for x, out in ((slug, -1), (slug + wide, 1)):
        for y, up in ((slug, -1), (slug + high, 1)):
            for dx, dy in ((out, 0), (0, up)):
                begin = (x + dx * gap, y + dy * gap)
                end = (begin[0] + dx * _LENGTH, begin[1] + dy * _LENGTH)
                ends = [number(value * POINT) for value in (*begin, *end)]
                lines.append(f"{ends[0]} {ends[1]} m {ends[2]} {ends[3]} l S")
    return lines
