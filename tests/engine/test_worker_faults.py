"""Everything that can end a worker or a job: one Finished with one clear sentence, and the next job runs."""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from studio.engine.engine import Engine
from studio.engine.protocol import Finished, Output
from tests.engine.listen import NO_TORCH, Heard, toy

ROOT = Path(__file__).parent.parent.parent


def next_job_runs(engine: Engine, heard: Heard, new_worker_than: int | None = None) -> None:
    engine.submit(toy("next", "who"))
    assert heard.finished("next").state == "done"
    if new_worker_than is not None:
        assert heard.meta("next")["pid"] != new_worker_than


def pid_of(engine: Engine, heard: Heard) -> int:
    engine.submit(toy("pid", "who"))
    return heard.meta("pid")["pid"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_after(pid: int, limit: float) -> float:
    began = time.monotonic()
    while is_alive(pid) and time.monotonic() - began < limit:
        time.sleep(0.005)
    assert not is_alive(pid), f"{pid} lives after {limit} s"
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("act", "says", "same_worker"),
    [
        ("error", "The work stopped with an error (ValueError): seven is not a colour.", True),
        ("refuse", "The width is 7.", True),
        ("system_exit", "The work stopped with an error (SystemExit): 3.", True),
        ("full", "The disk is full", True),
        ("memory", "The work does not fit into the memory of", False),
        ("crash", "The worker crashed while it worked (SIGSEGV).", False),
        ("leave", "The worker ended while it worked with code 7.", False),
        ("orphan", "The worker ended while it worked with code 9.", False),
    ],
)
def test_a_job_that_fails(engine: Engine, heard: Heard, act: str, says: str, same_worker: bool) -> None:
    pid = pid_of(engine, heard)
    engine.submit(toy("bad", act))
    finished = heard.finished("bad", timeout=5)
    assert finished.state == "failed" and finished.error.startswith(says) and finished.hint
    assert "\n" not in finished.error and "Traceback" not in finished.error
    next_job_runs(engine, heard, None if same_worker else pid)
    if same_worker:
        assert heard.meta("next")["pid"] == pid
    assert len(heard.all(Finished)) == 3


def test_the_traceback_is_in_the_log_and_half_a_file_is_not_left(engine: Engine, heard: Heard, tmp_path: Path) -> None:
    engine.submit(toy("a", "error"))
    engine.submit(toy("b", "full"))
    heard.finished("b")
    assert "ValueError: seven is not a colour" in (tmp_path / "staging" / "a" / "log.txt").read_text()
    assert "ValueError" in heard.finished("a").details
    assert [f.name for f in (tmp_path / "staging" / "b").iterdir() if not f.name.startswith("preview")] == []


def test_killed_from_outside_the_waiting_job_runs_on_a_new_worker(engine: Engine, heard: Heard) -> None:
    pid = pid_of(engine, heard)
    engine.submit(toy("a", "hang"))
    engine.submit(toy("b", "who"))
    heard.step("a")
    os.kill(pid, signal.SIGKILL)
    finished = heard.finished("a", timeout=1)
    assert finished.state == "failed" and "SIGKILL" in finished.error and "may" in finished.hint
    assert heard.meta("b")["pid"] != pid


def test_killed_while_idle_is_no_ones_failure(engine: Engine, heard: Heard) -> None:
    pid = pid_of(engine, heard)
    os.kill(pid, signal.SIGKILL)
    gone_after(pid, 1)
    next_job_runs(engine, heard, new_worker_than=pid)
    assert all(event.state == "done" for event in heard.all(Finished))


def test_killed_in_the_moment_between_two_jobs(engine: Engine, heard: Heard) -> None:
    """A job that no worker has taken yet goes to the next one."""
    pid = pid_of(engine, heard)
    os.kill(pid, signal.SIGSTOP)
    engine.submit(toy("a", "nothing"))
    os.kill(pid, signal.SIGKILL)
    assert heard.finished("a").state == "done"


def test_a_job_that_hangs_is_ended_after_the_grace(engine: Engine, heard: Heard) -> None:
    pid = pid_of(engine, heard)
    engine.submit(toy("a", "hang"))
    heard.step("a")
    began = time.monotonic()
    engine.cancel("a")
    assert heard.finished("a").state == "cancelled"
    assert 0.4 <= time.monotonic() - began < 1.5
    next_job_runs(engine, heard, new_worker_than=pid)
    assert not is_alive(pid)


def test_cancel_then_the_next_job_is_not_killed_by_the_old_grace(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "count", steps=500, pause=0.01))
    heard.step("a")
    engine.cancel("a")
    engine.submit(toy("b", "count", steps=40, pause=0.02))  # longer than the grace
    assert heard.finished("b").state == "done"


def test_other_models_make_way_when_memory_runs_out(engine: Engine, heard: Heard, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        engine.submit(toy(name, "greedy", folder=str(tmp_path / name)))
    assert heard.finished("one").state == heard.finished("two").state == "done"
    engine.submit(toy("who", "who", folder=str(tmp_path / "one")))
    assert heard.meta("who")["loads"] == ["one", "two", "greedy-tried", "one"]


@pytest.mark.parametrize(
    ("folder", "says"),
    [
        ("missing", "missing cannot be loaded: the file "),
        ("damaged", "damaged cannot be loaded: its configuration has no 'architectures'."),
    ],
)
def test_a_model_that_cannot_be_loaded(engine: Engine, heard: Heard, tmp_path: Path, folder: str, says: str) -> None:
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "broken").touch()
    engine.submit(toy("a", "count", folder=str(tmp_path / folder)))
    finished = heard.finished("a")
    assert finished.state == "failed" and finished.error.startswith(says) and "another one" in finished.hint
    next_job_runs(engine, heard)


