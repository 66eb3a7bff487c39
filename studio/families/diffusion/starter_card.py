"""Writes card.toml of starter-image: what it knows, its data and their licences, figures and limits."""

from pathlib import Path
from typing import Any

from studio.families.diffusion.scene_canvas import TIMES
from studio.families.diffusion.scene_places import BACKGROUNDS, PLACES
from studio.families.diffusion.scene_sprites import COLOURS, Thing
from studio.families.diffusion.scene_styles import STYLES
from studio.families.diffusion.scenes import vocabulary
from studio.families.training.starter_card import write_starter_card

SUMMARY = "Everyday things and places, small and soft: 'a red fox in the snow at sunset'."
DESCRIPTION = (
    "A small text-to-image model, trained by this project on scenes that it composes itself: one or two "
    "everyday things in a place, or the place alone, at a time of day, in a style. Simple words work best: "
    "'a red fox in the snow at sunset'."
)
LIMITS = (
    "Trained on shared processor cores so far: things, places, times and styles are mostly right, but soft; in "
    "drawings of lines (blueprint, neon, ink, pencil) fine parts run into each other. The figures say how many. "
    "Knows only the words listed here, pictures of 256 x 256 or about as many pixels in other shapes, and one to three "
    "things at a time. "
    "No people, no lettering, no photographs. Anything else gives a picture of what it did understand."
)

TEACHING = (
    "Drawings of one thing in several places teach this model best. It has never seen a photograph: of those it takes "
    "up colours and textures, not the subject; get a larger model for them."
)


def words_known(things: dict[str, Thing]) -> list[str]:
    return [word for word in vocabulary(things.values()) if word.isalnum()]


def write_card(
    folder: Path,
    *,
    things: dict[str, Thing],
    trained: dict[str, Any],
    figures: dict[str, Any],
    latent_rgb: list[list[float]],
    bias: list[float],
) -> None:
    """Write `card.toml` beside the weights; `size_mb` is measured in `folder`."""
    data = {
        "pictures": "scenes composed by studio/families/diffusion/scenes.py: Noto Emoji in procedural places",
        "credits": [
            "Noto Emoji, Copyright 2013 Google, Inc., Apache-2.0, https://github.com/googlefonts/noto-emoji "
            "at 41e31b110b4eb929dffb410264694a06205b7ad7",
            "Everyday names of things: Unicode CLDR annotations, Unicode-3.0",
        ],
    }
    defaults = {
        "num_inference_steps": 12,
        "guidance_scale": 2.0,
        "width": 256,
        "height": 256,
        "scheduler": "default",
    }
    knows = {
        "things": list(things),
        "places": [*PLACES, *(f"{colour} background" for colour in BACKGROUNDS)],
        "times": list(TIMES),
        "styles": list(STYLES),
        "colours": list(COLOURS),
        "words": words_known(things),
    }
    write_starter_card(
        folder,
        id="starter-image",
        family="diffusion",
        name="Starter image",
        tasks=["text_to_image", "image_to_image", "inpaint"],
        summary=SUMMARY,
        description=DESCRIPTION,
        limits=LIMITS,
        teaching=TEACHING,
        data=data,
        trained=trained,
        defaults=defaults,
        preview={"latent_rgb": latent_rgb, "bias": bias},
        figures=figures,
        knows=knows,
    )
