"""The takes of one job while they are composed: what is shown of them, and what is kept. Knows no model."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio.families.family import Context
from studio.families.score.decoding import Row
from studio.families.score.grammar import Grammar
from studio.music.instruments import instrument
from studio.music.midi import write_midi
from studio.music.score import Score
from studio.types import Value

SHOWN_EVERY = 0.25  # seconds between two looks at the takes


@dataclass
class Take:
    """A sequence that becomes a score. `arranged` makes it of the bars that are written; None where nothing sounds."""

    seed: int
    row: Row
    arranged: Callable[[int], Score | None]
    meta: Mapping[str, Value] = field(default_factory=dict)

    @property
    def grammar(self) -> Grammar:
        assert self.row.grammar is not None
        return self.row.grammar

    @property
    def whole_bars(self) -> int:
        """How many bars are written to their ends."""
        return self.grammar.bars if self.grammar.done else max(self.grammar.bar, 0)


class Composing:
    """One job: shows its takes while they grow, and keeps what is whole."""

    def __init__(self, context: Context, takes: Sequence[Take]) -> None:
        self.context, self.takes = context, takes
        self.began = self.shown = time.monotonic()

    def each(self, step: int) -> None:
        """After every token; Cancelled when the person pressed Stop."""
        self.context.check()
        written = sum(take.whole_bars for take in self.takes)
        self.context.progress(written, sum(take.grammar.bars for take in self.takes), "Composing")
        if time.monotonic() - self.shown < SHOWN_EVERY:
            return
        self.shown = time.monotonic()
        for index, take in enumerate(self.takes):
            score = take.arranged(take.grammar.bar + 1)
            if score:
                self.context.preview(index, writer(json.dumps(score.to_json()).encode()), ".json")

    def keep(self) -> None:
        """Every take with its whole bars as an artifact; those without a note are left out."""
        seconds = time.monotonic() - self.began
        for index, take in enumerate(self.takes):
            score = take.arranged(take.whole_bars)
            if score is None or not score.notes:
                continue
            meta = {"seed": take.seed, "composed_in": round(seconds, 3), **facts(score), **take.meta}
            self.context.output(index, writer(write_midi(score)), ".mid", "audio/midi", meta)


def facts(score: Score) -> dict[str, Value]:
    """What a board says of a score."""
    beats, unit = score.metre_at(0)
    return {
        "metre": f"{beats}/{unit}",
        "tempo": round(score.tempi[0][1], 1) if score.tempi else 120.0,
        "bars": score.bars,
        "duration": round(score.seconds, 3),
        "instruments": list(
            dict.fromkeys("Drums" if track.drums else instrument(track.program).name for track in score.tracks)
        ),
    }


def writer(data: bytes) -> Callable[[Path], None]:
    """Writes that to the path it is given."""

    def write(path: Path) -> None:
        path.write_bytes(data)

    return write
