"""Reduction by a factor that need not be whole, and enlargement, as matrices with a gradient for the factor."""

from collections.abc import Callable

import torch
from torch import Tensor

from rusr_core.images import LANCZOS_LOBES


def _cubic(d: Tensor) -> Tensor:
    """Keys' kernel with a = -1/2, as in Pillow's and torch's antialiased bicubic."""
    d = d.abs()
    near, far = (1.5 * d - 2.5) * d**2 + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    return torch.where(d < 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def _lanczos(d: Tensor) -> Tensor:
    return torch.sinc(d) * torch.sinc(d / LANCZOS_LOBES) * (d.abs() < LANCZOS_LOBES)


# of the modes of `images.resize` that interpolate smoothly, what a sample weighs at a distance
KERNELS: dict[str, Callable[[Tensor], Tensor]] = {
    "bilinear": lambda d: (1 - d.abs()).clamp_min(0),
    "bicubic": _cubic,
    "lanczos": _lanczos,
}
PHASES = 16  # of the small picture's pixels, over which the mean is taken


def resampling(length: int, size: int, factor: Tensor, mode: str) -> Tensor:
    """The matrix `[size, length]`, rows of sum 1, that reduces `length` pixels by `factor` and enlarges them to `size`:
    a box `factor` px wide, then the kernel of `mode`, at its width between samples that are `factor` px apart or, if
    the result is smaller still, between its own pixels.

    Differentiable in `factor`, a tensor without dimensions.
    """
    pixels, places = (torch.arange(n, device=factor.device).to(factor) + 0.5 for n in (length, size))
    between = factor.clamp_min(length / size)
    distance = (pixels - places[:, None] * (length / size)) / between
    offsets = ((torch.arange(PHASES).to(factor) + 0.5) / PHASES - 0.5) * (factor / between)
    weights = sum(KERNELS[mode](distance + offset) for offset in offsets)
    return weights / weights.sum(1, keepdim=True)
