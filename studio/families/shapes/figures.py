"""Measures a finished shape model on shapes that it never saw and on what it makes from words and attributes.

    python -m studio.families.shapes.figures MODEL [--many 500]

Every figure comes from the weights in the folder, with fixed seeds. The judge lies there too and is itself measured on
modelled shapes.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
import trimesh
from numpy.typing import NDArray
from torch import Tensor

from studio.design.meshes import is_closed
from studio.families.shapes import measures, wording
from studio.families.shapes.cabinet import as_shares
from studio.families.shapes.fitting import fitted_latent
from studio.families.shapes.meshes import largest_share, mesh_of
from studio.families.shapes.modelled import NAMES, nth
from studio.families.shapes.prior import Between
from studio.families.shapes.starter import ShapeModel, load_model, together
from studio.families.shapes.train import overlap
from studio.families.training.starter_card import add_figures

SEEN_BY_NOBODY = 3  # a series of shapes that neither training nor its checks use
_FINE = 64  # cells a side where reconstruction is compared
_PLAIN = {kind: nouns[0] for kind, nouns in wording.NOUNS.items()}


def decoded(model: ShapeModel, latents: Tensor) -> Tensor:
    return model.autoencoder.decode(latents, model.autoencoder.config.cells)


def reconstruction(model: ShapeModel, many: int) -> dict[str, object]:
    """Intersection over union of unseen shapes and what comes back from their latents, on a finer grid than trained:
    as the studio reads a shape that is brought, and of the encoder alone.
    """
    shapes = [nth([1, SEEN_BY_NOBODY], i) for i in range(many)]
    scores: dict[str, list[float]] = {kind: [] for kind in NAMES}
    named, alone = 0, []
    for shape in shapes:
        seen = torch.from_numpy(shape.grid(model.autoencoder.config.cells))[None]
        with torch.no_grad():
            latent, _ = model.autoencoder.encode(seen)
            named += NAMES[int(model.judge(seen).argmax())] == shape.kind
        fine, closest = shape.grid(_FINE)[None], fitted_latent(model.autoencoder, seen)
        at_once, again = model.autoencoder.decode(torch.cat((latent, closest)), _FINE).numpy()
        alone.append(float(overlap(fine, at_once[None])[0]))
        scores[shape.kind].append(float(overlap(fine, again[None])[0]))
    whole = [score for found in scores.values() for score in found]
    return {
        "reconstruction_iou": round(float(np.mean(whole)), 4),
        "reconstruction_iou_of_the_encoder_alone": round(float(np.mean(alone)), 4),
        "reconstruction_iou_by_kind": {k: round(float(np.mean(v)), 3) for k, v in scores.items() if v},
        "judge_on_modelled_shapes": round(named / many, 4),
    }


def captions(model: ShapeModel, many: int) -> list[tuple[str, str]]:
    """Kinds in turn with a caption of an unseen shape: what somebody could have asked for."""
    found = []
    for i in range(many):
        shape = nth([1, SEEN_BY_NOBODY], 10_000 + i)
        told = measures.measured(shape.grid(32), shape.kind)
        shares = as_shares(measures.row_of(told)[None], np.array([NAMES.index(shape.kind)]), model.ranges)[0]
        rng = np.random.default_rng([1, SEEN_BY_NOBODY, i])
        found.append((shape.kind, wording.caption(rng, shape.kind, shares, told.get("legs", np.nan))))
    return found


def meshes(model: ShapeModel, many: int) -> dict[str, object]:
    """Shapes from captions: closed, in one piece, of the kind that was named; meshes as trimesh reads them."""
    asked = captions(model, many)
    closed = whole = named = at_once = 0
    began = time.perf_counter()
    for i in range(0, many, 50):
        some = asked[i : i + 50]
        latents = model.latents(together([model.wish(text) for _, text in some]), range(i, i + len(some)))
        grids = decoded(model, latents)
        with torch.no_grad():
            seen = model.judge(grids).argmax(1)
        for (kind, _), grid, judged in zip(some, grids.numpy(), seen.tolist(), strict=True):
            named += NAMES[judged] == kind
            at_once += largest_share(grid) > 0.99
            mesh = mesh_of(grid)
            read = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
            closed += bool(read.is_watertight and read.is_winding_consistent and read.volume > 0 and is_closed(mesh))
            whole += read.body_count == 1
    return {
        "meshes": many,
        "watertight": round(closed / many, 4),
        "one_piece": round(whole / many, 4),
        "one_piece_before_cleaning": round(at_once / many, 4),
        "kind_recognised": round(named / many, 4),
        "seconds_a_mesh": round((time.perf_counter() - began) / many, 3),
    }


def _moves(model: ShapeModel, name: str, kind: str, seeds: range) -> list[bool]:
    """Whether the measured attribute is greater where more of it was asked for, all else and the noise being equal."""
    wishes = [model.wish(_PLAIN[kind], shares={name: share}) for share in (0.1, 0.9)]
    few, much = (decoded(model, model.latents(together([wish] * len(seeds)), seeds)).numpy() for wish in wishes)
    pairs = [(measures.measured(a, kind), measures.measured(b, kind)) for a, b in zip(few, much, strict=True)]
    return [bool(a and b and b[name] > a[name]) for a, b in pairs]


def attributes(model: ShapeModel, many: int) -> dict[str, object]:
    """For each named attribute the share of pairs in which it moves the measured one the right way; of `many` meshes
    and fewer than 60 only as many kinds and pairs.
    """
    least = min(many, 60)
    found = {}
    for name in measures.NAMES:
        kinds = [kind for kind in NAMES if measures.applies(name, kind)][:least]
        moved = [good for kind in kinds for good in _moves(model, name, kind, range(-(-least // len(kinds))))]
        found[name] = round(float(np.mean(moved)), 3)
    return {"attribute_moves": found, "attribute_moves_mean": round(float(np.mean(list(found.values()))), 3)}


def attributes_together(model: ShapeModel, many: int, at_once: int = 3) -> dict[str, object]:
    """Of attributes asked for three at a time, as an unseen shape has them, the share that comes on the asked side of
    the middle of its kind's range, and how often all three do.
    """
    held: list[bool] = []
    whole = 0
    for i in range(many):
        shape = nth([1, SEEN_BY_NOBODY], 20_000 + i)
        had = _shares(model, shape.grid(model.autoencoder.config.cells), shape.kind)
        clear = [name for name, share in had.items() if abs(share - 0.5) > 0.16]
        chosen = np.random.default_rng([1, SEEN_BY_NOBODY, i]).permutation(clear)[:at_once].tolist()
        asked = {name: 0.85 if had[name] > 0.5 else 0.15 for name in chosen}
        wish = model.wish(_PLAIN[shape.kind], shares=asked)
        found = _shares(model, decoded(model, model.latents(wish, [i]))[0].numpy(), shape.kind)
        right = [name in found and (found[name] > 0.5) == (share > 0.5) for name, share in asked.items()]
        held += right
        whole += all(right)
    return {"attributes_of_three_kept": round(float(np.mean(held)), 3), "all_three_kept": round(whole / many, 3)}


def _shares(model: ShapeModel, grid: NDArray[np.float32], kind: str) -> dict[str, float]:
    """Where each attribute of a grid lies in its kind's range."""
    row = measures.row_of(measures.measured(grid, kind))[None]
    shares = as_shares(row, np.array([NAMES.index(kind)]), model.ranges)[0]
    return {name: float(share) for name, share in zip(measures.NAMES, shares, strict=True) if np.isfinite(share)}


