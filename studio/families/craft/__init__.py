"""The designer's tools as tasks: patterns, palettes, cut-outs, vectors, mock-ups, print files, sheets. No model."""

from studio.families.family import Family, Param

TEMPLATES = ("mug", "t_shirt", "poster", "phone", "book", "box", "tote", "card")

PALETTE_PARAM = Param(
    name="palette",
    type=str,
    default="",
    label="Palette",
    help="Colours like #0a7f8c, teal, or a palette of yours.",
)
COLOUR = Param(name="colour", type=str, default="", label="Colour", help="Of the product; its own where empty.")
FIT = Param(
    name="fit",
    type=str,
    default="cover",
    choices=("cover", "contain"),
    label="Fit",
    help="Fill the area and lose what stands over, or show all of the picture.",
)
TITLE = Param(name="title", type=str, default="", label="Title")

SEAMLESS = (
    Param(
        name="method",
        type=str,
        default="cut",
        choices=("cut", "even", "mirror"),
        label="Method",
        help="Cut joins along the best path; even evens out light alone; mirror repeats mirrored.",
    ),
    Param(
        name="overlap",
        type=float,
        default=0.2,
        minimum=0.05,
        maximum=0.5,
        step=0.05,
        label="Overlap",
        help="How much of a side is laid over the other to join them.",
    ),
)
RECOLOUR = (
    PALETTE_PARAM,
    Param(
        name="style",
        type=str,
        default="shaded",
        choices=("shaded", "flat"),
        label="Style",
        help="Keep light and shade within each colour, or the palette's colours alone.",
    ),
    Param(
        name="keep_order",
        type=bool,
        default=True,
        label="Dark stays dark",
        help="Match colours by lightness; off: each takes the palette's nearest.",
    ),
)
CUT_OUT = (Param(name="soft", type=bool, default=True, label="Soft outline"),)
VECTORISE = (
    Param(name="colours", type=int, default=8, minimum=2, maximum=64, label="Colours"),
    Param(
        name="detail",
        type=str,
        default="clean",
        choices=("poster", "clean", "fine"),
        label="Detail",
        help="How small a blot is still drawn.",
    ),
    PALETTE_PARAM,
)
PALETTE = (Param(name="colours", type=int, default=6, minimum=2, maximum=24, label="Colours"),)
MOCK_UP = (
    Param(
        name="templates",
        type=list,
        default=["mug"],
        label="Products",
        help=f"One or more of {', '.join(TEMPLATES)}.",
    ),
    COLOUR,
    FIT,
    Param(name="width", type=int, default=960, minimum=240, maximum=2400, step=8, label="Width", help="Pixels."),
)
PRINT = (
    Param(
        name="size",
        type=str,
        default="A4",
        label="Size",
        help="A3, A4, A5, A6, letter, card, or WIDTHxHEIGHT in mm.",
    ),
    Param(name="bleed", type=float, default=3.0, minimum=0.0, maximum=20.0, step=0.5, label="Bleed", help="mm."),
    Param(name="crop_marks", type=bool, default=True, label="Crop marks"),
    FIT,
    Param(
        name="lying",
        type=bool,
        default=False,
        label="Landscape",
        help="The longer side lies.",
    ),
)
SHEET = (
    TITLE,
    Param(name="size", type=str, default="A4", choices=("A3", "A4", "letter"), label="Size"),
    Param(name="lying", type=bool, default=False, label="Landscape"),
    Param(
        name="captions",
        type=list,
        default=[],
        label="Captions",
        help="One a piece, in their order.",
    ),
)

UPSCALE = (
    Param(name="factor", type=str, default="2", choices=("2", "3", "4"), label="Times as large"),
    Param(
        name="method",
        type=str,
        default="photo",
        choices=("photo", "pixels"),
        label="Kind",
        help="Photo sharpens edges; pixels keeps the squares of pixel art square.",
    ),
)

TASKS = {
    "make_seamless": SEAMLESS,
    "recolour": RECOLOUR,
    "cut_out": CUT_OUT,
    "upscale": UPSCALE,
    "vectorise": VECTORISE,
    "palette": PALETTE,
    "mock_up": MOCK_UP,
    "print_pdf": PRINT,
    "sheet": SHEET,
}

FAMILY = Family(
    name="craft",
    title="Tools",
    media="image",
    tasks=TASKS,
    tools=tuple(TASKS),
    inputs={**{task: ("source",) for task in TASKS}, "sheet": ("piece",)},
)
