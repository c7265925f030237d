"""Could it be a photograph? Distances between two SETS of images, by the features of a network.

FID: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
2017, https://arxiv.org/abs/1706.08500, eq. 6. KID: Binkowski et al., "Demystifying MMD GANs", ICLR 2018,
https://arxiv.org/abs/1801.01401, section 4. Patch FID: FID of random crops, the realism of Poirier-Ginter &
Lalonde, CVPR 2023 (baselines.md, section 14).

Features and distance are separate: features are `[N, F]`, or `[N, K, F]` for K crops of each of N images. The
embedded net's features give FID-portraits, KID-portraits and pFID-portraits, the published Inception FID, KID and
pFID; the two are never compared. FID and pFID are biased upwards for few images, KID is not: compare sets of equal
size only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rusr_core.errors import RusrError
from rusr_core.images import resize
from rusr_core.networks.perceptual import to_device_of
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.randomness import generators

INCEPTION = "inception-2015-12-05.pt"  # the file that clean-fid and StyleGAN2-ADA read
INCEPTION_SIDE = 299
CROPS = 100  # an image; the published protocol takes 1000 of 128 px at 1024 px
CROP_FRACTION = 8  # crops have an eighth of the side, as published, and at least `SMALLEST_CROP`
SMALLEST_CROP = 16  # px: the embedded net reads no less

Features = Callable[[Tensor], Tensor]  # [N, 3, H, W] in [0, 1] -> [N, F]


class RealismError(RusrError):
    """Sets of images or features that cannot be compared, or a network that is not there."""


@dataclass(frozen=True)
class Statistics:
    """The Gaussian that stands for a set of features."""

    mean: Tensor  # [F] float64
    covariance: Tensor  # [F, F] float64


def statistics(features: Tensor) -> Statistics:
    """Mean and unbiased covariance of features [N, F] or [N, K, F]."""
    _check(features)
    x = features.flatten(0, -2).double()
    mean = x.mean(0)
    x = x - mean
    return Statistics(mean, x.T @ x / (len(x) - 1))


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """|m_a - m_b|^2 + Tr(A + B - 2 (A B)^(1/2)) (Heusel et al., eq. 6); 0 for equal Gaussians, lower is closer.

    The trace of (A B)^(1/2) is taken from the eigenvalues of the symmetric A^(1/2) B A^(1/2), which are the same and
    real; so covariances may be singular, as they are with fewer samples than features.
    """
    if a.mean.shape != b.mean.shape:
        raise RealismError(f"features of {len(a.mean)} and {len(b.mean)} numbers: expected those of one network")
    values, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    shared = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp_min(0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * shared
    return max(distance.item(), 0.0)  # rounding may go below


def frechet(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two sets of features [N, F] or [N, K, F].

    With fewer samples than features the trace of (A B)^(1/2) is the sum of the singular values of X Y^T, X and Y being
    the centred samples over sqrt(N - 1): a small matrix instead of several of F x F.
    """
    _check(a)
    _check(b)
    x, y = (v.flatten(0, -2).double() for v in (a, b))
    if x.shape[1] != y.shape[1] or max(len(x), len(y)) >= x.shape[1]:
        return frechet_distance(statistics(a), statistics(b))
    shift = (x.mean(0) - y.mean(0)).square().sum()
    x, y = ((v - v.mean(0)) / (len(v) - 1) ** 0.5 for v in (x, y))
    distance = shift + x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()
    return max(distance.item(), 0.0)


def resampled_frechet(a: Tensor, b: Tensor) -> Callable[[Tensor], float]:
    """The Frechet distance of the images `index` of features [N, F] or [N, K, F], as a function of `index`, for
    `metrics.interval`. Each image's share of the covariance is computed once where that fits the memory.
    """
    if a.shape[-1] > 512:
        return lambda index: frechet(a[index], b[index])
    shares = [_shares(x) for x in (a, b)]
    return lambda index: frechet_distance(*(_gathered(*share, index) for share in shares))


def _shares(features: Tensor) -> tuple[Tensor, Tensor, Tensor, int]:
    """Centre [F], and of each image the sum [N, F] and the products [N, F * F] of its centred features [N, K, F]."""
    _check(features)
    x = features.double().reshape(len(features), -1, features.shape[-1])
    centre = x.mean((0, 1))
    x = x - centre
    return centre, x.sum(1), (x.mT @ x).flatten(1), x.shape[1]


