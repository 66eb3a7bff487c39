"""`bench text`: tokens a second of the studio against `model.generate` as a person would write it, in turn in one run.

Starts the process that does the work (text_sides.py) and reports; times nothing itself.
"""

import os
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from studio.bench.image import CORES, Side
from studio.engine.environment import worker_environment
from studio.errors import NotFound
from studio.settings import ASSETS, Settings
from studio.types import Json

SIDES = "studio.bench.text_sides"
# name -> (who, drafts): what is timed of each model, in this order in every round
WORK: Mapping[str, tuple[str, int]] = {
    "studio, 4 drafts": ("studio", 4),
    "generate, 4 calls": ("generate_apart", 4),
    "generate, 4 in one call": ("generate", 4),
    "studio, 1 draft": ("studio", 1),
    "generate, 1 draft": ("generate", 1),
    "generate in bfloat16, 4 in one call": ("generate_bf16", 4),
    "generate in bfloat16, 1 draft": ("generate_bf16", 1),
    "studio in 8 bits, 4 drafts": ("studio8", 4),
    "studio in 8 bits, 1 draft": ("studio8", 1),
    "llama.cpp, 4 drafts": ("llama_cpp", 4),
    "llama.cpp, 1 draft": ("llama_cpp", 1),
}
RATIOS = {
    "4 drafts against 4 calls": ("studio, 4 drafts", "generate, 4 calls"),
    "4 drafts against one call": ("studio, 4 drafts", "generate, 4 in one call"),
    "1 draft": ("studio, 1 draft", "generate, 1 draft"),
    "4 drafts against one call in bfloat16": ("studio, 4 drafts", "generate in bfloat16, 4 in one call"),
    "1 draft against bfloat16": ("studio, 1 draft", "generate in bfloat16, 1 draft"),
    "1 draft in 8 bits": ("studio in 8 bits, 1 draft", "generate, 1 draft"),
    "4 drafts against llama.cpp": ("studio, 4 drafts", "llama.cpp, 4 drafts"),
    "1 draft against llama.cpp": ("studio, 1 draft", "llama.cpp, 1 draft"),
}


def run(
    settings: Settings,
    *,
    quick: bool,
    models: Mapping[str, Path] | None = None,
    rounds: int = 3,
    tell: Callable[[str], None] = lambda text: None,
) -> Json:
    """Figures by model, and a table in words. `quick`: few tokens, and a sixth of the 0.5 B model's layers.

    `models`: other folders than those of starter-text and of a Llama-type model of 0.5 B with random weights, which is
    built at the first run.
    """
    large = settings.cache / "bench" / ("llama-small-bf16" if quick else "llama-0.5b-bf16")
    folders = dict(models or {"starter-text": ASSETS / "models" / "starter-text", large.name: large})
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "KMP_", "OMP_"))}
    figures: Json = {"threads": CORES, "dtype": "float32", "quick": quick, "rounds": rounds, "models": {}}
    for name, folder in folders.items():
        tokens = (16, 32) if quick else (24, 64)
        asked = {"prompt": 64, "tokens": tokens[1] if name == "starter-text" else tokens[0]}
        with Side("text", worker_environment(plain, threads=CORES), SIDES) as side:
            if folder == large and not (folder / "config.json").is_file():
                tell(f"Building {name}")
                side.ask(do="build", folder=str(folder), layers=4 if quick else 24)
            if not (folder / "config.json").is_file():
                raise NotFound(f"There is no model at {folder}.", "Give the folder of a causal LM.")
            tell(f"Measuring {name}")
            figures["models"][name] = measure(side, folder, asked, rounds)
    figures["table"] = table(figures)
    return figures


def measure(side: Side, folder: Path, asked: Mapping[str, Any], rounds: int) -> Json:
    """A B C ... A B C ...: every work once in each round, after one that is not counted."""
    loaded = side.ask(do="load", folder=str(folder), **asked)
    work = {name: todo for name, todo in WORK.items() if todo[0] in loaded["able"]}
    found: Json = {**asked, **loaded, "seconds": {name: [] for name in work}}
    first: dict[str, list[float]] = {"studio": [], "forward": []}
    for turn in range(rounds + 1):
        for name, (who, drafts) in work.items():
            seconds = side.ask(do="write", who=who, drafts=drafts)["seconds"]
            if turn:
                found["seconds"][name].append(seconds)
        for who, known in first.items():
            known.append(side.ask(do="first", who=who)["seconds"])
    amount = {name: drafts * asked["tokens"] for name, (_, drafts) in work.items()}
    middle = {name: statistics.median(times) for name, times in found["seconds"].items()}
    found["tokens_a_second"] = {name: round(amount[name] / seconds, 2) for name, seconds in middle.items()}
    pace = found["tokens_a_second"]
    found["ratios"] = {
        name: round(pace[ours] / pace[theirs], 2) for name, (ours, theirs) in RATIOS.items() if theirs in pace
    }
    found["first_token"] = {who: round(statistics.median(times[1:]), 4) for who, times in first.items()}
    found["ratios"]["first token against a forward pass"] = round(
        found["first_token"]["studio"] / found["first_token"]["forward"], 2
    )
    found["bytes_a_second"] = round(statistics.median(side.ask(do="bandwidth")["bytes_a_second"] for _ in range(3)))
    each = found["bytes"] * pace["studio, 1 draft"]
    found["bandwidth_share"] = round(each / found["bytes_a_second"], 3)
    return found


def table(figures: Json) -> list[str]:
    lines = [f"{figures['threads']} threads, float32, medians of {figures['rounds']} rounds in turn"]
    for name, found in figures["models"].items():
        lines.append(f"{name}: {found['parameters'] / 1e6:.0f} M weights, {found['tokens']} new tokens each")
        for work, pace in found["tokens_a_second"].items():
            times = found["seconds"][work]
            lines.append(f"  {work:36} {pace:9.2f} tokens/s  ({min(times):.2f} to {max(times):.2f} s)")
        for ratio, value in found["ratios"].items():
            lines.append(f"  {ratio:40} {value:6.2f}x")
        share, speed = found["bandwidth_share"], found["bytes_a_second"] / 1e9
        lines.append(f"  memory bandwidth reached by one draft: {share:.0%} of {speed:.1f} GB/s at this size")
        lines.append(f"  llama.cpp: {found['llama_cpp']}")
    return lines
