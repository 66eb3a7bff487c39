"""The library and the queue as the page reads them: plain JSON of artifacts, pages, ancestry and jobs.

Changes nothing.
"""

import difflib
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from studio.errors import InvalidInput, NotFound
from studio.families import families
from studio.library.peers import Recovered
from studio.library.query import Query
from studio.studio import Studio
from studio.types import Artifact, Job, JobState, Json, Request
from studio.ui import drafts

PAGE = 100  # artifacts
RECENT = 5  # failed jobs that the queue still shows
HOURS = 12  # ... and for how long
PICKED = "picked"  # the tag by which a take is picked
BLIND = "picked blind"  # ... without seeing names and settings
LEFT_OPEN = ("tempo", "bars", "from_bar", "to_bar", "length", "seconds", "bpm")  # settings of which 0 says nothing
COUNTS = ("num_images_per_prompt", "num_return_sequences", "count")
HIDDEN = {
    *COUNTS,
    "variations",
    "beginning_tokens",
    "own_characters",
    "messages",
    "suffix",
    "beginning",
    "word_filter",
    "key_weight",
    "variety_weight",
}  # settings that say nothing about one take
OWN_TAGS = (PICKED, BLIND)  # shown as marks, not as tags of the person's


def item(artifact: Artifact) -> Json:
    """One artifact as a tile: addresses by hash, never a path."""
    seen = (
        artifact.media_type.startswith(("image/", "audio/", "model/gltf")) or artifact.media_type == "application/pdf"
    )
    seen = seen or "palette" in artifact.meta
    meta = artifact.meta
    return {
        "sha256": artifact.sha256,
        "url": f"/atelier/files/{artifact.sha256}",
        "thumb": f"/atelier/thumbs/{artifact.sha256}" if seen else None,
        "media_type": artifact.media_type,
        "size": artifact.size,
        "width": artifact.width,
        "height": artifact.height,
        "duration": artifact.duration,
        "created": artifact.created,
        "starred": artifact.starred,
        "picked": PICKED in artifact.tags,
        "blind": BLIND in artifact.tags,
        "tags": [t for t in artifact.tags if t not in OWN_TAGS],
        "trashed": artifact.trashed is not None,
        "copied": drafts.copied(meta),
        "prompt": str(meta.get("prompt") or ""),
        "name": str(meta.get("name") or ""),
        "model": str(meta.get("model") or ""),
        "seed": meta.get("seed"),
        "job": artifact.job,
    }


def query(given: Mapping[str, str]) -> Query:
    """The words of an address as a Query. InvalidInput names what cannot be read."""

    def number(name: str, default: float | None = None) -> float | None:
        text = given.get(name, "")
        try:
            value = float(text) if text else default
        except ValueError:
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise InvalidInput(f"{name} is {text[:40]!r}, which is no number.", "Reload the page.", field=name)
        return value

    def words(name: str) -> tuple[str, ...]:
        return tuple(part for part in given.get(name, "").split("\n") if part.strip())

    return Query(
        text=given.get("text", "")[:2000],
        media=words("media"),
        starred=True if given.get("starred") == "1" else None,
        tags=words("tags"),
        model=given.get("model") or None,
        task=given.get("task") or None,
        trashed=given.get("trashed") == "1",
        after=number("after"),
        before=number("before"),
        sort=given.get("sort") or "newest",
        offset=int(number("offset", 0) or 0),
        limit=min(int(number("limit", PAGE) or PAGE), 500),
    )


def page(studio: Studio, asked: Query) -> Json:
    found = studio.library.find(asked)
    return {"items": [item(a) for a in found.items], "total": found.total, "offset": found.offset}


def facets(studio: Studio) -> Json:
    """What can be filtered by."""
    tags = [{"tag": tag, "count": count} for tag, count in studio.library.tags() if tag not in OWN_TAGS]
    trash = studio.library.find(Query(trashed=True, limit=0)).total
    return {
        "tags": tags[:200],
        "models": [{"id": m.id, "name": m.name} for m in studio.catalog.models()],
        "trash": trash,
    }


def detail(studio: Studio, sha256: str) -> Json:
    """One artifact with all that is known of how it was made."""
    artifact = studio.library.artifact(sha256)
    job = studio.library.job(artifact.job) if artifact.job else None
    told = {
        **item(artifact),
        "settings": {},
        "labels": {},
        "task": "",
        "seconds": artifact.meta.get("composed_in" if artifact.media_type.startswith("audio/") else "seconds"),
        "restored": None,
        "warnings": artifact.meta.get("warnings") or [],
    }
    if job is None:
        return told
    request = alone(studio, sha256, job)
    told["task"] = request.task
    told["settings"] = settings(request)
    told["labels"] = named(told["settings"])
    told["restored"] = {
        "source": "",
        "prompt": request.prompt,
        "negative_prompt": str(request.params.get("negative_prompt") or ""),
        "params": {**request.params, "seed": request.seed},
        "left_out": [],
        "request": request.to_dict(),
    }
    told["device"] = job.device
    return told


