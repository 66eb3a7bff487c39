"""One shape of a training set: what is wrong with it, and a standard copy - closed, looking outwards, of one size.

It reads STL in both forms, OBJ, GLB, 3MF and PLY. A copy is a GLB that stands on the floor about the axis, its longest
side SIZE mm; how large the shape was is kept beside it. It knows the bytes of one file, not the others, and no model.
"""

import hashlib
import struct
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from studio.design import mending
from studio.design.mesh_files import found_in, glb_of
from studio.design.meshes import Mesh, on_the_ground
from studio.design.rendering import png_of, render
from studio.errors import InvalidInput
from studio.lab.duplicates import shape_look
from studio.lab.items import Cleaned, Problem

SUFFIXES = frozenset((".stl", ".obj", ".glb", ".3mf", ".ply"))
SIZE = 100.0  # mm of a copy's longest side
LOOK = 160  # pixels of its picture, which lies in the copy: a page full of shapes cannot wait for each to be drawn
MOST_FACES = 60_000  # of a copy: training reads grids whose cells are larger than such faces
FLAT = 0.004  # of the longest side: what is thinner has no inside that a grid could show
THIN = 1e-4  # of the box's volume, likewise
DOUBLED = 0.01  # of the faces, from which on it is worth a sentence


def clean_shape(data: bytes, name: str, folder: Path) -> tuple[Cleaned, ...]:
    """The checked shape as one `Cleaned`, its copy in `folder`; without a copy when nothing can be learnt from it."""
    found = Cleaned(name=name, source_sha256=hashlib.sha256(data).hexdigest())
    if not data:
        return (_refused(found, "empty", f"{name} is empty (0 bytes)."),)
    problems: list[Problem] = []
    try:
        mesh = _mended(found_in(_whole(data, name), name), problems)
    except _Unfit as unfit:
        return (_refused(found, *unfit.args),)
    except InvalidInput as error:
        return (_refused(found, "broken", error.message),)
    high = np.ptp(mesh.vertices, axis=0)
    size_mm = (round(float(high[0]), 2), round(float(high[1]), 2), round(float(high[2]), 2))
    copy = on_the_ground(Mesh(mesh.vertices * np.float32(SIZE / high.max()), mesh.faces))
    raw = glb_of(copy, {"size_mm": size_mm}, png_of(render(*copy, side=LOOK)))
    sha256 = hashlib.sha256(raw).hexdigest()
    file = folder / f"{found.source_sha256}.glb"
    file.write_bytes(raw)
    done = replace(found, file=file, sha256=sha256, suffix=".glb", length=len(copy.faces), size_mm=size_mm)
    return (replace(done, look=shape_look(copy.vertices, copy.faces), problems=tuple(problems)),)


class _Unfit(Exception):
    """Nothing can be learnt from it: the kind of problem and one sentence."""


def _refused(found: Cleaned, kind: str, sentence: str) -> Cleaned:
    return replace(found, problems=(Problem(kind=kind, sentence=sentence, how="Left out."),))


def _whole(data: bytes, name: str) -> bytes:
    """The bytes as readers want them. _Unfit for a file that is cut off."""
    suffix = PurePosixPath(name).suffix.lower()
    cut = _Unfit("truncated", f"{name} is damaged or cut off before its end.")
    if suffix == ".stl":
        faces = struct.unpack_from("<I", data, 80)[0] if len(data) >= 84 else 0
        if data.lstrip()[:5].lower() == b"solid" and b"facet" in data[:1000].lower():
            if b"endsolid" not in data[-300:].lower():
                raise cut
        elif len(data) < 84 + 50 * faces:
            raise cut
        else:
            return data[: 84 + 50 * faces]  # some programs write more behind it
    if (
        suffix == ".glb"
        and len(data) >= 12
        and data[:4] == b"glTF"
        and struct.unpack_from("<I", data, 8)[0] > len(data)
    ):
        raise cut
    return data


def _mended(mesh: Mesh, problems: list[Problem]) -> Mesh:
    """Closed and looking outwards, what was done added to `problems`. _Unfit."""

    def cured(kind: str, sentence: str, how: str) -> None:
        problems.append(Problem(kind=kind, sentence=sentence, mended=True, how=how))

    faces = len(mesh.faces)
    mesh, wrong = mending.finite(mesh)
    if wrong:
        cured("no_numbers", f"{wrong:,} of its corners are no numbers.", "Their faces were taken out.")
    mesh, doubled = mending.joined(mesh)
    if not len(mesh.faces):
        raise _Unfit("flat", "None of its faces has an area.")
    if doubled > DOUBLED * faces:
        cured("doubled", f"{doubled:,} of its {faces:,} faces are there twice.", "Once is enough.")
    _not_flat(mesh)
    if len(mesh.faces) > MOST_FACES:
        many, mesh = len(mesh.faces), mending.lighter(mesh, MOST_FACES)
        cured("many_faces", f"It has {many:,} faces, more than training can see.", f"The copy has {len(mesh.faces):,}.")
    mesh, crumbs = mending.without_crumbs(mesh)
    if crumbs:
        cured("crumbs", f"{_many(crumbs, 'loose crumb')} lay about.", "Swept away.")
    mesh, turned = mending.one_way(mesh)
    mesh, holes = mending.closed(mesh)
    if holes.left:
        said = f"It is a surface with {_many(holes.left, 'large hole')}, up to {holes.widest:.0%} of its length across"
        raise _Unfit("open", f"{said}: it encloses nothing.")
    if not mending.encloses(mesh):
        raise _Unfit("open", "Its faces do not fit together to a body.")
    if holes.small:
        cured("holes", f"It had {_many(holes.small, 'small hole')}.", "Closed.")
    if holes.bottoms:
        cured("holes", "It was open beneath.", "Closed by a floor.")
    mesh, inward = mending.outwards(mesh)
    if turned or inward:
        all_of_it = inward == len(mesh.faces)
        sentence = "Its faces looked inwards." if all_of_it else f"{max(turned, inward):,} of its faces looked inwards."
        cured("flipped", sentence, "Turned round.")
    if (apart := mending.apart(mesh)) > 1:
        how = "It is learnt as one shape; give each a file of its own if they are several."
        problems.append(Problem(kind="bodies", sentence=f"It is {apart} bodies that stand apart.", how=how))
    _not_thin(mesh)
    return mesh


def _not_flat(mesh: Mesh) -> None:
    wide = np.sort(np.ptp(mesh.vertices, axis=0))
    if not 0 < wide[2] < 1e12:
        raise _Unfit("flat", "It has no size that can be worked with.")
    if wide[0] < FLAT * wide[2]:
        raise _Unfit("flat", f"It is flat: {wide[0]:.3g} mm thick and {wide[2]:.3g} mm long.")


def _not_thin(mesh: Mesh) -> None:
    found = mending.bodies(mesh).volume.sum()
    if found < THIN * float(np.prod(np.ptp(mesh.vertices, axis=0).astype(np.float64))):
        raise _Unfit("flat", "It encloses next to nothing: its walls have no thickness.")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
