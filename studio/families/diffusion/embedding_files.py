"""Textual inversion embeddings (Gal et al., "An Image is Worth One Word", 2023) as files: which there are, and which of
them a prompt names, as `<name>` or as a bare word. Light: reads no weights.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from studio.errors import InvalidInput

PICKLES = (".pt", ".bin")


def read_embeddings(place: Path) -> dict[str, Path]:
    """Files by name; pickled ones among them, as their names must not be passed over in silence."""
    files = sorted(place.iterdir()) if place.is_dir() else []
    found = {path.stem: path for path in files if path.suffix in PICKLES}
    return found | {path.stem: path for path in files if path.suffix == ".safetensors"}


def named_in(prompt: str, files: Mapping[str, Path]) -> tuple[Path, ...]:
    """The files that a prompt names. InvalidInput for a pickled one."""
    named = tuple(path for name, path in files.items() if _as_word(name).search(prompt))
    for path in named:
        if path.suffix in PICKLES:
            raise InvalidInput(
                f"The embedding {path.name!r} is a pickle, which can run programs, so it is not opened.",
                "Use a version of it that is a .safetensors file.",
                field="prompt",
            )
    return named


def replaced(prompt: str, tokens: Mapping[str, str]) -> str:
    """The prompt with the token of an embedding in the place of its name."""
    for name, token in tokens.items():
        prompt = _as_word(name).sub(lambda _, token=token: token, prompt)
    return prompt


def _as_word(name: str) -> re.Pattern[str]:
    plain = re.escape(name)
    return re.compile(rf"<{plain}>|(?<![\w<-]){plain}(?![\w>-])", re.IGNORECASE)
