"""Why a model cannot be had from the hub, as errors that a panel can tell apart; and the hub client's errors as these.

StudioError
    Offline             the studio was started with --offline, so nothing is asked of the network
    Unreachable         the hub does not answer, or not in time
    Gated               the makers give this model only to those who asked for it on its page
    LicenceNotAccepted  the licence limits what may be done, and nobody has accepted it here
    ModelError
        SeveralFiles    it holds several models or adapters, each a file; `files` are these
"""

from collections.abc import Sequence

import httpx2
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from studio.errors import InvalidInput, ModelError, NotFound, StudioError
from studio.hub.selection import File

CLIENT_ERRORS = (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx2.HTTPError, httpx2.InvalidURL)


class Offline(StudioError):
    """The studio was started with --offline, so nothing is asked of the network."""


class Unreachable(StudioError):
    """The hub does not answer, or not in time."""


class Gated(StudioError):
    """The makers give this model only to those who asked for it on its page."""


class LicenceNotAccepted(StudioError):
    """The licence limits what may be done, and nobody has accepted it here."""


class SeveralFiles(ModelError):
    """A repository holds several models or adapters, each a file of its own; `files` are these."""

    def __init__(self, repo: str, files: Sequence[File]) -> None:
        names = ", ".join(each.path for each in files[:6]) + (" ..." if len(files) > 6 else "")
        super().__init__(f"{repo} holds several files: {names}.", "Say which one with --file.")
        self.files = tuple(files)


def gated(repo: str, with_token: bool) -> Gated:
    page = f"https://huggingface.co/{repo}"
    if with_token:
        return Gated(f"Your token does not open {repo}: its makers have not let you in.", f"Ask for it at {page}.")
    return Gated(
        f"{repo} is gated: its makers want to know who downloads it.",
        f"Accept their terms at {page}, then give an access token with `models token set`.",
    )


def explain(error: Exception, repo: str, with_token: bool) -> StudioError:
    """One of ours for an error of the hub's client. Never quotes the answer, which may repeat what was sent."""
    if isinstance(error, GatedRepoError):
        return gated(repo, with_token)
    if isinstance(error, DisabledRepoError):
        return NotFound(f"{repo} was closed by the hub.", "Choose another model.")
    if isinstance(error, RevisionNotFoundError):
        return NotFound(f"{repo} has no such revision.", "Leave the revision out to take the newest.")
    if isinstance(error, RepositoryNotFoundError):
        hint = "Check the name" + (
            "." if with_token else "; a private model needs an access token, given with `models token set`."
        )
        return NotFound(f"There is no model {repo!r} on the hub.", hint)
    if isinstance(error, RemoteEntryNotFoundError):
        return NotFound(f"A file of {repo} is not on the hub any more.", "Plan the download again.")
    if isinstance(error, HFValidationError):
        return InvalidInput(f"{repo[:80]!r} is no repository of the hub.", "Write it like organisation/model.")
    if isinstance(error, OfflineModeIsEnabled):
        return Offline("The hub is not asked: HF_HUB_OFFLINE is set.", "Unset it to download models.")
    if isinstance(error, HfHubHTTPError):
        code = error.response.status_code
        if code in (401, 403):
            return gated(repo, with_token)
        if code == 429:
            return Unreachable("The hub has had too many requests from here.", "Try again in a few minutes.")
        return Unreachable(f"The hub answered with error {code}.", "Try again later.")
    return Unreachable(f"The hub does not answer ({type(error).__name__}).", "Check the connection, then try again.")
