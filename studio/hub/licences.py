"""Which licences leave a model's user free, which limit the use, and which of those were accepted in this home."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studio.errors import DiskFull

# what the hub's cards call them; all others limit the use, or nobody here has read them
FREE = {
    "apache-2.0",
    "mit",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "isc",
    "unlicense",
    "cc0-1.0",
    "cc-by-2.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "zlib",
    "ecl-2.0",
    "afl-3.0",
    "artistic-2.0",
}
# what those that are often met forbid, in a sentence for the person who is asked
FORBIDS = {
    "openrail": "Uses named in the licence: harm, deception, discrimination, medical or legal decisions and others.",
    "openrail++": "Uses named in the licence: harm, deception, discrimination, medical or legal decisions and others.",
    "creativeml-openrail-m": "Uses named in the licence: harm, deception, discrimination, medical advice and others.",
    "bigscience-openrail-m": "Uses named in the licence: harm, deception, discrimination, medical advice and others.",
    "cc-by-nc-4.0": "Commercial use.",
    "cc-by-nc-2.0": "Commercial use.",
    "cc-by-nc-3.0": "Commercial use.",
    "cc-by-nc-nd-4.0": "Commercial use, and passing on changed versions.",
    "cc-by-nc-sa-4.0": "Commercial use; changed versions must be passed on under the same terms.",
    "cc-by-nc-sa-3.0": "Commercial use; changed versions must be passed on under the same terms.",
    "cc-by-sa-4.0": "Passing changed versions on under other terms.",
    "gpl-3.0": "Passing it on without its source or under other terms.",
    "agpl-3.0": "Passing it on, or offering it over a network, without its source or under other terms.",
}


@dataclass(frozen=True, kw_only=True)
class Licence:
    name: str  # the hub's identifier, or the makers' own name for it; "" when the card says nothing
    link: str = ""
    forbids: str = ""

    @property
    def limits_use(self) -> bool:
        return self.name.lower() not in FREE

    @property
    def sentence(self) -> str:
        """What a person must know before it is downloaded."""
        if not self.limits_use:
            return f"Licence {self.name}: free to use, also commercially, with its notice kept."
        if not self.name:
            return "The model names no licence, so nothing is allowed by itself: ask its makers."
        said = self.forbids or FORBIDS.get(self.name.lower(), "")
        return f"Licence {self.name}" + (f". It forbids: {said}" if said else ": read its terms before use.")


def licence_of(card: Mapping[str, Any], tags: tuple[str, ...] = ()) -> Licence:
    """From a repository card's data (license, license_name, license_link), else from its tags ("license:mit")."""
    given = card.get("license")
    name = str(given[0] if isinstance(given, list) and given else given or "")
    if name in ("", "other"):
        name = str(card.get("license_name") or name)
    if not name:
        name = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")
    return Licence(name=name[:80], link=str(card.get("license_link") or "")[:300])


def accepted(home: Path, repo: str, licence: Licence) -> bool:
    """Whether this licence of that repository was accepted here. Another licence than then asks again."""
    return _read(home).get(repo, {}).get("licence") == licence.name


def accept(home: Path, repo: str, licence: Licence) -> None:
    """Records that the person has accepted it, with the time (seconds since the epoch). DiskFull."""
    known = {**_read(home), repo: {"licence": licence.name, "link": licence.link, "accepted": int(time.time())}}
    file = _file(home)
    partial = file.with_suffix(".tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(known, indent=1), "utf-8")
        os.replace(partial, file)
    except OSError as error:
        raise DiskFull(f"The acceptance could not be recorded: {error.strerror}.", "Make room, then retry.") from error


def acceptance(home: Path, repo: str) -> Mapping[str, Any]:
    """{licence, link, accepted} as it was recorded; {} when it never was."""
    return _read(home).get(repo, {})


def _file(home: Path) -> Path:
    return home / "hub" / "licences.json"


def _read(home: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(_file(home).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, dict)} if isinstance(found, dict) else {}
