"""What a filled form for music asks for, and what is asked of a take: variations, more bars, another style.

Values in, requests out. Knows no components and queues nothing; notes of the keyboard become a score in the library.
"""

import random
import secrets
import time
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from studio.errors import InvalidInput, NotFound
from studio.families import family
from studio.families.audio import CONSENT
from studio.families.audio.folders import can_be_taught, clones
from studio.families.score.briefs import read_brief, unread
from studio.music.midi import write_midi
from studio.music.score import QUARTER, Note, Score, Track
from studio.music.soundfont import soundfont_named
from studio.studio import Studio, new_id
from studio.types import Artifact, Input, Job, JobState, Json, Request, Value
from studio.ui import form
from studio.voices import spoken_by

PANEL = "music"
MODES = (("Compose", "score"), ("Sound", "audio"), ("Speech", "speech"))
TASKS = {"score": "text_to_score", "audio": "text_to_audio", "speech": "text_to_speech"}
FAMILIES = {"score": "score", "audio": "audio", "speech": "audio"}
BY_HAND = "edit_score"  # the task of notes that a person changed
COUNT = "num_return_sequences"
REWORKS = {  # what a rework is called on the page: its task and the settings that it takes
    "vary": ("vary_score", ("from_bar", "to_bar", "strength")),
    "fill": ("fill_score", ("from_bar", "to_bar")),
    "continue": ("continue_score", ("bars",)),
    "harmonise": ("harmonise_score", ("style",)),
    "restyle": ("restyle_score", ("style",)),
}
STRENGTHS = {"subtle": 0.3, "strong": 0.8}
SOUND = ("reverb", "lufs", "soundfont")  # settings of a take that change its sound alone
DRY = ("reverb", "pause", "strength")  # numbers that are set even where they are 0
MAX_NOTES = 32
LOUDNESS = 88  # velocity of a note of the on-screen keyboard


@dataclass(frozen=True, kw_only=True)
class Composing:
    """The form's values by name, and what stands beside the form."""

    values: Mapping[str, Any]
    begins: Mapping[str, Any] = field(default_factory=dict)  # {sha256, notes: [[pitch, quarters], ...]}
    parent: str | None = None  # sha256 of the take that is branched from
    kept: Mapping[str, Any] = field(default_factory=dict)  # {"cover": sha256 of the take that is covered}
    recording: Mapping[str, Any] = field(default_factory=dict)  # {sha256, agreed}: whose voice speaks


def mode_of(values: Mapping[str, Any]) -> str:
    mode = str(values.get("mode") or "score")
    return mode if mode in TASKS else "score"


def request(studio: Studio, asked: Composing) -> Request:
    """What Generate asks for. InvalidInput names the field that cannot be used."""
    values = asked.values
    mode = mode_of(values)
    prompt = str(values.get("prompt") or "").strip()
    if not prompt and mode != "score":
        said = ("The text is empty.", "Write what is to be said.") if mode == "speech" else ("The prompt is empty.", "")
        raise InvalidInput(said[0], said[1] or "Describe the sound.", field="prompt")
    params = settings_of(values, mode)
    if mode == "score":
        soundfont_named(str(params.get("soundfont") or ""), studio.settings.home)  # while its field is in sight
    if mode == "speech" and recorded(studio, asked):
        params["consent"] = CONSENT if asked.recording.get("agreed") else ""
    return Request(
        task=TASKS[mode],
        model=model_of(studio, values),
        prompt=prompt,
        inputs=inputs_of(studio, asked, mode),
        adapters=form.adapters_of(values) if mode == "audio" and learns(studio, values) else (),
        params=params,
        seed=form.seed_of(values),
        parent=asked.parent or asked.kept.get("cover"),
    )


def inputs_of(studio: Studio, asked: Composing, mode: str) -> tuple[Input, ...]:
    """The notes that a piece begins with, or the take whose melody is covered."""
    if mode == "audio" and asked.kept.get("cover"):
        return (Input(role="melody", artifact=str(asked.kept["cover"])),)
    if mode == "speech":
        model = studio.catalog.model(model_of(studio, asked.values))
        consent = CONSENT if asked.recording.get("agreed") else ""
        return spoken_by(studio, model, str(asked.values.get("voice") or ""), recorded(studio, asked), consent)
    if mode != "score":
        return ()
    if asked.begins.get("sha256"):
        return (Input(role="beginning", artifact=studio.library.artifact(str(asked.begins["sha256"])).sha256),)
    notes = asked.begins.get("notes")
    if not notes:
        return ()
    return (Input(role="beginning", artifact=keep_notes(studio, notes).sha256),)


