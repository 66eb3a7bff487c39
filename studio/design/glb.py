"""The container of binary glTF: what is ours in it, taken out and put in without looking at any geometry."""

import json
import struct
from collections.abc import Mapping
from typing import Any

from studio.errors import InvalidInput
from studio.marks import SOURCE_TYPE

OWN = "atelier"  # the key of what is ours in `asset.extras`
_JSON, _BIN = 0x4E4F534A, 0x004E4942


def packed(plain: Mapping[str, Any], binary: bytes) -> bytes:
    """A GLB of its JSON and of its binary chunk, whose length is a multiple of four."""
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), _JSON) + text + struct.pack("<II", len(binary), _BIN) + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


def unpacked(data: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    """JSON and binary chunk. InvalidInput when it is no GLB."""
    try:
        magic, _, _, length, kind = struct.unpack_from("<4sIIII", data)
        if magic != b"glTF" or kind != _JSON:
            raise ValueError("it does not begin as one")
        plain = json.loads(data[20 : 20 + length])
        rest = data[20 + length :]
        binary = rest[8 : 8 + struct.unpack_from("<I", rest)[0]] if len(rest) >= 8 else b""
    except (struct.error, ValueError, RecursionError) as error:
        raise InvalidInput(f"{name} is no binary glTF file: {str(error)[:80]}.", "Give a .glb file.") from error
    if not isinstance(plain, dict):
        raise InvalidInput(f"{name} is no binary glTF file.", "Give a .glb file.")
    return plain, binary


def about_inside(data: bytes, name: str = "The file") -> dict[str, Any]:
    """What `mesh_files.glb_of` and `with_about` wrote; {} in files of other programs. InvalidInput for no GLB."""
    plain, _ = unpacked(data, name)
    found = plain.get("asset", {}).get("extras", {})
    mine = found.get(OWN) if isinstance(found, dict) else None
    return mine if isinstance(mine, dict) else {}


def with_about(data: bytes, more: Mapping[str, Any]) -> bytes:
    """The same GLB that says more about itself."""
    plain, binary = unpacked(data, "The file")
    extras = plain.setdefault("asset", {"version": "2.0"}).setdefault("extras", {})
    extras[OWN] = {**about_inside(data), **more}
    if "record" in more:
        extras["digitalSourceType"] = SOURCE_TYPE
    return packed(plain, binary)


def picture_inside(data: bytes) -> bytes:
    """The PNG of the thumbnail; b"" where there is none."""
    plain, binary = unpacked(data, "The file")
    for image in plain.get("images", ()):
        if image.get("name") == "thumbnail" and "bufferView" in image:
            view = plain["bufferViews"][image["bufferView"]]
            start = view.get("byteOffset", 0)
            return binary[start : start + view["byteLength"]]
    return b""
