"""`bench image`: the engine against plain diffusers, A B A B in one run, and the wait from a click to the
first preview.

Starts the two sides as processes (image_sides.py) and the engine itself; times nothing of the
models here.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from studio.engine import protocol
from studio.engine.engine import Engine, Event
from studio.engine.environment import worker_environment
from studio.errors import ModelError, NotFound, WorkerDied
from studio.settings import ASSETS, ROOT, Settings
from studio.types import Device, Json, Request

CORES = 2
SIDES = "studio.bench.image_sides"


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is measured: a model folder, and how much is asked of it."""

    name: str
    folder: Path
    count: int
    steps: int
    side: int
    rounds: int


class Side:
    """One side's process, on the first two cores."""

    def __init__(self, kind: str, environment: Mapping[str, str], module: str = SIDES) -> None:
        self.kind = kind
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            cwd=ROOT,
            text=True,
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, cores())

    def ask(self, **what: Any) -> Json:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise WorkerDied(
                f"The {self.kind} side of the benchmark ended with {self._process.wait()}.",
                "Close other programs, or try --quick.",
            )
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()  # closes the pipes


def cores() -> set[int]:
    return set(sorted(os.sched_getaffinity(0))[:CORES])


def run(settings: Settings, *, quick: bool, starter: Path | None = None) -> Json:
    """All figures and a table in words. `quick`: the starter only, few steps. In seconds."""
    folder = starter or ASSETS / "models" / "starter-image"
    if not (folder / "model_index.json").is_file():
        raise NotFound(f"The starter is not at {folder}.", "Get a complete copy of the program.")
    with tempfile.TemporaryDirectory() as place:
        device, click = measure_click(settings, folder, Path(place))
        loads = [
            Load(
                name="starter",
                folder=folder,
                count=4,
                steps=4 if quick else 12,
                side=256,
                rounds=2 if quick else 5,
            )
        ]
        if not quick:
            large = settings.cache / "bench" / "sd15-random"
            loads.append(Load(name="SD 1.5 size", folder=large, count=1, steps=2, side=512, rounds=2))
        figures: Json = {"device": device.to_dict(), "quick": quick, "click": click}
        for load in loads:
            figures[load.name] = compare(load, device, Path(place))
    figures["table"] = table(figures, [load.name for load in loads])
    return figures


def compare(load: Load, device: Device, place: Path) -> Json:
    """Both sides in turn on the same work, A B A B; medians, and how near the pictures are."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "KMP_", "OMP_"))}
    ours = worker_environment(plain, threads=CORES)
    found: Json = {"plain": [], "studio": []}
    with Side("plain", plain) as a, Side("studio", ours) as b:
        if not (load.folder / "model_index.json").is_file():
            a.ask(do="build", folder=str(load.folder))
        for side in (a, b):
            found[f"{side.kind} load"] = side.ask(
                do="load", folder=str(load.folder), device=device.to_dict(), staging=str(place)
            )["seconds"]
        work = {"count": load.count, "side": load.side}
        counted = a.ask(do="operations", **work)
        for side in (a, b):  # the first calls of a process are slower
            side.ask(do="pictures", steps=1, file=str(place / "warm.npy"), **work)
        peaks = [b.ask(do="peak")]
        for _ in range(load.rounds):
            for side in (a, b):
                file = str(place / f"{side.kind}.npy")
                found[side.kind].append(side.ask(do="pictures", steps=load.steps, file=file, **work))
        peaks.append(b.ask(do="peak"))
        near = psnr(np.load(place / "plain.npy"), np.load(place / "studio.npy"))
    return {
        **summary(found, counted, peaks, device),
        "psnr_db": near,
        "steps": load.steps,
        "count": load.count,
        "side": load.side,
        "rounds": load.rounds,
        "samples": {k: found[k] for k in ("plain", "studio")},
        "load": {k: found[f"{k} load"] for k in ("plain", "studio")},
    }


def summary(found: Json, counted: Mapping[str, float], peaks: Sequence[Mapping[str, float]], device: Device) -> Json:
    best = {k: max(p[k] for p in peaks) for k in peaks[0]}
    made: Json = {"peak_before": peaks[0], "peak_after": peaks[1], "operations": dict(counted)}
    for kind in ("plain", "studio"):
        step = statistics.median(s for sample in found[kind] for s in sample["steps"])
        decoding = statistics.median(sum(sample["decodings"]) for sample in found[kind])
        dtype = "float32" if kind == "plain" else device.dtype
        made[kind] = {
            "seconds": statistics.median(sample["seconds"] for sample in found[kind]),
            "step": step,
            "decoding": decoding,
            "share_of_peak": counted["step"] / step / best.get(dtype, best["float32"]),
        }
    made["ratio"] = {k: made["plain"][k] / made["studio"][k] for k in ("seconds", "step", "decoding")}
    made["preview_share"] = statistics.median(sample["previews"] / sum(sample["steps"]) for sample in found["studio"])
    return made


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Decibels between two sets of 8-bit pictures; 99 when they are equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return 99.0 if error == 0 else round(10 * float(np.log10(255**2 / error)), 1)


class Click:
    """Waits for what the engine tells about one job."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.done = threading.Event()
        self.first_preview = 0.0
        self.steps: list[float] = []
        self.error = ""

    def __call__(self, event: Event) -> None:
        now = time.perf_counter()
        if isinstance(event, protocol.Ready):
            self.ready.set()
        elif isinstance(event, protocol.Preview):
            self.first_preview = self.first_preview or now
        elif isinstance(event, protocol.Progress):
            self.steps.append(now)
        elif isinstance(event, protocol.Finished):
            self.error = event.error
            self.done.set()


