"""The worker as it is in life, with torch: what it reports, and memory that torch itself refuses."""

from collections.abc import Callable

from studio.engine.engine import Engine
from tests.engine.listen import Heard, toy


def test_ready_says_what_torch_says(make_engine: Callable[..., Engine], heard: Heard) -> None:
    engine = make_engine(environment={}, memory_limit=2**30)
    engine.warm()
    ready = heard.ready()
    assert engine.device is not None
    assert (engine.device.kind, engine.device.memory) == ("cpu", 2**30)
    assert engine.device.dtype == ("bfloat16" if engine.device.features else "float32")
    assert {"python", "torch", "diffusers", "transformers"} <= set(ready.versions) == set(engine.versions)
    engine.submit(toy("a", "torch_says"))
    meta = heard.meta("a")
    assert meta == {
        "threads": engine.device.threads,
        "flush": True,
        "OMP_NUM_THREADS": str(engine.device.threads),
        "HF_HUB_OFFLINE": "1",
    }
    engine.submit(toy("b", "torch_too_much"))
    finished = heard.finished("b")
    assert finished.error.startswith("The work does not fit into the memory of ") and finished.leaving
    assert finished.hint.startswith("Make fewer variations")
