"""Where things lie and how the program is to run: defaults < home/settings.toml < environment < arguments."""

import os
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from studio.errors import InvalidInput

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"
PRESETS = ROOT / "presets"
DEVICES = ("auto", "cuda", "mps", "cpu")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Settings:
    home: Path = Path.home() / "Atelier"
    host: str = "127.0.0.1"
    port: int = 7860  # 0: any free port
    device: str = "auto"
    offline: bool = False
    window: bool = False
    open_browser: bool = True
    password: str = ""  # needed as soon as host is not this machine alone
    memory_limit: int | None = None  # bytes; simulates a smaller device

    @property
    def files(self) -> Path:
        return self.home / "files"  # the content-addressed store

    @property
    def staging(self) -> Path:
        return self.home / "staging"  # one folder a running job

    @property
    def cache(self) -> Path:
        return self.home / "cache"  # thumbnails, uploads; may be deleted at any time

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def database(self) -> Path:
        return self.home / "library" / "library.sqlite"

    @classmethod
    def load(cls, arguments: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None) -> Self:
        """Arguments hold only what was given (no None). Environment names are STUDIO_HOME, STUDIO_PORT ..."""
        environment = os.environ if environment is None else environment
        given = {k: v for k, v in (arguments or {}).items() if v is not None}
        from_environment = {
            f.name: environment[f"STUDIO_{f.name.upper()}"]
            for f in fields(cls)
            if environment.get(f"STUDIO_{f.name.upper()}")
        }
        home = Path(given.get("home") or from_environment.get("home") or cls.home).expanduser().absolute()
        merged = {**_read_toml(home / "settings.toml"), **from_environment, **given, "home": home}
        names = {f.name for f in fields(cls)}
        unknown = sorted(set(merged) - names)
        if unknown:
            raise InvalidInput(f"Unknown setting {unknown[0]!r}.", f"Known settings are: {', '.join(sorted(names))}.")
        return replace(cls(), **{name: _coerce(name, value) for name, value in merged.items()})


def obstacle(folder: Path) -> str:
    """Why nothing can be kept in a folder, "" where it can. It need not be there yet, and is not made."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            return f"{there} is no folder"
        with tempfile.TemporaryFile(dir=there):
            return ""
    except OSError as error:
        return f"nothing can be written there ({error.strerror or error})"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", "Correct that line, or delete the file.") from error


def _coerce(name: str, value: Any) -> Any:
    if name in ("offline", "window", "open_browser"):
        return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
    if name == "port":
        if not str(value).isdecimal() or int(value) > 65535:
            raise InvalidInput(f"The port {value!r} is not a number from 0 to 65535.", "Give another --port.")
        return int(value)
    if name == "device" and value not in DEVICES:
        raise InvalidInput(f"Unknown device {value!r}.", f"Choose one of {', '.join(DEVICES)}.")
    if name == "memory_limit":
        return parse_bytes(str(value))
    return value


def parse_bytes(text: str) -> int:
    """'8GB', '512 MiB', '1e9' -> bytes. Both GB and GiB mean 2**30 here, as graphics cards are sold."""
    units = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
    plain = text.strip().lower().removesuffix("ib").removesuffix("b").strip()
    scale = units.get(plain[-1:], 1)
    number = plain.rstrip("kmgt").strip()
    try:
        return int(float(number) * scale)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is not an amount of memory.", "Write it like 8GB or 512MB.") from error
