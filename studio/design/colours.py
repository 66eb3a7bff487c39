"""Palettes: the colours of a picture by clusters in OKLab, their names, WCAG contrast, harmonies, and files for other
programs (CSS, GIMP, Adobe Swatch Exchange, JSON).
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from studio.design.oklab import Floats, fitted, from_lch, lch, linear, oklab
from studio.errors import InvalidInput

Rgb = tuple[int, int, int]
HARMONIES: Mapping[str, tuple[float, ...]] = {  # turns of the hue in degrees
    "complementary": (0, 180),
    "analogous": (-30, 0, 30),
    "triadic": (0, 120, 240),
    "split": (0, 150, 210),
    "tetradic": (0, 90, 180, 270),
}
EXPORTS = ("css", "gpl", "ase", "json", "png")
AA, AA_LARGE, AAA = 4.5, 3.0, 7.0  # contrast that WCAG 2.2 asks of text (1.4.3, 1.4.6)
_SEEN = 32  # opacity, of 255, from which a colour counts
_SIDE = 160  # pixels of the small picture whose colours are counted
_ALIKE = 0.02  # distance in OKLab that two colours of a palette keep at least: what one can just tell apart
_HUES = (  # where a name of a hue begins, in degrees of OKLCH
    (0, "rose"), (15, "red"), (40, "orange"), (75, "amber"), (95, "yellow"), (115, "lime"), (130, "green"),
    (165, "teal"), (195, "cyan"), (225, "azure"), (250, "blue"), (275, "indigo"), (295, "violet"), (315, "purple"),
    (335, "magenta"), (350, "rose"),
)  # fmt: skip


@dataclass(frozen=True)
class Swatch:
    """`rgb`: 0 to 255. `share`: of the picture, 0 to 1; 0 where it comes from none."""

    rgb: Rgb
    name: str = ""
    share: float = 0.0

    @property
    def hex(self) -> str:
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)

    @property
    def lch(self) -> tuple[float, float, float]:
        lightness, chroma, hue = lch(oklab(np.array(self.rgb) / 255)).tolist()
        return lightness, chroma, hue


Palette = tuple[Swatch, ...]


def palette_of(picture: Image.Image, count: int = 6) -> Palette:
    """At most `count` colours, the commonest first; fewer where the picture has fewer that one can tell apart.

    What is transparent does not count. InvalidInput when all of it is.
    """
    small = picture.convert("RGBA")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small).reshape(-1, 4)
    pixels = pixels[pixels[:, 3] >= _SEEN, :3]
    if not len(pixels):
        raise InvalidInput("The picture is transparent throughout.", "Choose one that shows something.", field="source")
    bins, which, counts = np.unique(pixels >> 3, axis=0, return_inverse=True, return_counts=True)
    means = np.zeros((len(bins), 3))
    np.add.at(means, which.reshape(-1), oklab(pixels / 255))
    means /= counts[:, None]
    centres = _clusters(means, np.sqrt(counts), count)  # the root, so that a small accent has a say
    nearest = _distances(means, centres).argmin(1)
    weights = np.bincount(nearest, counts, len(centres)) / counts.sum()
    order = [k for k in np.argsort(-weights, kind="stable") if weights[k] > 0]
    colours = [rgb_of(centres[k]) for k in order]
    names = names_of(colours)
    return tuple(Swatch(rgb, name, float(weights[k])) for rgb, name, k in zip(colours, names, order, strict=True))


def _distances(points: Floats, centres: Floats) -> Floats:
    return np.linalg.norm(points[:, None] - centres[None], axis=2)


def _clusters(points: Floats, weights: Floats, count: int) -> Floats:
    """Weighted k-means; begins with the point that is farthest for its weight each time, so chance has no part."""
    centres = points[[int(weights.argmax())]]
    while len(centres) < count:
        away = _distances(points, centres).min(1)
        best = int((away**2 * weights).argmax())
        if away[best] < _ALIKE:
            break
        centres = np.concatenate([centres, points[[best]]])
    for _ in range(30):
        nearest = _distances(points, centres).argmin(1)
        total = np.bincount(nearest, weights, len(centres))
        sums = np.stack([np.bincount(nearest, weights * points[:, k], len(centres)) for k in range(3)], 1)
        moved = np.where(total[:, None] > 0, sums / np.maximum(total, 1e-12)[:, None], centres)
        if np.abs(moved - centres).max() < 1e-5:
            break
        centres = moved
    kept: list[Floats] = []
    for centre in centres:
        if all(np.linalg.norm(centre - other) >= _ALIKE for other in kept):
            kept.append(centre)
    return np.array(kept)


def turned(palette: Palette, degrees: float) -> Palette:
    """The colours with their hues turned, of the same lightness, and of the same chroma as far as sRGB has it."""
    found = []
    for one in palette:
        lightness, chroma, hue = one.lch
        found.append(Swatch(rgb_of(from_lch(np.array([lightness, chroma, (hue + degrees) % 360])))))
    return tuple(found)


def rgb_of(lab: Floats) -> Rgb:
    """The nearest sRGB colour of the same lightness and hue."""
    red, green, blue = np.rint(fitted(np.asarray(lab)[None])[0] * 255).astype(int).tolist()
    return red, green, blue


def read_colours(text: str) -> Palette:
    """Colours out of `#aabbcc, teal, ...` or of a JSON palette of ours. InvalidInput names what is none."""
    try:
        plain = json.loads(text)
    except ValueError:
        plain = None
    if isinstance(plain, Mapping):
        plain = plain.get("colours")
    if isinstance(plain, list):
        words = [str(one.get("hex", "") if isinstance(one, Mapping) else one) for one in plain]
    else:
        words = [word for word in text.replace(";", ",").replace("\n", ",").split(",") if word.strip()]
    if not words:
        raise InvalidInput("The palette has no colours.", "Write colours like #0a7f8c, teal.", field="palette")
    found = [read_colour(word) for word in words]
    return tuple(Swatch(rgb, name) for rgb, name in zip(found, names_of(found), strict=True))


def read_colour(word: str, field: str = "palette") -> Rgb:
    """Of `#aabbcc`, `teal`, `rgb(1, 2, 3)`. InvalidInput."""
    try:
        red, green, blue = ImageColor.getrgb(word.strip())[:3]
    except ValueError as error:
        raise InvalidInput(
            f"{word.strip()[:40]!r} is no colour.", "Write it like #0a7f8c or teal.", field=field
        ) from error
    return red, green, blue


def name_of(rgb: Rgb) -> str:
    """What one would call it, by lightness, chroma and hue in OKLCH: "deep teal", "pale rose", "dark grey"."""
    lightness, chroma, hue = lch(oklab(np.array(rgb) / 255)).tolist()
    if lightness < 0.12:
        return "black"
    if chroma < 0.02:
        if lightness > 0.97:
            return "white"
        tones = ((0.3, "charcoal"), (0.5, "dark grey"), (0.72, "grey"), (0.9, "light grey"), (1.1, "off-white"))
        return next(word for limit, word in tones if lightness < limit)
    word = [name for begins, name in _HUES if hue >= begins][-1]
    if word in ("orange", "amber") and lightness < 0.6 and chroma < 0.14:
        word = "brown"
    elif word in ("amber", "yellow") and lightness > 0.65 and chroma < 0.09:
        word = "sand"
    elif word == "yellow" and lightness < 0.6 or word == "lime" and lightness < 0.55:
        word = "olive"
    elif word in ("rose", "red", "magenta") and lightness > 0.75:
        word = "pink"
    if lightness < 0.35:
        return f"dark {word}"
    if chroma < 0.06:
        return f"pale {word}" if lightness > 0.8 else f"greyish {word}"
    if lightness > 0.85:
        return f"light {word}"
    if chroma > 0.17:
        return f"vivid {word}"
    return f"deep {word}" if lightness < 0.5 else word


def names_of(colours: Sequence[Rgb]) -> list[str]:
    """A name each, numbered where two would be the same."""
    out: list[str] = []
    for rgb in colours:
        plain = name_of(rgb)
        number = 1
        while (name := plain if number == 1 else f"{plain} {number}") in out:
            number += 1
        out.append(name)
    return out


def luminance(rgb: Rgb) -> float:
    """Relative luminance as WCAG 2.2 defines it, 0 to 1."""
    return float(linear(np.array(rgb) / 255) @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: Rgb, other: Rgb) -> float:
    """Contrast ratio of WCAG 2.2, 1 to 21."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


