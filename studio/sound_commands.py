"""The commands `speech` and `sound`: a text spoken, music and effects as a waveform, a JSON line a take."""

import argparse
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.families import family
from studio.families.audio import CONSENT
from studio.settings import Settings
from studio.studio import Studio, inputs_of
from studio.terminal import adapter_of, copy_out, finished, out_folder, print_json, tell_end, text_of
from studio.types import Request, Value
from studio.voices import spoken_by

TASK = "text_to_speech"
SOUND = "text_to_audio"
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


def add_sound(commands: Any, shared: argparse.ArgumentParser) -> None:
    sound = commands.add_parser("sound", parents=[shared], help="make music or effects as a waveform")
    sound.add_argument("prompt", metavar="WORDS", help="for example: a slow blues on a steel guitar")
    sound.add_argument("--melody", type=Path, metavar="FILE", help="a recording whose tune is followed or covered")
    for param in family("audio").tasks[SOUND]:
        if param.name != "num_return_sequences":
            choices = param.choices or None
            told = (param.help or param.label).replace("%", "%%")
            sound.add_argument(f"--{param.name.replace('_', '-')}", type=param.type, choices=choices, help=told)
    sound.add_argument("--lora", action="append", default=[], metavar="NAME[:WEIGHT]", help="that was taught sounds")
    sound.add_argument("--count", type=int, default=1, help="takes (default: 1)")
    sound.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    sound.add_argument("--out", type=out_folder, help="folder that gets each take as FLAC")
    sound.add_argument("--model", default="", help="model id (default: the first that can)")
    sound.add_argument("--json", action="store_true", help="one JSON line a take and nothing else (the default)")
    sound.set_defaults(command="sound")


def _help_of(name: str) -> str:
    return next(param.help or param.label for param in family("audio").tasks[TASK] if param.name == name)


def speech(settings: Settings, given: argparse.Namespace) -> int:
    with Studio(settings) as studio:
        return _heard(studio, speech_request(studio, given), given.out, "speech")


def sound(settings: Settings, given: argparse.Namespace) -> int:
    if given.melody and not given.melody.is_file():
        raise InvalidInput(f"There is no file {given.melody}.", "Check the path.")
    with Studio(settings) as studio:
        model = studio.catalog.model(given.model) if given.model else studio.catalog.default(SOUND)
        melody = studio.adopt(given.melody, role="melody").sha256 if given.melody else None
        names = [param.name for param in family("audio").tasks[SOUND]]
        said = {name: getattr(given, name) for name in names if getattr(given, name, None) is not None}
        request = Request(
            task=SOUND,
            model=model.id,
            prompt=given.prompt,
            inputs=inputs_of(melody, "melody"),
            adapters=tuple(adapter_of(lora) for lora in given.lora),
            params={**studio.catalog.defaults(model, SOUND), **said, "num_return_sequences": given.count},
            seed=given.seed,
        )
        return _heard(studio, request, given.out, "sound")


def _heard(studio: Studio, request: Request, out: Path | None, otherwise: str) -> int:
    """Waits for the takes of a request and prints a line for each; the exit code."""
    job = studio.submit(request, panel="cli")
    done = finished(studio, job.id)
    for artifact in studio.library.outputs(job.id):
        path = artifact.path
        if out:
            out.mkdir(parents=True, exist_ok=True)
            path = copy_out(artifact, done.request, out, otherwise)
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
