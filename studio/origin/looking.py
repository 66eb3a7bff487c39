"""What any file says of its origin, as far as this program can read it."""

import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from studio.errors import InvalidInput, NotFound
from studio.origin import credentials, watermark

TERMS = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
LARGEST = 2**28  # bytes of a file that are searched
LARGEST_PICTURE = 10**8  # pixels
PART = 2**20


@dataclass(frozen=True)
class Origin:
    """`says_ai`: the metadata name a trained model as the source; `watermark`: standard deviations of our mark, None
    for what is no picture; `credentials`: as credentials.read tells it.
    """

    name: str
    says_ai: bool
    watermark: float | None
    credentials: Any

    @property
    def has_watermark(self) -> bool:
        return self.watermark is not None and self.watermark >= watermark.SURE

    def sentences(self) -> list[str]:
        said = ["Its metadata say: made with a trained model." if self.says_ai else "Its metadata say nothing of AI."]
        if self.watermark is not None:
            found = f"standing out {self.watermark:.1f} times the chance spread"
            said.append(
                f"It carries Atelier's mark in its pixels, {found}."
                if self.has_watermark
                else "No mark of Atelier's in its pixels."
            )
        signed = self.credentials
        if signed:
            by = f"Content Credentials by {signed['program'] or 'a program without a name'}"
            state = "unchanged since they were signed" if signed["unchanged"] else "and the file was changed since"
            said.append(f"{by}, {state}{'' if signed['known_signer'] else '; the signer is not known to this reader'}.")
        elif credentials.available():
            said.append("No Content Credentials.")
        return said

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "says_ai": self.says_ai,
            "watermark": None if self.watermark is None else round(self.watermark, 2),
            "has_watermark": self.has_watermark,
            "credentials": self.credentials,
            "sentences": self.sentences(),
        }


def look(path: Path, name: str = "") -> Origin:
    """Reads one file of any kind. NotFound, InvalidInput for what cannot be opened."""
    said, name = name or str(path), name or path.name
    try:
        says = _names_a_model(path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {said}.", "Check the path.") from error
    except OSError as error:
        raise InvalidInput(
            f"{said} cannot be read: {error.strerror}.", "Check the file and its permissions."
        ) from error
    kind = mimetypes.guess_type(name)[0] or ""
    return Origin(name, says, _watermark(path), credentials.read(path, "audio/wav" if kind == "audio/x-wav" else kind))


def _names_a_model(path: Path) -> bool:
    """Whether IPTC's term stands in the file, in UTF-8 or UTF-16 (ID3 tags)."""
    wanted = [term.encode(code) for term in TERMS for code in ("utf-8", "utf-16-le", "utf-16-be")]
    longest, before, read = max(map(len, wanted)), b"", 0
    with path.open("rb") as file:
        while (part := file.read(PART)) and read < LARGEST:
            read += len(part)
            window = before + part
            if any(term in window for term in wanted):
                return True
            before = window[-longest:]
    return False


def _watermark(path: Path) -> float | None:
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > LARGEST_PICTURE:
                return None
            return watermark.strength(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