def _gathered(centre: Tensor, sums: Tensor, products: Tensor, crops: int, index: Tensor) -> Statistics:
    times = torch.bincount(index, minlength=len(sums)).double()
    num = len(index) * crops
    mean = times @ sums / num
    covariance = ((times @ products).view(len(mean), -1) - num * torch.outer(mean, mean)) / (num - 1)
    return Statistics(centre + mean, covariance)


def kernel_distance(a: Tensor, b: Tensor) -> float:
    """KID of two sets of features [N, F], [M, F] or with crops: the unbiased squared MMD with the kernel
    (x.y / F + 1)^3 over ALL pairs, so nothing is drawn. About 0 for equal distributions (it may be negative).
    """
    _check(a)
    _check(b)
    x, y = a.flatten(0, -2).double(), b.flatten(0, -2).double()
    if x.shape[1] != y.shape[1]:
        raise RealismError(f"features of {x.shape[1]} and {y.shape[1]} numbers: expected those of one network")

    def within(u: Tensor) -> Tensor:
        products = (u @ u.T / u.shape[1] + 1) ** 3
        return (products.sum() - products.trace()) / (len(u) * (len(u) - 1))

    return (within(x) + within(y) - 2 * ((x @ y.T / x.shape[1] + 1) ** 3).mean()).item()


def crop_side(resolution: int) -> int:
    """Side of the crops of patch FID for images of this side, px."""
    return max(resolution // CROP_FRACTION, min(SMALLEST_CROP, resolution))


def random_crops(x: Tensor, side: int, count: int = CROPS, seed: int = 0, start: int = 0) -> Tensor:
    """`count` uniformly placed crops of each image [N, 3, H, W] -> [N, count, 3, side, side], not resized.

    Places are a function of (seed, `start` + image number), so that equal images of two sets give equal crops.
    """
    height, width = x.shape[-2:]
    if side > min(height, width) or side < 1 or count < 1:
        raise RealismError(f"{count} crops of {side} px of images of {width}x{height} px")
    cut = []
    for image, generator in zip(x, generators(seed, len(x), start), strict=True):
        tops = torch.randint(height - side + 1, (count,), generator=generator).tolist()
        lefts = torch.randint(width - side + 1, (count,), generator=generator).tolist()
        cut.append(torch.stack([image[:, t : t + side, v : v + side] for t, v in zip(tops, lefts, strict=True)]))
    return torch.stack(cut)


@torch.no_grad()
def image_features(x: Tensor, net: Features, batch: int = 16) -> Tensor:
    """Features [N, F] (float64, CPU) of whole images [N, 3, H, W] in [0, 1]."""
    return torch.cat([net(part).double().cpu() for part in x.split(batch)])


@torch.no_grad()
def patch_features(x: Tensor, net: Features, count: int = CROPS, seed: int = 0, side: int | None = None) -> Tensor:
    """Features [N, count, F] (float64, CPU) of random crops of images [N, 3, H, W] in [0, 1]."""
    side = side or crop_side(min(x.shape[-2:]))
    rows = []
    for i in range(len(x)):  # an image's crops at once
        crops = random_crops(x[i : i + 1], side, count, seed, i)[0]
        rows.append(net(crops).double().cpu())
    return torch.stack(rows)


def portrait_features(net: PortraitNet) -> Features:
    """The embedded net's pooled features: FID-portraits. Judge with net B (`metrics.judge()`)."""
    return lambda x: net.pooled(*to_device_of(net, x))


def inception_features(folder: str | Path | None = None, device: str | torch.device = "cpu") -> Features:
    """clean-fid's Inception features [N, 2048], with its resize to 299 px (bicubic with antialiasing, in float).

    Reads `inception-2015-12-05.pt` in `folder` (default: torch's hub cache) and never downloads it.
    Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022.
    """
    folder = Path(folder) if folder is not None else Path(torch.hub.get_dir()) / "checkpoints"
    if not (folder / INCEPTION).is_file():
        raise RealismError(f"Inception features need {folder / INCEPTION}, which is not there (nothing is downloaded)")
    try:
        from cleanfid.inception_torchscript import InceptionV3W
    except ImportError as error:
        raise RealismError("Inception features need clean-fid: pip install 'rusr[bench]'") from error
    net: nn.Module = InceptionV3W(str(folder), download=False).to(device).eval()
    return lambda x: net(resize(x.to(device), INCEPTION_SIDE, "bicubic").clamp(0, 1) * 255)


def _check(features: Tensor) -> None:
    if features.ndim not in (2, 3) or features.flatten(0, -2).shape[0] < 2:
        raise RealismError(f"features {tuple(features.shape)}: expected [N, F] or [N, K, F] with at least 2 samples")
