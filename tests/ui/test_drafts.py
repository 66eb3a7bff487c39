"""What a tile says of a draft, against texts whose repetitions are known."""

import json
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, Request
from studio.ui import drafts, writing


def kept(folder: Path, index: int, text: str, **meta: object) -> Artifact:
    path = folder / f"{index}.txt"
    path.write_text(text, "utf-8")
    return Artifact(
        sha256=str(index) * 64,
        media_type="text/plain",
        path=path,
        size=len(text),
        created=0.0,
        index=index,
        meta=meta,  # type: ignore[arg-type]
    )


def test_words_time_repetition_and_overlap_are_told(tmp_path: Path) -> None:
    first = " ".join(f"word{n}" for n in range(40))
    half = " ".join([*(f"word{n}" for n in range(20)), *(f"other{n}" for n in range(20))])
    one, two = kept(tmp_path, 0, first), kept(tmp_path, 1, half, finished="length")
    assert drafts.facts(one, [two]) == ["40 words", "< 1 min", "46% as in draft 2"]  # 17 of 37 runs
    assert drafts.facts(two, [one]) == ["40 words", "< 1 min", "cut at the limit", "46% as in draft 1"]
    loop = kept(tmp_path, 2, "round and round it goes " * 10)
    assert drafts.facts(loop, [])[2] == "repeats itself 89%"  # 5 different runs of 47
    assert drafts.facts(kept(tmp_path, 3, " ".join(["one"] * 3)), [one]) == ["3 words", "< 1 min"]
    assert drafts.facts(kept(tmp_path, 4, " ".join(f"w{n}" for n in range(700))), [])[1] == "3 min"


def test_a_beginning_that_drafts_share_is_no_overlap(tmp_path: Path) -> None:
    given = " ".join(f"given{n}" for n in range(40)) + " "
    ends = [" ".join(f"{name}{n}" for n in range(20)) for name in ("one", "two")]
    first, second = (kept(tmp_path, k, given + end, new_from=len(given)) for k, end in enumerate(ends))
    assert drafts.facts(first, [second]) == ["60 words", "< 1 min"]
    again = kept(tmp_path, 8, given + ends[0], new_from=len(given))
    assert drafts.facts(first, [again])[2] == "100% as in draft 9"


def test_what_was_given_is_marked(tmp_path: Path) -> None:
    tokens = [{"id": n, "text": text, "given": False} for n, text in enumerate(["Once", " upon", " a", " time"])]
    odds = tmp_path / "odds.json"
    odds.write_text(json.dumps({"tokens": tokens, "bits_a_byte": 1.0}), "utf-8")
    told = drafts.odds(odds, kept(tmp_path, 5, "Once upon a time", new_from=9))
    assert [token["given"] for token in told["tokens"]] == [True, True, False, False]


def test_what_repeats_learnt_texts_is_told_marked_and_handed_on(tmp_path: Path) -> None:
    text = "Once more: the clocks of the hall never agreed. The end."
    copied = {"characters": 36, "start": 11, "told": True}
    draft = kept(tmp_path, 6, text, copied=copied)
    assert drafts.facts(draft, [])[0] == "repeats 36 characters of your texts"
    assert drafts.copied(draft.meta) == {"start": 11, "characters": 36}
    chance = kept(tmp_path, 7, text, copied={**copied, "told": False})
    assert drafts.copied(chance.meta) is None and drafts.facts(chance, [])[0] == "11 words"
    tokens = [{"id": n, "text": part, "given": False} for n, part in enumerate(["Once more: ", text[11:40], text[40:]])]
    odds = tmp_path / "odds.json"
    odds.write_text(json.dumps({"tokens": tokens, "bits_a_byte": 1.0}), "utf-8")
    told = drafts.odds(odds, draft)
    assert [token.get("copied", False) for token in told["tokens"]] == [False, True, True] and told["copied"] == 36
    merged = "A new head. the clocks of the hall never agreed. And a new end."
    again = drafts.still_copied(merged, [chance, draft])["copied"]
    assert isinstance(again, dict) and again["start"] == 12 and again["told"]
    assert drafts.still_copied("Nothing of it.", [draft]) == {}


def test_of_a_notebook_that_went_on_only_the_first_words_are_the_persons() -> None:
    first = Request(task="text", model="tiny", prompt="My own words", params={"mode": "write"})
    assert writing.own_characters(first) == 12
    later = first.replace(prompt="My own words and those of a draft", params={"mode": "write", "own_characters": 12})
    assert writing.own_characters(later) == 12


def test_what_a_brief_is_read_as_leaves_out_what_is_set(home: Path) -> None:
    with Studio(Settings(home=home)) as studio:
        said = "a poem for children about the winter sea"
        assert writing.read_as(studio, {}, said) == "Read as: poem · for children · with the words winter, sea"
        assert writing.read_as(studio, {"genre": "play", "keywords": "gull"}, said) == "Read as: for children"
        assert not writing.read_as(studio, {"mode": "write"}, said) and not writing.read_as(studio, {}, " ")


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"max_new_tokens": 600}, "max_new_tokens", "more than the 512"),
        ({"json_schema": "{bad"}, "json_schema", "is no JSON"),
        ({"json_schema": '{"type": 3}'}, "json_schema", "No text can be written"),
        ({"regex": "("}, "regex", "unclosed group"),
        ({"regex": "a+", "json_schema": "{}"}, "regex", "at once"),
    ],
)
def test_what_no_draft_can_be_is_told_before_anything_is_queued(
    home: Path, values: dict[str, object], field: str, said: str
) -> None:
    with Studio(Settings(home=home)) as studio, pytest.raises(InvalidInput, match=said) as caught:
        asked = {"mode": "write", "prompt": "Once", "model": "starter-text", **values}
        writing.request(studio, writing.Writing(values=asked))
    assert caught.value.field == field
