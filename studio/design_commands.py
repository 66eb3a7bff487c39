"""The command `design`: its benches, each in a module beside this one."""

import argparse
from typing import Any

from studio.craft_commands import add_craft
from studio.settings import Settings
from studio.shape_commands import add_explore, add_shape


def add_design(commands: Any, shared: argparse.ArgumentParser) -> None:
    whole = commands.add_parser(
        "design",
        parents=[shared],
        help="shapes, characters, patterns, vectors, palettes, mock-ups, print files, sheets",
    )
    benches = whole.add_subparsers(metavar="BENCH", required=True)
    for add in (add_shape, add_explore, add_craft):
        add(benches, shared)


def design(settings: Settings, given: argparse.Namespace) -> int:
    return given.bench(settings, given)
