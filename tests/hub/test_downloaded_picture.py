"""A starter that was downloaded from a hub makes the very picture that the built-in one makes."""

import pytest

from studio.hub.downloads import Downloads
from studio.hub.plan import make_plan
from studio.hub.repository import Hub
from studio.settings import ASSETS, Settings
from studio.studio import Studio
from studio.types import Request
from tests.hub.hub_server import HubServer


@pytest.mark.slow
@pytest.mark.model
def test_the_same_picture(server: HubServer, settings: Settings, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("atelier/pictures", ASSETS / "models" / "starter-image")
    plan = make_plan(settings, hub, "atelier/pictures", name="downloaded")
    with Downloads(settings) as downloads:
        downloads.start(plan)
        assert downloads.wait(plan.id, timeout=60).state == "done"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = []
    with Studio(settings) as studio:
        for model in ("starter-image", "downloaded"):
            params = {"num_images_per_prompt": 1, "num_inference_steps": 2, "width": 64, "height": 64}
            request = Request(task="text_to_image", model=model, prompt="a red fox", seed=7, params=params)
            job = studio.submit(request, panel="test")
            assert studio.wait(job.id, timeout=120).state == "done"
            (artifact,) = studio.library.outputs(job.id)
            made.append(artifact)
        assert studio.catalog.model("downloaded").card["knows"] == studio.catalog.model("starter-image").card["knows"]
    from PIL import Image

    first, second = (Image.open(artifact.path).tobytes() for artifact in made)
    assert first == second and made[0].sha256 != made[1].sha256  # the settings inside name the model
