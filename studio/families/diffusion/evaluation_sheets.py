"""The contact sheets of an evaluation: pictures side by side, with what was told of them."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

TILE = 160  # pixels of a picture on a sheet
COLUMNS = 6
MOST = 48  # pictures on a sheet


def contact_sheet(pictures: Sequence[Image.Image], labels: Sequence[str] = (), columns: int = COLUMNS) -> Image.Image:
    """The first pictures side by side, each with its label below where there are labels."""
    some = pictures[:MOST]
    below = 16 if any(labels) else 0
    across = min(columns, max(len(some), 1))
    whole = Image.new("RGB", (across * TILE, -(-len(some) // across) * (TILE + below)), "white")
    draw = ImageDraw.Draw(whole)
    for k, picture in enumerate(some):
        left, top = k % across * TILE, k // across * (TILE + below)
        whole.paste(picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (left, top))
        if below:
            draw.text((left + 4, top + TILE + 1), labels[k] or "-", fill="black")
    return whole


def pairs_sheet(pairs: Sequence[tuple[Image.Image, Image.Image]], labels: Sequence[str]) -> Image.Image:
    """Made and nearest real pictures, two and two; a label under each made one."""
    flat = [picture for pair in pairs for picture in pair]
    words = [word for label in labels for word in (f"made, {label}", "nearest of yours")]
    return contact_sheet(flat, words)
