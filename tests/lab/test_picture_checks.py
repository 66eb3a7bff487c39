"""Each fault that a picture can have, drawn here: found, told, mended, and nothing of the person left in the copy."""

import io
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from studio.lab.items import Cleaned, too_small
from studio.lab.picture_checks import LONGEST, clean_picture
from tests.lab.drawn import encoded, picture


def clean(data: bytes, folder: Path, name: str = "a.png") -> Cleaned:
    (found,) = clean_picture(data, name, folder)
    return found


def opened(found: Cleaned) -> Image.Image:
    assert found.file is not None
    with Image.open(found.file) as copy:
        copy.load()
        assert copy.mode == "RGB"
        assert copy.size == (found.width, found.height)
        return copy


def kinds(found: Cleaned) -> list[str]:
    return [problem.kind for problem in found.problems]


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_plain_picture_is_copied_byte_for_byte(tmp_path: Path, format: str) -> None:
    data = encoded(picture(1), format)
    found = clean(data, tmp_path)
    assert found.problems == () and found.file is not None
    assert found.file.read_bytes() == data
    assert found.sha256 == found.source_sha256


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_sideways_photo_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = picture(2, 96, 64)
    # the transposition that a camera's position stands for, undone
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    upright.transpose(Image.Transpose(back)).save(stream, "JPEG", quality=95, exif=exif)
    found = clean(stream.getvalue(), tmp_path, "a.jpg")
    assert kinds(found) == ["rotated"] and found.problems[0].mended
    difference = np.abs(np.asarray(opened(found), int) - np.asarray(upright, int))
    assert difference.mean() < 6


def test_where_and_when_a_photo_was_taken_does_not_stay(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "MyCamera"
    exif.get_ifd(0x8825)[1] = "N"
    stream = io.BytesIO()
    picture(3).save(stream, "JPEG", exif=exif, comment=b"at home")
    found = clean(stream.getvalue(), tmp_path, "a.jpg")
    assert found.problems == () and found.file is not None
    copy = found.file.read_bytes()
    assert b"MyCamera" not in copy and b"Exif" not in copy and b"at home" not in copy
    assert np.array_equal(np.asarray(opened(found)), np.asarray(Image.open(io.BytesIO(stream.getvalue()))))


def test_transparent_parts_are_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((10, 10, 29, 29), fill=(0, 0, 255, 255))
    found = clean(encoded(image), tmp_path)
    assert kinds(found) == ["alpha"]
    assert opened(found).getpixel((0, 0)) == (255, 255, 255)
    assert opened(found).getpixel((20, 20)) == (0, 0, 255)


def test_a_palette_with_a_clear_colour_too(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 255, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    stream = io.BytesIO()
    image.save(stream, "PNG", transparency=0)
    found = clean(stream.getvalue(), tmp_path)
    assert kinds(found) == ["alpha"]
    assert opened(found).getpixel((0, 0)) == (255, 255, 255) and opened(found).getpixel((5, 5)) == (10, 20, 30)


def test_an_opaque_alpha_channel_is_no_problem(tmp_path: Path) -> None:
    found = clean(encoded(picture(4).convert("RGBA")), tmp_path)
    assert found.problems == ()
    assert np.array_equal(np.asarray(opened(found)), np.asarray(picture(4)))


def test_a_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))  # any profile that is no sRGB and of other channels
    stream = io.BytesIO()
    picture(5).save(stream, "PNG", icc_profile=lab.tobytes())
    assert clean(stream.getvalue(), tmp_path).problems == ()  # not for RGB: taken as sRGB

    stream = io.BytesIO()
    picture(5).save(stream, "PNG", icc_profile=_swapped_profile())
    found = clean(stream.getvalue(), tmp_path)
    assert kinds(found) == ["profile"] and "sRGB" in found.problems[0].how
    red, _, blue = np.asarray(opened(found), int).transpose(2, 0, 1)
    was_red, _, was_blue = np.asarray(picture(5), int).transpose(2, 0, 1)
    assert np.abs(red - was_blue).mean() < 8 and np.abs(blue - was_red).mean() < 8


