"""Meshes as files: GLB with provenance and a small picture inside, STL, 3MF and OBJ out; any of them in.

Within the program y is up and lengths are millimetres. glTF has y up and metres; the others have z up and millimetres,
as programs that slice expect. The same mesh gives the same bytes.
"""

import json
import struct
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from studio.design.glb import OWN, packed
from studio.design.meshes import Mesh, on_the_ground, volume
from studio.design.rendering import CLAY, vertex_normals
from studio.errors import InvalidInput

if TYPE_CHECKING:
    import trimesh

FORMATS = ("glb", "stl", "3mf", "obj")
MOST_BYTES, MOST_FACES = 256 * 2**20, 2_000_000
_DAY = (1980, 1, 1, 0, 0, 0)  # of a zip's entries: the same mesh, the same bytes
_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"


# --- out


def write_mesh(mesh: Mesh, kind: str, title: str = "", about: Mapping[str, Any] | None = None) -> bytes:
    """The file of one of FORMATS. `title` and `about` go where the format has a place for them."""
    if kind == "glb":
        return glb_of(mesh, about or {})
    if kind == "stl":
        return stl_of(mesh, title)
    said = json.dumps(about, ensure_ascii=False) if about else ""
    if kind == "3mf":
        return three_mf_of(mesh, title, said)
    if kind == "obj":
        return obj_of(mesh, title, said=said)
    raise InvalidInput(f"{kind!r} is no format for shapes.", f"Choose one of {', '.join(FORMATS)}.", field="format")


def _z_up(mesh: Mesh) -> NDArray[np.float32]:
    x, y, z = mesh.vertices.T
    return np.stack([x, -z, y], 1)


