"""The worker's environment, which must be set before its process starts: allocator, threads, offline hubs.
No torch here.
"""

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

# glibc gives large blocks back to the kernel after every operation, and page faults then dominate; keep them
# instead
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(8 * 2**30),
    "MALLOC_TRIM_THRESHOLD_": str(16 * 2**30),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
}
SECRETS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")  # the worker asks no hub, so it need not know them
HUB = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def worker_environment(
    inherited: Mapping[str, str],
    *,
    threads: int,
    memory_limit: int | None = None,
    system: str = sys.platform,
    glibc: bool | None = None,
) -> dict[str, str]:
    """What the worker's process starts with. What the person has set for threads or allocator wins; the
    rest is ours.
    """
    glibc = platform.libc_ver()[0] == "glibc" if glibc is None else glibc
    wished = {"OMP_NUM_THREADS": str(threads)}
    if system.startswith("linux") and glibc:
        wished |= ALLOCATOR
    if system.startswith("linux") and "OMP_WAIT_POLICY" not in inherited:
        # GNU OpenMP's threads spin for their next piece of work, and against each other as soon as a browser wants a
        # core. On 2 cores of a Xeon with AMX the starter's U-Net step took 78 ms with 1,000 turns of it, 61 to 64 with
        # 10,000 to 30,000, 58 with the usual 300,000; beside one busy core 121, 176 to 269, and 1,130
        wished["GOMP_SPINCOUNT"] = "20000"
    if system != "darwin":  # the same, for Intel's OpenMP
        wished |= {"KMP_BLOCKTIME": "1", "KMP_AFFINITY": "granularity=fine,compact,1,0"}
    else:
        wished |= {"PYTORCH_ENABLE_MPS_FALLBACK": "1"}
    path = os.pathsep.join(part for part in (str(ROOT), inherited.get("PYTHONPATH", "")) if part)
    ours = {**HUB, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONPATH": path}
    if memory_limit:
        ours["STUDIO_MEMORY_LIMIT"] = str(memory_limit)
    kept = {name: value for name, value in inherited.items() if name not in SECRETS}
    return {**wished, **kept, **ours}


def usable_cores() -> int:
    """Physical cores that this process may use: affinity, hyperthread siblings counted once, container
    quota.
    """
    logical = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    groups = {siblings(cpu) for cpu in logical}
    # two virtual processors of one core: virtual machines often claim that, and two threads then still help
    cores = max(len(groups), min(2, len(logical)))
    quota = cpu_quota()
    return max(1, min(cores, round(quota)) if quota else cores)


def siblings(cpu: int) -> str:
    """A name for the physical core of one logical processor; where it is not told, each is its own."""
    try:
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text("ascii").strip()
    except OSError:
        return str(cpu)


def cpu_quota() -> float | None:
    """Processors that a container may use (cgroup v2), or None without a limit."""
    folder = cgroup()
    try:
        limit, period = (folder / "cpu.max").read_text("ascii").split() if folder else ("max", "1")
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        return None


def oom_kills() -> int | None:
    """How many processes of this control group the kernel has ended for memory, ever; None where it is not
    told.
    """
    folder = cgroup()
    try:
        events = (folder / "memory.events").read_text("ascii") if folder else ""
        if not events:
            events = Path("/proc/vmstat").read_text("ascii")
    except OSError:
        return None
    return oom_count(events.splitlines())


def oom_count(lines: Iterable[str]) -> int | None:
    for line in lines:
        if found := re.fullmatch(r"oom_kill (\d+)", line.strip()):
            return int(found[1])
    return None


def memory_left() -> int | None:
    """Bytes until the control group's own limit, or None without one."""
    folder = cgroup()
    try:
        limit = (folder / "memory.max").read_text("ascii").strip() if folder else "max"
        return (
            None
            if limit == "max" or folder is None
            else int(limit) - int((folder / "memory.current").read_text("ascii"))
        )
    except (OSError, ValueError):
        return None


def cgroup() -> Path | None:
    """The folder of this process's control group (v2), or None."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return None
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    if path is None:
        return None
    folder = Path("/sys/fs/cgroup") / path.lstrip("/")
    return folder if (folder / "cgroup.controllers").exists() else None
