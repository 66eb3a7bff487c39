"""A tiny model of scores with random weights, a context for its pipeline, and small scores."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from studio.errors import Cancelled
from studio.families import family
from studio.families.score.vocabulary import Vocabulary
from studio.music.midi import read_midi, write_midi
from studio.music.score import Note, Score, Track
from studio.types import Device, Request

CPU = Device(kind="cpu", name="test")
QUARTERS = (60, 62, 64, 65, 67, 69, 71, 72, 72, 71, 69, 67, 65, 64, 62, 60)


def write_model(folder: Path, context: int = 256) -> Path:
    vocabulary = Vocabulary.standard()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        initializer_range=0.3,  # else all tokens are as good as equal
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    vocabulary.save(folder)
    return folder


class Desk:
    """What a worker gives a pipeline, kept in a folder."""

    device = CPU
    adapters: Sequence[tuple[Path, float]] = ()

    def __init__(self, folder: Path, stop_after: int = 10**9, **inputs: Path) -> None:
        self.staging = self.kept = folder
        self.inputs: Mapping[str, Sequence[Path]] = {role: (path,) for role, path in inputs.items()}
        self.stop_after, self.checks = stop_after, 0
        self.steps: list[tuple[int, int]] = []
        self.previews: list[bytes] = []
        self.takes: list[tuple[bytes, Mapping[str, Any]]] = []
        self.warnings: list[str] = []

    @property
    def scores(self) -> list[Score]:
        return [read_midi(data) for data, _ in self.takes]

    def check(self) -> None:
        self.checks += 1
        if self.checks > self.stop_after:
            raise Cancelled("Stopped.")

    def progress(self, step: int, steps: int, message: str = "") -> None:
        self.steps.append((step, steps))

    def preview(self, index: int, save: Callable[[Path], None], suffix: str = ".jpg") -> None:
        save(self.staging / f"preview{suffix}")
        self.previews.append((self.staging / f"preview{suffix}").read_bytes())

    def output(
        self, index: int, save: Callable[[Path], None], suffix: str, media_type: str, meta: Mapping[str, Any]
    ) -> None:
        assert (suffix, media_type) == (".mid", "audio/midi")
        save(self.staging / f"{index}{suffix}")
        self.takes.append(((self.staging / f"{index}{suffix}").read_bytes(), meta))

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def asked(task: str, prompt: str = "", seed: int = 5, **params: Any) -> Request:
    """A whole request; two takes where nothing else is said."""
    names = {param.name: param.default for param in family("score").tasks[task]}
    known = {**names, "num_return_sequences": 2, **params}
    return Request(task=task, model="tiny", prompt=prompt, seed=seed, params=known)


def tune(bars: int = 4, **more: Any) -> Score:
    """A melody of quarter notes in 4/4 with a chord in every bar and a bass."""
    melody = tuple(Note(i * 480, 470, QUARTERS[i % 16], 61 + i % 7) for i in range(4 * bars))
    chords = tuple(Note(b * 1920 + 3, 1900, pitch, 50 + b) for b in range(bars) for pitch in (52, 55, 60))
    bass = tuple(Note(b * 1920, 955, 36, 90) for b in range(bars))
    tracks = (Track("Flute", 73, False, melody), Track("Harp", 46, False, chords), Track("Bass", 32, False, bass))
    return Score(tracks, bars * 1920, **{"tempi": ((0, 96.0), (1920, 90.0)), **more})


def write_score(path: Path, score: Score) -> Path:
    path.write_bytes(write_midi(score))
    return path
