"""Buckets cover the aspect ratios within their area; the crop keeps what has detail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from studio.lab.crops import bucket_sizes, buckets_of, nearest_bucket, shapes_told, subject_box
from tests.lab.drawn import picture


@given(st.integers(64, 1536), st.sampled_from([8, 16, 64]))
def test_buckets_stay_within_the_area(side: int, multiple: int) -> None:
    buckets = bucket_sizes(side, multiple)
    assert buckets[0][0] == buckets[0][1]
    for width, height in buckets:
        assert width % multiple == height % multiple == 0
        assert width * height <= side * side and max(width / height, height / width) <= 2
        assert (height, width) in buckets


def test_the_nearest_bucket() -> None:
    buckets = bucket_sizes(512)
    assert nearest_bucket(1000, 1000, buckets) == (512, 512)
    width, height = nearest_bucket(1600, 900, buckets)
    assert width > height


def test_each_picture_goes_to_the_bucket_of_its_shape() -> None:
    sizes = [(1600, 900), (900, 1600), (1000, 1000), (1001, 1000), (5000, 100)]
    assert buckets_of(sizes, 512) == [(640, 384), (384, 640), (512, 512), (512, 512), (1024, 256)]
    assert buckets_of(sizes, 256)[:3] == [(320, 192), (192, 320), (256, 256)]
    assert set(buckets_of(sizes, 250, keep=False)) == {(250, 250)}
    assert shapes_told(buckets_of(sizes, 512)).startswith("512 x 512 (2), 640 x 384 (1)")


@pytest.mark.parametrize("place", [0, 150, 236])
@pytest.mark.parametrize("upright", [False, True])
def test_the_crop_keeps_the_subject(place: int, upright: bool) -> None:
    image = Image.new("RGB", (300, 100), (120, 150, 180))
    image.paste(picture(1, 64, 64), (place, 18))
    if upright:
        image = image.transpose(Image.Transpose.TRANSPOSE)
    left, top, right, bottom = subject_box(image, 512, 512)
    assert (right - left, bottom - top) == (100, 100)
    start, end = (top, bottom) if upright else (left, right)
    assert start <= place + 2 and place + 62 <= end


def test_an_even_picture_is_cropped_in_the_middle() -> None:
    assert subject_box(Image.new("RGB", (300, 100)), 64, 64) == (100, 0, 200, 100)


@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 2000), st.integers(1, 2000))
def test_the_box_lies_in_the_picture(width: int, height: int, to_width: int, to_height: int) -> None:
    left, top, right, bottom = subject_box(Image.new("RGB", (width, height)), to_width, to_height)
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert right - left == width or bottom - top == height
