"""Pictures by any diffusers text-to-image folder: from words, from a picture, inside a mask, between two takes."""

from studio.families.diffusion.defaults import folder_defaults
from studio.families.diffusion.hires_params import HIRES
from studio.families.diffusion.painting_params import BEYOND, EXTEND, PADDING
from studio.families.diffusion.reference_folders import REFERENCE
from studio.families.family import Family, Param

SCHEDULERS = (
    "default",
    "dpmpp_2m",
    "dpmpp_2m_karras",
    "dpmpp_sde",
    "unipc",
    "euler",
    "euler_a",
    "ddim",
    "heun",
    "lms",
    "lcm",
)

NEGATIVE = Param(name="negative_prompt", type=str, default="", label="Avoid", help="What should not be in the picture.")
COUNT = Param(
    name="num_images_per_prompt",
    type=int,
    default=4,
    minimum=1,
    maximum=16,
    label="Variations",
    help="Takes of the same brief; take k has the seed + k.",
)
WIDTH = Param(name="width", type=int, default=256, minimum=64, maximum=2048, step=8, label="Width", help="Pixels.")
HEIGHT = Param(name="height", type=int, default=256, minimum=64, maximum=2048, step=8, label="Height", help="Pixels.")
STEPS = Param(
    name="num_inference_steps",
    type=int,
    default=12,
    minimum=1,
    maximum=150,
    label="Steps",
    help="More steps take longer and settle finer details.",
)
GUIDANCE = Param(
    name="guidance_scale",
    type=float,
    default=3.5,
    minimum=0.0,
    maximum=30.0,
    step=0.5,
    label="Guidance",
    help="How strictly the words are followed; at 1 or less they are not amplified.",
)
SCHEDULER = Param(
    name="scheduler",
    type=str,
    default="default",
    choices=SCHEDULERS,
    label="Sampler",
    help="How noise becomes a picture. The model's own is the default.",
)
VARIATION_SEED = Param(
    name="variation_seed",
    type=int,
    default=None,
    minimum=0,
    maximum=2**53,
    label="Variation seed",
    help="The noise to move towards; take k uses this + k.",
)
VARIATION_STRENGTH = Param(
    name="variation_strength",
    type=float,
    default=0.0,
    minimum=0.0,
    maximum=1.0,
    step=0.05,
    label="Variation strength",
    help="0 keeps the seed's noise, 1 is the variation seed's.",
)
VARIATIONS = Param(
    name="variations",
    type=str,
    default="",
    label="Earlier variations",
    help="seed:strength pairs, applied to the seed's noise in order before the last variation.",
)
STRENGTH = Param(
    name="strength",
    type=float,
    default=0.6,
    minimum=0.0,
    maximum=1.0,
    step=0.05,
    label="Strength",
    help="How much of the picture may change: 0 nothing, 1 everything.",
)
BLUR = Param(
    name="mask_blur",
    type=int,
    default=8,
    minimum=0,
    maximum=128,
    label="Mask blur",
    help="Pixels over which the painted edge fades.",
)
TILING = Param(
    name="tiling",
    type=str,
    default="none",
    choices=("none", "both", "x", "y"),
    label="Seamless",
    help="Make the edges meet, for patterns.",
)
SAFETY = Param(
    name="safety_filter",
    type=str,
    default=None,
    choices=("on", "off"),
    label="Safety filter",
    help="Where the model brings one, pictures that it takes for unsafe come out black.",
)
# None: as the library has it; so requests without a control picture say nothing of it.
CONTROL = (
    Param(
        name="controlnet",
        type=str,
        default=None,
        label="ControlNet",
        help="What makes the model follow the picture given as `control`; empty: the picture is only compared with.",
    ),
    Param(
        name="control_kind",
        type=str,
        default=None,
        choices=("as it is", "scribble", "canny", "depth", "pose"),
        label="Control picture",
        help="What is made of it first: nothing, its strokes, its edges, or by an installed model its depth or pose.",
    ),
    Param(
        name="controlnet_conditioning_scale",
        type=float,
        default=None,
        minimum=0.0,
        maximum=2.0,
        step=0.05,
        label="Control strength",
        help="How closely it is followed; 1 unless said.",
    ),
    Param(
        name="control_guidance_start",
        type=float,
        default=None,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Control from",
        help="Share of the steps after which it is followed.",
    ),
    Param(
        name="control_guidance_end",
        type=float,
        default=None,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Control until",
        help="Share of the steps after which it is left; 1 unless said.",
    ),
)

