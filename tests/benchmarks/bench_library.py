"""`python tests/benchmarks/bench_library.py`: whether browsing 10,000 artifacts slows a running job.

The page's own Studio with its worker; the same job alone and beside five searches a second, A B A B; medians.
"""

import random
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from studio.library.database import Database
from studio.library.library import Library
from studio.library.query import Query
from studio.settings import Settings
from studio.studio import Studio
from studio.types import JobState, Request
from tests.library.test_scale import COUNT, THINGS, _add

ROUNDS = 7
SEARCHES = 5  # a second: faster than anybody types


def fill(settings: Settings) -> None:
    Library(settings.home / "library.sqlite", settings.home / "files", settings.cache).close()
    database, chance = Database(settings.home / "library.sqlite"), random.Random(7)
    with database.writing() as connection:
        for n in range(COUNT):
            _add(connection, n, chance)
    database.close()


def seconds_of_a_job(studio: Studio, seed: int) -> float:
    """What the worker took for four takes, without loading."""
    params = {"num_images_per_prompt": 4, "num_inference_steps": 50}
    model = studio.catalog.default("text_to_image").id
    request = Request(task="text_to_image", model=model, prompt="a fox", seed=seed, params=params)
    job = studio.wait(studio.submit(request, panel="api").id)
    assert job.state is JobState.done, job.error
    return sum(float(str(take.meta["seconds"])) for take in studio.library.outputs(job.id))


@contextmanager
def browsing(studio: Studio) -> Iterator[list[int]]:
    """Searches, filters and pages of the library from another thread while open; counts them."""
    ended, found, chance = threading.Event(), [0], random.Random(1)

    def browse() -> None:
        while not ended.wait(1 / SEARCHES):
            studio.library.find(Query(text=chance.choice(THINGS), offset=chance.randrange(0, 200, 50)))
            found[0] += 1

    thread = threading.Thread(target=browse)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def main() -> None:
    alone, beside, searches = [], [], 0
    with tempfile.TemporaryDirectory() as place:
        settings = Settings.load({"home": place})
        fill(settings)
        studio = Studio(settings)
        try:
            seconds_of_a_job(studio, 0)  # loads the model
            for round in range(ROUNDS):
                alone.append(seconds_of_a_job(studio, round))
                with browsing(studio) as found:
                    beside.append(seconds_of_a_job(studio, round))
                searches += found[0]
        finally:
            studio.close()
    a, b = statistics.median(alone), statistics.median(beside)
    print(f"alone {a:.2f} s, beside {searches} searches {b:.2f} s: {b / a:.2f} times as long")
    print("alone ", *(f"{s:.2f}" for s in alone))
    print("beside", *(f"{s:.2f}" for s in beside))


if __name__ == "__main__":
    main()
