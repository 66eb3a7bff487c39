"""The engine through its own door, with a real worker: order, queue, cancel, warm, close."""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.engine.engine import Engine, Started
from studio.engine.protocol import Finished, Output, Preview, Progress, Run, Warning
from tests.engine.listen import TOY, Heard, toy


def test_a_job_tells_its_story_in_order(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count", steps=3))
    assert heard.finished("a").state == "done"
    story = heard.of("a")
    assert story[0] == "Started"
    assert story[-1] == "Finished" and story.count("Finished") == 1
    assert set(story) == {"Started", "Progress", "Preview", "Warning", "Output", "Finished"}
    assert story.count("Warning") == 1
    assert engine.running is None and engine.queued() == ()
    assert heard.all(Progress)[-1].step == heard.all(Progress)[-1].steps == 3


def test_an_output_is_complete_and_described(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count"))
    heard.finished("a")
    output = heard.all(Output)[0]
    file = Path(output.path)
    assert file.read_text() == "count"
    note = json.loads(file.with_name(file.name + ".json").read_text())
    assert (note["type"], note["job"], note["index"], note["meta"]) == ("Output", "a", 0, {"seed": 0})
    assert not list(file.parent.glob("*.part*"))
    assert heard.all(Preview)[0].path.endswith("preview-0.txt")


def test_a_thousand_jobs_keep_their_order(engine: Engine, heard: Heard) -> None:
    engine.warm()
    heard.ready()
    began = time.monotonic()
    for number in range(1000):
        engine.submit(toy(str(number), "nothing"))
    heard.finished("999", timeout=40)
    seconds = time.monotonic() - began
    assert [event.job for event in heard.all(Finished)] == [str(n) for n in range(1000)]
    assert {event.state for event in heard.all(Finished)} == {"done"}
    assert heard.of("500") == ["Started", "Progress", "Finished"]
    assert seconds < 20, f"{seconds} ms a job"


def test_pause_reorder_and_cancel_in_the_queue(engine: Engine, heard: Heard) -> None:
    engine.pause()
    assert engine.paused
    for name in "abcd":
        engine.submit(toy(name, "nothing"))
    assert engine.queued() == ("a", "b", "c", "d") and engine.running is None
    engine.reorder("d", 0.5)
    engine.cancel("b")
    assert heard.finished("b").state == "cancelled" and heard.of("b") == ["Finished"]
    assert engine.queued() == ("d", "a", "c")
    engine.submit(toy("e", "nothing"), position=1.5)
    engine.resume()
    heard.finished("c")
    assert [event.job for event in heard.all(Started)] == ["d", "a", "e", "c"]


def test_pause_lets_the_running_one_go_on(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count", steps=5, pause=0.05))
    engine.submit(toy("b", "nothing"))
    heard.step("a")
    engine.pause()
    assert heard.finished("a").state == "done"
    assert engine.queued() == ("b",) and heard.of("b") == []


def test_the_same_id_twice_is_an_error(engine: Engine) -> None:
    engine.pause()
    engine.submit(toy("a", "nothing"))
    with pytest.raises(ValueError, match="here already"):
        engine.submit(toy("a", "nothing"))


def test_cancel_takes_less_than_a_step_more(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count", steps=500, pause=0.05))
    heard.step("a")
    began = time.monotonic()
    engine.cancel("a")
    engine.cancel("a")
    finished = heard.finished("a")
    assert finished.state == "cancelled" and finished.error == ""
    assert time.monotonic() - began < 0.2
    engine.submit(toy("b", "who"))
    assert heard.meta("b")["runs"] == 2, "the same worker and pipeline go on"


def test_cancel_while_the_worker_starts(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "hang"))
    engine.cancel("a")
    engine.submit(toy("b", "nothing"))
    assert heard.finished("b").state == "done"
    assert heard.of("a") == ["Started", "Progress", "Finished"] and heard.finished("a").state == "cancelled"


def test_what_a_stop_tears_apart_is_no_failure(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "torn"))
    heard.step("a")
    engine.cancel("a")
    assert heard.finished("a").state == "cancelled" and heard.finished("a").error == ""


def test_cancel_of_a_stranger_does_nothing(engine: Engine, heard: Heard) -> None:
    engine.cancel("nobody")
    engine.submit(toy("a", "nothing"))
    assert heard.finished("a").state == "done"


def test_messages_about_progress_are_few(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count", steps=400, pause=0.002))
    finished = heard.finished("a")
    allowed = 20 * finished.seconds + 10
    assert len(heard.all(Progress)) <= allowed and len(heard.all(Preview)) <= allowed
    assert heard.all(Progress)[-1].step == 400, "the last one is never held back"


def test_a_listener_that_fails_does_not_silence_the_others(
    engine: Engine, heard: Heard, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(event: object) -> None:
        raise ValueError("a bad listener")

    late = Heard()
    engine.subscribe(bad)
    engine.subscribe(late)
    with caplog.at_level(logging.ERROR):
        engine.submit(toy("a", "count"))
        heard.finished("a")
        late.finished("a")
    assert late.events == heard.events
    assert "a bad listener" in caplog.text


def test_stray_prints_do_not_reach_the_wire(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("shout", "shout", steps=2))
    assert heard.finished("shout").state == "done"
    assert heard.of("shout").count("Output") == 1


def test_any_text_crosses(engine: Engine, heard: Heard) -> None:
    odd = 'a "fox"\n\r\u2028\x85 🦊 \ud800 ثعلب \\ {"type": "Shutdown"}' + "x" * 100_000
    run = toy("a", "who")
    engine.submit(type(run)(**{**vars(run), "request": {**run.request, "params": {"text": odd}}}))
    assert heard.finished("a").state == "done"


def test_a_model_is_kept_and_dropped(engine: Engine, heard: Heard, tmp_path: Path) -> None:
    folder = tmp_path / "squares"
    folder.mkdir()
    for number in range(2):
        engine.submit(toy(f"a{number}", "who", folder=str(folder)))
    assert heard.meta("a1")["runs"] == 2 and heard.meta("a1")["loads"] == ["squares"]
    engine.unload()
    engine.submit(toy("b", "who", folder=str(folder)))
    assert heard.meta("b")["runs"] == 1 and heard.meta("b")["loads"] == ["squares", "squares"]
    (folder / "config.json").write_text("{}")
    engine.submit(toy("c", "who", folder=str(folder)))
    assert heard.meta("c")["runs"] == 1, "a changed folder is loaded anew"


def test_warm_loads_the_model_before_the_first_job(engine: Engine, heard: Heard, tmp_path: Path) -> None:
    folder = tmp_path / "squares"
    folder.mkdir()
    engine.warm("tests.engine.toy", str(folder))
    heard.ready()
    assert engine.device is not None and engine.device.kind == "cpu" and engine.device.threads >= 1
    assert "python" in engine.versions
    engine.submit(toy("a", "who", folder=str(folder)))
    assert heard.meta("a")["loads"] == ["squares"]
    assert "Loading the model" not in [event.message for event in heard.all(Progress)]


def test_what_warm_cannot_load_is_told_to_the_job(engine: Engine, heard: Heard) -> None:
    engine.warm("no.such.family", "nowhere")
    engine.submit(toy("a", "nothing", family="no.such.family"))
    assert heard.finished("a").error == "A part of the program cannot be used: 'no' is missing."


def test_close_interrupts_the_running_job_and_leaves_the_queue(
    make_engine: Callable[..., Engine], heard: Heard
) -> None:
    engine = make_engine()
    engine.submit(toy("a", "count", steps=500, pause=0.02))
    engine.submit(toy("b", "nothing"))
    heard.step("a")
    engine.close()
    assert heard.finished("a", timeout=0).state == "interrupted"
    assert heard.of("b") == []
    engine.close()


def test_close_ends_a_worker_that_hangs(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "hang"))
    heard.step("a")
    began = time.monotonic()
    engine.close(timeout=0.3)
    assert time.monotonic() - began < 2
    assert heard.finished("a", timeout=0).state == "interrupted"


def test_close_before_anything_was_started(engine: Engine) -> None:
    engine.close()
    engine.submit(toy("a", "nothing"))
    assert engine.running is None


def test_warnings_are_for_the_person(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count"))
    heard.finished("a")
    assert [event.text for event in heard.all(Warning)] == ["Only numbers are known here."]


def test_a_training_finds_its_folder_again_and_leaves_a_fresh_worker(
    engine: Engine, heard: Heard, tmp_path: Path
) -> None:
    kept = str(tmp_path / "kept")
    for name in ("a", "b"):
        request = {"task": "train_toy", "model": "toy"}
        engine.submit(Run(job=name, family=TOY, folder="", request=request, kept=kept))
    engine.submit(toy("c", "who"))
    assert [heard.finished(name).state for name in "abc"] == ["done"] * 3
    first, second, after = (output.meta for output in heard.all(Output))
    assert (first["attempts"], second["attempts"]) == (1, 2)
    assert len({first["pid"], second["pid"], after["pid"]}) == 3
