"""The hub's access token: kept in the home folder for this user's eyes alone, and struck out of everything told.

It travels in memory and through pipes only: never in arguments, an environment we make, logs, rows, cards or errors.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from studio.errors import DiskFull, InvalidInput
from studio.settings import LOOPBACK

VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # as huggingface_hub reads them
STRUCK = "***"
_LIKE_A_TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9]{6,}|(?<=[Bb]earer )[^\s\"',]+")


@dataclass(frozen=True)
class AccessToken:
    value: str = field(default="", repr=False)
    source: str = ""  # "HF_TOKEN", "home" or ""

    def __bool__(self) -> bool:
        return bool(self.value)

    def __str__(self) -> str:
        return STRUCK if self.value else ""


def token_file(home: Path) -> Path:
    return home / "hub" / "token"


def find_token(home: Path, environment: Mapping[str, str] | None = None) -> AccessToken:
    """The environment's token before the stored one; an empty AccessToken where there is none."""
    environment = os.environ if environment is None else environment
    for name in VARIABLES:
        if value := environment.get(name, "").strip():
            return AccessToken(value, name)
    try:
        value = token_file(home).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return AccessToken()
    return AccessToken(value, "home") if value else AccessToken()


def may_carry_a_token(endpoint: str) -> bool:
    """A secret goes over TLS, or to this very machine."""
    parts = urlsplit(endpoint)
    return parts.scheme == "https" or (parts.hostname or "") in LOOPBACK


def keep_token(home: Path, text: str) -> None:
    """Keeps it in a file that only this user may read (mode 0600). InvalidInput when it is no token."""
    value = text.strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{8,200}", value):
        raise InvalidInput("That is no access token.", "Copy it whole from https://huggingface.co/settings/tokens.")
    file = token_file(home)
    partial = file.with_suffix(".tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as sink:
            sink.write(value)
        os.replace(partial, file)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise DiskFull(f"The token could not be kept: {error.strerror}.", "Make room, then try again.") from error


def forget_token(home: Path) -> bool:
    """Whether there was one to forget."""
    file = token_file(home)
    there = file.is_file()
    file.unlink(missing_ok=True)
    return there


def redacted(text: str, *tokens: AccessToken) -> str:
    """The text without these tokens and without anything that looks like one."""
    for token in tokens:
        if token:
            text = text.replace(token.value, STRUCK)
    return _LIKE_A_TOKEN.sub(STRUCK, text)


def without_tokens(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process of ours: what it must know of a token it is told through its pipe."""
    return {name: value for name, value in environment.items() if name not in VARIABLES}
