"""Frames of one size as a film: a GIF that repeats, or an MP4 (H.264)."""

import io
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from studio.errors import InvalidInput
from studio.marks import SENTENCE


def write_film(path: Path, frames: Sequence[Image.Image], fps: int, comment: str = "") -> None:
    """The kind is told by the suffix; `comment` is kept inside. InvalidInput where MP4 cannot be written here."""
    if path.suffix == ".mp4":
        _write_mp4(path, frames, fps, comment)
    else:
        _write_gif(path, frames, fps, comment)


def with_record(path: Path, text: str) -> None:
    """Writes a text into a finished film, in place; no frame changes. Whatever fails, the film is whole or as it was.
    InvalidInput where MP4 cannot be written here.
    """
    other = path.with_name(f"with-{path.name}")
    try:
        if path.suffix == ".gif":
            data = path.read_bytes()
            blocks = [text.encode()[at : at + 255] for at in range(0, len(text.encode()), 255)]
            comment = b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\x00"
            other.write_bytes(data[:-1] + comment + data[-1:])  # before the byte that ends the file
        else:
            told = ["-metadata", f"comment={text}", "-metadata", f"description={SENTENCE}"]
            _ffmpeg("-i", str(path), "-map", "0", "-c", "copy", *told, "-movflags", "+faststart", "-y", str(other))
        other.replace(path)
    finally:
        other.unlink(missing_ok=True)


def record_inside(path: Path, suffix: str = "") -> str:
    """The text that `with_record` wrote; "" where there is none. `suffix` of a file whose name has none."""
    if (suffix or path.suffix) == ".gif":
        return _last_comment(path.read_bytes())
    for line in _ffmpeg("-i", str(path), "-f", "ffmetadata", "-").splitlines():
        if line.startswith("comment="):
            return re.sub(r"\\(.)", r"\1", line.removeprefix("comment="))
    return ""


def frame_of(path: Path, share: float = 0.5) -> Image.Image:
    """One frame of an MP4 as RGB: 0 is the first, 1 the last. InvalidInput for a file that cannot be read."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InvalidInput("MP4 needs the package imageio-ffmpeg, which is not installed.", "Choose GIF.") from error
    try:
        frames, _ = imageio_ffmpeg.count_frames_and_secs(str(path))
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"The film {path.name} cannot be read.", "Make it again.") from error
    wanted = ["-vf", f"select=eq(n\\,{round(((frames or 1) - 1) * share)})", "-frames:v", "1"]
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(path), *wanted, "-f", "apng", "-"],
        capture_output=True,
        timeout=120,
    )
    if done.returncode or not done.stdout:
        raise InvalidInput(f"The film {path.name} cannot be read.", "Make it again.")
    return Image.open(io.BytesIO(done.stdout)).convert("RGB")


def _last_comment(data: bytes) -> str:
    """The comment before the end of a GIF."""
    start = data.rfind(b"\x21\xfe")
    text, at = b"", start + 2
    while 0 <= start and at < len(data) and data[at]:
        text, at = text + data[at + 1 : at + 1 + data[at]], at + 1 + data[at]
    return text.decode("utf-8", "replace")


def _ffmpeg(*words: str) -> str:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InvalidInput("MP4 needs the package imageio-ffmpeg, which is not installed.", "Choose GIF.") from error
    try:
        done = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *words],
            capture_output=True,
            text=True,
            timeout=120,
        )
    except subprocess.TimeoutExpired as error:
        said = "The film could not be worked on within two minutes."
        raise InvalidInput(said, "Try again when the machine is less busy.") from error
    if done.returncode:
        raise InvalidInput(f"The film cannot be read: {done.stderr.strip()[-200:]}.", "Make it again.")
    return done.stdout


def durations(frames: int, fps: int) -> list[int]:
    """Milliseconds of each frame of a GIF, which counts in hundredths of a second: their ends stay within 5 ms."""
    ends = [round(100 * (k + 1) / fps) * 10 for k in range(frames)]
    return [end - before for end, before in zip(ends, [0, *ends], strict=False)]


def _write_gif(path: Path, frames: Sequence[Image.Image], fps: int, comment: str) -> None:
    """One palette for all frames, so that still parts do not flicker."""
    shown = frames[:: max(1, len(frames) // 16)]
    sheet = Image.new("RGB", (shown[0].width, shown[0].height * len(shown)))
    for k, frame in enumerate(shown):
        sheet.paste(frame.convert("RGB"), (0, k * frame.height))
    palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
    small = [frame.convert("RGB").quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for frame in frames]
    small[0].save(
        path,
        "GIF",
        save_all=True,
        append_images=small[1:],
        duration=durations(len(small), fps) if len(small) > 1 else round(1000 / fps),
        loop=0,
        optimize=False,
        comment=comment.encode(),
    )


def _write_mp4(path: Path, frames: Sequence[Image.Image], fps: int, comment: str) -> None:
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise InvalidInput(
            "MP4 needs the package imageio-ffmpeg, which is not installed.",
            "Choose GIF instead.",
            field="format",
        ) from error
    size = frames[0].size
    told = ["-metadata", f"comment={comment}"] if comment else []
    writer = imageio_ffmpeg.write_frames(
        str(path),
        size,
        fps=fps,
        codec="libx264",
        pix_fmt_in="rgb24",
        macro_block_size=2,
        quality=None,  # pyright: ignore[reportArgumentType]  (guessed from its default; None is documented)
        output_params=["-crf", "18", "-preset", "medium", "-movflags", "+faststart", *told],
    )
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(np.asarray(frame.convert("RGB"))))
    writer.close()
