"""Could it be a photograph? Distances between two SETS of images, by the features of a network.

FID: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
2017, https://arxiv.org/abs/1706.08500, eq. 6. KID: Binkowski et al., "Demystifying MMD GANs", ICLR 2018,
https://arxiv.org/abs/1801.01401, section 4. Patch FID (pFID): FID of random crops, the realism of Poirier-Ginter &
Lalonde, CVPR 2023.

Features and distance are separate: features are `[N, F]`, or `[N, K, F]` for K crops of each of N images. The
embedded net's features give FID-portraits, KID-portraits and pFID-portraits, the published Inception FID, KID and
pFID; the two are never compared. FID and pFID of few images are far too large, and there is no interval that would
hold the true distance: compare sets of equal size only. KID is unbiased and has an interval.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from rusr_core.errors import RusrError
from rusr_core.images import resize
from rusr_core.limits import MAX_COUNT, MAX_SIDE, check_whole, shown
from rusr_core.metrics.checks import check_images, check_real
from rusr_core.metrics.intervals import LEVEL, check_level, student
from rusr_core.networks.perceptual import to_device_of
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.randomness import generators

INCEPTION = "inception-2015-12-05.pt"  # the file that clean-fid and StyleGAN2-ADA read
INCEPTION_SIDE = 299
CROPS = 100  # an image; the published protocol takes 1000 of 128 px at 1024 px
CROP_FRACTION = 8  # crops have an eighth of the side, as published, and at least `SMALLEST_CROP`
SMALLEST_CROP = 16  # px: the embedded net reads no less
REFERENCE = 2**31  # `start` of the crops of the true images: their places have nothing to do with the restorations'
BATCH_PIXELS = 2**20  # given to the network at once: one image of 1024 px
CROP_BATCH = 64  # crops at once: Inception enlarges each to 299 px

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

    The trace of (A B)^(1/2) is taken from the eigenvalues of the symmetric R^T B R with A = R R^T, which are those of
    A B and real; covariances may be singular, as they are with fewer samples than features.
    """
    for one in (a, b):
        if not isinstance(one, Statistics):
            raise RealismError(f"got {type(one).__name__}: expected the Statistics of a set of features")
    if a.mean.shape != b.mean.shape:
        raise RealismError(f"features of {len(a.mean)} and {len(b.mean)} numbers: expected those of one network")
    root = _root(a.covariance)
    shared = torch.linalg.eigvalsh(root.T @ b.covariance @ root).clamp_min(0).sqrt().sum()
    distance = (a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * shared
    return max(distance.item(), 0.0)  # rounding may go below


def _root(covariance: Tensor) -> Tensor:
    """R [F, F] with R R^T = covariance: its Cholesky factor, or by eigenvalues, twice as slow, where it is singular."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if not failed:
        return factor
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt()


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


def kernel_distance(a: Tensor, b: Tensor, *, paired: bool) -> float:
    """KID of two sets of features [N, F] and [M, F], or with crops [N, K, F]: the unbiased estimate of the squared MMD
    with the kernel k(x, y) = (x.y / F + 1)^3 from all pairs of images, so that nothing is drawn.

    Args:
        paired: whether b_i belongs to a_i, as the truth to its restoration. The two are alike because they belong
            together, so that the pairs (a_i, b_i) must not count: this is the U-statistic of Gretton et al., "A Kernel
            Two-Sample Test", JMLR 2012, eq. 4, the mean over i != j of
            k(a_i, a_j) + k(b_i, b_j) - k(a_i, b_j) - k(a_j, b_i), and needs N = M. Independent sets have no such
            pairs, and all k(a_i, b_j) count (eq. 3).

    0 for paired sets that are equal, and about 0, perhaps below it, for sets from one distribution.
    """
    return kernel_interval(a, b, paired=paired)[0]


def kernel_interval(a: Tensor, b: Tensor, *, paired: bool, level: float = LEVEL) -> tuple[float, float, float]:
    """KID as `kernel_distance` gives it, and its interval; -> (value, low, high).

    Student's interval with the standard error of the jackknife over images (Arvesen, "Jackknifing U-Statistics", Annals
    of Mathematical Statistics 1969). low and high are nan for fewer than 3 images. For restorations of 8 or 20
    portraits and the embedded net's features, 93 to 97 of 100 such intervals held the true value where 95 were
    promised, and nearly all where it is 0; for few features whose variance alone differs they were down to 87 of 20
    images. tests/metrics/test_intervals.py repeats the simulation.
    """
    check_level(level)
    if not isinstance(paired, bool):
        raise RealismError(f"paired is {shown(paired)}: expected True or False")
    for x in (a, b):
        _check(x)
    if a.shape[-1] != b.shape[-1]:
        raise RealismError(f"features of {a.shape[-1]} and {b.shape[-1]} numbers: expected those of one network")
    if min(len(a), len(b)) < 2 or (paired and len(a) != len(b)):
        expected = "the same number of 2 or more" if paired else "2 or more of each"
        raise RealismError(f"KID of {len(a)} and {len(b)} images: expected {expected}")
    within_a, within_b, across = _kernel(a, a), _kernel(b, b), _kernel(a, b)
    if paired:
        value, parts = _u_statistic(within_a + within_b - across - across.T)
        parts = [parts]
    else:
        (one, ones), (other, others) = _u_statistic(within_a), _u_statistic(within_b)
        rows, columns, total = across.sum(1), across.sum(0), across.sum()
        value = one + other - 2 * across.mean()
        parts = [
            ones + other - 2 * (total - rows) / (across.numel() - across.shape[1]),
            one + others - 2 * (total - columns) / (across.numel() - across.shape[0]),
        ]
    smallest = min(len(a), len(b))
    if smallest < 3:
        return value.item(), float("nan"), float("nan")
    error = sum(part.var(correction=0) * (len(part) - 1) for part in parts).sqrt().item()
    return student(value.item(), error, smallest, level)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """k of each image of a with each of b, [N, M], the mean over their crops."""
    x, y = (v.double().reshape(len(v), -1, v.shape[-1]) for v in (a, b))
    products = x.flatten(0, 1) @ y.flatten(0, 1).T / x.shape[-1] + 1
    return (products**3).view(len(x), x.shape[1], len(y), y.shape[1]).mean((1, 3))


def _u_statistic(terms: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of the terms [N, N] of all pairs i != j, and what it is without each image, [N]."""
    terms = terms - torch.diag(terms.diag())
    num, total = len(terms), terms.sum()
    return total / (num * (num - 1)), (total - 2 * terms.sum(1)) / max((num - 1) * (num - 2), 1)


