"""The size that an enlarged picture had: interpolation writes every line as sums of a few numbers.

A column of H pixels that was made of h samples by a linear kernel lies in a space of h dimensions. What of the picture
lies outside is measured for every h and kernel: rounding alone if both are right, and much more beside them. The same
linear dependence is what Gallagher, "Detection of Digital Image Interpolation" (CRV 2005), sees as a period.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from rusr_core.images import resize

KERNELS = ("bilinear", "bicubic", "lanczos")
SMALLEST = 8  # px, of the size before
LONGEST = 256  # px of a line that are looked at
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


def find_enlarged(pixels: np.ndarray, blocks: bool = False) -> Enlarged | None:
    """The size and kernel from which `pixels` `[H, W, 3]` of 0 to 255 were enlarged, or None: there is no trace.

    `blocks`: whether the picture was saved as a JPEG file since then.
    """
    lines = pixels.astype(np.float64)
    repeats = [_repeats(lines.transpose(axis, 1 - axis, 2)) for axis in (0, 1)]
    if all(repeats):
        return Enlarged(repeats[0], repeats[1], "nearest", 0.0)
    most = LARGEST_OF_BLOCKS if blocks else LARGEST
    down = _search(lines, most)
    across = None if down is None else _search(lines.transpose(1, 0, 2), most)
    if down is None or across is None or down[1] != across[1]:
        return None
    ratios = (pixels.shape[0] / down[0], pixels.shape[1] / across[0])
    if abs(ratios[0] / ratios[1] - 1) > 0.1:
        return None  # pictures are enlarged alike in both directions
    return Enlarged(down[0], across[0], down[1], max(down[2], across[2]))


def _repeats(lines: np.ndarray) -> int | None:
    """How many different rows `[H, W, 3]` there are if rows are repeated as `nearest` repeats them, else None."""
    height = len(lines)
    new = np.abs(np.diff(lines, axis=0)).mean((1, 2)) > REPEATED
    num = int(new.sum()) + 1
    if not SMALLEST / 2 <= num <= LARGEST * height:
        return None
    sources = np.floor((np.arange(height) + 0.5) * num / height).astype(int)
    return num if np.array_equal(np.diff(sources) > 0, new) else None


def _search(lines: np.ndarray, most: float) -> tuple[int, str, float] | None:
    """(size before, kernel, contrast) of the rows of `[H, W, 3]`, or None."""
    height = len(lines)
    columns = lines.reshape(height, -1)
    inside = ((columns > 0) & (columns < 255)).all(0)  # what was cut off is no sum
    columns = columns[:, inside] if inside.sum() >= 32 else columns
    if height > LONGEST:
        sizes = sorted({round(height / ratio) for ratio in (1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16)})
        sizes = [size for size in sizes if size >= SMALLEST]
    else:
        sizes = range(SMALLEST, int(most * height) + 1)
    part = columns[:LONGEST] - columns[:LONGEST].mean()
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
    left = np.trace(spread) - np.einsum("ij,ik,kj->", basis, spread, basis, optimize=True)
    return max(float(left), 0.0) / max(1, len(spread) - basis.shape[1])


@lru_cache(maxsize=2048)
def _basis(height: int, num: int, size: int, kernel: str) -> np.ndarray:
    """An orthonormal basis `[num, k]` of the first `num` of `height` pixels, enlarged from `size` in every way."""
    points = torch.eye(size, dtype=torch.float64)[None, None]
    rows = resize(points, (height, size), kernel)[0, 0, :num].numpy()
    rows = rows[:, np.abs(rows).max(0) > 1e-9]
    return np.linalg.qr(rows)[0]
