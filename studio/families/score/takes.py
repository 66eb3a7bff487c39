"""The takes of one job while they are composed: what is shown of them, and what is kept. Knows no model."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from studio.families.family import Context
from studio.families.score.decoding import Row
from studio.families.score.grammar import Grammar, Written
from studio.music.analysis import analyse
from studio.music.instruments import instrument
from studio.music.midi import write_midi
from studio.music.score import Score
from studio.types import Value

SHOWN_EVERY = 0.25  # seconds between two looks at the takes


@dataclass
class Take:
    """Sequences of which the likeliest becomes a score. `arranged` makes it of what is written and of how many bars
    that is; None where nothing is new. `sung` brings the words under its melody, and says which found no note."""

    seed: int
    rows: Sequence[Row]
    bars: int
    arranged: Callable[[Sequence[Written], int], Score | None]
    meta: Mapping[str, Value] = field(default_factory=dict)
    told: Callable[[Sequence[Written]], Mapping[str, Value]] = lambda written: {}
    sung: Callable[[Score], tuple[Score, str]] = lambda score: (score, "")

    @property
    def best(self) -> Grammar:
        """Of the row that makes what follows likeliest, token by token; the first while none has got there."""
        row = max(self.rows, key=lambda row: row.likelihood / row.scored if row.scored else -float("inf"))
        assert row.grammar is not None
        return row.grammar

    @property
    def whole_bars(self) -> int:
        """How many bars are written to their ends."""
        return self.bars if self.best.done else min(max(self.best.bar, 0), self.bars)


class Composing:
    """One job: shows its takes while they grow, and keeps what is whole."""

    def __init__(self, context: Context, takes: Sequence[Take]) -> None:
        self.context, self.takes = context, takes
        self.began = self.shown = time.monotonic()

    def each(self, step: int) -> None:
        """After every token; Cancelled when the person pressed Stop."""
        self.context.check()
        written = sum(take.whole_bars for take in self.takes)
        self.context.progress(written, sum(take.bars for take in self.takes), "Composing")
        if time.monotonic() - self.shown < SHOWN_EVERY:
            return
        self.shown = time.monotonic()
        for index, take in enumerate(self.takes):
            grammar = take.best
            score = take.arranged(grammar.written, min(grammar.bar + 1, take.bars))
            if score:
                self.context.preview(index, writer(json.dumps(take.sung(score)[0].to_json()).encode()), ".json")

    def keep(self) -> None:
        """Every take with its whole bars as an artifact; those without a note are left out."""
        seconds = time.monotonic() - self.began
        for index, take in enumerate(self.takes):
            written = take.best.written
            score = take.arranged(written, take.whole_bars)
            if score is None or not score.notes:
                continue
            score, unsung = take.sung(score)
            if unsung:
                self.context.warn(unsung)
            meta = {
                "seed": take.seed,
                "composed_in": round(seconds, 3),
                **facts(score),
                **take.meta,
                **take.told(written),
            }
            self.context.output(index, writer(write_midi(score)), ".mid", "audio/midi", meta)


def facts(score: Score) -> dict[str, Value]:
    """What a board says of a score."""
    beats, unit = score.metre_at(0)
    return {
        "metre": f"{beats}/{unit}",
        "tempo": round(score.tempi[0][1], 1) if score.tempi else 120.0,
        "bars": score.bars,
        "seconds": round(score.seconds, 3),
        "duration": round(score.seconds, 3),
        "line": analyse(score)["line"],
        "instruments": list(
            dict.fromkeys("Drums" if track.drums else instrument(track.program).name for track in score.tracks)
        ),
    }


def writer(data: bytes) -> Callable[[Path], None]:
    """Writes that to the path it is given."""

    def write(path: Path) -> None:
        path.write_bytes(data)

    return write
