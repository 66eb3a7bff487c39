"""The split: how many, whole groups, and nothing that is there moves when more is added."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.lab.arrivals import arrivals
from studio.lab.duplicates import PictureLooks
from studio.lab.items import Cleaned, Item
from studio.lab.sources import Found
from studio.lab.splits import Groups, choose_held_out, held_out_target
from studio.lab.state import State

GROUPS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(0, 5), max_size=30)


@pytest.mark.parametrize(("many", "held"), [(0, 0), (4, 0), (5, 1), (10, 1), (11, 2), (50, 5), (5000, 500)])
def test_the_usual_number(many: int, held: int) -> None:
    assert held_out_target(many) == held


@given(st.integers(0, 10_000), st.floats(0, 0.5))
def test_a_share_that_was_asked_for(many: int, share: float) -> None:
    held = held_out_target(many, share)
    assert 0 <= held <= max(0, many - 1)
    assert held >= (share > 0 and many > 1)


@given(GROUPS, st.integers(0, 20), st.integers(0, 5))
def test_training_keeps_something_and_the_order_does_not_matter(
    groups: Mapping[str, int], train: int, held: int
) -> None:
    chosen = choose_held_out(groups, train, held)
    assert chosen == choose_held_out(dict(reversed(list(groups.items()))), train, held)
    taken = sum(groups[key] for key in chosen)
    if taken:
        assert train + sum(groups.values()) - taken > 0
    if not held and held_out_target(train + sum(groups.values())) and train:
        assert taken or not any(groups.values())


@given(st.integers(5, 200))
def test_single_pictures_hit_the_number_exactly(many: int) -> None:
    assert len(choose_held_out({str(n): 1 for n in range(many)}, 0, 0)) == held_out_target(many)


def test_groups_are_the_connected_components() -> None:
    groups = Groups({"a": (), "b": ("a",), "c": (), "d": ("b", "c"), "e": (), "f": ("gone",)})
    assert {frozenset(ids) for ids in groups.members().values()} == {frozenset("abcd"), frozenset("e"), frozenset("f")}


# a picture is a hash of 64 bits here; a few centres with few bits flipped make look-alikes, chains and bridges
HASHES = st.tuples(st.sampled_from([0, 0xFF, 0xFF0F, 0xFFFF0000, 0x0F0F0F0F0F, 1 << 60]), st.integers(0, 127)).map(
    lambda pair: pair[0] ^ pair[1]
)


def cleaned(hash: int, number: int) -> tuple[Found, Cleaned]:
    name = f"{number}.png"
    look = hash.to_bytes(8, "little") + bytes([128]) * 192
    sha = f"{(number * 0x9E3779B97F4A7C15) % (1 << 64):064x}"[::-1]
    part = Cleaned(
        name=name, source_sha256=sha, file=Path(name), sha256=sha, suffix=".png", width=8, height=8, look=look
    )
    return Found(name=name, key=("", name), read=bytes), part


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(HASHES, max_size=25), min_size=1, max_size=4))
def test_adding_moves_nothing_and_look_alikes_never_straddle(batches: list[list[int]]) -> None:
    state, number = State(id="x", name="x"), 0
    for batch in batches:
        before = state.items
        parts = [cleaned(hash, number + n) for n, hash in enumerate(batch)]
        number += len(batch)
        arrived = arrivals(state, parts, {})
        assert len(arrived.items) == len(batch)
        state = State(id="x", name="x", items=(*before, *arrived.items))
        assert state.items[: len(before)] == before
        check(state.items)
    included = sum(item.included for item in state.items)
    held = sum(item.included and item.split == "held_out" for item in state.items)
    assert held <= max(held_out_target(included), 1)


def check(items: tuple[Item, ...]) -> None:
    looks = PictureLooks([item.look for item in items])
    for index, item in enumerate(items):
        for other in looks.before(index):
            assert not (item.included and items[other].included)
    groups = Groups({item.id: item.near for item in items})
    for index, item in enumerate(items):
        for other in looks.before(index):
            assert groups.root(item.id) == groups.root(items[other].id)


def test_a_bridge_between_the_sides_stays_out() -> None:
    start = State(id="x", name="x")
    first = arrivals(
        start, [cleaned(0, 1), cleaned(0xFFF, 2), *(cleaned(0x5 << (16 + 8 * n), 3 + n) for n in range(5))], {}
    )
    items = [*first.items]
    sides = {"1.png": "train", "2.png": "held_out"}
    items = [Item(**{**vars(item), "split": sides.get(item.name, "train")}) for item in items]
    arrived = arrivals(State(id="x", name="x", items=tuple(items)), [cleaned(0x3F, 99)], {})
    bridge = arrived.items[0]
    assert not bridge.included and len(bridge.near) == 2
