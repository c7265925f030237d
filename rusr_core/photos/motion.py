"""A motion over a whole picture, from the dips that it leaves in the spectrum.

A straight motion of L px multiplies the spectrum by sin(pi L u) / (pi L u), where u is the frequency along it, so that
the spectrum is dark along parallel lines 1 / L apart (Cannon, "Blind Deconvolution of Spatially Invariant Image Blurs
with Phase", IEEE Transactions on Acoustics, Speech, and Signal Processing 1976). Here the logarithm of that factor is
compared with the logarithm of the power, for all lengths and directions. What pictures have by themselves is left out
of both before: a fall-off that is smooth in radius and angle, and a ridge at u = 0, which long straight edges make.
"""

from dataclasses import dataclass

import numpy as np

from rusr_core.parts import cells

TILE, TILES = 256, 64  # px of the squares whose spectra are averaged, and at most how many, about
LOWEST, HIGHEST = 0.015, 0.42  # cycles a pixel; below, there is the picture itself, above, too little is left
FLOOR = 0.05  # power of the rounding to 8 bit: 1/12 in each of three channels, of whose mean this is, and some more
FAINT = 3.0  # floors, above which power tells something
DEEPEST = 0.004  # of the factor, squared: between the frequencies of a spectrum no dip is seen to its ground
SHORTEST, LONGEST, LENGTHS = 3.0, 48.0, 56  # px, and how many are tried
PART = 0.3  # of a tile: longer motions have dips too near to each other
STEP = 3  # degrees between the directions that are tried
AWAY = 25  # degrees, beyond which a direction is another one
BINS = 256  # of frequencies along a direction, up to 0.5
SURE, ALONE = 0.33, 1.5  # a fit of no motion reaches 0.34, but then others fit nearly as well
POSSIBLE, RIVALLED = 0.2, 1.35
RIDGES = (0.01, 0.03)  # cycles a pixel, over which a ridge falls off to 1 / e


@dataclass(frozen=True)
class Motion:
    """The motion that explains a spectrum best, and how well it does."""

    length: float  # px
    direction: float  # degrees, as in `Blur`
    fit: float  # correlation of its dips with what they should explain, from -1 to 1
    depth: float  # of the dips, 1 where they are as deep as this motion makes them
    elsewhere: float  # the best fit of a motion along quite another direction

    @property
    def sure(self) -> bool:
        """Whether the dips are there, deep enough, and along one direction alone."""
        return self.fit > SURE and self.depth > SURE and self.fit > ALONE * self.elsewhere

    @property
    def possible(self) -> bool:
        """Whether there may have been a motion, though it is not sure."""
        return self.fit > POSSIBLE and self.fit > RIVALLED * self.elsewhere


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """The logarithm of a power spectrum at n frequencies, and what is smooth in it."""

    columns: np.ndarray  # [n], cycles a pixel
    rows: np.ndarray  # [n]
    weights: np.ndarray  # [n], square roots of how much each frequency tells
    smooth: np.ndarray  # [n, 13], an orthonormal basis of weighted smooth functions
    rest: np.ndarray  # [n], what no smooth function explains, weighted


def find_motion(pixels: np.ndarray) -> Motion:
    """The motion that explains the spectrum of `pixels` `[H, W, 3]` of 0 to 255 best, be there one or not."""
    side = min(TILE, *pixels.shape[:2])
    spectrum = _spectrum(cells(pixels, side, TILES))
    lengths = np.geomspace(SHORTEST, min(LONGEST, PART * side), LENGTHS)
    directions = np.arange(-90.0, 90.0, STEP)
    fits = np.stack([_fits(spectrum, direction, lengths)[0] for direction in directions])
    row, column = np.unravel_index(fits.argmax(), fits.shape)
    away = np.abs((directions - directions[row] + 90) % 180 - 90) > AWAY
    near = lengths[column] * np.linspace(0.93, 1.07, 15)
    around = directions[row] + np.linspace(-STEP, STEP, 7)
    found = []
    for direction in around:
        fit, depth = _fits(spectrum, direction, near)
        best = fit.argmax()
        found.append((fit[best], near[best], direction, depth[best]))
    fit, length, direction, depth = max(found)
    return Motion(float(length), float((direction + 90) % 180 - 90), float(fit), float(depth), float(fits[away].max()))


