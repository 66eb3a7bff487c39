"""`bench music`: composing against `model.generate` on the same model with the same notes, in turn in one run; and how
long three takes of 16 bars need, composed and made sound, against how long they play.

Starts the process that does the work (music_sides.py) and reports; times nothing itself.
"""

import os
import statistics
from collections.abc import Callable
from pathlib import Path

from studio.bench.image import CORES, Side
from studio.engine.environment import worker_environment
from studio.settings import ASSETS, Settings
from studio.types import Json

SIDES = "studio.bench.music_sides"
BRIEFS = ("a hymn in G, 16 bars", "a waltz in D minor, 16 bars", "lo-fi in F, 16 bars")


def run(
    settings: Settings,
    *,
    quick: bool,
    model: Path | None = None,
    rounds: int = 3,
    tell: Callable[[str], None] = lambda text: None,
) -> Json:
    """Figures and a table in words. `quick`: one brief of four bars, one round, one thread."""
    briefs = ["a hymn in G, 4 bars"] if quick else list(BRIEFS)
    rounds = 1 if quick else rounds
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "KMP_", "OMP_"))}
    folder = model or ASSETS / "models" / "starter-music"
    threads = 1 if quick else CORES
    figures: Json = {"threads": threads, "dtype": "float32", "takes": 3, "rounds": rounds, "quick": quick, "briefs": []}
    with Side("music", worker_environment(plain, threads=threads), SIDES) as side:
        side.ask(do="load", folder=str(folder))
        for brief in briefs:
            tell(f"Measuring {brief}")
            seconds: dict[str, list[float]] = {"studio": [], "generate": []}
            same, tokens = True, 0
            for turn in range(rounds + 1):
                made = {who: side.ask(do="write", who=who, brief=brief) for who in seconds}
                same = same and made["studio"]["notes"] == made["generate"]["notes"]
                tokens = made["studio"]["tokens"]
                if turn:
                    for who, times in seconds.items():
                        times.append(made[who]["seconds"])
            middle = {who: statistics.median(times) for who, times in seconds.items()}
            whole = [side.ask(do="whole", brief=brief) for _ in range(rounds)]
            took = statistics.median(one["composed"] + one["rendered"] for one in whole)
            figures["briefs"].append(
                {
                    "brief": brief,
                    "same_notes": same,
                    "tokens_a_second": {who: round(tokens / time, 1) for who, time in middle.items()},
                    "ratio": round(middle["generate"] / middle["studio"], 2),
                    "seconds": {who: [round(time, 3) for time in times] for who, times in seconds.items()},
                    "composed": round(statistics.median(one["composed"] for one in whole), 3),
                    "rendered": round(statistics.median(one["rendered"] for one in whole), 3),
                    "plays": round(whole[0]["plays"], 1),
                    "share_of_playing_time": round(took / whole[0]["plays"], 4),
                }
            )
    figures["table"] = table(figures)
    return figures


def table(figures: Json) -> list[str]:
    lines = [f"{figures['threads']} threads, float32, 3 takes, medians of {figures['rounds']} rounds in turn"]
    for found in figures["briefs"]:
        pace = found["tokens_a_second"]
        lines.append(found["brief"])
        lines.append(f"  studio    {pace['studio']:9.1f} tokens/s")
        lines.append(f"  generate  {pace['generate']:9.1f} tokens/s, the same notes: {found['same_notes']}")
        lines.append(f"  ratio     {found['ratio']:9.2f}x")
        work, plays = found["composed"] + found["rendered"], found["plays"]
        lines.append(f"  composed in {found['composed']:.2f} s, made sound in {found['rendered']:.2f} s: {work:.2f} s")
        lines.append(f"  of {plays:.1f} s that they play: {found['share_of_playing_time']:.1%}")
    return lines
