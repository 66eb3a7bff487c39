"""Pictures in one pass from random numbers: GANs, VAEs of the same networks, and how both are taught."""

from studio.families.family import Family, Param

LABEL = Param(
    name="label",
    type=str,
    default="",
    label="Kind",
    help="One of the kinds that the model tells apart; empty draws one by lot for every picture.",
)
TRUNCATION = Param(
    name="truncation",
    type=float,
    default=1.0,
    minimum=0.0,
    maximum=1.5,
    step=0.05,
    label="Variety",
    help="1 is what was learnt; less keeps to the usual, more dares more.",
)
AXES = Param(
    name="axes",
    type=list,
    default=None,
    label="Directions",
    help="Steps along the directions that change most, in deviations: [1.5, 0, -2].",
)
VARIATIONS = Param(
    name="variations",
    type=str,
    default="",
    label="Earlier variations",
    help="seed:strength pairs: how far, and towards which seeds, the picture was moved.",
)
EXPLORE = (
    Param(
        name="num_images_per_prompt",
        type=int,
        default=8,
        minimum=1,
        maximum=64,
        label="Variations",
        help="Pictures at once; take k has the seed + k.",
    ),
    LABEL,
    TRUNCATION,
    AXES,
    Param(
        name="variation_seed",
        type=int,
        default=None,
        minimum=0,
        maximum=2**53,
        label="Variation seed",
        help="The seed to move towards; take k uses this + k.",
    ),
    Param(
        name="variation_strength",
        type=float,
        default=0.0,
        minimum=0.0,
        maximum=1.0,
        step=0.05,
        label="Variation strength",
        help="0 keeps the seed's picture, 1 is the variation seed's.",
    ),
    VARIATIONS,
)
COLUMNS = Param(name="columns", type=int, default=8, minimum=1, maximum=16, label="Columns")
MAP = (
    LABEL,
    TRUNCATION,
    AXES,
    VARIATIONS,
    Param(name="columns", type=int, default=9, minimum=2, maximum=16, label="Pictures a side"),
    Param(name="axis_x", type=int, default=1, minimum=1, maximum=12, label="Direction across"),
    Param(name="axis_y", type=int, default=2, minimum=1, maximum=12, label="Direction up"),
    Param(name="centre_x", type=float, default=0.0, minimum=-6.0, maximum=6.0, label="Centre across"),
    Param(name="centre_y", type=float, default=0.0, minimum=-6.0, maximum=6.0, label="Centre up"),
    Param(
        name="span",
        type=float,
        default=2.5,
        minimum=0.01,
        maximum=6.0,
        step=0.01,
        label="Span",
        help="Deviations from the centre to the edge; less is nearer.",
    ),
)
DIRECTIONS = (
    LABEL,
    TRUNCATION,
    AXES,
    VARIATIONS,
    Param(name="columns", type=int, default=7, minimum=2, maximum=16, label="Steps"),
    Param(name="rows", type=int, default=6, minimum=1, maximum=12, label="Directions"),
    Param(name="span", type=float, default=2.5, minimum=0.01, maximum=6.0, step=0.01, label="Span"),
)
OTHER = (
    Param(name="to_seed", type=int, default=1, minimum=0, maximum=2**53, label="Other seed"),
    Param(name="to_label", type=str, default="", label="Other kind", help="Empty: the same kind."),
    Param(name="to_axes", type=list, default=None, label="Other's directions"),
    Param(name="to_variations", type=str, default="", label="Other's variations"),
)
MIX = (
    LABEL,
    TRUNCATION,
    AXES,
    VARIATIONS,
    *OTHER,
    Param(
        name="way",
        type=str,
        default="blend",
        choices=("blend", "layers"),
        label="How",
        help="Blend goes from one to the other; layers takes the first one's outline and the other's finer things.",
    ),
    Param(name="steps", type=int, default=5, minimum=1, maximum=64, label="Pictures"),
)
FILM = (
    Param(name="fps", type=int, default=24, minimum=1, maximum=60, label="Frames a second"),
    Param(name="format", type=str, default="gif", choices=("gif", "mp4"), label="Format"),
    Param(name="scale", type=int, default=4, minimum=1, maximum=16, label="Enlarged"),
)
WALK = (
    LABEL,
    TRUNCATION,
    Param(
        name="stops",
        type=list,
        default=None,
        label="Seeds on the way",
        help="Empty: the seed and the next ones. A kind may follow a seed: 7:wizard.",
    ),
    Param(
        name="num_stops", type=int, default=4, minimum=2, maximum=32, label="Stops", help="Where no seeds are named."
    ),
    Param(name="frames", type=int, default=24, minimum=2, maximum=240, label="Frames a leg"),
    Param(name="loop", type=bool, default=True, label="Back to the start"),
    *FILM,
)
SPRITES = (
    Param(name="num_images_per_prompt", type=int, default=16, minimum=1, maximum=64, label="Sprites"),
    LABEL,
    TRUNCATION,
    AXES,
    VARIATIONS,
    COLUMNS,
    Param(name="scale", type=int, default=1, minimum=1, maximum=8, label="Enlarged"),
    Param(name="padding", type=int, default=1, minimum=0, maximum=32, label="Space", help="Pixels around each sprite."),
)
TERRAIN = (
    LABEL,
    TRUNCATION,
    AXES,
    Param(name="cells", type=int, default=128, minimum=16, maximum=512, label="Points a side"),
    Param(name="size_mm", type=float, default=100.0, minimum=10.0, maximum=1000.0, label="Size in mm"),
    Param(name="relief_mm", type=float, default=25.0, minimum=0.5, maximum=500.0, label="Relief in mm"),
    Param(name="base_mm", type=float, default=3.0, minimum=0.5, maximum=100.0, label="Base in mm"),
)

