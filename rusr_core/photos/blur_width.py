"""The width of a blur, from edges: what a second blur of known width does to them.

A step blurred by s has the slope 1 / (s sqrt(2 pi)), and blurred again by t it has that of sqrt(s^2 + t^2), so that
the ratio of the slopes gives s (Zhuo and Sim, "Defocus Map Estimation from a Single Image", Pattern Recognition 2011).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rusr_core.degradations.blur import convolve, gaussian_kernel
from rusr_core.parts import cells, strips
from rusr_core.photos.holes import grown

SMALLEST = 32  # px, of the shorter side
PROBES = (1.0, 3.0)  # px, of the second blur: the wide one for edges that the narrow one finds wide
WIDE = 2.4  # px
STRONG = 0.94  # quantile of the slopes, from which they are edges
SHARPEST = 0.2  # quantile of the widths: soft edges are in every picture, sharp ones only without a blur
OWN = 0.62  # px, of the edges of a sharp picture: a pixel's own size, and the drawing's or the lens's
VISIBLE = 1.1  # px, a blur that no picture has by itself
WIDEST = 2.5  # px; of wider ones too few edges stand alone
LONG = 1.8  # widths across and along, at which a motion is told from a Gaussian
AWAY = 6  # px from a hole
FEWEST = 40  # edge pixels of a direction
SLOPES, EDGES = 2**20, 2**24  # pixels, about, of whose slopes the quantile is taken, and whose edges are measured
WHOLE, TILE, TILES = 2**20, 512, 64  # pixels whose spectrum is taken at once; of larger pictures: px, and how many
DIRECTIONS, NEEDED = 12, 8  # of slopes; fewer leave room for a motion along the others
DEEP, ALONE = -0.38, 0.15  # the dip of a motion's autocorrelation, and how much deeper it is than in other directions


@dataclass(frozen=True)
class BlurWidth:
    """A blur's numbers; None is unknown, 0 none."""

    width: float | None  # px, standard deviation of a Gaussian
    length: float | None  # px, of a motion
    direction: float | None  # degrees, as in `Blur`
    edge: float  # px, the width of the sharpest edges, their own included


UNKNOWN = BlurWidth(None, None, None, 0.0)


def find_blur(pixels: np.ndarray, hidden: np.ndarray | None = None) -> BlurWidth:
    """The blur of `pixels` `[H, W, 3]` of 0 to 255 without noise; `hidden` `[H, W]` is True where a hole is."""
    if min(pixels.shape[:2]) < SMALLEST:
        return UNKNOWN
    widths, angles = _edges(pixels, hidden, PROBES[0])
    if widths.numel() and float(torch.quantile(widths, SHARPEST)) > WIDE:
        widths, angles = _edges(pixels, hidden, PROBES[1])
    by_direction = _by_direction(widths, angles)
    if len(by_direction) < DIRECTIONS // 2:
        return UNKNOWN
    edge = float(torch.quantile(widths, SHARPEST))
    widest, narrowest = max(by_direction.values()), min(by_direction.values())
    unknown = BlurWidth(None, None, None, edge)
    if widest > LONG * narrowest and widest > VISIBLE:
        length, direction, sure = _motion(pixels)
        apart = abs((direction - _axis(by_direction) + 90) % 180 - 90)
        return BlurWidth(0.0, length, direction, edge) if sure and apart < 25 else unknown
    if len(by_direction) < NEEDED:
        return unknown
    if widest < 1.3 and edge < 0.8:
        return BlurWidth(0.0, 0.0, None, edge)
    if not VISIBLE <= edge <= WIDEST:
        return unknown
    return BlurWidth(float(np.sqrt(edge**2 - OWN**2)), 0.0, None, edge)


def _motion(pixels: np.ndarray) -> tuple[float, float, bool]:
    """(length, direction, whether it is one) of a motion over the picture `[H, W, 3]`.

    A derivative along the motion makes of every edge two of opposite sign, one length apart: the autocorrelation of
    the derivative has its minimum there (Yitzhaky and Kopeika, "Identification of Blur Parameters from Motion Blurred
    Images", Graphical Models and Image Processing 1997). Other directions have no such minimum.
    """
    power, (height, width) = _power(pixels)
    rows, columns = np.fft.fftfreq(2 * height)[:, None], np.fft.fftfreq(2 * width)[None]
    power *= np.exp(-(((rows**2 + columns**2) / 0.28**2) ** 2))
    lags, found = np.arange(3, min(height, width) // 4, 0.5), []
    for angle in np.deg2rad(np.arange(-85, 95, 5)):
        right, down = np.cos(angle), -np.sin(angle)
        spread = np.real(np.fft.ifft2(power * (columns * right + rows * down) ** 2))
        along = _sampled(spread / spread[0, 0], lags * down, lags * right)
        found.append((along.min(), lags[along.argmin()], np.rad2deg(angle)))
    depth, length, direction = min(found)
    usual = float(np.median([item[0] for item in found]))
    inside = length < lags[-1]  # at the longest lag there may be no minimum yet
    return float(length), float(direction), bool(depth < DEEP and usual - depth > ALONE and inside)


def _power(pixels: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """The power spectrum, at twice its size, of a picture `[H, W, 3]`, and (height, width).

    Of a large picture, the mean of tiles: Welch, "The Use of Fast Fourier Transform for the Estimation of Power
    Spectra", IEEE Transactions on Audio and Electroacoustics 1967.
    """
    whole = pixels.shape[0] * pixels.shape[1] <= WHOLE
    tiles = pixels[None] if whole else cells(pixels, min(TILE, *pixels.shape[:2]), TILES)
    height, width = tiles.shape[1:3]
    window, power = np.hanning(height)[:, None] * np.hanning(width), 0
    for grey in map(_grey, tiles):
        spectrum = np.fft.fft2((grey - grey.mean()).numpy() * window, s=(2 * height, 2 * width))
        power = power + np.abs(spectrum) ** 2
    return power, (height, width)


def _sampled(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear samples of a periodic picture."""
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    height, width = picture.shape
    corners = [[picture[(top + i) % height, (left + j) % width] for j in (0, 1)] for i in (0, 1)]
    return (1 - down) * ((1 - right) * corners[0][0] + right * corners[0][1]) + down * (
        (1 - right) * corners[1][0] + right * corners[1][1]
    )


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


def _axis(by_direction: dict[float, float]) -> float:
    """The direction of the greatest variance, from -90 to 90 degrees: variances go as cos^2 around it."""
    angles = np.deg2rad(np.array(list(by_direction)))
    squares = np.array(list(by_direction.values())) ** 2
    terms = np.stack([np.ones_like(angles), np.cos(2 * angles), np.sin(2 * angles)], 1)
    _, c, s = np.linalg.lstsq(terms, squares, rcond=None)[0]
    return float(np.rad2deg(np.arctan2(s, c)) / 2)
