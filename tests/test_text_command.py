"""The command `text`, and a text job from the click to the library: streamed, stopped, kept, opened up, branched."""

import io
import json
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from studio.cli import main
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Input, JobState, Request

pytestmark = [pytest.mark.model, pytest.mark.timeout(280)]


def command(home: Path, *words: str) -> tuple[int, str, str]:
    said, complained = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        code = main(["text", *words, "--home", str(home)])
    return code, said.getvalue(), complained.getvalue()


def test_a_json_line_a_draft_and_a_copy_of_each(tmp_path: Path) -> None:
    words = ("a poem about the sea", "--genre", "poem", "--count", "2", "--max-new-tokens", "24", "--seed", "7")
    code, said, _ = command(tmp_path / "home", *words, "--out", str(tmp_path / "out"), "--json")
    rows = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and [row["seed"] for row in rows] == [7, 8]
    for row in rows:
        text = Path(row["path"]).read_text("utf-8")
        assert text == row["text"] and "<|" not in text and "genre:" not in text
        assert row["tokens"] <= 24 and row["finished"] in ("length", "end") and row["model"] == "starter-text"
    assert len(list((tmp_path / "out").glob("*.txt"))) == 2
    _, streamed, _ = command(tmp_path / "home", *words, "--stream")
    assert streamed.rstrip("\n") == rows[0]["text"].rstrip("\n")


def test_json_that_is_cut_is_told(tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    one = {"type": "object", "properties": {"a": {"enum": ["red", "blue"]}}, "required": ["a"]}
    schema.write_text(json.dumps({**one, "additionalProperties": False}), "utf-8")
    words = ("a colour", "--json-schema", str(schema), "--seed", "3", "--count", "2", "--max-new-tokens")
    code, said, complained = command(tmp_path / "home", *words, "4")
    assert code == 1 and "2 of 2 drafts were cut before becoming complete JSON. Allow more tokens." in complained
    assert [json.loads(line)["complete"] for line in said.splitlines()] == [False, False]
    code, said, complained = command(tmp_path / "home", *words, "60")
    rows = [json.loads(line) for line in said.splitlines()]
    assert code == 0 and not complained and all(row["complete"] and json.loads(row["text"]) for row in rows)


def test_what_cannot_be_done_is_one_sentence(tmp_path: Path) -> None:
    for words, said in (
        (("x", "--stream", "--json"), "Choose one"),
        (("x", "--json-schema", str(tmp_path / "none")), "There is no file"),
        (("x", "--max-new-tokens", "5000"), "more than the 512"),
    ):
        code, _, complained = command(tmp_path / "home", *words)
        assert code in (1, 2) and said in complained and "Traceback" not in complained


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Studio(Settings.load({"home": str(tmp_path_factory.mktemp("home"))})) as made:
        yield made


def asked(studio: Studio, prompt: str = "The old king", **params: Any) -> Request:
    return Request(task="text", model="starter-text", prompt=prompt, seed=5, params=params)


def test_stop_keeps_what_was_written(studio: Studio) -> None:
    request = asked(studio, num_return_sequences=2, max_new_tokens=480, regex=r"[A-Za-z ,.\n]{4000}")
    job = studio.submit(request, panel="test")
    until = time.monotonic() + 120
    while not studio.live(job.id).previews and time.monotonic() < until:
        time.sleep(0.02)
    studio.cancel(job.id)
    done = studio.wait(job.id, timeout=60)
    assert done.state is JobState.cancelled
    kept = studio.library.outputs(job.id)
    assert [made.index for made in kept] == [0, 1]
    for made in kept:
        assert made.meta["finished"] == "stopped" and 0 < int(str(made.meta["tokens"])) < 480
        assert made.path.read_text("utf-8").startswith("The old king")


def test_a_draft_is_opened_up_and_branched(studio: Studio) -> None:
    brief = {"mode": "brief", "genre": "poem", "keywords": "sea, night"}
    job = studio.submit(asked(studio, "", **brief, num_return_sequences=1, max_new_tokens=20), panel="test")
    studio.wait(job.id, timeout=120)
    draft = studio.library.outputs(job.id)[0]
    inputs = (Input(role="source", artifact=draft.sha256),)
    look = Request(task="token_odds", model="starter-text", inputs=inputs, params={**brief, "alternatives": 4})
    opened = studio.submit(look, panel="test")
    assert studio.wait(opened.id, timeout=120).state is JobState.done
    odds = json.loads(studio.library.outputs(opened.id)[0].path.read_text("utf-8"))
    assert "".join(token["text"] for token in odds["tokens"]) == draft.path.read_text("utf-8")
    assert odds["context"] > 0 and not any(token["given"] for token in odds["tokens"])
    place = 5
    other = next(a for a in odds["tokens"][place]["alternatives"] if a["id"] != odds["tokens"][place]["id"])
    begun = [*(token["id"] for token in odds["tokens"][:place]), other["id"]]
    branch = asked(studio, "", **brief, num_return_sequences=2, max_new_tokens=10, beginning_tokens=begun)
    job = studio.submit(branch.replace(parent=draft.sha256), panel="test")
    studio.wait(job.id, timeout=120)
    start = "".join(token["text"] for token in odds["tokens"][:place]) + other["text"]
    for made in studio.library.outputs(job.id):
        assert made.path.read_text("utf-8").startswith(start) and made.meta["new_from"] == len(start)


def test_a_brief_without_a_genre_gets_prose(studio: Studio) -> None:
    for words in ("a small robot", "our new coffee shop in Berlin"):
        job = studio.submit(asked(studio, words, mode="brief", num_return_sequences=4, max_new_tokens=40), panel="test")
        studio.wait(job.id, timeout=120)
        texts = [made.path.read_text("utf-8") for made in studio.library.outputs(job.id)]
        assert len(texts) == 4 and not [text for text in texts if text.startswith("def ") or "self." in text]
