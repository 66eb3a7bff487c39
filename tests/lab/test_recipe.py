"""What a fine-tune begins with when nothing is chosen."""

import pytest

from studio.errors import InvalidInput
from studio.families.diffusion import FAMILY
from studio.lab.recipe import PRESETS, advice, lora_params
from studio.types import Input, Request


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("pictures", [1, 6, 30, 400])
@pytest.mark.parametrize("size", [30 * 2**20, 2 * 2**30])
def test_every_preset_is_sound(preset: str, pictures: int, size: int) -> None:
    params = lora_params(preset, pictures, size, 512)
    request = Request(task="train_lora", model="any", inputs=(Input(role="dataset", artifact="0" * 64),), params=params)
    checked = FAMILY.validate(request).params
    assert checked["resolution"] == 512
    assert int(str(checked["validation_steps"])) < int(str(checked["max_train_steps"]))


def test_a_better_preset_takes_more_steps() -> None:
    for size in (30 * 2**20, 2 * 2**30):
        steps = [int(str(lora_params(preset, 12, size, 512)["max_train_steps"])) for preset in PRESETS]
        assert steps == sorted(set(steps))


def test_it_advises_where_there_is_a_reason() -> None:
    assert "few" in advice(3) and "many" in advice(5000) and advice(12) == ""
    with pytest.raises(InvalidInput, match="no preset 'fast'"):
        lora_params("fast", 12, 1, 512)