COMMON = (
    NEGATIVE,
    COUNT,
    WIDTH,
    HEIGHT,
    STEPS,
    GUIDANCE,
    SCHEDULER,
    VARIATIONS,
    VARIATION_SEED,
    VARIATION_STRENGTH,
    TILING,
    SAFETY,
)
WALK = (
    NEGATIVE,
    WIDTH,
    HEIGHT,
    STEPS,
    GUIDANCE,
    SCHEDULER,
    VARIATIONS,
    VARIATION_SEED,
    VARIATION_STRENGTH,
    Param(name="to_prompt", type=str, default="", label="To", help="The prompt at the far end."),
    Param(name="to_seed", type=int, default=0, minimum=0, maximum=2**53, label="To seed"),
    Param(name="to_variations", type=str, default=""),
    Param(name="to_variation_seed", type=int, default=None, minimum=0, maximum=2**53),
    Param(name="to_variation_strength", type=float, default=0.0, minimum=0.0, maximum=1.0),
    Param(name="frames", type=int, default=16, minimum=2, maximum=240, label="Frames"),
    Param(name="fps", type=int, default=8, minimum=1, maximum=60, label="Frames a second"),
    Param(name="format", type=str, default="gif", choices=("gif", "mp4"), label="Format"),
)

LORA = (
    Param(name="r", type=int, default=8, minimum=1, maximum=256, label="Rank", help="Size of what can be learnt."),
    Param(
        name="lora_alpha",
        type=float,
        default=8.0,
        minimum=0.1,
        maximum=512,
        step=1,
        label="Alpha",
        help="Strength of the change; as large as the rank is usual.",
    ),
    Param(
        name="targets",
        type=str,
        default="attention",
        choices=("attention", "all"),
        label="Layers",
        help="Attention alone, or the layers between as well.",
    ),
    Param(name="learning_rate", type=float, default=1e-4, minimum=1e-7, maximum=0.1, label="Learning rate"),
    Param(
        name="optimizer",
        type=str,
        default="adamw",
        choices=("adamw", "nadam", "adafactor"),
        label="Optimiser",
        help="Adafactor keeps least in memory.",
    ),
    Param(name="max_train_steps", type=int, default=400, minimum=1, maximum=100_000, label="Steps"),
    Param(name="train_batch_size", type=int, default=4, minimum=1, maximum=64, label="Batch", help="Pictures a step."),
    Param(
        name="resolution", type=int, default=256, minimum=32, maximum=2048, step=8, label="Resolution", help="Pixels."
    ),
    Param(
        name="enable_bucket",
        type=bool,
        default=True,
        label="Keep the shapes",
        help="Learn lying and upright pictures as such, in groups of about equal area; off: a square on the subject.",
    ),
    Param(
        name="snr_gamma",
        type=float,
        default=5.0,
        minimum=0.0,
        maximum=50.0,
        step=0.5,
        label="Min-SNR",
        help="Weighs the times evenly (Hang et al., 2023); 0 turns it off.",
    ),
    Param(
        name="prior_loss_weight",
        type=float,
        default=4.0,
        minimum=0.0,
        maximum=10.0,
        step=0.1,
        label="Keep the rest",
        help="How strongly answers to other words are held where they were; 0 is faster.",
    ),
    Param(
        name="guidance_scale",
        type=float,
        default=7.0,
        minimum=0.0,
        maximum=30.0,
        step=0.5,
        label="Guidance of samples",
        help="Of the pictures on the way and on the card; what the model is used with.",
    ),
    Param(
        name="num_inference_steps",
        type=int,
        default=12,
        minimum=1,
        maximum=100,
        label="Steps of samples",
        help="Of the same pictures.",
    ),
    Param(
        name="caption_dropout",
        type=float,
        default=0.05,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Caption dropout",
        help="Share of pictures learnt without their words.",
    ),
    Param(name="lr_warmup_steps", type=int, default=10, minimum=1, maximum=1000, label="Warm-up steps"),
    Param(
        name="validation_steps",
        type=int,
        default=50,
        minimum=1,
        maximum=10_000,
        label="Look every",
        help="Steps between two looks at held-out loss and samples.",
    ),
    Param(
        name="early_stopping",
        type=bool,
        default=True,
        label="Stop early",
        help="End when pictures that were held out are predicted worse again and again.",
    ),
)

