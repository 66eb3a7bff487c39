"""Styles, presets, briefs and dynamic prompts: the shipped files are good, bad ones cost only themselves,
nothing hangs.
"""

import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio import presets, wildcards
from studio.errors import InvalidInput, NotFound
from studio.families.diffusion.scenes import vocabulary
from studio.presets import (
    Style,
    apply_style,
    file_name,
    load_presets,
    read_presets,
    read_styles,
    save_preset,
    unknown_words,
)
from studio.wildcards import combinations, expand, wildcard_lists

STARTER_STYLES = [
    "flat", "pixel art", "pencil sketch", "watercolor painting", "oil painting", "ink drawing", "neon",
    "paper cut", "blueprint", "sepia photo",
]  # fmt: skip
LISTS = {"animal": ("fox", "owl"), "color": ("3::red", "blue"), "pair": ("__color__ __animal__",)}


# --- styles


def test_shipped_styles_are_many_and_whole() -> None:
    styles, problems = read_styles()
    assert not problems
    assert len(styles) >= 46
    assert len({style.pack for style in styles}) >= 6
    assert all(style.words for style in styles)
    ids = [e["id"] for p in presets.PRESETS.glob("styles/*.toml") for e in tomllib.loads(p.read_text("utf-8"))["style"]]
    assert len(ids) == len(set(ids)) == len(styles)


def test_every_style_word_stands_in_its_prompt() -> None:
    for style in presets.styles():
        assert not unknown_words(" ".join(style.words), [style.prompt]), style.id


def test_starter_pack_comes_first_and_holds_the_taught_styles() -> None:
    first = presets.styles()[: len(STARTER_STYLES)]
    assert [apply_style(style, "a fox")[0] for style in first] == [f"a fox, {name}" for name in STARTER_STYLES]


def test_apply_style_joins_negatives_and_leaves_odd_prompts_alone() -> None:
    style = Style(id="x", name="X", prompt="print of {prompt}, ink", negative_prompt="photo")
    assert apply_style(style, " {prompt} {a|b} ", " blurry ") == (
        "print of {prompt} {a|b}, ink",
        "blurry, photo",
    )
    assert apply_style(style, "", "") == ("print of , ink", "photo")


def test_own_styles_are_added_and_replace(tmp_path: Path) -> None:
    write(tmp_path / "styles/mine.toml", '[[style]]\nid="neon"\nname="My neon"\nprompt="{prompt} in neon"\n')
    mine = [style for style in presets.styles(tmp_path) if style.id == "neon"]
    assert [(style.name, style.pack) for style in mine] == [("My neon", "mine")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[[style]]\nid = "a"\nname = = "b"\n', 3),
        (
            '[[style]]\nid="a"\nname="A"\nprompt="{prompt}"\n\n[[style]]\nid="b"\nname="B"\nprompt="none"\n',
            6,
        ),
        ('[[style]]\nid="a"\nname="A"\nprompt="{prompt}"\n[[style]]\nid=7\n', 5),
        ("style = 3\n", 1),
        ('[[style]]\nid="a"\nname="A"\nprompt="{prompt}"\nwords="ink"\n', 1),
    ],
)
def test_bad_style_file_is_one_error_with_its_line(tmp_path: Path, text: str, line: int) -> None:
    write(tmp_path / "styles/bad.toml", text)
    write(tmp_path / "styles/good.toml", '[[style]]\nid="good"\nname="Good"\nprompt="{prompt}, good"\n')
    styles, problems = read_styles(tmp_path)
    assert len(problems) == 1
    assert f"bad.toml, line {line}: " in problems[0].message
    assert problems[0].hint
    assert "good" in {style.id for style in styles}


def test_binary_style_file_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "styles").mkdir()
    (tmp_path / "styles/bad.toml").write_bytes(b"# one\n# two\n\xff\xfe\n")
    assert "bad.toml, line 3: this is not UTF-8" in read_styles(tmp_path)[1][0].message


