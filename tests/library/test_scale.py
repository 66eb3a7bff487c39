"""Ten thousand artifacts: every search, filter and page stays quick."""

import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.library import rows
from studio.library.database import Database
from studio.library.library import Library
from studio.library.query import Query
from studio.types import Job, JobState, Request

COUNT = 10_000
THINGS = "fox owl castle river lighthouse forest harbour glacier piano robot teapot violin market train".split()
PLACES = "snow rain desert city meadow cave library beach space garden kitchen mountain".split()
STYLES = "oil watercolour photograph pixel engraving pastel ink".split()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scale")


@pytest.fixture(scope="module")
def library(home: Path) -> Iterator[Library]:
    library = Library(home / "library.sqlite", home / "files", home / "cache")
    database = Database(home / "library.sqlite")
    chance = random.Random(7)
    with database.writing() as connection:
        for n in range(COUNT):
            _add(connection, n, chance)
    database.close()
    yield library
    library.close()


def _add(connection: object, n: int, chance: random.Random) -> None:
    """One row in the way that `keep` writes it; its file is not needed here."""
    words = [chance.choice(group) for group in (THINGS, PLACES, STYLES)] + [f"number{n}"]
    prompt = f"a {' '.join(words)} in the evening light, highly detailed, " * 2
    sha256 = f"{n:064x}"
    if n % 4 == 0:
        model = chance.choice(("starter-image", "big-image", "other"))
        request = Request(task="text-to-image", model=model, prompt=prompt, parent=f"{n - 4:064x}" if n % 40 else None)
        job = Job(id=f"job{n // 4}", request=request, state=JobState.done, created=float(n), panel="image")
        rows.add_job(connection, job)  # type: ignore[arg-type]
    new = rows.NewArtifact(
        sha256=sha256,
        media_type="image/png" if n % 10 else "audio/wav",
        file=f"{sha256[:2]}/{sha256}.png",
        size=1000,
        created=float(chance.randrange(COUNT)),
        job=f"job{n // 4}",
        index=n % 4,
        meta={"prompt": prompt, "seed": n, "negative_prompt": "blurry, ugly", "padding": "x" * 500},
    )
    rows.add_artifact(connection, new)  # type: ignore[arg-type]
    if n % 7 == 0:
        rows.set_tags(connection, sha256, [f"tag {n % 5}", "kept"])  # type: ignore[arg-type]
    if n % 9 == 0:
        connection.execute("UPDATE artifacts SET starred = 1 WHERE sha256 = ?", (sha256,))  # type: ignore[attr-defined]


def queries() -> list[Query]:
    chance = random.Random(3)
    texts = [
        "",
        "a",
        "fox",
        "ow",
        "fox snow",
        "number77",
        "oil castle beach",
        "evening light detailed",
        "zebra",
        "blurry",
    ]
    every = [Query(text=t, offset=o) for t in texts for o in (0, 300)]
    every += [Query(sort=s, offset=o) for s in ("newest", "oldest", "starred") for o in (0, 5_000, 9_900)]
    every += [
        Query(media=("audio",)),
        Query(media=("image/png",), offset=8_000),
        Query(starred=True, offset=900),
    ]
    every += [Query(tags=("kept",), offset=1_000), Query(tags=("tag 0", "kept")), Query(trashed=True)]
    every += [Query(model=m, text=t) for m in ("starter-image", "other") for t in ("", "river")]
    every += [
        Query(after=2_000.0, before=3_000.0, task="text-to-image"),
        Query(task="none"),
        Query(before=100.0),
    ]
    every += [
        Query(text=chance.choice(THINGS), media=("image",), starred=True, tags=("kept",), sort=sort)
        for sort in ("newest", "oldest", "starred")
    ]
    every += [Query(text=f"{chance.choice(PLACES)} {chance.choice(STYLES)[:2]}", model="big-image") for _ in range(6)]
    return every


def test_find_stays_quick(library: Library) -> None:
    every = queries()
    assert len(every) >= 50
    took: list[float] = []
    totals: list[int] = []
    for query in every:
        started = time.perf_counter()
        page = library.find(query)
        took.append(time.perf_counter() - started)
        totals.append(page.total)
        assert len(page.items) == min(100, max(0, page.total - query.offset))
    assert max(totals) == COUNT and 0 in totals and len(set(totals)) > 15
    assert statistics.median(took) < 0.1
    assert max(took) < 0.2, every[took.index(max(took))]


def test_the_other_calls_of_a_page_stay_quick(library: Library) -> None:
    took: dict[str, float] = {}
    for name, call in {
        "session": lambda: library.session("image"),
        "prompts": lambda: library.prompts("image"),
        "jobs": lambda: library.jobs(limit=100),
        "queue": lambda: library.jobs(states=("queued",), newest=False),
        "outputs": lambda: library.outputs("job1234"),
        "tags": library.tags,
        "lineage": lambda: library.lineage(f"{5_000:064x}"),
        "star": lambda: library.star(f"{5_000:064x}", True),
    }.items():
        started = time.perf_counter()
        found = call()
        took[name] = time.perf_counter() - started
        assert found is None or name == "queue" or len(getattr(found, "nodes", found)) > 0
    assert max(took.values()) < 0.2, took


def test_opening_is_quick(library: Library, home: Path) -> None:
    started = time.perf_counter()
    again = Library(home / "library.sqlite", home / "files", home / "cache")
    assert again.find(Query(limit=1)).total == COUNT
    assert time.perf_counter() - started < 0.5
    again.close()