FROM_PICTURES = (
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
    Param(
        name="resolution",
        type=str,
        default="64",
        choices=("32", "64", "128"),
        label="Resolution",
        help="Pixels a side of what it makes.",
    ),
    Param(
        name="train_batch_size", type=int, default=32, minimum=2, maximum=1024, label="Batch", help="Pictures a step."
    ),
    Param(
        name="base_channels",
        type=int,
        default=16,
        minimum=8,
        maximum=128,
        step=8,
        label="Width",
        help="Size of the networks: twice the width takes nearly four times as long a step.",
    ),
    Param(
        name="random_flip",
        type=bool,
        default=True,
        label="Mirror",
        help="Learn every picture mirrored as well; turn it off for letters and maps.",
    ),
    Param(
        name="classes",
        type=bool,
        default=True,
        label="Kinds by caption",
        help="Where captions come back again and again, tell them apart.",
    ),
    Param(name="learning_rate", type=float, default=3e-3, minimum=1e-7, maximum=0.1, label="Learning rate"),
)
KL = Param(
    name="kl_weight",
    type=float,
    default=4e-4,
    minimum=0.0,
    maximum=1.0,
    label="Order of the latents",
    help="More makes random pictures likelier, less makes them sharper.",
)
ADVERSARIAL = (
    Param(name="critic_learning_rate", type=float, default=2e-4, minimum=1e-7, maximum=0.1, label="Critic's rate"),
    Param(
        name="generator_learning_rate", type=float, default=6e-4, minimum=1e-7, maximum=0.1, label="Generator's rate"
    ),
    Param(
        name="gamma",
        type=float,
        default=0.3,
        minimum=0.0,
        maximum=100.0,
        label="Calm",
        help="Weight of the penalties R1 and R2 on the critic's slope.",
    ),
    Param(
        name="augmentation",
        type=bool,
        default=True,
        label="Shown changed",
        help="The critic sees all pictures moved, tinted and partly covered, so it cannot learn few by heart.",
    ),
    Param(
        name="vae_share",
        type=float,
        default=0.4,
        minimum=0.0,
        maximum=0.9,
        step=0.05,
        label="Begin as a VAE",
        help="Share of the time in which the generator learns to rebuild pictures, before it must deceive a critic.",
    ),
)

EVALUATE = (
    Param(
        name="pictures",
        type=int,
        default=256,
        minimum=16,
        maximum=2000,
        label="Pictures",
        help="Made to be compared with the data set's.",
    ),
    TRUNCATION,
)

FAMILY = Family(
    name="gan",
    title="Pictures (GAN, VAE)",
    media="image",
    tasks={
        "explore": EXPLORE,
        "map_latents": MAP,
        "latent_directions": DIRECTIONS,
        "mix_pictures": MIX,
        "walk_latents": WALK,
        "sprite_sheet": SPRITES,
        "terrain": TERRAIN,
    },
    trainings={
        "train_vae": (*FROM_PICTURES, KL),
        "train_gan": (*FROM_PICTURES, KL, *ADVERSARIAL),
        "evaluate_pictures": EVALUATE,
    },
    scratch=("train_vae", "train_gan"),
    implied=dict.fromkeys(
        ("map_latents", "latent_directions", "mix_pictures", "walk_latents", "sprite_sheet", "terrain"), "explore"
    ),
    inputs={"train_vae": ("dataset",), "train_gan": ("dataset",)},
)
