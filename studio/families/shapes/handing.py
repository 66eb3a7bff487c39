"""What all shape models share: a finished solid becomes a take, checked and drawn small, and weights are read. Knows no
model.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.design.mesh_files import glb_of
from studio.design.meshes import checked
from studio.design.rendering import png_of, render
from studio.errors import InvalidInput
from studio.families.family import Context
from studio.families.shapes.printable import Printable

THUMBNAIL, LOOK = 256, 160  # pixels a side


def hand_over(
    context: Context, index: int, made: Printable, said: Mapping[str, Any], inside: Mapping[str, Any], began: float
) -> None:
    """Writes take `index`. `said` goes into its meta and its file, `inside` into the file alone."""
    picture = render(made.mesh.vertices, made.mesh.faces, THUMBNAIL)
    context.preview(index, lambda path: picture.resize((LOOK, LOOK)).save(path, "JPEG", quality=88))
    meta = {
        **said,
        "wall_mm": made.wall_mm,
        "repairs": list(made.repairs),
        **checked(made.mesh).as_dict(),
    }
    data = glb_of(made.mesh, {**inside, **meta}, png_of(picture))
    timed = {**meta, "seconds": round(time.monotonic() - began, 3)}
    context.output(index, lambda path: _write(path, data), ".glb", "model/gltf-binary", timed)


def weights_of(given: Any, many: int) -> list[float]:
    """Positive, of sum 1. InvalidInput where they are none."""
    try:
        weights = [float(weight) for weight in given or [1.0] * many]
    except (TypeError, ValueError) as error:
        raise InvalidInput("The weights are no numbers.", "Give one number for each pick.", field="weights") from error
    if len(weights) != many or min(weights) < 0 or not 0 < sum(weights) < float("inf"):
        raise InvalidInput(
            f"The weights {weights} do not fit {many} shapes.",
            "Give one for each pick, none below 0 and not all 0.",
            field="weights",
        )
    return [round(weight / sum(weights), 6) for weight in weights]


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)
