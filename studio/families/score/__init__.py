"""Musical scores by a transformers causal LM over events of bars: composed from a brief, continued, filled, varied,
harmonised, restyled. Every take is a standard MIDI file."""

from studio.families.family import Family
from studio.families.score.params import (
    CONTINUE_SCORE,
    FILL_SCORE,
    HARMONISE_SCORE,
    RESTYLE_SCORE,
    TEXT_TO_SCORE,
    VARY_SCORE,
)

FAMILY = Family(
    name="score",
    title="Scores (transformer)",
    media="music",
    tasks={
        "text_to_score": TEXT_TO_SCORE,
        "continue_score": CONTINUE_SCORE,
        "fill_score": FILL_SCORE,
        "vary_score": VARY_SCORE,
        "harmonise_score": HARMONISE_SCORE,
        "restyle_score": RESTYLE_SCORE,
    },
    inputs={
        task: ("source",) for task in ("continue_score", "fill_score", "vary_score", "harmonise_score", "restyle_score")
    },
)
