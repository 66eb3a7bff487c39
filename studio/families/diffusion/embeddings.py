"""Textual inversion embeddings in a pipeline's text encoders, each under a token that no prompt holds by chance."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from studio.errors import InvalidInput
from studio.families.diffusion.prompt_weights import reads_weights

ENCODERS = (("text_encoder", "tokenizer", "clip_l"), ("text_encoder_2", "tokenizer_2", "clip_g"))


class Embeddings:
    def __init__(self, pipe: Any) -> None:
        self._pipe = pipe
        self._loaded: dict[Path, tuple[int, str]] = {}  # by file: when it was written, its token
        self.tokens: dict[str, str] = {}  # of those in use, by name

    def use(self, files: Sequence[Path], warn: Callable[[str], None]) -> None:
        """Makes exactly these ready, so that `tokens` holds what stands for them. InvalidInput names a wrong file."""
        if files and not ("load_textual_inversion" in dir(self._pipe) and reads_weights(self._pipe)):
            warn(f"This model takes no embeddings: {', '.join(file.stem for file in files)} is read as words.")
            files = ()
        self.tokens = {file.stem: self._token(file) for file in files}

    def _token(self, file: Path) -> str:
        written = file.stat().st_mtime_ns
        known, token = self._loaded.get(file, (None, ""))
        if known == written:
            return token
        token = f"<embedding-{len(self._loaded)}-{written % 10**6}>"  # a file that was changed is another one
        for vectors, encoder, tokenizer in self._vectors(file):
            self._pipe.load_textual_inversion(vectors, token=token, text_encoder=encoder, tokenizer=tokenizer)
        self._loaded[file] = (written, token)
        return token

    def _vectors(self, file: Path) -> list[tuple[Tensor, Any, Any]]:
        """For each text encoder its vectors, (n, width)."""
        try:
            found = load_file(file)
        except (OSError, SafetensorError) as error:
            raise InvalidInput(
                f"The embedding {file.name!r} cannot be read.", "Copy the file again.", field="prompt"
            ) from error
        parts = [part for part in ENCODERS if self._pipe.components.get(part[0]) is not None]
        single = list(found.values())[0] if len(found) == 1 else found.get("emb_params")
        made = []
        for encoder_name, tokenizer_name, key in parts:
            encoder, tokenizer = (self._pipe.components[name] for name in (encoder_name, tokenizer_name))
            vectors = single if len(parts) == 1 and key not in found else found.get(key)
            width = encoder.get_input_embeddings().weight.shape[1]
            if vectors is None or vectors.reshape(-1, vectors.shape[-1]).shape[1] != width:
                raise InvalidInput(
                    f"The embedding {file.stem!r} is made for another kind of model.",
                    "Choose the model that it belongs to, or take its name out of the prompt.",
                    field="prompt",
                )
            made.append((vectors.reshape(-1, width), encoder, tokenizer))
        return made
