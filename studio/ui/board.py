"""The variation board: what a panel's session has made, as the JSON that the page polls, and the component
that shows it.

One board serves every panel; how a take is drawn depends on its media type alone (assets/ui/media.js). It
knows nothing of a panel's form: what changes the form is sent to the panel as the event `act`.
"""

import difflib
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from studio.errors import NotFound
from studio.families import families
from studio.settings import ASSETS
from studio.studio import Live, Studio
from studio.types import Artifact, Job, JobState, Json, Request
from studio.ui import drafts
from studio.ui.design_facts import design_facts
from studio.ui.fast_gradio import gradio as gr
from studio.ui.form import QUIET
from studio.ui.listing import COUNTS, HIDDEN, LEFT_OPEN, labels
from studio.ui.shape_facts import figures, shape_facts

SCRIPTS = (
    "elements.js",
    "media.js",
    "tiles.js",
    "compare.js",
    "ancestry.js",
    "shape-mesh.js",
    "shape-view.js",
    "board.js",
    "steering.js",
    "enlarging.js",
    "drafts.js",
    "conversation.js",
    "voice-recording.js",
    "music-player.js",
    "music-roll.js",
    "music-view.js",
    "music-board.js",
    "design-board.js",
    "design-export.js",
    "shape-pad.js",
    "explore-map.js",
    "painter.js",
    "sketch-pad.js",
    "fields.js",
    "films.js",
    "prompt-weights.js",
    "prompt-list.js",
    "brief-templates.js",
    "prompt-help.js",
    "other-picture.js",
)
ACTIONS = (
    "pick",
    "star",
    "vary-subtle",
    "vary-strong",
    "edit",
    "use",
    "start",
    "inpaint",
    "extend",
    "enlarge",
    "walk",
    "reference",
    "control",
    "describe",
    "to-design",
    "ancestry",
    "download",
    "trash",
)
GRID = "xy."  # a group of this kind is `xy.<setting>.<setting or nothing>.<random>`
REWORKED = {  # music made from music
    "vary_score": "Varied",
    "fill_score": "Written anew",
    "continue_score": "Continued",
    "harmonise_score": "Harmonised",
    "restyle_score": "Another style",
}
DESIGNED = {  # what the tools and the latent spaces make
    "make_seamless": "Made seamless",
    "recolour": "Recoloured",
    "cut_out": "Cut out",
    "vectorise": "Traced",
    "upscale": "Enlarged",
    "enlarge": "Enlarged",
    "palette": "Palette",
    "depth_map": "Depth",
    "pose_map": "Pose",
    "materials": "Materials",
    "mock_up": "Mock-up",
    "print_pdf": "Print file",
    "sheet": "Concept sheet",
    "text_to_shape": "Shapes",
    "vary_shape": "Varied shape",
    "morph_shapes": "Morph",
    "mix_shapes": "Mixed shapes",
    "map_latents": "Map",
    "latent_directions": "Directions",
    "mix_pictures": "Mixed",
    "walk_latents": "Walk",
    "sprite_sheet": "Sprites",
    "terrain": "Terrain",
}
MAX_DIFF = 800  # words; longer prompts are shown as struck out and new

LOAD = """
const options = props.value;
const load = (src) => new Promise((done, failed) => {
  const script = document.createElement('script');
  script.src = src;
  script.onload = done;
  script.onerror = failed;
  document.head.append(script);
});
window.atelierScripts = window.atelierScripts
  || options.scripts.reduce((before, src) => before.then(() => load(src)), Promise.resolve());
window.atelierScripts.then(() => {
  const mount = element.querySelector('.bd-mount');
  if (!mount || mount.firstChild) return;
  window.atelierBoard.mountBoard(mount, options, (name, data) => trigger('act', data));
});
"""


