"""Downloads against a hub that dies, lies and fills the disk, and kills at any moment."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

try:
    import resource
except ImportError:  # Windows
    resource = None

from studio.catalog import Catalog
from studio.hub import downloads as module
from studio.hub import repository
from studio.hub.downloads import Downloads
from studio.hub.plan import make_plan, plan_text
from studio.hub.refusals import Unreachable
from studio.hub.repository import Hub
from studio.settings import ROOT, Settings
from tests.hub.conftest import until, whole, writer
from tests.hub.hub_server import HubServer

WORDS = "some/writer"


def test_a_kill_at_any_moment_costs_little(server: HubServer, settings: Settings, hub: Hub) -> None:
    """SIGKILL of the process at random points: the catalog never lists a part, and the next one goes on from there."""
    files = writer(4_000_000)
    server.add(WORDS, files)
    server.pause = 0.002
    plan = make_plan(settings, hub, WORDS)
    chance = random.Random(5)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        for share in sorted(chance.uniform(0.05, 0.95) for _ in range(3)):
            now = until(downloads, plan.id, int(share * plan.size))
            assert now.under_way
            os.kill(downloads._live[plan.id].process.pid, signal.SIGKILL)
            broken = downloads.wait(plan.id, timeout=10)
            assert broken.state == "failed" and "ended unexpectedly" in broken.message
            assert "writer" not in {m.id for m in Catalog(settings).models()}
            again = downloads.resume(plan.id)
            assert again.done >= 0.8 * now.done  # what was written stays
        server.pause = 0.0
        assert downloads.wait(plan.id, timeout=30).state == "done"
    assert whole(settings, "writer", files)
    assert server.sent < 1.5 * len(files["model.safetensors"])
    assert any("Range" in headers for headers in server.storage_requests())


def test_a_kill_between_the_last_two_steps(server: HubServer, settings: Settings, hub: Hub) -> None:
    """The model lies where it belongs, the notes of its download are left: they are cleared away."""
    server.add(WORDS, writer(20_000))
    plan = make_plan(settings, hub, WORDS)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        assert downloads.wait(plan.id, timeout=30).state == "done"
    staging = settings.models / ".downloads" / plan.id
    staging.mkdir()
    (staging / "job.json").write_text(plan_text(plan))
    with Downloads(settings) as later:
        assert later.all() == () and not staging.exists()


def test_the_hub_dies_in_the_middle(server: HubServer, settings: Settings, hub: Hub) -> None:
    """A cut connection is gone on with; a hub that stays away is told in a sentence, and resume works later."""
    files = writer(2_000_000)
    server.add(WORDS, files)
    server.dies_after, server.deaths = 700_000, 2
    plan = make_plan(settings, hub, WORDS)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        assert downloads.wait(plan.id, timeout=40).state == "done"
        assert whole(settings, "writer", files)
        server.fails_with = 410
        other = make_plan(settings, hub, WORDS, name="second")
        downloads.start(other)
        failed = downloads.wait(other.id, timeout=40)
        assert failed.state == "failed" and "410" in failed.message and failed.hint, failed
        server.fails_with = 0
        downloads.resume(other.id)
        assert downloads.wait(other.id, timeout=30).state == "done"


def test_a_hub_that_is_gone_or_silent(
    server: HubServer, settings: Settings, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence has an end, waiting is told and can be stopped at once, and what is there is kept."""
    server.add(WORDS, writer(1_000_000))
    monkeypatch.setattr(repository, "PATIENCE", 0.3)
    plan = make_plan(settings, hub, WORDS)
    server.pause = 0.02
    with Downloads(settings) as downloads:
        downloads.start(plan)
        until(downloads, plan.id, 200_000)
        server.silent, server.dies_after = True, 0
        with pytest.raises(Unreachable, match="does not answer"):
            hub.look_up(WORDS)
        monkeypatch.setattr(module, "SILENCE", 0.5)
        end = time.monotonic() + 20
        while downloads.progress(plan.id).state != "waiting" and time.monotonic() < end:
            time.sleep(0.02)
        assert downloads.progress(plan.id).state == downloads.all()[0].state == "waiting"
        started = time.monotonic()
        assert downloads.pause(plan.id).state == "paused" and time.monotonic() - started < 3
        server.silent, server.dies_after, server.pause = False, -1, 0.0
        assert downloads.resume(plan.id).done >= 150_000
        assert downloads.wait(plan.id, timeout=30).state == "done"


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_program_takes_its_download_along(server: HubServer, settings: Settings) -> None:
    """`models get` is killed: its process leaves too, and the same command goes on from there."""
    files = writer(3_000_000)
    server.add(WORDS, files, card={"license": "mit"})
    server.pause = 0.02
    command = [sys.executable, "-m", "studio", "models", "get", WORDS, "--home", str(settings.home), "--memory", "8G"]
    started = subprocess.Popen([*command, "--json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert started.stdout is not None
    for line in started.stdout:
        if json.loads(line).get("done", 0) > 500_000:
            break
    started.kill()
    started.wait(10)
    started.stdout.close()
    with Downloads(settings) as later:
        (left,) = later.all()
        assert left.state == "paused" and left.done >= 450_000
        sent = server.sent
        time.sleep(0.3)
        assert server.sent - sent < 300_000, "nobody downloads any more"
    server.pause = 0.0
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout.splitlines()[-1])["model"] == "writer", done.stderr
    assert whole(settings, "writer", files)


def test_damaged_bytes_never_arrive(server: HubServer, settings: Settings, hub: Hub) -> None:
    files = writer(500_000)
    server.add(WORDS, files)
    server.corrupts = 1  # once: it is asked for again
    plan = make_plan(settings, hub, WORDS)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        assert downloads.wait(plan.id, timeout=30).state == "done"
        assert whole(settings, "writer", files) and server.corrupts == 0
        server.corrupts = 9
        other = make_plan(settings, hub, WORDS, name="second")
        downloads.start(other)
        failed = downloads.wait(other.id, timeout=30)
        assert failed.state == "failed" and "checksum" in failed.message and failed.kind == "ModelError"
    assert "second" not in {m.id for m in Catalog(settings).models()}


@pytest.mark.skipif(
    resource is None or not hasattr(resource, "prlimit"), reason="needs prlimit to fill a disk for one process alone"
)
def test_a_full_disk_keeps_what_there_is(server: HubServer, settings: Settings, hub: Hub) -> None:
    files = writer(3_000_000)
    server.add(WORDS, files)
    server.pause = 0.01
    plan = make_plan(settings, hub, WORDS)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        until(downloads, plan.id, 300_000)
        pid = downloads._live[plan.id].process.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        failed = downloads.wait(plan.id, timeout=30)
        assert failed.state == "failed" and "disk is full" in failed.message and failed.kind == "DiskFull", failed
        server.pause = 0.0
        assert make_plan(settings, hub, WORDS).staged >= 500_000
        assert downloads.resume(plan.id).done >= 500_000
        assert downloads.wait(plan.id, timeout=30).state == "done"
    assert whole(settings, "writer", files)
