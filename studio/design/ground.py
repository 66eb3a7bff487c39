"""Transparent pictures laid on a ground, for formats and measures that know no transparency. Pillow alone."""

from PIL import Image


def opaque(picture: Image.Image, ground: str = "white") -> Image.Image:
    """In RGB, what is transparent on `ground`."""
    if "transparency" in picture.info:  # of a palette, or one colour that is told to be it
        picture = picture.convert("RGBA")
    if "A" not in picture.getbands():
        return picture.convert("RGB")
    whole = Image.new("RGB", picture.size, ground)
    whole.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return whole
