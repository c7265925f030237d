"""How good a restoration is. Three questions, three families; no single number answers them all.

    accuracy   is it the true image?     LPIPS, PSNR, identity similarity against the truth (nobody has it in practice)
    fidelity   does it explain y?        LPIPS of the re-degraded restoration against y, with the true degradation
    realism    could it be a photograph? Frechet distances over many images, see `realism`

Images may lie on any device, that of the judging net or another; values come back where the first image lies.

On the embedded profile the perceptual distance is not LPIPS-VGG: tables call it LPIPS-portraits. It is judged by a
net that no restoration optimises, since a score by the optimised net flatters. Chapter: book/metrics.ipynb.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.checkpoints.networks import load_portrait_net
from rusr_core.degradations.base import Operator
from rusr_core.degradations.operator import degrade
from rusr_core.errors import RusrError
from rusr_core.files import data_path
from rusr_core.networks.perceptual import Perceptual, distance, to_device_of
from rusr_core.networks.portrait_net import SMALLEST, PortraitNet
from rusr_core.networks.recognition import Embedder

JUDGE = "portraits/features_b.safetensors"
SSIM_SIDE = 11  # px of the Gaussian window
SSIM_SIGMA = 1.5


class MetricError(RusrError):
    """Images that cannot be compared."""


@cache
def judge() -> PortraitNet:
    """The embedded profile's judging net (net B), which no restoration optimises."""
    return load_portrait_net(data_path(JUDGE))


@torch.no_grad()
def lpips(a: Tensor, b: Tensor, net: Perceptual | None = None) -> Tensor:
    """Perceptual distance [N] of a and b, [N, 3, H, W] in [0, 1]; lower is closer, 0 for equal images.

    `net`: the embedded judge by default (LPIPS-portraits), `priors.lpips_net()` for LPIPS-VGG.
    """
    _check(a, b)
    net = net or judge()
    return distance(*(net.features(x) for x in to_device_of(net, a, b))).to(a.device)


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [N] in dB for a range of 1; higher is closer, infinite for equal images."""
    _check(a, b)
    return -10 * (a - b.to(a.device)).square().mean((1, 2, 3)).log10()


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity [N] in [-1, 1]; 1 for equal images. Mean over pixels and colour channels.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, eq. 13:
    Gaussian window of 11 px, sigma 1.5, K = (0.01, 0.03), range 1, borders of half a window left out. Sides of at
    least 11 px.
    """
    _check(a, b)
    if min(a.shape[2:]) < SSIM_SIDE:
        raise MetricError(f"SSIM of images of {a.shape[3]}x{a.shape[2]} px: expected sides of at least {SSIM_SIDE} px")
    a, b = a.double(), b.to(a.device).double()  # variances are small differences of large numbers
    at = torch.arange(SSIM_SIDE, dtype=torch.float64, device=a.device) - SSIM_SIDE // 2
    window = (-at.square() / (2 * SSIM_SIGMA**2)).exp()
    window = (window / window.sum()).repeat(a.shape[1], 1)

    def blur(x: Tensor) -> Tensor:
        x = F.conv2d(x, window[:, None, :, None], groups=len(window))
        return F.conv2d(x, window[:, None, None, :], groups=len(window))

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3)).to(torch.float32)


@torch.no_grad()
def identity(a: Tensor, b: Tensor, net: Embedder | None = None) -> Tensor:
    """Cosine [N] of the faces' embeddings, in [-1, 1]; 1 is the same person. `net`: the embedded judge by default."""
    _check(a, b)
    net = net or judge()
    one, other = (net.embed(x) for x in to_device_of(net, a, b))
    return (one * other).sum(1).to(a.device)


def fidelity(
    x: Tensor, y: Tensor, f: Operator, generator: torch.Generator | None = None, net: Perceptual | None = None
) -> Tensor:
    """LPIPS [N] of the re-degraded restoration against y (baselines.md, section 14): the true degradation of x.

    `generator` draws its noise, for the images in turn; give the seed of the protocol and state it. Images below 16 px,
    which no net reads, are first enlarged by a whole factor, pixel by pixel.
    """
    again = degrade(f, x, generator)
    _check(again, y)
    factor = -(-SMALLEST // min(y.shape[2:]))
    again, y = (v.repeat_interleave(factor, 2).repeat_interleave(factor, 3) for v in (again, y))
    return lpips(again, y, net)


def _check(a: Tensor, b: Tensor) -> None:
    if a.ndim != 4 or a.shape != b.shape:
        raise MetricError(f"images of shapes {tuple(a.shape)} and {tuple(b.shape)}: expected two equal [N, 3, H, W]")
