"""What is derived of a kept score or sound: the rendered audio, the engraved pages, files of other formats.

All of it follows from the artifact alone, so it is made when it is asked for and kept in the cache folder. What
synthesises, engraves and converts is imported when it is first wanted: it takes seconds, and the page starts without.
"""

import contextlib
import hashlib
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from PIL import Image, ImageDraw

from studio.errors import DiskFull, InvalidInput
from studio.library import provenance
from studio.music.midi import read_midi
from studio.music.score import Score
from studio.music.soundfont import soundfont_named
from studio.studio import Studio
from studio.types import Artifact, Json
from studio.ui import composing

if TYPE_CHECKING:
    from studio.music.sound import Sound

MOST = 2**30  # bytes of the cache
FRESH = ".new"  # of a file that is being written
AUDIO = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg"}
SCORES = {
    "mid": "audio/midi",
    "musicxml": "application/vnd.recordare.musicxml+xml",
    "abc": "text/vnd.abc",
    "svg": "image/svg+xml",
    "pdf": "application/pdf",
    "stems": "application/zip",
}
THUMB = (512, 320)  # pixels
COLOURS = ("#3b9ddd", "#e69f00", "#22b07d", "#cc79a7", "#d55e00", "#8f7ee7", "#b5a900", "#8a8f98")  # as music-roll.js
_locks: dict[Path, threading.Lock] = {}
_guard = threading.Lock()


def score_of(studio: Studio, sha256: str) -> tuple[Artifact, Score]:
    """A kept score. NotFound; InvalidInput for what holds no notes."""
    kept = studio.library.artifact(sha256)
    if kept.media_type != "audio/midi":
        raise InvalidInput("This take holds no notes.", "Choose a composed take.")
    return kept, read_midi(kept.path.read_bytes(), kept.path.name)


def told(studio: Studio, sha256: str) -> Json:
    """The score and what can be said of it in a line."""
    from studio.music.analysis import analyse

    _, score = score_of(studio, sha256)
    analysis = analyse(score)
    return {"score": score.to_json(), "line": analysis["line"], "analysis": analysis}


def sound_settings(studio: Studio, sha256: str, asked: Mapping[str, str]) -> "Sound":
    """The take's own settings of its sound, and those in an address. NotFound; InvalidInput."""
    from studio.music.sound import Sound

    kept = studio.library.artifact(sha256)
    own = dict(composing.sound_of(studio.library.job(kept.job).request if kept.job else None))
    font = soundfont_named(str(own.pop("soundfont", "")), studio.settings.home)
    numbers = {name: float(str(value)) for name, value in own.items()}
    return Sound(loop=asked.get("loop") == "1", soundfont=font, **numbers)


def rendered(studio: Studio, sha256: str, sound: "Sound", tracks: Sequence[int] | None) -> Path:
    """The sound of a kept score, or of these of its parts, as a WAV file in the cache."""
    from studio.music.sound import audio_file, render

    kept, score = score_of(studio, sha256)
    only = None if tracks is None else {track for track in tracks if 0 <= track < len(score.tracks)}
    if only is not None and not only:
        raise InvalidInput("No part of this take is left to hear.", "Switch one on.")
    key = f"{kept.sha256} {sound} {sorted(only) if only is not None else 'all'} {font_print(sound)}"
    return cached(
        studio, f"{key}.wav", lambda: audio_file(render(score, sound, only=only), "wav", settings_of(studio, kept))
    )


def font_print(sound: "Sound") -> str:
    return str(Path(sound.soundfont).stat().st_size) if sound.soundfont else ""


def engraved(studio: Studio, sha256: str) -> Json:
    """{"pages": [svg], "times": [[seconds, [ids]]]}."""
    from studio.music.engrave import engrave

    kept, score = score_of(studio, sha256)
    path = cached(studio, f"{kept.sha256} engraved.json", lambda: json.dumps(engrave(score)).encode())
    return json.loads(path.read_text("utf-8"))


def exported(studio: Studio, sha256: str, format: str, asked: Mapping[str, str]) -> tuple[bytes, str, str]:
    """(bytes, media type, file name). NotFound; InvalidInput for a format that it cannot have."""
    kept = studio.library.artifact(sha256)
    settings = settings_of(studio, kept)
    if format in AUDIO:
        data = audio_of(studio, kept, format, settings, asked)
    elif format in SCORES:
        data = score_as(studio, kept, format, settings)
    else:
        known = ", ".join([*AUDIO, *SCORES])
        raise InvalidInput(f"There is no format {format[:20]!r}.", f"There are: {known}.", field="format")
    zipped = format == "stems" or data[:2] == b"PK"
    kind = "application/zip" if zipped else {**AUDIO, **SCORES}[format]
    suffix = "zip" if zipped else format
    words = str(kept.meta.get("prompt") or kept.meta.get("name") or "piece").lower()
    plain = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in words).split())[:48] or "piece"
    return data, kind, f"{plain}-{kept.sha256[:6]}{'-stems' if format == 'stems' else ''}.{suffix}"


def audio_of(studio: Studio, kept: Artifact, format: str, settings: Json, asked: Mapping[str, str]) -> bytes:
    from studio.music.sound import audio_file, render

    if kept.media_type == "audio/midi":
        _, score = score_of(studio, kept.sha256)
        return audio_file(render(score, sound_settings(studio, kept.sha256, asked)), format, settings)
    if not kept.media_type.startswith("audio/"):
        raise InvalidInput("This take is no sound.", "Download the file as it is.")
    samples, rate = soundfile.read(kept.path, dtype="float32", always_2d=True)
    return audio_file(np.asarray(samples, np.float32), format, settings, rate=rate)