def crop_side(resolution: int) -> int:
    """Side of the crops of patch FID for images of this side, px."""
    check_whole("resolution", resolution, 1, MAX_SIDE, RealismError)
    return max(resolution // CROP_FRACTION, min(SMALLEST_CROP, resolution))


def random_crops(x: Tensor, side: int, count: int = CROPS, seed: int = 0, start: int = 0) -> Tensor:
    """`count` uniformly placed crops of each image [N, 3, H, W] -> [N, count, 3, side, side], not resized.

    Places are a function of (seed, `start` + image number). Two sets that are compared are cropped at different ones:
    give `start=REFERENCE` for the second.
    """
    check_images("random_crops", x)
    height, width = x.shape[-2:]
    check_whole(f"the side of crops of images of {width}x{height} px", side, 1, min(height, width), RealismError)
    check_whole("count", count, 1, MAX_COUNT, RealismError)
    cut = []
    for image, generator in zip(x, generators(seed, len(x), start), strict=True):
        tops = torch.randint(height - side + 1, (count,), generator=generator).tolist()
        lefts = torch.randint(width - side + 1, (count,), generator=generator).tolist()
        cut.append(torch.stack([image[:, t : t + side, v : v + side] for t, v in zip(tops, lefts, strict=True)]))
    return torch.stack(cut)


@torch.no_grad()
def image_features(x: Tensor, net: Features, batch: int = 16) -> Tensor:
    """Features [N, F] (float64, CPU) of whole images [N, 3, H, W] in [0, 1], no more at once than `batch` of them or
    `BATCH_PIXELS`."""
    check_images("image_features", x)
    check_whole("batch", batch, 1, MAX_COUNT, RealismError)
    batch = max(1, min(batch, BATCH_PIXELS // (x.shape[2] * x.shape[3])))
    return torch.cat([net(part).double().cpu() for part in x.split(batch)])


@torch.no_grad()
def patch_features(
    x: Tensor, net: Features, count: int = CROPS, seed: int = 0, side: int | None = None, start: int = 0
) -> Tensor:
    """Features [N, count, F] (float64, CPU) of random crops of images [N, 3, H, W] in [0, 1], see `random_crops`."""
    check_images("patch_features", x)
    side = crop_side(min(x.shape[-2:])) if side is None else side
    crops = (random_crops(image, side, count, seed, start + i)[0] for i, image in enumerate(x.split(1)))
    return torch.stack([image_features(part, net, CROP_BATCH) for part in crops])


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
    check_real("features are", features, ", [N, F] or [N, K, F]", RealismError)
    if features.ndim not in (2, 3) or not features.numel() or features.flatten(0, -2).shape[0] < 2:
        raise RealismError(f"features {tuple(features.shape)}: expected [N, F] or [N, K, F] with at least 2 samples")
    if not features.isfinite().all():
        raise RealismError(f"{int((~features.isfinite()).sum())} features are NaN or infinite, expected finite numbers")
