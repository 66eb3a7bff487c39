"""The commands, the longer ones beside this file. Plain lines, or JSON lines with --json."""

import argparse
import dataclasses
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studio import __version__
from studio.bench_commands import add_bench, bench
from studio.design_commands import add_design, design
from studio.errors import InvalidInput, NotFound, StudioError
from studio.image_commands import add_image, image
from studio.library.library import Library
from studio.model_commands import add_models, models
from studio.music_commands import add_music, music
from studio.origin.exported import chosen, marked_bytes
from studio.origin_commands import add_origin, origin
from studio.settings import DEVICES, Settings, obstacle
from studio.sound_commands import add_sound, add_speech, sound, speech
from studio.studio import Studio
from studio.terminal import out_file, print_json
from studio.text_commands import add_text, text
from studio.training_commands import add_evaluate, add_train, evaluate, train

SETTINGS = ("home", "host", "port", "device", "offline", "window", "open_browser", "password")
ID = re.compile("[0-9a-fA-F]{6,64}")  # of a work, or its beginning


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code. A StudioError becomes one sentence on stderr and code 2."""
    try:
        given = parser().parse_args(arguments)
        settings = Settings.load({name: getattr(given, name, None) for name in SETTINGS})
        code = _run(settings, given)
        print(end="", flush=True)
        return code
    except StudioError as error:
        print(f"{error.message}\n{error.hint}".strip(), file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads has had enough, as `head` has; nothing more may be written at the end either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _run(settings: Settings, given: argparse.Namespace) -> int:
    try:
        return COMMANDS[given.command](settings, given)
    except OSError as error:
        if problem := obstacle(settings.home):
            said = f"The home {settings.home} cannot be used: {problem}."
            raise InvalidInput(said, "Choose another folder with --home.") from error
        raise


def parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    shared.add_argument("--home", help="folder of your library and models (default: ~/Atelier)")
    shared.add_argument("--device", choices=DEVICES, help="where models run (default: the best there is)")
    shared.add_argument("--offline", action="store_true", help="never touch the network")
    whole = argparse.ArgumentParser(
        prog="launch.py",
        parents=[shared],
        description="Atelier: text, pictures, music and design prototypes by generative models on your own machine.",
    )
    whole.add_argument("--version", action="version", version=f"Atelier {__version__}")
    whole.set_defaults(command="ui")
    _add_ui_options(whole)
    commands = whole.add_subparsers(metavar="COMMAND")
    for add in (
        _add_ui,
        add_image,
        add_text,
        add_music,
        add_speech,
        add_sound,
        add_design,
        _add_library,
        add_models,
        add_origin,
        add_train,
        add_evaluate,
        _add_api,
        _add_doctor,
        add_bench,
    ):
        add(commands, shared)
    return whole


def _add_ui_options(to: argparse.ArgumentParser) -> None:
    to.add_argument("--host", default=argparse.SUPPRESS, help="address to listen on (default: this machine alone)")
    to.add_argument("--port", default=argparse.SUPPRESS, help="port of the page (default: 7860, 0 for any free one)")
    to.add_argument("--password", default=argparse.SUPPRESS, help="needed to listen beyond this machine")
    to.add_argument("--window", action="store_true", default=argparse.SUPPRESS, help="open an own window, not a tab")
    to.add_argument(
        "--no-browser",
        dest="open_browser",
        action="store_false",
        default=argparse.SUPPRESS,
        help="open nothing, print the link",
    )


def _add_ui(commands: Any, shared: argparse.ArgumentParser) -> None:
    ui = commands.add_parser("ui", parents=[shared], help="open the studio in the browser (the default)")
    _add_ui_options(ui)
    ui.set_defaults(command="ui")


def _add_library(commands: Any, shared: argparse.ArgumentParser) -> None:
    library = commands.add_parser("library", parents=[shared], help="list, find, export, check what was made")
    library.add_argument("act", choices=("list", "find", "export", "check"))
    library.add_argument("words", nargs="*", help="find: words; export: ids (or words)")
    library.add_argument("--limit", type=int, default=50)
    library.add_argument("--out", type=out_file, default=Path("atelier.zip"), help="export: the zip to write")
    library.add_argument("--repair", action="store_true", help="check: mend what can be mended")
    library.add_argument("--json", action="store_true")
    library.set_defaults(command="library")


def _add_api(commands: Any, shared: argparse.ArgumentParser) -> None:
    api = commands.add_parser("api", parents=[shared], help="switch the API for other programs on or off")
    api.add_argument("act", nargs="?", choices=("show", "on", "off"), default="show")
    api.add_argument("--json", action="store_true")
    api.set_defaults(command="api")


def _add_doctor(commands: Any, shared: argparse.ArgumentParser) -> None:
    doctor = commands.add_parser("doctor", parents=[shared], help="say what works here and what does not")
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(command="doctor")


def ui(settings: Settings, given: argparse.Namespace) -> int:
    from studio.ui.app import serve  # gradio is heavy; no other command needs it

    serve(settings)
    return 0


def library(settings: Settings, given: argparse.Namespace) -> int:
    from studio.library.query import Query

    if given.limit < 1:
        raise InvalidInput(f"The limit is {given.limit}.", "Give 1 or more.", field="limit")
    with Studio(settings) as studio:
        store = studio.library
        if given.act == "check":
            report = store.check(repair=given.repair)
            print_json(dataclasses.asdict(report)) if given.json else print(report)
            return 0 if report.consistent else 1
        if given.act == "export":
            ids = _named(store, given.words) or [
                a.sha256 for a in store.find(Query(text=" ".join(given.words), limit=100_000)).items
            ]
            if not ids:
                wanted = " ".join(given.words)[:80]
                said = f"Nothing in the library matches {wanted!r}." if wanted else "The library is empty."
                raise NotFound(said, "See `library list` for what there is, with the ids.")
            marks = chosen(settings.home)
            print(store.export(ids, given.out, lambda kept: marked_bytes(kept, marks, settings.home)))
            return 0
        page = store.find(Query(text=" ".join(given.words), limit=given.limit))
        for artifact in page.items:
            if given.json:
                print_json(artifact.to_dict())
            else:
                print(
                    artifact.sha256[:12],
                    f"{artifact.media_type:10}",
                    str(artifact.meta.get("prompt", ""))[:80],
                    artifact.path,
                    sep="  ",
                )
        if not given.json:
            print(f"{len(page.items)} of {page.total}")
    return 0


def _named(store: Library, words: Sequence[str]) -> list[str]:
    """The works whose ids are given, whole or as `library list` shows them; [] where the words are no ids."""
    if not all(ID.fullmatch(word) for word in words):
        return []
    found = {word: store.beginning_with(word.lower()) for word in words}
    if not any(found.values()):  # a prompt may hold such words, too
        return []
    for word, ids in found.items():
        if not ids:
            raise NotFound(f"There is no {word!r} in the library.", "See `library list` for the ids.")
        if len(ids) > 1:
            raise InvalidInput(f"More than one work begins with {word!r}.", f"Name one: {', '.join(ids)}.")
    return [ids[0] for ids in found.values()]


def doctor(settings: Settings, given: argparse.Namespace) -> int:
    from studio.doctor import report

    found = report(settings)
    if given.json:
        print_json(found)
    else:
        for key, value in found.items():
            if key != "problems":
                print(f"{key:12} {value}")
        for problem in found["problems"]:
            print(f"PROBLEM  {problem['problem']}\n         {problem['remedy']}")
        print("Everything is in order." if not found["problems"] else f"{len(found['problems'])} problems.")
    return 1 if found["problems"] else 0


def api(settings: Settings, given: argparse.Namespace) -> int:
    """The key is made anew each time the API is switched on; a running studio hears of it at once."""
    from studio.ui.door import api_key, switch_api

    settings.home.mkdir(parents=True, exist_ok=True)
    key = api_key(settings.home) if given.act == "show" else switch_api(settings.home, given.act == "on")
    address = f"http://{settings.host}:{settings.port}/v1"
    if given.json:
        print_json({"on": bool(key), "base_url": address, "key": key})
    else:
        print(f"The API is on at {address}\nKey: {key}" if key else "The API is off.")
    return 0


COMMANDS = {
    "ui": ui,
    "image": image,
    "text": text,
    "music": music,
    "speech": speech,
    "sound": sound,
    "design": design,
    "library": library,
    "models": models,
    "origin": origin,
    "train": train,
    "evaluate": evaluate,
    "api": api,
    "doctor": doctor,
    "bench": bench,
}
