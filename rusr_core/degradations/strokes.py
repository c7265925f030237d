"""Random brush strokes as visibility masks: 1 where the picture is seen, 0 under a stroke, soft at the
edges."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

CANVAS = 4  # strokes are drawn at 4 times the size and reduced twice by 2: section 14 of the protocol
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16


@lru_cache(maxsize=64)
def stroke_mask(count: int, seed: int, size: tuple[int, int], brush: float) -> Tensor:
    """A mask `[1, 1, H, W]` float32 in [0, 1] (not to be changed: it is kept) of `count` strokes `brush` px
    wide.

    Both ends of a stroke lie, in each direction, in the first or the last third of the picture. A pure
    function: the same arguments give the same mask.
    """
    height, width = (CANVAS * side for side in size)
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(count, 4, 2, generator=generator).numpy()
    side, place = u[..., 0] < 0.5, u[..., 1] / 3
    ends = np.where(side, place, 1 - place) * [width, height, width, height] - 0.5  # pixel centres are whole
    return torch.from_numpy(draw(ends, size, CANVAS * brush))[None, None]


def draw(strokes: np.ndarray, size: tuple[int, int], thickness: float) -> np.ndarray:
    """The mask `[H, W]` of strokes (x0, y0, x1, y1) `[S, 4]` with round ends, all in pixels of the 4x
    canvas."""
    height, width = (CANVAS * side for side in size)
    changes = np.zeros((height, width + 1), np.int32)  # +1 where a stroke begins in a row, -1 after its end
    rows = np.arange(height)
    for x0, y0, x1, y1 in np.asarray(strokes, np.float64):
        left, right = _spans(x0, y0, x1, y1, thickness / 2, rows)
        first = np.clip(np.ceil(left), 0, width)
        last = np.clip(np.floor(right) + 1, 0, width)
        inside = first < last
        changes[rows[inside], first[inside].astype(int)] += 1
        changes[rows[inside], last[inside].astype(int)] -= 1
    hidden = (np.cumsum(changes, 1)[:, :width] > 0).astype(np.float32)
    return 1 - _reduce(_reduce(hidden))


def _spans(
    x0: float, y0: float, x1: float, y1: float, radius: float, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where a stroke begins and ends in each row (left > right: it misses the row). It is convex: the hull of
    the row's pieces of the two discs and of the rectangle between them."""
    left, right = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    for x, y in ((x0, y0), (x1, y1)):
        half = np.sqrt(np.maximum(radius**2 - (rows - y) ** 2, 0))
        hit = np.abs(rows - y) <= radius
        left, right = (
            np.where(hit, np.minimum(left, x - half), left),
            np.where(hit, np.maximum(right, x + half), right),
        )
    length = np.hypot(x1 - x0, y1 - y0)
    if length == 0:
        return left, right
    ux, uy = (x1 - x0) / length, (y1 - y0) / length
    # 0 <= (x - x0) ux + (y - y0) uy <= length and -radius <= (y - y0) ux - (x - x0) uy <= radius
    low, high = _between(ux, (rows - y0) * uy - x0 * ux, 0, length)
    low2, high2 = _between(-uy, (rows - y0) * ux + x0 * uy, -radius, radius)
    low, high = np.maximum(low, low2), np.minimum(high, high2)
    hit = low <= high
    return np.where(hit, np.minimum(left, low), left), np.where(hit, np.maximum(right, high), right)


def _between(slope: float, offset: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """The interval of x with low <= slope x + offset <= high."""
    if abs(slope) < 1e-12:
        inside = (offset >= low) & (offset <= high)
        return np.where(inside, -np.inf, np.inf), np.where(inside, np.inf, -np.inf)
    a, b = (low - offset) / slope, (high - offset) / slope
    return np.minimum(a, b), np.maximum(a, b)


def _reduce(x: np.ndarray) -> np.ndarray:
    """Half the size, after a blur by the binomial of 5 taps, mirrored at the border (OpenCV's pyrDown)."""
    for axis in (0, 1):
        x = np.moveaxis(x, axis, 0)
        padded = np.pad(x, ((2, 2), (0, 0)), mode="reflect")
        length = len(x)
        x = sum(w * padded[tap : tap + length : 2] for tap, w in enumerate(BINOMIAL)).astype(np.float32)
        x = np.moveaxis(x, 0, axis)
    return np.ascontiguousarray(x)
