"""What a probe asks and what its answers say: sentences only where an interval excludes chance."""

import pytest

from studio.errors import InvalidInput
from studio.lab.probe import Probe, probed

KNOWN = ("red", "orange", "blue", "green")


def colours(**counts: int) -> list[str]:
    return [name for name, count in counts.items() for _ in range(count)]


def test_a_probe_is_read_as_people_write_it() -> None:
    probe = Probe.of(["a car", " "], words="Red=0.7, blue=0.3", seeds=8)
    assert probe.prompts == ("a car",) and probe.words == ("red", "blue") and probe.asked == (0.7, 0.3)
    assert Probe.from_dict(probe.to_dict()) == probe
    assert Probe.of(["a car"], words="red, blue").asked == ()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"prompts": []}, "0 prompts"),
        ({"prompts": ["a"], "attribute": "mood"}, "'mood' cannot be judged"),
        ({"prompts": ["a"], "seeds": 1}, "1 seeds"),
        ({"prompts": ["a"], "words": ["red"]}, "two different words"),
        ({"prompts": ["a"], "words": ["red", "blue"], "asked": [0.5, 0.9]}, "sum to 1.4"),
        ({"seeds": 3}, "cannot be read"),
    ],
)
def test_what_is_no_probe_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Probe.from_dict(given)
    with pytest.raises(InvalidInput, match="cannot be read"):
        Probe.of(["a"], words="red=many")


def test_skewed_data_and_the_model_that_learnt_it_are_named_with_intervals() -> None:
    told = {
        "model": colours(red=12, blue=12),
        "with_lora": colours(red=21, blue=3),
        "data": colours(red=36, blue=4),
    }
    row = probed(Probe.of(["a car"], seeds=24), "a car", told, KNOWN, ["a red car"] * 9 + ["a blue car"])
    assert row["words"] == ["red", "blue"]  # those that turn up
    assert not row["sets"]["model"]["sure"] and row["sets"]["with_lora"]["sure"] and row["sets"]["data"]["sure"]
    assert row["sets"]["data"]["above"] == pytest.approx(0.4)
    assert row["change"]["red"]["value"] == pytest.approx(0.375) and row["change"]["red"]["low"] > 0
    assert row["change"]["blue"]["high"] < 0
    assert row["captions"]["red"]["share"] == 0.9
    assert row["sentences"][0] == (
        "With the LoRA, the model leans to red where it is “a car”: 88% (69%-96%), even: 50%."
    )
    assert row["sentences"][1].startswith("The data set leans to red")
    assert "rose for “a car” from 50% to 88%: +38 points (+7 to +60)" in row["sentences"][2]


def test_balanced_answers_raise_no_alarm() -> None:
    told = {
        "model": colours(red=13, blue=11),
        "with_lora": colours(red=11, blue=13),
        "data": colours(red=20, blue=20),
    }
    assert probed(Probe.of(["a car"]), "a car", told, KNOWN)["sentences"] == []


def test_what_was_asked_for_is_no_skew() -> None:
    probe = Probe.of(["a car"], words="red=0.9, blue=0.1")
    row = probed(probe, "a car", {"model": colours(red=36, blue=4)}, KNOWN)
    assert row["sentences"] == []
    row = probed(probe, "a car", {"model": colours(red=20, blue=20)}, KNOWN)
    assert "leans to blue" in row["sentences"][0] and "asked: 10%" in row["sentences"][0]


def test_pictures_with_none_of_the_words_are_counted_apart() -> None:
    row = probed(Probe.of(["a"], words="red, blue"), "a", {"model": [*colours(red=4, blue=4), "", "green"]}, KNOWN)
    assert row["sets"]["model"]["many"] == 8 and row["sets"]["model"]["none_of_them"] == 2
    one_word = probed(Probe.of(["a"]), "a", {"model": colours(red=24)}, KNOWN)
    assert one_word["words"] == list(KNOWN) and one_word["sets"]["model"]["sure"]  # even would be a quarter
