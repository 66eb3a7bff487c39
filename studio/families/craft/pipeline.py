"""Runs the designer's tools on the files of a request: each source becomes an output, or one for each product. Knows no
model; the work itself is in `studio.design`.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from studio.design import colours, mock_ups, pattern, print_pdf, sheet, vector
from studio.design.cut_out import cut_out
from studio.design.upscaling import upscale
from studio.errors import InvalidInput
from studio.families.family import Context
from studio.intake import read_picture
from studio.types import Device, Request, Value

UNSURE = 0.5  # below this a cut-out should be looked at
Facts = Mapping[str, Value]


class Craft:
    def size(self) -> int:
        return 0

    def run(self, request: Request, context: Context) -> None:
        """InvalidInput names the field that cannot be used."""
        job = _Job(request, context)
        getattr(self, f"_{request.task}")(job)

    def _make_seamless(self, job: "_Job") -> None:
        for at, picture in job.pictures():
            before = pattern.seam_of(picture).worst
            tile = pattern.make_seamless(picture, str(job.params["method"]), float(job.params["overlap"]))
            after = pattern.seam_of(tile).worst
            if after > 1:
                job.context.warn(f"The border still shows: {after:.1f} times the picture's inner differences.")
            job.picture(tile, at, {"seam_before": round(before, 3), "seam": round(after, 3)})

    def _recolour(self, job: "_Job") -> None:
        palette = job.palette()
        if palette is None:
            raise InvalidInput("No palette was given.", "Write colours like #0a7f8c, teal.", field="palette")
        for at, picture in job.pictures():
            done = pattern.recolour(picture, palette, str(job.params["style"]), bool(job.params["keep_order"]))
            job.picture(done, at, {"palette": [one.hex for one in palette]})

    def _cut_out(self, job: "_Job") -> None:
        for at, picture in job.pictures():
            cut = cut_out(picture, bool(job.params["soft"]))
            if cut.share in (0.0, 1.0):
                job.context.warn("Nothing stands out from the background by its colour.")
            elif cut.sure < UNSURE:
                job.context.warn("Subject and background are alike in colour; look at the outline.")
            job.picture(cut.picture, at, {"share": round(cut.share, 4), "sure": round(cut.sure, 3)})

    def _upscale(self, job: "_Job") -> None:
        for at, picture in job.pictures():
            large = upscale(picture, int(str(job.params["factor"])), str(job.params["method"]))
            job.picture(large, at, {"factor": int(str(job.params["factor"]))})

    def _vectorise(self, job: "_Job") -> None:
        for at, picture in job.pictures():
            drawing = vector.vectorise(picture, int(job.params["colours"]), str(job.params["detail"]), job.palette())
            svg = vector.svg_of(drawing, job.request.prompt)
            vector.check_inert(svg)
            facts: Facts = {
                "nodes": drawing.nodes,
                "shapes": len(drawing.shapes),
                "likeness": round(vector.likeness(drawing, picture), 4),
                "width": drawing.width,
                "height": drawing.height,
            }
            job.data(svg.encode(), ".svg", "image/svg+xml", at, facts)

    def _palette(self, job: "_Job") -> None:
        """The palette of each source as JSON."""
        for at, picture in job.pictures():
            found = colours.palette_of(picture, int(job.params["colours"]))
            plain = colours.describe(found, job.request.prompt or "Palette")
            facts: Facts = {"palette": [one.hex for one in found], "names": [one.name for one in found]}
            job.data(json.dumps(plain, ensure_ascii=False).encode(), ".json", "application/json", at, facts)

    def _mock_up(self, job: "_Job") -> None:
        wanted = [str(name) for name in job.params["templates"]]
        if unknown := [name for name in wanted if name not in mock_ups.TEMPLATES]:
            raise InvalidInput(
                f"There is no product {unknown[0][:40]!r}.",
                f"There are {', '.join(mock_ups.TEMPLATES)}.",
                field="templates",
            )
        colour = colours.read_colour(str(job.params["colour"]), "colour") if job.params["colour"] else None
        for at, picture in job.pictures(outputs=len(wanted)):
            for name in wanted:
                job.context.check()
                made = mock_ups.mock_up(picture, name, int(job.params["width"]), colour, str(job.params["fit"]))
                job.picture(made, at, {"template": name})

    def _print_pdf(self, job: "_Job") -> None:
        trim = print_pdf.trim_of(str(job.params["size"]), bool(job.params["lying"]))
        for at, picture in job.pictures():
            page = print_pdf.Page(
                trim, float(job.params["bleed"]), bool(job.params["crop_marks"]), str(job.params["fit"])
            )
            dots = page.resolution(picture)
            if dots < print_pdf.ENOUGH:
                job.context.warn(
                    f"The picture has {dots:.0f} dots per inch at that size; {print_pdf.ENOUGH} look sharp."
                )
            data = print_pdf.pdf_of(picture, page, job.request.prompt, job.request.to_dict())
            facts: Facts = {"width_mm": trim[0], "height_mm": trim[1], "bleed_mm": page.bleed, "dpi": round(dots)}
            job.data(data, ".pdf", "application/pdf", at, facts)

    def _sheet(self, job: "_Job") -> None:
        captions = [str(one) for one in job.params["captions"]]
        files = list(job.context.inputs.get("piece", ()))
        pieces = []
        for at, file in enumerate(files):
            job.context.check()
            job.context.progress(at, len(files) + 2)
            caption = captions[at] if at < len(captions) else ""
            pieces.append(
                sheet.read_piece(_heard(file, job.context.staging, at) if file.suffix == ".mid" else file, caption)
            )
        title = str(job.params["title"]) or job.request.prompt
        laid = sheet.laid_out(pieces, title, str(job.params["size"]), bool(job.params["lying"]))
        facts: Facts = {"pieces": len(pieces), "pages": len(laid.pages), "title": title}
        job.data(sheet.pdf_of(laid, job.request.to_dict()), ".pdf", "application/pdf", 0, facts)
        job.data(sheet.html_of(pieces, title).encode(), ".html", "text/html", 0, facts)
        job.context.progress(len(files) + 2, len(files) + 2)


class _Job:
    """One request under way: its pictures, and where the next output goes."""

    def __init__(self, request: Request, context: Context) -> None:
        self.request, self.context = request, context
        self.params: dict[str, Any] = dict(request.params)
        self._next = 0
        self._started = time.perf_counter()

    def pictures(self, outputs: int = 1) -> Iterator[tuple[int, Image.Image]]:
        """Every source with its number, one after the other; so many outputs come of each."""
        files = self.context.inputs.get("source") or ()
        for at, file in enumerate(files):
            self.context.check()
            self.context.progress(at * outputs, len(files) * outputs)
            self._started = time.perf_counter()
            yield at, read_picture(file, "The picture")
        self.context.progress(len(files) * outputs, len(files) * outputs)

    def palette(self) -> colours.Palette | None:
        """The palette that was written down or given as a file, None where there is none."""
        text = str(self.params.get("palette") or "")
        for file in self.context.inputs.get("palette") or ():
            text = text or _palette_text(file)
        return colours.read_colours(text) if text else None

    def picture(self, picture: Image.Image, source: int, facts: Facts) -> None:
        size: Facts = {"width": picture.width, "height": picture.height}
        self._output(
            lambda path: picture.save(path, "PNG", compress_level=3), ".png", "image/png", source, {**facts, **size}
        )

    def data(self, data: bytes, suffix: str, media_type: str, source: int, facts: Facts) -> None:
        self._output(lambda path: _write(path, data), suffix, media_type, source, facts)

    def _output(self, save: Callable[[Path], None], suffix: str, media_type: str, source: int, facts: Facts) -> None:
        now = time.perf_counter()
        about: Facts = {"source": source, "seconds": round(now - self._started, 3), "seed": self.request.seed}
        self._started = now
        self.context.output(self._next, save, suffix, media_type, {**facts, **about})
        self._next += 1


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _heard(score: Path, folder: Path, number: int) -> Path:
    """A score as a sound that a sheet can carry."""
    from studio.music.files import read_score
    from studio.music.sound import audio_file, render

    target = folder / f"piece{number}.ogg"
    folder.mkdir(parents=True, exist_ok=True)
    target.write_bytes(audio_file(render(read_score(score.read_bytes(), score.name)), "ogg"))
    return target


def _palette_text(file: Path) -> str:
    """Of a palette's JSON, or the colours of a picture."""
    if file.suffix == ".json":
        return file.read_text("utf-8", "replace")
    return ", ".join(one.hex for one in colours.palette_of(read_picture(file, "The palette")))


def load(folder: Path, device: Device) -> Craft:
    """Nothing is loaded: the tools need no model."""
    return Craft()