def alone(studio: Studio, sha256: str, job: Job) -> Request:
    try:
        return studio.take(sha256)
    except NotFound:
        return job.request


def settings(request: Request) -> Json:
    """All settings under flat names, in a fixed order, as they are compared and shown."""
    flat: Json = {"prompt": request.prompt, **request.params, "model": request.model, "seed": request.seed}
    for adapter in request.adapters:
        flat[f"lora {adapter.id}"] = adapter.weight
    unsaid = {name for name in LEFT_OPEN if not flat.get(name)} | HIDDEN
    return {name: value for name, value in flat.items() if value not in (None, "", []) and name not in unsaid}


@lru_cache(maxsize=1)
def labels() -> Mapping[str, str]:
    """The words for settings' names, from the families' declarations."""
    declared = {p.name: p.label for f in families() for params in f.tasks.values() for p in params if p.label}
    return {
        **declared,
        "prompt": "Prompt",
        "mode": "Mode",
        "seed": "Seed",
        "model": "Model",
        "adapters": "Adapters",
        "size": "Size",
    }


def named(names: Iterable[str]) -> Json:
    """The words for these settings, where there are any."""
    return {name: labels()[name] for name in names if name in labels()}


def restored(found: Recovered) -> Json:
    """What a dropped file says about how it was made."""
    return {
        "source": found.source,
        "prompt": found.prompt,
        "negative_prompt": found.negative_prompt,
        "params": dict(found.params),
        "left_out": list(found.left_out),
        "request": dict(found.request) if found.request else None,
    }


def lineage(studio: Studio, sha256: str) -> Json:
    """Ancestors and descendants, each with what was changed against what it came from."""
    traced = studio.library.lineage(sha256)
    known = {node.artifact.sha256: node for node in traced.nodes}
    nodes = []
    for node in traced.nodes:
        parent = next((known[p] for p in node.parents if p in known), None)
        changed = None
        if node.job and parent and parent.job:
            changed = changes(parent.job.request, node.job.request)
        nodes.append(
            {
                **item(node.artifact),
                "parents": list(node.parents),
                "depth": node.depth,
                "task": node.job.request.task if node.job else "",
                "changed": changed,
            }
        )
    changed = {name for node in nodes if node["changed"] for name in node["changed"]["settings"]}
    return {"sha256": sha256, "nodes": nodes, "labels": named(changed), "complete": traced.complete}


def changes(before: Request, after: Request) -> Json:
    """The prompt's words that went and came, and the settings whose values differ."""
    old, new = settings(before), settings(after)
    ignored = {"prompt", "seed", "variation_seed", "variations"}
    names = [n for n in dict.fromkeys([*old, *new]) if n not in ignored and old.get(n) != new.get(n)]
    return {
        "prompt": words_changed(before.prompt, after.prompt) if before.prompt != after.prompt else None,
        "settings": {n: [old.get(n), new.get(n)] for n in names},
    }


def words_changed(before: str, after: str) -> list[list[str]]:
    """[["same", "a fox "], ["del", "red"], ["add", "blue"]], by words."""
    old, new = re.findall(r"\s+|\w+|[^\w\s]", before[:4000]), re.findall(r"\s+|\w+|[^\w\s]", after[:4000])
    parts: list[list[str]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(["same", "".join(old[a:b])])
            continue
        if b > a:
            parts.append(["del", "".join(old[a:b])])
        if d > c:
            parts.append(["add", "".join(new[c:d])])
    return parts


def queue(studio: Studio) -> Json:
    """What runs and waits, in order, and the last failures, which may be tried again."""
    active = studio.queue()
    device = studio.engine.device
    return {
        "rev": studio.revision,
        "paused": studio.engine.paused,
        "device": {"kind": device.kind, "name": device.name, "dtype": device.dtype} if device else None,
        "jobs": [brief(studio, job) for job in (*active, *unmended(studio, active))],
    }


def unmended(studio: Studio, active: Sequence[Job]) -> list[Job]:
    """The latest failures of the last hours that have not been tried again since."""
    failed = studio.library.jobs(states=(JobState.failed, JobState.interrupted), limit=RECENT)
    since = time.time() - HOURS * 3600
    recent = [job for job in failed if job.created > since]
    if not recent:
        return []
    later = (*active, *studio.library.jobs(limit=4 * RECENT))
    return [job for job in recent if not any(j.created > job.created and j.request == job.request for j in later)]


def brief(studio: Studio, job: Job) -> dict[str, Any]:
    running = job.state == JobState.running
    return {
        "id": job.id,
        "state": str(job.state),
        "panel": job.panel,
        "task": job.request.task,
        "prompt": job.request.prompt[:300],
        "step": job.step,
        "steps": job.steps,
        "message": job.message,
        "position": job.position,
        "eta": studio.live(job.id).eta if running else None,
        "error": job.error,
        "hint": job.hint,
    }
