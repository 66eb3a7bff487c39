"""Pictures as SVG: few colours, smooth paths with few nodes (vtracer), nothing in the file but shapes; and how close
it is to its source.
"""

import html
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import vtracer
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  (it comes without types)
from PIL import Image, ImageDraw
from scipy.ndimage import median_filter, uniform_filter

from studio.design.colours import Palette, palette_of
from studio.design.oklab import oklab
from studio.errors import InvalidInput

DETAIL = {"poster": (8, 5.0), "clean": (4, 4.0), "fine": (2, 3.5)}  # smallest blot in pixels a side; shortest segment
MAX_SIDE = 1024  # pixels; a larger picture is traced smaller, as its outlines are smooth all the same
SVG = "http://www.w3.org/2000/svg"
FINE_SIDE = 512  # pixels to which a smaller picture is enlarged by whole numbers, four times at most
_SHAPES = {"svg": {"width", "height", "viewBox", "version"}, "title": set(), "g": set(), "path": {"d", "fill"}}
_PATH = re.compile(r'<path d="([^"]*)" fill="(#[0-9A-Fa-f]{6})" transform="translate\((-?[\d.]+),(-?[\d.]+)\)"')
_TOKEN = re.compile(r"[MLCZ]|-?[\d.]+(?:e-?\d+)?")
_FLAT = 8  # straight pieces by which a curve is drawn

Node = tuple[str, tuple[float, ...]]


@dataclass(frozen=True)
class Shape:
    fill: str
    nodes: tuple[Node, ...]  # M, L, C with absolute points, Z


@dataclass(frozen=True)
class Drawing:
    width: int
    height: int
    shapes: tuple[Shape, ...]  # the lowest first

    @property
    def nodes(self) -> int:
        return sum(kind != "Z" for shape in self.shapes for kind, _ in shape.nodes)


