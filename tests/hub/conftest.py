"""What the tests of the hub share: a server on loopback, a home, and small repositories."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save

from studio.hub.downloads import Downloads, Progress
from studio.hub.repository import Hub
from studio.settings import Settings
from tests.hub.hub_server import HubServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hub-cache"))
        monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "1")
        caches = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", *caches):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # the other tests touch no hub
        yield running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.load({"home": str(tmp_path / "home")}, {})


@pytest.fixture
def hub(server: HubServer, settings: Settings) -> Hub:
    return Hub(settings)


def writer(size: int = 3_000_000, seed: int = 1) -> dict[str, bytes]:
    """The files of a causal LM: the right names, and as many bytes of weights."""
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8}
    return {
        "config.json": json.dumps(config).encode(),
        "generation_config.json": b"{}",
        "tokenizer.json": b'{"version": "1.0"}',
        "tokenizer_config.json": b"{}",
        "model.safetensors": random.Random(seed).randbytes(size),
        "README.md": b"# A writer",
        "LICENSE": b"Do what you want.",
    }


def vectors(width: int = 16, seed: int = 1) -> bytes:
    """A textual inversion embedding of two vectors."""
    return save({"emb_params": torch.randn(2, width, generator=torch.Generator().manual_seed(seed))})


def until(downloads: Downloads, id: str, ready: int, timeout: float = 20.0) -> Progress:
    """The first look at which at least so many bytes are there."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        now = downloads.progress(id)
        if now.done >= ready or not now.under_way:
            return now
        time.sleep(0.01)
    raise AssertionError(now)


def whole(settings: Settings, id: str, files: dict[str, bytes]) -> bool:
    folder = settings.models / id
    kept = [name for name in files if name != "README.md"]
    return all((folder / name).read_bytes() == files[name] for name in kept) and not list(folder.rglob("*.part"))
