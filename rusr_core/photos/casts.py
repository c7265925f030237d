"""Fading of one channel: scaling 256 values and rounding them doubles some and skips others, in a rhythm.

Stamm and Liu, "Forensic Detection of Image Manipulation Using Statistical Intrinsic Fingerprints" (IEEE TIFS 2010),
see the same combs. The gain follows from the rhythm; the offset from where the values end, if both ends are known.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

GAINS = np.concatenate([np.arange(0.53, 0.975, 0.0025), np.arange(1.03, 1.9, 0.0025)])
PHASES = np.linspace(0, 1, 8, endpoint=False)
EXPLAINED = 0.4  # of the roughness of a histogram, by the comb
MARGIN = 0.12  # of it, that no other gain explains
NEAR = 0.012  # gains that are the same
FULL = 8  # pixels a value, on average around it, of which none is no chance
LEVELS = 40  # different values that a channel must have
PRECISE = 0.08  # width of the interval of possible offsets
REACH = 4  # values on either side that a count is compared with


@dataclass(frozen=True)
class Cast:
    """Gain and offset of each channel (red, green, blue); None is unknown."""

    gain: tuple[float | None, float | None, float | None]
    offset: tuple[float | None, float | None, float | None]
    match: float  # of the histograms' roughness, what the combs explain; the least of the known channels


def find_cast(pixels: np.ndarray) -> Cast:
    """What scaled the channels of `pixels` `[H, W, 3]`, whole numbers of 0 to 255, of an exact file."""
    found = [_channel(pixels[..., channel]) for channel in range(3)]
    matches = [match for gain, _, match in found if gain is not None]
    return Cast(tuple(f[0] for f in found), tuple(f[1] for f in found), min(matches, default=0.0))


def _channel(values: np.ndarray) -> tuple[float | None, float | None, float]:
    counts = np.bincount(values.ravel().astype(int), minlength=256)[:256].astype(float)
    counts[[0, 255]] = 0  # where values are cut off
    used = np.flatnonzero(counts)
    if len(used) < LEVELS:
        return None, None, 0.0
    inner = slice(int(used[0]) + REACH, int(used[-1]) + 1 - REACH)
    rough, smooth = (v[0, inner] for v in _rough(counts[None]))
    power = (smooth * rough**2).sum()
    if power <= 0:
        return None, None, 0.0
    combs, gains = _combs()
    explained = 1 - (smooth * (rough - combs[:, inner]) ** 2).sum(1) / power
    full = smooth > FULL
    empty = float((counts[inner][full] == 0).mean()) if full.any() else 0.0
    skipped = np.maximum(0, 1 - 1 / gains)  # of all values, by a gain above 1; one below 1 skips none
    explained = np.where(np.where(gains > 1, empty > skipped / 2, empty < 0.02), explained, -1)
    best = int(explained.argmax())
    others = explained[np.abs(gains - gains[best]) > NEAR].max()
    if explained[best] < EXPLAINED or explained[best] < others + MARGIN:
        return None, None, float(explained[best])
    gain = float(gains[best])
    least, most = values.max() / 255 - gain, values.min() / 255  # what was black and white lies in [0, 1]
    offset = (least + most) / 2 if 0 <= most - least <= PRECISE else None
    return gain, None if offset is None else float(offset), float(explained[best])


def _rough(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts `[n, 256]` relative to their neighbourhood, less 1; and the neighbourhood."""
    sums = np.cumsum(np.pad(counts, ((0, 0), (REACH + 1, REACH))), axis=1)
    smooth = (sums[:, 2 * REACH + 1 :] - sums[:, : -2 * REACH - 1]) / (2 * REACH + 1)
    return np.where(smooth > 0, counts / np.maximum(smooth, 1e-9), 1) - 1, smooth


@lru_cache(maxsize=1)
def _combs() -> tuple[np.ndarray, np.ndarray]:
    """The combs of every gain and phase, relative to their neighbourhood, `[n, 256]`; and the gains `[n]`."""
    values, rows = np.arange(-600, 900), []
    for gain in GAINS:
        for phase in PHASES:
            places = np.floor(gain * values + phase + 0.5).astype(int)
            rows.append(np.bincount(places[(places >= 0) & (places < 256)], minlength=256))
    return _rough(np.array(rows, float))[0], np.repeat(GAINS, len(PHASES))
