"""The noise of one picture: the line through mean and variance of its flat patches.

The variance of a sensor's values is a times their mean plus b (Foi, Trimeche, Katkovnik and Egiazarian, "Practical
Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data", IEEE TIP 2008): 1 / a photons, and read noise
of variance b. Dead pixels are black in all channels and left out.
"""

from dataclasses import dataclass

import numpy as np

from rusr_core.parts import cells

PATCHES = 6, 9  # px of a patch; the second where many pixels are dead
MOST = 2**16  # patches that are looked at, about
MANY = 0.25  # share of dead pixels
CELL = 8  # px of a square in which dead pixels are counted
FEWEST = 14  # living pixels of a patch
QUANTILE = 0.35  # of the variances at a brightness: texture only adds to noise, and most pictures are flat in places
NORMAL = -0.385  # of which 0.35 of a normal distribution lies below
ROUNDING = 1 / 12 / 255**2  # variance of 8 bit
WHITE = (-0.22, 0.0)  # correlation of neighbours; beyond it what is left is no noise: blur, JPEG, enlarging, texture
VISIBLE = 3.5 / 255  # standard deviation that fine texture has, too
LEAST = 0.25  # of the variance, of a kind of noise whose number is stated; less is hidden under the other kind
NEEDED = 45  # patches below which nothing is said
HEADROOM = 2.8  # standard deviations to white
BRIGHT = 0.3  # mean of living pixels, among which a black one is dead
SIMPLE = 0.03  # of the log loss, what a second number must gain
ALIKE = 0.012  # of the log loss, below which photons and read noise cannot be told apart
CERTAIN = 1.8, 1.96  # among all lines as good as the best: largest to smallest variance of photons, and of read noise


@dataclass(frozen=True)
class NoiseLevel:
    """What a picture's noise is; None is unknown, 0 none (of photons: no photon noise)."""

    photons: float | None  # of the best line, as `read` is
    dead: float | None  # share of the pixels
    read: float | None  # standard deviation, of [0, 1]
    patches: int  # that the line was laid through
    correlation: float  # of neighbouring residuals
    certain: tuple[bool, bool] = (
        True,
        True,
    )  # whether lines that are as good have about these photons, this read noise


def find_noise(pixels: np.ndarray, hidden: np.ndarray | None = None) -> NoiseLevel:
    """The noise of `pixels` `[H, W, 3]` of 0 to 255; `hidden` `[H, W]` is True where nothing of the picture is seen."""
    hidden = np.broadcast_to(False, pixels.shape[:2]) if hidden is None else hidden
    dead = _dead_share(*_cut(pixels, hidden, CELL))
    size = PATCHES[dead is not None and dead > MANY]
    mean, variance, product = _patches(*_cut(pixels, hidden, size), size)
    line, free = None, size**2 * (1 - (dead or 0)) - 3  # degrees of freedom of a patch
    for _ in range(3):
        if mean.size < NEEDED:
            return NoiseLevel(None, dead, None, mean.size, 0.0)
        line = _line(mean, variance, free)
        if line is None:
            return NoiseLevel(None, dead, None, mean.size, 0.0)
        keep = mean + HEADROOM * np.sqrt(line.slope * mean + line.floor) < 1
        keep &= mean > 2 * np.sqrt(line.floor)
        mean, variance, product = mean[keep], variance[keep], product[keep]
    if mean.size < NEEDED:
        return NoiseLevel(None, dead, None, mean.size, 0.0)
    slope, floor = line.slope, line.floor
    middle = float(np.median(mean))
    height = slope * mean + floor + 1e-9
    flat = variance / height <= np.quantile(variance / height, QUANTILE)
    correlation = float(product[flat].sum() / max(variance[flat].sum(), 1e-12))
    level = float(np.sqrt(max(slope * middle + floor - ROUNDING, 0)))
    known = (None, dead, None, mean.size, correlation)
    if level < VISIBLE:
        return NoiseLevel(0.0, dead, 0.0, *known[3:]) if level < VISIBLE / 2 else NoiseLevel(*known)
    if not WHITE[0] < correlation < WHITE[1]:
        return NoiseLevel(*known)
    part = slope * middle / (slope * middle + floor)  # of the photons in the variance
    photons = 1 / slope if part > LEAST else None
    read = float(np.sqrt(max(floor - ROUNDING, 0))) if part < 1 - LEAST else None
    return NoiseLevel(photons, dead, read, mean.size, correlation, line.certain)


