"""Degradations as matrices: the singular values and vectors of those that have cheap ones.

DDRM (ddrm.py) restores in the basis V of a linear degradation H = U S V^T. Three kinds are known here:

    every pixel for itself     masks, strokes, missing pixels, noise alone        V = 1, s = the mask
    rows, then columns         block means, resizing, Gaussian blur, and chains   V = V_h (x) V_w, s = s_h s_w
    what is neither            has no cheap decomposition: a `SpectrumError` says why

Images lie in [-1, 1] here. After H there may be noise, whose standard deviation is part of the measurement.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rusr_core.baselines.method import BaselineError
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.blur import Blur
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Mask, Strokes
from rusr_core.degradations.noise import PoissonBernoulliNoise, ReadNoise
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.degradations.resampling import Downsample, Resize

ROUNDING = 2 / 255 / 12**0.5  # standard deviation of what rounding to 8 bit does, in [-1, 1]
SMALLEST = 0.03  # singular values of one axis below it are taken for 0 (public code of DDRM)


class SpectrumError(BaselineError):
    """A degradation that has no cheap singular value decomposition."""


@dataclass(frozen=True)
class Spectrum:
    """One measurement y = H x + sigma n in the basis where H is a row of numbers."""

    rows: Tensor | None  # [H, H], V of the vertical axis, a column a vector; None: every pixel for itself
    columns: Tensor | None  # [W, W], V of the horizontal axis
    singular: Tensor  # s, broadcasts to [N, 3, H, W]; 0 where nothing is measured
    measured: Tensor  # U^T y [N, 3, H, W]; 0 where nothing is measured
    sigma: Tensor  # standard deviation of the noise of y, broadcasts to [N, 3, H, W]; may be 0

    def to(self, x: Tensor) -> Tensor:
        """V^T x: images `[N, 3, H, W]` into coefficients of that shape."""
        return x if self.rows is None else self.rows.T @ x @ self.columns

    def back(self, coefficients: Tensor) -> Tensor:
        """V c: the inverse of `to`."""
        return coefficients if self.rows is None else self.rows @ coefficients @ self.columns.T

    @property
    def known(self) -> Tensor:
        """Where something is measured, bool."""
        return self.singular > 0

    def over_singular(self, values: Tensor) -> Tensor:
        """`values` / s where something is measured, else 0."""
        return torch.where(self.known, values / self.singular.clamp_min(1e-12), torch.zeros_like(values))


def why_none(f: AnyOperator) -> str | None:
    """Why `f` has no cheap singular value decomposition; None if it has one."""
    linear, noise = _split(f)
    kinds = {_kind(stage) for stage in linear}
    if None in kinds:
        odd = next(stage for stage in linear if _kind(stage) is None)
        return f"{odd} is not linear with a cheap singular value decomposition"
    if len(kinds) > 1:
        return "a mask and a change of size or sharpness together have no cheap singular value decomposition"
    if isinstance(noise, PoissonBernoulliNoise) and noise.p and kinds == {"axes"}:
        return "missing pixels after a change of size or sharpness have no cheap singular value decomposition"
    return None


def spectrum(f: AnyOperator, y: Tensor, side: int) -> Spectrum:
    """The measurement y `[N, 3, h, w]` in [0, 1] of images of `side` px by `f`. Raises `SpectrumError`."""
    if (reason := why_none(f)) is not None:
        raise SpectrumError(reason)
    linear, noise = _split(f)
    chain = Compose(*linear)
    if any(_kind(stage) == "axes" for stage in linear):
        return _of_axes(chain, noise, y, side)
    ones = torch.ones(len(y), 3, side, side, dtype=y.dtype, device=y.device)
    shown = chain.forward(ones)  # the product of the masks
    if isinstance(noise, PoissonBernoulliNoise) and noise.p:
        shown = shown * (y > 0).any(1, keepdim=True)  # a dead pixel is black in all channels
    sigma = _sigma(noise, y, shown > 0)
    measured = torch.where(shown > 0, 2 * y - shown, torch.zeros_like(y))
    return Spectrum(None, None, shown, measured, sigma)


def _split(f: AnyOperator) -> tuple[tuple[Degradation, ...], Degradation | None]:
    """The stages of `f` before a last stage of noise, and that stage."""
    stages = as_operator(f).stages
    noisy = bool(stages) and isinstance(stages[-1], PoissonBernoulliNoise | ReadNoise)
    return (stages[:-1], stages[-1]) if noisy else (stages, None)


def _kind(stage: Degradation) -> str | None:
    if isinstance(stage, Strokes | Mask):
        return "pixels"
    plain = isinstance(stage, Blur) and stage.spread is None and not stage.length
    return "axes" if plain or isinstance(stage, Downsample | Resize) else None


def _sigma(noise: Degradation | None, y: Tensor, kept: Tensor) -> Tensor:
    """Standard deviation of y's noise `[N, 1, 1, 1]` in [-1, 1]: Gaussian, or photons' for the mean of what is kept."""
    variance = torch.full((len(y), 1, 1, 1), ROUNDING**2, dtype=y.dtype, device=y.device)
    if isinstance(noise, ReadNoise):
        variance = variance + (2 * noise.sigma) ** 2
    elif noise is not None:
        kept = kept.expand_as(y).to(y)
        mean = (y * kept).sum((1, 2, 3), keepdim=True) / kept.sum((1, 2, 3), keepdim=True).clamp_min(1)
        variance = variance + 4 * mean / noise.photons
    return variance.sqrt()


def _of_axes(chain: Compose, noise: Degradation | None, y: Tensor, side: int) -> Spectrum:
    """The spectrum of a chain that treats rows and columns one after the other, and constants as constants."""
    basis = torch.eye(side, dtype=torch.float64)[:, None, :, None].expand(-1, 3, -1, side)
    vertical = chain.forward(basis)[:, 0, :, 0].T
    horizontal = chain.forward(basis.transpose(2, 3))[:, 0, 0, :].T
    parts = [_decomposed(matrix, y) for matrix in (vertical, horizontal)]
    (left, above, rows), (right, across, columns) = parts
    measured = torch.zeros(len(y), 3, side, side, dtype=y.dtype, device=y.device)
    height, width = y.shape[2:]
    measured[..., :height, :width] = left.T @ (2 * y - 1) @ right
    singular = (above[:, None] * across[None])[None, None]
    measured = torch.where(singular > 0, measured, torch.zeros_like(measured))
    return Spectrum(rows, columns, singular, measured, _sigma(noise, y, torch.ones_like(y)))


def _decomposed(matrix: Tensor, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U `[h, h]`, singular values `[H]` with zeros at the end, and V `[H, H]` of a matrix `[h, H]`, h at most H."""
    small, side = matrix.shape
    if small > side:
        raise SpectrumError(f"images become larger, {small} from {side} px: expected at most their own size")
    left, values, right = torch.linalg.svd(matrix)
    singular = torch.zeros(side, dtype=matrix.dtype)
    singular[:small] = torch.where(values < SMALLEST, 0.0, values)
    return left.to(like), singular.to(like), right.T.to(like)