def test_unknown_style_is_not_found() -> None:
    assert presets.style("pixel-art").name == "Pixel art"
    with pytest.raises(NotFound, match="no style 'x'"):
        presets.find_style("x", presets.styles())
    with pytest.raises(NotFound) as raised:
        presets.style("pixelart")
    assert raised.value.hint == "Did you mean 'pixel-art'?"


# --- words


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("A red Fox in the snow, at sunset", ()),
        ("three foxes and two wolves", ()),
        ("mice under leaves", ()),
        ("the fox's cherry on glass", ()),
        ("a zeppelin over Gotham, zeppelin", ("zeppelin", "gotham")),
        ("a fox <lora:zeppelin:0.8> 4k", ("k",)),
        ("a grey palm", ()),
        ("рыжая fox 🦊", ("рыжая",)),
        ("", ()),
    ],
)
def test_unknown_words(prompt: str, unknown: tuple[str, ...]) -> None:
    known = [
        "red",
        "fox",
        "snow",
        "sunset",
        "wolf",
        "mouse",
        "leaf",
        "cherries",
        "gray",
        "palm tree",
        "glass",
    ]
    assert unknown_words(prompt, known) == unknown


def test_styles_that_a_model_does_not_know_are_marked() -> None:
    known = ["pixel art", "pencil sketch"]
    marked = {style.id for style in presets.styles() if presets.style_is_known(style, known)}
    assert {"pixel-art", "pencil-sketch"} <= marked
    assert "woodcut" not in marked


# --- presets

plain_values = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=8,
)


@given(params=st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), plain_values, max_size=4))
@settings(max_examples=80, deadline=None)
def test_preset_round_trip(tmp_path_factory: pytest.TempPathFactory, params: dict[str, object]) -> None:
    home = tmp_path_factory.mktemp("home")
    fields = {"task": "text-to-image", "prompt": 'a "fox"\n\\ 🦊\x7f', "params": params, "seed": 7}
    save_preset(home, "My preset", fields)
    assert [(p.name, dict(p.fields)) for p in load_presets(home)] == [("My preset", fields)]


def test_preset_of_the_same_name_replaces_and_none_is_left_out(tmp_path: Path) -> None:
    save_preset(tmp_path, "One", {"seed": 1})
    save_preset(tmp_path, " One ", {"seed": 2, "parent": None})
    assert [dict(p.fields) for p in load_presets(tmp_path)] == [{"seed": 2}]
    presets.delete_preset(tmp_path, "One")
    assert load_presets(tmp_path) == ()
    with pytest.raises(NotFound):
        presets.delete_preset(tmp_path, "One")


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..",
        "/",
        "C:\\win.ini",
        "CON",
        "nul",
        "COM1",
        "a:b",
        "x::$DATA",
        "a/b",
        "𝔘 ñ",
        "🦊",
        "a" * 80,
        ".",
    ],
)
def test_preset_names_never_leave_the_folder(tmp_path: Path, name: str) -> None:
    path = save_preset(tmp_path, name, {"seed": 1})
    assert path.parent == tmp_path / "presets"
    assert path.stem.split(".")[0].upper() not in {"CON", "NUL", "COM1"}
    assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
    assert len(path.name) <= 60
    assert [p.name for p in load_presets(tmp_path)] == [name]


@given(st.text(), st.text())
def test_file_names_differ_as_the_names_do(one: str, other: str) -> None:
    assert (file_name(one) == file_name(other)) == (one == other)
    assert file_name(one).lower() == file_name(one)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 81, "a\x00b"])
def test_names_that_cannot_be_shown_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name"):
        save_preset(tmp_path, name, {})


