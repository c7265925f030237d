"""What the generator is asked for: the picture that the renderer paints for the same factors, without fine detail."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.networks.portrait_net import PortraitNet

FEATURE_LEVELS = 3


def autocast(device: torch.device) -> AbstractContextManager:
    """bfloat16 for what can bear it, where it is fast: on a GPU and on processors that compute in it. Others emulate
    it, ten times slower than float32."""
    fast = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()


def shrink(x: Tensor, size: int) -> Tensor:
    """Average down to `size` x `size`."""
    return F.avg_pool2d(x, x.shape[-1] // size) if x.shape[-1] > size else x


@lru_cache(maxsize=8)
def centre_weight(size: int, device: torch.device) -> Tensor:
    """`[1, 1, size, size]` of mean 1: the face counts 2.5 times as much as the corners."""
    line = (torch.arange(size) + 0.5) * (2 / size) - 1
    weight = 1 + 1.5 * torch.exp(-(line[None] ** 2 / 0.45**2 + (line[:, None] - 0.05) ** 2 / 0.55**2))
    return (weight / weight.mean())[None, None].to(device)


def pyramid_loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 at every scale down to 8 px (half weight below the top) and L1 of the gradients at the top three."""
    loss, top = 0.0, output.shape[-1]
    difference, size = output - target, top
    while size >= 8:
        weight = centre_weight(size, difference.device)
        loss = loss + (weight * difference.abs()).mean() * (1.0 if size == top else 0.5)
        if size >= top // 4:
            across = (difference[..., 1:] - difference[..., :-1]).abs() * weight[..., 1:]
            down = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
            loss = loss + 0.7 * (across.mean() + down.mean())
        difference, size = F.avg_pool2d(difference, 2), size // 2
    return loss


def feature_loss(net: PortraitNet, output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the first levels' activations, each in units of the target's deviation.

    Pictures in [-1, 1]; below 128 px they are enlarged, so that the net sees faces of the size it knows.
    """
    size = net.config.resolution
    if output.shape[-1] < size:
        output, target = (F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in (output, target))
    with torch.no_grad():
        wanted = net.activations(target * 0.5 + 0.5, FEATURE_LEVELS)
    return map_loss(net.activations(output * 0.5 + 0.5, FEATURE_LEVELS), wanted)


def map_loss(given: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Mean absolute difference of the first levels' maps, each in units of its target's deviation."""
    pairs = list(zip(given, wanted, strict=True))[:FEATURE_LEVELS]
    return sum((a.float() - b.float()).abs().mean() / (b.float().std() + 1e-3) for a, b in pairs)


def cell_loss(given: list[Tensor], wanted: list[Tensor], cells: int = 8) -> Tensor:
    """Mean absolute difference of all levels' maps, averaged over `cells` x `cells` cells of the picture.

    Means over a cell say how much of a texture there is and not where its threads run, so two draws of one texture
    are near each other. Each level in units of its target's deviation.
    """
    pairs = [[shrink(m.float(), cells) for m in pair] for pair in zip(given, wanted, strict=True)]
    return sum((a - b).abs().mean() / (b.std() + 1e-3) for a, b in pairs)
