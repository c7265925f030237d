"""The perceptual distance: LPIPS on any network whose features tell whether two images look alike.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018, eq. 1,
https://arxiv.org/abs/1801.03924. A perceptual network returns feature maps that are already unit-normalised and
weighted, so that the distance is a plain squared difference and a target's features are computed once:

    LPIPS(a, b) = sum_l mean_hw sum_c (features(a)_l - features(b)_l)^2

Chapter: book/near.ipynb.
"""

from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


def to_device_of(network: object, *images: Tensor) -> list[Tensor]:
    """The images on the device of the network, if it has one."""
    tensors = [*network.parameters(), *network.buffers()] if isinstance(network, nn.Module) else []
    return [x.to(tensors[0].device) if tensors else x for x in images]


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """LPIPS [N] between two lists of features; b may hold one image for all of a."""
    return sum((u - v).square().sum(1).mean((1, 2)) for u, v in zip(a, b, strict=True))


class LPIPSFeatures(nn.Module):
    """LPIPS v0.1 on VGG16, from two state dicts; `priors.lpips_net` gets both.

    `vgg`: of torchvision's `vgg16`. `heads`: of the five 1 x 1 convolutions that the `lpips` package has for it
    (`lpips/weights/v0.1/vgg.pth`), whose weights are the channel weights. A tensor that is missing or of another shape
    is a RusrError.
    """

    CITES: ClassVar[tuple[str, ...]] = ("zhang2018unreasonable", "simonyan2015very")

    # 3 x 3 convolutions of torchvision's vgg16.features; a map is taken after the last of each group
    CONVOLUTIONS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
    CHANNELS = (3, 64, 128, 256, 512, 512)  # of the image, and of the maps
    # mean and deviation of ImageNet's images on [-1, 1], rounded as in the package (lpips.ScalingLayer)
    SHIFT = (-0.030, -0.088, -0.188)
    SCALE = (0.458, 0.448, 0.450)

    def __init__(self, vgg: dict[str, Tensor], heads: dict[str, Tensor]):
        super().__init__()
        self.register_buffer("shift", torch.tensor(self.SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(self.SCALE).view(1, 3, 1, 1))
        for level, group in enumerate(self.CONVOLUTIONS):
            inputs, outputs = self.CHANNELS[level : level + 2]
            weight = _tensor(heads, f"lin{level}.model.1.weight", (1, outputs, 1, 1))
            self.register_buffer(f"weight{level}", weight.clamp_min(0).flatten())  # the published ones are not negative
            for i in group:
                conv = nn.Conv2d(inputs, outputs, 3, padding=1, device="meta")
                conv.weight = nn.Parameter(_tensor(vgg, f"features.{i}.weight", (outputs, inputs, 3, 3)))
                conv.bias = nn.Parameter(_tensor(vgg, f"features.{i}.bias", (outputs,)))
                self.add_module(f"conv{i}", conv)
                inputs = outputs
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


def _tensor(state: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    found = tuple(state[name].shape) if name in state else "missing"
    if found != shape:
        raise RusrError(f"LPIPS: {name!r} is {found}, expected {shape}")
    return state[name].detach().float()
