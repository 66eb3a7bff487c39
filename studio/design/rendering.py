"""Pictures of a mesh without a graphics card: a z-buffer in numpy, three lights, a shadow on the ground.

`render` draws one view, `turntable` the frames of a whole turn. Knows no files.
"""

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from studio.design.meshes import Mesh, is_closed

Vertices = NDArray[np.float32]
Faces = NDArray[np.int32]
PAPER = (244, 242, 238)
CLAY = (205, 188, 170)
_FAR = np.uint64(2**64 - 1)
_STEPS = 2.0**31  # of depth that the buffer tells apart
_BLOCK = 2_000_000  # pixels that are looked at in one go

# where light comes from, seen from the camera (right, up, towards it), and how strong it is
_KEY, _FILL, _RIM = (
    ((np.array(v) / np.linalg.norm(v)).astype(np.float32), s)
    for v, s in (((-0.55, 0.75, 0.6), 0.72), ((0.8, 0.15, 0.5), 0.2), ((0.3, 0.5, -0.9), 0.28))
)


def vertex_normals(vertices: Vertices, faces: Faces) -> Vertices:
    """Unit normals (v, 3): of the faces around each vertex, the larger ones counting more."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(faces.ravel(), np.repeat(across[:, k], 3), minlength=len(vertices)) for k in range(3)], 1
    )
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def nearest_faces(seen: NDArray[np.floating], faces: Faces, side: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """What each pixel of a square picture shows: the face's number (side, side), -1 for none, and its depth.

    `seen` (v, 3) are columns and rows in pixels and the depth, less is nearer. Pixels count by their middles.
    """
    corners = seen[faces].astype(np.float64)
    low = np.ceil(corners[:, :, :2].min(1) - 0.5).astype(np.int64).clip(0, side)
    high = (np.floor(corners[:, :, :2].max(1) - 0.5).astype(np.int64) + 1).clip(0, side)
    spans = np.maximum(high - low, 0)
    near, far = float(seen[:, 2].min()), float(seen[:, 2].max())
    scale = _STEPS / max(far - near, 1e-9)
    buffer = np.full(side * side, _FAR, np.uint64)
    x, y = corners[:, :, 0], corners[:, :, 1]
    twice = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    there = np.flatnonzero((spans.min(1) > 0) & (np.abs(twice) > 1e-9))
    # faces of like size together: one table of the pixels below their boxes each
    sizes = np.ceil(np.log2(np.maximum(spans[there].max(1), 1))).astype(int)
    for size in np.unique(sizes):
        wide, group = 2**size, there[sizes == size]
        rows, columns = np.divmod(np.arange(wide * wide), wide)
        for some in np.array_split(group, max(1, len(group) * wide * wide // _BLOCK)):
            px, py = low[some, :1] + columns, low[some, 1:] + rows
            cx, cy = px + 0.5, py + 0.5
            weights = []
            for k in range(3):
                i, j = (k + 1) % 3, (k + 2) % 3
                xi, yi, xj, yj = (v[some, m][:, None] for v, m in ((x, i), (y, i), (x, j), (y, j)))
                weights.append(((xi - cx) * (yj - cy) - (xj - cx) * (yi - cy)) / twice[some, None])
            inside = (px < high[some, :1]) & (py < high[some, 1:])
            inside &= (weights[0] >= -1e-9) & (weights[1] >= -1e-9) & (weights[2] >= -1e-9)
            depth = np.sum([w * corners[some, k, 2][:, None] for k, w in enumerate(weights)], 0)
            found, pixel = np.nonzero(inside)
            steps = ((depth[found, pixel] - near) * scale).clip(0, _STEPS).astype(np.uint64)
            key = (steps << np.uint64(32)) | some[found].astype(np.uint64)
            np.minimum.at(buffer, py[found, pixel] * side + px[found, pixel], key)
    hit = buffer != _FAR
    numbers = np.where(hit, (buffer & np.uint64(2**32 - 1)).astype(np.int64), -1)
    depths = np.where(hit, (buffer >> np.uint64(32)).astype(np.float64) / scale + near, np.inf)
    return numbers.reshape(side, side), depths.reshape(side, side).astype(np.float32)


def _camera(yaw: float, pitch: float) -> NDArray[np.float64]:
    """Rows: right, up and towards the viewer, in the mesh's axes (y up)."""
    right = np.array([np.cos(yaw), 0.0, -np.sin(yaw)])
    back = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    return np.stack([right, np.cross(back, right), back])


