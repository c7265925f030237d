"""Intervals hold the true value as often as they say, simulated with known truths; spreads are what they are called."""

import math

import pytest
import torch
from conftest import seeded

from rusr_core import metrics
from rusr_core.metrics import realism
from rusr_core.metrics.judges import Score, SetFeatures, realism_scores

POPULATIONS = {  # draws, true mean, how many of 100 intervals at least hold it for 8 images
    "normal": (lambda shape, g: torch.randn(shape, generator=g), 0.0, 93),
    "skewed as distances are": (lambda shape, g: (0.4 * torch.randn(shape, generator=g)).exp(), math.exp(0.08), 90),
    "bounded": (lambda shape, g: torch.rand(shape, generator=g), 0.5, 92),
}


@pytest.mark.parametrize("num", (8, 20))
@pytest.mark.parametrize("name", POPULATIONS)
def test_the_interval_of_a_mean_holds_it_as_often_as_it_says(name, num):
    """The percentiles of the bootstrap held it in 84 to 92 of 100."""
    draw, true, least = POPULATIONS[name]
    experiments = draw((1000, num), seeded(num))
    hits = 0
    for values in experiments:
        mean, low, high = metrics.mean_interval(values)
        assert low < mean < high and mean == pytest.approx(values.double().mean().item())
        hits += low <= true <= high
    assert 10 * (least - 1) <= hits <= 10 * 98


def test_the_interval_of_a_mean_worked_by_hand():
    """Mean 2, s = 1, n = 3; the table of Student's distribution has t = 4.303 for two degrees of freedom."""
    mean, low, high = metrics.mean_interval(torch.tensor([1.0, 2.0, 3.0]))
    assert (mean, low, high) == pytest.approx((2, 2 - 4.303 / 3**0.5, 2 + 4.303 / 3**0.5), abs=1e-3)
    assert metrics.mean_interval(torch.ones(4)) == (1, 1, 1)
    assert all(math.isnan(v) for v in metrics.mean_interval(torch.ones(1))[1:])


def test_an_interval_in_words():
    assert metrics.with_interval(0.354, 0.33, 0.37) == "0.35 [0.33, 0.37]"
    assert metrics.with_interval(58.4, 49, 67.2, digits=0, unit="%") == "58 % [49, 67]"
    assert metrics.with_interval(0.5, math.nan, math.nan) == "0.50"
    assert metrics.with_interval(-0.004, -0.02, -0.0) == "0.00 [-0.02, 0.00]"


def pairs(experiments: int, num: int, features: int, shift: float, scale: float, noise: float) -> torch.Tensor:
    """Gaussian features and those of their restorations, [2, experiments, num, features]; eigenvalues 1 / i."""
    deviations = eigenvalues(features).sqrt()
    g = seeded(features + num)
    x, e = (torch.randn(experiments, num, features, generator=g, dtype=torch.float64) * deviations for _ in range(2))
    return torch.stack([x, shift * deviations + scale * x + noise * e])


def eigenvalues(features: int) -> torch.Tensor:
    values = 1 / torch.arange(1, features + 1, dtype=torch.float64)
    return values / values.mean()


def true_kernel_distance(features: int, shift: float, scale: float, noise: float) -> float:
    """MMD^2 of the two Gaussians of `pairs` with the kernel (x.y / F + 1)^3: the differences of the first three raw
    moments, squared, with the weights 3 / F, 3 / F^2, 1 / F^3."""
    covariance = torch.diag(eigenvalues(features))
    mean, other = shift * eigenvalues(features).sqrt(), covariance * (scale**2 + noise**2)
    second = covariance - other - torch.outer(mean, mean)
    mixed = torch.einsum("i,jk->ijk", mean, other)
    third = torch.einsum("i,j,k->ijk", mean, mean, mean) + mixed + mixed.permute(1, 0, 2) + mixed.permute(1, 2, 0)
    moments = zip((3, 3, 1), (1, 2, 3), (mean, second, third), strict=True)
    return sum(weight * part.square().sum().item() / features**power for weight, power, part in moments)


