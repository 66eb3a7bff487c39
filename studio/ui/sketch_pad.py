"""The drawing pad of the sketch bench: a gr.HTML whose page side is assets/ui/sketch-pad.js."""

from typing import Any

from studio.types import Json
from studio.ui.widgets import _Widget


class SketchPad(_Widget):
    """A sheet of white paper to draw on with mouse, pen, finger or keys; or a drawing that is dropped, chosen or taken
    from a take.

    `SketchPad("design-sketch")`: `name` is its element id; the part before the dash is the panel, whose button
    `<panel>-go` the pad waits at: when Generate is pressed, it first uploads what was drawn since, then lets go on.

    value: {sha256, name}. `sha256`: the drawing in the library, None for empty paper; it is the `source` of
    `sketching.request(studio, values, source)`. A value that is set from here (`sketch_value(sha256, name)`) lays that
    picture under the strokes, which begin anew. The browser keeps strokes and picture over a reload.
    """

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__("sketchPad", sketch_value(), elem_id=name, padding=False, **options)


def sketch_value(sha256: str | None = None, name: str = "") -> Json:
    """`name`: what the person called it, shown beside the paper."""
    return {"sha256": sha256, "name": name}
