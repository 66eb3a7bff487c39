"""Settings of painting in a part of a picture: around a mask at full size, and beyond the picture's edges."""

from studio.families.family import Param

# None: as the library has it; so requests that do not use these say nothing of them
PADDING = Param(
    name="padding_mask_crop",
    type=int,
    default=None,
    minimum=0,
    maximum=1024,
    label="Around the mask",
    help="Paint only the mask and so many pixels around it, at the size set here, and put them back in place.",
)
SHAPES = ("1:1", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16")
SIDES = ("left", "right", "top", "bottom")
EXTEND = (
    *(
        Param(
            name=f"extend_{side}",
            type=int,
            default=None,
            minimum=0,
            maximum=4096,
            label=side.capitalize(),
            help=f"Pixels that are added at the {side}.",
        )
        for side in SIDES
    ),
    Param(
        name="extend_to",
        type=str,
        default=None,
        choices=SHAPES,
        label="To the shape",
        help="Grow both sides alike until the picture has this shape.",
    ),
)
BEYOND = Param(
    name="strength",
    type=float,
    default=0.8,
    minimum=0.0,
    maximum=1.0,
    step=0.05,
    label="Strength",
    help="How freely the new border is painted; less keeps nearer to the colours at the edge.",
)
