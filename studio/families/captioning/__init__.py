"""Captions: what is to be seen in pictures, in words, by any image-to-text folder of transformers (BLIP, GIT ...)."""

from studio.families.family import Family, Param

CAPTION = (
    Param(
        name="max_new_tokens",
        type=int,
        default=40,
        minimum=4,
        maximum=400,
        label="Longest",
        help="Tokens of a caption.",
    ),
    Param(
        name="num_beams",
        type=int,
        default=3,
        minimum=1,
        maximum=12,
        label="Beams",
        help="How many captions are pursued at once, of which the likeliest is taken; 1 is fastest.",
    ),
)

FAMILY = Family(
    name="captioning",
    title="Captions",
    media="text",
    tasks={"caption": CAPTION, "describe": CAPTION},
    implied={"describe": "caption"},
    inputs={"caption": ("pictures",), "describe": ("source",)},
)
