"""What a training leaves in its folder, as the page shows it: its curve, its samples, its sheets. It writes nothing."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from studio.types import Json

POINTS = 400  # of a curve
SAMPLE = re.compile(r"[a-z0-9_]+(-[a-z0-9_]+)*\.(webp|flac)")


def no_number(_: str) -> None:
    """What Python writes as NaN or Infinity is no JSON, and would make an answer of it fail: it becomes null."""


def read_rows(path: Path) -> list[Json]:
    """The metrics of a run; a last line that is still being written is left for the next time."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    rows = []
    for line in lines:
        try:
            row = json.loads(line, parse_constant=no_number)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def thinned(rows: Sequence[Json]) -> list[Json]:
    """At most POINTS rows with a loss, smoothed over those between, and all with another figure."""
    every = max(1, -(-len(rows) // POINTS))
    kept: list[Json] = []
    waiting: list[float] = []
    for place, row in enumerate(rows):
        if isinstance(row.get("loss"), int | float):
            waiting.append(float(row["loss"]))
        marked = any(name not in ("step", "seconds", "loss") for name in row)
        if marked or (place + 1) % every == 0 or place + 1 == len(rows):
            smooth = {"loss": sum(waiting) / len(waiting)} if waiting else {}
            kept.append({**row, **smooth})
            waiting = []
    return kept


def read_json(path: Path) -> Json:
    try:
        plain = json.loads(path.read_text("utf-8"), parse_constant=no_number)
    except (OSError, ValueError):
        return {}
    return plain if isinstance(plain, dict) else {}


def sheets_of(folder: Path, job: str) -> list[Json]:
    """Contact sheets that were made at the end: {name, url}."""
    place = folder / "samples"
    found = []
    for path in sorted(place.glob("*.webp")) if place.is_dir() else ():
        label = path.stem.rpartition("-")[0]
        if label != "base" and not label.isdigit() and label != "checkpoint" and SAMPLE.fullmatch(path.name):
            stamp = path.stat().st_mtime_ns // 1_000_000
            found.append({"name": path.stem, "url": f"/atelier/train/sample/{job}/{path.name}?at={stamp}"})
    return found


def texts_of(folder: Path) -> list[Json]:
    """What a text model wrote on its way and at its end: {label, text}, the latest first."""
    place = folder / "samples"
    found = sorted(place.glob("*.txt"), reverse=True) if place.is_dir() else []
    return [{"label": path.stem, "text": path.read_text("utf-8", "replace")[:20_000]} for path in found[:8]]


def takes_of(folder: Path, job: str) -> list[Json]:
    """Takes of a model of sounds in the order of their making: {label, sounds: [address ...]}; "card" is the last."""
    found: dict[str, list[str]] = {}
    place = folder / "samples"
    for path in sorted(place.glob("*.flac")) if place.is_dir() else ():
        if SAMPLE.fullmatch(path.name):
            stamp = path.stat().st_mtime_ns // 1_000_000
            label = path.stem.rpartition("-")[0]
            found.setdefault(label, []).append(f"/atelier/train/sample/{job}/{path.name}?at={stamp}")
    order = sorted(found, key=lambda label: {"base": -1.0, "card": float("inf")}.get(label) or float(label))
    return [{"label": label, "sounds": found[label]} for label in order]


def samples_of(folder: Path, job: str) -> list[Json]:
    """Sample sheets in the order of their making: {label, pictures: [address ...]}."""
    sheets: dict[str, list[str]] = {}
    place = folder / "samples"
    for path in sorted(place.glob("*.webp")) if place.is_dir() else ():
        label, _, index = path.stem.rpartition("-")
        if index.isdigit() and (label == "base" or label.isdigit()):
            stamp = path.stat().st_mtime_ns // 1_000_000
            sheets.setdefault(label, []).append(f"/atelier/train/sample/{job}/{path.name}?at={stamp}")
    order = sorted(sheets, key=lambda label: -1 if label == "base" else int(label))
    return [
        {"label": label, "step": None if label == "base" else int(label), "pictures": sheets[label]} for label in order
    ]