@pytest.mark.parametrize("num, least", ((8, 85), (20, 88)))
@pytest.mark.parametrize("change", ((0.3, 1, 0.3), (0.2, 0.8, 0.2), (0, 1, 0.1)), ids=("shift", "blur", "noise"))
def test_the_interval_of_kid_holds_the_true_value(change, num, least):
    """Restorations and their own truths. With the pairs counted, as once, none of the intervals of `noise` held it."""
    true = true_kernel_distance(20, *change)
    found = [realism.kernel_interval(a, b, paired=True) for a, b in zip(*pairs(300, num, 20, *change), strict=True)]
    values = torch.tensor([value for value, _, _ in found])
    error = values.std().item() / len(values) ** 0.5
    assert values.mean().item() == pytest.approx(true, abs=4 * error)  # unbiased
    assert sum(low <= true <= high for _, low, high in found) >= 3 * least
    assert sum(high < 0 for _, _, high in found) <= 6  # a squared distance is not negative


def test_the_interval_of_kid_of_independent_sets_holds_the_true_value():
    change = (0.3, 1, 0.3)
    a, b = pairs(300, 20, 20, *change)
    found = [realism.kernel_interval(x, y, paired=False) for x, y in zip(a.roll(1, 0), b, strict=True)]
    true = true_kernel_distance(20, *change)
    values = torch.tensor([value for value, _, _ in found])
    assert values.mean().item() == pytest.approx(true, abs=4 * values.std().item() / 300**0.5)
    assert sum(low <= true <= high for _, low, high in found) >= 270


def test_twenty_pairs_with_little_noise_are_not_below_zero():
    for a, b in zip(*pairs(20, 20, 208, 0, 1, 0.1), strict=True):
        value, low, high = realism.kernel_interval(a, b, paired=True)
        assert abs(value) < 0.01 and high > 0 and low < value


def test_the_spread_of_a_mean_is_its_standard_error():
    values = torch.randn(12, generator=seeded(), dtype=torch.float64)
    spread = metrics.spread(lambda index: values[index].mean().item(), 12)
    assert spread == pytest.approx(values.std().item() / 12**0.5)
    assert math.isnan(metrics.spread(lambda index: 1.0, 12, rounds=0))
    calls = []
    metrics.spread(lambda index: calls.append(index) or 0.0, 12, rounds=5)
    assert [len(index) for index in calls] == [9, 9, 10, 10, 10]
    assert sorted(i for index in calls for i in set(range(12)) - set(index.tolist())) == list(range(12))


@pytest.mark.slow
def test_the_spread_of_a_frechet_distance_is_its_deviation_and_no_interval():
    """Gaussian pairs, 20 images of 20 features. The distance is far too large, so that value -+ 2 spread would never
    hold the true one, as the former "95 % interval" did not; how far it varies is what the spread says."""
    change = (0, 0.7, 0.6)
    values = eigenvalues(20)
    true = ((values.sqrt() - values.sqrt() * (change[1] ** 2 + change[2] ** 2) ** 0.5) ** 2).sum().item()
    sets = [SetFeatures(x, x[:, None]) for x in pairs(60, 20, 20, *change).flatten(0, 1)]
    scores = [realism_scores([a], b)["fid"] for a, b in zip(sets[60:], sets[:60], strict=True)]
    found, spreads = torch.tensor([s.value for s in scores]), torch.tensor([s.spread for s in scores])
    assert 0.6 * found.std() < spreads.mean() < 1.6 * found.std()
    assert (found - 2 * spreads > true).all()
    assert all(math.isnan(s.low) and math.isnan(s.high) and "[" not in str(s) and "±" in str(s) for s in scores)


def test_a_score_shows_what_it_has():
    assert str(Score("fid", 0.05, spread=0.012)) == "0.0500 ± 0.0120"
    assert str(Score("kid", 0.05, -0.01, 0.11)) == "0.0500 [-0.0100, 0.1100]"
    assert str(Score("psnr", math.inf)) == "inf" and str(Score("psnr", math.nan)) == "not measured"
