"""Which loaded models stay when memory is short."""

import os
from pathlib import Path

from studio.engine.cache import Cache, Key, key, weight_of
from studio.families.family import Context
from studio.types import Request


class Block:
    def __init__(self, size: int) -> None:
        self._size = size

    def size(self) -> int:
        return self._size

    def run(self, request: Request, context: Context) -> None: ...


def names(cache: Cache, *asked: str) -> list[str]:
    return [name for name in asked if cache.get(Key("toy", name, "")) is not None]


def test_the_least_recently_used_goes_first() -> None:
    released: list[int] = []
    cache = Cache(1000, lambda: released.append(1))  # 700 for weights
    for name in "abc":
        cache.put(Key("toy", name, ""), Block(200))
    assert names(cache, "c", "b", "a") == ["c", "b", "a"] and not released
    cache.put(Key("toy", "d", ""), Block(300))
    assert names(cache, "a", "b", "c", "d") == ["a", "b", "d"] and released == [1]


def test_room_is_made_before_a_model_is_loaded() -> None:
    cache = Cache(1000, lambda: None)
    cache.put(Key("toy", "a", ""), Block(500))
    cache.make_room(Key("toy", "b", ""), 200)
    assert len(cache) == 1
    cache.make_room(Key("toy", "b", ""), 201)
    assert len(cache) == 0


def test_a_model_larger_than_the_budget_stays_while_it_is_in_use() -> None:
    cache = Cache(1000, lambda: None)
    cache.put(Key("toy", "a", ""), Block(100))
    cache.put(Key("toy", "huge", ""), Block(5000))
    assert names(cache, "a", "huge") == ["huge"]


def test_an_older_state_of_a_folder_makes_way() -> None:
    cache = Cache(0, lambda: None)  # a budget that nobody could tell is no limit
    cache.put(Key("toy", "a", "old"), Block(100))
    cache.put(Key("toy", "b", "old"), Block(100))
    cache.make_room(Key("toy", "a", "new"), 0)
    assert cache.get(Key("toy", "a", "old")) is None and cache.get(Key("toy", "b", "old")) is not None


def test_clear_and_drop() -> None:
    released: list[int] = []
    cache = Cache(1000, lambda: released.append(1))
    kept = Key("toy", "a", "")
    cache.put(kept, Block(1))
    assert not cache.clear(keep=kept) and not released
    cache.put(Key("toy", "b", ""), Block(1))
    assert cache.clear(keep=kept) and len(cache) == 1
    cache.drop(kept)
    cache.drop(kept)
    assert len(cache) == 0 and len(released) == 2


def test_a_changed_file_is_another_key(tmp_path: Path) -> None:
    weights = tmp_path / "unet" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"x" * 40)
    before = key("toy", str(tmp_path))
    assert before == key("toy", str(tmp_path)) and weight_of(str(tmp_path)) == 40
    os.utime(weights, ns=(2**62, 2**62))
    assert key("toy", str(tmp_path)) != before
    before = key("toy", str(weights))
    weights.write_bytes(b"x" * 41)
    os.utime(weights, ns=(2**62, 2**62))
    assert key("toy", str(weights)) != before and weight_of(str(weights)) == 41
    assert key("toy", "").state == "" and key("toy", "/no/such/folder").state == ""
