"""Reading a person's own file safely: what it really is, how large it would be, and a clean copy without surprises."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from studio.errors import InvalidInput

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
NAMES = (".png", ".jpg", ".jpeg", ".jpe", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def read_picture(file: Path, name: str = "") -> Image.Image:
    """The picture upright and in RGB, RGBA or L. InvalidInput when it is empty, damaged, too large or no picture."""
    name = name or file.name
    size = file.stat().st_size
    if size == 0:
        raise InvalidInput(f"{name} is empty (0 bytes).", "Choose another file.")
    if size > MAX_BYTES:
        raise InvalidInput(f"{name} has {size / 2**20:.0f} MB.", f"At most {MAX_BYTES // 2**20} MB can be read.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > MAX_PIXELS:
                    raise InvalidInput(
                        f"{name} has {width} x {height} pixels.",
                        f"At most {MAX_PIXELS // 10**6} million pixels can be read; make it smaller.",
                    )
                opened.load()
                upright = ImageOps.exif_transpose(opened)
    except Image.DecompressionBombError as error:
        raise InvalidInput(
            f"{name} has too many pixels.",
            f"At most {MAX_PIXELS // 10**6} million pixels can be read; make it smaller.",
        ) from error
    except UnidentifiedImageError as error:
        raise InvalidInput(f"{name} is not a picture that can be read.", "Use PNG, JPEG or WebP.") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        raise InvalidInput(f"{name} is damaged or cut off.", "Save it again in the program it comes from.") from error
    if upright.mode in ("RGB", "RGBA", "L"):
        return upright
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        return _of_eight_bits(upright)
    return upright.convert("RGBA" if "transparency" in upright.info or upright.mode in ("LA", "PA") else "RGB")


def is_picture(file: Path, name: str) -> bool:
    """Whether it is meant as a picture, by its name or its first bytes; it may be damaged all the same."""
    if Path(name).suffix.lower() in NAMES:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS):
                return True
    except Image.DecompressionBombError:
        return True
    except (OSError, SyntaxError, ValueError, EOFError):
        return False


def _of_eight_bits(picture: Image.Image) -> Image.Image:
    """Greys of 16 or 32 bits as L: 16 bits from their whole range, 8 as they are, others from their least to most."""
    greys = np.nan_to_num(np.asarray(picture, np.float64))
    least, most = float(greys.min()), float(greys.max())
    if picture.mode.startswith("I;16") or (picture.mode == "I" and 255 < most <= 65535 and least >= 0):
        greys = greys / 257
    elif least < 0 or most > 255 or (picture.mode == "F" and most <= 1):
        greys = (greys - least) / max(most - least, 1e-9) * 255
    return Image.fromarray(np.rint(greys).astype(np.uint8))


def clean_copy(file: Path, target: Path, name: str = "") -> Image.Image:
    """Writes the picture to `target` as a PNG of pixels alone and returns it."""
    picture = read_picture(file, name)
    picture.info.clear()
    picture.save(target, format="PNG", compress_level=3)
    return picture
