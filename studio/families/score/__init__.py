"""Musical scores by a transformers causal LM over events of bars: composed from a brief, continued, filled, varied,
harmonised, restyled. Every take is a standard MIDI file."""

from studio.families.family import Family, Param
from studio.families.score.params import (
    CONTINUE_SCORE,
    FILL_SCORE,
    HARMONISE_SCORE,
    RESTYLE_SCORE,
    TEXT_TO_SCORE,
    VARY_SCORE,
)

SCORE_TRANSFORMER = (
    Param(
        name="seconds",
        type=int,
        default=180,
        minimum=1,
        maximum=604_800,
        label="Seconds",
        help="How long it learns; measuring comes on top.",
    ),
    Param(name="max_train_steps", type=int, default=1_000_000, minimum=1, maximum=10_000_000, label="Most steps"),
    Param(name="hidden_size", type=int, default=192, minimum=64, maximum=2048, step=64, label="Width"),
    Param(name="num_hidden_layers", type=int, default=4, minimum=1, maximum=48, label="Layers"),
    Param(
        name="max_position_embeddings",
        type=int,
        default=768,
        minimum=128,
        maximum=4096,
        label="Context",
        help="Events that it can look back: what a piece may hold at most.",
    ),
    Param(
        name="train_batch_size", type=int, default=12, minimum=1, maximum=1024, label="Batch", help="Excerpts a step."
    ),
    Param(name="learning_rate", type=float, default=5e-3, minimum=1e-7, maximum=0.1, label="Learning rate"),
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
    trainings={"train_score": SCORE_TRANSFORMER},
    scratch=("train_score",),
    inputs={
        "train_score": ("dataset",),
        **{
            task: ("source",)
            for task in ("continue_score", "fill_score", "vary_score", "harmonise_score", "restyle_score")
        },
    },
)
