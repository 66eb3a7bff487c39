"""The command `speech`: a text spoken by a speech model, a JSON line a take."""

import argparse
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.families import family
from studio.families.audio import CONSENT
from studio.settings import Settings
from studio.studio import Studio
from studio.terminal import copy_out, finished, out_folder, print_json, tell_end, text_of
from studio.types import Request, Value
from studio.voices import spoken_by

TASK = "text_to_speech"
SET = {"voice": str, "speed": float, "language": str, "pause": float, "temperature": float}


def add_speech(commands: Any, shared: argparse.ArgumentParser) -> None:
    speech = commands.add_parser("speech", parents=[shared], help="speak a text")
    speech.add_argument("prompt", metavar="TEXT", nargs="?", default="", help="or --file")
    speech.add_argument("--file", type=Path, help="a text file instead of TEXT")
    for name, kind in SET.items():
        speech.add_argument(f"--{name}", type=kind, help=_help_of(name))
    speech.add_argument("--voice-of", type=Path, metavar="RECORDING", help="speak in the voice of this recording")
    speech.add_argument("--i-may-use-this-voice", action="store_true", help=f"with --voice-of: {CONSENT}")
    speech.add_argument("--count", type=int, default=1, help="takes (default: 1)")
    speech.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    speech.add_argument("--out", type=out_folder, help="folder that gets each take as FLAC")
    speech.add_argument("--model", default="", help="model id (default: the first that can)")
    speech.add_argument("--json", action="store_true", help="one JSON line a take and nothing else (the default)")
    speech.set_defaults(command="speech")


def _help_of(name: str) -> str:
    return next(param.help or param.label for param in family("audio").tasks[TASK] if param.name == name)


def speech(settings: Settings, given: argparse.Namespace) -> int:
    with Studio(settings) as studio:
        job = studio.submit(speech_request(studio, given), panel="cli")
        done = finished(studio, job.id)
        for artifact in studio.library.outputs(job.id):
            path = artifact.path
            if given.out:
                given.out.mkdir(parents=True, exist_ok=True)
                path = copy_out(artifact, done.request, given.out, "speech")
            names = ("seed", "seconds", "sample_rate", "lufs", "voice", "sentences", "took")
            facts = {name: artifact.meta[name] for name in names if name in artifact.meta}
            print_json({"path": str(path), **facts, "model": done.request.model, "job": job.id})
        return tell_end(done)


def speech_request(studio: Studio, given: argparse.Namespace) -> Request:
    text = given.prompt
    if given.file:
        text = text_of(given.file)
    model = studio.catalog.model(given.model) if given.model else studio.catalog.default(TASK)
    if given.voice_of and not given.voice_of.is_file():
        raise InvalidInput(f"There is no file {given.voice_of}.", "Check the path.")
    if given.voice_of and not given.i_may_use_this_voice:
        said = "It is not said that the voice of this recording may be used."
        raise InvalidInput(said, f"Give --i-may-use-this-voice where this holds: {CONSENT}")
    recording = studio.adopt(given.voice_of, role="voice").sha256 if given.voice_of else None
    consent = CONSENT if recording else ""
    params: dict[str, Value] = {
        "num_return_sequences": given.count,
        **{name: getattr(given, name) for name in SET if getattr(given, name) is not None},
        **({"consent": consent} if consent else {}),
    }
    inputs = spoken_by(studio, model, given.voice or "", recording, consent)
    return Request(task=TASK, model=model.id, prompt=text, inputs=inputs, params=params, seed=given.seed)