def measure_click(settings: Settings, folder: Path, place: Path) -> tuple[Device, Json]:
    """From sending a request to a warm worker until its first preview, beside the time of one step."""
    engine = Engine(device=settings.device, memory_limit=settings.memory_limit, staging=place / "staging")
    waits, steps = [], []
    try:
        for k in range(4):
            heard = Click()
            engine.subscribe(heard)
            began = time.perf_counter()
            engine.submit(_click(folder, place, k))
            if not heard.done.wait(300) or heard.error:
                raise ModelError(heard.error or "The engine did not answer within 5 minutes.", "Try again.")
            if k:  # the first one loads the model
                waits.append(heard.first_preview - began)
                steps.append(statistics.median(b - a for a, b in zip(heard.steps, heard.steps[1:], strict=False)))
        device = engine.device
    finally:
        engine.close()
    assert device is not None
    wait, step = statistics.median(waits), statistics.median(steps)
    return device, {"to_first_preview": wait, "step": step, "beyond_one_step": wait - step}


def _click(folder: Path, place: Path, k: int) -> protocol.Run:
    staging = place / "staging" / str(k)
    staging.mkdir(parents=True)
    request = Request(
        task="text_to_image",
        model="bench",
        prompt="a red fox in the snow",
        seed=k,
        params={
            "num_images_per_prompt": 4,
            "num_inference_steps": 4,
            "guidance_scale": 3.5,
            "width": 256,
            "height": 256,
        },
    )
    return protocol.Run(
        job=f"bench-{k}",
        family="diffusion",
        folder=str(folder),
        request=request.to_dict(),
        staging=str(staging),
    )


def table(figures: Json, names: list[str]) -> list[str]:
    lines = [f"{'':24}{'plain':>10}{'studio':>10}{'ratio':>8}"]
    for name in names:
        made = figures[name]
        for key, title in (
            ("seconds", "whole request, s"),
            ("step", "U-Net step, s"),
            ("decoding", "decoding, s"),
        ):
            lines.append(
                f"{name + ': ' + title:34}{made['plain'][key]:9.3f}{made['studio'][key]:10.3f}"
                f"{made['ratio'][key]:7.2f}x"
            )
        lines.append(
            f"{name}: share of the matmul peak {made['plain']['share_of_peak']:.0%} -> "
            f"{made['studio']['share_of_peak']:.0%}, previews {made['preview_share']:.1%} of the steps, "
            f"pictures alike to {made['psnr_db']} dB"
        )
    click = figures["click"]
    lines.append(f"click to first preview, warm: {click['to_first_preview']:.3f} s, one step {click['step']:.3f} s")
    return lines
