"""Second stage of starter-image: scenes drawn once, kept as latents with the token ids of their captions."""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from studio.errors import InvalidInput
from studio.families.diffusion import starter
from studio.families.diffusion.recipe import Recipe
from studio.families.diffusion.scene_canvas import TIMES
from studio.families.diffusion.scene_places import BACKGROUNDS, PLACES
from studio.families.diffusion.scene_sprites import Sprites, Thing
from studio.families.diffusion.scene_styles import LINES, STYLES
from studio.families.diffusion.scenes import SQUARE, Scene, compose, composed, draw_sight, held_out, vocabulary
from studio.families.diffusion.train_autoencoder import autoencoder_of
from studio.families.training.checkpoint import as_tensor, device
from studio.families.training.run_folder import RunFolder


@dataclass(frozen=True)
class Part:
    """A file of scenes of one shape. A share `sights` are places alone, a share `lines` drawings in lines."""

    name: str
    many: int
    seed: tuple[int, ...]
    unseen: bool = False  # single things in such places as training never shows them in, and nothing else
    alone: bool = False  # the others show one thing of the usual size
    sights: float = 0.0
    lines: float = 0.0
    shape: tuple[int, int] = SQUARE  # width and height in pixels


def draw_part(sprites: Sprites, part: Part) -> list[Scene]:
    """The scenes of a part, always the same."""
    rng, many, shape = np.random.default_rng(part.seed), part.many, part.shape
    if not part.unseen:
        empty, drawn = round(many * part.sights), round(many * part.lines)
        shown = [compose(sprites, rng, alone=part.alone, shape=shape) for _ in range(many - empty - drawn)]
        for _ in range(drawn):
            shown.append(compose(sprites, rng, style=str(rng.choice(LINES)), alone=part.alone, shape=shape))
        return shown + [composed(draw_sight(rng), sprites, rng, shape) for _ in range(empty)]
    pairs = [(thing, place) for thing in sprites.names for place in PLACES if held_out(thing, place)]
    order = rng.permutation(len(pairs))
    return [compose(sprites, rng, thing=pairs[i][0], place=pairs[i][1], alone=True) for i in np.resize(order, many)]


def parts_of(recipe: Recipe) -> list[Part]:
    """The training scenes of a recipe: squares, then other shapes by turns."""
    s = recipe.denoiser_training
    squares, shaped = math.ceil(s.scenes / s.part), math.ceil(s.shaped / s.part)
    parts = []
    for number in range(squares + shaped):
        turn, which = divmod(max(number - squares, 0), max(len(s.shapes), 1))
        width, height = SQUARE if number < squares else s.shapes[which]
        alone = number * s.part < s.alone if number < squares else turn % 2 == 0
        seed = (recipe.seed, 3, number)
        parts.append(Part(f"part_{number:04d}.npz", s.part, seed, False, alone, s.sights, s.lines, (width, height)))
    return parts