def grade(ratio: float) -> str:
    """What text of that contrast passes: AAA, AA, "AA large" (18 pt and up), or nothing."""
    return "AAA" if ratio >= AAA else "AA" if ratio >= AA else "AA large" if ratio >= AA_LARGE else ""


def harmony(swatch: Swatch, kind: str) -> Palette:
    """The colour with others around the circle of hues, same lightness; "monochrome": five lightnesses of its hue."""
    lightness, chroma, hue = swatch.lch
    if kind == "monochrome":
        wanted = [(step, chroma * (1 - abs(step - 0.6)), hue) for step in (0.25, 0.42, 0.6, 0.78, 0.92)]
    else:
        wanted = [(lightness, chroma, (hue + turn) % 360) for turn in HARMONIES[kind]]
    colours = [rgb_of(from_lch(np.array(one))) for one in wanted]
    return tuple(Swatch(rgb, name) for rgb, name in zip(colours, names_of(colours), strict=True))


def describe(palette: Palette, title: str = "Palette") -> dict[str, Any]:
    """All that is known of a palette, as plain JSON: colours, contrast of each pair, harmonies of the strongest."""
    both = (*palette, Swatch((255, 255, 255), "white"), Swatch((0, 0, 0), "black"))
    table = [
        {"text": one.hex, "ground": other.hex, "ratio": round(ratio, 2), "passes": grade(ratio)}
        for at, one in enumerate(palette)
        for other in both[at + 1 :]
        for ratio in (contrast(one.rgb, other.rgb),)
    ]
    strongest = max(palette, key=lambda swatch: swatch.lch[1])
    return {
        "title": title,
        "colours": [
            {
                "hex": one.hex,
                "name": one.name,
                "share": round(one.share, 4),
                "oklch": [round(value, 4) for value in one.lch],
            }
            for one in palette
        ],
        "contrast": table,
        "harmonies": {
            kind: [{"hex": one.hex, "name": one.name} for one in harmony(strongest, kind)]
            for kind in (*HARMONIES, "monochrome")
        },
    }


