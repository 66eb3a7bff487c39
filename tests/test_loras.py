"""LoRAs named in a prompt: read, checked, and put back."""

import pytest

from studio.errors import InvalidInput
from studio.loras import put_in, taken_out
from studio.types import Adapter


@pytest.mark.parametrize(
    ("prompt", "plain", "adapters"),
    [
        ("a fox", "a fox", ()),
        ("a fox <lora:dog>", "a fox", (Adapter(id="dog"),)),
        (
            "<lora:dog:0.8> a fox <lora:my dog-2:-1>",
            "a fox",
            (Adapter(id="dog", weight=0.8), Adapter(id="my dog-2", weight=-1)),
        ),
        ("a <lora:dog:1> fox <lora:dog:0.5>", "a fox", (Adapter(id="dog", weight=0.5),)),
        ("a < b > c <lora>", "a < b > c <lora>", ()),
    ],
)
def test_tags_become_adapters(prompt: str, plain: str, adapters: tuple[Adapter, ...]) -> None:
    assert taken_out(prompt) == (plain, adapters)
    assert taken_out(put_in(plain, adapters)) == (plain, adapters)


@pytest.mark.parametrize(("weight", "said"), [("much", "'much' is no weight"), ("99", "is 99"), ("nan", "is nan")])
def test_a_weight_that_is_none_is_said(weight: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        taken_out(f"a fox <lora:dog:{weight}>")