EVALUATE = (
    Param(
        name="pictures",
        type=int,
        default=24,
        minimum=0,
        maximum=2000,
        label="Pictures",
        help="Made by the data set's captions, to be compared with its pictures.",
    ),
    Param(
        name="combinations",
        type=int,
        default=0,
        minimum=0,
        maximum=500,
        label="New combinations",
        help="Prompts of things in places that the model's training never had together, and as many that it had.",
    ),
    Param(
        name="probes",
        type=str,
        default="",
        label="Bias probes",
        help="A JSON list of {prompts, attribute, words, asked, seeds}.",
    ),
    Param(
        name="captioner",
        type=str,
        default=None,
        label="Captioner",
        help="The model whose captions tell what else than its own judge can is to be seen in the pictures.",
    ),
    NEGATIVE,
    WIDTH,
    HEIGHT,
    STEPS,
    GUIDANCE,
    SCHEDULER,
)

SCRATCH = (
    Param(
        name="seconds",
        type=int,
        default=180,
        minimum=1,
        maximum=604_800,
        label="Seconds",
        help="How long it learns; encoding the pictures before and measuring after come on top.",
    ),
    Param(name="max_train_steps", type=int, default=1_000_000, minimum=1, maximum=10_000_000, label="Most steps"),
    Param(
        name="resolution",
        type=str,
        default="128",
        choices=("32", "64", "128", "256"),
        label="Resolution",
        help="Pixels a side. A sixteenth of it is what the U-Net sees, so small pictures are better learnt enlarged.",
    ),
    Param(
        name="train_batch_size", type=int, default=32, minimum=1, maximum=1024, label="Batch", help="Pictures a step."
    ),
    Param(
        name="base_channels",
        type=int,
        default=16,
        minimum=8,
        maximum=256,
        step=8,
        label="Width",
        help="Size of the U-Net: twice the width takes nearly four times as long a step.",
    ),
    Param(
        name="kept",
        type=float,
        default=0.985,
        minimum=0.5,
        maximum=0.9999,
        label="Detail",
        help="Share of what latents do to pixels that is learnt: less is learnt sooner, more is finer in the end.",
    ),
    Param(
        name="random_flip",
        type=bool,
        default=True,
        label="Mirror",
        help="Learn every picture mirrored as well; turn it off for letters and maps.",
    ),
    Param(
        name="caption_dropout",
        type=float,
        default=0.1,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Caption dropout",
        help="Share of pictures learnt without their words, which guidance needs.",
    ),
    Param(name="learning_rate", type=float, default=3e-3, minimum=1e-7, maximum=0.1, label="Learning rate"),
)

FAMILY = Family(
    name="diffusion",
    title="Pictures (diffusion)",
    media="image",
    tasks={
        "text_to_image": (*COMMON, *HIRES, *REFERENCE, *CONTROL),
        "image_to_image": (*COMMON, STRENGTH, *HIRES, *REFERENCE, *CONTROL),
        "inpaint": (*COMMON, STRENGTH, BLUR, PADDING, *REFERENCE, *CONTROL),
        "outpaint": (*COMMON, BEYOND, BLUR, *EXTEND, *REFERENCE, *CONTROL),
        "latent_walk": WALK,
    },
    trainings={"train_diffusion": SCRATCH, "train_lora": LORA, "evaluate_pictures": EVALUATE, "merge_lora": ()},
    scratch=("train_diffusion",),
    defaults=folder_defaults,
    inputs={
        "train_diffusion": ("dataset",),
        "train_lora": ("dataset",),
        "image_to_image": ("init_image",),
        "inpaint": ("init_image", "mask_image"),
        "outpaint": ("init_image",),
    },
    implied={"outpaint": "inpaint"},
)