def kinds(things: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What a judge learns to tell: for each kind the names, in a fixed order."""
    return {
        "thing": tuple(things),
        "place": (*PLACES, *BACKGROUNDS),
        "time": tuple(TIMES),
        "style": tuple(STYLES),
    }


def labels(scene: Scene, names: dict[str, tuple[str, ...]]) -> list[int]:
    """What a scene shows, as indices into the lists of `kinds` (-1 for no thing), and how many kinds of thing."""
    shown = (getattr(scene, kind) for kind in names)
    return [*(known.index(one) if one else -1 for one, known in zip(shown, names.values(), strict=True)), scene.kinds]


def keep_words(run: RunFolder, sprites: Sprites) -> None:
    """Leave the things and their words in the run folder, where stages without sprites find them."""
    table = {name: list(thing.words) for name, thing in sprites.things.items()}
    (run.folder / "things.json").write_text(json.dumps(table, indent=1), encoding="utf-8")


def things_of(run: RunFolder) -> dict[str, Thing]:
    """The things that `keep_words` left, by name; only their words are known."""
    path = run.folder / "things.json"
    if not path.exists():
        raise InvalidInput(f"{run.folder} holds no things.json.", "Run the stage 'cache' first.")
    table = json.loads(path.read_text(encoding="utf-8"))
    return {name: Thing(name, "", tuple(words)) for name, words in table.items()}


def cache_scenes(recipe: Recipe, run: RunFolder, sprites: Sprites) -> bool:
    """Draw and encode the scenes, part by part, into `latents/`; parts that are there are kept.

    Several processes may share the work: each takes every n-th part.
    """
    s = recipe.denoiser_training
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    model = autoencoder_of(recipe, run).to(device(), memory_format=torch.channels_last)
    if rank == 0:
        keep_words(run, sprites)
    words = vocabulary(sprites.things.values())
    tokenizer = starter.build_tokenizer(words, recipe.text_encoder["max_position_embeddings"])
    folder = run.folder / "latents"
    folder.mkdir(exist_ok=True)
    parts = parts_of(recipe)
    parts.insert(1, Part("held_out.npz", s.held_out, (recipe.seed, 4), unseen=True))
    for part in parts[rank::count]:
        if run.should_stop():
            return False
        if (folder / part.name).exists():
            continue
        scenes = draw_part(sprites, part)
        tokens = tokenizer([scene.caption for scene in scenes], padding="max_length", truncation=True).input_ids
        partial = folder / f"partial_{rank}.npz"
        np.savez(
            partial,
            latents=encode(model, np.stack([scene.pixels for scene in scenes]), s.bf16).numpy().astype(np.float16),
            tokens=np.array(tokens, np.int16),
            covers=np.stack([scene.cover for scene in scenes]).astype(np.float16),
        )
        partial.replace(folder / part.name)
    return True


@torch.inference_mode()
def encode(model: AutoencoderKL, pictures: np.ndarray, bf16: bool = False) -> Tensor:
    """Pictures (n, height, width, 3) uint8 -> latents (n, 16, height / 16, width / 16)."""
    found = []
    for i in range(0, len(pictures), 16):
        batch = as_tensor(pictures[i : i + 16])
        batch = batch.to(device(), memory_format=torch.channels_last)
        with torch.autocast(device().type, torch.bfloat16, enabled=bf16):
            code = model.encode(batch).latent_dist.mode()
        found.append(code.float().cpu().contiguous())
    return torch.cat(found)


class Latents:
    """The cached scenes: latents (n, 16, h, w), token ids (n, length) and what things cover (n, h, w), file by file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.rows = np.empty((0, 2), np.int64)  # part and row of every scene
        self.shapes: list[tuple[int, ...]] = []  # of the latents of every part
        self.names: set[str] = set()
        self.refresh()
        if not self.parts:
            raise InvalidInput(f"{folder} holds no encoded scenes.", "Run the stage 'cache' first.")

    def refresh(self) -> None:
        """Take up the parts that have appeared since."""
        for path in sorted(self.folder.glob("part_*.npz")):
            if path.name in self.names:
                continue
            with np.load(path) as file:
                self.parts.append((file["latents"], file["tokens"], file["covers"]))
            self.shapes.append(self.parts[-1][0].shape[1:])
            rows = np.arange(len(self.parts[-1][0]))
            new = np.stack([np.full(len(rows), len(self.parts) - 1), rows], 1)
            self.rows = np.concatenate([self.rows, new])
            self.names.add(path.name)

    def draw(self, many: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (many, 16, h, w), token ids (many, length) and covers (many, 1, h, w) of scenes of one shape by lot.

        Every shape comes as often as there are scenes of it.
        """
        rows = self.rows
        if len(set(self.shapes)) > 1:
            shape = self.shapes[rows[rng.integers(0, len(rows)), 0]]
            same = np.array([one == shape for one in self.shapes])
            rows = rows[same[rows[:, 0]]]
        rows = rows[rng.integers(0, len(rows), many)]
        latents, tokens, covers = (np.stack([self.parts[part][kind][row] for part, row in rows]) for kind in range(3))
        return (
            torch.from_numpy(latents).float(),
            torch.from_numpy(tokens).long(),
            torch.from_numpy(covers[:, None]).float(),
        )
