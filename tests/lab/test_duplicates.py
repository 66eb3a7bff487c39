"""What counts as a look-alike: the same picture in other clothes, not the same scene in another colour."""

import io

import pytest
from PIL import Image, ImageDraw, ImageEnhance

from studio.lab.duplicates import PictureLooks, TextLooks, picture_look, text_look
from tests.lab.drawn import encoded, picture

SEEDS = range(12)


def alike(a: Image.Image, b: Image.Image) -> bool:
    return len(PictureLooks([picture_look(a), picture_look(b)]).before(1)) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_picture_in_other_clothes(seed: int) -> None:
    image = picture(seed, 256, 256)
    with Image.open(io.BytesIO(encoded(image, "JPEG"))) as saved:
        assert alike(image, saved.convert("RGB"))
    assert alike(image, image.resize((128, 128)))
    assert alike(image, ImageEnhance.Brightness(image).enhance(1.08))


def test_other_pictures_are_not_alike() -> None:
    looks = PictureLooks([picture_look(picture(seed, 128, 128)) for seed in range(200)])
    assert sum(len(looks.before(index)) for index in range(200)) == 0


def test_the_red_car_is_no_copy_of_the_blue_one() -> None:
    cars = []
    for colour in ("red", "blue", "green", "white", "black"):
        car = Image.new("RGB", (128, 128), (90, 160, 220))
        pen = ImageDraw.Draw(car)
        pen.rectangle((0, 90, 127, 127), fill=(90, 90, 90))
        pen.rectangle((30, 60, 98, 96), fill=colour)
        cars.append(picture_look(car))
    looks = PictureLooks(cars)
    assert not [index for index in range(3) if len(looks.before(index))]


def test_flat_pictures_of_other_colours_are_not_alike() -> None:
    assert not alike(Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "black"))
    assert not alike(Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue"))
    assert alike(Image.new("RGB", (64, 64), "red"), Image.new("RGB", (32, 32), "red"))


def test_the_nearest_comes_first() -> None:
    image = picture(3, 256, 256)
    blurred = image.resize((24, 24)).resize((256, 256))
    looks = PictureLooks([picture_look(blurred), picture_look(image), picture_look(image)])
    assert looks.before(2)[0] == 1


def test_texts_that_share_most_of_their_words() -> None:
    words = [f"word{n * 7919 % 1000}" for n in range(400)]
    changed = [*words[:200], "new", "words", *words[200:]]
    other = [f"other{n * 7919 % 1000}" for n in range(400)]
    looks = TextLooks([text_look(" ".join(t)) for t in (words, other, changed, [w.upper() + "," for w in words])])
    assert list(looks.before(1)) == []
    assert list(looks.before(2)) == [0]
    assert list(looks.before(3))[0] == 0
    assert len(text_look("")) == len(text_look("one two")) == 256
