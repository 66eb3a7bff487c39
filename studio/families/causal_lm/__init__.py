"""Text by any transformers causal-LM folder: several drafts of one beginning, and models of a person's own texts."""

from studio.families.causal_lm.defaults import suggested
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

TEXT_LORA = (
    Param(name="r", type=int, default=16, minimum=1, maximum=256, label="Rank", help="How much it can take in."),
    Param(name="lora_alpha", type=float, default=16.0, minimum=0.1, maximum=1024.0, label="Alpha"),
    Param(name="learning_rate", type=float, default=2e-3, minimum=1e-7, maximum=0.1, label="Learning rate"),
    Param(name="max_train_steps", type=int, default=200, minimum=1, maximum=100_000, label="Steps"),
    Param(name="train_batch_size", type=int, default=8, minimum=1, maximum=256, label="Batch", help="Rows a step."),
    Param(
        name="max_length",
        type=int,
        default=512,
        minimum=16,
        maximum=8192,
        label="Row",
        help="Tokens of a row; at most what the model can look back.",
    ),
    Param(name="lr_warmup_steps", type=int, default=10, minimum=0, maximum=10_000, label="Warm-up"),
    Param(name="validation_steps", type=int, default=20, minimum=1, maximum=10_000, label="Look every"),
    Param(
        name="prior_loss_weight",
        type=float,
        default=0.5,
        minimum=0.0,
        maximum=100.0,
        label="Hold on",
        help="How strongly it is held to what it could write before; 0 lets go.",
    ),
    Param(name="early_stopping", type=bool, default=True, label="Stop early"),
)

EVALUATE = (
    Param(
        name="drafts",
        type=int,
        default=16,
        minimum=0,
        maximum=500,
        label="Drafts",
        help="Texts that it writes from nothing, to be compared with the data set's.",
    ),
    Param(name="draft_tokens", type=int, default=120, minimum=8, maximum=4096, label="Length", help="Tokens a draft."),
    Param(
        name="max_length",
        type=int,
        default=512,
        minimum=16,
        maximum=8192,
        label="Context",
        help="Tokens that it may look back; at most what the model can.",
    ),
    Param(name="temperature", type=float, default=0.85, minimum=0.05, maximum=2.0, step=0.05, label="Temperature"),
    Param(name="top_p", type=float, default=0.95, minimum=0.05, maximum=1.0, step=0.01, label="Top p"),
    Param(
        name="probes",
        type=str,
        default="",
        label="Bias probes",
        help="A JSON list of {prompts, words, asked, seeds}.",
    ),
)

FAMILY = Family(
    name="causal_lm",
    title="Text (transformer)",
    media="text",
    tasks={"text": TEXT, "token_odds": ODDS, "expand_prompt": TEXT},
    trainings={"train_transformer": TRANSFORMER, "train_text_lora": TEXT_LORA, "evaluate_texts": EVALUATE},
    scratch=("train_transformer",),
    implied={"token_odds": "text", "expand_prompt": "text"},
    inputs={"train_transformer": ("dataset",), "train_text_lora": ("dataset",), "token_odds": ("source",)},
    defaults=suggested,
)
