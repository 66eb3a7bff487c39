"""What opens the studio: the token of the home folder, tickets for one use, a password. Knows no request.

The comparisons take the same time whatever is given.
"""

import hmac
import ipaddress
import os
import secrets
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import InvalidInput
from studio.settings import LOOPBACK, Settings

API_KEY = "api_key"  # file in the home folder; while it is not there, the API is off


def token_of(home: Path) -> str:
    """The secret of this home folder; made once, readable by its owner alone."""
    path = home / "token"
    try:
        known = path.read_text("ascii").strip()
        if len(known) >= 32:
            path.chmod(0o600)  # a copied home may have lost it
            return known
        path.unlink()
    except (FileNotFoundError, UnicodeDecodeError):
        path.unlink(missing_ok=True)
    home.mkdir(parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    return token


def api_key(home: Path) -> str:
    """The key with which other programs use the API; "" while it is switched off."""
    try:
        return (home / API_KEY).read_text("ascii").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def switch_api(home: Path, on: bool) -> str:
    """Switches the API on with a new key, or off; the key, readable by the home's owner alone."""
    (home / API_KEY).unlink(missing_ok=True)
    if not on:
        return ""
    key = f"atelier-{secrets.token_urlsafe(24)}"
    with os.fdopen(os.open(home / API_KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key)
    return key


@dataclass
class Attempts:
    """Counts wrong passwords by address; after five, that address waits."""

    limit: int = 5
    pause: float = 30.0  # seconds
    wrong: dict[str, tuple[int, float]] = field(default_factory=dict)

    def blocked(self, address: str) -> bool:
        count, last = self.wrong.get(address, (0, 0.0))
        return count >= self.limit and time.monotonic() - last < self.pause

    def failed(self, address: str) -> None:
        count, last = self.wrong.get(address, (0, 0.0))
        fresh = 0 if time.monotonic() - last >= self.pause else count
        if len(self.wrong) > 1000:
            self.wrong.clear()
        self.wrong[address] = (fresh + 1, time.monotonic())


@dataclass
class Access:
    """What opens the door.

    `port` is the real one; `uploads` is the only folder that gradio may serve files from.
    """

    token: str
    port: int
    uploads: Path
    password: str = ""
    open_host: bool = False  # reachable from other machines
    home: Path | None = None  # where the API's key lies
    attempts: Attempts = field(default_factory=Attempts)
    tickets: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, port: int, uploads: Path) -> "Access":
        open_host = settings.host not in LOOPBACK
        if open_host and not settings.password:
            raise InvalidInput(
                f"The host {settings.host} opens the studio to other machines, and there is no password.",
                "Set STUDIO_PASSWORD, or leave out --host.",
            )
        return cls(token_of(settings.home), port, uploads, settings.password, open_host, settings.home)

    @property
    def cookie(self) -> str:
        return f"atelier_{self.port}"  # cookies do not tell ports apart, so the name does

    def ticket(self) -> str:
        """A word that opens the door once, within five minutes: command lines of browsers are visible to
        other users.
        """
        word = secrets.token_urlsafe(24)
        self.tickets[word] = time.monotonic() + 300
        return word

    def spend(self, word: str) -> bool:
        return self.matches(word) or time.monotonic() < self.tickets.pop(word, 0.0)

    def matches(self, given: str) -> bool:
        # bytes: compare_digest raises on a str that holds non-ASCII characters
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token.encode())

    @property
    def api_key(self) -> str:
        """As it is now: switching the API on or off counts at once."""
        return api_key(self.home) if self.home else ""

    def right_api_key(self, given: str) -> bool:
        wanted = self.api_key
        return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())

    def right_password(self, given: str) -> bool:
        wanted = self.password.encode("utf-8", "surrogateescape")
        return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted)

    def knows_host(self, host: str) -> bool:
        name, _, port = host.lower().rpartition(":")
        if name == "" or not port.isdecimal():  # no port was given: the default one of http
            name, port = host.lower(), "80"
        if port != str(self.port):
            return False
        if name in ("127.0.0.1", "localhost", "[::1]"):
            return True
        return self.open_host and (_is_address(name) or name in _own_names())


def _is_address(name: str) -> bool:
    # an address cannot be rebound to another machine by a name server; a name can
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local"}
