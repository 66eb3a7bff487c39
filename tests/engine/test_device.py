"""Which device is chosen and how, for machines that are not here; and what this one really says."""

import dataclasses
from pathlib import Path

import pytest

from studio.engine.device import Probe, choose
from studio.engine.environment import oom_count, usable_cores, worker_environment
from studio.errors import InvalidInput

GIB = 2**30
AMX = Probe(cpu="Xeon", cpu_features=("amx", "avx512_bf16"), memory=16 * GIB, threads=2)
LAPTOP = Probe(cpu="Core i5", memory=8 * GIB, threads=4)
RTX = Probe(
    cuda="NVIDIA GeForce RTX 4090",
    cuda_capability=(8, 9),
    cuda_bf16=True,
    cuda_free=23 * GIB,
    memory=64 * GIB,
    threads=8,
)
GTX_1660 = Probe(cuda="NVIDIA GeForce GTX 1660 SUPER", cuda_capability=(7, 5), cuda_free=5 * GIB)
RTX_2080 = Probe(cuda="NVIDIA GeForce RTX 2080", cuda_capability=(7, 5), cuda_bf16=True, cuda_free=7 * GIB)
MAC = Probe(cpu="Apple M3", mps=True, mps_bf16=True, mps_memory=12 * GIB, memory=9 * GIB, threads=8)


@pytest.mark.parametrize(
    ("facts", "asked", "kind", "dtype"),
    [
        (AMX, "auto", "cpu", "bfloat16"),
        (dataclasses.replace(AMX, cpu_features=("avx512_bf16",)), "auto", "cpu", "bfloat16"),
        (LAPTOP, "auto", "cpu", "float32"),
        (LAPTOP, "cpu", "cpu", "float32"),
        (RTX, "auto", "cuda", "bfloat16"),
        (RTX, "cuda", "cuda", "bfloat16"),
        (RTX, "cpu", "cpu", "float32"),
        (RTX_2080, "auto", "cuda", "float16"),
        (GTX_1660, "auto", "cuda", "float32"),
        (MAC, "auto", "mps", "bfloat16"),
        (dataclasses.replace(MAC, mps_bf16=False), "mps", "mps", "float16"),
    ],
)
def test_choice(facts: Probe, asked: str, kind: str, dtype: str) -> None:
    device = choose(asked, facts)
    assert (device.kind, device.dtype, device.threads) == (kind, dtype, facts.threads)
    assert device.channels_last == (kind == "cpu")


@pytest.mark.parametrize(("facts", "asked"), [(LAPTOP, "cuda"), (LAPTOP, "mps"), (RTX, "mps"), (MAC, "cuda")])
def test_what_is_asked_for_but_not_there(facts: Probe, asked: str) -> None:
    with pytest.raises(InvalidInput) as told:
        choose(asked, facts)
    assert repr(asked) in told.value.message and "--device" in told.value.hint and told.value.field == "device"


def test_memory_is_what_is_free_and_may_be_limited() -> None:
    assert choose("auto", RTX).memory == 23 * GIB
    assert choose("auto", RTX, limit=4 * GIB).memory == 4 * GIB
    assert choose("cpu", LAPTOP, limit=100 * GIB).memory == 8 * GIB
    assert choose("auto", MAC).memory == 9 * GIB, "unified memory: what is free, not what Metal would allow"


def test_features_are_told() -> None:
    assert choose("auto", AMX).features == ("amx", "avx512_bf16")
    assert choose("auto", RTX).features == ()


def test_the_environment_on_glibc() -> None:
    made = worker_environment({"PATH": "/bin"}, threads=4, memory_limit=GIB, system="linux", glibc=True)
    assert made["PATH"] == "/bin" and made["OMP_NUM_THREADS"] == "4" and made["STUDIO_MEMORY_LIMIT"] == str(GIB)
    assert made["MALLOC_MMAP_THRESHOLD_"] == "8589934592" and made["MALLOC_TRIM_THRESHOLD_"] == "17179869184"
    assert made["GOMP_SPINCOUNT"] == "20000"
    assert made["HF_HUB_OFFLINE"] == made["TRANSFORMERS_OFFLINE"] == made["HF_HUB_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize(("system", "glibc"), [("linux", False), ("darwin", False), ("win32", False)])
def test_the_environment_elsewhere(system: str, glibc: bool) -> None:
    made = worker_environment({}, threads=4, system=system, glibc=glibc)
    assert not any(name.startswith("MALLOC_") for name in made)
    assert ("KMP_AFFINITY" in made) == (system != "darwin")
    assert ("GOMP_SPINCOUNT" in made) == (system == "linux")
    assert "STUDIO_MEMORY_LIMIT" not in made
    assert "HF_TOKEN" not in worker_environment({"HF_TOKEN": "hf_x"}, threads=1), "it asks no hub"


def test_a_person_s_own_threads_win_and_being_offline_does_not_bend() -> None:
    made = worker_environment({"OMP_NUM_THREADS": "3", "HF_HUB_OFFLINE": "0"}, threads=8)
    assert made["OMP_NUM_THREADS"] == "3" and made["HF_HUB_OFFLINE"] == "1"


def test_the_package_is_found_from_any_folder() -> None:
    made = worker_environment({"PYTHONPATH": "/mine"}, threads=1)
    first, second = made["PYTHONPATH"].split(":" if Path("/").anchor == "/" else ";")
    assert (Path(first) / "studio" / "engine" / "worker.py").is_file() and second == "/mine"


def test_the_kernel_s_counter() -> None:
    assert oom_count(["low 0", "oom 2", "oom_kill 3", "oom_group_kill 1"]) == 3
    assert oom_count(["nr_free_pages 5"]) is None


def test_this_machine_has_cores() -> None:
    assert 1 <= usable_cores() <= 4096
