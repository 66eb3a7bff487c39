"""Larger pictures by models of super-resolution: Swin2SR of transformers, upscaling pipelines of diffusers."""

from studio.families.family import Family, Param
from studio.families.upscaling.folders import suggested, tasks_of

ENLARGE = (
    Param(
        name="factor",
        type=str,
        default="",
        choices=("", "2", "3", "4"),
        label="Times as large",
        help="Empty: as one pass makes it. More takes another pass, less is made smaller again.",
    ),
    Param(
        name="tile",
        type=int,
        default=192,
        minimum=64,
        maximum=1024,
        step=64,
        label="Tile",
        help="Pixels a side that go through the model at once; larger tiles take more memory.",
    ),
    Param(
        name="num_inference_steps",
        type=int,
        default=20,
        minimum=1,
        maximum=150,
        label="Steps",
        help="Of models that sample; others need none.",
    ),
    Param(
        name="guidance_scale",
        type=float,
        default=7.0,
        minimum=0.0,
        maximum=30.0,
        step=0.5,
        label="Guidance",
        help="How strictly words are followed, where the model reads any.",
    ),
)

FAMILY = Family(
    name="upscaling",
    title="Enlarging",
    media="image",
    tasks={"enlarge": ENLARGE},
    inputs={"enlarge": ("source",)},
    defaults=suggested,
    able=tasks_of,
)
