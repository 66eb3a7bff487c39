"""Downloads against a hub that dies, stalls, lies and fills the disk: what is offered in the end is whole."""

import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest

from studio.catalog import Catalog
from studio.errors import NotFound
from studio.hub.access_token import AccessToken
from studio.hub.downloads import Downloads, Progress
from studio.hub.plan import make_plan
from studio.hub.refusals import Offline
from studio.hub.repository import Hub
from studio.settings import Settings
from tests.hub.conftest import writer
from tests.hub.hub_server import HubServer

WORDS = "some/writer"


def until(downloads: Downloads, id: str, ready: int, timeout: float = 20.0) -> Progress:
    """The first look at which at least so many bytes are there."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        now = downloads.progress(id)
        if now.done >= ready or not now.under_way:
            return now
        time.sleep(0.01)
    raise AssertionError(now)


def whole(settings: Settings, id: str, files: dict[str, bytes]) -> bool:
    folder = settings.models / id
    kept = [name for name in files if name != "README.md"]
    return all((folder / name).read_bytes() == files[name] for name in kept) and not list(folder.rglob("*.part"))


def test_a_download_becomes_a_model(server: HubServer, settings: Settings, hub: Hub) -> None:
    files = writer()
    server.add(WORDS, files, card={"license": "mit"})
    plan = make_plan(settings, hub, WORDS)
    seen: list[Progress] = []
    with Downloads(settings) as downloads:
        assert downloads.start(plan).state == "starting"
        done = downloads.wait(plan.id, each=seen.append, timeout=30)
        assert done.state == "done" and done.done == done.total == plan.size, done
        assert [p.done for p in seen] == sorted(p.done for p in seen)
    (model,) = [m for m in Catalog(settings).models() if m.id == "writer"]
    assert model.source == "hub" and model.family == "causal_lm" and model.licence == "mit"
    assert model.card["hub"]["repo"] == WORDS and model.card["hub"]["revision"] == plan.revision
    assert whole(settings, "writer", files) and not (model.folder / "README.md").exists()
    assert not list((settings.models / ".downloads").iterdir())


def test_a_kill_at_any_moment_costs_little(server: HubServer, settings: Settings, hub: Hub) -> None:
    """SIGKILL of the process at random points: the catalog never lists a part, and the next one goes on from there."""
    files = writer(4_000_000)
    server.add(WORDS, files)
    server.pause = 0.002
    plan = make_plan(settings, hub, WORDS)
    chance = random.Random(5)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        for share in sorted(chance.uniform(0.05, 0.95) for _ in range(4)):
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


def test_paused_cancelled_and_found_again(server: HubServer, settings: Settings, hub: Hub) -> None:
    """Stop works while a slow server trickles; the next program finds what is paused."""
    files = writer()
    server.add(WORDS, files)
    server.pause = 0.05
    plan = make_plan(settings, hub, WORDS)
    with Downloads(settings) as downloads:
        downloads.start(plan)
        until(downloads, plan.id, 300_000)
        started = time.monotonic()
        paused = downloads.pause(plan.id)
        assert paused.state == "paused" and time.monotonic() - started < 2
    with Downloads(settings) as later:
        (left,) = later.all()
        assert left.state == "paused" and left.done >= 250_000 and left.repo == WORDS
        server.pause = 0.0
        later.resume(plan.id)
        assert later.wait(plan.id, timeout=30).state == "done"
        assert whole(settings, "writer", files)
    server.pause = 0.05
    other = make_plan(settings, hub, WORDS, name="another")
    with Downloads(settings) as downloads:
        downloads.start(other)
        until(downloads, other.id, 100_000)
        downloads.cancel(other.id)
        with pytest.raises(NotFound):
            downloads.progress(other.id)
        assert not downloads.all() and not (settings.models / ".downloads" / other.id).exists()


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


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs prlimit to fill a disk for one process alone")
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
        assert downloads.resume(plan.id).done >= 500_000
        assert downloads.wait(plan.id, timeout=30).state == "done"
    assert whole(settings, "writer", files)


def test_a_cache_of_the_hub_is_used_without_copying(server: HubServer, settings: Settings, hub: Hub) -> None:
    """What another program downloaded is linked; what lies damaged there is downloaded."""
    files = writer(400_000)
    repo = server.add(WORDS, files)
    snapshot = Path(os.environ["HF_HOME"]) / "hub" / "models--some--writer" / "snapshots" / repo.commit
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(files["model.safetensors"])
    (snapshot / "tokenizer.json").write_bytes(b'{"version": "2.0"}')
    plan = make_plan(settings, hub, WORDS)
    assert plan.cached >= 400_000
    with Downloads(settings) as downloads:
        downloads.start(plan)
        assert downloads.wait(plan.id, timeout=30).state == "done"
    assert whole(settings, "writer", files) and not server.storage_requests()
    kept = settings.models / "writer" / "model.safetensors"
    assert kept.samefile(snapshot / "model.safetensors") and kept.stat().st_nlink == 2


def test_programs_of_a_model_are_found_before_its_weights(server: HubServer, settings: Settings, hub: Hub) -> None:
    """A part's own configuration is only seen during the download: no weights are asked for then."""
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    files = {
        "model_index.json": str(index).replace("'", '"').encode(),
        "unet/config.json": b'{"auto_map": {"AutoModel": "evil.Model"}}',
        "unet/diffusion_pytorch_model.safetensors": bytes(50_000),
    }
    server.add("some/thing", files)
    plan = make_plan(settings, hub, "some/thing")
    with Downloads(settings) as downloads:
        downloads.start(plan)
        failed = downloads.wait(plan.id, timeout=30)
    assert failed.state == "failed" and "programs of its own" in failed.message and not server.storage_requests()


