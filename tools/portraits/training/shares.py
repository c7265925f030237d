"""How much every channel of a feature net adds to the distance between two people, and how much it should add.

Triplets alone let a net settle every order by few channels: a tuning without these shares had given 91 % (net A) and
96 % (net B) of the distance between two people to the level of 32 x 32 pixels, most of it to few channels. The order of
triplets did not suffer from it, but a search that minimises such a distance does: it feels neither colours nor the
place of a face before the texture fits. `tune_features` therefore pays for what is far from the shares of `even`.
"""

import torch
from torch import Tensor

from rusr_core.networks.perceptual import unit_channels
from rusr_core.networks.portrait_net import EPSILON, PortraitNet

LEVELS = (0.45, 0.19, 0.15, 0.21)  # shares of the levels, from fine to coarse, that nets have which only know people


def differences(maps: list[Tensor]) -> Tensor:
    """Mean squared difference `[C]` of each channel of all levels, between pictures and their neighbours in the batch.

    `maps` holds a `[N, C_l, H_l, W_l]` for each level; the channels of all levels stand one behind the other.
    """
    return torch.cat([(m - m.roll(1, 0)).square().mean((0, 2, 3)) for m in maps])


@torch.no_grad()
def even(net: PortraitNet, x: Tensor) -> Tensor:
    """Shares `[C]` that the net should have: `LEVELS` for its levels, and equal channel weights within each.

    A channel that differs much from one of the people x `[N, 3, H, W]` to the next has a large share all the same.
    """
    maps = [unit_channels(m, torch.ones_like(m[0, :, 0, 0]), EPSILON) for m in net.activations(x, len(LEVELS))]
    parts = differences(maps).split([m.shape[1] for m in maps])
    return torch.cat([share * part / part.sum() for share, part in zip(LEVELS, parts, strict=True)])


def unevenness(target: Tensor, maps: list[Tensor]) -> Tensor:
    """Kullback-Leibler divergence of the shares of these maps from the target `[C]`; 0 where they are the same."""
    found = differences(maps)
    return (target * torch.log(target * found.sum() / found.clamp_min(1e-12))).sum()


@torch.no_grad()
def of_levels(net: PortraitNet, x: Tensor) -> Tensor:
    """Share `[L]` of each level of the net in the distances of people x `[N, 3, H, W]` from their neighbours."""
    maps = net.features(x)
    found = differences(maps).split([m.shape[1] for m in maps])
    return torch.stack([part.sum() for part in found]) / torch.cat(found).sum()
