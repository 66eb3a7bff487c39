"""What a safetensors file says of itself in its first bytes: names, shapes, precisions. Its weights are not read."""

import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import ModelError

LARGEST = 100_000_000  # bytes of a header; the format's own limit
BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "U16": 2, "U32": 4,
    "U64": 8, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Tensor:
    precision: str  # F16, BF16 ...
    shape: tuple[int, ...]

    @property
    def parameters(self) -> int:
        count = 1
        for side in self.shape:
            count *= side
        return count


@dataclass(frozen=True, kw_only=True)
class Header:
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(tensor.parameters for tensor in self.tensors.values())


def read_header(file: Path) -> Header:
    """ModelError when it is no safetensors file, damaged, or shorter than it says."""
    try:
        size = file.stat().st_size
        with file.open("rb") as source:
            return parse_header(lambda count: source.read(count), size, file.name)
    except OSError as error:
        raise ModelError(f"{file.name!r} cannot be read: {error.strerror}.", "Check the file.") from error


def parse_header(read: Callable[[int], bytes], size: int, name: str) -> Header:
    """Of a file of `size` bytes whose next bytes `read` gives. ModelError."""
    damaged = ModelError(f"{name!r} is no whole safetensors file.", "Download it again, then import it.")
    try:
        (length,) = struct.unpack("<Q", read(8))
        if length > min(LARGEST, size):
            raise damaged
        plain = json.loads(read(length))
    except (struct.error, ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(plain, dict):
        raise damaged
    metadata = plain.pop("__metadata__", {})
    tensors: dict[str, Tensor] = {}
    end = 0
    for name, told in plain.items():
        try:
            shape = tuple(int(side) for side in told["shape"])
            first, last = (int(offset) for offset in told["data_offsets"])
            tensors[name] = Tensor(precision=str(told["dtype"]), shape=shape)
        except (KeyError, TypeError, ValueError) as error:
            raise damaged from error
        if not 0 <= first <= last or any(side < 0 for side in shape):
            raise damaged
        end = max(end, last)
    if 8 + length + end > size:
        raise damaged
    kept = {str(k): str(v) for k, v in metadata.items()} if isinstance(metadata, dict) else {}
    return Header(tensors=tensors, metadata=kept)