def _cut(pixels: np.ndarray, hidden: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squares of the picture, `MOST` or fewer: values `[n, size * size, 3]` in [0, 1], which of them are black and not
    hidden `[n, size * size]`, and which are hidden."""
    x = cells(pixels, size, MOST).reshape(-1, size**2, 3).astype(np.float64) / 255
    covered = cells(hidden, size, MOST).reshape(-1, size**2)
    return x, (x <= 0).all(2) & ~covered, covered


def _dead_share(x: np.ndarray, black: np.ndarray, hidden: np.ndarray) -> float | None:
    """The share of black pixels in bright squares, None if there are none: in the dark, no photon looks the same."""
    alive = ~black & ~hidden
    count = alive.sum(1)
    mean = (x.mean(2) * alive).sum(1) / np.maximum(count, 1)
    bright = (mean > BRIGHT) & (count >= CELL) & ~hidden.any(1)
    return float(black[bright].mean()) if bright.sum() >= 6 else None


def _patches(x: np.ndarray, dead: np.ndarray, hidden: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """Mean, variance around a plane, and mean product of neighbouring residuals `[n]` of each channel's patches.

    Patches with hidden pixels, with values at white or with few living pixels are left out.
    """
    alive = (~dead & ~hidden).astype(np.float64)
    good = (alive.sum(1) >= FEWEST) & ~hidden.any(1)
    offsets = np.arange(size) - (size - 1) / 2
    plane = np.stack([np.ones(size**2), np.repeat(offsets, size), np.tile(offsets, size)], 1)
    weights, found = alive[good], []
    normal = np.einsum("pi,ij,ik->pjk", weights, plane, plane) + 1e-9 * np.eye(3)
    grid = weights.reshape(-1, size, size)
    pairs = (grid[:, :, 1:] * grid[:, :, :-1]).sum((1, 2)) + (grid[:, 1:] * grid[:, :-1]).sum((1, 2))
    for channel in range(3):
        v = x[good, :, channel]
        fit = np.linalg.solve(normal, np.einsum("pi,ij,pi->pj", weights, plane, v)[..., None])[..., 0]
        rest = (v - fit @ plane.T) * weights
        square = rest.reshape(-1, size, size)
        product = (square[:, :, 1:] * square[:, :, :-1]).sum((1, 2)) + (square[:, 1:] * square[:, :-1]).sum((1, 2))
        mean, variance = (v * weights).sum(1) / weights.sum(1), (rest**2).sum(1) / (weights.sum(1) - 3)
        keep = (mean > 0.03) & ((v * weights >= 1).mean(1) < 0.03) & (variance > 0) & (pairs > 0)
        found.append((mean[keep], variance[keep], product[keep] / pairs[keep]))
    return tuple(np.concatenate(column) for column in zip(*found, strict=True))


@dataclass(frozen=True)
class _Line:
    """Variance over mean."""

    slope: float
    floor: float  # at mean 0
    certain: tuple[bool, bool]  # whether all lines that are as good have about this slope, and about this floor


def _line(mean: np.ndarray, variance: np.ndarray, free: float) -> _Line | None:
    """The line through the variances, of `free` degrees of freedom, of flat patches.

    That of the least quantile loss relative to its own height; of photons or of read noise alone, if that is
    hardly worse; None if these two are alike. What a quantile of a patch's variance is of its mean: Wilson and
    Hilferty's cube for chi-squared variables.
    """
    middle = float(np.median(mean))
    shares = np.linspace(0, 1, 41)  # of the photons in the variance at the median brightness
    ratios = [np.log(variance / (share / middle * mean + 1 - share)) for share in shares]
    scales = [np.quantile(ratio, QUANTILE) for ratio in ratios]
    excess = [ratio - scale for ratio, scale in zip(ratios, scales, strict=True)]
    losses = [np.log(np.mean(np.where(e > 0, QUANTILE * e, (QUANTILE - 1) * e)) + 1e-9) for e in excess]
    best = int(np.argmin(losses))
    if abs(losses[0] - losses[-1]) < ALIKE and losses[0] - losses[best] < SIMPLE:
        return None
    simple = min((0, len(shares) - 1), key=lambda i: losses[i])
    best = simple if losses[simple] - losses[best] < SIMPLE else best
    expected = (1 - 2 / (9 * free) + NORMAL * np.sqrt(2 / (9 * free))) ** 3
    heights = np.exp(scales) / expected
    slopes, floors = shares / middle * heights, (1 - shares) * heights
    good = np.array(losses) <= min(losses) + SIMPLE
    rows = zip((slopes[good], floors[good]), CERTAIN, strict=True)
    certain = tuple(bool(v.max() < most * v.min()) for v, most in rows)
    return _Line(float(slopes[best]), float(floors[best]), certain)
