"""A zip of chosen files under names that people and every operating system can read. It knows no row."""

import json
import os
import time
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from studio.errors import NotFound
from studio.library.files import explained
from studio.types import Artifact, Job

SLUG = 40  # characters of the prompt in a name
_PACKED = (
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "audio/mpeg",
    "audio/ogg",
    "audio/flac",
    "video/",
)


def write(
    artifacts: Sequence[Artifact],
    jobs: Mapping[str, Job],
    target: Path,
    changed: Callable[[Artifact], bytes | None] = lambda _: None,
) -> Path:
    """Write the zip beside `target` and rename it when it is whole. DiskFull; NotFound: a file is gone. `changed` gives
    the bytes of what goes out otherwise than it is kept, None for the rest.
    """
    missing = [a for a in artifacts if not a.path.is_file()]
    if missing:
        raise NotFound(
            f"The file {missing[0].path.name} is missing from the library.",
            "Run `library check --repair`, choose again.",
        )
    names = [file_name(a, jobs.get(a.job or ""), n) for n, a in enumerate(artifacts, 1)]
    index = [_entry(name, a, jobs.get(a.job or "")) for name, a in zip(names, artifacts, strict=True)]
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    with explained(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(temporary, "w", strict_timestamps=False) as archive:
                for name, artifact in zip(names, artifacts, strict=True):
                    is_packed = artifact.media_type.startswith(_PACKED)
                    method = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
                    data = changed(artifact)
                    if data is None:
                        archive.write(artifact.path, name, method)
                    else:
                        archive.writestr(name, data, method)
                archive.writestr("index.json", json.dumps(index, indent=1), zipfile.ZIP_DEFLATED)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    return target


def file_name(artifact: Artifact, job: Job | None, number: int) -> str:
    """`2026-05-09_a-red-fox-in-the-snow_7_1.png`: date, prompt, seed, and a number to tell them apart."""
    prompt = artifact.meta.get("prompt") or (job.request.prompt if job else "") or artifact.meta.get("name") or ""
    seed = artifact.meta.get("seed")
    if seed is None and job is not None:
        seed = job.request.seed
    date = time.strftime("%Y-%m-%d", time.localtime(artifact.created))
    parts = [
        date,
        slug(str(prompt)) or artifact.media_type.split("/")[0],
        "" if seed is None else slug(str(seed)),
    ]
    return "_".join([*(p for p in parts if p), str(number)]) + artifact.path.suffix


def slug(text: str) -> str:
    """Letters and digits of any script, parted by single dashes: nothing that a file system objects to."""
    plain = unicodedata.normalize("NFC", text[:1000])
    kept = "".join(c if c.isalnum() else " " for c in plain).lower()
    return "-".join(kept.split())[:SLUG].rstrip("-")


def _entry(name: str, artifact: Artifact, job: Job | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "file": name,
        "sha256": artifact.sha256,
        "media_type": artifact.media_type,
        "created": artifact.created,
        "starred": artifact.starred,
        "tags": list(artifact.tags),
        "meta": dict(artifact.meta),
    }
    if job is not None:
        entry |= {"job": job.id, "index": artifact.index, "request": job.request.to_dict()}
        entry |= {"device": job.device, "versions": dict(job.versions)}
    return entry
