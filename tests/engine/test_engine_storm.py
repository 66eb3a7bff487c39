"""Everything at once: people who click at random while workers crash and are killed. The promises of the
engine hold.
"""

import os
import random
import signal
import threading
import time
from pathlib import Path

from studio.engine.engine import Engine, Started
from studio.engine.protocol import Finished, Output
from tests.engine.listen import Heard, toy

ACTS = ("nothing", "nothing", "who", "who", "count", "error", "crash", "leave", "refuse", "torn", "memory")


def is_worker(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline")
    return command.exists() and b"studio.engine.worker" in command.read_bytes()


def test_whatever_happens_every_job_ends_once(engine: Engine, heard: Heard) -> None:
    chance = random.Random(11)
    jobs = [f"job{number}" for number in range(60)]
    over = threading.Event()

    def kill_workers() -> None:
        while not over.wait(chance.uniform(0.05, 0.4)):
            pids = [event.meta["pid"] for event in heard.all(Output) if "pid" in event.meta]
            if pids and is_worker(pids[-1]):
                os.kill(pids[-1], signal.SIGKILL)

    def click() -> None:
        while not over.wait(0.01):
            act = chance.choice((engine.pause, engine.resume, engine.resume, engine.unload, engine.warm))
            act()
            engine.cancel(chance.choice(jobs)) if chance.random() < 0.1 else None
            engine.reorder(chance.choice(jobs), chance.uniform(0, 60))

    people = [threading.Thread(target=act) for act in (kill_workers, click, click)]
    for person in people:
        person.start()
    for job in jobs:
        engine.submit(toy(job, chance.choice(ACTS), steps=3, pause=0.005))
        time.sleep(chance.uniform(0, 0.02))
    end = time.monotonic() + 20
    while (engine.queued() or engine.running) and time.monotonic() < end:
        for job in jobs:  # those that wait for a Stop
            if job == engine.running and heard.of(job).count("Progress") and chance.random() < 0.02:
                engine.cancel(job)
        time.sleep(0.01)
    over.set()
    for person in people:
        person.join()
    engine.resume()
    for job in (*engine.queued(), engine.running or ""):
        engine.cancel(job)
    for job in jobs:
        heard.finished(job, timeout=5)
    engine.submit(toy("after", "who"))
    assert heard.finished("after").state == "done"

    for job in jobs:
        story = heard.of(job)
        assert story.count("Finished") == 1 and story[-1] == "Finished", (job, story)
        assert story == ["Finished"] or (story[0] == "Started" and story.count("Started") == 1), (job, story)
    running = ""
    for event in heard.events:  # one at a time, and nothing about another one meanwhile
        if isinstance(event, Started):
            assert running == ""
            running = event.job
        elif isinstance(event, Finished):
            running = "" if event.job == running else running
        elif event.job:
            assert event.job == running
    states = {event.state for event in heard.all(Finished)}
    assert {"done", "failed"} <= states <= {"done", "failed", "cancelled"}
    assert all(event.error and event.hint for event in heard.all(Finished) if event.state == "failed")
