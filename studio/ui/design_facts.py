"""Short words under a take of a design tool: what was measured on it."""

from studio.types import Artifact


def design_facts(kept: Artifact) -> list[str]:
    """[] for a take of another kind."""
    meta, told = kept.meta, []
    if "nodes" in meta:
        told.append(f"{meta['nodes']} nodes")
        told.append(f"{100 * float(str(meta['likeness'])):.0f} % alike")
    if "seam" in meta:
        told.append(f"seam {float(str(meta['seam'])):.2f} (was {float(str(meta['seam_before'])):.2f})")
    if "factor" in meta:
        told.append(f"{meta['factor']} times: {meta['width']} × {meta['height']}")
    if "template" in meta:
        told.append(str(meta["template"]).replace("_", "-"))
    if "palette" in meta and kept.media_type == "application/json":
        told.append("palette")
    if meta.get("atlas"):
        told.append("places of the sprites")
    if meta.get("height_map"):
        told.append("height map")
    if "bleed_mm" in meta:
        told.append(f"{meta['width_mm']:g} × {meta['height_mm']:g} mm, {meta['dpi']} dpi")
    if kept.media_type in ("application/pdf", "text/html") and "pages" in meta:
        pages = int(str(meta["pages"]))
        kind = "PDF" if kept.media_type == "application/pdf" else "HTML"
        told.append(f"{kind}, {pages} page{'s' if pages != 1 else ''}")
    if "share" in meta and "sure" in meta:
        told.append(f"{100 * float(str(meta['share'])):.0f} % of the picture")
    if "flicker" in meta:
        told.append(f"{meta['frames']} frames, flicker {float(str(meta['flicker'])):.2f}")
    outline = meta.get("outline")
    if isinstance(outline, dict):
        told.append(f"{100 * float(str(outline['recall'])):.0f} % of the lines kept")
    if meta.get("label") and kept.media_type == "image/png":
        told.append(str(meta["label"]))
    return told