def render(
    vertices: Vertices,
    faces: Faces,
    side: int = 256,
    yaw: float = 0.6,
    pitch: float = 0.38,
    colour: tuple[int, int, int] = CLAY,
    background: tuple[int, int, int] | None = PAPER,
    colours: NDArray[np.uint8] | None = None,
) -> Image.Image:
    """A square picture of a mesh (y up) that fills it whichever way it is turned; without a background it is RGBA.

    Angles in radians; `colours` (v, 3) are the vertices' own. Drawn twice as large and made smaller: smooth edges.
    """
    large = 2 * side
    low, high = vertices.min(0), vertices.max(0)
    middle = (low + high) / 2
    radius = float(np.hypot((high - low)[0], (high - low)[2]) / 2)
    half = (high - low)[1] / 2
    reach = max(radius, float(half * np.cos(pitch) + radius * abs(np.sin(pitch))), 1e-6) * 1.12
    turn = _camera(yaw, pitch)
    placed = (vertices - middle) @ turn.T / reach
    screen = np.stack([(placed[:, 0] + 1) / 2 * large, (1 - placed[:, 1]) / 2 * large, -placed[:, 2]], 1)
    front = faces[_towards(vertices, faces, turn[2])] if is_closed(Mesh(vertices, faces)) else faces
    numbers, depths = nearest_faces(screen, front, large)
    hit = numbers >= 0
    corners = front[numbers[hit]]
    weights = _barycentric(screen, corners, np.argwhere(hit))
    normals = np.einsum("pk,pkc->pc", weights, vertex_normals(vertices, faces)[corners]) @ turn.T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    bright = 0.42 + 0.12 * (normals @ turn[:, 1])  # light of the sky
    for direction, strength in (_KEY, _FILL, _RIM):
        bright += strength * np.clip(normals @ direction, 0, None)
    towards = np.clip(normals[:, 2], 0, 1)
    shine = np.clip(normals @ _halfway(), 0, 1) ** 40 * 0.22
    bright *= _hollows(depths)[hit] * (0.82 + 0.18 * towards)
    own = colours[corners].astype(np.float64) if colours is not None else None
    base = np.einsum("pk,pkc->pc", weights, own) if own is not None else np.array(colour, np.float64)
    picture = np.zeros((large, large, 4))
    shadow = _shadow(vertices, faces, middle, turn, reach, large) if pitch > 0.05 else np.zeros((large, large))
    if background is None:
        picture[..., 3] = 255 * shadow
    else:
        picture[..., :3] = np.array(background) * (1 - shadow[..., None])
        picture[..., 3] = 255
    picture[hit, :3] = np.clip(base * bright[:, None] + 255 * shine[:, None], 0, 255)
    picture[hit, 3] = 255
    drawn = Image.fromarray(picture.round().astype(np.uint8)).resize((side, side), Image.Resampling.BOX)
    return drawn if background is None else drawn.convert("RGB")