def vectorise(picture: Image.Image, colours: int = 8, detail: str = "clean", palette: Palette | None = None) -> Drawing:
    """The picture in so many colours (2 to 64), or in those of `palette`, as filled shapes laid over one another.

    What is transparent stays empty. InvalidInput for a picture that is transparent throughout.
    """
    small = picture.convert("RGBA")
    if max(small.size) > MAX_SIDE:
        small.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    chosen = palette or palette_of(small, colours)
    most = min(4, FINE_SIDE // max(small.size))
    if most < 2:
        return scaled(smoothed(small, chosen, 1, detail), picture.size)
    pixels = traced(flattened(small, chosen), "none", 0, 3.5).nodes
    tried: list[Drawing] = []
    for times, how in ((most, detail), (2, detail), (1, detail), (1, "poster")):
        tried.append(smoothed(small, chosen, times, how))
        if tried[-1].nodes <= pixels / 2:  # finer outlines where they are worth their nodes
            break
    else:
        tried.sort(key=lambda drawing: -drawing.nodes)
    return scaled(tried[-1], picture.size)


def smoothed(picture: Image.Image, palette: Palette, times: int, detail: str) -> Drawing:
    """Traced between the pixels of a picture that is enlarged so many times."""
    speckle, segment = DETAIL[detail]
    large = picture.resize((picture.width * times, picture.height * times), Image.Resampling.BICUBIC)
    return traced(flattened(large, palette, 2 * times + 1), "spline", speckle * times, min(10.0, segment * times))


def naive(picture: Image.Image, colours: int = 8) -> Drawing:
    """The same colours, outlined pixel by pixel: what a trace is measured against."""
    small = picture.convert("RGBA")
    if max(small.size) > MAX_SIDE:
        small.thumbnail((MAX_SIDE, MAX_SIDE), Image.Resampling.LANCZOS)
    return scaled(traced(flattened(small, palette_of(small, colours)), "none", 0, 3.5), picture.size)


def flattened(picture: Image.Image, palette: Palette, smooth: int = 0) -> Image.Image:
    """The picture in the palette's colours alone; `smooth`: within so many pixels a side neighbours vote for
    each, so that no rim of mixed colours stays between two shapes; 0: none do.
    """
    lab = oklab(np.asarray(picture.convert("RGB"), np.float64) / 255)
    centres = np.array([oklab(np.array(one.rgb) / 255) for one in palette])
    if smooth:
        lab = median_filter(lab, size=(3, 3, 1))
    squares = np.stack([((lab - centre) ** 2).sum(-1) for centre in centres])
    if smooth:
        squares = np.stack([uniform_filter(one, smooth) for one in squares])
    rgb = np.array([one.rgb for one in palette], np.uint8)[squares.argmin(0)]
    seen = np.where(np.asarray(picture.getchannel("A")) > 127, 255, 0).astype(np.uint8)
    return Image.fromarray(np.dstack([rgb, seen]))


def traced(picture: Image.Image, mode: str, speckle: int, segment: float) -> Drawing:
    data = io.BytesIO()
    picture.save(data, "PNG")
    svg = vtracer.convert_raw_image_to_svg(
        data.getvalue(),
        img_format="png",
        colormode="color",
        hierarchical="stacked",
        mode=mode,
        filter_speckle=speckle,
        color_precision=8,
        layer_difference=0,
        corner_threshold=60,
        length_threshold=segment,
        splice_threshold=45,
        path_precision=2,
    )
    shapes = [Shape(fill.lower(), tuple(_nodes(data, float(x), float(y)))) for data, fill, x, y in _PATH.findall(svg)]
    return Drawing(*picture.size, tuple(shape for shape in shapes if shape.nodes))


def _nodes(data: str, x: float, y: float) -> Iterator[Node]:
    tokens = _TOKEN.findall(data)
    at, kind = 0, "M"
    while at < len(tokens):
        if tokens[at] in "MLCZ":
            kind = tokens[at]
            at += 1
        if kind == "Z":
            yield "Z", ()
            continue
        size = 6 if kind == "C" else 2
        values = [float(value) for value in tokens[at : at + size]]
        if len(values) != size:
            raise ValueError("a path ends in the middle")
        yield kind, tuple(value + (y if odd % 2 else x) for odd, value in enumerate(values))
        at += size


def scaled(drawing: Drawing, size: tuple[int, int]) -> Drawing:
    across, down = size[0] / drawing.width, size[1] / drawing.height
    if across == down == 1:
        return drawing
    shapes = [
        Shape(
            shape.fill,
            tuple(
                (kind, tuple(v * (down if odd % 2 else across) for odd, v in enumerate(p))) for kind, p in shape.nodes
            ),
        )
        for shape in drawing.shapes
    ]
    return Drawing(*size, tuple(shapes))


def svg_of(drawing: Drawing, title: str = "") -> str:
    """The drawing as an SVG 1.1 file of paths and a title: no script, style, link or picture."""
    head = f'<svg xmlns="{SVG}" version="1.1" width="{drawing.width}" height="{drawing.height}" '
    lines = [f'{head}viewBox="0 0 {drawing.width} {drawing.height}">']
    if title:
        lines.append(f"<title>{html.escape(printable(title))}</title>")
    lines += [f'<path fill="{shape.fill}" d="{_data(shape.nodes)}"/>' for shape in drawing.shapes]
    return "\n".join([*lines, "</svg>", ""])


def read_svg(svg: str) -> Drawing:
    """A drawing of `svg_of` again. InvalidInput for what is none, or holds more than shapes."""
    check_inert(svg)
    root = etree.fromstring(svg.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    try:
        size = (int(root.get("width") or 0), int(root.get("height") or 0))
        paths = [(path.get("fill") or "#000000", path.get("d") or "") for path in root.iter(f"{{{SVG}}}path")]
        shapes = tuple(Shape(fill, tuple(_nodes(data, 0, 0))) for fill, data in paths)
    except (ValueError, IndexError) as error:
        raise InvalidInput("The SVG was not drawn here.", "Trace its picture instead.") from error
    if min(size) < 1:
        raise InvalidInput("The SVG has no size in pixels.", "Trace its picture instead.")
    return Drawing(*size, shapes)


def printable(text: str) -> str:
    """Without the signs that XML forbids."""
    return "".join(sign for sign in text if sign in "\t\n" or (sign >= " " and not "\ud800" <= sign <= "\udfff"))


def _data(nodes: Sequence[Node]) -> str:
    return "".join(kind + " ".join(f"{value:.1f}".removesuffix(".0") for value in points) for kind, points in nodes)


def check_inert(svg: str) -> None:
    """InvalidInput when an SVG text holds anything but shapes: scripts, events, styles, links, pictures, entities."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(svg.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise InvalidInput(f"The SVG cannot be read: {error}.", "Trace the picture again.") from error
    if root.getroottree().docinfo.doctype:
        raise InvalidInput("The SVG declares a document type.", "Only plain shapes are kept.")
    for element in root.iter():
        name = etree.QName(element) if isinstance(element.tag, str) else None
        if name is None or name.namespace != SVG or name.localname not in _SHAPES:
            raise InvalidInput(f"The SVG holds {str(element.tag)[:60]!r}.", "Only plain shapes are kept.")
        if wrong := sorted(set(element.attrib) - _SHAPES[name.localname]):
            raise InvalidInput(f"The SVG has the attribute {wrong[0][:60]!r}.", "Only plain shapes are kept.")


def rasterised(drawing: Drawing, size: tuple[int, int] | None = None, fine: int = 3) -> Image.Image:
    """The drawing as pixels in RGBA, each of `fine` x `fine` samples."""
    width, height = size or (drawing.width, drawing.height)
    across, down = width * fine / drawing.width, height * fine / drawing.height
    picture = Image.new("RGBA", (width * fine, height * fine))
    for shape in drawing.shapes:
        rings = [[(x * across, y * down) for x, y in ring] for ring in _rings(shape.nodes)]
        if len(rings) == 1:
            ImageDraw.Draw(picture).polygon(rings[0], fill=shape.fill)
            continue
        inside = np.zeros((height * fine, width * fine), bool)
        for ring in rings:  # even-odd, as one ring in another is a hole
            mask = Image.new("1", picture.size)
            ImageDraw.Draw(mask).polygon(ring, fill=1)
            inside ^= np.asarray(mask)
        picture.paste(shape.fill, mask=Image.fromarray((inside * 255).astype(np.uint8)))
    return picture.resize((width, height), Image.Resampling.BOX)


def _rings(nodes: Sequence[Node]) -> list[list[tuple[float, float]]]:
    rings: list[list[tuple[float, float]]] = []
    for kind, p in nodes:
        if kind == "M":
            rings.append([(p[0], p[1])])
        elif kind == "L":
            rings[-1].append((p[0], p[1]))
        elif kind == "C":
            x, y = rings[-1][-1]
            for step in range(1, _FLAT + 1):
                t = step / _FLAT
                a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
                rings[-1].append((a * x + b * p[0] + c * p[2] + d * p[4], a * y + b * p[1] + c * p[3] + d * p[5]))
    return [ring for ring in rings if len(ring) > 2]


def likeness(drawing: Drawing, source: Image.Image, side: int = 256) -> float:
    """Structural similarity (Wang et al., 2004) of drawing and source on white at `side` pixels, -1 to 1."""
    size = (
        max(8, round(source.width * side / max(source.size))),
        max(8, round(source.height * side / max(source.size))),
    )
    drawn, given = rasterised(drawing, size), source.convert("RGBA").resize(size, Image.Resampling.LANCZOS)
    one, other = (
        np.asarray(Image.alpha_composite(Image.new("RGBA", size, "white"), p).convert("L"), float)
        for p in (drawn, given)
    )
    return float(similarity(one, other).mean())


def similarity(one: np.ndarray, other: np.ndarray, window: int = 7) -> np.ndarray:
    """The map of structural similarity of two pictures of greys 0 to 255."""
    mean_one, mean_other = uniform_filter(one, window), uniform_filter(other, window)
    var_one = uniform_filter(one**2, window) - mean_one**2
    var_other = uniform_filter(other**2, window) - mean_other**2
    both = uniform_filter(one * other, window) - mean_one * mean_other
    light, shape = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_one * mean_other + light) * (2 * both + shape)
    return top / ((mean_one**2 + mean_other**2 + light) * (var_one + var_other + shape))
