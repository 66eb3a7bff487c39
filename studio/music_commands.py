"""The command `music`: takes of a brief as MIDI, MusicXML and sound, a JSON line each."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.catalog import Catalog
from studio.errors import InvalidInput
from studio.families import family
from studio.music.files import read_score, write_score
from studio.music.soundfont import soundfont_named
from studio.settings import Settings
from studio.studio import Studio
from studio.terminal import copy_out, finished, out_folder, print_json, tell_end, text_of
from studio.types import Input, Request, Value

TASK = "text_to_score"
WORDS = ("style", "key", "metre", "instruments", "density", "soundfont")
NUMBERS = {"bars": int, "tempo": float, "temperature": float, "top_p": float, "reverb": float, "lufs": float}
AUDIO = ("wav", "flac", "ogg", "mp3")


def add_music(commands: Any, shared: argparse.ArgumentParser) -> None:
    music = commands.add_parser("music", parents=[shared], help="compose pieces of a brief")
    music.add_argument("prompt", metavar="BRIEF", help="for example: a sad slow waltz in D minor with cello and piano")
    for name in WORDS:
        music.add_argument(f"--{name}", help=_help_of(name))
    for name, kind in NUMBERS.items():
        music.add_argument(f"--{name.replace('_', '-')}", type=kind, help=_help_of(name))
    music.add_argument("--lyrics", metavar="TEXT|@FILE", help=_help_of("lyrics"))
    music.add_argument("--beginning", type=Path, metavar="FILE", help="a score whose notes come first")
    music.add_argument("--count", type=int, default=1, help="takes (default: 1)")
    music.add_argument("--seed", type=int, default=-1, help="default: a random one; take k has the seed + k")
    music.add_argument("--out", type=out_folder, help="folder that gets each take as .mid, .musicxml and sound")
    music.add_argument("--audio", choices=AUDIO, default="wav", help="format of the sound (default: wav)")
    music.add_argument("--loop", action="store_true", help="the sound has no seam where its end meets its beginning")
    music.add_argument("--model", default="", help="model id (default: the first that can)")
    music.add_argument("--json", action="store_true", help="one JSON line a take and nothing else (the default)")
    music.set_defaults(command="music")


def _help_of(name: str) -> str:
    return next(param.help or param.label for param in family("score").tasks[TASK] if param.name == name)


def music(settings: Settings, given: argparse.Namespace) -> int:
    if given.soundfont:
        soundfont_named(given.soundfont, settings.home)  # before any work is done
    with Studio(settings) as studio:
        inputs: tuple[Input, ...] = ()
        if given.beginning:
            if not given.beginning.is_file():
                raise InvalidInput(f"There is no file {given.beginning}.", "Check the path.")
            inputs = (Input(role="beginning", artifact=studio.adopt(given.beginning, role="beginning").sha256),)
        job = studio.submit(music_request(studio.catalog, given, inputs), panel="cli")
        done = finished(studio, job.id)
        for artifact in studio.library.outputs(job.id):
            paths = {"path": str(artifact.path)}
            if given.out:
                given.out.mkdir(parents=True, exist_ok=True)
                target = copy_out(artifact, done.request, given.out, "music")
                paths = written(target, given, done.request.to_dict(), settings.home)
            names = ("seed", "style", "key", "metre", "tempo", "bars", "seconds", "instruments", "line")
            facts = {name: artifact.meta[name] for name in names if name in artifact.meta}
            about = {"model": done.request.model, "device": done.device, "job": job.id, "sha256": artifact.sha256}
            print_json({**paths, **facts, **about})
        return tell_end(done)


def written(midi: Path, given: argparse.Namespace, asked: Mapping[str, Any], home: Path) -> dict[str, str]:
    """Writes the take beside its MIDI file as MusicXML and as sound; the paths by format."""
    from studio.music.sound import Sound, audio_file, render  # a synthesiser is heavy; no other command needs it

    score, params = read_score(midi.read_bytes(), midi.name), asked["params"]
    font = soundfont_named(params["soundfont"], home)
    wanted = Sound(lufs=params["lufs"], reverb=params["reverb"], loop=given.loop, soundfont=font)
    sheet, sound = midi.with_suffix(".musicxml"), midi.with_suffix(f".{given.audio}")
    sheet.write_bytes(write_score(score, "musicxml", asked))
    sound.write_bytes(audio_file(render(score, wanted), given.audio, asked))
    return {"path": str(midi), "musicxml": str(sheet), given.audio: str(sound)}


def words_of(text: str) -> str:
    """The text itself, or that of the file behind an "@"."""
    return text_of(Path(text[1:]), "lyrics") if text.startswith("@") else text


def music_request(catalog: Catalog, given: argparse.Namespace, inputs: tuple[Input, ...] = ()) -> Request:
    if given.bars == 0:
        raise InvalidInput("A piece of 0 bars is asked for.", "Ask for 1 or more, or leave --bars out.", field="bars")
    params: dict[str, Value] = {
        "num_return_sequences": given.count,
        **{name: getattr(given, name) for name in (*WORDS, *NUMBERS)},
        "lyrics": words_of(given.lyrics) if given.lyrics else None,
    }
    return Request(
        task=TASK,
        model=given.model or catalog.default(TASK).id,
        prompt=given.prompt,
        inputs=inputs,
        params={name: value for name, value in params.items() if value is not None},
        seed=given.seed,
    )
