"""Downloads from a hub: what is offered in the end is whole, and nothing is lost, asked for twice or told on."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from studio.catalog import Catalog
from studio.errors import Busy, NotFound
from studio.hub.access_token import AccessToken
from studio.hub.downloads import Downloads, Progress
from studio.hub.plan import make_plan
from studio.hub.refusals import Offline
from studio.hub.repository import Hub
from studio.settings import Settings
from tests.hub.conftest import until, whole, writer
from tests.hub.hub_server import HubServer

WORDS = "some/writer"


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


def test_paused_cancelled_and_found_again(server: HubServer, settings: Settings, hub: Hub) -> None:
    """Stop works while a slow server trickles; the next program finds what is paused."""
    files = writer()
    server.add(WORDS, files)
    server.pause = 0.02
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


def test_two_programs_do_not_download_the_same(server: HubServer, settings: Settings, hub: Hub) -> None:
    server.add(WORDS, writer())
    server.pause = 0.03
    plan = make_plan(settings, hub, WORDS)
    with Downloads(settings) as one, Downloads(settings) as other:
        one.start(plan)
        until(one, plan.id, 100_000)
        with pytest.raises(Busy):
            one.start(plan)
        other.start(plan)
        refused = other.wait(plan.id, timeout=20)
        assert refused.state == "failed" and refused.kind == "Busy"
        with pytest.raises(Busy):
            other.cancel(plan.id)
        server.pause = 0.0
        assert one.wait(plan.id, timeout=30).state == "done"


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


def test_a_token_never_travels_in_the_open(server: HubServer, settings: Settings) -> None:
    """Plain HTTP to what is not known to be this machine: neither a new download nor one that is gone on with."""
    server.add(WORDS, writer())
    token = AccessToken("hf_secret_of_this_test_01234", "home")
    in_the_open = Hub(settings, {"HF_ENDPOINT": server.url.replace("127.0.0.1", "127.1")})
    plan = make_plan(settings, in_the_open, WORDS)
    server.pause = 0.02
    with Downloads(settings) as downloads:
        downloads.start(plan, token)
        until(downloads, plan.id, 300_000)
    server.pause = 0.0
    with Downloads(settings) as later:
        later.resume(plan.id, token)
        assert later.wait(plan.id, timeout=30).state == "done"
        assert server.storage_requests() and not any(carried(headers) for _, _, headers in server.seen)
        later.start(make_plan(settings, Hub(settings), WORDS, name="another"), token)
        assert later.wait("another", timeout=30).state == "done"
    assert any(carried(headers) for _, _, headers in server.seen)


def carried(headers: Mapping[str, str]) -> bool:
    return "authorization" in {name.lower() for name in headers}
