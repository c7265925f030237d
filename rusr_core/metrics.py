"""How good a restoration is. Three questions, three families; no single number answers them all.

    accuracy   is it the true image?     LPIPS, PSNR, identity similarity against the truth (nobody has it in practice)
    fidelity   does it explain y?        LPIPS of the re-degraded restoration against y, with the true degradation
    realism    could it be a photograph? Frechet distances over many images

On the embedded profile the perceptual distance is not LPIPS-VGG: tables call it LPIPS-portraits. It is judged by a
net that no restoration optimises, since a score by the optimised net flatters. Chapter: book/metrics.ipynb.
"""

from functools import cache

import torch
from torch import Tensor

from .errors import RusrError
from .features import PortraitNet
from .identity import Embedder
from .perceptual import Perceptual, distance
from .protocol import TwoMethods
from .randomness import Generators
from .zoo import data_path

JUDGE = "portraits/features_b.safetensors"


class MetricError(RusrError):
    """Images that cannot be compared."""


@cache
def judge() -> PortraitNet:
    """The embedded profile's judging net (net B), which no restoration optimises."""
    return PortraitNet.load(data_path(JUDGE))


@torch.no_grad()
def lpips(a: Tensor, b: Tensor, net: Perceptual | None = None) -> Tensor:
    """Perceptual distance [N] of a and b, [N, 3, H, W] in [0, 1]; lower is closer, 0 for equal images.

    `net`: the embedded judge by default (LPIPS-portraits), `perceptual.LPIPSFeatures()` for LPIPS-VGG.
    """
    _check(a, b)
    net = net or judge()
    return distance(net.features(a), net.features(b))


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [N] in dB for a range of 1; higher is closer, infinite for equal images."""
    _check(a, b)
    return -10 * (a - b).square().mean((1, 2, 3)).log10()


@torch.no_grad()
def identity(a: Tensor, b: Tensor, net: Embedder | None = None) -> Tensor:
    """Cosine [N] of the faces' embeddings, in [-1, 1]; 1 is the same person. `net`: the embedded judge by default."""
    _check(a, b)
    net = net or judge()
    return (net.embed(a) * net.embed(b)).sum(1)


def fidelity(
    x: Tensor, y: Tensor, f: TwoMethods, generator: Generators = None, net: Perceptual | None = None
) -> Tensor:
    """LPIPS [N] of the re-degraded restoration against y (baselines.md, section 14): the true degradation of x.

    `generator` draws its noise; give the seed of the protocol and state it.
    """
    return lpips(f.degrade(x, generator), y, net)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 4 or a.shape != b.shape:
        raise MetricError(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)}: expected two equal [N, 3, H, W]")
