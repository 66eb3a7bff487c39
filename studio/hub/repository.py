"""Asks the hub about one repository: its files with their checksums, its licence, whether it is gated; and finds some.

Every call has an end in time (`PATIENCE` seconds) and none is made when the studio is offline.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from studio.errors import InvalidInput, ModelError
from studio.hub.access_token import AccessToken, find_token, may_carry_a_token
from studio.hub.licences import Licence, licence_of
from studio.hub.refusals import CLIENT_ERRORS, Offline, explain
from studio.hub.selection import File, safe_path
from studio.settings import Settings

# else the client fetches a list of agents from the hub and tells it what is installed here
constants.HF_HUB_DISABLE_TELEMETRY = True

PUBLIC = "https://huggingface.co"
PATIENCE = 10.0  # seconds for an answer
PIECE = 64 * 1024
LARGEST_CONFIG = 8 * 2**20  # bytes of a JSON or TOML file that is read to plan a download


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One revision of a model on the hub. `revision` is its commit, so what is read later is the same."""

    id: str
    revision: str
    files: tuple[File, ...]
    licence: Licence
    gated: bool = False
    tags: tuple[str, ...] = ()
    downloads: int = 0


@dataclass(frozen=True, kw_only=True)
class Found:
    """A line of a search's answer."""

    id: str
    kind: str  # the hub's own word for what it does: text-to-image ...
    licence: str
    gated: bool
    downloads: int


class Hub:
    """The hub as this home may use it: its address, its token, and the rule that offline means offline."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self.endpoint = environment.get("HF_ENDPOINT", PUBLIC).rstrip("/") or PUBLIC
        self.token = find_token(settings.home, environment)
        self._offline = settings.offline
        if not may_carry_a_token(self.endpoint):
            self.token = AccessToken()

    @property
    def credential(self) -> str | bool:
        """For the hub's client: False keeps it from looking for a token by itself."""
        return self.token.value or False

    def look_up(self, id: str, revision: str = "") -> Repository:
        """One model. Offline, Unreachable, Gated, NotFound, InvalidInput."""
        self._permitted()
        try:
            info = HfApi(endpoint=self.endpoint).model_info(
                check_id(id), revision=revision or None, files_metadata=True, timeout=PATIENCE, token=self.credential
            )
        except CLIENT_ERRORS as error:
            raise explain(error, id, bool(self.token)) from None
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"What the hub says of {id} cannot be read.", "Try again later.") from error
        return _repository(id, info)

    def search(self, words: str, limit: int = 20) -> tuple[Found, ...]:
        """Models whose names hold these words, the most downloaded first. Offline, Unreachable."""
        self._permitted()
        query = {"search": words.strip()[:200], "sort": "downloads", "limit": str(max(1, min(limit, 100))), "full": "1"}
        try:
            answer = get_session().get(
                f"{self.endpoint}/api/models",
                params=query,
                headers=build_hf_headers(token=self.credential),
                timeout=PATIENCE,
            )
            hf_raise_for_status(answer)
            lines = answer.json()
            return tuple(_found(ModelInfo(**line)) for line in lines)
        except CLIENT_ERRORS as error:
            raise explain(error, "the search", bool(self.token)) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError("What the hub answers cannot be read.", "Try again later.") from error

    def read(self, repository: Repository, path: str) -> bytes:
        """A small file of the repository, at most LARGEST_CONFIG bytes. The same errors, and ModelError."""
        with self.opened(repository, path) as take:
            data = take(LARGEST_CONFIG + 1)
        if len(data) > LARGEST_CONFIG:
            raise ModelError(f"{path} of {repository.id} is too large to be a configuration.", "Choose another model.")
        return data

    @contextmanager
    def opened(self, repository: Repository, path: str) -> Iterator[Callable[[int], bytes]]:
        """A function that gives the next bytes of a file, at most as many as are asked for. The same errors."""
        self._permitted()
        url = hf_hub_url(repository.id, path, revision=repository.revision, endpoint=self.endpoint)
        headers = {**build_hf_headers(token=self.credential), "Accept-Encoding": "identity"}
        try:
            with get_session().stream("GET", url, headers=headers, timeout=PATIENCE, follow_redirects=True) as answer:
                hf_raise_for_status(answer)
                pieces, kept = answer.iter_bytes(PIECE), bytearray()

                def take(count: int) -> bytes:
                    while len(kept) < count and (piece := next(pieces, b"")):
                        kept.extend(piece)
                    data = bytes(kept[:count])
                    del kept[:count]
                    return data

                yield take
        except CLIENT_ERRORS as error:
            raise explain(error, repository.id, bool(self.token)) from None

    def read_json(self, repository: Repository, path: str) -> Mapping[str, Any]:
        """A JSON object of the repository; ModelError when it is none."""
        try:
            found = json.loads(self.read(repository, path))
        except ValueError as error:
            raise ModelError(f"{path} of {repository.id} cannot be read.", "Choose another model.") from error
        if not isinstance(found, dict):
            raise ModelError(f"{path} of {repository.id} cannot be read.", "Choose another model.")
        return found

    def _permitted(self) -> None:
        if self._offline:
            raise Offline("The studio is offline, so the hub is not asked.", "Start it without --offline.")


def check_id(id: str) -> str:
    """organisation/model, or an old model's single name; InvalidInput for anything else."""
    plain = id.strip().removeprefix(f"{PUBLIC}/").strip("/")
    parts = plain.split("/")
    if len(parts) > 2 or not all(part and safe_path(part) and len(part) <= 96 for part in parts):
        raise InvalidInput(f"{id[:80]!r} is no repository of the hub.", "Write it like organisation/model.")
    return plain


def _repository(id: str, info: ModelInfo) -> Repository:
    if not info.sha:
        raise ModelError(f"The hub names no revision of {id}.", "Try again later.")
    card: Any = info.card_data.to_dict() if info.card_data is not None else {}
    tags = tuple(str(tag) for tag in info.tags or ())
    files = tuple(
        File(
            path=sibling.rfilename,
            size=int((sibling.lfs.size if sibling.lfs else sibling.size) or 0),
            sha256=sibling.lfs.sha256 if sibling.lfs else "",
            git_sha1="" if sibling.lfs else sibling.blob_id or "",
        )
        for sibling in info.siblings or ()
    )
    return Repository(
        id=info.id,
        revision=info.sha,
        files=files,
        licence=licence_of(card, tags),
        gated=bool(info.gated),
        tags=tags,
        downloads=int(info.downloads or 0),
    )


def _found(info: ModelInfo) -> Found:
    card: Any = info.card_data.to_dict() if info.card_data is not None else {}
    tags = tuple(str(tag) for tag in info.tags or ())
    return Found(
        id=info.id,
        kind=str(info.pipeline_tag or ""),
        licence=licence_of(card, tags).name,
        gated=bool(info.gated),
        downloads=int(info.downloads or 0),
    )
