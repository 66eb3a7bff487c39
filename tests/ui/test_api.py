"""The API as other programs use it: OpenAI's own client against the running studio."""

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import openai
import pytest
from PIL import Image

from studio.cli import main
from studio.library.library import Library
from studio.settings import Settings
from studio.types import JobState
from studio.ui.door import api_key, switch_api
from tests.ui.served import Served, serving
from tests.ui.story import tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    tiny_model(home)
    with serving(home) as running:
        while not running.ask("/atelier/ready").json()["ready"]:
            pass
        yield running


def client(served: Served, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}v1", api_key=key, max_retries=0, timeout=180)


def test_other_programs_write_chat_and_draw(served: Served, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(openai.NotFoundError, match="switched off"):  # until a person switches it on
        client(served, "anything").models.list()
    key = switch_api(home, True)
    with pytest.raises(openai.AuthenticationError, match="not the key"):
        client(served, "another").models.list()
    with pytest.raises(openai.AuthenticationError):  # nor does the page's own token open it
        client(served, served.token).models.list()
    ours = client(served, key)
    assert {"starter-text", "starter-image", "tiny"} <= {model.id for model in ours.models.list()}
    completes(ours)
    streams_the_same(ours)
    draws(ours)
    draws_what_was_typed(ours, home)
    says_what_is_wrong(ours)
    stops_for_one_who_left(served, key, home)
    kept_like_any_other(home)
    assert main(["api", "off", "--home", str(home), "--json"]) == 0  # the running studio hears of it
    assert json.loads(capsys.readouterr().out) == {"on": False, "base_url": "http://127.0.0.1:7860/v1", "key": ""}
    assert api_key(home) == ""
    with pytest.raises(openai.NotFoundError, match="switched off"):
        ours.models.list()


def completes(ours: openai.OpenAI) -> None:
    told = ours.completions.create(model="starter-text", prompt="Once upon a time", max_tokens=12, n=2, seed=3)
    assert [choice.index for choice in told.choices] == [0, 1]
    assert told.choices[0].text != told.choices[1].text and not told.choices[0].text.startswith("Once")
    assert told.choices[0].finish_reason in ("length", "stop")
    assert told.usage and 0 < told.usage.completion_tokens <= 24 and told.usage.prompt_tokens > 3
    again = ours.completions.create(model="starter-text", prompt="Once upon a time", max_tokens=12, seed=3)
    assert again.choices[0].text == told.choices[0].text  # a seed is a seed, alone or among others


def streams_the_same(ours: openai.OpenAI) -> None:
    asked = {
        "model": "starter-text",
        "messages": [{"role": "user", "content": "a poem about the sea"}],
        "max_tokens": 60,
        "seed": 4,
    }
    whole = ours.chat.completions.create(**asked).choices[0].message.content
    pieces, reasons = [], []
    for chunk in ours.chat.completions.create(**asked, stream=True):
        pieces.append(chunk.choices[0].delta.content or "")
        reasons.append(chunk.choices[0].finish_reason)
    assert "".join(pieces) == whole
    assert sum(1 for piece in pieces if piece) > 3  # it came in pieces
    assert reasons[-1] in ("length", "stop") and set(reasons[:-1]) == {None}


def draws(ours: openai.OpenAI) -> None:
    told = ours.images.generate(model="tiny", prompt="a red fox", n=2, size="64x64")
    assert told.data and len(told.data) == 2
    for drawn in told.data:
        with Image.open(BytesIO(base64.b64decode(drawn.b64_json or ""))) as picture:
            assert picture.size == (64, 64) and "parameters" in picture.info  # its settings lie inside


def draws_what_was_typed(ours: openai.OpenAI, home: Path) -> None:
    """Wildcards, a style of one's own and LoRA tags count as they do in the page."""
    (home / "styles").mkdir()
    (home / "styles" / "mine.toml").write_text(
        '[[style]]\nid = "mine"\nname = "Mine"\nprompt = "a {prompt} as I like it"\n', "utf-8"
    )
    typed = "red {fox|snow|red fox|red snow}"
    told = ours.images.generate(model="tiny", prompt=typed, n=3, size="64x64", style="mine")  # type: ignore[call-overload]
    words = set()
    for drawn in told.data:
        with Image.open(BytesIO(base64.b64decode(drawn.b64_json or ""))) as picture:
            words.add(picture.info["parameters"].splitlines()[0])
    assert len(told.data) == 3 and all(w.startswith("a red ") and w.endswith("as I like it") for w in words), words
    with pytest.raises(openai.NotFoundError, match="There is no LoRA 'nothere'"):
        ours.images.generate(model="tiny", prompt="a red {fox|snow} <lora:nothere:0.8>", size="64x64")


def stops_for_one_who_left(served: Served, key: str, home: Path) -> None:
    """Paused, so that the job is surely not done when the one who asked goes away."""
    assert served.post("/atelier/act", {"action": "pause"}).status == 200
    asked = {"model": "starter-text", "prompt": "a long tale", "max_tokens": 20}
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/completions", json.dumps(asked), headers)
    settings = Settings(home=home)
    library = Library(settings.database, settings.files, settings.cache)
    try:
        until(lambda: library.jobs(limit=1)[0].request.prompt == "a long tale")
        assert library.jobs(limit=1)[0].state is JobState.queued
        connection.close()
        until(lambda: library.jobs(limit=1)[0].state is JobState.cancelled)
    finally:
        connection.close()
        library.close()
    assert served.post("/atelier/act", {"action": "resume"}).status == 200


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def says_what_is_wrong(ours: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-9'"):
        ours.completions.create(model="gpt-9", prompt="x")
    with pytest.raises(openai.BadRequestError, match="2,000,000 characters"):
        ours.completions.create(model="starter-text", prompt="x" * 2_000_000)
    with pytest.raises(openai.BadRequestError, match="ends with|last turn"):
        ours.chat.completions.create(model="starter-text", messages=[{"role": "assistant", "content": "x"}])
    with pytest.raises(openai.BadRequestError, match="Temperature"):
        ours.completions.create(model="starter-text", prompt="x", temperature=99)
    with pytest.raises(openai.BadRequestError, match="size"):
        ours.images.generate(model="tiny", prompt="x", size="huge")  # type: ignore[call-overload]


def kept_like_any_other(home: Path) -> None:
    settings = Settings(home=home)
    library = Library(settings.database, settings.files, settings.cache)
    try:
        jobs = library.jobs(limit=20)
        assert {job.panel for job in jobs} == {"api"} and len(jobs) >= 5
        assert {job.request.task for job in jobs} == {"text", "text_to_image"}
    finally:
        library.close()
