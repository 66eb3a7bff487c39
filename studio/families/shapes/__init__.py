"""Product shapes as closed meshes that can be printed: from words and attributes, varied, and blended."""

import json
from collections.abc import Mapping
from pathlib import Path

from studio.families.family import Family, Param
from studio.types import Value

# what the sliders ask for; those that make no sense for a kind change nothing there
SLIDERS = {
    "height": "Height",
    "width": "Width",
    "slenderness": "Slenderness",
    "thickness": "Thickness",
    "ribs": "Ribs",
    "twist": "Twist",
    "taper": "Taper",
    "neck": "Neck",
    "squareness": "Squareness",
    "legs": "Legs",
    "back": "Back",
    "handle": "Handle",
}
KINDS = (
    "vase",
    "bowl",
    "mug",
    "bottle",
    "lamp",
    "chair",
    "stool",
    "table",
    "planter",
    "candle holder",
    "knob",
    "pendant",
)

_COUNT = Param(
    name="num_return_sequences",
    type=int,
    default=4,
    minimum=1,
    maximum=32,
    label="Variations",
    help="Shapes at once; take k has the seed + k.",
)
_KIND = Param(
    name="kind", type=str, default="", choices=("", *KINDS), label="Kind", help="Empty: as the words say, or any."
)
_ATTRIBUTES = tuple(
    Param(
        name=name,
        type=float,
        default=None,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label=label,
        help="0 is the least that is usual for the kind, 1 the most; empty leaves it open. Goes before the words.",
    )
    for name, label in SLIDERS.items()
)
_MADE = (
    Param(
        name="size_mm",
        type=float,
        default=120.0,
        minimum=10.0,
        maximum=2000.0,
        label="Size in mm",
        help="Words such as '15 cm tall' go before it.",
    ),
    Param(
        name="measured",
        type=str,
        default="longest",
        choices=("longest", "height", "width"),
        label="Measured along",
        help="Which side has that size.",
    ),
    Param(
        name="wall_mm",
        type=float,
        default=1.6,
        minimum=0.4,
        maximum=50.0,
        label="Thinnest wall in mm",
        help="What is thinner is made thicker.",
    ),
    Param(
        name="cells",
        type=int,
        default=64,
        minimum=32,
        maximum=128,
        step=8,
        label="Detail",
        help="Cells a side of the grid that the surface is drawn on; twice as many take five times as long.",
    ),
)
_FLOW = (
    Param(name="num_inference_steps", type=int, default=24, minimum=2, maximum=100, label="Steps"),
    Param(
        name="guidance_scale",
        type=float,
        default=2.0,
        minimum=0.0,
        maximum=30.0,
        step=0.1,
        label="Guidance",
        help="How strictly words and attributes are followed.",
    ),
)


OWN_SHAPES = (
    Param(
        name="seconds",
        type=int,
        default=180,
        minimum=1,
        maximum=604_800,
        label="Seconds",
        help="How long it learns; reading the shapes and measuring come on top.",
    ),
    Param(name="max_train_steps", type=int, default=1_000_000, minimum=1, maximum=10_000_000, label="Most steps"),
    Param(name="base_channels", type=int, default=48, minimum=16, maximum=256, step=16, label="Width"),
    Param(
        name="latent_channels",
        type=int,
        default=32,
        minimum=4,
        maximum=256,
        label="Latent",
        help="In how many numbers a shape is told: few make what lies between shapes smoother.",
    ),
    Param(
        name="cells",
        type=int,
        default=48,
        minimum=16,
        maximum=64,
        step=16,
        label="Detail",
        help="Cells a side of the grid on which shapes are learnt.",
    ),
    Param(name="train_batch_size", type=int, default=8, minimum=2, maximum=256, label="Batch", help="Shapes a step."),
    Param(name="learning_rate", type=float, default=5e-3, minimum=1e-7, maximum=0.1, label="Learning rate"),
    Param(
        name="kl_weight",
        type=float,
        default=2e-5,
        minimum=0.0,
        maximum=1.0,
        label="KL weight",
        help="How close together shapes lie: more is smoother between them and less sharp.",
    ),
)


def is_shap_e(folder: Path) -> bool:
    """Whether a folder holds a Shap-E of the Hub, as diffusers writes it."""
    try:
        index = json.loads((folder / "model_index.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(index, dict) and index.get("_class_name") == "ShapEPipeline"


def able(folder: Path) -> tuple[str, ...]:
    return ("text_to_shape",) if is_shap_e(folder) else ()


def defaults(folder: Path) -> Mapping[str, Value]:
    """What its makers name for Shap-E."""
    return {"num_inference_steps": 64, "guidance_scale": 15.0} if is_shap_e(folder) else {}


FAMILY = Family(
    name="shapes",
    title="Shapes (latent flow)",
    media="shape",
    tasks={
        "text_to_shape": (_COUNT, _KIND, *_ATTRIBUTES, *_MADE, *_FLOW),
        "vary_shape": (
            _COUNT,
            Param(
                name="strength",
                type=float,
                default=0.4,
                minimum=0.0,
                maximum=1.0,
                step=0.05,
                label="How different",
                help="0 is the same shape again, 1 another one of the same wish.",
            ),
            _KIND,
            *_ATTRIBUTES,
            *_MADE,
            *_FLOW,
        ),
        "morph_shapes": (
            Param(
                name="steps",
                type=int,
                default=5,
                minimum=1,
                maximum=64,
                label="Steps",
                help="Shapes from one to the other, both ends among them; 1 is the middle.",
            ),
            *_MADE,
        ),
        "mix_shapes": (
            Param(
                name="weights",
                type=list,
                default=None,
                label="Weights",
                help="How much each of the two to four picks counts; empty: all alike.",
            ),
            *_MADE,
        ),
    },
    trainings={"train_shapes": OWN_SHAPES},
    scratch=("train_shapes",),
    inputs={
        "train_shapes": ("dataset",),
        "vary_shape": ("source",),
        "morph_shapes": ("from", "to"),
        "mix_shapes": ("pick",),
    },
    defaults=defaults,
    able=able,
    implied=dict.fromkeys(("vary_shape", "morph_shapes", "mix_shapes"), "text_to_shape"),
)
