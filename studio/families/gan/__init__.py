"""Pictures in one pass from random numbers: GANs, VAEs of the same networks, and how both are taught."""

from studio.families.family import Family, Param

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
    Param(
        name="label",
        type=str,
        default="",
        label="Kind",
        help="One of the kinds that the model tells apart; empty draws one by lot for every picture.",
    ),
    Param(
        name="truncation",
        type=float,
        default=1.0,
        minimum=0.0,
        maximum=1.5,
        step=0.05,
        label="Variety",
        help="1 is what was learnt; less keeps to the usual, more dares more.",
    ),
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
    Param(name="critic_learning_rate", type=float, default=4e-4, minimum=1e-7, maximum=0.1, label="Critic's rate"),
    Param(
        name="generator_learning_rate", type=float, default=2e-4, minimum=1e-7, maximum=0.1, label="Generator's rate"
    ),
    Param(
        name="gamma",
        type=float,
        default=1.0,
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

FAMILY = Family(
    name="gan",
    title="Pictures (GAN, VAE)",
    media="image",
    tasks={"explore": EXPLORE},
    trainings={"train_vae": (*FROM_PICTURES, KL), "train_gan": (*FROM_PICTURES, KL, *ADVERSARIAL)},
    scratch=("train_vae", "train_gan"),
    inputs={"train_vae": ("dataset",), "train_gan": ("dataset",)},
)
