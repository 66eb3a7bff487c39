"""A composer by rule for the styles that the free corpora lack; a source of training pieces, one for each seed."""

from collections.abc import Callable

from studio.families.score.dances import jig, march, rag, reel
from studio.families.score.grooves import ambient, blues, chiptune, house, lofi
from studio.families.score.piece import Piece

COMPOSERS: dict[str, Callable[[int], Piece]] = {
    "jig": jig,
    "reel": reel,
    "march": march,
    "rag": rag,
    "lo-fi": lofi,
    "ambient": ambient,
    "house": house,
    "blues": blues,
    "chiptune": chiptune,
}


def compose(style: str, seed: int) -> Piece:
    """The piece of a style (a key of COMPOSERS) for a seed; the same seed gives the same piece."""
    return COMPOSERS[style](seed)
