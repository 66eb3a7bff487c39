"""What the Image panel asks of models that make films instead of pictures. Pure: knows no component."""

import secrets
from collections.abc import Sequence

from studio.design.films import frame_of
from studio.families.video.film_folders import IN_PLACE_OF
from studio.studio import Studio
from studio.types import Artifact, Model

PICTURES = "text_to_image"
FILMED = {**IN_PLACE_OF, "inpaint": "image_to_video", "outpaint": "image_to_video"}  # masks stay with pictures


def makers(studio: Studio) -> Sequence[Model]:
    """Every model of the panel: first those of pictures, then those of films."""
    found = studio.catalog.models()
    films = [model for model in found if makes_films(model)]
    return [*(model for model in found if PICTURES in model.tasks), *films]


def makes_films(model: Model) -> bool:
    return bool(set(IN_PLACE_OF.values()) & set(model.tasks))


def task_for(model: Model, task: str) -> str:
    """What a picture's task becomes where the model makes films."""
    return FILMED.get(task, task) if makes_films(model) else task


def first_task(model: Model) -> str:
    """The task whose settings stand in the form."""
    return "text_to_video" if makes_films(model) else PICTURES


def last_frame(studio: Studio, film: Artifact) -> Artifact:
    """The end of a film as a picture of the library, to begin the next one with. InvalidInput."""
    target = studio.settings.staging / f"frame-{secrets.token_hex(6)}.png"
    name = str(film.meta.get("prompt") or film.meta.get("name") or "film")
    try:
        frame_of(film.path, 1.0).save(target)
        return studio.adopt(target, name=f"The end of: {name[:60]}.png", role="init_image")
    finally:
        target.unlink(missing_ok=True)