def _swapped_profile() -> bytes:
    """The sRGB profile with red and blue exchanged, so that its effect is plain to see."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data = bytearray(bytes(data).replace("sRGB".encode("utf-16-be"), "ours".encode("utf-16-be")))
    for place in range(132, 132 + 12 * int.from_bytes(data[128:132]), 12):
        tag = bytes(data[place : place + 4])
        data[place : place + 4] = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}.get(tag, tag)
    return bytes(data)


def test_a_damaged_profile_is_told(tmp_path: Path) -> None:
    stream = io.BytesIO()
    picture(5).save(stream, "PNG", icc_profile=b"\0" * 200)
    found = clean(stream.getvalue(), tmp_path)
    assert kinds(found) == ["profile"]
    assert np.array_equal(np.asarray(opened(found)), np.asarray(picture(5)))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_is_taken(tmp_path: Path, format: str) -> None:
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, format, save_all=True, append_images=frames[1:])
    found = clean(stream.getvalue(), tmp_path, f"a.{format.lower()}")
    assert kinds(found) == ["animated"] and "3" in found.problems[0].sentence
    pixel = opened(found).getpixel((5, 5))
    assert isinstance(pixel, tuple) and pixel[0] > 250 and pixel[1] < 5


def test_printing_colours_become_rgb(tmp_path: Path) -> None:
    found = clean(encoded(picture(6).convert("CMYK"), "JPEG"), tmp_path, "a.jpg")
    assert kinds(found) == ["cmyk"]
    assert np.abs(np.asarray(opened(found), int) - np.asarray(picture(6), int)).mean() < 20


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    found = clean(encoded(Image.fromarray(values)), tmp_path)
    assert kinds(found) == ["depth"]
    grey = np.asarray(opened(found))[:, :, 0]
    assert np.abs(grey.astype(float) - values / 257).max() <= 1


def test_sixteen_bit_colours_are_told(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + struct.pack(">3H", 65535, 0, 32768) * 16 for _ in range(16))
    found = clean(_png(16, 16, 16, rows), tmp_path)
    assert kinds(found) == ["depth"]
    assert opened(found).getpixel((3, 3)) == (255, 0, 128)


def _png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">2I5B", width, height, bits, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    found = clean(_png(50_000, 50_000, 8, b""), tmp_path)
    assert kinds(found) == ["too_large"] and found.file is None
    found = clean(_png(10_000, 9_000, 8, b""), tmp_path)
    assert kinds(found) == ["too_large"] and found.file is None


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_picture_cut_off_is_left_out(tmp_path: Path, format: str, share: float) -> None:
    data = encoded(picture(7, 128, 128), format)
    found = clean(data[: int(len(data) * share)], tmp_path)
    assert kinds(found) in (["truncated"], ["unreadable"]) and found.file is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"hello, this is no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\0" * 99])
def test_what_is_no_picture_is_left_out(tmp_path: Path, data: bytes) -> None:
    found = clean(data, tmp_path, "a.jpg")
    assert found.file is None and len(found.problems) == 1


def test_an_empty_file_and_a_heic_say_what_they_are(tmp_path: Path) -> None:
    assert kinds(clean(b"", tmp_path)) == ["empty"]
    assert "JPEG" in clean(b"\0\0\0\x18ftypheic" + b"\0" * 50, tmp_path).problems[0].sentence


@pytest.mark.filterwarnings("ignore")  # Pillow's own about damaged metadata
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_random_damage_is_told_and_never_raised(tmp_path: Path, format: str) -> None:
    chance = random.Random(7)
    whole = encoded(picture(1), format)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 3, 20))):
            place = chance.randrange(min(len(data), chance.choice((40, 400, 10**6))))
            data[place : place + chance.randrange(2)] = chance.randbytes(chance.randrange(3))
        found = clean(bytes(data), tmp_path)
        assert found.file is not None or found.problems


@pytest.mark.parametrize("format", ["PNG", "JPEG"])
def test_a_large_picture_is_copied_smaller(tmp_path: Path, format: str) -> None:
    found = clean(encoded(picture(8, 4000, 1000), format), tmp_path)
    assert kinds(found) == ["shrunk"]
    assert opened(found).size == (LONGEST, LONGEST // 4)


def test_grey_becomes_rgb_without_a_word(tmp_path: Path) -> None:
    found = clean(encoded(picture(9).convert("L")), tmp_path)
    assert found.problems == () and opened(found).mode == "RGB"


def test_lossless_stays_lossless(tmp_path: Path) -> None:
    stream = io.BytesIO()
    picture(10).save(stream, "WEBP", lossless=True)
    found = clean(stream.getvalue(), tmp_path, "a.webp")
    assert found.suffix == ".png"
    assert np.array_equal(np.asarray(opened(found)), np.asarray(picture(10)))


def test_too_small_depends_on_the_size_asked_for() -> None:
    assert too_small(64, 300, 64) is None
    problem = too_small(64, 300, 128)
    assert problem is not None and not problem.mended
