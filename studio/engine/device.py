"""Which device the worker uses and how: CUDA, then MPS, then CPU; dtype, threads, memory. Worker side;
knows no model.

`probe` asks torch and the system, `choose` decides from what they said and is pure, `prepare` sets torch
up accordingly.
"""

import ctypes
import gc
import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.engine.environment import memory_left, usable_cores
from studio.engine.exits import refusal
from studio.settings import parse_bytes
from studio.types import Device


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What torch and the system say about the machine."""

    torch: bool = True
    cuda: str = ""  # the first card's name; "" without CUDA or ROCm
    cuda_capability: tuple[int, int] = (0, 0)
    cuda_bf16: bool = False  # in hardware, not emulated
    cuda_free: int = 0  # bytes
    mps: bool = False
    mps_bf16: bool = False
    mps_memory: int = 0  # bytes that Metal recommends to stay within
    cpu: str = "CPU"
    cpu_features: tuple[str, ...] = ()  # amx, avx512_bf16
    memory: int = 0  # bytes of RAM that are available now
    threads: int = 1
    versions: Mapping[str, str] = field(default_factory=dict)


def choose(asked: str, probe: Probe, limit: int | None = None) -> Device:
    """The device for these facts. InvalidInput when `asked` is not there. `limit` in bytes makes a device
    smaller.
    """
    present = tuple(kind for kind, there in (("cuda", probe.cuda), ("mps", probe.mps), ("cpu", True)) if there)
    kind = present[0] if asked == "auto" else asked
    if kind not in present:
        raise refusal(asked, present)

    def smaller(memory: int) -> int:
        return min(memory, limit) if limit else memory

    if kind == "cuda":
        return Device(
            kind="cuda",
            name=probe.cuda,
            dtype=cuda_dtype(probe),
            memory=smaller(probe.cuda_free),
            threads=probe.threads,
        )
    if kind == "mps":
        memory = min(m for m in (probe.mps_memory, probe.memory) if m) if probe.mps_memory or probe.memory else 0
        return Device(
            kind="mps",
            name=probe.cpu,
            dtype="bfloat16" if probe.mps_bf16 else "float16",
            memory=smaller(memory),
            threads=probe.threads,
        )
    # without the instructions bfloat16 is emulated, and slower than float32
    dtype = "bfloat16" if {"amx", "avx512_bf16"} & set(probe.cpu_features) else "float32"
    return Device(
        kind="cpu",
        name=probe.cpu,
        dtype=dtype,
        memory=smaller(probe.memory),
        threads=probe.threads,
        channels_last=True,
        features=probe.cpu_features,
    )


def cuda_dtype(probe: Probe) -> str:
    if probe.cuda_bf16 and probe.cuda_capability >= (8, 0):
        return "bfloat16"
    if "GTX 16" in probe.cuda:  # these cards give NaN in half precision
        return "float32"
    return "float16"


def probe() -> Probe:
    """The facts of this machine. Imports torch where it is installed; a broken installation raises what
    torch raises.
    """
    memory = available_memory()
    threads = int(os.environ.get("OMP_NUM_THREADS", "0") or 0) or usable_cores()
    if importlib.util.find_spec("torch") is None:
        return Probe(
            torch=False,
            cpu=processor(),
            memory=memory,
            threads=threads,
            versions={"python": platform.python_version()},
        )
    import torch

    cuda = torch.cuda.is_available()
    mps = torch.backends.mps.is_available()
    return Probe(
        cuda=torch.cuda.get_device_name(0) if cuda else "",
        cuda_capability=torch.cuda.get_device_capability(0) if cuda else (0, 0),
        cuda_bf16=cuda and torch.cuda.is_bf16_supported(including_emulation=False),
        cuda_free=torch.cuda.mem_get_info(0)[0] if cuda else 0,
        mps=mps,
        mps_bf16=mps and torch.backends.mps.is_macos_or_newer(14, 0),
        mps_memory=torch.mps.recommended_max_memory() if mps else 0,
        cpu=processor(),
        cpu_features=cpu_features(),
        memory=memory,
        threads=threads,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            **installed("diffusers", "transformers", "peft"),
        },
    )


def prepare(device: Device) -> None:
    """Sets torch up for inference on this device; nothing without torch."""
    if sys.modules.get("torch") is None:
        return
    import torch

    torch.set_num_threads(device.threads)
    torch.set_flush_denormal(True)
    if device.kind == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
        total = torch.cuda.get_device_properties(0).total_memory
        if limit := memory_limit():
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))


def release_memory() -> None:
    """Gives back what dropped models held: caches of the device, and the C heap, which the allocator
    settings keep.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        elif torch.backends.mps.is_available():
            torch.mps.empty_cache()
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own; musl has none
        if trim is not None:
            trim(0)


def memory_limit() -> int | None:
    """Bytes of STUDIO_MEMORY_LIMIT ("8G", or a number), which makes a device smaller than it is."""
    return parse_bytes(os.environ.get("STUDIO_MEMORY_LIMIT") or "0") or None


def available_memory() -> int:
    """Bytes of RAM that new work may take, inside a container within its limit; 0 when nothing tells."""
    import psutil

    left = memory_left()
    available = psutil.virtual_memory().available
    return min(available, left) if left is not None else available


def cpu_features() -> tuple[str, ...]:
    """The bf16 instructions that torch sees. The two questions are private to torch, so their absence is
    an answer.
    """
    import torch

    asked = {"amx": "_is_amx_tile_supported", "avx512_bf16": "_is_avx512_bf16_supported"}
    return tuple(name for name, question in asked.items() if getattr(torch.cpu, question, bool)())


def processor() -> str:
    """The processor's trade name, where the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "CPU"


def installed(*names: str) -> dict[str, str]:
    """Versions of packages, without importing them."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
