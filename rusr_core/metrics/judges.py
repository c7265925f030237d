"""The scores of restorations: which networks judge, what is measured of each image and of a set of images.

Protocol: images as 8-bit files hold them, accuracy and fidelity of each image, realism against the true images of the
same set. Means and KID have 95 % intervals over the images, Frechet distances a spread, see
`intervals`. Chapter: book/metrics.ipynb.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints.networks import load_portrait_net
from rusr_core.degradations.base import Operator
from rusr_core.images import quantize
from rusr_core.metrics import intervals, realism
from rusr_core.metrics import scores as image_metrics
from rusr_core.metrics.checks import MetricError, check_images
from rusr_core.metrics.realism import Features
from rusr_core.networks.digests import weights_digest
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
    perceptual: Perceptual | None
    identity: Embedder | None
    features: Features | None

    @property
    def weights(self) -> dict[str, str]:
        """The digests of the networks by role: two judges of one suffix are one where these are the same."""
        found = {"perceptual": weights_digest(self.perceptual), "identity": weights_digest(self.identity)}
        return {role: digest for role, digest in found.items() if digest is not None}

    def label(self, key: str) -> str:
        """A metric's name with this judge's suffix."""
        return label(key, self.suffix)


def label(key: str, suffix: str) -> str:
    """A metric's name as tables show it: "LPIPS-portraits"."""
    metric = METRICS[key]
    return metric.label + (suffix if metric.judged else "")


@dataclass(frozen=True)
class Score:
    """One number with its 95 % interval over the images, or its spread over them; nan where there is none."""

    key: str  # of METRICS
    value: float
    low: float = math.nan
    high: float = math.nan
    spread: float = math.nan  # standard deviation by resampling, no interval: see `intervals.spread`

    def __str__(self) -> str:
        """ "0.12 [0.10, 0.15]" or "0.05 ± 0.01"."""
        if math.isnan(self.value):
            return "not measured"
        digits = _digits(abs(self.value))
        text = intervals.with_interval(self.value, self.low, self.high, digits=digits)
        return text if math.isnan(self.spread) else f"{text} ± {self.spread:.{digits}f}"


def _digits(size: float) -> int:
    """Decimals that show a number of this size."""
    if size >= 1:
        return 2 if size >= 10 else 3
    return 4 if size >= 0.001 or size == 0 else min(3 - math.floor(math.log10(size)), 12)


def portraits_judge(net: PortraitNet | None = None, device: str | torch.device = "cpu") -> Judge:
    """The embedded judging net (net B) in all three roles, loaded to `device`, or another of its kind."""
    net = net or image_metrics.judge(device)
    return Judge("-portraits", net, net, realism.portrait_features(net))


def judge_of(prior: Prior, net: str | Path | None = None) -> Judge:
    """Who judges a prior's restorations, on the prior's device: net B where the embedded net A is optimised, `net` (a
    `PortraitNet` file) if given, else the prior's own networks, and for realism clean-fid's Inception,
    if its file is there.
    """
    device = prior.device
    if net is not None or isinstance(prior.perceptual, PortraitNet):  # never the net that was optimised
        return portraits_judge(None if net is None else load_portrait_net(net).to(device), device)
    try:
        features = realism.inception_features(device=device)
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
    check_images("image_scores", x, truth)
    x, truth = quantize(x), quantize(truth)
    scores = {"psnr": image_metrics.psnr(x, truth), "ssim": image_metrics.ssim(x, truth)}
    if judge.perceptual is not None:
        scores["lpips"] = image_metrics.lpips(x, truth, judge.perceptual)
        scores["fidelity"] = image_metrics.fidelity(x, y, f, generator, judge.perceptual)
    if prior is not None and prior.perceptual is not None:
        scores["lpips_optimised"] = image_metrics.lpips(x, truth, prior.perceptual)
    if judge.identity is not None:
        scores["identity"] = image_metrics.identity(x, truth, judge.identity)
    return {key: scores[key].cpu() for key in METRICS if key in scores}


@dataclass(frozen=True)
class SetFeatures:
    """What realism is computed from."""

    whole: Tensor  # [N, F] of the images
    patches: Tensor  # [N, K, F] of K crops of each


def set_features(
    images: Iterable[Tensor], features: Features, *, crops: int = realism.CROPS, seed: int = 0, start: int = 0
) -> SetFeatures:
    """Features of a set of images, given in batches [n, 3, R, R] of any size, so that they need not all be in memory.

    Crops are cut at places drawn from `seed` and `start` (`realism.random_crops`): the true images take
    `start=realism.REFERENCE`.
    """
    whole, patches = [], []
    for batch in images:
        check_images("realism", batch)
        batch = quantize(batch)
        whole.append(realism.image_features(batch, features))
        first = start + sum(map(len, patches))
        patches.append(realism.patch_features(batch, features, crops, seed, start=first))
    if not whole:
        raise MetricError("realism: no images, expected 1 or more")
    return SetFeatures(torch.cat(whole), torch.cat(patches))


def set_scores(
    restored: Tensor,
    truth: Tensor,
    judge: Judge,
    *,
    crops: int = realism.CROPS,
    seed: int = 0,
    rounds: int = intervals.ROUNDS,
) -> dict[str, Score]:
    """Realism of restorations [N, 3, R, R] against the true images of the same set, see `realism_scores`.

    Empty if the judge has no features or there are fewer than 2 images. Crops are cut at places drawn from `seed`, of
    the restorations at others than of the true images, as published.
    """
    check_images("set_scores", restored, truth)
    if judge.features is None or len(restored) < 2:
        return {}
    found = set_features(restored.split(1), judge.features, crops=crops, seed=seed)
    known = set_features(truth.split(1), judge.features, crops=crops, seed=seed, start=realism.REFERENCE)
    return realism_scores([found], known, rounds=rounds)


def realism_scores(
    restored: Sequence[SetFeatures], truth: SetFeatures, *, rounds: int = intervals.ROUNDS
) -> dict[str, Score]:
    """FID, pFID and KID of N >= 2 restorations against their N true images, in the same order.

    FID and pFID have a spread over the images (`intervals.spread` with `rounds`), KID a 95 % interval. Several
    restorations of each image, of several seeds, are one set a seed: the Frechet distance is the mean over the seeds.
    """
    scores, num = {}, len(truth.whole)
    for key, part, smallest in (("fid", "whole", 3), ("pfid", "patches", 2)):  # a covariance needs 2 samples
        distance = partial(_frechet, [getattr(x, part) for x in restored], getattr(truth, part))
        spread = intervals.spread(distance, num, rounds=rounds) if num >= smallest else math.nan
        scores[key] = Score(key, distance(torch.arange(num)), spread=spread)
    seeds = torch.stack([found.whole for found in restored], 1)  # [N, S, F]
    scores["kid"] = Score("kid", *realism.kernel_interval(seeds, truth.whole[:, None], paired=True))
    return scores


def _frechet(sets: Sequence[Tensor], truth: Tensor, index: Tensor) -> float:
    """Mean Frechet distance between the images `index` of each of the sets and of the truth."""
    return sum(realism.frechet(x[index], truth[index]) for x in sets) / len(sets)
