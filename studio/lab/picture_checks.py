"""One picture of a training set: what is wrong with it, and a standardised copy - upright, RGB, sRGB, one frame.

It knows the bytes of one file. It does not know the other pictures, the captions, or which model will be trained.
What is already standard is copied as it is, without its metadata; JPEG stays JPEG, everything lossless becomes PNG.
"""

import hashlib
import io
import re
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from studio.lab.duplicates import picture_look
from studio.lab.items import Cleaned, Problem

SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")  # JPEG opens MPO as well
LONGEST = 1536  # pixels of a copy's longest side: more than the largest bucket of today's base models
MOST_PIXELS = 89_478_485  # Pillow's own bound, 256 MiB of RGB: larger pictures are refused by their header alone
QUALITY = 95

_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored"),
    3: (Image.Transpose.ROTATE_180, "upside down"),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, "mirrored and upside down"),
    5: (Image.Transpose.TRANSPOSE, "mirrored and sideways"),
    6: (Image.Transpose.ROTATE_270, "sideways"),
    7: (Image.Transpose.TRANSVERSE, "mirrored and sideways"),
    8: (Image.Transpose.ROTATE_90, "sideways"),
}
# what Pillow raises for damaged files, by trial with random bytes in all formats
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    IndexError,
    KeyError,
    TypeError,
    RuntimeError,
    MemoryError,
)
# what Pillow reports of a PNG file that holds pixels and nothing personal
_PLAIN = frozenset(("dpi", "gamma", "srgb", "chromaticity", "interlace", "aspect"))


def clean_picture(data: bytes, name: str, folder: Path) -> tuple[Cleaned, ...]:
    """The checked picture as one `Cleaned`, its copy in `folder`; without a copy when nothing can be read. OSError."""
    found = Cleaned(name=name, source_sha256=hashlib.sha256(data).hexdigest())
    if not data:
        return (_refused(found, "empty", f"{name} is empty (0 bytes)."),)
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc"):
        return (_refused(found, "unreadable", f"{name} is a HEIC photo, which cannot be read; export it as JPEG."),)
    problems: list[Problem] = []
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            width, height = opened.size
            if width * height > MOST_PIXELS:
                return (_refused(found, "too_large", f"{name} has {width} x {height} pixels, too many to read."),)
            opened.draft(None, (LONGEST, LONGEST))  # a JPEG far larger than needed is decoded smaller
            opened.load()
            picture = _upright(opened, problems)
            picture = _one_frame(opened, picture, problems)
            picture = _rgb(picture, opened, data, problems)
            picture = _limited(picture, (width, height), problems)
            suffix, copy = _encoded(picture, opened, data, untouched=not problems)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return (_refused(found, "too_large", f"{name} claims more pixels than can be read safely."),)
    except UnidentifiedImageError:
        return (_refused(found, "unreadable", f"{name} is not a picture that can be read."),)
    except _DAMAGED:
        return (_refused(found, "truncated", f"{name} is damaged or cut off before its end."),)
    sha256 = hashlib.sha256(copy).hexdigest()
    file = folder / f"{found.source_sha256}{suffix}"
    file.write_bytes(copy)
    done = replace(found, file=file, sha256=sha256, suffix=suffix, width=picture.width, height=picture.height)
    return (replace(done, look=picture_look(picture), problems=tuple(problems)),)


def _refused(found: Cleaned, kind: str, sentence: str) -> Cleaned:
    return replace(found, problems=(Problem(kind=kind, sentence=sentence, how="Left out."),))


def _upright(opened: Image.Image, problems: list[Problem]) -> Image.Image:
    try:
        orientation = opened.getexif().get(_ORIENTATION, 1)
    except (SyntaxError, ValueError, KeyError, TypeError, struct.error, OSError):
        return opened  # damaged EXIF says nothing about the pixels
    if orientation not in _UPRIGHT:
        return opened
    turn, how_it_lay = _UPRIGHT[orientation]
    problems.append(
        Problem(kind="rotated", sentence=f"The photo was stored {how_it_lay}.", mended=True, how="Turned upright.")
    )
    return opened.transpose(turn)


def _one_frame(opened: Image.Image, picture: Image.Image, problems: list[Problem]) -> Image.Image:
    frames = getattr(opened, "n_frames", 1)  # only formats that can hold several declare it
    if frames > 1 and opened.format != "MPO":  # MPO: a camera's JPEG with a preview behind it
        what = "pages" if opened.format == "TIFF" else "moving frames"
        problems.append(
            Problem(kind="animated", sentence=f"It holds {frames} {what}.", mended=True, how="The first was taken.")
        )
    return picture


