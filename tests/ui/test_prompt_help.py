"""Words offered for a prompt by models of the real classes at tiny size: a captioner and a chat model."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from studio.cli import main
from studio.errors import InvalidInput, NotFound
from studio.library.query import Query
from studio.settings import Settings
from studio.studio import Studio
from studio.types import JobState
from studio.ui import prompt_help
from tests.families.captioning import tiny_captioner
from tests.families.causal_lm import tiny_lm

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    with Studio(Settings(home=home, device="cpu")) as opened:
        yield opened


def test_without_models_nothing_is_offered_and_asking_says_what_to_do(studio: Studio, tmp_path: Path) -> None:
    assert prompt_help.able(studio) == {"captioner": "", "writer": ""}  # starter-text knows no conversations
    with pytest.raises(NotFound, match="No installed model can tell"):
        prompt_help.describe_request(studio, "0" * 64)
    with pytest.raises(NotFound, match="can be asked in words"):
        prompt_help.expand_request(studio, "a fox")
    with pytest.raises(InvalidInput, match="empty"):
        prompt_help.expand_request(studio, " ")


def test_a_picture_and_a_prompt_are_told_and_stand_in_no_library(
    studio: Studio, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_captioner.build("git", home / "models" / "seer")
    tiny_lm.build("llama", home / "models" / "writer")
    tiny_lm.build("llama", home / "models" / "a-plain-one", chat=False)
    assert prompt_help.able(studio) == {"captioner": "seer", "writer": "writer"}
    Image.new("RGB", (40, 30), (200, 30, 90)).save(tmp_path / "a.png")
    source = studio.adopt(tmp_path / "a.png")
    for asked in (prompt_help.describe_request(studio, source.sha256), prompt_help.expand_request(studio, "a fox")):
        if asked.task == "expand_prompt":
            asked = asked.with_params(max_new_tokens=12)
        job = studio.submit(asked, panel=prompt_help.ASIDE)
        assert studio.wait(job.id, timeout=120).state is JobState.done, studio.job(job.id).error
        made = studio.library.outputs(job.id)
        assert made[0].media_type == "text/plain"
        made[0].path.write_text("A red ball.", "utf-8")
        assert prompt_help.answer(studio, job.id) == {"text": "A red ball.", "model": asked.model}
    assert [a.sha256 for a in studio.library.find(Query()).items] == [source.sha256]
    waiting = [job for job in studio.library.jobs(limit=10) if job.state is JobState.failed]
    assert not waiting
    studio.close()
    assert main(["image", "--describe", str(tmp_path / "a.png"), "--home", str(home), "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "seer"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ('"A fox, in snow"\n\nI added snow.', "A fox, in snow"),
        ("<think>hm\n\nlong</think>\n\nA fox\nin snow", "A fox in snow"),
        ("<think>never ends", ""),
        ("**Prompt: a fox**", "a fox"),
    ],
)
def test_an_answer_is_one_line(said: str, line: str) -> None:
    assert prompt_help.one_line(said) == line
