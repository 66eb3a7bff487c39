"""Shapes that the tests of data sets make themselves: vases of any profile, turned, scaled, holed, as files."""

import numpy as np

from studio.design.mesh_files import write_mesh
from studio.design.meshes import Mesh, on_the_ground


def vase(seed: int = 0, around: int = 32) -> Mesh:
    """A solid turned on a lathe about 60 mm high; each seed has another profile, waves and number of waves."""
    chance = np.random.default_rng(seed)
    radii = chance.uniform(6, 24, 6).repeat(3)[:-2] if seed else np.full(16, 15.0)
    radii = np.convolve(np.pad(radii, 1, mode="edge"), np.ones(3) / 3, "valid")
    heights = np.linspace(0, chance.uniform(35, 80) if seed else 60, len(radii))
    waves, deep = int(chance.integers(2, 8)), float(chance.uniform(0, 0.15)) if seed else 0.0
    angles = np.arange(around) * 2 * np.pi / around
    out = radii[:, None] * (1 + deep * np.cos(waves * angles))
    ring = np.stack([out * np.cos(angles), np.broadcast_to(heights[:, None], out.shape), -out * np.sin(angles)], -1)
    ends = np.array([[0, 0, 0], [0, heights[-1], 0]])
    k, i = np.arange(around), np.roll(np.arange(around), -1)
    sides = [
        np.concatenate(
            [np.stack([a + k, a + i, a + around + i], 1), np.stack([a + k, a + around + i, a + around + k], 1)]
        )
        for a in range(0, around * (len(radii) - 1), around)
    ]
    top, foot = len(radii) * around + 1, len(radii) * around
    last = around * (len(radii) - 1)
    lids = [np.stack([np.full(around, foot), i, k], 1), np.stack([np.full(around, top), last + k, last + i], 1)]
    faces = np.concatenate([*sides, *lids]).astype(np.int32)
    return on_the_ground(Mesh(np.concatenate([ring.reshape(-1, 3), ends]).astype(np.float32), faces))


def box(wide: float = 40, high: float = 60, deep: float = 20, at: float = 0.0) -> Mesh:
    """A box in mm on the ground, `at` mm to the side."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    both = np.array([part for a, b, c, d in faces for part in ((a, b, c), (a, c, d))], np.int32)
    return Mesh(corners * np.array([wide, high, deep], np.float32) + np.array([at, 0, 0], np.float32), both)


def turned(mesh: Mesh, angle: float = 0.0, scale: float = 1.0) -> Mesh:
    """About the upright axis, and larger."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]) * scale
    return Mesh((mesh.vertices @ turn.T).astype(np.float32), mesh.faces)


def together(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces + start for mesh, start in zip(meshes, starts[:-1].tolist(), strict=True)]
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), np.concatenate(faces).astype(np.int32))


def stl(mesh: Mesh) -> bytes:
    return write_mesh(mesh, "stl")
