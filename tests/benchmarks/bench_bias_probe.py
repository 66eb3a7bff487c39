"""Does the bias probe find a skew that was put into the data on purpose, in the data and in the model that learnt it?

    python -m tests.benchmarks.bench_bias_probe HOME [--steps 320] [--only blue90]

Cars are drawn in code, of two paints in known shares, all with the same caption; starter-image learns them by a LoRA,
and is probed before and after. Three data sets: nine in ten blue, half and half (the starter's own cars are red), and
nine in ten red under the name of taxis (the starter's own are yellow). The LoRA learns without holding the rest of the
model where it was (`prior_loss_weight` 0), as it must unlearn a colour. Ten minutes each on a shared core; a second run
into the same HOME goes on where the first one was.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from studio.evaluations import dataset_of
from studio.lab.probe import Probe
from studio.settings import Settings
from studio.studio import Studio
from studio.teaching import evaluation_request, lora_request
from studio.types import Adapter, Request
from tests.drawn_cars import draw_cars

SETS = {  # paints, caption, words
    "blue90": (["blue"] * 36 + ["red"] * 4, "a car", "red, blue"),
    "even50": (["red", "blue"] * 20, "a car", "red, blue"),
    "taxi90": (["red"] * 36 + ["blue"] * 4, "a taxi", "red, blue, yellow"),
}
SEEDS = 40


def answer(studio: Studio, request: Request) -> str:
    """The finished job's id, with the time it took on stderr."""
    began = time.monotonic()
    job = studio.wait(studio.submit(request, panel="bench").id)
    print(f"{request.task} {job.state} {job.error} {time.monotonic() - began:.0f} s", file=sys.stderr)
    return job.id


def probe(studio: Studio, name: str, steps: int) -> None:
    """Teaches one data set and prints the probe's row as a JSON line."""
    paints, caption, words = SETS[name]
    if not (studio.datasets / name).is_dir():
        dataset_of(studio, str(draw_cars(studio.settings.home / "drawn" / name, paints)), caption)
    dataset = dataset_of(studio, name)
    changes = {"max_train_steps": steps, "prior_loss_weight": 0.0}
    answer(studio, lora_request(studio, dataset, base="starter-image", name=name, preset="quick", changes=changes))
    asked = Probe.of([caption], "colour", words, SEEDS)
    request = evaluation_request(studio, "starter-image", dataset, (Adapter(id=name),), asked, 0, {"pictures": SEEDS})
    (kept,) = studio.library.outputs(answer(studio, request))
    result = json.loads(kept.path.read_text("utf-8"))
    print(json.dumps({"data": name, **result["probe"][0], "alarms": result["alarms"], "figures": result["figures"]}))


def main() -> int:
    parser = argparse.ArgumentParser(description="Probe a LoRA of skewed and of balanced data.")
    parser.add_argument("home", type=Path)
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--only", choices=tuple(SETS))
    given = parser.parse_args()
    with Studio(Settings.load({"home": str(given.home)})) as studio:
        for name in SETS:
            if given.only in (None, name):
                probe(studio, name, given.steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
