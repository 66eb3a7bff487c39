"""`bench explore`: pictures by the hundred, films without flicker, sprites on transparent ground.

In the worker's own process, as it stands: the model is opened, one brief is drawn to warm up, then the rest is timed.
`still` is the flicker of a film whose frames are pictures of their own, `moving` of the walk that is exported.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from studio.errors import InvalidInput
from studio.families import family
from studio.settings import ASSETS, Settings
from studio.types import Device, Input, Json, Request

MANY, FPS = 64, 24
REPEATS = 5


class Desk:
    """What a pipeline may use of the worker, with its outputs in a folder."""

    adapters: Sequence[tuple[Path, float]] = ()

    def __init__(self, folder: Path, device: Device) -> None:
        self.device, self.staging, self.kept = device, folder, folder
        self.inputs: Mapping[str, Sequence[Path]] = {}
        self.files: list[Path] = []
        self.metas: list[Mapping[str, Any]] = []

    def check(self) -> None: ...

    def progress(self, step: int, steps: int, message: str = "") -> None: ...

    def preview(self, index: int, save: Any, suffix: str = ".jpg") -> None: ...

    def output(self, index: int, save: Any, suffix: str, media_type: str, meta: Mapping[str, Any]) -> None:
        self.files.append(self.staging / f"{len(self.files)}{suffix}")
        save(self.files[-1])
        self.metas.append(meta)

    def warn(self, text: str) -> None: ...


def run(settings: Settings, model: str = "starter-gan", repeats: int = REPEATS) -> Json:
    """Seconds of 64 pictures (all, and of the processor), flicker and pace of a walk, and a sheet's ground."""
    from studio.families.gan.pipeline import load

    folder = ASSETS / "models" / model
    if not folder.is_dir():
        raise InvalidInput(f"There is no starter {model!r}.", "Give the id of one that comes with the program.")
    device = Device(kind=settings.device if settings.device != "auto" else "cpu", name="")
    pipeline = load(folder, device)

    def made(task: str, seed: int, **params: Any) -> Desk:
        desk = Desk(Path(tempfile.mkdtemp(dir=home)), device)
        inputs = tuple(Input(role=role, artifact="") for role in family("gan").inputs.get(task, ()))
        request = Request(task=task, model=model, prompt="", params=params, inputs=inputs, seed=seed)
        pipeline.run(family("gan").validate(request), desk)
        return desk

    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as home:
        made("explore", 1, num_images_per_prompt=8)
        all_, own = [], []
        for k in range(repeats):
            began, busy = time.monotonic(), time.process_time()
            made("explore", 100 * k, num_images_per_prompt=MANY)
            all_.append(time.monotonic() - began)
            own.append(time.process_time() - busy)
        walk = made("walk_latents", 3, num_stops=4, frames=24, fps=FPS, format="mp4", scale=1)
        loose = made("explore", 7, num_images_per_prompt=24)
        sheet = made("sprite_sheet", 5, label="knight", num_images_per_prompt=16)
        figures = {
            "pictures": MANY,
            "seconds": round(statistics.median(all_), 3),
            "processor_seconds": round(statistics.median(own), 3),
            "walk": {key: walk.metas[0][key] for key in ("frames", "fps", "duration")},
            "flicker": {"moving": walk.metas[0]["flicker"], "still": flicker_of(loose.files)},
            "sprites": sprites_of(*sheet.files),
        }
    return {"model": model, **figures, "table": table(figures)}


def flicker_of(files: Sequence[Path]) -> float:
    from studio.families.gan.sheets import flicker

    frames = []
    for file in files:
        with Image.open(file) as picture:
            frames.append(np.asarray(picture.convert("RGB"), np.float32) / 127.5 - 1)
    return flicker(np.stack(frames))


def sprites_of(sheet: Path, atlas: Path) -> Json:
    """The share of clear pixels, and whether every sprite stands within its cell and apart from its neighbours."""
    places = json.loads(atlas.read_text("utf-8"))["frames"]
    with Image.open(sheet) as opened:
        alpha = np.asarray(opened.convert("RGBA"))[..., 3]
    edges = []
    for place in places.values():
        x, y, w, h = (place["frame"][key] for key in "xywh")
        cell = alpha[y : y + h, x : x + w]
        edges.append(bool(max(cell[0].max(), cell[:, 0].max(), cell[:, -1].max()) == 0 and cell.max() == 255))
    return {"count": len(places), "clear_share": round(float((alpha == 0).mean()), 3), "apart": sum(edges)}


def table(figures: Mapping[str, Any]) -> list[str]:
    walk, flicker, sprites = figures["walk"], figures["flicker"], figures["sprites"]
    return [
        f"{figures['pictures']} pictures: {figures['seconds']} s, {figures['processor_seconds']} s of the processor",
        f"walk: {walk['frames']} frames at {walk['fps']} a second; flicker {flicker['moving']}, "
        f"of pictures that do not follow each other {flicker['still']}",
        f"sprites: {sprites['apart']} of {sprites['count']} apart on clear ground ({sprites['clear_share']:.0%} clear)",
    ]
