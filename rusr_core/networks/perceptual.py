"""The perceptual distance: LPIPS on whatever network knows what "looks alike" means.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, eq. 1,
https://arxiv.org/abs/1801.03924. A perceptual network returns feature maps that are already unit-normalised and
weighted, so that the distance is a plain squared difference and a target's features are computed once:

    LPIPS(a, b) = sum_l mean_hw sum_c (features(a)_l - features(b)_l)^2

Chapter: book/losses.ipynb.
"""

import warnings
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core.checkpoints.generators import load_state
from rusr_core.errors import RusrError


class Perceptual(Protocol):
    """What losses and metrics ask of a perceptual network."""

    def features(self, x: Tensor) -> list[Tensor]:
        """x [N, 3, H, W] in [0, 1] -> maps [N, C_l, H_l, W_l], unit-normalised, times sqrt(channel weight)."""


class _UnitChannels(torch.autograd.Function):
    """`unit_channels` with its gradient by hand: half the passes over the maps that autograd would make."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, epsilon: float) -> Tensor:
        inverse = (x.square().sum(1, keepdim=True) + epsilon).rsqrt()
        ctx.save_for_backward(x, scale, inverse)
        return (x * inverse).mul_(scale)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, scale, inverse = ctx.saved_tensors
        gradient = gradient * scale
        along = (gradient * x).sum(1, keepdim=True) * inverse.pow(3)
        return gradient.mul_(inverse).addcmul_(x, along, value=-1), None, None


def unit_channels(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x [N, C, H, W] divided by its norm over the channels, times sqrt(weight [C]).

    `epsilon` is added to the squared norm: a vector of zeros stays zero and has a finite gradient.
    """
    return _UnitChannels.apply(x, weight.sqrt()[:, None, None], epsilon)


def beside(network: object, *images: Tensor) -> list[Tensor]:
    """The images on the device of the network, if it has one."""
    tensors = [*network.parameters(), *network.buffers()] if isinstance(network, nn.Module) else []
    return [x.to(tensors[0].device) if tensors else x for x in images]


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """LPIPS [N] between two lists of features; b may hold one image for all of a."""
    return sum((u - v).square().sum(1).mean((1, 2)) for u, v in zip(a, b, strict=True))


class LPIPSFeatures(nn.Module):
    """LPIPS v0.1 on VGG16, with the weights of the `lpips` package and of torchvision.

    `vgg` is a state dict of torchvision's `vgg16` or a file that holds one; `priors.lpips_net` fetches it.
    """

    # 3 x 3 convolutions of torchvision's vgg16.features; a map is taken after the last of each group
    CONVOLUTIONS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))

    def __init__(self, vgg: dict[str, Tensor] | str | Path):
        super().__init__()
        lpips = _lpips_package()
        scaling, heads = lpips.scaling_layer, lpips.lins
        self.register_buffer("shift", scaling.shift)  # [1, 3, 1, 1], on [-1, 1]
        self.register_buffer("scale", scaling.scale)
        for level, head in enumerate(heads):  # the published weights are not negative
            self.register_buffer(f"weight{level}", head.model[-1].weight.detach().clamp_min(0).flatten())
        state = vgg if isinstance(vgg, dict) else load_state(vgg)
        for group in self.CONVOLUTIONS:
            for i in group:
                kernel, bias = state[f"features.{i}.weight"], state[f"features.{i}.bias"]
                conv = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1, device="meta")
                conv.weight, conv.bias = nn.Parameter(kernel.float()), nn.Parameter(bias.float())
                self.add_module(f"conv{i}", conv)
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # a few percent faster on a CPU, the same numbers

    def features(self, x: Tensor) -> list[Tensor]:
        """x [N, 3, H, W] in [0, 1], sides of at least 16 px -> five maps [N, C_l, H / 2^l, W / 2^l]."""
        if x.ndim != 4 or x.shape[1] != 3 or min(x.shape[2:]) < 16:
            raise RusrError(f"LPIPS of a tensor {tuple(x.shape)}: expected [N, 3, H, W] with sides of at least 16")
        x = (x * 2 - 1 - self.shift) / self.scale
        maps = []
        for level, group in enumerate(self.CONVOLUTIONS):
            if level:
                x = F.max_pool2d(x, 2)
            for i in group:
                x = F.relu_(getattr(self, f"conv{i}")(x))
            maps.append(unit_channels(x, getattr(self, f"weight{level}"), 1e-20))  # the published 1e-10, squared
        return maps


def _lpips_package() -> nn.Module:
    """The `lpips` network without its convolution weights (they would be downloaded)."""
    import lpips

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's notes on how lpips calls it
        return lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)
