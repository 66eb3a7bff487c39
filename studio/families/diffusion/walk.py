"""A film from one picture to another: the noises and the prompts of its frames."""

from dataclasses import dataclass
from typing import Any, Self

from studio.families.diffusion.noise import Start, Take
from studio.families.diffusion.takes import start_of
from studio.types import Request


@dataclass(frozen=True, kw_only=True)
class Walk:
    start: Start
    end: Start
    prompt: str
    to_prompt: str
    frames: int
    fps: int
    format: str  # gif, mp4

    @classmethod
    def of(cls, request: Request) -> Self:
        params: dict[str, Any] = dict(request.params)
        return cls(
            start=start_of(request.seed, params),
            end=start_of(params.get("to_seed", request.seed), params, prefix="to_"),
            prompt=request.prompt,
            to_prompt=params.get("to_prompt") or request.prompt,
            frames=params.get("frames", 16),
            fps=params.get("fps", 8),
            format=params.get("format", "gif"),
        )

    @property
    def mixes(self) -> bool:
        return self.prompt != self.to_prompt

    def takes(self) -> list[Take]:
        return [Take(start=self.start, end=self.end, amount=k / (self.frames - 1)) for k in range(self.frames)]