def stl_of(mesh: Mesh, title: str = "") -> bytes:
    """Binary STL."""
    corners = _z_up(mesh)[mesh.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    rows = np.zeros(len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
    rows["normal"] = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    rows["corners"] = corners
    head = ("Atelier " + title).encode("ascii", "replace")[:80].ljust(80)  # never "solid": that means text
    return head + struct.pack("<I", len(rows)) + rows.tobytes()


def obj_of(mesh: Mesh, title: str = "", colours: NDArray[np.uint8] | None = None, said: str = "") -> bytes:
    """Wavefront OBJ; `colours` (v, 3) follow each vertex, as most programs read it. `said` is one more comment."""
    lines = ["# Atelier, millimetres, z up"]
    lines += [f"# {' '.join(text.split())}" for text in (title, said) if text] + ["o shape"]
    if colours is None:
        lines += [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in _z_up(mesh).tolist()]
    else:
        both = zip(_z_up(mesh).tolist(), (colours / 255).tolist(), strict=True)
        lines += [f"v {x:.4f} {y:.4f} {z:.4f} {r:.4f} {g:.4f} {b:.4f}" for (x, y, z), (r, g, b) in both]
    lines += [f"f {a} {b} {c}" for a, b, c in (mesh.faces + 1).tolist()]
    return ("\n".join(lines) + "\n").encode()


def three_mf_of(mesh: Mesh, title: str = "", description: str = "") -> bytes:
    """3MF core specification 1.2: one object, one build item, in the first octant as printers want it."""
    placed = _z_up(mesh)
    placed = placed - placed.min(0)
    told = {"Title": title, "Description": description}
    said = {name: escape("".join(c for c in text if c >= " ")) for name, text in told.items() if text}
    model = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<model unit="millimeter" xml:lang="en-US" xmlns="{_CORE}">',
        '<metadata name="Application">Atelier</metadata>',
        *(f'<metadata name="{name}">{text}</metadata>' for name, text in said.items()),
        '<resources><object id="1" type="model"><mesh><vertices>',
        *(f'<vertex x="{x:.4f}" y="{y:.4f}" z="{z:.4f}"/>' for x, y, z in placed.tolist()),
        "</vertices><triangles>",
        *(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in mesh.faces.tolist()),
        '</triangles></mesh></object></resources><build><item objectid="1"/></build></model>',
    ]
    types = (
        '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/'
        'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships'
        '+xml"/><Default Extension="model" ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/>'
        "</Types>"
    )
    relations = (
        '<?xml version="1.0" encoding="UTF-8"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
        'relationships"><Relationship Target="/3D/3dmodel.model" Id="rel0" '
        'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
    )
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w") as package:
        parts = {"[Content_Types].xml": types, "_rels/.rels": relations, "3D/3dmodel.model": "\n".join(model)}
        for name, text in parts.items():
            entry = zipfile.ZipInfo(name, _DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, text)
    return whole.getvalue()


def glb_of(
    mesh: Mesh, about: Mapping[str, Any], picture: bytes = b"", colours: NDArray[np.uint8] | None = None
) -> bytes:
    """Binary glTF 2.0. `about` becomes `asset.extras.atelier`; `picture` (PNG) lies inside as its thumbnail.

    `colours` (v, 3) are the vertices' own, else all is of clay.
    """
    places = (mesh.vertices / 1000).astype("<f4")
    many, corners = len(places), mesh.faces.size
    ends = {"min": places.min(0).tolist(), "max": places.max(0).tolist()}
    arrays: list[tuple[str, bytes, dict[str, Any]]] = [
        ("POSITION", places.tobytes(), {"componentType": 5126, "count": many, "type": "VEC3", **ends}),
        (
            "NORMAL",
            vertex_normals(mesh.vertices, mesh.faces).astype("<f4").tobytes(),
            {"componentType": 5126, "count": many, "type": "VEC3"},
        ),
    ]
    if colours is not None:
        rgba = np.concatenate([_linear(colours), np.ones((many, 1), np.float32)], 1).astype("<f4")
        arrays.append(("COLOR_0", rgba.tobytes(), {"componentType": 5126, "count": many, "type": "VEC4"}))
    arrays.append(("", mesh.faces.astype("<u4").tobytes(), {"componentType": 5125, "count": corners, "type": "SCALAR"}))
    parts = [data for _, data, _ in arrays] + ([picture] if picture else [])
    views, start = [], 0
    for part in parts:
        views.append({"buffer": 0, "byteOffset": start, "byteLength": len(part)})
        start += len(part) + -len(part) % 4
    for view, (name, _, _) in zip(views, arrays, strict=False):
        view["target"] = 34962 if name else 34963
    clay = [1.0, 1.0, 1.0] if colours is not None else _linear(np.array([CLAY], np.uint8))[0].round(4).tolist()
    primitive = {
        "attributes": {name: k for k, (name, _, _) in enumerate(arrays) if name},
        "indices": len(arrays) - 1,
        "material": 0,
    }
    plain: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Atelier", "extras": {OWN: dict(about)}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "shape"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [
            {"name": "clay", "pbrMetallicRoughness": {"baseColorFactor": [*clay, 1.0], "metallicFactor": 0.0}}
        ],
        "accessors": [{"bufferView": k, **accessor} for k, (_, _, accessor) in enumerate(arrays)],
        "bufferViews": views,
        "buffers": [{"byteLength": start}],
    }
    if picture:
        plain["images"] = [{"name": "thumbnail", "mimeType": "image/png", "bufferView": len(arrays)}]
    return packed(plain, b"".join(part + bytes(-len(part) % 4) for part in parts))


