"""Pictures that the tests of data sets draw themselves: each seed another one, with shapes that a hash can see."""

import io
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter


def picture(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """A picture of a few coloured shapes on a slope of two colours, the same for the same seed."""
    chance = random.Random(seed)
    ground = Image.new("RGB", (2, 2))
    ground.putdata([_colour(chance) for _ in range(4)])
    image = ground.resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = chance.randrange(width), chance.randrange(height)
        size = chance.randrange(min(width, height) // 8, min(width, height) // 2)
        shape = pen.ellipse if chance.random() < 0.5 else pen.rectangle
        shape((x - size // 2, y - size // 2, x + size // 2, y + size // 2), fill=_colour(chance))
    return image.filter(ImageFilter.GaussianBlur(width / 256))


def save(folder: Path, name: str, image: Image.Image, **how: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    image.save(path, **how)  # type: ignore[arg-type]
    return path


def encoded(image: Image.Image, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, format)
    return stream.getvalue()


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)
