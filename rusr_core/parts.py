"""A picture of any size within a bounded memory: in strips, or by parts that are taken evenly and stand for all of it.

Pictures of up to a few million pixels are looked at whole, so that only larger ones are estimated from a part.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image

STRIP = 2**20  # pixels of a strip, about
GOLDEN = (5**0.5 - 1) / 2


def cells(picture: np.ndarray, size: int, most: int) -> np.ndarray:
    """Squares `[n, size, size, ...]` of `picture` `[H, W, ...]`, of a grid that begins at its upper left corner.

    All whole squares of the grid, or, if they are more than `most`, about so many. These are spread evenly, but not in
    the rows and columns of a coarser grid, which might have the period of what is in the picture: the multiples of the
    golden ratio less their whole part (Weyl's sequence), as shares of the squares.
    """
    rows, columns = (side // size for side in picture.shape[:2])
    grid = picture[: rows * size, : columns * size].reshape(rows, size, columns, size, *picture.shape[2:])
    if rows * columns <= most:
        return grid.swapaxes(1, 2).reshape(-1, size, size, *picture.shape[2:])
    shares = np.arange(most) * GOLDEN % 1
    taken = np.unique((shares * rows * columns).astype(np.int64))
    return grid[taken // columns, :, taken % columns]


def strips(height: int, width: int, margin: int = 0) -> Iterator[tuple[slice, slice]]:
    """A picture's rows in strips: those with a `margin` on either side, where there is one, and its own among them."""
    step = max(1, STRIP // width)
    for top in range(0, height, step):
        above, bottom = max(0, top - margin), min(height, top + step)
        yield slice(above, min(height, bottom + margin)), slice(top - above, bottom - above)


def picture_strips(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """The rows of a Pillow image in strips, and the strip of each, of the same mode."""
    for rows, _ in strips(picture.height, picture.width):
        yield rows, picture.crop((0, rows.start, picture.width, rows.stop))
