"""The command `origin`: what a file says of where it comes from, and which marks exported copies get."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.origin import credentials
from studio.origin.exported import Marks, choose, chosen
from studio.settings import Settings
from studio.terminal import print_json

ON = ("on", "off")
ON_OR_OFF = ("watermark", "credentials")


def add_origin(commands: Any, shared: argparse.ArgumentParser) -> None:
    origin = commands.add_parser(
        "origin", parents=[shared], help="what files say of their origin; marks in what leaves the program"
    )
    origin.add_argument("files", nargs="*", type=Path, metavar="FILE", help="files to look at")
    origin.add_argument("--watermark", choices=ON, help="from now on: an invisible mark in exported pictures")
    origin.add_argument("--credentials", choices=ON, help="from now on: signed Content Credentials (C2PA) in exports")
    origin.add_argument("--json", action="store_true")
    origin.set_defaults(command="origin")


def origin(settings: Settings, given: argparse.Namespace) -> int:
    """Looks at the files; without any, tells the marks, changed first if asked for."""
    if given.files:
        _look(given)
    else:
        _marks(settings, given)
    return 0


def _look(given: argparse.Namespace) -> None:
    from studio.origin.looking import look

    for file in given.files:
        found = look(file)
        if given.json:
            print_json(found.to_dict())
        else:
            print(f"{file}: {' '.join(found.sentences())}")


def _marks(settings: Settings, given: argparse.Namespace) -> None:
    before = chosen(settings.home)
    asked = {name: getattr(given, name) == "on" for name in ON_OR_OFF if getattr(given, name)}
    if asked.get("credentials") and not credentials.available():
        raise InvalidInput("Content Credentials need a library that is not installed.", credentials.INSTALL)
    now = choose(settings.home, Marks(**{**asdict(before), **asked})) if asked else before
    if given.json:
        print_json(asdict(now))
    else:
        for name in ON_OR_OFF:
            print(f"{name}: {'on' if getattr(now, name) else 'off'}")
