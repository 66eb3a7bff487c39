"""Runs a generator: random numbers become pictures in one pass; maps, mixtures, films, sprites and land of them.

Knows no training.
"""

import difflib
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from studio.design.films import write_film
from studio.design.mesh_files import glb_of, obj_of
from studio.design.meshes import checked
from studio.design.rendering import png_of, render
from studio.design.terrain import block_of, height_map, heights_of
from studio.errors import InvalidInput
from studio.families.family import Context
from studio.families.gan.drawn import as_rgba
from studio.families.gan.one_pass import OnePass, load_one_pass
from studio.families.gan.places import ROWS, Place, Space, at_even_pace, between, steadied
from studio.families.gan.sheets import flicker, grid_sheet, sprite_sheet
from studio.families.training.checkpoint import as_pictures
from studio.types import Device, Request

_STOP = re.compile(r"(\d{1,15})(?:\s*:(.*?))?(?:\s+axes=(\S+))?(?:\s+moves=(\S+))?")
MOST_NAMED = 40  # kinds in a sentence
GROUND = (238, 236, 230)  # what films show behind what is transparent


class ExplorePipeline:
    def __init__(self, model: OnePass) -> None:
        self.model, self.space = model, Space(model)

    def size(self) -> int:
        return sum(p.numel() * p.element_size() for p in self.model.generator.parameters())

    def run(self, request: Request, context: Context) -> None:
        """Take k is the picture of the seed + k, the same alone as among others."""
        context.check()
        tasks = {
            "explore": self._explore,
            "map_latents": self._map,
            "latent_directions": self._directions,
            "mix_pictures": self._mix,
            "walk_latents": self._walk,
            "sprite_sheet": self._sprites,
            "terrain": self._terrain,
        }
        tasks[request.task](request, context)

    # --- tasks

    def _explore(self, request: Request, context: Context) -> None:
        places = self._places(request)
        for first in range(0, len(places), ROWS):
            context.check()
            began = time.monotonic()
            some = places[first : first + ROWS]
            pictures = [as_image(planes) for planes in self.space.pictures(some)]
            seconds = round((time.monotonic() - began) / len(some), 3)
            for k, (place, picture) in enumerate(zip(some, pictures, strict=True), first):
                meta = {
                    "seed": place.seed,
                    "width": picture.width,
                    "height": picture.height,
                    "label": self._name(place),
                    "seconds": seconds,
                }
                if place.moves:
                    meta["variation_seed"] = place.moves[-1][0]
                context.output(k, lambda path, shown=picture: shown.save(path, "PNG"), ".png", "image/png", meta)
                context.progress(k + 1, len(places), "Drawing")

    def _map(self, request: Request, context: Context) -> None:
        p: Mapping[str, Any] = request.params
        place = self._place(request, request.seed)
        kind = self.space.kind_of(place)
        found = self.space.directions(kind)
        across, up = self._axis(found.axes, p["axis_x"], "axis_x"), self._axis(found.axes, p["axis_y"], "axis_y")
        many = int(p["columns"])
        xs = np.linspace(p["centre_x"] - p["span"], p["centre_x"] + p["span"], many).round(4).tolist()
        ys = np.linspace(p["centre_y"] + p["span"], p["centre_y"] - p["span"], many).round(4).tolist()
        middle = self.space.style(place)
        styles = torch.stack([middle + x * across + y * up for y in ys for x in xs])
        pictures = self._drawn(styles, context)
        meta = {"label": self.model.classes[kind], "x": xs, "y": ys, "shares": list(found.shares)}
        self._sheet(pictures, many, request, context, meta)

    def _directions(self, request: Request, context: Context) -> None:
        p: Mapping[str, Any] = request.params
        place = self._place(request, request.seed)
        kind = self.space.kind_of(place)
        found = self.space.directions(kind)
        axes = found.axes[: int(p["rows"])]
        steps = np.linspace(-p["span"], p["span"], int(p["columns"])).round(4).tolist()
        middle = self.space.style(place)
        pictures = self._drawn(torch.stack([middle + x * axis for axis in axes for x in steps]), context)
        meta = {"label": self.model.classes[kind], "x": steps, "shares": list(found.shares[: len(axes)])}
        self._sheet(pictures, len(steps), request, context, meta)

    def _mix(self, request: Request, context: Context) -> None:
        p: Mapping[str, Any] = request.params
        one = self._place(request, request.seed)
        kind = self.number_of(str(p["to_label"])) if p["to_label"] else self.space.kind_of(one)
        to_steps, to_moves = self._steps(p.get("to_axes"), "to_axes"), moves_of(p.get("to_variations"), "to_variations")
        other = Place(int(p["to_seed"]), kind, one.truncation, to_steps, to_moves)
        start, end = self.space.style(one), self.space.style(other)
        many, stages = int(p["steps"]), len(self.model.generator.stages)
        amounts = [k / (many - 1) for k in range(many)] if many > 1 else [0.5]
        if p["way"] == "blend":
            layered = torch.stack([start + (end - start) * a for a in amounts])[:, None].expand(-1, stages, -1)
        else:  # the finest stages are the other's first
            fine = torch.arange(stages, 0, -1, device=start.device) - 1
            weights = [(a * stages - fine).clamp(0, 1)[:, None] for a in amounts]
            layered = torch.stack([start * (1 - w) + end * w for w in weights])
        for k, (picture, amount) in enumerate(zip(self._drawn(layered, context), amounts, strict=True)):
            meta = {"seed": request.seed, "width": picture.width, "height": picture.height, "amount": round(amount, 4)}
            context.output(k, lambda path, shown=picture: shown.save(path, "PNG"), ".png", "image/png", meta)

    def _walk(self, request: Request, context: Context) -> None:
        p: Mapping[str, Any] = request.params
        stops = [self._stop(text, request) for text in p.get("stops") or ()] or [
            self._place(request, request.seed + k) for k in range(int(p["num_stops"]))
        ]
        if len(stops) < 2:
            raise InvalidInput("A walk needs two stops.", "Name two seeds or more.", field="stops")
        loop, scale = bool(p["loop"]), int(p["scale"])
        styles = between(torch.stack([self.space.style(stop) for stop in stops]), int(p["frames"]), loop)
        styles = at_even_pace(styles, self._planes(styles, context), loop)
        planes, frames = steadied(self._planes(styles, context), loop), []
        for picture in map(as_image, planes):
            ground = Image.new("RGB", picture.size, GROUND)
            ground.paste(picture, mask=picture.getchannel("A") if picture.mode == "RGBA" else None)
            frames.append(ground.resize((picture.width * scale, picture.height * scale), Image.Resampling.BICUBIC))
        fps, kind = int(p["fps"]), str(p["format"])
        meta = {
            "seed": request.seed,
            "width": frames[0].width,
            "height": frames[0].height,
            "frames": len(frames),
            "fps": fps,
            "duration": round(len(frames) / fps, 3),
            "flicker": flicker(planes[:, :3].clamp(-1, 1).numpy()),
            "stops": [f"{stop.seed}:{self._name(stop)}".rstrip(":") for stop in stops],
        }
        media_type = "image/gif" if kind == "gif" else "video/mp4"
        context.output(0, lambda path: write_film(path, frames, fps), f".{kind}", media_type, meta)

    def _sprites(self, request: Request, context: Context) -> None:
        p: Mapping[str, Any] = request.params
        if self.model.generator.config.planes != 4:
            raise InvalidInput(
                "This model draws no transparent ground.", "Choose one of characters, such as starter-gan."
            )
        places = self._on_clear_ground(self._places(request))
        planes = torch.cat([self._checked(places[i : i + ROWS], context) for i in range(0, len(places), ROWS)])
        columns = min(int(p["columns"]), len(places))
        sheet, atlas = sprite_sheet(list(as_rgba(planes.numpy())), columns, int(p["scale"]), int(p["padding"]))
        for entry, place in zip(atlas["frames"].values(), places, strict=True):
            entry |= {"seed": place.seed, "label": self._name(place)}
        meta = {"seed": request.seed, "width": sheet.width, "height": sheet.height, "sprites": len(places)}
        context.output(0, lambda path: sheet.save(path, "PNG"), ".png", "image/png", meta)
        text = json.dumps(atlas, indent=1).encode()
        context.output(1, lambda path: _write(path, text), ".json", "application/json", {"atlas": True, **meta})

    def _terrain(self, request: Request, context: Context) -> None:
        p: Mapping[str, Any] = request.params
        if "source" in context.inputs:
            with Image.open(context.inputs["source"][0]) as opened:
                picture = opened.convert("RGB")
        else:
            picture = as_image(self.space.pictures([self._place(request, request.seed)])[0])
            if picture.mode == "RGBA":
                raise InvalidInput("This is no landscape.", "Choose a kind of landscape.", field="label")
        context.progress(0, 3, "Raising the land")
        heights, colours = heights_of(picture, int(p["cells"]), request.seed)
        mesh, tints = block_of(heights, colours, float(p["size_mm"]), float(p["relief_mm"]), float(p["base_mm"]))
        context.check()
        grey, facts = height_map(heights), {"seed": request.seed, **checked(mesh).as_dict()}
        size = {"seed": request.seed, "width": grey.width, "height": grey.height, "height_map": True}
        context.output(0, lambda path: grey.save(path, "PNG"), ".png", "image/png", size)
        data = obj_of(mesh, "terrain", tints)
        context.output(1, lambda path: _write(path, data), ".obj", "model/obj", facts)
        look = render(mesh.vertices, mesh.faces, 320, yaw=0.5, pitch=0.6, colours=tints)
        context.preview(2, lambda path: look.save(path, "JPEG"))
        block = glb_of(mesh, {"terrain": True}, colours=tints, picture=png_of(look))
        context.output(2, lambda path: _write(path, block), ".glb", "model/gltf-binary", facts)
        context.progress(3, 3, "Raising the land")

    # --- parts

    def _places(self, request: Request) -> list[Place]:
        count = int(str(request.params["num_images_per_prompt"]))
        p: Mapping[str, Any] = request.params
        if not p.get("variation_strength") or p.get("variation_seed") is None:
            return [self._place(request, request.seed + k) for k in range(count)]
        one, strength = self._place(request, request.seed), float(p["variation_strength"])
        return [replace(one, moves=(*one.moves, (int(p["variation_seed"]) + k, strength))) for k in range(count)]

    def _on_clear_ground(self, places: list[Place]) -> list[Place]:
        """Where no kind is asked for, one by lot among those that leave their ground transparent."""
        if all(place.kind is not None for place in places):
            return places
        first = self.space.pictures([Place(0, kind) for kind in range(len(self.model.classes))])
        clear = [kind for kind, planes in enumerate(first) if as_image(planes).mode == "RGBA"]
        if not clear:
            return places
        return [replace(place, kind=clear[self.space.kind_of(place) % len(clear)]) for place in places]

    def _place(self, request: Request, seed: int) -> Place:
        wanted = str(request.params["label"])
        return Place(
            seed,
            self.number_of(wanted) if wanted else None,
            float(str(request.params["truncation"])),
            self._steps(request.params.get("axes"), "axes"),
            moves_of(request.params.get("variations"), "variations"),
        )

    def _steps(self, given: Any, field: str) -> tuple[float, ...]:
        try:
            steps = tuple(float(step) for step in given or ())
        except (TypeError, ValueError) as error:
            raise InvalidInput("The directions are no numbers.", "Write them as 1.5, 0, -2.", field=field) from error
        if not all(abs(step) <= 10 for step in steps):
            raise InvalidInput(f"The directions {list(steps)} are too far.", "Stay within -10 to 10.", field=field)
        return steps

    def _stop(self, text: Any, request: Request) -> Place:
        """A stop of a walk: a seed, or seed:kind; after a space `axes=1.5/0/-2` and `moves=7:0.25/9:0.5` may follow."""
        told = _STOP.fullmatch(str(text).strip())
        if not told:
            raise InvalidInput(f"{str(text)[:40]!r} is no stop.", "Write a seed, or seed:kind.", field="stops")
        seed, kind, axes, moves = told.groups()
        return Place(
            int(seed),
            self.number_of(kind.strip()) if kind else self._place(request, int(seed)).kind,
            float(str(request.params["truncation"])),
            self._steps(axes.split("/") if axes else (), "stops"),
            moves_of((moves or "").replace("/", ","), "stops"),
        )

    def _axis(self, axes: Tensor, number: Any, field: str) -> Tensor:
        if int(number) > len(axes):
            raise InvalidInput(f"There are {len(axes)} directions.", "Choose one of them.", field=field)
        return axes[int(number) - 1]

    def _checked(self, places: Sequence[Place], context: Context) -> Tensor:
        context.check()
        return self.space.pictures(places)

    def _planes(self, styles: Tensor, context: Context) -> Tensor:
        parts = []
        for first in range(0, len(styles), 2 * ROWS):
            context.check()
            parts.append(self.space.draw(styles[first : first + 2 * ROWS]))
            context.progress(min(first + 2 * ROWS, len(styles)), len(styles), "Drawing")
        return torch.cat(parts)

    def _drawn(self, styles: Tensor, context: Context) -> list[Image.Image]:
        return [as_image(planes) for planes in self._planes(styles, context)]

    def _sheet(
        self, pictures: Sequence[Image.Image], columns: int, request: Request, context: Context, meta: dict[str, Any]
    ) -> None:
        sheet = grid_sheet(pictures, columns)
        told = {"seed": request.seed, "width": sheet.width, "height": sheet.height, "cell": pictures[0].width}
        told |= {"columns": columns, "rows": len(pictures) // columns, **meta}
        context.output(0, lambda path: sheet.save(path, "PNG"), ".png", "image/png", told)

    def _name(self, place: Place) -> str:
        return self.model.classes[self.space.kind_of(place)]

    def number_of(self, label: str) -> int:
        known = {name.lower(): number for number, name in enumerate(self.model.classes) if name}
        if label.lower() in known:
            return known[label.lower()]
        if not known:
            raise InvalidInput("This model tells no kinds apart.", "Leave the kind empty.", field="label")
        near = difflib.get_close_matches(label.lower(), known, n=1)
        offer = f"Did you mean {near[0]!r}? " if near else ""
        some = ", ".join(list(known)[:MOST_NAMED]) + (" ..." if len(known) > MOST_NAMED else "")
        raise InvalidInput(f"This model knows no {label[:80]!r}.", f"{offer}It knows: {some}.", field="label")


def moves_of(text: Any, field: str) -> tuple[tuple[int, float], ...]:
    """'7:0.3,9:0.5' -> ((7, 0.3), (9, 0.5)). InvalidInput."""
    moves = []
    for pair in filter(None, (part.strip() for part in str(text or "").split(","))):
        seed, _, strength = pair.partition(":")
        try:
            moves.append((int(seed), float(strength)))
        except ValueError as error:
            raise InvalidInput(
                f"{pair!r} is not a variation.", "Write seed:strength, as in 7:0.25.", field=field
            ) from error
        if not 0 <= moves[-1][0] <= 2**53 or not 0 <= moves[-1][1] <= 1:
            raise InvalidInput(f"The variation {pair!r} is out of range.", "Its strength lies in 0 to 1.", field=field)
    return tuple(moves)


def as_image(planes: Tensor) -> Image.Image:
    """(planes, side, side) in -1..1 -> RGBA where there is transparency, else RGB."""
    if len(planes) == 4:
        rgba = as_rgba(planes[None].numpy())[0]
        if not np.any(rgba[..., 3] < 128):
            return Image.fromarray(rgba[..., :3].copy())
        return Image.fromarray(np.where(rgba[..., 3:] > 0, rgba, 0).astype(np.uint8))
    return Image.fromarray(as_pictures(planes[None])[0])


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def load(folder: Path, device: Device) -> ExplorePipeline:
    return ExplorePipeline(load_one_pass(folder, device.kind))
