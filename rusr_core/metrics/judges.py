"""The scores of restorations: which networks judge, what is measured of each image and of a set of images.

Protocol: images as 8-bit files hold them, accuracy and fidelity an image, realism against the true images of the same
set, intervals by bootstrap over images (baselines.md, section 14). Chapter: book/metrics.ipynb.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints.networks import load_portrait_net
from rusr_core.degradations.base import Operator
from rusr_core.images import quantize
from rusr_core.metrics import intervals, realism
from rusr_core.metrics import scores as image_metrics
from rusr_core.metrics.realism import Features
from rusr_core.networks.perceptual import Perceptual
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.networks.recognition import Embedder
from rusr_core.prior import Prior


@dataclass(frozen=True)
class Metric:
    """How a number is named and read."""

    question: str  # accuracy, realism, fidelity
    label: str  # followed by the judge's suffix if `judged`
    lower_is_better: bool
    judged: bool = True


METRICS = {
    "lpips": Metric("accuracy", "LPIPS", True),
    "fid": Metric("realism", "FID", True),
    "fidelity": Metric("fidelity", "LPIPS", True),
    # beyond the report's three lines
    "lpips_optimised": Metric("accuracy", "LPIPS by the optimised net", True, False),
    "psnr": Metric("accuracy", "PSNR (dB)", False, False),
    "ssim": Metric("accuracy", "SSIM", False, False),
    "identity": Metric("accuracy", "identity", False),
    "pfid": Metric("realism", "pFID", True),
    "kid": Metric("realism", "KID", True),
}


@dataclass(frozen=True)
class Judge:
    """The networks that score. None: that score is not measured."""

    suffix: str  # "-portraits" for the embedded net: its scores are never compared with the published ones
    perceptual: Perceptual
    identity: Embedder | None
    features: Features | None

    def label(self, key: str) -> str:
        """A metric's name with this judge's suffix."""
        return label(key, self.suffix)


def label(key: str, suffix: str) -> str:
    """A metric's name as tables show it: "LPIPS-portraits"."""
    metric = METRICS[key]
    return metric.label + (suffix if metric.judged else "")


def portraits_judge(net: PortraitNet | None = None) -> Judge:
    """The embedded judging net (net B) in all three roles, or another of its kind."""
    net = net or image_metrics.judge()
    return Judge("-portraits", net, net, realism.portrait_features(net))


def judge_of(prior: Prior, net: str | Path | None = None) -> Judge:
    """Who judges a prior's restorations: net B where the embedded net A is optimised, `net` (a `PortraitNet` file) if
    given, else the prior's own networks, and clean-fid's Inception for realism if its file is there.
    """
    if net is not None or isinstance(prior.perceptual, PortraitNet):  # never the net that was optimised
        found = None if net is None else load_portrait_net(net)
        return portraits_judge(found)
    try:
        features = realism.inception_features(device=prior.generator.mapping.w_avg.device)
    except realism.RealismError:
        features = None
    return Judge("", prior.perceptual, prior.identity, features)


def image_scores(
    x: Tensor,
    truth: Tensor,
    y: Tensor,
    f: Operator,
    generator: torch.Generator | None,
    judge: Judge,
    prior: Prior | None = None,
) -> dict[str, Tensor]:
    """Scores [N] of each restoration x [N, 3, R, R] by the keys of `METRICS`.

    `generator` is to give the draws that made y (the published protocol: equal draws flatter the fidelity of noisy
    tasks). With `prior`, LPIPS by the net that was optimised too, to show how it flatters.
    """
    x, truth = quantize(x.cpu()), quantize(truth.cpu())
    scores = {
        "lpips": image_metrics.lpips(x, truth, judge.perceptual),
        "fidelity": image_metrics.fidelity(x, y.cpu(), f, generator, judge.perceptual),
        "psnr": image_metrics.psnr(x, truth),
        "ssim": image_metrics.ssim(x, truth),
    }
    if prior is not None:
        scores["lpips_optimised"] = image_metrics.lpips(x, truth, prior.perceptual)
    if judge.identity is not None:
        scores["identity"] = image_metrics.identity(x, truth, judge.identity)
    return scores


def set_scores(
    restored: Tensor, truth: Tensor, judge: Judge, *, crops: int = realism.CROPS, seed: int = 0, rounds: int = 100
) -> dict[str, tuple[float, float, float]]:
    """Realism of restorations [N, 3, R, R] against the true images of the same set: value, low, high.

    Empty if the judge has no features or there are fewer than 2 images. Crops are cut at places drawn from `seed`.
    """
    if judge.features is None or len(restored) < 2:
        return {}
    whole = [realism.image_features(quantize(x), judge.features) for x in (restored, truth)]
    patches = [realism.patch_features(quantize(x), judge.features, crops, seed) for x in (restored, truth)]
    statistics = {
        "fid": realism.resampled_frechet(*whole),
        "pfid": realism.resampled_frechet(*patches),
        "kid": lambda index: realism.kernel_distance(whole[0][index], whole[1][index]),
    }
    everyone = torch.arange(len(restored))
    return {
        key: (statistic(everyone), *intervals.interval(statistic, len(restored), rounds=rounds, seed=seed))
        for key, statistic in statistics.items()
    }
