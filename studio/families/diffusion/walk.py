"""A film from one picture to another: the noises and the prompts of its frames, and the frames as a GIF or
MP4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from PIL import Image

from studio.errors import InvalidInput
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


def write_film(path: Path, frames: Sequence[Image.Image], fps: int) -> None:
    """Writes frames of one size as a film that repeats (GIF) or plays (MP4, H.264)."""
    if path.suffix == ".mp4":
        _write_mp4(path, frames, fps)
    else:
        _write_gif(path, frames, fps)


def _write_gif(path: Path, frames: Sequence[Image.Image], fps: int) -> None:
    """One palette for all frames, so that still parts do not flicker."""
    shown = frames[:: max(1, len(frames) // 16)]
    sheet = Image.new("RGB", (shown[0].width, shown[0].height * len(shown)))
    for k, frame in enumerate(shown):
        sheet.paste(frame, (0, k * frame.height))
    palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
    small = [frame.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    small[0].save(
        path,
        "GIF",
        save_all=True,
        append_images=small[1:],
        duration=round(1000 / fps),
        loop=0,
        optimize=False,
    )


def _write_mp4(path: Path, frames: Sequence[Image.Image], fps: int) -> None:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InvalidInput(
            "MP4 needs the package imageio-ffmpeg, which is not installed.",
            "Choose GIF instead.",
            field="format",
        ) from error
    size = frames[0].size
    writer = imageio_ffmpeg.write_frames(
        str(path),
        size,
        fps=fps,
        codec="libx264",
        pix_fmt_in="rgb24",
        macro_block_size=2,
        quality=None,
        output_params=["-crf", "18", "-preset", "medium", "-movflags", "+faststart"],
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(np.asarray(frame.convert("RGB"))))
    writer.close()