def export(palette: Palette, kind: str, title: str = "Palette") -> bytes:
    """The palette as a file of one of EXPORTS."""
    if kind == "css":
        lines = [f"  --{one.name.replace(' ', '-')}: {one.hex};" for one in palette]
        return "\n".join([":root {", *lines, "}", ""]).encode()
    if kind == "gpl":
        rows = [f"{one.rgb[0]:3d} {one.rgb[1]:3d} {one.rgb[2]:3d}\t{one.name}" for one in palette]
        head = ["GIMP Palette", f"Name: {' '.join(title.split())}", "Columns: 0", "#"]
        return "\n".join([*head, *rows, ""]).encode()
    if kind == "ase":
        blocks = b"".join(_ase_block(one) for one in palette)
        return b"ASEF" + struct.pack(">HHI", 1, 0, len(palette)) + blocks
    if kind == "png":
        data = io.BytesIO()
        swatch_picture(palette).save(data, "PNG")
        return data.getvalue()
    return json.dumps(describe(palette, title), ensure_ascii=False, indent=1).encode()


def _ase_block(swatch: Swatch) -> bytes:
    """A colour entry of an Adobe Swatch Exchange file: its name in UTF-16 with a closing zero, RGB as floats."""
    name = swatch.name.encode("utf-16-be") + b"\0\0"
    body = struct.pack(">H", len(name) // 2) + name + b"RGB "
    body += struct.pack(
        ">fffH", *(value / 255 for value in swatch.rgb), 2
    )  # 2: a plain colour, neither global nor spot
    return struct.pack(">HI", 1, len(body)) + body


def swatch_picture(palette: Palette, width: int = 960, height: int = 320) -> Image.Image:
    """The colours side by side with their names, in the colour that reads best on each."""
    picture = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(11, min(20, width // (len(palette) * 9))))
    for at, one in enumerate(palette):
        left, right = at * width // len(palette), (at + 1) * width // len(palette)
        draw.rectangle((left, 0, right - 1, height), fill=one.rgb)
        ink = max(((0, 0, 0), (255, 255, 255)), key=lambda tried, ground=one.rgb: contrast(tried, ground))
        lines = [one.hex, *one.name.split(), f"{one.share:.0%}" if one.share else ""]
        draw.multiline_text((left + 10, height - 12), "\n".join(lines), fill=ink, font=font, anchor="ld")
    return picture