class Board(gr.HTML):
    """The board of one panel. Its event `act` carries {do, sha256, ...}: all that the panel's form must do.

    `restores`: dropped files with settings, and works opened in the library, are sent to this panel where they are
    of its medium. `told` is handed to the page beside the rest.
    """

    def __init__(
        self,
        panel: str,
        *,
        invitation: str,
        examples: Sequence[str] = (),
        actions: Sequence[str] = ACTIONS,
        icon: str = "start",
        restores: bool = False,
        told: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.panel = panel
        told = {
            **(told or {}),
            "panel": panel,
            "invitation": invitation,
            "icon": icon,
            "restores": restores,
            "scripts": scripts(),
        }
        super().__init__(
            value={**told, "examples": list(examples), "actions": list(actions)},
            html_template='<div class="bd-mount"></div>',
            js_on_load=LOAD,
            apply_default_css=False,
            elem_id=f"{panel}-board",
            elem_classes=["board-host"],
            **options,
        )

    def when_asked(self, handler: Callable[..., Any], inputs: Any, outputs: Any) -> None:
        """What the page asks goes to `handler`. gradio drops an event while the same one is under way, so the page
        waits with its next question until it hears of the answer.
        """
        answered = f"() => window.atelierBoard?.answered('{self.panel}')"
        self.act(handler, inputs, outputs, **QUIET).then(None, js=answered)

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def scripts() -> list[str]:
    """Addresses of the board's scripts, in the order in which they need each other; the hash lets browsers
    keep them.
    """
    files = [(name, (ASSETS / "ui" / name).read_bytes()) for name in SCRIPTS]
    return [f"/atelier/ui/{name}?v={hashlib.sha256(code).hexdigest()[:12]}" for name, code in files]


def state(studio: Studio, panel: str) -> Json:
    """All that the board of a panel shows. `rev` is another number whenever anything else here is another."""
    jobs = studio.library.session(panel)
    device = studio.engine.device
    told: Json = {
        "panel": panel,
        "paused": studio.engine.paused,
        "device": {"kind": device.kind, "name": device.name, "dtype": device.dtype} if device else None,
        "labels": labels(),
        "jobs": [job_state(studio, job) for job in jobs],
        "grids": grids(jobs),
        "queue": [
            {
                "id": j.id,
                "state": str(j.state),
                "prompt": j.request.prompt[:200],
                "position": j.position,
                "panel": j.panel,
            }
            for j in studio.queue()
        ],
    }
    return {"rev": zlib.crc32(json.dumps(told, sort_keys=True, default=str).encode()), **told}


def job_state(studio: Studio, job: Job) -> Json:
    request = job.request
    live = studio.live(job.id) if not job.state.finished else Live()
    kept = {a.index: a for a in studio.library.outputs(job.id)}
    changed = changes(studio, request)
    return {
        "id": job.id,
        "state": str(job.state),
        "task": request.task,
        "operation": operation(job, changed),
        "prompt": request.prompt,
        "model": request.model,
        "group": job.group,
        "parent": request.parent,
        "step": live.step or job.step,
        "steps": live.steps or job.steps,
        "message": live.message,
        "eta": round(live.eta, 1) if live.eta is not None else None,
        "error": job.error,
        "hint": job.hint,
        "warnings": warnings(job, live, kept.values()),
        "created": job.created,
        "seed": request.seed,
        "count": count(request),
        "settings": settings(request),
        "changed": changed,
        "inputs": [{"role": i.role, "sha256": i.artifact} for i in request.inputs],
        "takes": [
            take
            for index in range(max([count(request), *(i + 1 for i in kept)]))
            if (take := take_state(job, live, index, kept))
        ],
    }


def take_state(job: Job, live: Live, index: int, made: Mapping[int, Artifact]) -> Json | None:
    """One take: waiting, growing or done; None where there is nothing and nothing will come."""
    kept = made.get(index)
    if kept is not None:
        return (
            None
            if kept.trashed is not None
            else {
                "index": index,
                "sha256": kept.sha256,
                "state": "done",
                "url": f"/atelier/files/{kept.sha256}",
                "thumb": f"/atelier/thumbs/{kept.sha256}"
                if kept.media_type.startswith(("image/", "video/", "model/gltf", "audio/"))
                or kept.media_type == "application/pdf"
                or "palette" in kept.meta
                else None,
                "preview": None,
                "seed": kept.meta.get("seed", job.request.seed + index),
                "media_type": kept.media_type,
                "width": kept.width,
                "height": kept.height,
                "starred": kept.starred,
                "picked": "picked" in kept.tags,
                "tags": list(kept.tags),
                "facts": facts(kept, [one for at, one in made.items() if at != index]),
                "told": figures(kept, job.request),
                "copied": drafts.copied(kept.meta),
            }
        )
    if job.state.finished:
        return None
    seen = index in live.previews
    return {
        "index": index,
        "sha256": None,
        "state": "preview" if seen else "waiting",
        "url": None,
        "thumb": None,
        "preview": f"/atelier/previews/{job.id}/{index}?v={live.step}" if seen else None,
        "seed": job.request.seed + index,
        "media_type": expected(job.request.task),
        "width": None,
        "height": None,
        "starred": False,
        "picked": False,
        "tags": [],
    }


def facts(kept: Artifact, siblings: Sequence[Artifact]) -> list[str]:
    """Short words under a take: what can be said of a text beside its siblings, of a piece of music, of a sound."""
    if kept.media_type == "text/plain":
        return drafts.facts(kept, siblings)
    if known := design_facts(kept) or shape_facts(kept):
        return known
    if kept.media_type.startswith("video/") and kept.duration:
        return [f"{kept.duration:.1f} s"]
    if not kept.media_type.startswith("audio/"):
        return []
    seconds = kept.duration or kept.meta.get("seconds")
    told = [str(kept.meta["line"])] if kept.meta.get("line") else []
    return [*told, f"{int(seconds) // 60}:{int(seconds) % 60:02d}"] if isinstance(seconds, int | float) else told


@lru_cache
def expected(task: str) -> str | None:
    """The media type of a take that grows, where it is no picture."""
    grown = {"text": "text/plain", "music": "audio/midi", "audio": "audio/flac"}
    return next((grown.get(declared.media) for declared in families() if task in declared.tasks), None)


def count(request: Request) -> int:
    """How many takes the request asks for."""
    for name in COUNTS:
        value = request.params.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return 1


def warnings(job: Job, live: Live, kept: Iterable[Artifact]) -> list[str]:
    """What the worker remarked: live while it works, afterwards as the takes remember it."""
    found = dict.fromkeys(live.warnings)
    for artifact in kept:
        told = artifact.meta.get("warnings")
        found.update(dict.fromkeys(str(w) for w in told) if isinstance(told, list) else {})
    if not found and job.state is JobState.done and job.message:
        found[job.message] = None
    return list(found)


def settings(request: Request) -> Json:
    """Everything that makes one take differ from another, flat, in a person's order."""
    params = {k: v for k, v in request.params.items() if k not in HIDDEN and v not in (None, "")}
    params = {k: v for k, v in params.items() if v or k not in LEFT_OPEN}
    if not params.get("variation_strength"):
        params = {k: v for k, v in params.items() if not k.startswith("variation_")}
    flat: Json = {"prompt": request.prompt, **params, "model": request.model, "seed": request.seed}
    if request.adapters:
        flat["adapters"] = ", ".join(f"{a.id} {a.weight:g}" for a in request.adapters)
    return flat


def changes(studio: Studio, request: Request) -> Json | None:
    """What the request changed against the one that made its parent; None for a request without a parent made
    here.
    """
    if request.parent is None:
        return None
    try:
        made_by = studio.library.artifact(request.parent).job
        before = studio.library.job(made_by).request if made_by else None
    except NotFound:
        before = None
    if before is None or not alike(before.task, request.task):
        return None
    old, new = settings(before), settings(request)
    names = [n for n in dict.fromkeys([*old, *new]) if n not in ("prompt", "seed") and old.get(n) != new.get(n)]
    another = before.prompt != request.prompt and not request.params.get("messages")  # a reply changes no prompt
    prompt = word_diff(before.prompt, request.prompt) if another else None
    return {"prompt": prompt, "settings": {n: [old.get(n), new.get(n)] for n in names}}


@lru_cache
def alike(before: str, after: str) -> bool:
    """Whether settings of the one task say something about the other: both are a model's work in one medium."""
    if before == after:
        return True
    declared = [next((f for f in families() if task in f.tasks), None) for task in (before, after)]
    return declared[0] is not None and declared[0] is declared[1] and not {before, after} & DESIGNED.keys()


@lru_cache(maxsize=512)
def word_diff(before: str, after: str) -> tuple[tuple[str, str], ...]:
    """The two prompts as one line of ("same" | "del" | "add", text)."""
    old, new = re.findall(r"\s+|[^\s,.;:]+|[,.;:]", before), re.findall(r"\s+|[^\s,.;:]+|[,.;:]", after)
    if len(old) > MAX_DIFF or len(new) > MAX_DIFF:
        return (("del", before), ("add", after))
    parts: list[tuple[str, str]] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            parts.append(("same", "".join(old[a:b])))
            continue
        parts += [(kind, text) for kind, text in (("del", "".join(old[a:b])), ("add", "".join(new[c:d]))) if text]
    return tuple(parts)


def operation(job: Job, changed: Json | None) -> str:
    """What was done, in a word or two, for the ancestry."""
    request = job.request
    if request.task == "latent_walk":
        return "Walk"
    if job.group.startswith(GRID):
        return "X/Y grid"
    if request.task in DESIGNED:
        return DESIGNED[request.task]
    if request.task in ("edit_score", *REWORKED):
        return REWORKED.get(request.task, "Notes by hand")
    if request.task == "edit_text":
        return "Merged by hand" if len(request.inputs) > 1 else "Edited by hand"
    if request.params.get("beginning_tokens"):
        return "Branch at a word"
    if request.params.get("beginning") or request.params.get("own_characters", -1) != -1:
        return "Continued"
    if request.params.get("messages"):
        return "Reply"
    strength = request.params.get("variation_strength")
    if request.parent and strength and not (changed and changed["prompt"]):
        return "Vary subtly" if float(str(strength)) < 0.35 else "Vary strongly"
    if request.task in ("inpaint", "outpaint"):
        return "Inpaint" if request.task == "inpaint" else "Extended"
    if request.task in ("image_to_image", "image_to_video"):
        return "From a picture"
    if request.params.get("tiling") == "both" and job.panel == "design":
        return "Pattern"
    if changed is None:
        return "Brief" if request.parent is None else "From another work"
    if changed["prompt"]:
        return "Prompt edit"
    return "New settings" if changed["settings"] else "More takes"


def grids(jobs: Sequence[Job]) -> Json:
    """The axes of each X/Y grid of the session, and where each of its jobs stands."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        if job.group.startswith(GRID):
            groups.setdefault(job.group, []).append(job)
    return {group: grid(group, members) for group, members in groups.items()}


def grid(group: str, jobs: Sequence[Job]) -> Json:
    x, y = group.split(".")[1:3]
    across = [axis_value(job, x) for job in jobs]
    down = [axis_value(job, y) for job in jobs] if y else [None] * len(jobs)
    columns, rows = list(dict.fromkeys(across)), list(dict.fromkeys(down))
    cells = {job.id: [columns.index(a), rows.index(b)] for job, a, b in zip(jobs, across, down, strict=True)}
    return {
        "x": {"name": x, "values": distinct(columns) if x == "prompt" else columns},
        "y": {"name": y, "values": distinct(rows) if y == "prompt" else rows} if y else None,
        "cells": cells,
    }


def axis_value(job: Job, name: str) -> Any:
    if name == "size":
        return f"{job.request.params.get('width')} × {job.request.params.get('height')}"
    if name == "variation_strength":  # not among the settings where it is 0
        return job.request.params.get(name) or 0
    return settings(job.request).get(name, "")


def distinct(prompts: Sequence[Any]) -> list[str]:
    """Prompts without the words that all of them begin and end with, as labels."""
    words = [prompt.split() for prompt in prompts]
    if len(words) < 2:
        return list(prompts)
    shortest = min(len(w) for w in words)
    start = next((i for i in range(shortest) if len({w[i] for w in words}) > 1), shortest)
    end = next((i for i in range(shortest - start) if len({w[-1 - i] for w in words}) > 1), shortest - start)
    return [" ".join(w[start : len(w) - end]) or "–" for w in words]
