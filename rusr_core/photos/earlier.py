"""Earlier compressions of a picture: its cosine coefficients lie on multiples of the tables that once divided them.

Bianchi and Piva, "Image Forgery Localization via Block-Grained Analysis of JPEG Artifacts" (2012), and Farid, "Exposing
Digital Forgeries From JPEG Ghosts" (2009), use the same trace. Only libjpeg's tables and the grid at the upper left
corner are looked for.
"""

from dataclasses import dataclass

import numpy as np

from rusr_core.decoding import ImageError
from rusr_core.degradations.jpeg_tables import BLOCK, tables
from rusr_core.limits import check_whole
from rusr_core.parts import cells

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-T T.871
FINEST = 92  # quality; the tables of finer ones have steps that rounding to whole pixels hides
MOST = 2**16  # blocks that are looked at
NEEDED = 60  # coefficients beyond their step, below which nothing is said
KINDS = 12  # of them, by place and multiple; portraits of 64 px have 20 at the worst quality, a smooth slope has one
DEEP = 0.2  # of the distance of chance: a picture that was compressed last with a table lies this near to its multiples
SHALLOW, DIP = 0.45, 0.5  # of chance and of neighbouring qualities: an earlier compression under a later one
COARSEST = 30  # quality of a later one, below which its steps are so wide that an earlier one is told by chance
FINER = 15  # by how much a later one has to be finer, whose own steps lie near those of the earlier one otherwise
RIVAL, NEAR = 1.8, 4  # how much further another quality must be, and how far away qualities are other ones
OWN = 6  # qualities so near to the last one have its trace
SMALLEST = 5  # quality


@dataclass(frozen=True)
class Trace:
    """A compression before what the file itself says."""

    quality: int
    sharpness: float  # 0: exactly on the multiples; 1: as far from them as by chance


def find_earlier(pixels: np.ndarray, last: int | None = None) -> Trace | None:
    """The quality at which `pixels` `[H, W, 3]` of 0 to 255 were once saved, or None if there is no trace.

    `last`: the quality of the file itself, if it is a JPEG file. Then only coarser ones can be seen: a later saving at
    a lower quality wipes the trace out, and one below 30 hides most. Raises `ImageError` for a quality that is none.
    """
    if last is not None:
        check_whole("last", last, 1, 100, ImageError)
        if last < COARSEST:
            return None
    coefficients = _coefficients(pixels)
    if len(coefficients) < 8:
        return None
    most = FINEST if last is None else min(FINEST, last - FINER)
    distances = {q: _distance(coefficients, q) for q in range(SMALLEST, (FINEST if last is None else last) + 1)}
    known = {q: d for q, d in distances.items() if np.isfinite(d) and q <= most}
    if not known:
        return None
    best = min(known, key=known.get)
    around = [distances[q] for q in distances if 3 <= abs(q - best) <= 8 and np.isfinite(distances[q])]
    beside = [distances[q] for q in distances if 0 < abs(q - best) <= NEAR and np.isfinite(distances[q])]
    if len(around) < 3 or min(beside, default=np.inf) < distances[best]:  # then it was one too near to the last
        return None
    if _kinds(coefficients, best) < KINDS:
        return None
    dip = distances[best] / np.median(around)
    limit = DEEP if last is None else SHALLOW
    others = [
        d for q, d in distances.items() if abs(q - best) > NEAR and np.isfinite(d) and q <= (last or FINEST) - OWN
    ]
    clear = last is None or min(others, default=np.inf) > RIVAL * distances[best]
    return Trace(best, float(distances[best])) if distances[best] < limit and dip < DIP and clear else None


def _coefficients(pixels: np.ndarray) -> np.ndarray:
    """The cosine coefficients `[n, 64]` of luma's blocks, without those that were cut off at black or white.

    Of a large picture, of `MOST` blocks at most.
    """
    blocks = cells(pixels, BLOCK, MOST)
    blocks = blocks[((blocks > 0) & (blocks < 255)).all((1, 2, 3))] @ LUMA - 128
    n = np.arange(BLOCK)
    basis = np.sqrt(2 / BLOCK) * np.cos((2 * n[None] + 1) * n[:, None] * np.pi / (2 * BLOCK))
    basis[0] /= np.sqrt(2)
    return (basis @ blocks @ basis.T).reshape(-1, BLOCK * BLOCK)


def _far(coefficients: np.ndarray, quality: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps `[64]` of a quality, and which coefficients `[n, 64]` lie beyond the step of theirs."""
    steps = tables(quality)[0].numpy().astype(np.float64).ravel()
    far = (np.abs(coefficients) > 0.75 * steps) & (steps > 2)
    far[:, 0] = False  # brightness is always far from 0, and there is one of it only
    return steps, far


def _kinds(coefficients: np.ndarray, quality: int) -> int:
    """How many different coefficients of a block have how many different multiples of their step, in all."""
    steps, far = _far(coefficients, quality)
    multiples = np.round(coefficients / steps)[far].astype(np.int64)
    return len(np.unique(np.stack([np.nonzero(far)[1], multiples]), axis=1).T)


def _distance(coefficients: np.ndarray, quality: int) -> float:
    """How far coefficients are from the multiples of a quality's table: 1 by chance, 0 on them; NaN: too few."""
    steps, far = _far(coefficients, quality)
    if far.sum() < NEEDED:
        return float("nan")
    error = (coefficients - steps * np.round(coefficients / steps)) ** 2 / (steps**2 / 12)
    return float(error[far].mean())
