"""The captions that a training learns: the trigger word stands in each, once."""

import pytest

from studio.families.training.picture_set import caption_of


@pytest.mark.parametrize(
    ("caption", "trigger", "learnt"),
    [
        ("a red house", "zwx", "zwx a red house"),
        ("a red zwx, at night", "zwx", "a red zwx, at night"),
        ("a Zwx Toy on a shelf", "zwx toy", "a Zwx Toy on a shelf"),
        ("a toy zwx", "zwx toy", "zwx toy a toy zwx"),
        ("a zwxy", "zwx", "zwx a zwxy"),
        ("", "zwx toy", "zwx toy"),
        ("a red house", "", "a red house"),
    ],
)
def test_the_trigger_stands_in_every_caption_once(caption: str, trigger: str, learnt: str) -> None:
    assert caption_of({"caption": caption}, trigger) == learnt
