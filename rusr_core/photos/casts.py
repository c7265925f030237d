"""Fading of one channel: scaling 256 values and rounding them doubles some and skips others, in a rhythm.

Stamm and Liu, "Forensic Detection of Image Manipulation Using Statistical Intrinsic Fingerprints" (IEEE TIFS 2010),
see the same combs. The gain follows from the rhythm; the offset from where the values end, if both ends are known. A
power, the gamma, has a rhythm that changes from dark to light; it is looked for without a gain and an offset.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rusr_core.parts import strips

GAINS = np.concatenate([np.arange(0.53, 0.975, 0.0025), np.arange(1.03, 1.9, 0.0025)])
GAMMAS = np.concatenate([np.arange(0.4, 0.955, 0.0025), np.arange(1.05, 2.5, 0.0025)])
PHASES = np.linspace(0, 1, 8, endpoint=False)
EXPLAINED, SKIPPING = 0.55, 0.42  # of the roughness of a histogram, by the comb; of one that skips values, less
MARGIN = 0.12  # of it, that no other gain explains
NEAR = 0.012, 0.02  # gains, and gammas, that are the same
FULL = 8  # pixels a value, on average around it, of which none is no chance
LEVELS = 40  # different values that a channel must have
PRECISE = 0.08  # width of the interval of possible offsets
REACH = 4  # values on either side that a count is compared with


@dataclass(frozen=True)
class Cast:
    """Gain, offset and gamma of each channel (red, green, blue); None is unknown."""

    gain: tuple[float | None, float | None, float | None]
    offset: tuple[float | None, float | None, float | None]
    gamma: tuple[float | None, float | None, float | None]
    match: float  # of the histograms' roughness, what the combs explain; the least of the known channels


def find_cast(pixels: np.ndarray) -> Cast:
    """What scaled the channels of `pixels` `[H, W, 3]`, whole numbers of 0 to 255, of an exact file."""
    found = [_channel(counts) for counts in _histograms(pixels)]
    gains, offsets, gammas, matches = zip(*found, strict=True)
    known = [match for gain, match in zip(gains, matches, strict=True) if gain is not None]
    return Cast(gains, offsets, gammas, min(known, default=0.0))


def _histograms(pixels: np.ndarray) -> np.ndarray:
    """How often each channel has each value, `[3, 256]`."""
    counts = np.zeros((3, 256))
    for rows, _ in strips(*pixels.shape[:2]):
        for channel in range(3):
            counts[channel] += np.bincount(pixels[rows, :, channel].ravel(), minlength=256)
    return counts


def _channel(counts: np.ndarray) -> tuple[float | None, float | None, float | None, float]:
    """Gain, offset and gamma of a channel with so many pixels `[256]` of each value, and what the comb explains."""
    lowest, highest = np.flatnonzero(counts)[[0, -1]]
    counts = counts.copy()
    counts[[0, 255]] = 0  # where values are cut off
    used = np.flatnonzero(counts)
    if len(used) < LEVELS:
        return None, None, None, 0.0
    inner = slice(int(used[0]) + REACH, int(used[-1]) + 1 - REACH)
    explained = _explained(counts, inner)
    combs = _combs()
    best = int(explained.argmax())
    near = (np.abs(combs.gains - combs.gains[best]) <= NEAR[0]) & (np.abs(combs.gammas - combs.gammas[best]) <= NEAR[1])
    gain, gamma, match = float(combs.gains[best]), float(combs.gammas[best]), float(explained[best])
    needed = SKIPPING if gain > 1 else EXPLAINED
    if match < needed or match < explained[~near].max() + MARGIN:
        return None, None, None, match
    if gamma != 1:
        return 1.0, 0.0, gamma, match
    least, most = highest / 255 - gain, lowest / 255  # what was black and white lies in [0, 1]
    offset = float((least + most) / 2) if 0 <= most - least <= PRECISE else None
    return gain, offset, 1.0, match


def _explained(counts: np.ndarray, inner: slice) -> np.ndarray:
    """Of the roughness of the counts [256], what each comb explains; -1 where too many or too few values are empty."""
    rough, smooth = (v[0, inner] for v in _rough(counts[None]))
    combs = _combs()
    power = (smooth * rough**2).sum()
    if power <= 0:
        return np.full(len(combs.gains), -1.0)
    explained = 1 - (smooth * (rough - combs.rough[:, inner]) ** 2).sum(1) / power
    full = smooth > FULL
    if not full.any():
        return explained
    empty = float((counts[inner][full] == 0).mean())
    skipped = combs.skipped[:, inner][:, full].mean(1)
    return np.where(np.where(skipped > 0.02, empty > skipped / 2, empty < 0.02), explained, -1)


def _rough(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts `[n, 256]` relative to their neighbourhood, less 1; and the neighbourhood."""
    sums = np.cumsum(np.pad(counts, ((0, 0), (REACH + 1, REACH))), axis=1)
    smooth = (sums[:, 2 * REACH + 1 :] - sums[:, : -2 * REACH - 1]) / (2 * REACH + 1)
    return np.where(smooth > 0, counts / np.maximum(smooth, 1e-9), 1) - 1, smooth


@dataclass(frozen=True, eq=False)
class _Combs:
    """What every gain with every phase, and every gamma, makes of 256 values."""

    rough: np.ndarray  # [n, 256], counts relative to their neighbourhood, less 1
    skipped: np.ndarray  # [n, 256], whether no value is mapped there
    gains: np.ndarray  # [n]
    gammas: np.ndarray  # [n]


@lru_cache(maxsize=1)
def _combs() -> _Combs:
    values, rows = np.arange(-600, 900), []
    for gain in GAINS:
        for phase in PHASES:
            places = np.floor(gain * values + phase + 0.5).astype(int)
            rows.append(np.bincount(places[(places >= 0) & (places < 256)], minlength=256))
    for gamma in GAMMAS:
        places = np.floor(255 * (np.arange(256) / 255) ** gamma + 0.5).astype(int)
        rows.append(np.bincount(places, minlength=256))
    counts = np.array(rows, float)
    gains = np.concatenate([np.repeat(GAINS, len(PHASES)), np.ones(len(GAMMAS))])
    gammas = np.concatenate([np.ones(len(GAINS) * len(PHASES)), GAMMAS])
    return _Combs(_rough(counts)[0], counts == 0, gains, gammas)
