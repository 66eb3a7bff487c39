"""`bench musicgen`: the studio's MusicGen against transformers' own `generate` on the same weights, in turn in one run.

Starts the process that does the work (musicgen_sides.py) and reports; times nothing itself.
"""

import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from studio.bench.image import CORES, Side
from studio.engine.environment import worker_environment
from studio.settings import Settings
from studio.types import Json

SIDES = "studio.bench.musicgen_sides"
# name -> (who, takes): what is timed, in this order in every round
WORK: Mapping[str, tuple[str, int]] = {
    "studio, 1 take": ("studio", 1),
    "generate, 1 take": ("generate", 1),
    "studio, 4 takes": ("studio", 4),
    "generate, 4 calls": ("generate_apart", 4),
    "generate, 4 in one call": ("generate", 4),
}
RATIOS = {
    "1 take": ("studio, 1 take", "generate, 1 take"),
    "4 takes against 4 calls": ("studio, 4 takes", "generate, 4 calls"),
    "4 takes against one call": ("studio, 4 takes", "generate, 4 in one call"),
}


def run(
    settings: Settings,
    *,
    quick: bool,
    folder: Path | None = None,
    rounds: int = 3,
    tell: Callable[[str], None] = lambda text: None,
) -> Json:
    """Figures and a table in words. `quick`: an eighth of MusicGen small's layers, few codes.

    `folder`: another model than one of facebook/musicgen-small's shape with random weights, which is built at the
    first run.
    """
    built = settings.cache / "bench" / ("musicgen-quick-random" if quick else "musicgen-small-random")
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "KMP_", "OMP_"))}
    frames = 8 if quick else 16
    with Side("musicgen", worker_environment(plain, threads=CORES), SIDES) as side:
        if folder is None and not (built / "config.json").is_file():
            tell("Building a model of MusicGen small's shape")
            side.ask(do="build", folder=str(built), layers=3 if quick else 24)
        tell("Measuring MusicGen")
        figures = side.ask(do="load", folder=str(folder or built), frames=frames)
        seconds: dict[str, list[float]] = {name: [] for name in WORK}
        for turn in range(rounds + 1):  # the first is not counted
            for name, (who, takes) in WORK.items():
                took = side.ask(do="write", who=who, takes=takes)["seconds"]
                if turn:
                    seconds[name].append(took)
    middle = {name: statistics.median(times) for name, times in seconds.items()}
    figures |= {"threads": CORES, "rounds": rounds, "quick": quick, "frames": frames, "seconds": seconds}
    figures["ratios"] = {name: round(middle[theirs] / middle[ours], 2) for name, (ours, theirs) in RATIOS.items()}
    figures["table"] = table(figures, middle)
    return figures


def table(figures: Json, middle: Mapping[str, float]) -> list[str]:
    lines = [
        f"{figures['threads']} threads, float32, medians of {figures['rounds']} rounds in turn",
        f"MusicGen of {figures['parameters'] / 1e6:.0f} M weights, {figures['frames']} frames of 4 codes a take",
    ]
    for name, times in figures["seconds"].items():
        lines.append(f"  {name:26} {middle[name]:8.2f} s  ({min(times):.2f} to {max(times):.2f})")
    return lines + [f"  {name:40} {value:6.2f}x" for name, value in figures["ratios"].items()]