def recorded(studio: Studio, asked: Composing) -> str | None:
    """The recording whose voice is to speak; what was chosen for another model waits until that is chosen again."""
    sha256 = asked.recording.get("sha256")
    able = clones(studio.catalog.model(model_of(studio, asked.values)).folder)
    return str(sha256) if sha256 and able else None


def keep_notes(studio: Studio, played: Any) -> Artifact:
    """Notes of the on-screen keyboard, (pitch, quarters) each, as a score in the library. InvalidInput."""
    sound = isinstance(played, list) and 0 < len(played) <= MAX_NOTES
    notes: list[Note] = []
    tick = 0
    for one in played if sound else []:
        pair = one if isinstance(one, list) and len(one) == 2 else [None, None]
        pitch, quarters = pair
        if not isinstance(pitch, int) or not 0 <= pitch <= 127 or quarters not in (0.5, 1, 2):
            sound = False
            break
        length = int(quarters * QUARTER)
        notes.append(Note(tick, length, pitch, LOUDNESS))
        tick += length
    if not sound:
        raise InvalidInput("The notes of the keyboard cannot be read.", "Clear them and play them again.")
    bar = 4 * QUARTER
    score = Score(
        tracks=(Track(name="melody", program=0, drums=False, notes=tuple(notes)),),
        length=-(-tick // bar) * bar,
        tempi=((0, 100.0),),
        metres=((0, 4, 4),),
        keys=(),
        title="Played",
    )
    target = studio.settings.staging / f"adopt-{secrets.token_hex(6)}.mid"
    try:
        target.write_bytes(write_midi(score))
        meta = {"name": "Played notes", "role": "beginning", "duration": score.seconds}
        return studio.library.keep(target, media_type="audio/midi", meta=meta)
    finally:
        target.unlink(missing_ok=True)


def model_of(studio: Studio, values: Mapping[str, Any]) -> str:
    task = TASKS[mode_of(values)]
    able = {model.id for model in studio.catalog.models(task)}
    if values.get("model") in able:
        return str(values["model"])
    if not able:
        raise InvalidInput(
            "No model of this kind is installed.",
            "Put a transformers or diffusers folder into the home's models folder, or choose Compose.",
            field="model",
        )
    return studio.catalog.default(task).id


def learns(studio: Studio, values: Mapping[str, Any]) -> bool:
    """Whether the chosen model is one that LoRAs are taught to."""
    return can_be_taught(studio.catalog.model(model_of(studio, values)).folder)


def settings_of(values: Mapping[str, Any], mode: str) -> dict[str, Value]:
    """Those entered values that this mode's task knows; empty ones are left to words and model."""
    declared = family(FAMILIES[mode]).tasks.get(TASKS[mode], ())
    values = {**values, **{param.name: values.get(field_of(values, mode, param.name)) for param in declared}}
    entered = {
        name: value for name, value in values.items() if value not in (None, "", 0) or name in DRY and value == 0
    }
    return form.params(declared, entered)


def field_of(fields: Container[str], mode: str, setting: str) -> str:
    """The name of a setting's field: what modes share has one in each, under `mode.name` in all but the first."""
    own = f"{mode}.{setting}"
    return own if own in fields else setting


def read_as(values: Mapping[str, Any], prompt: str) -> str:
    """What the words of a brief are taken for, as a line; fields that are set win over words."""
    if mode_of(values) != "score" or not prompt.strip():
        return ""
    found = read_brief(prompt)
    told = {name: value for name, value in found.items() if values.get(name) in (None, "", 0)}
    left = unread(prompt)
    lines = [f"Read as: {' · '.join(words(told))}"] if told else []
    return "\n".join([*lines, f"Nothing is taken from: {', '.join(left[:8])}"] if left else lines)


def words(params: Mapping[str, Any]) -> list[str]:
    """Settings of a piece as a musician says them."""
    forms = {"tempo": "{} bpm", "bars": "{} bars", "density": "{} notes"}
    told = []
    for name in ("style", "key", "metre", "tempo", "bars", "density", "instruments"):
        value = params.get(name)
        if value not in (None, "", 0):
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            if isinstance(value, float):
                shown = f"{value:g}"
            if name == "key":
                shown = f"{shown[:-1]} minor" if shown.endswith("m") else f"{shown} major"
            told.append(forms.get(name, "{}").format(shown))
    return told


# --- what is asked of a take


def made_by(studio: Studio, sha256: str) -> tuple[Artifact, Job]:
    """A take and the job that made it. NotFound for one that was not made here."""
    artifact = studio.library.artifact(sha256)
    if artifact.job is None:
        raise NotFound("That piece was not made here, so it has no brief.", "Rework it, or begin a new one with it.")
    return artifact, studio.library.job(artifact.job)


def again(studio: Studio, sha256: str, values: Mapping[str, Any]) -> Request:
    """More takes of the same request by the form's count, with new seeds."""
    before = made_by(studio, sha256)[1].request
    if not before.model:
        raise NotFound("This take was changed by hand.", "Vary it instead.")
    count = form.whole(values, COUNT, "Takes")
    seed = random.SystemRandom().randrange(form.MAX_SEED)
    return before.replace(params={**before.params, COUNT: count}, seed=seed, parent=sha256)


def reworked(studio: Studio, sha256: str, asked: Mapping[str, Any], values: Mapping[str, Any]) -> Request:
    """A part or all of a take made anew: `how` is one of REWORKS, its settings beside it."""
    how = str(asked.get("how"))
    if how not in REWORKS:
        raise InvalidInput("It is not said what is to be done with this take.", "Choose Rework again.")
    source = studio.library.artifact(sha256)
    if source.media_type != "audio/midi":
        raise InvalidInput("Only a take with notes can be reworked.", "Choose a composed take.")
    task, takes = REWORKS[how]
    before = studio.library.job(source.job).request if source.job else None
    params: dict[str, Value] = {name: asked[name] for name in takes if asked.get(name) not in (None, "")}
    known = {param.name for param in family("score").params(task)}
    kept = {"temperature", "top_p"} & known
    params |= {name: values[name] for name in kept if values.get(name) not in (None, "", 0)}
    params |= sound_of(before)
    params[COUNT] = int(asked.get("count") or form.whole(values, COUNT, "Takes"))
    return Request(
        task=task,
        model=composer(studio, before),
        prompt=before.prompt if before else str(source.meta.get("name") or ""),
        inputs=(Input(role="source", artifact=sha256),),
        params=params,
        seed=random.SystemRandom().randrange(form.MAX_SEED),
        parent=sha256,
    )


def sound_of(before: Request | None) -> dict[str, Value]:
    """What a take's request says of its sound."""
    return {name: before.params[name] for name in SOUND if before and name in before.params}


def composer(studio: Studio, before: Request | None) -> str:
    """The model that made a take, if it can rework; else the first that can."""
    able = [model.id for model in studio.catalog.models(TASKS["score"])]
    if before and before.model in able:
        return before.model
    if not able:
        raise InvalidInput("No model that composes is installed.", "Run the doctor command: a starter is missing.")
    return able[0]


def varied(studio: Studio, sha256: str, strength: str, values: Mapping[str, Any]) -> Request:
    """Quick variations of the whole take; a sound without notes is made again with other seeds."""
    if studio.library.artifact(sha256).media_type != "audio/midi":
        return again(studio, sha256, values)
    count = form.whole(values, COUNT, "Takes")
    asked = {"how": "vary", "strength": STRENGTHS.get(strength, 0.3), "count": count}
    return reworked(studio, sha256, asked, values)


def described(job: Job) -> Json:
    """How a take was made, flat, for an export."""
    request = job.request
    params = {name: value for name, value in request.params.items() if value not in (None, "", 0, [])}
    return {"prompt": request.prompt, "model": request.model, "seed": request.seed, "task": request.task, **params}


def keep_changed(studio: Studio, before: Artifact, score: Score, panel: str, warnings: Sequence[str] = ()) -> Artifact:
    """A score that was changed by hand as a finished job of its own, so that ancestry goes through it."""
    from studio.music.analysis import analyse

    made = studio.library.job(before.job).request if before.job else None
    asked = Request(
        task=BY_HAND,
        model="",
        prompt=made.prompt if made else str(before.meta.get("name") or ""),
        inputs=(Input(role="source", artifact=before.sha256),),
        params=sound_of(made),
        parent=before.sha256,
    )
    now = time.time()
    job = Job(id=new_id(now), request=asked, state=JobState.done, created=now, started=now, finished=now, panel=panel)
    analysis = analyse(score)
    meta: dict[str, Value] = {
        "prompt": asked.prompt,
        "task": BY_HAND,
        "bars": score.bars,
        "duration": score.seconds,
        "line": str(analysis["line"]),
        **({"warnings": list(warnings)} if warnings else {}),
    }
    target = studio.settings.staging / f"adopt-{secrets.token_hex(6)}.mid"
    try:
        target.write_bytes(write_midi(score, {"request": asked.to_dict(), "job": job.id}))
        studio.library.add_job(job)
        kept = studio.library.keep(target, media_type="audio/midi", job=job.id, meta=meta)
    finally:
        target.unlink(missing_ok=True)
    studio.touch()
    return kept
