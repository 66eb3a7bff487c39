"""The command `text`: drafts of one brief, a JSON line each, or the first of them as it comes."""

import argparse
from pathlib import Path
from typing import Any

from studio import text_templates
from studio.errors import InvalidInput
from studio.families import family
from studio.settings import Settings
from studio.studio import Live, Studio
from studio.terminal import adapter_of, copy_out, finished, out_folder, print_json, show_progress, tell_end, text_of
from studio.types import Request, Value

MODES = ("brief", "write", "chat")
# options of the command that are settings of the task under the same name
NUMBERS = {
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "typical_p": float,
    "top_n_sigma": float,
    "xtc_probability": float,
    "xtc_threshold": float,
    "mirostat": int,
    "mirostat_tau": float,
    "mirostat_eta": float,
    "repetition_penalty": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "repeat_last_n": int,
    "dry_multiplier": float,
    "dry_base": float,
    "dry_allowed_length": int,
    "keyword_bias": float,
    "length": int,
    "seconds": float,
}
WORDS = ("audience", "part", "keywords", "title", "tone", "language", "system", "regex", "quantization")


def add_text(commands: Any, shared: argparse.ArgumentParser) -> None:
    text = commands.add_parser("text", parents=[shared], help="write drafts of a brief, or go on from a text")
    text.add_argument("prompt", metavar="BRIEF", nargs="?", help="what it is about; with --mode write how it begins")
    text.add_argument("--template", metavar="NAME", help="one of the Text panel; what else is said here counts more")
    text.add_argument("--mode", choices=MODES, help="follow a brief (default), go on from it, or answer it")
    text.add_argument("--genre", help="story, poem, play, essay, letter, code ...")
    text.add_argument("--count", type=int, help="drafts (default: 1)")
    text.add_argument("--max-new-tokens", type=int, help="how long at most; a token is three or four letters")
    text.add_argument("--seed", type=int, default=-1, help="default: a random one; draft k has the seed + k")
    text.add_argument("--out", type=out_folder, help="folder that gets a copy of every draft")
    text.add_argument("--model", default="", help="model id (default: the first that can)")
    for name, kind in NUMBERS.items():
        text.add_argument(f"--{name.replace('_', '-')}", type=kind, help=help_of(name))
    for name in WORDS:
        text.add_argument(f"--{name}", help=help_of(name))
    text.add_argument("--lora", action="append", default=[], metavar="NAME[:WEIGHT]", help="one that was taught texts")
    text.add_argument("--without", action="append", default=[], metavar="WORD", help="a word that must not come")
    text.add_argument("--stop", action="append", default=[], metavar="TEXT", help="a draft ends before it")
    text.add_argument("--json-schema", type=Path, metavar="FILE", help="the text is JSON of this schema")
    text.add_argument("--stream", action="store_true", help="write the first draft to stdout as it comes, not JSON")
    text.add_argument("--json", action="store_true", help="one JSON line a draft and nothing else (the default)")
    text.set_defaults(command="text")


def help_of(name: str) -> str:
    return next(param.help or param.label for param in family("causal_lm").tasks["text"] if param.name == name)


def text(settings: Settings, given: argparse.Namespace) -> int:
    if given.stream and given.json:
        raise InvalidInput("--stream writes the words, --json lines about them.", "Choose one of the two.")
    with Studio(settings) as studio:
        job = studio.submit(text_request(studio, given), panel="cli")
        stream = Stream() if given.stream else None
        done = finished(studio, job.id, stream or show_progress)
        kept = studio.library.outputs(job.id)
        if given.out:
            given.out.mkdir(parents=True, exist_ok=True)
        paths = [copy_out(made, done.request, given.out, "text") if given.out else made.path for made in kept]
        if stream:
            if kept:
                stream.show(kept[0].path.read_text("utf-8"))
            print(flush=True)
        else:
            for artifact, path in zip(kept, paths, strict=True):
                words = artifact.path.read_text("utf-8")
                facts = {k: artifact.meta.get(k) for k in ("seed", "tokens", "words", "seconds", "finished", "repeats")}
                facts |= {k: artifact.meta[k] for k in ("complete", "copied") if k in artifact.meta}
                about = {"model": done.request.model, "device": done.device, "job": job.id, "sha256": artifact.sha256}
                print_json({"path": str(path), "text": words, **facts, **about})
        useless = bool(kept) and not any(made.meta.get("complete", True) for made in kept)
        return tell_end(done) or int(useless)


def text_request(studio: Studio, given: argparse.Namespace) -> Request:
    if given.prompt is None and not given.template:
        raise InvalidInput("It is not said what to write about.", "Give a brief, or a template with --template.")
    params: dict[str, Value] = {
        "mode": given.mode,
        "genre": given.genre,
        "num_return_sequences": given.count,
        "max_new_tokens": given.max_new_tokens,
        "stop": "\n".join(stop.replace("\n", "\\n") for stop in given.stop) or None,
        "json_schema": text_of(given.json_schema) if given.json_schema else None,
        "word_filter": list[Any](given.without) or None,
        **{name: getattr(given, name) for name in (*NUMBERS, *WORDS)},
    }
    said = {k: v for k, v in params.items() if v is not None}
    chosen = text_templates.find(studio.settings.home, given.template) if given.template else None
    plain: dict[str, Any] = dict(chosen.fields) if chosen else {}
    known = Request.from_dict({"task": "text", "model": "", **plain})
    usual: dict[str, Value] = {"mode": "brief", "num_return_sequences": 1}
    return known.replace(
        model=given.model or known.model or studio.catalog.default("text").id,
        prompt=known.prompt if given.prompt is None else given.prompt,
        adapters=tuple(adapter_of(lora) for lora in given.lora) or known.adapters,
        params={**usual, **known.params, **said},
        seed=given.seed,
    )


class Stream:
    """Writes the first draft to stdout as its previews come."""

    def __init__(self) -> None:
        self.shown = ""

    def __call__(self, live: Live) -> None:
        path = live.previews.get(0)
        if path is not None:
            try:
                self.show(path.read_text("utf-8").rstrip("\ufffd"))
            except FileNotFoundError:  # the job has just ended and its folder with it; the rest comes from the draft
                return

    def show(self, text: str) -> None:
        """What is new. Where a text was changed after it was shown (a stop string), that is on a new line."""
        if text.startswith(self.shown):
            print(text[len(self.shown) :], end="", flush=True)
            self.shown = text
        elif not self.shown.startswith(text):
            print(f"\n{text}", end="", flush=True)
            self.shown = text