def _spectrum(tiles: np.ndarray) -> _Spectrum:
    """The mean power of tiles `[k, T, T, 3]`, in grey (Welch, IEEE Transactions on Audio and Electroacoustics 1967)."""
    side, power = tiles.shape[1], 0
    window = np.hanning(side)[:, None] * np.hanning(side)
    for tile in tiles:
        grey = tile.mean(2, dtype=np.float64)
        power = power + np.abs(np.fft.fft2((grey - grey.mean()) * window)) ** 2
    rows, columns = np.meshgrid(*[np.fft.fftfreq(side)] * 2, indexing="ij")
    radius = np.hypot(rows, columns)
    half = (rows > 0) | ((rows == 0) & (columns > 0))  # the other half is the same
    used = half & (radius > LOWEST) & (radius < HIGHEST)
    rows, columns, radius = rows[used], columns[used], radius[used]
    level = np.log(power[used] / (len(tiles) * (window**2).sum()) + FLOOR)
    angle, log = np.arctan2(rows, columns), np.log(radius)
    terms = [np.ones_like(radius), log, radius, radius**2, log**2]
    terms += [factor * wave(k * angle) for k in (2, 4) for wave in (np.cos, np.sin) for factor in (1, log)]
    basis, weights = np.stack(terms, 1), np.ones_like(radius)
    for _ in range(2):  # the fall-off, and once more where it tells something
        smooth, _ = np.linalg.qr(basis * weights[:, None])
        fitted = smooth @ (smooth.T @ (level * weights)) / weights
        above = np.maximum(np.exp(fitted) - FLOOR, 1e-6)
        weights = 1 / np.hypot(1, FAINT * FLOOR / above)
    smooth, _ = np.linalg.qr(basis * weights[:, None])
    rest = level * weights
    return _Spectrum(columns, rows, weights, smooth, rest - smooth @ (smooth.T @ rest))


def _fits(spectrum: _Spectrum, direction: float, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The fit and the depth of motions of `lengths` `[l]` px along a direction in degrees, `[l]` each.

    The factor depends on u alone, so that all sums over frequencies are sums over bins of u.
    """
    turn = np.deg2rad(direction)
    along = np.abs(spectrum.columns * np.cos(turn) - spectrum.rows * np.sin(turn))  # rows count downwards
    bins = np.minimum((along * 2 * BINS).astype(int), BINS - 1)

    def binned(values: np.ndarray) -> np.ndarray:
        return np.bincount(bins, values * spectrum.weights, BINS)

    places = (np.arange(BINS) + 0.5) / (2 * BINS)
    dips = np.log(np.sinc(lengths[:, None] * places) ** 2 + DEEPEST)  # [l, BINS]
    ridges = np.exp(-places / np.array(RIDGES)[:, None])
    own, smooth = binned(spectrum.weights), np.stack([binned(term) for term in spectrum.smooth.T])
    dips_seen, ridges_seen, rest = dips @ smooth.T, ridges @ smooth.T, binned(spectrum.rest)
    between = (dips * own) @ ridges.T - dips_seen @ ridges_seen.T
    inverse = np.linalg.pinv((ridges * own) @ ridges.T - ridges_seen @ ridges_seen.T, rcond=1e-6, hermitian=True)
    explained = dips @ rest - between @ inverse @ (ridges @ rest)
    size = (dips**2) @ own - (dips_seen**2).sum(1) - ((between @ inverse) * between).sum(1)
    left = (spectrum.rest**2).sum() - (ridges @ rest) @ inverse @ (ridges @ rest)
    size = np.maximum(size, 1e-9)
    return explained / np.sqrt(size * max(left, 1e-9)), explained / size
