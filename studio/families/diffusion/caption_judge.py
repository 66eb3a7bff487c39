"""What pictures show by the words that a captioning model says of them. Models differ in what they say, and all err."""

import gc
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from studio.families.captioning import CAPTION
from studio.families.captioning import pipeline as captioning
from studio.families.family import Context
from studio.families.training.short_memory import release
from studio.lab.caption_words import SAID, first_said, words_of
from studio.types import Request


class CaptionJudge:
    """A captioner, opened for each group of pictures and let go again: it needs not share the memory."""

    def __init__(self, folder: Path, name: str, context: Context) -> None:
        self.name = name
        self.known = {group: words_of(group) for group in SAID}
        self._folder, self._context = folder, context

    def told(self, pictures: Sequence[Image.Image], attribute: str) -> list[str]:
        """For each picture the first word of that group in its caption; "" where the caption has none. Cancelled."""
        asked = Request(task="caption", model=self.name, params={param.name: param.default for param in CAPTION})
        captions: dict[str, str] = {}
        self._context.progress(0, 0, "Loading the captioner")
        captioner = captioning.load(self._folder, self._context.device)
        captioner.caption([(str(k), picture) for k, picture in enumerate(pictures)], captions, asked, self._context)
        del captioner
        gc.collect()
        release(self._context.device.kind)
        return [first_said(captions[str(k)], attribute) for k in range(len(pictures))]