def morphs(model: ShapeModel, many: int) -> dict[str, object]:
    """Halfway between two shapes of different kinds: how often what is decoded hangs together by itself."""
    wishes = [model.wish(kind=NAMES[i % len(NAMES)]) for i in range(2 * many)]
    latents = model.latents(together(wishes), range(2 * many))
    middles = [Between(model.prior, latents[i : i + 2]).at([0.5, 0.5]) for i in range(0, 2 * many, 2)]
    between = decoded(model, torch.cat(middles)).numpy()
    return {"morphs_in_one_piece": round(float(np.mean([largest_share(grid) > 0.98 for grid in between])), 3)}


def measure(model: Path, many: int = 500) -> dict[str, object]:
    """All figures of the model in a folder; `many` meshes, and other counts in proportion."""
    began, loaded = time.perf_counter(), load_model(model)
    figures = {
        **reconstruction(loaded, max(12, many // 4)),
        **meshes(loaded, many),
        **attributes(loaded, many),
        **attributes_together(loaded, max(12, many // 4)),
        **morphs(loaded, max(6, many // 8)),
    }
    return {
        **figures,
        "date": time.strftime("%Y-%m-%d"),
        "minutes": round((time.perf_counter() - began) / 60, 1),
        "command": "python -m studio.families.shapes.figures MODEL",
    }


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Measure a shape model and write its card's figures.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--many", type=int, default=500, help="meshes that are made")
    args = parser.parse_args(argv)
    figures = measure(args.model, args.many)
    add_figures(args.model, figures)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