def test_a_worker_that_cannot_start_fails_the_queue_with_the_reason(
    make_engine: Callable[..., Engine], heard: Heard, tmp_path: Path
) -> None:
    (tmp_path / "torch.py").write_text("import no_such_library")
    engine = make_engine(environment={"PYTHONPATH": str(tmp_path)})
    engine.submit(toy("a", "nothing"))
    engine.submit(toy("b", "nothing"))
    for job in "ab":
        finished = heard.finished(job)
        assert finished.state == "failed" and "No module named 'no_such_library'" in finished.error
        assert "doctor" in finished.hint
    (tmp_path / "torch.py").unlink()
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['torch'] = None")
    engine.submit(toy("c", "nothing"))
    assert heard.finished("c").state == "done", "once it is repaired, the next click works"


def test_one_death_at_start_is_forgiven(make_engine: Callable[..., Engine], heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import os, sys
        sys.modules["torch"] = None
        mark = {str(tmp_path / "mark")!r}
        if not os.path.exists(mark):
            open(mark, "w").close()
            os._exit(1)
    """)
    )
    engine = make_engine(environment={"PYTHONPATH": str(tmp_path)})
    engine.submit(toy("a", "nothing"))
    assert heard.finished("a").state == "done"


def test_a_start_that_never_ends(make_engine: Callable[..., Engine], heard: Heard, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(60)")
    engine = make_engine(environment={"PYTHONPATH": str(tmp_path)}, patience=0.3)
    engine.submit(toy("a", "nothing"))
    finished = heard.finished("a", timeout=3)
    assert finished.state == "failed" and finished.error == "The worker was not ready within 0.3 s."


def test_a_device_that_is_not_there_is_refused(make_engine: Callable[..., Engine], heard: Heard) -> None:
    engine = make_engine(device="mps" if sys.platform != "darwin" else "cuda")
    engine.submit(toy("a", "nothing"))
    finished = heard.finished("a")
    assert finished.state == "failed" and "was asked for" in finished.error and "--device cpu" in finished.hint


def test_a_family_that_needs_torch_says_so_without_it(engine: Engine, heard: Heard) -> None:
    engine.submit(toy("a", "nothing", family="diffusion"))
    assert heard.finished("a").error.startswith("A part of the program cannot be used: ")
    next_job_runs(engine, heard)


PROGRAM = """
    import sys, time
    from pathlib import Path
    from studio.engine.engine import Engine
    from studio.engine.protocol import Output
    from tests.engine.listen import NO_TORCH, toy
    engine = Engine(device="cpu", staging=Path(sys.argv[1]), environment=NO_TORCH)
    engine.subscribe(lambda e: print(e.meta["pid"], flush=True) if isinstance(e, Output) else None)
    engine.submit(toy("who", "who"))
    engine.submit(toy("busy", sys.argv[2]))
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
@pytest.mark.parametrize("act", ["hang", "count"])
def test_the_worker_leaves_when_the_program_is_killed(tmp_path: Path, act: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path), act],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert is_alive(pid)
        program.kill()
        assert gone_after(pid, 1) < 1


@pytest.mark.skipif(sys.platform == "win32", reason="reads /proc")
def test_the_worker_leaves_when_its_stdin_closes_while_it_computes(tmp_path: Path) -> None:
    """As on systems where the kernel does not tie it to its parent."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), NO_TORCH["PYTHONPATH"]))}
    with subprocess.Popen(
        [sys.executable, "-m", "studio.engine.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        run = toy("a", "hang")
        worker.stdin.write(type(run)(**{**vars(run), "staging": str(tmp_path)}).line())
        worker.stdin.flush()
        while '"step": 1' not in worker.stdout.readline():
            continue
        worker.stdin.close()
        assert worker.wait(1) == 0


def test_a_kill_in_the_middle_of_saving_leaves_only_whole_files(engine: Engine, heard: Heard, tmp_path: Path) -> None:
    """What has its final name is complete and described, whenever the worker dies; all that was announced
    is there.
    """
    chance = random.Random(7)
    saved = 0
    for number in range(12):
        job = f"pour{number}"
        engine.submit(toy(f"who{number}", "who"))
        pid = heard.meta(f"who{number}")["pid"]
        engine.submit(toy(job, "pour"))
        heard.wait(lambda event, job=job: isinstance(event, Output) and event.job == job)
        time.sleep(chance.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        assert heard.finished(job).state == "failed"
        folder = tmp_path / "staging" / job
        whole = [f for f in folder.iterdir() if f.suffix == ".txt" and ".part" not in f.name]
        for file in whole:
            assert file.read_text() == f"{file.stem} " * 20_000
            assert json.loads(file.with_name(file.name + ".json").read_text())["meta"]["index"] == int(file.stem)
        announced = {Path(event.path) for event in heard.all(Output) if event.job == job}
        assert announced <= set(whole) and len(set(whole) - announced) <= 1
        saved += len(whole)
    assert saved >= 12
