"""Looks at the machine for what decides on torch's build: NVIDIA's driver and cards, ROCm, the system.

Asks NVIDIA's tool in a child process, or else the driver's library or /proc; decides nothing itself.
"""

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from studio.install.torch_build import Hardware, parse_cards, parse_cuda, parse_driver


def detect_hardware() -> Hardware:
    smi = shutil.which("nvidia-smi")
    cuda = parse_cuda(_output([smi])) if smi else None
    card = parse_cards(_output([smi, "--query-gpu=compute_cap", "--format=csv,noheader"])) if smi else None
    driver = Path("/proc/driver/nvidia/version")
    if cuda is None:
        cuda = _cuda_of_library() or (parse_driver(driver.read_text("utf-8", "replace")) if driver.exists() else None)
    rocm = Path("/dev/kfd").exists() and (Path("/opt/rocm").exists() or shutil.which("rocminfo") is not None)
    return Hardware(platform.system(), platform.machine(), cuda, card, rocm)


def _output(command: Sequence[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, text=True, errors="replace").stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _cuda_of_library() -> tuple[int, int] | None:
    """Asks the driver's own library, for machines (containers) with the driver but without nvidia-smi."""
    version = ctypes.c_int(0)
    try:
        library = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
        answer = library.cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    return (version.value // 1000, version.value % 1000 // 10) if answer == 0 and version.value else None
