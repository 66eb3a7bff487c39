"""Declared settings as fields, and what a filled picture form asks for. No browser, no model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import InvalidInput
from studio.families.family import Param
from studio.settings import Settings
from studio.studio import Studio
from studio.ui import brief, form, pictures, run
from studio.ui.fast_gradio import gradio as gr


@pytest.fixture
def studio(home: Path) -> Iterator[Studio]:
    folder = home / "models" / "a"
    folder.mkdir(parents=True)
    (folder / "card.toml").write_text(
        'id = "a"\nname = "A"\nfamily = "diffusion"\n[defaults]\nwidth = 64\nheight = 64\n'
        '[knows]\nwords = ["fox", "snow"]\n',
        "utf-8",
    )
    with Studio(Settings(home=home)) as opened:
        opened.pause()
        yield opened


def values(**changes: object) -> dict[str, object]:
    return {"prompt": "a fox", "model": "a", "num_images_per_prompt": 4, "seed": 7, "lock": True, **changes}


@pytest.mark.parametrize(
    ("param", "kind"),
    [
        (Param(name="a", type=bool, default=True), gr.Checkbox),
        (Param(name="a", type=str, default="x", choices=("x", "y")), gr.Dropdown),
        (Param(name="a", type=str, default=""), gr.Textbox),
        (Param(name="a", type=int, default=3, minimum=1, maximum=16), gr.Slider),
        (Param(name="a", type=int, default=3, minimum=0, maximum=2**53), gr.Number),
        (Param(name="a", type=float, default=0.5, minimum=0, maximum=1, step=0.05), gr.Slider),
        (Param(name="a", type=int, default=3), gr.Number),
    ],
)
def test_a_declaration_chooses_its_component(param: Param, kind: type) -> None:
    drawn = form.field(param, "image")
    assert type(drawn) is kind
    assert drawn.elem_id == "image-a"


def test_remembered_values_that_no_longer_fit_are_left_out() -> None:
    slider = gr.Slider(1, 16)
    assert form.fits(slider, 4) and not form.fits(slider, 17) and not form.fits(slider, "4")
    menu = gr.Dropdown([("A", "a")])
    assert form.fits(menu, "a") and not form.fits(menu, "b") and not form.fits(menu, {"x": 1})
    assert not form.fits(gr.Textbox(), None) and form.fits(gr.Textbox(), "") and not form.fits(gr.Textbox(), 3)


def test_a_problem_stands_under_its_field() -> None:
    told = form.problem("image", InvalidInput("Steps is 0.", "More.", field="num_inference_steps"))
    assert told == {"field": "image-steps", "message": "Steps is 0.", "hint": "More."}
    assert form.problem("image", None) == {}


@pytest.mark.parametrize(("side", "step"), [(256, 32), (512, 64), (1024, 64)])
def test_shapes_that_are_offered_fit_models_of_that_size(side: int, step: int) -> None:
    found = [tuple(map(int, value.split("x"))) for _, value in pictures.sizes(side, side) if value != pictures.CUSTOM]
    assert found[0] == (side, side) and len({w / h for w, h in found}) == len(found) == 5
    for wide, high in found:
        assert not wide % step and not high % step and 0.85 < wide * high / side**2 < 1.15


def test_takes_of_the_same_words_are_one_request(studio: Studio) -> None:
    plan = brief.plan(studio, brief.Brief(values=values(prompt="a fox")))
    (request,) = plan.requests
    assert (request.prompt, request.seed, request.params["num_images_per_prompt"], plan.group) == (
        "a fox",
        7,
        4,
        "",
    )


def test_wildcards_give_each_take_the_words_of_its_own_seed(studio: Studio) -> None:
    asked = values(prompt="a {red|blue|green|white|black} fox", num_images_per_prompt=8)
    plan = brief.plan(studio, brief.Brief(values=asked))
    assert len(plan.requests) > 1 and plan.group
    assert sum(int(str(r.params["num_images_per_prompt"])) for r in plan.requests) == 8
    starts = [r.seed for r in plan.requests]
    assert starts == sorted(set(starts)) and starts[0] == 7
    alone = brief.plan(studio, brief.Brief(values={**asked, "seed": starts[-1], "num_images_per_prompt": 1}))
    assert alone.requests[0].prompt == plan.requests[-1].prompt  # take k can be made again alone


def test_an_unlocked_seed_is_drawn_anew(studio: Studio) -> None:
    seeds = {brief.plan(studio, brief.Brief(values=values(lock=False))).seed for _ in range(5)}
    assert len(seeds) == 5


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": "  "}, "prompt"),
        ({"prompt": "a {fox"}, "prompt"),
        ({"seed": 1.5}, "seed"),
        ({"seed": -7}, "seed"),
        ({"extend_right": 32}, "extend_right"),
        ({"num_images_per_prompt": None}, "num_images_per_prompt"),
        ({"x": "num_inference_steps", "x_values": ""}, "x_values"),
        ({"x": "num_inference_steps", "x_values": "four"}, "x_values"),
        ({"x": "num_inference_steps", "x_values": "1-9999"}, "x_values"),
        ({"x": "prompt", "x_values": "cat, dog"}, "x_values"),
        ({"x": "scheduler", "x_values": "nonsense"}, "x_values"),
        ({"x": "size", "x_values": "big"}, "x_values"),
        ({"x": "seed", "x_values": "1-4", "y": "seed", "y_values": "1-4"}, "y"),
        ({"x": "seed", "x_values": "1-40", "y": "num_inference_steps", "y_values": "1-40"}, "x_values"),
    ],
)
def test_what_cannot_be_made_names_its_field(studio: Studio, changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        brief.plan(studio, brief.Brief(values=values(**changes)))
    assert caught.value.field == field
    assert caught.value.message and caught.value.hint


def test_a_grid_is_one_request_a_cell(studio: Studio) -> None:
    asked = values(x="num_inference_steps", x_values="4, 8-10:2", y="prompt", y_values="fox, cat")
    plan = brief.plan(studio, brief.Brief(values=asked))
    cells = [
        (r.params["num_inference_steps"], r.prompt, r.params["num_images_per_prompt"], r.seed) for r in plan.requests
    ]
    assert cells == [(s, p, 1, 7) for p in ("a fox", "a cat") for s in (4, 8, 10)]
    assert plan.group.startswith("xy.num_inference_steps.prompt.")


def test_a_grid_over_size_and_sampler(studio: Studio) -> None:
    plan = brief.plan(
        studio,
        brief.Brief(values=values(y="size", y_values="64x96, 96x64", x="scheduler", x_values="Euler, ddim")),
    )
    assert [(r.params["width"], r.params["height"], r.params["scheduler"]) for r in plan.requests] == [
        (64, 96, "euler"),
        (64, 96, "ddim"),
        (96, 64, "euler"),
        (96, 64, "ddim"),
    ]


def test_nothing_is_queued_when_one_request_is_wrong(studio: Studio) -> None:
    (good,) = brief.plan(studio, brief.Brief(values=values())).requests
    outcome = run.submit(studio, [good, good.with_params(width=7)], panel="image")
    assert outcome.problem and outcome.problem.field == "width"
    assert not outcome.jobs and not studio.queue()


def test_the_note_tells_what_take_one_becomes_and_which_words_are_unknown(studio: Studio) -> None:
    told = brief.note(studio, values(), "a {fox|fox} on a zeppelin")
    assert "Take 1: a fox on a zeppelin" in told
    assert "does not know: zeppelin" in told
    assert brief.note(studio, values(), "a fox in snow") == ""
    assert "no }" in brief.note(studio, values(), "a {fox")
