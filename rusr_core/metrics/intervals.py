"""Intervals of a mean over images, by the bootstrap."""

from collections.abc import Callable

import torch
from torch import Tensor

from rusr_core.metrics.scores import (
    MetricError,
)


def interval(
    statistic: Callable[[Tensor], float], num: int, *, level: float = 0.95, rounds: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of a number computed from `num` images: `statistic(index)` gives it for the images of
    `index` [num], drawn with replacement (Efron, "Bootstrap Methods", Annals of Statistics 1979).

    The spread of the percentiles is centred on the value of the images themselves: repeated images alone raise a
    Frechet distance, and that is not uncertainty. One image has no interval: (nan, nan).
    """
    if num < 1 or rounds < 1 or not 0 < level < 1:
        raise MetricError(f"{num} images, {rounds} rounds, level {level}: expected 1 or more of both, level in (0, 1)")
    if num == 1:
        return float("nan"), float("nan")
    generator = torch.Generator().manual_seed(seed)
    draws = torch.randint(num, (rounds, num), generator=generator)
    values = torch.tensor([statistic(index) for index in draws], dtype=torch.float64)
    edges = values.quantile(torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=torch.float64))
    low, high = (edges - values.mean() + statistic(torch.arange(num))).tolist()
    return low, high


def mean_interval(values: Tensor, **options) -> tuple[float, float, float]:
    """Mean of one value an image [N] and its bootstrap interval, see `interval`; -> (mean, low, high)."""
    values = values.detach().double().cpu()
    return (values.mean().item(), *interval(lambda index: values[index].mean().item(), len(values), **options))
