"""What the picture form and the `image` command ask for beyond a plain picture. No browser, no model."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.cli import parser
from studio.errors import InvalidInput, NotFound, StudioError
from studio.families import family
from studio.image_commands import checked_requests, image_request, listed_requests
from studio.settings import Settings
from studio.studio import Studio
from studio.types import Artifact, Request
from studio.ui import board, brief, pictures
from tests.families.diffusion import tiny
from tests.families.diffusion.test_controlnet import build_controlnet
from tests.families.diffusion.test_parts import scene
from tests.families.diffusion.test_references import build_reference

VALUES = {"prompt": "a fox", "model": "a", "num_images_per_prompt": 2, "seed": 7, "lock": True, "extend_left": 0}


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    folder = home / "models" / "a"
    folder.mkdir(parents=True)
    tasks = '["text_to_image", "image_to_image", "inpaint"]'
    card = f'id = "a"\nname = "A"\nfamily = "diffusion"\ntasks = {tasks}\n[defaults]\nwidth = 64\nheight = 64\n'
    (folder / "card.toml").write_text(card, "utf-8")
    with Studio(Settings(home=home)) as opened:
        opened.pause()
        yield opened


@pytest.fixture
def picture(studio: Studio, tmp_path: Path) -> Artifact:
    scene(64, 48).save(tmp_path / "scene.png")
    return studio.adopt(tmp_path / "scene.png")


def asked(studio: Studio, picture: Artifact | None = None, mask: bool = False, **values: object) -> Request:
    start = picture.sha256 if picture else None
    given = brief.Brief(values={**VALUES, **values}, start=start, mask=start if mask else None)
    return studio.check(brief.plan(studio, given).requests[0])


def command(studio: Studio, *words: str) -> Request:
    return studio.check(image_request(studio, parser().parse_args(["image", "a fox", "--model", "a", *words])))


def test_a_picture_grows_where_a_side_says_so(studio: Studio, picture: Artifact, tmp_path: Path) -> None:
    grown = asked(studio, picture, extend_right=32, extend_to="", strength=0.7)
    assert (grown.task, grown.params["extend_right"], grown.params["strength"]) == ("outpaint", 32, 0.7)
    assert "extend_left" not in grown.params and "extend_to" not in grown.params
    assert asked(studio, picture).task == "image_to_image"
    with pytest.raises(InvalidInput, match="no picture to extend"):
        asked(studio, extend_right=32)
    with pytest.raises(InvalidInput, match="one after the other"):
        asked(studio, picture, mask=True, extend_right=32)
    init = ("--init", str(tmp_path / "scene.png"))
    assert command(studio, *init, "--extend", "0,8,0,0").params["extend_right"] == 8
    assert command(studio, *init, "--extend", "16:9").params["extend_to"] == "16:9"
    with pytest.raises(InvalidInput, match="cannot be read"):
        command(studio, *init, "--extend", "a lot")
    assert family("diffusion").implied["outpaint"] == "inpaint"


def test_a_second_pass_is_asked_for_where_it_makes_the_picture_larger(studio: Studio) -> None:
    fields = {"hires_strength": 0.4, "hires_steps": 0}
    assert not {name for name in asked(studio, hires_scale=1, **fields).params if name.startswith("hires")}
    larger = asked(studio, hires_scale=2, **fields).params
    assert (larger["hires_scale"], larger["hires_strength"]) == (2.0, 0.4) and "hires_steps" not in larger
    told = command(studio, "--hires", "1.5", "--hires-strength", "0.3", "--hires-steps", "8").params
    assert [told[f"hires_{name}"] for name in ("scale", "strength", "steps")] == [1.5, 0.3, 8]


def test_a_mask_is_cut_out_where_that_is_ticked(studio: Studio, picture: Artifact, tmp_path: Path) -> None:
    assert "padding_mask_crop" not in asked(studio, picture, mask=True, padding_mask_crop=32).params
    cut = asked(studio, picture, mask=True, padding_mask_crop=32, masked_area=True)
    assert (cut.task, cut.params["padding_mask_crop"]) == ("inpaint", 32)
    files = ("--init", str(tmp_path / "scene.png"), "--mask", str(tmp_path / "scene.png"))
    assert command(studio, *files, "--around-mask", "16").params["padding_mask_crop"] == 16


def test_a_variation_has_a_seed_and_a_strength(studio: Studio) -> None:
    fields = {"variation_seed": 40, "variation_strength": 0.3}
    varied = asked(studio, **fields).params
    assert (varied["variation_seed"], varied["variation_strength"]) == (40, 0.3)
    plain = asked(studio, variation_seed=40, variation_strength=0).params
    assert "variation_seed" not in plain and plain["variation_strength"] == 0
    with pytest.raises(InvalidInput, match="no seed towards which") as told:
        asked(studio, variation_seed=None, variation_strength=0.3)
    assert told.value.field == "variation_seed"
    given = command(studio, "--variation-seed", "40", "--variation-strength", "0.3").params
    assert {name: given[name] for name in fields} == fields
    with pytest.raises(InvalidInput, match="needs a seed and how far"):
        command(studio, "--variation-seed", "40")
    axes = dict((name, label) for label, name in brief.axes(studio, "a"))
    assert axes.keys() >= set(fields)
    sides = {"x": "variation_strength", "x_values": "0, 0.5", "y": "variation_seed", "y_values": "3-4"}
    cells = brief.plan(studio, brief.Brief(values={**VALUES, **sides})).requests
    assert [(one.seed, one.params.get("variation_seed"), one.params.get("variation_strength")) for one in cells] == [
        (7, None, None), (7, 3, 0.5), (7, None, None), (7, 4, 0.5)]  # fmt: skip
    jobs = [
        studio.submit(one, panel="image", group=brief.run.new_group("xy.variation_strength..")) for one in cells[:2]
    ]
    assert board.grid(jobs[0].group, jobs)["x"]["values"] == [0, 0.5]
    with pytest.raises(InvalidInput, match="same picture at strength 0") as told:
        brief.plan(studio, brief.Brief(values={**VALUES, "x": "variation_seed", "x_values": "3-4"}))
    assert told.value.field == "variation_strength"


def test_a_list_makes_a_request_a_line_in_one_group(studio: Studio, tmp_path: Path) -> None:
    lines = "# foxes\na red fox\n\na {blue|green} fox, in the snow\n"
    plan = brief.plan(studio, brief.Brief(values={**VALUES, "many": lines, "num_images_per_prompt": 1}))
    assert plan.group.startswith("list.")
    assert [request.seed for request in plan.requests] == [7, 7]
    assert plan.requests[0].prompt == "a red fox" and "in the snow" in plan.requests[1].prompt
    table = 'Prompt;seed;Width;steps;negative\n"a fox; red";3;128;;dark\na cat;;;9\n'
    first, second = brief.plan(studio, brief.Brief(values={**VALUES, "many": table})).requests
    assert (first.prompt, first.seed, first.params["width"], first.params["negative_prompt"]) == (
        "a fox; red", 3, 128, "dark")  # fmt: skip
    assert (second.seed, second.params["num_inference_steps"]) == (7, 9) and "width" not in second.params
    (tmp_path / "list.csv").write_text("prompt,width\na dog,128\na cow,\n", "utf-8")
    given = parser().parse_args(["image", "--from", str(tmp_path / "list.csv"), "--model", "a", "--size", "64x64"])
    assert [(r.prompt, r.params["width"]) for r in listed_requests(studio, given)] == [("a dog", 128), ("a cow", 64)]


@pytest.fixture
def own_words(home: Path) -> None:
    """A style, a word list and a LoRA of a person's own."""
    for folder in ("styles", "wildcards", "adapters"):
        (home / folder).mkdir(exist_ok=True)
    style = '[[style]]\nid = "mine"\nname = "Mine"\nprompt = "{prompt}, as I like it"\nnegative_prompt = "grey"\n'
    (home / "styles" / "mine.toml").write_text(style, "utf-8")
    (home / "wildcards" / "pet.txt").write_text("a hen\na goose\na duck\na pony\n", "utf-8")
    (home / "adapters" / "woolly.safetensors").write_bytes(b"")


