"""Copies that leave the program, with the marks that were switched on. The library's files stay as they are."""

import io
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from studio import __version__
from studio.library import containers
from studio.origin import credentials
from studio.types import Artifact

FILE = "marks.json"  # in the home
QUALITY = 95  # of JPEG and WebP that are encoded anew
PICTURES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}


@dataclass(frozen=True)
class Marks:
    """Which marks exported copies get besides their metadata, which they always have."""

    watermark: bool = False
    credentials: bool = False


def chosen(home: Path) -> Marks:
    try:
        kept = json.loads((home / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return Marks()
    if not isinstance(kept, dict):
        return Marks()
    return Marks(bool(kept.get("watermark")), bool(kept.get("credentials")) and credentials.available())


def choose(home: Path, marks: Marks) -> Marks:
    """Keeps the choice for exports from now on; what is kept."""
    home.mkdir(parents=True, exist_ok=True)
    (home / FILE).write_text(json.dumps(asdict(marks)), "utf-8")
    return chosen(home)


def marked_bytes(kept: Artifact, marks: Marks, home: Path) -> bytes | None:
    """The file's bytes with those marks, or None where it stays as it is: nothing is switched on for its kind, or no
    model made it. InvalidInput for what cannot be signed.
    """
    if is_own(kept) or not applies(kept.media_type, marks):
        return None
    title = str(kept.meta.get("prompt") or kept.meta.get("name") or kept.sha256[:12])
    return marked(kept.path.read_bytes(), kept.media_type, title, marks, home)


def is_own(kept: Artifact) -> bool:
    """Whether no model took part in it: a person's own file, or what a tool here made of such files."""
    return kept.job is None or kept.meta.get("own_work") is True


def applies(media_type: str, marks: Marks) -> bool:
    """Whether files of that kind get any of the marks."""
    return (marks.watermark and media_type in PICTURES) or (marks.credentials and media_type in credentials.SIGNED)


def marked(data: bytes, media_type: str, title: str, marks: Marks, home: Path) -> bytes:
    """A file on its way out, with those of the marks that its kind can have. InvalidInput: it cannot be signed."""
    if marks.watermark and media_type in PICTURES:
        data = _watermarked(data, PICTURES[media_type])
    if marks.credentials and media_type in credentials.SIGNED:
        data = credentials.signed(data, media_type, title, __version__, home)
    return data


def leaving(kept: Artifact, data: bytes, media_type: str, title: str, home: Path) -> bytes:
    """A kept work as a file of another format, with what was chosen for that home."""
    return data if is_own(kept) else marked(data, media_type, title, chosen(home), home)


def _watermarked(data: bytes, form: str) -> bytes:
    """Encoded anew with the mark in its pixels and with its texts as they were; films of pictures stay as they are."""
    from studio.origin import watermark  # scipy: the page starts without it

    with Image.open(io.BytesIO(data)) as opened:
        if getattr(opened, "n_frames", 1) > 1:
            return data
        opened.load()
        about = {name: opened.info[name] for name in ("exif", "icc_profile") if opened.info.get(name)}
        picture = watermark.marked(opened)
    made, texts = io.BytesIO(), containers.texts(io.BytesIO(data))
    if form == "PNG":
        picture.save(made, "PNG", **about)
        return containers.png_with(made.getvalue(), texts)
    if form == "JPEG":
        picture.convert("RGB").save(made, "JPEG", quality=QUALITY, subsampling=0, **about)
        again = containers.jpeg_with
    else:
        picture.save(made, "WEBP", quality=QUALITY, **about)
        again = containers.webp_with
    kept = [texts.get(name, "") for name in ("UserComment", "Software", containers.XMP_KEYWORD, containers.OWN_KEYWORD)]
    return again(made.getvalue(), *kept) if any(kept) else made.getvalue()
