"""Balance at a glance: the skew that was planted is told with its interval; balanced data raise no alarm."""

from studio.lab.items import Item, Problem
from studio.lab.report import balance_of, make_report, wilson, word_shares


def items(*captions: str) -> list[Item]:
    return [
        Item(id=str(n), name=f"{n}.png", file="x.png", width=64, height=64, caption=caption)
        for n, caption in enumerate(captions)
    ]


def test_ninety_percent_red_cars_are_told() -> None:
    captions = ["a red car in the street"] * 18 + ["a blue car in the street"] * 2
    (balance,) = [b for b in balance_of(captions) if b.group == "colour"]
    assert balance.skewed
    red = balance.words[0]
    assert (red.word, red.count, red.share) == ("red", 18, 0.9) and 0.6 < red.low < 0.9 < red.high < 1
    report = make_report("image", items(*captions))
    assert any("“red” in 90%" in sentence for sentence in report.sentences)


def test_balanced_data_raise_no_alarm() -> None:
    captions = [f"a {colour} car" for colour in ("red", "blue", "green") for _ in range(7)]
    assert not any(balance.skewed for balance in balance_of(captions))
    assert not any(balance.skewed for balance in balance_of(["red car", "red car", "blue car"]))  # too few to say


def test_words_leave_out_articles_and_the_trigger() -> None:
    shares = word_shares(["sks the red fox", "sks a fox", ""], "sks")
    assert [(share.word, share.share) for share in shares] == [("fox", 1.0), ("red", 0.5)]


def test_wilson() -> None:
    low, high = wilson(9, 10)
    assert abs(low - 0.596) < 0.001 and abs(high - 0.982) < 0.001
    assert wilson(0, 0) == (0.0, 1.0)


def test_sentences_read_well_for_one_and_for_many() -> None:
    problem = Problem(kind="truncated", sentence="cut")
    one = Item(id="a", name="a.png", problems=(problem,), included=False)
    report = make_report("image", [*items("a fox"), one])
    assert report.sentences[:2] == (
        "1 picture of 2 will be used: 1 to train, none held out.",
        "1 file is damaged or cut off and was left out.",
    )
    two = Item(id="b", name="b.png", problems=(problem,), included=False)
    assert "2 files are damaged or cut off and were left out." in make_report("image", [one, two]).sentences
    assert make_report("text", []).included == 0
