"""Training or held out: which groups of look-alikes go to which side. It knows sizes and keys, no pictures.

The choice hangs on hashes of the keys, so it is the same on every machine, and what has its side keeps it when more is
added. A group is never parted.
"""

import hashlib
from collections.abc import Iterable, Mapping
from math import ceil

from studio.lab.items import Item

FEWEST = 5  # with fewer items all of them are needed for training
SHARE = 0.1


def held_out_target(many: int, share: float | None = None) -> int:
    """How many of `many` items to hold out: none below 5, else a tenth rounded up (5-50: 1-5), or the share asked for.

    `share` lies in 0..0.5; above 0 it holds out at least one of two.
    """
    if share is None:
        return 0 if many < FEWEST else ceil(many * SHARE)
    return 0 if share == 0 or many < 2 else min(max(1, round(many * share)), many - 1)


def choose_held_out(groups: Mapping[str, int], train: int, held_out: int, share: float | None = None) -> set[str]:
    """The keys of new groups that go to the held-out side.

    `groups` holds for each new group the number of its members that count; `train` and `held_out` those that have
    their side already. Training keeps at least one member.
    """
    target = held_out_target(train + held_out + sum(groups.values()), share)
    left_to_train = train + sum(groups.values())
    order = sorted((key for key, size in groups.items() if size), key=lambda key: (_place(key), key))
    chosen: set[str] = set()
    for key in order:
        if held_out + groups[key] <= target and left_to_train > groups[key]:
            chosen.add(key)
            held_out += groups[key]
            left_to_train -= groups[key]
    if target and not held_out:  # only groups larger than the target: the smallest of them, rather than none
        smallest = min(order, key=lambda key: groups[key], default=None)
        if smallest is not None and left_to_train > groups[smallest]:
            chosen.add(smallest)
    return chosen


def _place(key: str) -> bytes:
    return hashlib.sha256(f"split {key}".encode()).digest()


def ties(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    """Of each item, by id, those that must be on its side: look-alikes, and the first part of the same file."""
    first: dict[str, str] = {}
    return {item.id: (*item.near, first.setdefault(item.whole, item.id)) if item.whole else item.near for item in items}


class Groups:
    """Connected components of the links between look-alikes (union-find)."""

    def __init__(self, links: Mapping[str, tuple[str, ...]]) -> None:
        self._parent = {id: id for id in links}
        for id, near in links.items():
            for other in near:
                if other in self._parent:
                    self._parent[self.root(id)] = self.root(other)

    def root(self, id: str) -> str:
        """The same id for all members of a group."""
        while self._parent[id] != id:
            self._parent[id] = self._parent[self._parent[id]]
            id = self._parent[id]
        return id

    def members(self) -> dict[str, list[str]]:
        """Root -> the ids of its group, in the order of the links."""
        found: dict[str, list[str]] = {}
        for id in self._parent:
            found.setdefault(self.root(id), []).append(id)
        return found
