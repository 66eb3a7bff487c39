"""From the values of the Design panel's form to requests, and back; what a variation of a tool's take is."""

import json
from collections.abc import Iterator

import pytest
from PIL import Image

from studio.errors import InvalidInput
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Request
from studio.ui import designing
from studio.ui.design_variations import variations
from studio.ui.designing import ACTS, ALL, BENCH_OF, Designing

TOOLS = [act for act in ACTS.values() if act.family == "craft"]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    home = tmp_path_factory.mktemp("home")
    for name, config in (
        ("config.json", {"architectures": ["DepthAnythingForDepthEstimation"]}),
        ("model_index.json", {"_class_name": "MarigoldIntrinsicsPipeline"}),
        ("pose/config.json", {"architectures": ["VitPoseForPoseEstimation"], "model_type": "vitpose"}),
    ):
        folder = home / "models" / name.partition(".")[0].replace("/", "-")
        folder.mkdir(parents=True)
        (folder / name.rpartition("/")[2]).write_text(json.dumps(config))
    with Studio(Settings.load({"home": str(home)}, {})) as running:
        yield running


@pytest.fixture(scope="module")
def piece(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("picture") / "leaf.png"
    Image.new("RGB", (32, 24), "green").save(file)
    kept = studio.adopt(file, role="source")
    return {"sha256": kept.sha256, "media_type": kept.media_type, "name": "leaf"}


def asked(task: str, piece: dict[str, str], **values: object) -> Designing:
    bench = BENCH_OF[task]
    chosen = {"bench": bench, f"act.{bench}": task, "prompt": "a green leaf", "seed": 5, "lock": True}
    own = {f"{task}.{name}": value for name, value in values.items()}
    return Designing(values={**chosen, **own}, pieces=[piece], drawing=piece["sha256"])


@pytest.mark.parametrize("task", list(ACTS))
def test_every_act_asks_for_what_its_family_takes_and_comes_back(
    task: str, studio: Studio, piece: dict[str, str]
) -> None:
    values = {"palette": "teal, #fafafa"} if task == "recolour" else {}
    if task == "tile":
        values["num_images_per_prompt"] = 2  # type: ignore[assignment]
    (request,) = designing.plan(studio, asked(task, piece, **values)).requests
    studio.check(request)
    back, shown = designing.form_values(request)
    assert back == task and designing.act_of(shown).task == task
    if ACTS[task].model:
        assert shown["seed"] == 5
    else:
        assert request.inputs and request.model == "" and request.prompt == "leaf.png" or task == "sheet"


def test_all_values_of_a_setting_can_be_tried(studio: Studio, piece: dict[str, str]) -> None:
    plan = designing.plan(studio, asked("vectorise", piece, detail=ALL))
    assert [one.params["detail"] for one in plan.requests] == ["poster", "clean", "fine"] and plan.group


@pytest.mark.parametrize("act", TOOLS, ids=lambda act: act.task)
@pytest.mark.parametrize("strength", ["subtle", "strong"])
def test_a_variation_of_a_tool_is_another_take_of_it(
    act: designing.Act, strength: str, studio: Studio, piece: dict[str, str]
) -> None:
    values = {"palette": "teal, #fafafa"} if act.task == "recolour" else {}
    (first,) = designing.plan(studio, asked(act.task, piece, **values)).requests
    first = studio.check(first)
    made = variations(first, piece["sha256"], strength)
    assert 1 <= len(made) <= 3
    for one in made:
        assert studio.check(one).params != first.params and one.parent == piece["sha256"]
        assert one.inputs == first.inputs


def test_what_is_missing_is_said_before_anything_is_queued(studio: Studio, piece: dict[str, str]) -> None:
    nothing = Designing(values={"bench": "mockup"})
    with pytest.raises(InvalidInput, match="needs a picture in the tray"):
        designing.plan(studio, nothing)
    with pytest.raises(InvalidInput, match="bluish"):
        designing.plan(studio, asked("recolour", piece, palette="bluish"))
    with pytest.raises(InvalidInput, match="no such tool"):
        designing.tool(studio, piece["sha256"], "text_to_shape", {})
    (request,) = designing.tool(studio, piece["sha256"], "depth_map", {})
    assert request.model == "config" and request.parent == request.inputs[0].artifact == piece["sha256"]
    with pytest.raises(InvalidInput, match="not from a form"):
        designing.form_values(Request(task="morph_shapes", model="starter-shape"))
