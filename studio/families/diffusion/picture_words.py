"""What pictures show, in words of a fixed list: the colour of their subject, and what a model's own judge can tell.

A model folder with a judge of starter-image's kind in it (judge.safetensors) is asked about things, places, times and
styles as well; a captioner, where one is given, about persons, ages and what else captions say. What a prompt asks for
is found by the composer's own words for them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from studio.errors import InvalidInput
from studio.families.diffusion.caption_judge import CaptionJudge
from studio.families.diffusion.scene_canvas import TIMES
from studio.families.diffusion.scene_places import PLACES
from studio.families.diffusion.scene_sprites import THINGS, Thing
from studio.families.diffusion.scene_styles import STYLES
from studio.families.diffusion.starter_judge import JUDGE, SIDE, Judge, as_seen, load_judge
from studio.lab.colours import COLOURS, subject_colour


class PictureWords:
    """The judges that there are for one model."""

    def __init__(self, folder: Path, captions: CaptionJudge | None = None) -> None:
        self.captions = captions
        self._judge: Judge | None = load_judge(folder / JUDGE) if (folder / JUDGE).is_file() else None
        own = self._judge.names if self._judge else {}  # goes before what captions say: it was taught these very words
        self.known: dict[str, tuple[str, ...]] = {"colour": COLOURS, **(captions.known if captions else {}), **own}

    @property
    def judged(self) -> tuple[str, ...]:
        """What the model's judge tells beyond the colour; nothing where there is none."""
        return tuple(self._judge.names) if self._judge else ()

    def by_captions(self, attribute: str) -> bool:
        """Whether captions tell it, rather than the picture itself."""
        return attribute != "colour" and attribute not in self.judged

    def need(self, attribute: str, words: Sequence[str] = ()) -> None:
        """InvalidInput where nothing here can tell that attribute, or one of these words."""
        if attribute not in self.known:
            hint = f"It can be judged by {', '.join(self.known)}."
            raise InvalidInput(f"This model has no judge that could tell the {attribute}.", hint, field="attribute")
        unknown = [word for word in words if word not in self.known[attribute]]
        if unknown:
            hint = f"Some of those that it knows: {', '.join(self.known[attribute][:12])}."
            raise InvalidInput(f"No judge here can tell the {attribute} {unknown[0]!r}.", hint, field="words")

    def told(self, pictures: Sequence[Image.Image], attribute: str) -> list[str]:
        """The word for each picture; "" where nothing stands out in it."""
        self.need(attribute)
        if attribute == "colour":
            return [subject_colour(picture).name for picture in pictures]
        if self.by_captions(attribute):
            assert self.captions is not None
            return self.captions.told(pictures, attribute)
        return self.seen(pictures)[attribute]

    @torch.inference_mode()
    def seen(self, pictures: Sequence[Image.Image]) -> dict[str, list[str]]:
        """For each kind that the model's judge knows its word for every picture."""
        assert self._judge is not None
        found: dict[str, list[str]] = {kind: [] for kind in self._judge.names}
        for picture in pictures:
            small = picture.convert("RGB").resize((2 * SIDE, 2 * SIDE), Image.Resampling.BILINEAR)
            for (kind, names), scores in zip(
                self._judge.names.items(), self._judge(as_seen(np.asarray(small)[None])), strict=True
            ):
                found[kind].append(names[int(scores[0].argmax())])
        return found

    def asked(self, prompt: str) -> dict[str, str]:
        """For each kind what the prompt asks for, where it names exactly one that the judge knows."""
        found = {}
        for kind in self.judged:
            named = [name for name in self.known[kind] if _said(prompt, _words_for(kind, name))]
            longest = [name for name in named if not any(name != other and name in other.split() for other in named)]
            if len(longest) == 1:
                found[kind] = longest[0]
        return found

    def things(self) -> dict[str, Thing]:
        """What the judge can tell, as the composer of prompts takes it: by the names alone."""
        return {name: THINGS.get(name) or Thing(name, "", (name,)) for name in self.known.get("thing", ())}


def _words_for(kind: str, name: str) -> Sequence[str]:
    """The phrases that ask for it."""
    if kind == "thing":
        return THINGS[name].words if name in THINGS else (name,)
    if kind == "place":
        return PLACES[name][1] if name in PLACES else (f"{name} background",)
    if kind == "time":
        return [words for words in TIMES[name].words if words] if name in TIMES else ()
    return STYLES[name][1] if name in STYLES else ()


def _said(prompt: str, phrases: Sequence[str]) -> bool:
    plain = f" {' '.join(prompt.lower().replace(',', ' ').split())} "
    return any(f" {phrase.lower()} " in plain for phrase in phrases)
