"""The width of a blur, from edges: what a second blur of known width does to them.

A step blurred by s has the slope 1 / (s sqrt(2 pi)), and blurred again by t it has that of sqrt(s^2 + t^2), so that
the ratio of the slopes gives s (Zhuo and Sim, "Defocus Map Estimation from a Single Image", Pattern Recognition 2011).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rusr_core.degradations.blur import convolve, gaussian_kernel
from rusr_core.parts import strips
from rusr_core.photos.holes import grown
from rusr_core.photos.motion import find_motion

SMALLEST = 32  # px, of the shorter side
PROBES = (1.0, 3.0)  # px, of the second blur: the wide one for edges that the narrow one finds wide
WIDE = 2.4  # px
STRONG = 0.94  # quantile of the slopes, from which they are edges
SHARPEST = 0.2  # quantile of the widths: soft edges are in every picture, sharp ones only without a blur
OWN = 0.62  # px, of the edges of a sharp picture: a pixel's own size, and the drawing's or the lens's
VISIBLE = 1.1  # px, a blur that no picture has by itself
WIDEST = 2.5  # px; of wider ones too few edges stand alone
LONG = 1.8  # widths across and along, at which a motion is not told from a Gaussian
AWAY = 6  # px from a hole
FEWEST = 40  # edge pixels of a direction
SLOPES, EDGES = 2**20, 2**24  # pixels, about, of whose slopes the quantile is taken, and whose edges are measured
DIRECTIONS, NEEDED = 12, 8  # of slopes; fewer leave room for a motion along the others


@dataclass(frozen=True)
class BlurWidth:
    """A blur's numbers; None is unknown, 0 none."""

    width: float | None  # px, standard deviation of a Gaussian
    length: float | None  # px, of a motion
    direction: float | None  # degrees, as in `Blur`
    edge: float  # px, the width of the sharpest edges, their own included


UNKNOWN = BlurWidth(None, None, None, 0.0)


def find_blur(pixels: np.ndarray, hidden: np.ndarray | None = None, *, blocks: bool = False) -> BlurWidth:
    """The blur of `pixels` `[H, W, 3]` of 0 to 255 without noise; `hidden` `[H, W]` is True where a hole is.

    `blocks`: whether the picture was compressed, so that it may have sharp edges of which the scene knows nothing.
    """
    if min(pixels.shape[:2]) < SMALLEST:
        return UNKNOWN
    motion = find_motion(pixels)
    widths, angles = _edges(pixels, hidden, PROBES[0])
    if widths.numel() and float(torch.quantile(widths, SHARPEST)) > WIDE:
        widths, angles = _edges(pixels, hidden, PROBES[1])
    edge = float(torch.quantile(widths, SHARPEST)) if widths.numel() else 0.0
    unknown = BlurWidth(None, None, None, edge)
    if motion.sure:  # paint over a motion makes dips of its own
        return unknown if hidden is not None else BlurWidth(None, motion.length, motion.direction, edge)
    by_direction = _by_direction(widths, angles)
    if len(by_direction) < DIRECTIONS // 2:
        return UNKNOWN
    widest, narrowest = max(by_direction.values()), min(by_direction.values())
    if len(by_direction) < NEEDED or (widest > LONG * narrowest and widest > VISIBLE):
        return unknown
    sharp = widest < 1.3 and edge < 0.8
    if motion.possible and (blocks or not sharp):
        return unknown
    if sharp:
        return BlurWidth(0.0, 0.0, None, edge)
    if not VISIBLE <= edge <= WIDEST:
        return unknown
    return BlurWidth(float(np.sqrt(edge**2 - OWN**2)), 0.0, None, edge)


def _edges(pixels: np.ndarray, hidden: np.ndarray | None, probe: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Widths in px and directions of the slope in degrees `[n]` of the strongest edges; none if nothing is seen."""
    line, number, few, found = gaussian_kernel(probe), pixels.shape[0] * pixels.shape[1], [], []
    for grey, seen in _seen(pixels, hidden, 0):
        few.append(torch.hypot(*_gradient(grey))[seen][:: max(1, number // SLOPES)].clone())  # no view, which keeps all
    if not sum(map(len, few)):
        return torch.empty(0), torch.empty(0)
    edge = torch.quantile(torch.cat(few), STRONG)
    for grey, seen in _seen(pixels, hidden, len(line) // 2):
        again = convolve(convolve(grey[None, None], line[:, None]), line[None])[0, 0]
        slopes, softer = _gradient(grey), _gradient(again)
        size, less = (torch.hypot(*g) for g in (slopes, softer))
        strong = (size > edge) & (size > less * 1.0005) & seen
        ratio = (size / less.clamp_min(1e-9))[strong]
        widths = probe / (ratio**2 - 1).clamp_min(1e-4).sqrt()
        angles = torch.rad2deg(torch.atan2(-slopes[1][strong], slopes[0][strong])) % 180  # rows count downwards
        found.append(torch.stack([widths, angles])[:, :: max(1, number // EDGES)].clone())
    return tuple(torch.cat(found, 1))


def _seen(pixels: np.ndarray, hidden: np.ndarray | None, margin: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """A picture in strips: grey `[h, W]`, and which of its inner pixels `[h - 2, W - 2]` are looked at.

    These are the strip's own, at least `margin` px away from where the strip is cut off, and not near a hole.
    """
    margin = max(margin, AWAY) + 1
    for rows, own in strips(*pixels.shape[:2], margin):
        grey = _grey(pixels[rows])
        seen = torch.zeros(grey.shape, dtype=torch.bool)
        seen[own] = True
        if hidden is not None:
            seen &= ~torch.from_numpy(grown(hidden[rows], AWAY))
        yield grey, seen[1:-1, 1:-1]


def _grey(pixels: np.ndarray) -> torch.Tensor:
    """The mean of the channels, `[H, W]` in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32) / 255).mean(2)


def _gradient(grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Central differences along columns and rows, `[H - 2, W - 2]` each."""
    return (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2, (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2


def _by_direction(widths: torch.Tensor, angles: torch.Tensor) -> dict[float, float]:
    """The width of the sharpest edges by the direction of their slope, in degrees."""
    step, found = 180 / DIRECTIONS, {}
    for i in range(DIRECTIONS):
        near = ((angles - i * step + 90) % 180 - 90).abs() < step
        if near.sum() >= FEWEST:
            found[i * step] = float(torch.quantile(widths[near], SHARPEST))
    return found