def _towards(vertices: Vertices, faces: Faces, direction: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which faces (f,) look that way: of a closed mesh no others are seen from there."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return np.cross(b - a, c - a) @ direction.astype(np.float32) > 0


def _halfway() -> NDArray[np.float32]:
    between = _KEY[0] + np.array([0, 0, 1])
    return (between / np.linalg.norm(between)).astype(np.float32)


def _barycentric(screen: NDArray[np.float64], corners: Faces, pixels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much each corner of a pixel's face counts there (p, 3)."""
    a, b, c = (screen[corners[:, k], :2] for k in range(3))
    at = pixels[:, ::-1] + 0.5
    cross = lambda u, v: u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]  # noqa: E731
    whole = cross(b - a, c - a)
    first = cross(b - at, c - at) / whole
    second = cross(c - at, a - at) / whole
    return np.stack([first, second, 1 - first - second], 1).clip(0, 1)


def _hollows(depths: NDArray[np.float32]) -> NDArray[np.float64]:
    """Less than 1 where the surface lies deeper than its surroundings (T. Luft et al. 2006, depth unsharp masking)."""
    hit = np.isfinite(depths)
    plain = np.where(hit, depths, 0)
    dark = np.zeros(depths.shape)
    for spread in (len(depths) / 90, len(depths) / 28):
        share = _blurred(hit.astype(np.float32), spread, spread)
        around = _blurred(plain.astype(np.float32), spread, spread) / np.maximum(share, 1e-3)
        dark += np.clip(plain - around, 0, 0.25)
    return 1 - np.clip(1.6 * dark, 0, 0.45)


def _shadow(
    vertices: Vertices, faces: Faces, middle: Vertices, turn: NDArray[np.float64], reach: float, large: int
) -> NDArray[np.float64]:
    """How dark the ground is at each pixel (0 to 0.5): the mesh flattened along the light onto its lowest level.

    What is nearer to the ground throws the sharper shadow: a soft one of all, and a narrow one of the lowest part.
    """
    floor = float(vertices[:, 1].min())
    light = turn.T @ _KEY[0]
    light[1] = max(light[1], 0.5)
    slope = light[[0, 2]] / light[1] * 0.6
    up = vertices[:, 1] - floor
    rough = -(-large // 4)  # it is blurred anyway
    dark = np.zeros((rough, rough))
    for least, spread, strength in ((1.0, rough / 40, 0.2), (0.06, rough / 110, 0.3)):
        limit = least * max(float(up.max()), 1e-9)
        part = faces[(up[faces] <= limit * 1.0001).all(1)]
        if not len(part):
            continue
        flat = np.stack([vertices[:, 0] - slope[0] * up, np.full(len(up), floor), vertices[:, 2] - slope[1] * up], 1)
        placed = (flat - middle) @ turn.T / reach
        screen = np.stack([(placed[:, 0] + 1) / 2 * rough, (1 - placed[:, 1]) / 2 * rough, -placed[:, 2]], 1)
        numbers, _ = nearest_faces(screen, part, rough)
        dark += strength * _blurred((numbers >= 0).astype(np.float32), spread * 0.6, spread)
    whole = Image.fromarray(dark.astype(np.float32)).resize((large, large), Image.Resampling.BICUBIC)
    return np.asarray(whole).clip(0, None).astype(np.float64)


def _blurred(plane: NDArray[np.float32], down: float, across: float) -> NDArray[np.float64]:
    """A square plane under a bell of so many pixels' deviation, drawn small where the bell is wide: much faster."""
    side = len(plane)
    factor = 2 ** max(0, int(np.log2(max(min(down, across) / 2, 1))))
    small = Image.fromarray(plane).resize((-(-side // factor),) * 2, Image.Resampling.BOX)
    soft = ndimage.gaussian_filter(np.asarray(small), (down / factor, across / factor))
    whole = Image.fromarray(soft).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(whole).clip(0, None).astype(np.float64)


def turntable(
    vertices: Vertices, faces: Faces, frames: int = 48, side: int = 320, **look: object
) -> Iterator[Image.Image]:
    """The frames of one whole turn about the upright axis."""
    for k in range(frames):
        yield render(vertices, faces, side, yaw=0.6 + 2 * np.pi * k / frames, **look)  # type: ignore[arg-type]


def png_of(picture: Image.Image) -> bytes:
    whole = io.BytesIO()
    picture.save(whole, "PNG", optimize=True)
    return whole.getvalue()