def test_offline_starts_nothing(server: HubServer, settings: Settings, hub: Hub, tmp_path: Path) -> None:
    server.add(WORDS, writer(20_000))
    plan = make_plan(settings, hub, WORDS)
    server.seen.clear()
    offline = Settings.load({"home": str(tmp_path / "home"), "offline": True}, {})
    with Downloads(offline) as downloads, pytest.raises(Offline):
        downloads.start(plan)
    with pytest.raises(Offline):
        make_plan(offline, Hub(offline), WORDS)
    with pytest.raises(Offline):
        Hub(offline).search("writer")
    assert not server.seen


def test_a_gated_model_and_a_token_that_nobody_sees(server: HubServer, settings: Settings) -> None:
    """The token opens the model, and stands in no argument, environment, file of the home or message."""
    secret = "hf_" + "SecretSecretSecret42"
    files = writer(400_000)
    server.add("closed/writer", files, gated=True, token=secret)
    hub = Hub(settings, {"HF_ENDPOINT": server.url, "HF_TOKEN": secret})
    plan = make_plan(settings, hub, "closed/writer")
    server.pause = 0.02
    with Downloads(settings) as downloads:
        downloads.start(plan, AccessToken("hf_wrongwrongwrong", "HF_TOKEN"))
        refused = downloads.wait(plan.id, timeout=30)
        assert refused.state == "failed" and refused.kind == "Gated" and "hf_" not in refused.message + refused.hint
        downloads.resume(plan.id, hub.token)
        until(downloads, plan.id, 100_000)
        process = Path("/proc") / str(downloads._live[plan.id].process.pid)
        if process.is_dir():
            assert secret.encode() not in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        server.pause = 0.0
        assert downloads.wait(plan.id, timeout=30).state == "done"
    kept = [path for path in settings.home.rglob("*") if path.is_file()]
    assert kept and not any(secret.encode() in path.read_bytes() for path in kept)
    assert all("Authorization" not in h and "authorization" not in h for h in server.storage_requests())
