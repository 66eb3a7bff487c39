"""The Image panel on the real program with a pipeline of random weights: every way to ask for pictures, and
what goes wrong.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.families.diffusion.test_controlnet import build_controlnet
from tests.families.diffusion.test_references import build_reference
from tests.families.upscaling.test_enlarging import build
from tests.ui.served import Served, serving
from tests.ui.story import SLOWLY, Board, tiny_model, wait_until

# a page that is left while gradio waits for an answer; a preview that is asked for when its take is done
PASSING = ("AbortError", "Connection errored out", "ERR_ABORTED", "404")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.timeout(500),
    pytest.mark.console(*PASSING),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tiny_model(tmp_path_factory.mktemp("image"))) as running:
        running.wait_usable()
        yield running


@pytest.fixture
def panel(page: Page, served: Served) -> Iterator[Board]:
    served.post("/atelier/act", {"action": "new_session", "panel": "image"})
    opened = Board(page, served).open()
    opened.choose_model("Tiny")
    opened.fill(prompt="a red fox", steps=4, count=1)
    yield opened
    for job in served.ask("/atelier/board/image").json()["jobs"]:
        if job["state"] in ("queued", "running"):
            served.post("/atelier/act", {"action": "cancel", "job": job["id"]})
    page.goto("about:blank")


def newest(served: Served) -> dict:
    return served.ask("/atelier/board/image").json()["jobs"][-1]


WRONG = (
    ("prompt", "", "The prompt is empty."),
    ("prompt", "a {fox", "has no }"),
    ("prompt", "a __nonsense__ fox", "no word list"),
    ("steps", "100000", "Steps is 100000."),
    ("width", "63", "Width is 63."),
    ("height", "50000", "Height is 50000."),
    ("guidance", "-4", "Guidance is -4"),
)


def test_what_is_wrong_stands_under_its_field_and_nothing_is_queued(panel: Board) -> None:
    sound = {"prompt": "a fox", "steps": 4, "width": 64, "height": 64, "guidance": 2}
    problems = panel.page.locator("[role=alert].bd-problem")
    for field, value, said in WRONG:
        panel.fill(**{**sound, field: value})
        panel.generate()
        expect(problems).to_contain_text(said, timeout=10_000)
        expect(problems).to_have_count(1)
        expect(panel.field(field)).to_have_attribute("aria-invalid", "true")
        place, told = panel.field(field).bounding_box(), problems.bounding_box()
        go = panel.page.locator("#image-go").bounding_box()
        assert place and told and go and 0 < told["y"] - place["y"] - place["height"] < 60  # under its field
        # and to be read: not a word a line, not behind the button
        assert told["width"] > 250 and told["y"] + told["height"] < go["y"]
    assert panel.served.ask("/atelier/board/image").json()["jobs"] == []
    panel.fill(**sound)
    panel.generate()
    expect(panel.tiles).to_have_count(1, timeout=20_000)
    expect(problems).to_have_count(0)


def test_what_is_typed_after_a_model_was_chosen_stays(panel: Board) -> None:
    panel.fill(steps=9, width=128)
    panel.field("model").click()
    panel.page.get_by_role("option", name="Starter image", exact=True).last.click()
    panel.fill(width=96)
    expect(panel.page.locator("#image-model")).to_contain_text("Everyday things")  # what the server adds
    found = {name: panel.field(name).input_value() for name in ("size", "width", "height", "steps")}
    assert found == {"size": "Custom", "width": "96", "height": "256", "steps": "12"}


def test_a_grid_is_shown_with_its_settings_at_the_edges(panel: Board) -> None:
    page = panel.page
    page.get_by_role("button", name="X/Y grid").click()
    for side, name, values in (("x", "Steps", "2, 3, 4"), ("y", "Seed", "1-2")):
        panel.field(side).click()
        page.get_by_role("option", name=name, exact=True).last.click()
        panel.field(f"{side}-values").fill(values)
    panel.generate()
    panel.done(6)
    axes = page.locator("#image-board .bd-axis b")
    assert [text for text in axes.all_inner_texts()] == ["2", "3", "4", "1", "2"]
    jobs = panel.served.ask("/atelier/board/image").json()["jobs"]
    assert len(jobs) == 6 and all(job["takes"][0]["sha256"] for job in jobs)  # each cell a real artifact
    boxes = [tile.bounding_box() for tile in panel.tiles.all()]
    assert len({round(b["x"]) for b in boxes if b}) == 3 and len({round(b["y"]) for b in boxes if b}) == 2


def test_a_variation_seed_moves_the_noise_and_comes_back_with_the_settings(panel: Board) -> None:
    page = panel.page
    page.get_by_role("button", name="Sampler and pattern").click()
    panel.fill(**{"seed": 11, "variation-seed": 40, "variation-strength": 0.3, "width": 64, "height": 64})
    panel.generate()
    panel.done(1)
    settings = newest(panel.served)["settings"]
    assert (settings["seed"], settings["variation_seed"], settings["variation_strength"]) == (11, 40, 0.3)
    panel.fill(**{"variation-seed": 5, "variation-strength": 0})
    panel.press("u")
    expect(panel.field("variation-seed")).to_have_value("40", timeout=10_000)
    expect(panel.field("variation-strength")).to_have_value("0.3")


def test_wildcards_make_different_words_in_one_brief(panel: Board) -> None:
    panel.fill(prompt="a {red|blue|green|white|black|golden} fox", count=6)
    expect(panel.page.locator(".bd-note")).to_contain_text("6 possible", timeout=10_000)
    panel.generate()
    panel.done(6)
    prompts = {job["prompt"] for job in panel.served.ask("/atelier/board/image").json()["jobs"]}
    assert len(prompts) > 1 and all(re.fullmatch(r"a \w+ fox", prompt) for prompt in prompts)
    assert panel.page.locator(".bd-stripgroup").count() == 1


def test_a_part_of_an_uploaded_picture_is_painted_anew(panel: Board, tmp_path: Path) -> None:
    page = panel.page
    picture = tmp_path / "lighthouse.png"
    Image.effect_noise((96, 64), 40).convert("RGB").save(picture)
    page.get_by_role("button", name="Start from a picture").click()
    page.locator("#image-start input[type=file]").set_input_files(picture)
    page.get_by_role("button", name="Paint a mask").click(timeout=20_000)
    expect(page.locator(".bd-painter[data-ready]")).to_be_visible(timeout=20_000)
    box = page.locator(".bd-easel canvas").bounding_box()
    assert box
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1], steps=6)
    page.mouse.up()
    page.get_by_role("button", name="Done").click()
    expect(page.locator(".bd-started")).to_contain_text("Only the masked part", timeout=10_000)
    panel.generate()
    panel.done(1)
    job = newest(panel.served)
    assert job["task"] == "inpaint", job
    roles = {given["role"]: given["sha256"] for given in job["inputs"]}
    assert set(roles) == {"init_image", "mask_image"}
    mask = tmp_path / "mask.png"
    mask.write_bytes(panel.served.ask(f"/atelier/files/{roles['mask_image']}").body)
    with Image.open(mask) as painted:
        share = sum(1 for value in painted.convert("L").tobytes() if value > 127) / (painted.width * painted.height)
        assert painted.size == (96, 64)
    assert 0.002 < share < 0.9


def find_in_library(page: Page, place: str, button: str, words: str) -> None:
    page.locator(place).get_by_role("button", name=button, exact=True).click()
    chooser = page.locator(".at-chooser")
    chooser.get_by_role("searchbox").fill(words)
    expect(chooser.locator(".at-work", has=page.locator("img"))).to_have_count(1, timeout=10_000)
    chooser.locator(".at-work").click()
    chooser.get_by_role("button", name="Use", exact=True).click()


def test_pictures_of_the_library_are_start_mask_and_control(panel: Board, tmp_path: Path) -> None:
    page, served = panel.page, panel.served
    left = tmp_path / "left side.png"
    Image.new("L", (64, 64)).save(left)
    with Image.open(left) as half:
        half.paste(255, (0, 0, 32, 64))
        half.save(left)
    served.ask("/atelier/upload?role=source&name=left+side.png", method="POST", body=left.read_bytes())
    panel.fill(prompt="an old lighthouse")
    panel.generate()
    panel.done(1)
    served.post("/atelier/act", {"action": "new_session", "panel": "image"})
    page.reload()
    panel.ready()
    panel.fill(prompt="a red fox", steps=4, count=1)
    page.get_by_role("button", name="Start from a picture").click()
    find_in_library(page, "#image-start", "From the library", "old lighthouse")
    expect(page.locator("#image-start .bd-started")).to_contain_text("an old lighthouse", timeout=10_000)
    find_in_library(page, "#image-start", "Mask from the library", "left side")
    expect(page.locator(".bd-painter[data-ready]")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#image-start .bd-started")).to_contain_text("Only the masked part", timeout=10_000)
    panel.generate()
    panel.done(1)
    job = newest(served)
    roles = {given["role"]: given["sha256"] for given in job["inputs"]}
    assert job["task"] == "inpaint" and set(roles) == {"init_image", "mask_image"}, job
    mask = tmp_path / "mask.png"
    mask.write_bytes(served.ask(f"/atelier/files/{roles['mask_image']}").body)
    with Image.open(mask) as painted:
        assert painted.size == (64, 64) and painted.convert("L").tobytes() == Image.open(left).tobytes()
    page.get_by_role("button", name="Follow a picture's outlines").click()
    find_in_library(page, "#image-control", "From the library", "old lighthouse")
    expect(page.locator("#image-control .bd-started")).to_contain_text("an old lighthouse", timeout=10_000)


def test_the_library_gives_the_form_a_picture_to_begin_with_or_to_follow(panel: Board) -> None:
    page = panel.page
    panel.fill(prompt="a stone bridge")
    panel.generate()
    panel.done(1)
    panel.served.post("/atelier/act", {"action": "new_session", "panel": "image"})
    page.reload()
    panel.ready()
    for button, place in (("Use as start", "#image-start"), ("Follow its outlines", "#image-control")):
        page.locator("#tab-library-button").last.click()
        page.locator("#library-grid").get_by_role("option", name=re.compile("a stone bridge")).first.click()
        details = page.get_by_role("complementary", name="Details")
        details.get_by_role("button", name=button, exact=True).click()
        expect(page.locator(f"{place} .bd-started")).to_contain_text("a stone bridge", timeout=10_000)
        expect(page.locator(place)).to_be_visible()
    page.locator("#tab-library-button").last.click()
    expect(details.get_by_role("button", name="Use as reference", exact=True)).to_have_count(0)  # nothing shows it


def test_a_take_becomes_the_start_of_the_next(panel: Board) -> None:
    panel.generate()
    panel.done(1)
    panel.press("m")
    expect(panel.page.locator(".bd-started")).to_be_visible(timeout=10_000)
    panel.generate()
    expect(panel.page.locator(".bd-head")).to_contain_text("From a picture", timeout=20_000)
    panel.done(1)
    panel.press("a")
    expect(panel.page.get_by_role("treeitem").nth(1)).to_have_attribute("aria-level", "2")


def test_what_is_asked_before_an_answer_came_is_not_lost(panel: Board) -> None:
    panel.fill(count=2, steps=1)
    panel.generate()
    panel.done(2)
    first, second = (take["sha256"] for take in newest(panel.served)["takes"])
    held: list[Route] = []
    panel.page.route("**/gradio_api/run/predict", lambda route: held.append(route) if keys else route.continue_())
    keys = ["1", "v", "2", "v"]
    panel.press(*keys)
    wait_until(panel.page, lambda: bool(held))
    keys.clear()
    for route in held:
        route.continue_()
    jobs = "/atelier/board/image"
    wait_until(panel.page, lambda: len(panel.served.ask(jobs).json()["jobs"]) == 3)
    assert [job["parent"] for job in panel.served.ask(jobs).json()["jobs"]] == [None, first, second]


def test_a_take_is_enlarged_as_many_times_as_are_chosen(panel: Board) -> None:
    build("swin", panel.served.home / "models" / "larger")
    panel.generate()
    panel.done(1)
    for model, times, side in (("larger", "3", 64 * 3), ("", "2", 64 * 3 * 2)):  # the second one of what the first made
        panel.press("1", "Shift+L")
        dialog = panel.page.get_by_role("dialog", name="Enlarge")
        dialog.get_by_label("Model").select_option(model)
        dialog.get_by_label("Times as large").select_option(times)
        expect(dialog).to_contain_text(f"becomes {side} × {side} pixels.")
        expect(dialog.get_by_label("Kind of picture")).to_be_visible(visible=not model)
        dialog.get_by_role("button", name="Enlarge").click()
        expect(panel.page.locator(".bd-head")).to_contain_text("Enlarged", timeout=20_000)
        wait_until(panel.page, lambda side=side: newest(panel.served)["takes"][0]["width"] == side, 90)
        assert newest(panel.served)["model"] == model
        panel.done(1)


def test_a_walk_between_two_takes(panel: Board) -> None:
    page = panel.page
    panel.fill(count=2)
    panel.generate()
    panel.done(2)
    panel.press("1", "l")
    expect(page.locator(".bd-actions")).to_contain_text("Choose the take to walk to")
    panel.tiles.nth(1).click()
    dialog = page.get_by_role("dialog", name="Latent walk")
    dialog.get_by_label("Frames", exact=True).fill("3")
    dialog.get_by_role("button", name="Make the walk").click()
    expect(page.locator(".bd-head")).to_contain_text("Walk", timeout=20_000)
    panel.done(1)
    take = newest(panel.served)["takes"][0]
    assert take["media_type"] == "image/gif"


def test_stop_keeps_the_queue_usable(panel: Board) -> None:
    panel.fill(steps=150, width=256, height=256, count=8)
    panel.generate()
    stop = panel.page.locator("#image-stop")
    expect(stop).to_be_visible(timeout=20_000)
    panel.page.keyboard.press("Escape")
    expect(panel.status).to_contain_text("Stopped", timeout=SLOWLY)
    expect(stop).to_be_hidden()


def test_stop_ends_what_runs_and_what_was_asked_after_it_waits_on(panel: Board) -> None:
    page = panel.page
    panel.fill(steps=150, width=256, height=256, count=8)
    for prompt in ("one fox", "two foxes", "three foxes"):
        panel.fill(prompt=prompt)
        panel.generate()
        expect(page.locator("#image-board .bd-strip .bd-stripcaption", has_text=prompt)).to_have_count(1)
    page.locator("#image-stop").click()
    told = page.locator("#image-board .bd-toast")
    expect(told).to_contain_text("Stopped. 2 more wait.", timeout=SLOWLY)
    live = [job["prompt"] for job in panel.served.ask("/atelier/queue").json()["jobs"] if job["state"] != "failed"]
    assert set(live) >= {"two foxes", "three foxes"}
    told.get_by_role("button", name="Stop them too").click()
    expect(panel.status).to_contain_text("Stopped", timeout=SLOWLY)
    expect(page.locator("#image-stop")).to_be_hidden()


def test_many_takes_in_the_strip_lie_beside_the_next_brief(panel: Board) -> None:
    page = panel.page
    page.set_viewport_size({"width": 390, "height": 844})
    try:
        for prompt, count in (("many foxes", 16), ("few foxes", 2)):
            panel.fill(prompt=prompt, steps=1, width=64, height=64, count=count)
            panel.generate()
            panel.done(count)
            first, grid = panel.tiles.first.bounding_box(), page.locator("#image-board .bd-grid").bounding_box()
            assert first and grid and first["y"] >= grid["y"]  # what is higher than the stage begins at its top
            panel.press(*["ArrowRight"] * (count - 1))
            last, grid = panel.tiles.last.bounding_box(), page.locator("#image-board .bd-grid").bounding_box()
            assert last and grid and last["y"] + last["height"] <= grid["y"] + grid["height"]  # ... and goes along
        boxes = [group.bounding_box() for group in page.locator("#image-board .bd-strip .bd-stripgroup").all()[-2:]]
        last = page.locator("#image-board .bd-strip .bd-stripgroup").nth(-2).locator(".bd-tile").last.bounding_box()
        assert boxes[0] and boxes[1] and last
        assert last["x"] + last["width"] <= boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    finally:
        page.set_viewport_size({"width": 1280, "height": 800})


def test_a_failed_job_says_why_and_can_be_tried_again(panel: Board) -> None:
    weights = next((panel.served.home / "models" / "a-tiny-one" / "unet").glob("*.safetensors"))
    whole = weights.read_bytes()
    try:
        weights.write_bytes(whole[:100])
        panel.fill(prompt="a broken fox", width=72)
        panel.generate()
        error = panel.page.locator(".bd-error")
        expect(error.get_by_role("button", name="Retry")).to_be_visible(timeout=SLOWLY)
        assert error.inner_text().strip()
    finally:
        weights.write_bytes(whole)
    panel.page.get_by_role("button", name="Retry").click()
    panel.done(1)
    panel.page.locator("#image-board .bd-stripcaption").first.click()
    expect(error).to_be_visible()
    error.get_by_role("button", name="Dismiss").click()
    expect(panel.page.locator("#image-board .bd-stripgroup")).to_have_count(1)
    expect(error).to_have_count(0)


def test_earlier_prompts_come_back(panel: Board) -> None:
    panel.fill(prompt="a golden fox")
    panel.generate()
    expect(panel.tiles).to_have_count(1, timeout=20_000)
    field = panel.field("prompt")
    field.fill("")
    field.press("ArrowUp")
    expect(field).to_have_value("a golden fox")
    field.press("End")
    field.press("ArrowDown")
    expect(field).to_have_value("")


def test_the_same_road_by_program(panel: Board) -> None:
    from gradio_client import Client

    client = Client(
        panel.served.url,
        headers={"Authorization": f"Bearer {panel.served.token}"},
        verbose=False,
        analytics_enabled=False,
    )
    told = client.predict(
        prompt="a fox",
        count=1,
        seed=5,
        model="tiny",
        settings={"num_inference_steps": 2},
        api_name="/generate",
    )
    job = told["job"]
    for _ in range(600):
        told = client.predict(job=job, api_name="/status")
        if told["state"] not in ("queued", "running"):
            break
        panel.page.wait_for_timeout(250)
    assert told["state"] == "done" and len(told["artifacts"]) == 1
    got = client.predict(sha256=told["artifacts"][0], api_name="/get")
    assert got["request"]["seed"] == 5 and "path" not in got
    assert client.predict(text="fox", api_name="/list")["total"] >= 1
    with pytest.raises(Exception, match="no model 'nonsense'"):
        client.predict(prompt="a fox", model="nonsense", api_name="/generate")


def test_a_lora_is_put_into_the_prompt_and_a_wrong_one_is_said(panel: Board) -> None:
    page, adapters = panel.page, panel.served.home / "adapters"
    adapters.mkdir()
    (adapters / "my-dog.safetensors").write_bytes(b"no weights")
    page.reload()
    panel.ready()
    expect(panel.field("size")).to_have_value("Square")  # the menu of a model that is not the first one
    panel.fill(prompt="a fox")
    panel.field("lora").click()
    page.get_by_role("option", name="my-dog", exact=True).last.click()
    expect(panel.field("prompt")).to_have_value("a fox <lora:my-dog:1>")
    panel.generate()
    expect(page.locator(".bd-error")).to_contain_text("'my-dog.safetensors' is not a LoRA", timeout=SLOWLY)
    panel.fill(prompt="a fox <lora:my-cat:1>")
    panel.generate()
    expect(page.locator("#image-prompt [role=alert]")).to_contain_text("There is no LoRA 'my-cat'")
    shutil.rmtree(adapters)


def test_what_comes_while_the_program_runs_is_offered_without_a_restart(panel: Board) -> None:
    page, home = panel.page, panel.served.home
    model = home / "models" / "a-tiny-one"
    panel.generate()
    panel.done(1)
    referring = page.locator("#image-board .do-reference")
    expect(page.locator("#image-board .do-control")).to_be_visible()
    expect(referring).to_have_count(0)
    expect(page.locator("#image-reference-fold")).to_have_count(0)
    build_reference(model, home / "models" / "look")
    build_controlnet("sd", model, home / "models" / "depth-lines")
    (home / "embeddings").mkdir()
    (home / "embeddings" / "old-master.safetensors").write_bytes(b"no weights")
    page.evaluate("dispatchEvent(new CustomEvent('atelier:models'))")  # as a download that is done
    expect(referring).to_be_visible(timeout=10_000)
    referring.click()
    expect(page.locator("#image-reference")).to_contain_text("a red fox", timeout=10_000)
    for field, name in (("ip-adapter", "look"), ("embedding", "old-master")):
        panel.field(field).click()
        page.get_by_role("option", name=name, exact=True).last.click()
    expect(panel.field("prompt")).to_have_value("a red fox <old-master>")
    panel.fill(prompt="a red fox")
    page.get_by_role("button", name="Follow a picture's outlines").click()
    panel.field("controlnet").click()
    expect(page.get_by_role("option", name="depth-lines", exact=True).last).to_be_visible()
    page.keyboard.press("Escape")
    panel.generate()
    expect(page.locator("#image-board .bd-stripgroup")).to_have_count(2, timeout=20_000)
    panel.done(1)
    assert newest(panel.served)["settings"]["ip_adapter"] == "look"
    page.reload()
    panel.ready()
    expect(page.locator("#image-reference-fold")).to_be_visible(timeout=10_000)
    for gone in (home / "models" / "look", home / "models" / "depth-lines", home / "embeddings"):
        shutil.rmtree(gone)
    page.evaluate("dispatchEvent(new CustomEvent('atelier:models'))")
    expect(page.locator("#image-reference-fold")).to_have_count(0, timeout=10_000)
    expect(referring).to_have_count(0)
