"""The second pass: what it asks for, and the enlarged picture that it begins with."""

import math

from PIL import Image

from studio.design.upscaling import upscale
from studio.errors import InvalidInput
from studio.types import Request

USUAL_STRENGTH = 0.4
MOST = 36_000_000  # pixels


def second_pass(request: Request, size: tuple[int, int], unit: int) -> Request | None:
    """The request for the larger picture of a take whose size is given, to be begun with that take; None for none.

    InvalidInput where the picture would be too large.
    """
    scale = float(str(request.params.get("hires_scale") or 1))
    if scale <= 1:
        return None
    width, height = (max(unit, round(side * scale / unit) * unit) for side in size)
    if width * height > MOST:
        raise InvalidInput(
            f"The second pass would make {width} x {height} pixels.", "Make it less large.", field="hires_scale"
        )
    given = request.params.get("hires_strength")
    return request.replace(task="image_to_image").with_params(
        width=width,
        height=height,
        strength=USUAL_STRENGTH if given is None else given,
        num_inference_steps=request.params.get("hires_steps") or request.params.get("num_inference_steps"),
    )


def enlarged(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """RGB at `size`, which is no smaller than the picture."""
    factor = max(2, math.ceil(max(size[0] / picture.width, size[1] / picture.height)))
    return upscale(picture, factor).resize(size, Image.Resampling.LANCZOS)
