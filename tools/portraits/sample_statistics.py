"""How two sets of feature vectors cover each other: precision and recall."""

import torch
from torch import Tensor


def precision_recall(real: Tensor, fake: Tensor, k: int = 3) -> tuple[float, float]:
    """Share of fakes within reach of a real picture, and of reals within reach of a fake.

    A picture's reach is the distance to its k-th neighbour in its own set (Kynkaanniemi et al. 2019, section 2).
    """

    def covered(centres: Tensor, points: Tensor) -> float:
        reach = torch.cdist(centres, centres).kthvalue(k + 1, dim=1).values
        return (torch.cdist(points, centres) <= reach).any(1).float().mean().item()

    return covered(real, fake), covered(fake, real)