def test_preset_refuses_fields_that_no_request_has(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no field 'sead'"):
        save_preset(tmp_path, "x", {"sead": 1})
    with pytest.raises(InvalidInput, match="cannot hold"):
        save_preset(tmp_path, "x", {"params": {"a": object()}})


def test_damaged_preset_costs_only_itself(tmp_path: Path) -> None:
    save_preset(tmp_path, "good", {"seed": 3})
    write(tmp_path / "presets/broken.toml", "name = \n")
    write(tmp_path / "presets/empty.toml", "")
    found, problems = read_presets(tmp_path)
    assert [p.name for p in found] == ["good"]
    assert len(problems) == 2
    assert "broken.toml, line 1" in problems[0].message


# --- dynamic prompts


def test_shipped_lists_and_briefs_expand() -> None:
    lists = wildcard_lists()
    assert len(lists) >= 15
    for name, lines in lists.items():
        assert len(lines) == len(set(lines)) >= 4, name
        for seed in range(20):
            assert not set("{}|_") & set(expand(f"__{name}__", seed, lists))
    briefs = presets.briefs("image")
    assert len(briefs) == 12
    for brief in briefs:
        assert expand(brief.prompt, 1, lists)
        assert not brief.style or presets.find_style(brief.style, presets.styles())
    assert presets.briefs("nothing") == ()


def test_briefs_scenes_and_the_starter_pack_use_words_that_the_starter_knows() -> None:
    known, lists = vocabulary(), wildcard_lists()
    prompts = [brief.prompt for brief in presets.briefs("image")] + ["__scene__", "__style__"]
    for prompt in prompts:
        for seed in range(50):
            assert not unknown_words(expand(prompt, seed, lists), known)
    assert all(presets.style_is_known(style, known) for style in presets.styles()[: len(STARTER_STYLES)])


def test_same_seed_same_words_and_every_choice_turns_up() -> None:
    prompt = "a __color__ {fox|owl|{sea|snow} hare} {2$$and$$x|y|z}"
    texts = [expand(prompt, seed, LISTS) for seed in range(1000)]
    assert texts == [expand(prompt, seed, LISTS) for seed in range(1000)]
    assert set(texts) == set(combinations(prompt, LISTS, 1000).first)


def test_choices_never_change_between_releases() -> None:
    assert expand("{a|b|c} __animal__ {2$$x|y|z} {5::p|q}", 7, LISTS) == GOLDEN


GOLDEN = "a fox x, y p"


@pytest.mark.parametrize(
    ("prompt", "total", "first"),
    [
        ("plain", 1, ("plain",)),
        ("{a|b} {c|d}", 4, ("a c", "a d", "b c", "b d")),
        ("{2$$a|b|c}", 3, ("a, b", "a, c", "b, c")),
        ("{1-2$$ and $$a|b}", 3, ("a", "b", "a and b")),
        ("{0-1$$a}x", 2, ("x", "ax")),
        ("{9$$a|b}", 1, ("a, b",)),
        ("__pair__", 4, ("red fox", "red owl", "blue fox", "blue owl")),
        ("__ANIMAL__s", 2, ("foxs", "owls")),
        (r"\{a\|b\} \__animal__ \( \\", 1, (r"{a|b} __animal__ \( " + "\\",)),
        ("a } b | c __ _x_ {}", 1, ("a } b | c __ _x_ ",)),
        ("{a|}", 2, ("a", "")),
    ],
)
def test_combinations(prompt: str, total: int, first: tuple[str, ...]) -> None:
    found = combinations(prompt, LISTS, 10)
    assert (found.total, found.first) == (total, first)
    assert expand(prompt, 3, LISTS) in first


def test_weights_are_kept() -> None:
    texts = [expand("{9::a|b}{0::c|d}", seed, {}) for seed in range(1000)]
    assert 850 < sum(text.startswith("a") for text in texts) < 940
    assert all(text.endswith("d") for text in texts)


def test_counting_stops_before_it_fills_the_memory() -> None:
    lists = {f"l{i}": (f"__l{i + 1}____l{i + 1}__",) for i in range(25)} | {"l25": ("a", "b")}
    assert combinations("__l0__", lists, 0).total == wildcards.MAX_COUNT
    with pytest.raises(InvalidInput, match="too many choices"):
        expand("__l0__", 1, lists)
    assert combinations("{a|b}" * 1000, {}, 2).first == ("a" * 1000, "a" * 999 + "b")


@pytest.mark.parametrize(
    ("prompt", "message", "hint"),
    [
        ("a {b|c", "The { at character 3", "\\{"),
        ("__animl__", "no word list 'animl'", "__animal__"),
        ("__zzzz__", "no word list 'zzzz'", "Known lists"),
        ("__loop__", "contains itself: loop > back > loop", "Take"),
        ("__empty__", "is empty", "line"),
        ("{" * 40 + "}" * 40, "nests braces", "fewer"),
        ("{30$$a|b}", "30$$ cannot be picked", "{2$$"),
        ("{3-2$$a|b}", "cannot be picked", "{2$$"),
    ],
)
def test_mistakes_are_named(prompt: str, message: str, hint: str) -> None:
    lists = {**LISTS, "loop": ("__back__",), "back": ("__loop__",), "empty": ()}
    for attempt in (lambda: expand(prompt, 1, lists), lambda: combinations(prompt, lists, 3)):
        with pytest.raises(InvalidInput) as raised:
            attempt()
        assert message in raised.value.message
        assert hint in raised.value.hint


pieces = st.sampled_from(
    ["{", "}", "|", "__", "__a__", "__b__", "2$$", "1-2$$", "3::", "\\", "$$", "_", "fox", " ", "é🦊"]
)


@given(
    prompt=st.lists(pieces, max_size=40).map("".join),
    one=st.lists(st.lists(pieces, max_size=12).map("".join), max_size=3),
    other=st.lists(st.lists(pieces, max_size=12).map("".join), max_size=3),
    seed=st.integers(),
)
@example(prompt="__a__", one=["__b__" * 12], other=["{2$$a|b|c}" * 12], seed=0)
@settings(max_examples=400, deadline=None)
def test_any_text_expands_or_is_refused(prompt: str, one: list[str], other: list[str], seed: int) -> None:
    lists = {"a": tuple(one), "b": tuple(other)}
    try:
        total = combinations(prompt, lists, 400)
    except InvalidInput:
        return
    text = expand(prompt, seed, lists)
    assert total.total > 400 or text in total.first


@pytest.mark.parametrize("text", ["_" * 10**5, "__a" * 30000, "{" * 10**5, "\\" * 10**5, "{a|" * 30000, "{1$$" * 20000])
def test_long_odd_prompts_take_no_time(text: str) -> None:
    start = time.perf_counter()
    try:
        expand(text, 1, LISTS)
    except InvalidInput as problem:
        assert len(problem.message) < 300
    assert time.perf_counter() - start < 2


def test_own_lists_replace_and_nest_in_folders(tmp_path: Path) -> None:
    write(tmp_path / "wildcards/animal.txt", "\ufeff# mine\n\nnewt\n")
    write(tmp_path / "wildcards/nature/tree.txt", "oak\nélan\n")
    lists = wildcard_lists(tmp_path)
    assert lists["animal"] == ("newt",)
    assert expand("__nature/tree__", 1, lists) in ("oak", "élan")


def test_a_list_that_cannot_be_used_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path / "wildcards/big.txt", "word\n" * 500_000)
    (tmp_path / "wildcards/folder.txt").mkdir()
    write(tmp_path / "wildcards/good.txt", "oak")
    lists, problems = wildcards.read_lists(tmp_path)
    assert lists["good"] == ("oak",)
    assert not {"big", "folder"} & lists.keys()
    assert sorted(problem.message.split(".txt")[0].rpartition("/")[2] for problem in problems) == [
        "big",
        "folder",
    ]


def test_large_lists_are_drawn_from_in_no_time() -> None:
    lists = {
        "even": tuple(f"w{i}" for i in range(100_000)),
        "odd": tuple(f"{i % 9}::w{i}" for i in range(100_000)),
    }
    start = time.process_time()  # what other programs do meanwhile does not count
    assert expand("__even__ __odd__ " * 500, 1, lists)
    assert time.process_time() - start < 5


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