def asked_alike(studio: Studio, tmp_path: Path, prompt: str, *words: str) -> list[tuple[Request, ...]]:
    """What the page, the command and a line of its list ask for with the same words."""
    style = words[words.index("--style") + 1] if "--style" in words else ""
    page = brief.plan(
        studio, brief.Brief(values={**VALUES, "prompt": prompt, "num_images_per_prompt": 4, "style": style})
    )
    options = ["--model", "a", "--seed", "7", "--count", "4", *words]
    alone = checked_requests(studio, parser().parse_args(["image", prompt, *options]))
    (tmp_path / "list.txt").write_text(prompt + "\n", "utf-8")
    listed = listed_requests(studio, parser().parse_args(["image", "--from", str(tmp_path / "list.txt"), *options]))
    return [tuple(studio.check(request) for request in page.requests), alone, listed]


def test_a_prompt_means_the_same_in_page_command_and_list(studio: Studio, own_words: None, tmp_path: Path) -> None:
    for prompt in ("__pet__ in {snow|rain|fog|sun} <lora:woolly:0.8>", "a fox (red:1.3) <lora:woolly>"):
        page, alone, listed = asked_alike(studio, tmp_path, prompt, "--style", "mine")
        assert page == alone == listed
        assert all(request.prompt.endswith(", as I like it") and "<" not in request.prompt for request in page)
        assert [adapter.id for adapter in page[0].adapters] == ["woolly"]
        assert page[0].params["negative_prompt"] == "grey"
    several, _, _ = asked_alike(studio, tmp_path, "__pet__ in {snow|rain|fog|sun}")
    assert len({request.prompt for request in several}) == len(several) > 1


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a red {cat|dog} <lora:nothere:0.8>", "There is no LoRA 'nothere'"),
        ("a cat <lora:woolly:much>", "'much' is no weight for the LoRA 'woolly'"),
        ("a {cat", "has no }"),
        ("__nothere__", "nothere"),
        ("<lora:woolly:0.8>", "The prompt is empty"),
        ("a (cat:99)", "99"),
    ],
)
def test_what_is_wrong_in_a_prompt_is_told_everywhere(
    studio: Studio, own_words: None, tmp_path: Path, prompt: str, said: str
) -> None:
    values = {**VALUES, "prompt": prompt}
    (tmp_path / "list.txt").write_text(prompt + "\n", "utf-8")
    for ask in (
        lambda: [studio.check(r) for r in brief.plan(studio, brief.Brief(values=values)).requests],
        lambda: checked_requests(studio, parser().parse_args(["image", prompt, "--model", "a"])),
        lambda: listed_requests(studio, parser().parse_args(["image", "--from", str(tmp_path / "list.txt")])),
    ):
        with pytest.raises((InvalidInput, NotFound), match=re.escape(said)):
            ask()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompt,wdith\na fox,64", "The column 'wdith' is no setting."),
        ("prompt,seed\na fox,1\n,2\na cat,x\n", "Line 3: It has no prompt. Line 4: Seed: 'x' is not a number."),
        ("prompt,width\na fox,64,64", "Line 2: It has 3 cells"),
        ('prompt,width\n"a fox\nin two lines",64\na cat,7\n', "Line 4: Width is 7."),
        ("a fox\na {fox\na cat <lora:none:1>\n", "Line 2:.*Line 3: There is no LoRA 'none'"),
        ("# nothing\n", "holds no prompt"),
        ("prompt\n", "holds no prompt"),
    ],
)
def test_a_wrong_line_is_told_by_its_number(studio: Studio, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        brief.plan(studio, brief.Brief(values={**VALUES, "many": text}))
    assert caught.value.field == "many"
    assert not studio.queue()


def test_a_picture_is_followed_by_the_models_own_controlnet(studio: Studio, home: Path, picture: Artifact) -> None:
    def followed(**values: object) -> Request:
        given = brief.Brief(values={**VALUES, "controlnet_conditioning_scale": 0.7, **values}, control=picture.sha256)
        return brief.plan(studio, given).requests[0]

    with pytest.raises(InvalidInput, match="has no ControlNet") as told:
        followed()
    assert told.value.field == "controlnet"
    tiny.build("sd", home / "models" / "a")
    build_controlnet("sd", home / "models" / "a", home / "models" / "scribbles")
    request = followed()
    assert request.params["controlnet"] == "scribbles" and request.params["controlnet_conditioning_scale"] == 0.7
    assert [given.role for given in request.inputs] == ["control"]
    assert followed(control_kind="canny").params["control_kind"] == "canny"
    plain = brief.plan(studio, brief.Brief(values={**VALUES, "controlnet": "scribbles"})).requests[0]
    assert not set(plain.params) & set(brief.STEERED) and not plain.inputs


def test_a_reference_needs_an_adapter_for_the_model(studio: Studio, home: Path, picture: Artifact) -> None:
    def referred(**values: object) -> Request:
        given = brief.Brief(values={**VALUES, "ip_adapter_scale": 0.8, **values}, reference=picture.sha256)
        return studio.check(brief.plan(studio, given).requests[0])

    with pytest.raises(InvalidInput, match="A has no IP-Adapter"):
        referred()
    assert "ip_adapter_scale" not in asked(studio, ip_adapter_scale=0.8).params
    tiny.build("sd", home / "models" / "a")
    build_reference(home / "models" / "a", home / "models" / "look")
    told = referred(ip_adapter="")
    assert (told.params["ip_adapter"], told.params["ip_adapter_scale"]) == ("look", 0.8)
    assert [given.role for given in told.inputs] == ["reference"]
    assert command(studio, "--reference", str(picture.path)).params["ip_adapter"] == "look"


def test_a_picture_is_enlarged_by_a_model_where_there_is_one(
    studio: Studio, home: Path, picture: Artifact, tmp_path: Path
) -> None:
    plain = studio.check(pictures.enlarge_request(studio, picture.sha256))
    assert (plain.task, plain.model, plain.params["factor"]) == ("upscale", "", "2")
    folder = home / "models" / "larger"
    folder.mkdir()
    config = {"architectures": ["Swin2SRForImageSuperResolution"], "model_type": "swin2sr"}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    larger = studio.check(pictures.enlarge_request(studio, picture.sha256))
    assert (larger.task, larger.model, larger.params["tile"]) == ("enlarge", "larger", 192)
    assert larger.parent == picture.sha256 == larger.inputs[0].artifact
    assert [(way["id"], way["factor"]) for way in pictures.ways_to_enlarge(studio)] == [("larger", 4)]
    (folder / "config.json").write_text(json.dumps({**config, "upscale": 2}), "utf-8")
    assert pictures.ways_to_enlarge(studio)[0]["factor"] == 2
    chosen = studio.check(pictures.enlarge_request(studio, picture.sha256, "larger", "3"))
    assert (chosen.model, chosen.params["factor"]) == ("larger", "3")
    without = studio.check(pictures.enlarge_request(studio, picture.sha256, "", "4", "pixels"))
    assert (without.task, without.params["factor"], without.params["method"]) == ("upscale", "4", "pixels")
    for model, factor, said in (("starter-gan", "2", "cannot do enlarge"), ("larger", "9", "Times as large")):
        with pytest.raises(StudioError, match=said):
            studio.check(pictures.enlarge_request(studio, picture.sha256, model, factor))