def _rgb(picture: Image.Image, opened: Image.Image, data: bytes, problems: list[Problem]) -> Image.Image:
    """8-bit RGB in sRGB on white."""
    deep = opened.format == "PNG" and data[24:25] == b"\x10"  # the bit depth in the header chunk
    if picture.mode.startswith("I") or picture.mode == "F":
        picture, deep = _eight_bit(picture), True
    if deep:
        how = "Reduced to 8 bits."
        problems.append(Problem(kind="depth", sentence="It has 16 or more bits a colour.", mended=True, how=how))
    if picture.mode == "CMYK":
        how = "Converted to RGB."
        problems.append(Problem(kind="cmyk", sentence="It is in printing colours.", mended=True, how=how))
    clear = "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    alpha = None
    if clear:
        alpha = picture.convert("RGBA").getchannel("A")
        picture = picture.convert("RGBA").convert("RGB")
    elif picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    picture = _srgb(picture, opened.info.get("icc_profile"), problems)
    if alpha is not None and int(np.asarray(alpha).min()) < 255:
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=alpha)
        picture = white
        how = "Laid on white."
        problems.append(Problem(kind="alpha", sentence="Parts of it are transparent.", mended=True, how=how))
    return picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Integers of 16 bits by their range, all else from its darkest to its brightest value, as 8-bit grey."""
    values = np.asarray(picture).astype(np.float64)
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if picture.mode.startswith("I;16") or (picture.mode == "I" and low >= 0 and 255 < high <= 65535):
        low, high = 0.0, 65535.0
    scaled = (values - low) * (255.0 / max(high - low, 1e-12))
    return Image.fromarray(np.clip(np.round(scaled), 0, 255).astype(np.uint8))


def _srgb(picture: Image.Image, icc: bytes | None, problems: list[Problem]) -> Image.Image:
    """The pixels in sRGB. A profile that cannot be read, or belongs to other channels, is not applied."""
    if not icc:
        return picture.convert("RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        name = ImageCms.getProfileDescription(profile).strip()
        if "srgb" in name.lower():
            return picture.convert("RGB")
        channels = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get(icc[16:20])  # in the profile's header
        if channels != picture.mode:
            return picture.convert("RGB")
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, profile, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        how = "Taken as sRGB, as most programs do."
        problems.append(Problem(kind="profile", sentence="Its colour profile is damaged.", mended=True, how=how))
        return picture.convert("RGB")
    how = "Converted to sRGB."
    problems.append(Problem(kind="profile", sentence=f"Its colours are in {name}.", mended=True, how=how))
    return converted or picture.convert("RGB")


def _limited(picture: Image.Image, original: tuple[int, int], problems: list[Problem]) -> Image.Image:
    if max(original) <= LONGEST:
        return picture
    smaller = picture.copy()
    smaller.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    how = f"The copy has {smaller.width} x {smaller.height}."
    sentence = f"It has {original[0]} x {original[1]} pixels, more than training uses."
    problems.append(Problem(kind="shrunk", sentence=sentence, mended=True, how=how))
    return smaller


def _encoded(picture: Image.Image, opened: Image.Image, data: bytes, untouched: bool) -> tuple[str, bytes]:
    """(suffix, bytes) of the copy: pixels alone, without place, time or camera."""
    if untouched and opened.mode == "RGB" and opened.format in ("JPEG", "MPO"):
        return ".jpg", _bare_jpeg(data)
    if untouched and opened.mode == "RGB" and opened.format == "PNG" and set(opened.info) <= _PLAIN:
        return ".png", data
    stream = io.BytesIO()
    picture.info.clear()
    if opened.format in ("JPEG", "MPO", "AVIF") or (opened.format == "WEBP" and b"VP8L" not in data[:64]):
        picture.save(stream, "JPEG", quality=QUALITY, subsampling=0)
        return ".jpg", stream.getvalue()
    picture.save(stream, "PNG", compress_level=3)
    return ".png", stream.getvalue()


def _bare_jpeg(data: bytes) -> bytes:
    """The same JPEG without comments, application segments (but JFIF's and Adobe's) and what follows its end."""
    kept, place = [data[:2]], 2
    while place + 4 <= len(data):
        marker, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker == 0xD9:  # end of image
            break
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        segment = data[place : place + 2 + size]
        place += 2 + size
        if not (0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)):
            kept.append(segment)
        if marker == 0xDA:  # a scan follows, up to the next marker that is no restart and no stuffed byte
            end = _SCAN_END.search(data, place)
            stop = end.start() if end else len(data)
            kept.append(data[place:stop])
            place = stop
    return b"".join((*kept, b"\xff\xd9"))


_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