def score_as(studio: Studio, kept: Artifact, format: str, settings: Json) -> bytes:
    from studio.music import files

    _, score = score_of(studio, kept.sha256)
    if format == "pdf":
        from studio.music.engrave import score_pdf

        return score_pdf(score, settings)
    if format == "svg":
        pages = engraved(studio, kept.sha256)["pages"]
        return pages[0].encode() if len(pages) == 1 else zip_of({f"page-{k + 1}.svg": p for k, p in enumerate(pages)})
    if format == "stems":
        from studio.music.sound import stems, stems_zip

        return stems_zip(stems(score, sound_settings(studio, kept.sha256, {})), settings=settings)
    return files.write_score(score, format, settings)


def zip_of(named: Mapping[str, str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in named.items():
            archive.writestr(name, text)
    return target.getvalue()


def settings_of(studio: Studio, kept: Artifact) -> Json:
    """What is written into an exported file: the complete record, as pictures carry it."""
    if kept.job is None:
        return {}
    job = studio.library.job(kept.job)
    record: provenance.Provenance = studio.record(job, kept.index, kept.meta)
    return json.loads(record.json())


def cached(studio: Studio, key: str, make: Callable[[], bytes], kept_in: str = "music") -> Path:
    """The file of that key in the cache, made now if it is not there; two that ask at once wait for one."""
    folder = studio.settings.cache / kept_in
    suffix = key.rpartition(".")[2]
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()}.{suffix}"
    with _guard:
        lock = _locks.setdefault(path, threading.Lock())
    with lock:
        with contextlib.suppress(FileNotFoundError):  # `touch` would make it, empty, where another has just removed it
            os.utime(path)
            return path
        data = make()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            trim(folder, MOST - len(data))
            fresh = path.with_suffix(FRESH)
            fresh.write_bytes(data)
            fresh.replace(path)
        except OSError as error:
            raise DiskFull(f"The file could not be written: {error.strerror}.", "Free some disk space.") from error
    return path


def trim(folder: Path, most: int) -> None:
    """Removes what was not asked for the longest time until `most` bytes are left. What another thread is writing
    stays, and what it has just removed is no matter.
    """
    known = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if path.suffix != FRESH:
                stat = path.stat()
                known.append((stat.st_mtime, stat.st_size, path))
    total = 0
    for _, size, path in sorted(known, reverse=True):
        total += size
        if total > most:
            path.unlink(missing_ok=True)


def keep_by_hand(studio: Studio, sha256: str, plain: Any, panel: str) -> Artifact:
    """Notes that a person changed, in the library as a take whose parent is the one that was changed; words follow.
    InvalidInput."""
    from studio.music.lyrics import carried

    kept, before = score_of(studio, sha256)
    score, unsung = carried(before, Score.from_json(plain))
    return composing.keep_changed(studio, kept, score, panel, [unsung] if unsung else [])


# --- a picture of a work that is heard


def thumbnail(studio: Studio, kept: Artifact) -> Path:
    """The notes or the wave as a small transparent picture, in the cache."""
    draw = notes_drawn if kept.media_type == "audio/midi" else wave_drawn
    return cached(studio, f"{kept.sha256} thumbnail.webp", lambda: draw(kept))


def heard(kept: Artifact) -> bool:
    return kept.media_type.startswith("audio/")


def notes_drawn(kept: Artifact) -> bytes:
    score = read_midi(kept.path.read_bytes(), kept.path.name)
    picture = Image.new("RGBA", THUMB)
    pen = ImageDraw.Draw(picture)
    pitches = [note.pitch for track in score.tracks if not track.drums for note in track.notes] or [60]
    low, high = min(pitches) - 2, max(max(pitches) + 2, min(pitches) + 16)
    across, down = THUMB[0] / max(1, score.length), (THUMB[1] - 24) / (high - low + 1)
    for index, track in enumerate(score.tracks):
        colour = COLOURS[index % len(COLOURS)]
        for note in track.notes:
            left = note.onset * across
            top = THUMB[1] - 16 + note.pitch % 3 * 4 if track.drums else 8 + (high - note.pitch) * down
            width = 3 if track.drums else max(3.0, note.duration * across - 2)
            pen.rectangle((left, top, left + width, top + (3 if track.drums else max(3.0, down * 0.8))), colour)
    return webp(picture)


def wave_drawn(kept: Artifact) -> bytes:
    picture = Image.new("RGBA", THUMB)
    pen = ImageDraw.Draw(picture)
    count = THUMB[0] // 8
    with soundfile.SoundFile(kept.path) as sound:  # stretch by stretch: an hour would take gigabytes
        ends = [round(sound.frames * (k + 1) / count) for k in range(count)]
        loud = [float(np.abs(sound.read(end - sound.tell(), dtype="float32")).max(initial=0)) for end in ends]
    for k, level in enumerate(loud):
        half = max(2.0, level * (THUMB[1] / 2 - 12))
        pen.rectangle((k * 8, THUMB[1] / 2 - half, k * 8 + 4, THUMB[1] / 2 + half), COLOURS[0])
    return webp(picture)


def webp(picture: Image.Image) -> bytes:
    target = io.BytesIO()
    picture.save(target, format="WEBP", quality=85)
    return target.getvalue()
