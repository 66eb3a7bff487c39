"""A frozen data set of scores as pieces: every format that the program reads, cut to stretches of one metre."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from studio.errors import InvalidInput
from studio.families.score.briefs import read_brief
from studio.families.score.keys import find_key
from studio.families.score.measures import Measured, to_pieces
from studio.families.score.piece import STYLES, Piece
from studio.families.score.sources import parts_of
from studio.music.files import read_score
from studio.music.score import QUARTER, Score

USUAL_STYLE = "piano"  # the name under which a score is learnt whose caption names no style


@dataclass
class ScoreSet:
    """`unused`: how many scores hold no stretch of whole bars in a metre that the model knows."""

    train: list[Piece] = field(default_factory=list)
    held_out: list[Piece] = field(default_factory=list)
    scores: int = 0
    unused: int = 0

    @property
    def styles(self) -> tuple[str, ...]:
        """Those under which something is learnt, as the vocabulary orders them."""
        found = {piece.style for piece in self.train}
        return tuple(style for style in STYLES if style in found)


def read_scores(manifest: Mapping[str, Any]) -> ScoreSet:
    """InvalidInput names a score that is gone, or says that none can be learnt from."""
    found = ScoreSet()
    for item in manifest["items"]:
        file = Path(item["file"])
        try:
            data = file.read_bytes()
        except OSError as error:
            raise InvalidInput(
                f"The score {file.name} of the data set is gone.", "Add it again.", field="dataset"
            ) from error
        try:
            pieces = pieces_of(read_score(data, file.name), style_named(str(item.get("caption") or "")), item["sha256"])
        except InvalidInput:  # read by its header when it came; what is wrong deeper inside is counted
            pieces = []
        found.unused += not pieces
        found.scores += bool(pieces)
        (found.held_out if item["split"] == "held_out" else found.train).extend(pieces)
    if not found.train:
        raise InvalidInput(
            "The data set holds no score with four whole bars in a usual metre.",
            "Add MIDI, MusicXML, ABC or kern files in 4/4, 3/4, 6/8 or the like.",
            field="dataset",
        )
    return found


def pieces_of(score: Score, style: str, work: str) -> list[Piece]:
    """Stretches of whole bars in one metre, each in the key that is heard in it."""
    notes = [
        (note.onset / QUARTER, note.duration / QUARTER, note.pitch, part)
        for track, parts in zip(score.tracks, parts_of(score.tracks), strict=True)
        for note, part in zip(track.notes, parts, strict=True)
    ]
    if not notes or not score.bars:
        return []
    bars = np.array([*score.bar_starts, score.bar_ends[-1]]) / QUARTER
    metres = [score.metre_at(tick) for tick in score.bar_starts]
    tempo = round(score.tempi[0][1]) if score.tempi else 0
    found = to_pieces(Measured(np.array(sorted(notes)), bars, metres, tempo), style, work)
    keyed = [(piece, find_key(piece.notes)) for piece in found]
    return [replace(piece, tonic=tonic, mode=mode) for piece, (tonic, mode) in keyed]


def style_named(caption: str) -> str:
    """The style that a caption names, else USUAL_STYLE."""
    try:
        named = str(read_brief(caption).get("style", "")) if caption.strip() else ""
    except InvalidInput:  # no brief at all, such as a name
        named = ""
    return named if named in STYLES else USUAL_STYLE
