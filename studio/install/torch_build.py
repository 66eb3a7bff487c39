"""Which build of torch a machine needs. Pure: it looks at no machine and installs nothing.

`studio.engine.probe` looks at the machine; `studio.install.environment` installs.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

TORCH_INDEX = "https://download.pytorch.org/whl"  # torch's own package index; one folder a build
CUDA_BUILDS = (
    ("cu130", (13, 0), (7, 5)),
    ("cu126", (12, 0), (5, 0)),
)  # build, oldest driver's CUDA, oldest card
ROCM_BUILD = "rocm7.2"


class Source(NamedTuple):
    """One place to take torch from: no index_url means pip's own set-up (PyPI, a mirror, a folder)."""

    requirement: str
    index_url: str | None
    with_deps: bool  # False: torch's pure Python needs come with the other packages, pinned


class TorchBuild(NamedTuple):
    label: str
    reason: str
    sources: tuple[Source, ...]  # tried in order


class Hardware(NamedTuple):
    system: str  # as platform.system() says: Linux, Windows, Darwin
    machine: str  # x86_64, AMD64, arm64, aarch64
    cuda: tuple[int, int] | None = None  # newest CUDA that the NVIDIA driver speaks
    card: tuple[int, int] | None = None  # compute capability of the oldest NVIDIA card
    rocm: bool = False


def choose_torch(hardware: Hardware, version: str, override: Mapping[str, str] | None = None) -> TorchBuild:
    """The build of torch for this hardware; without sources where there is none."""
    override = override or {}
    wanted, index = override.get("STUDIO_TORCH", ""), override.get("STUDIO_TORCH_INDEX")
    is_label = re.fullmatch(r"cpu|cu\d+|rocm[\d.]+|xpu", wanted) is not None
    if index or (wanted and not is_label):
        requirement = f"torch=={version}" if is_label or not wanted else wanted
        return TorchBuild("custom", "STUDIO_TORCH or STUDIO_TORCH_INDEX says so", (Source(requirement, index, True),))
    if wanted:
        return _build(wanted, "STUDIO_TORCH says so", hardware, version)
    if hardware.system == "Darwin":
        if hardware.machine != "arm64":
            return TorchBuild("none", f"torch {version} does not exist for Intel Macs (the last was 2.2)", ())
        return TorchBuild("mps", "Apple silicon", (Source(f"torch=={version}", None, False),))
    if hardware.cuda is not None:
        return _cuda_build(hardware, hardware.cuda, version)
    if hardware.rocm and hardware.system == "Linux" and hardware.machine == "x86_64":
        return _build(ROCM_BUILD, "AMD card with ROCm", hardware, version)
    return _build("cpu", "no graphics card that torch can use", hardware, version)


def _cuda_build(hardware: Hardware, cuda: tuple[int, int], version: str) -> TorchBuild:
    card = hardware.card
    for label, driver_needed, oldest_card in CUDA_BUILDS:
        if cuda >= driver_needed and (card is None or card >= oldest_card):
            too_new = label == "cu126" and card is not None and card >= (10, 0)
            if not too_new:  # Blackwell and later run on CUDA 12.8 and up alone
                reason = f"NVIDIA driver for CUDA {cuda[0]}.{cuda[1]}"
                return _build(label, reason, hardware, version)
    reason = f"the NVIDIA driver (CUDA {cuda[0]}.{cuda[1]}) and card {card} fit no build: update the driver"
    return _build("cpu", reason, hardware, version)


def _build(label: str, reason: str, hardware: Hardware, version: str) -> TorchBuild:
    """`torch==2.13.0+cpu` names the build itself, so no source can answer with gigabytes of another one."""
    exact, with_deps = f"torch=={version}+{label}", label != "cpu"
    sources = [Source(exact, None, with_deps), Source(exact, f"{TORCH_INDEX}/{label}", with_deps)]
    # PyPI has one build a platform: CUDA 13.0 for Linux (it needs its CUDA packages to load), else CPU.
    if (label == "cpu" and hardware.system != "Linux") or (label == "cu130" and hardware.system == "Linux"):
        sources.append(Source(f"torch=={version}", None, with_deps))
    return TorchBuild(label, reason, tuple(sources))


def parse_cuda(text: str) -> tuple[int, int] | None:
    """The CUDA version from what `nvidia-smi` prints; None when it names none."""
    found = re.search(r"CUDA (?:\w+ )?Version\s*:\s*(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def parse_driver(text: str) -> tuple[int, int] | None:
    """The CUDA version from /proc/driver/nvidia/version: drivers from 580 speak CUDA 13, from 525 CUDA 12."""
    found = re.search(r"Kernel Module.*?\s(\d{3,4})\.\d+", text)
    if not found:
        return None
    return (13, 0) if int(found[1]) >= 580 else (12, 0) if int(found[1]) >= 525 else (11, 0)


def parse_cards(text: str) -> tuple[int, int] | None:
    """The oldest compute capability from `nvidia-smi --query-gpu=compute_cap --format=csv,noheader`."""
    return min(((int(a), int(b)) for a, b in re.findall(r"^\s*(\d+)\.(\d+)\s*$", text, re.MULTILINE)), default=None)