def _linear(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """sRGB in 0..255 -> linear light in 0..1."""
    return ((colours / 255) ** 2.2).astype(np.float32)


# --- in


def read_mesh(path: Path, name: str = "") -> Mesh:
    """A mesh of any of FORMATS (or PLY) as one, standing on the ground. InvalidInput says what is wrong with it."""
    name = name or path.name
    found, kind, unit = _opened(path, name)
    found.merge_vertices(merge_tex=True, merge_norm=True)
    found.update_faces(found.nondegenerate_faces() & found.unique_faces())
    found.remove_unreferenced_vertices()
    places = np.asarray(found.vertices, np.float64)
    if not len(found.faces) or not np.isfinite(places).all():
        raise InvalidInput(f"{name} holds no usable faces.", "Save it again from the program it is from.")
    placed = _y_up(places, kind, unit).astype(np.float32)
    mesh = on_the_ground(Mesh(placed, np.asarray(found.faces, np.int32)))
    return Mesh(mesh.vertices, mesh.faces[:, ::-1].copy()) if volume(mesh) < 0 else mesh


def found_in(data: bytes, name: str) -> Mesh:
    """All faces of a file's bytes as they are in it, y up and in millimetres, nothing joined, mended or moved.

    InvalidInput where it cannot be read or holds no face.
    """
    found, kind, unit = _opened(data, name, process=False)
    with np.errstate(invalid="ignore"):  # what is no number stays none
        placed = _y_up(np.asarray(found.vertices, np.float64), kind, unit).astype(np.float32)
    return Mesh(placed, np.asarray(found.faces, np.int32))


def _opened(source: Path | bytes, name: str, process: bool = True) -> "tuple[trimesh.Trimesh, str, float]":
    """All meshes of a file as one, the kind of file, and its unit in millimetres. InvalidInput."""
    import trimesh  # takes a while to import; writing needs none of it

    kind = Path(name).suffix.lower().removeprefix(".")
    if kind not in (*FORMATS, "ply", "gltf"):
        raise InvalidInput(f"{name} is no shape.", f"Give a file of {', '.join(FORMATS)}.")
    _bounded(source, kind, name)
    try:
        file = BytesIO(source) if isinstance(source, bytes) else source
        scene = trimesh.load_scene(file, file_type=kind, process=process)
        unit = _millimetres(str(scene.metadata.get("units", ""))) if kind == "3mf" else 1.0
        found = scene.to_mesh()
    except (
        *(ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, SyntaxError, ImportError),
        *(struct.error, OverflowError, EOFError, MemoryError, RecursionError, AssertionError, NotImplementedError),
    ) as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:100]
        raise InvalidInput(f"{name} cannot be read: {said}.", "Save it again from the program it is from.") from error
    if not len(found.faces) or found.vertices.shape[1] != 3:
        raise InvalidInput(f"{name} holds no faces.", "Give a mesh, not only points or curves.")
    if len(found.faces) > MOST_FACES:
        raise _too_many(name, len(found.faces))
    return found, kind, unit


def _y_up(places: NDArray[np.float64], kind: str, unit: float) -> NDArray[np.float64]:
    """Places as a file has them in ours."""
    x, y, z = places.T
    return places * 1000 if kind in ("glb", "gltf") else np.stack([x, z, -y], 1) * unit


def _millimetres(unit: str) -> float:
    """Of one of the units that 3MF knows; it means millimetres where it says nothing."""
    units = {"micron": 0.001, "millimeter": 1.0, "centimeter": 10.0, "inch": 25.4, "foot": 304.8, "meter": 1000.0}
    return units.get(unit.lower().removesuffix("s"), 1.0)


def _too_many(name: str, faces: int) -> InvalidInput:
    return InvalidInput(f"{name} has {faces:,} faces.", f"At most {MOST_FACES:,} are read: simplify it first.")


def _bounded(source: Path | bytes, kind: str, name: str) -> None:
    """InvalidInput where opening the file would take too much memory."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if kind == "3mf":
        try:
            with zipfile.ZipFile(BytesIO(source) if isinstance(source, bytes) else source) as package:
                size = sum(entry.file_size for entry in package.infolist())
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise InvalidInput(f"{name} is no 3MF file.", "Save it again from the program it is from.") from error
    if size > MOST_BYTES:
        said = f"{name} has {size / 2**20:,.0f} MB of geometry."
        raise InvalidInput(said, f"At most {MOST_BYTES // 2**20} MB are read: simplify it first.")
    if kind == "stl" and size >= 84:
        faces = struct.unpack_from("<I", _beginning(source), 80)[0]
        if 84 + 50 * faces == size and faces > MOST_FACES:
            raise _too_many(name, faces)


def _beginning(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:84]
    with source.open("rb") as file:
        return file.read(84)
