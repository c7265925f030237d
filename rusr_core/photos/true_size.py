"""The size that an enlarged picture had: interpolation writes every line as sums of a few numbers.

A column of H pixels that was made of h samples by a linear kernel lies in a space of h dimensions. What of the picture
lies outside is measured for every h and kernel: rounding alone if both are right, and much more beside them. The same
linear dependence is what Gallagher, "Detection of Linear and Cubic Interpolation in JPEG Compressed Images" (CRV 2005),
sees as a period.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
import torch
import torch.nn.functional as F

from rusr_core.images import lanczos_weights, resize
from rusr_core.parts import strips

KERNELS = ("bilinear", "bicubic", "lanczos")
SMALLEST = 8  # px, of the size before
LONGEST = 256  # px of a line that are looked at
REACH = 8  # points beyond those under a row that have a part in it, at most
LARGEST = 0.92  # of the side; enlarging by less cannot be told from a soft picture
LARGEST_OF_BLOCKS = 0.55  # where the blocks of a JPEG file are lines of 8 px with a rule of their own
DIP = 0.3  # of the neighbouring sizes, what is left at the right one
REPEATED = 0.02  # grey levels of 255, the mean difference of repeated pixels


@dataclass(frozen=True)
class Enlarged:
    """A picture that was smaller once."""

    height: int
    width: int
    mode: str  # of `images.resize`
    contrast: float  # what lies outside of the space, over that at the neighbouring sizes: 0 is certain


def find_enlarged(pixels: np.ndarray, blocks: bool = False, hidden: np.ndarray | None = None) -> Enlarged | None:
    """The size and kernel from which `pixels` `[H, W, 3]` of 0 to 255 were enlarged, or None: there is no trace.

    `blocks`: whether the picture was saved as a JPEG file since then. `hidden` `[H, W]`: columns and rows with such
    pixels are not looked at.
    """
    columns = rows = pixels
    if hidden is not None:
        columns, rows = pixels[:, ~hidden.any(0)], pixels[~hidden.any(1)]
        if min(columns.shape[1], rows.shape[0]) < 2:
            return None
    repeats = (_repeats(_changes(columns)[0]), _repeats(_changes(rows)[1]))
    if all(repeats):
        return Enlarged(repeats[0], repeats[1], "nearest", 0.0)
    most = LARGEST_OF_BLOCKS if blocks else LARGEST
    down = _search(columns, most)
    across = None if down is None else _search(rows.swapaxes(0, 1), most)
    if down is None or across is None or down[1] != across[1]:
        return None
    ratios = (pixels.shape[0] / down[0], pixels.shape[1] / across[0])
    if abs(ratios[0] / ratios[1] - 1) > 0.1:
        return None  # pictures are enlarged alike in both directions
    return Enlarged(down[0], across[0], down[1], max(down[2], across[2]))


def _changes(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean absolute differences of neighbouring rows `[H - 1]` of a picture `[H, W, 3]`, and columns `[W - 1]`."""
    height, width = pixels.shape[:2]
    down, across = [], np.zeros(width - 1)
    for rows, own in strips(height, width, 1):
        strip = pixels[rows].astype(np.float32)
        across += np.abs(np.diff(strip[own], axis=1)).sum((0, 2), dtype=np.float64)
        last = min(own.stop + 1, len(strip))  # with the row below, if there is one
        down.append(np.abs(np.diff(strip[own.start : last], axis=0)).mean((1, 2)))
    return np.concatenate(down), across / (3 * height)


def _repeats(changes: np.ndarray) -> int | None:
    """How many different rows there are if they are repeated as `nearest` repeats them, else None; by `_changes`."""
    height = len(changes) + 1
    new = changes > REPEATED
    num = int(new.sum()) + 1
    if not SMALLEST / 2 <= num <= LARGEST * height:
        return None
    sources = np.floor((np.arange(height) + 0.5) * num / height).astype(int)
    return num if np.array_equal(np.diff(sources) > 0, new) else None


def _search(lines: np.ndarray, most: float) -> tuple[int, str, float] | None:
    """(size before, kernel, contrast) of the rows of `[H, W, 3]`, or None."""
    height = len(lines)
    columns = lines[:LONGEST].reshape(min(height, LONGEST), -1).astype(np.float64)
    inside = ((columns > 0) & (columns < 255)).all(0)  # what was cut off is no sum
    columns = columns[:, inside] if inside.sum() >= 32 else columns
    if height > LONGEST:
        sizes = sorted({round(height / ratio) for ratio in (1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16)})
        sizes = [size for size in sizes if size >= SMALLEST]
    else:
        sizes = range(SMALLEST, int(most * height) + 1)
    part = columns - columns.mean()
    spread = part @ part.T
    if np.trace(spread) < part.size:  # of less than one grey level, rounding is all there is
        return None
    found = []
    for kernel in KERNELS:
        left = {size: _outside(spread, height, size, kernel) for size in sizes}
        for size in sizes:
            beside = [left.get(size + d) or _outside(spread, height, size + d, kernel) for d in (-2, -1, 1, 2)]
            contrast = left[size] / max(min(beside), 1e-12)
            if contrast < DIP:
                found.append((left[size], size, kernel, contrast))
    least = min(found, default=(0.0,))[0]  # sizes that are multiples may hold all that the true one holds
    good = sorted((size, rest, kernel, contrast) for rest, size, kernel, contrast in found if rest <= 2 * least)
    return (good[0][0], good[0][2], good[0][3]) if good else None


def _outside(spread: np.ndarray, height: int, size: int, kernel: str) -> float:
    """What of the scatter `[n, n]` of the first n of `height` pixels lies outside of the enlargements from `size`."""
    basis = _basis(height, len(spread), size, kernel)
    left = np.trace(spread) - (basis * (spread @ basis)).sum()
    return max(float(left), 0.0) / max(1, len(spread) - basis.shape[1])


@lru_cache(maxsize=2048)
def _basis(height: int, num: int, size: int, kernel: str) -> np.ndarray:
    """An orthonormal basis `[num, k]` of the first `num` of `height` pixels, enlarged from `size` in every way."""
    rows = enlarging(height, size, kernel, num).numpy()
    rows = rows[:, np.abs(rows).max(0) > 1e-9]
    return np.linalg.qr(rows)[0]


def enlarging(height: int, size: int, kernel: str, num: int) -> torch.Tensor:
    """The first `num` rows `[num, k]`, float64, of the matrix that enlarges `size` points to `height` as `resize` does.

    `k` is `size`, or fewer: further points have no part in these rows.
    """
    reach = ceil(num * size / height) + REACH
    if reach >= size:
        return resize(torch.eye(size, dtype=torch.float64)[None, None], (height, size), kernel)[0, 0, :num]
    if kernel == "lanczos":
        return lanczos_weights(size, height, (num, reach)).double()
    points = torch.eye(reach, dtype=torch.float64)[None, None]
    return F.interpolate(points, scale_factor=(height / size, 1.0), mode=kernel, antialias=True)[0, 0, :num]
