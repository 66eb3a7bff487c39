"""The command `bench`: figures of the README, measured on this machine.

What a bench needs is loaded with that bench alone.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studio.settings import Settings
from studio.terminal import print_json
from studio.types import Json


def add_bench(commands: Any, shared: argparse.ArgumentParser) -> None:
    bench = commands.add_parser("bench", parents=[shared], help="measure this machine")
    bench.add_argument("what", choices=[*BENCHES, "starters"])
    bench.add_argument("--count", type=int, default=200, metavar="N", help="shapes: how many")
    bench.add_argument("--data", type=Path, help="folder with sprites/, books/ and tunes/; craft: of pictures")
    bench.add_argument("--only", default="", metavar="ID", help="starters: one of them")
    bench.add_argument("--quick", action="store_true", help="smaller, with few repeats")
    bench.add_argument("--json", action="store_true", help="all figures as one JSON line (starters: always, one each)")
    bench.set_defaults(command="bench")


def bench(settings: Settings, given: argparse.Namespace) -> int:
    if given.what == "starters":
        from studio.bench import starters

        for id, figures in starters.run(given.data, given.only, tell).items():
            print_json({"starter": id, **figures})
        return 0
    figures = BENCHES[given.what](settings, given)
    print_json(figures) if given.json else print("\n".join(figures["table"]))
    return 0


def tell(text: str) -> None:
    print(text, file=sys.stderr)


def _image(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import image

    return image.run(settings, quick=given.quick)


def _text(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import text

    return text.run(settings, quick=given.quick, tell=tell)


def _music(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import music

    return music.run(settings, quick=given.quick, tell=tell)


def _musicgen(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import musicgen

    return musicgen.run(settings, quick=given.quick, tell=tell)


def _train(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import train

    return train.run(settings, quick=given.quick)


def _sketch(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import sketch

    return sketch.run(settings, given.data and given.data / "sprites", quick=given.quick, tell=tell)


def _shapes(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import shapes

    return shapes.run(settings, 12 if given.quick else max(1, given.count), tell=tell)


def _explore(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import explore

    return explore.run(settings, repeats=2 if given.quick else explore.REPEATS)


def _craft(settings: Settings, given: argparse.Namespace) -> Json:
    from studio.bench import craft

    return craft.run(given.data, given.quick, tell)


BENCHES: Mapping[str, Callable[[Settings, argparse.Namespace], Json]] = {
    "image": _image,
    "text": _text,
    "music": _music,
    "musicgen": _musicgen,
    "train": _train,
    "sketch": _sketch,
    "shapes": _shapes,
    "explore": _explore,
    "craft": _craft,
}
