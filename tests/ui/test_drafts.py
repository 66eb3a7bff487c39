"""What a tile says of a draft, against texts whose repetitions are known."""

import json
from pathlib import Path

from studio.types import Artifact
from studio.ui import drafts


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


def test_what_was_given_is_marked(tmp_path: Path) -> None:
    tokens = [{"id": n, "text": text, "given": False} for n, text in enumerate(["Once", " upon", " a", " time"])]
    odds = tmp_path / "odds.json"
    odds.write_text(json.dumps({"tokens": tokens, "bits_a_byte": 1.0}), "utf-8")
    told = drafts.odds(odds, kept(tmp_path, 5, "Once upon a time", new_from=9))
    assert [token["given"] for token in told["tokens"]] == [True, True, False, False]
