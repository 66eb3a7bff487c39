"""Films by diffusers' video pipelines: from words, or from a picture that begins them."""

from studio.families.diffusion import (
    COUNT,
    GUIDANCE,
    HEIGHT,
    NEGATIVE,
    SCHEDULER,
    STEPS,
    VARIATION_SEED,
    VARIATION_STRENGTH,
    VARIATIONS,
    WIDTH,
)
from studio.families.family import Family, Param
from studio.families.video.film_folders import suggested, tasks_of

FRAMES = Param(
    name="num_frames",
    type=int,
    default=49,
    minimum=2,
    maximum=1025,
    label="Frames",
    help="Pictures in the film; a number that the model cannot make becomes the nearest that it can.",
)
RATE = Param(
    name="frame_rate",
    type=int,
    default=16,
    minimum=1,
    maximum=60,
    label="Frames a second",
    help="How fast the film runs. Models that look at it make slower or faster movements.",
)
FILM = (
    NEGATIVE,
    COUNT,  # one call a film: the count has the name that boards and commands know
    WIDTH,
    HEIGHT,
    FRAMES,
    RATE,
    STEPS,
    GUIDANCE,
    SCHEDULER,
    VARIATIONS,
    VARIATION_SEED,
    VARIATION_STRENGTH,
)

FAMILY = Family(
    name="video",
    title="Films (diffusion)",
    media="video",
    tasks={"text_to_video": FILM, "image_to_video": FILM},
    inputs={"image_to_video": ("init_image",)},
    defaults=suggested,
    able=tasks_of,
)
