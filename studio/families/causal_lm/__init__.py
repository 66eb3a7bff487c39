"""Text by any transformers causal-LM folder: several drafts of one beginning, and models of a person's own texts."""

from studio.families.causal_lm.params import ODDS, TEXT
from studio.families.family import Family, Param

TRANSFORMER = (
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
    Param(name="hidden_size", type=int, default=192, minimum=32, maximum=2048, step=32, label="Width"),
    Param(name="num_hidden_layers", type=int, default=5, minimum=1, maximum=48, label="Layers"),
    Param(
        name="max_position_embeddings",
        type=int,
        default=256,
        minimum=16,
        maximum=4096,
        label="Context",
        help="Tokens that it can look back.",
    ),
    Param(name="train_batch_size", type=int, default=12, minimum=1, maximum=1024, label="Batch", help="Rows a step."),
    Param(name="learning_rate", type=float, default=3e-3, minimum=1e-7, maximum=0.1, label="Learning rate"),
    Param(
        name="vocab_size",
        type=int,
        default=0,
        minimum=0,
        maximum=65_536,
        label="Vocabulary",
        help="Tokens of its own byte-pair encoding; 0 by the number of characters.",
    ),
)

FAMILY = Family(
    name="causal_lm",
    title="Text (transformer)",
    media="text",
    tasks={"text": TEXT, "token_odds": ODDS},
    trainings={"train_transformer": TRANSFORMER},
    scratch=("train_transformer",),
    implied={"token_odds": "text"},
    inputs={"train_transformer": ("dataset",), "token_odds": ("source",)},
)
