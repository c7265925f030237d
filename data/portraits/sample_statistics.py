"""Distances between two sets of feature vectors: Frechet distance, precision and recall."""

import torch
from torch import Tensor


def frechet(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two Gaussians fitted to `[N, F]` and `[M, F]` (Heusel et al. 2017, eq. 6)."""
    a, b = a.double(), b.double()
    shift = (a.mean(0) - b.mean(0)).square().sum()
    first, second = torch.cov(a.t()), torch.cov(b.t())
    root = torch.linalg.eigvals(first @ second).real.clamp_min(0).sqrt().sum()
    return (shift + first.trace() + second.trace() - 2 * root).item()


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Share of fakes within reach of a real picture, and of reals within reach of a fake.

    A picture's reach is the distance to its k-th neighbour in its own set (Kynkaanniemi et al. 2019, section 2).
    """

    def covered(centres: Tensor, points: Tensor) -> float:
        reach = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) <= reach).any(1).float().mean().item()

    return covered(real, fake), covered(fake, real)
