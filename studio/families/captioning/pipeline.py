"""Captions by a loaded image-to-text model: pictures in, one line each out; or one picture told. Knows no data set.

The list of pictures is JSON, `{"pictures": [{"id", "file"} ...]}`; so is the answer, `{"captions": {id: text}}`, after
Stop with those that were there.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, PreTrainedModel

from studio.errors import Cancelled, InvalidInput, ModelError
from studio.families.family import Context
from studio.families.training.short_memory import is_out_of_memory, release
from studio.types import Device, Request

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
AT_ONCE = 4  # pictures
ASKED = "Describe this picture in one short sentence."  # of a model that must be asked
AGAIN = "Copy the model again, or choose another one."


class Captioner:
    def __init__(self, model: PreTrainedModel, processor: Any, tokenizer: Any, where: torch.device) -> None:
        self.model, self.processor, self.tokenizer, self.where = model, processor, tokenizer, where

    def size(self) -> int:
        return sum(p.numel() * p.element_size() for p in self.model.parameters())

    def run(self, request: Request, context: Context) -> None:
        """Output 0: the captions by id, or the words for one source. InvalidInput: a picture that cannot be read."""
        if request.task == "describe":
            context.check()
            text = self.told([opened(Path(context.inputs["source"][0]))], request)[0]
            context.output(0, lambda path: path.write_text(text, "utf-8"), ".txt", "text/plain", {"seed": request.seed})
            return
        given = json.loads(Path(context.inputs["pictures"][0]).read_text("utf-8"))
        pictures = [(str(one["id"]), Path(one["file"])) for one in given["pictures"]]
        captions: dict[str, str] = {}
        try:
            self.caption(pictures, captions, request, context)
        except Cancelled:
            context.progress(len(captions), len(pictures), "Captioning")
            if captions:
                deliver(captions, given, context)
            raise
        deliver(captions, given, context)

    def caption(
        self,
        pictures: Sequence[tuple[str, Path | Image.Image]],
        captions: dict[str, str],
        request: Request,
        context: Context,
    ) -> None:
        """Fills `captions` by id, a few pictures at once. Cancelled, with those that were there."""
        at_once = AT_ONCE
        while len(captions) < len(pictures):
            context.check()
            context.progress(len(captions), len(pictures), "Captioning")
            some = pictures[len(captions) : len(captions) + at_once]
            try:
                texts = self.told([one if isinstance(one, Image.Image) else opened(one) for _, one in some], request)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or at_once == 1:
                    raise
                texts = []
            if not texts:
                release(context.device.kind)
                at_once //= 2
                context.warn(f"Memory was short: {at_once} at once now.")
                continue
            captions.update({id: text for (id, _), text in zip(some, texts, strict=True)})
        context.progress(len(pictures), len(pictures), "Captioning")

    @torch.no_grad()
    def told(self, pictures: Sequence[Image.Image], request: Request) -> list[str]:
        """A caption for each picture. `request.prompt`: what the model is asked, or its captions begin with."""
        given = self.asked(pictures, request.prompt.strip()).to(self.where)
        given = {name: part.to(self.model.dtype) if part.is_floating_point() else part for name, part in given.items()}
        made = self.model.generate(
            **given,
            max_new_tokens=int(str(request.params["max_new_tokens"])),
            num_beams=int(str(request.params["num_beams"])),
            do_sample=False,
        )
        if self.answers:  # the answer stands behind the question
            made = made[:, given["input_ids"].shape[1] :]
        texts = self.tokenizer.batch_decode(made, skip_special_tokens=True)
        return [" ".join(text.split()) for text in texts]

    @property
    def answers(self) -> bool:
        """Whether the model is asked as in a chat, rather than captioning by itself."""
        return bool(getattr(self.processor, "chat_template", None))

    def asked(self, pictures: Sequence[Image.Image], words: str) -> Any:
        if self.answers:
            said = [{"type": "image"}, {"type": "text", "text": words or ASKED}]
            turn = [{"role": "user", "content": said}]
            prompt = self.processor.apply_chat_template(turn, add_generation_prompt=True)
            texts = [prompt] * len(pictures)
            return self.processor(images=list(pictures), text=texts, padding=True, return_tensors="pt")
        if words:
            return self.processor(images=list(pictures), text=[words] * len(pictures), return_tensors="pt")
        return self.processor(images=list(pictures), return_tensors="pt")


def opened(file: Path) -> Image.Image:
    try:
        with Image.open(file) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise InvalidInput(f"The picture {file.name} cannot be read.", "Add it to the data set again.") from error


def deliver(captions: Mapping[str, str], given: Mapping[str, Any], context: Context) -> None:
    text = json.dumps({"captions": captions}, ensure_ascii=False, indent=1)
    meta = {"captions_of": str(given.get("dataset", "")), "captions": len(captions)}
    context.output(0, lambda path: path.write_text(text, "utf-8"), ".json", "application/json", meta)


def load(folder: Path, device: Device) -> Captioner:
    """An image-to-text model as transformers' save_pretrained left it. ModelError."""
    local = {"local_files_only": True, "trust_remote_code": False}
    where = torch.device("cpu" if device.kind == "cpu" else device.kind)
    try:
        model = AutoModelForImageTextToText.from_pretrained(
            folder, **local, use_safetensors=True, dtype=DTYPES[device.dtype]
        )
        processor = AutoProcessor.from_pretrained(folder, **local)
        tokenizer = getattr(processor, "tokenizer", None)
        if tokenizer is None:  # an encoder and a decoder, each with what it was made with
            processor = AutoImageProcessor.from_pretrained(folder, **local)
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder.name!r} cannot be opened as a captioning model: {error}.", AGAIN) from error
    return Captioner(model.eval().requires_grad_(False).to(where), processor, tokenizer, where)
