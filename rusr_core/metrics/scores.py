"""How good a restoration is. Three questions, three families; no single number answers them all.

    accuracy   is it the true image?     LPIPS, PSNR, identity similarity against the truth (nobody has it in practice)
    fidelity   does it explain y?        LPIPS of the re-degraded restoration against y, with the true degradation
    realism    could it be a photograph? Frechet distances over many images, see `realism`

All take images [N, 3, H, W] of floating point in [0, 1] and return one value an image [N]. Anything else is a
`MetricError` that says what was found; `checks.OVERSHOOT` says how far images that were not clamped may leave the
range. The images may lie on different devices, and the judging net on a third: values come back where the first image
lies. Large images are measured in parts of `PIXELS`, one by one at 1024 px, so that N does not cost memory.

On the embedded profile the perceptual distance is not LPIPS-VGG: tables call it LPIPS-portraits. It is judged by a
net that no restoration optimises, since a score by the optimised net flatters. Chapter: book/metrics.ipynb.
"""

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.arithmetic import usable_device
from rusr_core.checkpoints.networks import load_portrait_net
from rusr_core.degradations.base import Operator
from rusr_core.degradations.operator import degrade
from rusr_core.files import data_path
from rusr_core.metrics.checks import MetricError, check_images
from rusr_core.networks.perceptual import Perceptual, distance, to_device_of
from rusr_core.networks.portrait_net import SMALLEST, PortraitNet
from rusr_core.networks.recognition import Embedder

JUDGE = "portraits/features_b.safetensors"
PIXELS = 2**20  # measured at once: one image of 1024 px
SSIM_SIDE = 11  # px of the Gaussian window
SSIM_SIGMA = 1.5


@cache
def judge(device: str | torch.device = "cpu") -> PortraitNet:
    """The embedded profile's judging net (net B), which no restoration optimises. Raises `DeviceError`."""
    device = usable_device(device)
    return load_portrait_net(data_path(JUDGE)).to(device)


@torch.no_grad()
def lpips(a: Tensor, b: Tensor, net: Perceptual | None = None) -> Tensor:
    """Perceptual distance [N] of a and b, [N, 3, H, W] in [0, 1]; lower is closer, 0 for equal images.

    `net`: the embedded judge by default (LPIPS-portraits), `priors.lpips_net()` for LPIPS-VGG. Images below 16 px,
    which no net reads, are first enlarged by a whole factor, pixel by pixel.
    """
    check_images("lpips", a, b)
    net = _looking(net, "features", "lpips")
    return _in_parts(lambda u, v: distance(*(net.features(_readable(x)) for x in to_device_of(net, u, v))), a, b)


@torch.no_grad()
def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio [N] in dB for a range of 1; higher is closer, infinite for equal images.

    A mean over images leaves out the infinite values and counts them, see `report.summarize`.
    """
    check_images("psnr", a, b)
    return _in_parts(lambda u, v: -10 * (u.double() - v.double()).square().mean((1, 2, 3)).log10(), a, b)


@torch.no_grad()
def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity [N] in [-1, 1]; 1 for equal images. Mean over pixels and colour channels.

    Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity", IEEE TIP 2004, eq. 13:
    Gaussian window of 11 px, sigma 1.5, K = (0.01, 0.03), range 1, borders of half a window left out. Both sides
    have at least 11 px.
    """
    check_images("ssim", a, b)
    if min(a.shape[2:]) < SSIM_SIDE:
        raise MetricError(f"ssim: images of {a.shape[3]}x{a.shape[2]} px, expected sides of at least {SSIM_SIDE} px")
    return _in_parts(_ssim, a, b)


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    a, b = a.double(), b.double()  # variances are small differences of large numbers
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
    return (top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean((1, 2, 3))


@torch.no_grad()
def identity(a: Tensor, b: Tensor, net: Embedder | None = None) -> Tensor:
    """Cosine [N] of the faces' embeddings, in [-1, 1]; 1 is the same person. `net`: the embedded judge by default."""
    check_images("identity", a, b)
    net = _looking(net, "embed", "identity")

    def cosine(u: Tensor, v: Tensor) -> Tensor:
        one, other = (net.embed(x.float()) for x in to_device_of(net, u, v))
        return (one * other).sum(1)

    return _in_parts(cosine, a, b)


def fidelity(
    x: Tensor, y: Tensor, f: Operator, generator: torch.Generator | None = None, net: Perceptual | None = None
) -> Tensor:
    """LPIPS [N] of the re-degraded restoration against y: the true degradation of x.

    `generator` draws its noise, for the images in turn; give the seed of the protocol and state it. Small y are
    enlarged as `lpips` says.
    """
    check_images("fidelity", x)
    check_images("fidelity", y)
    again = degrade(f, x, generator)
    if again.shape != y.shape:
        raise MetricError(f"fidelity: f makes {tuple(again.shape)} of images {tuple(x.shape)}, y is {tuple(y.shape)}")
    return lpips(again, y, net)


def _looking(net: object, word: str, metric: str) -> object:
    """The network of a metric, by default the embedded judge. MetricError for one without the method `word`."""
    if net is None:
        return judge()
    if not callable(getattr(net, word, None)):
        raise MetricError(f"{metric}: net is {type(net).__name__}, which has no {word}(x): expected a network, or None")
    return net


def _in_parts(measure: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """`measure` [N] of a and b in float32 on the device of a, as many images at once as `PIXELS` hold."""
    size = max(1, PIXELS // (a.shape[2] * a.shape[3]))
    parts = zip(a.split(size), b.split(size), strict=True)
    values = [measure(*(_plain(x).to(a.device) for x in pair)) for pair in parts]
    return torch.cat([value.to(a.device, torch.float32) for value in values])


def _plain(x: Tensor) -> Tensor:
    """In float32, unless it is finer: half precision is no precision to compute in."""
    return x if x.dtype == torch.float64 else x.float()


def _readable(x: Tensor) -> Tensor:
    """Images as a net reads them: in float32, and below 16 px enlarged by a whole factor."""
    factor = -(-SMALLEST // min(x.shape[2:]))
    return x.float() if factor == 1 else x.float().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
