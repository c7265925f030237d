"""Photon noise and dead pixels: the published draws on the golden arrays, and their mean and spread."""

import pytest
import torch
from degradation_examples import ARRAYS, PUBLISHED, picture
from scipy import stats

from rusr_core import tasks
from rusr_core.degradations import DegradationError, PoissonBernoulliNoise, ReadNoise
from rusr_core.degradations.noise import soft_clamp

LEVELS = dict(zip(tasks.LEVELS, tasks.TASKS["denoising"], strict=True))


def test_clamping_and_its_gradient():
    x = ARRAYS["clamp/in"].clone().requires_grad_()
    out = soft_clamp(x)
    out.backward(ARRAYS["clamp/grad_out"])
    assert torch.equal(out.detach(), ARRAYS["clamp/out"])
    torch.testing.assert_close(x.grad, ARRAYS["clamp/grad_in"], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["", "_wide"])
def test_the_published_noise_surrogate_and_its_gradient(level, kind):
    f = PoissonBernoulliNoise(*LEVELS[level], compat=PUBLISHED)
    x = (ARRAYS["in/pred_wide"][None] if kind else picture()).requires_grad_()
    alive = (ARRAYS["noise/uniform"][None, :1] > f.p).float()
    out = f.approximate(x, ARRAYS["noise/normal"][None], alive)
    (out * ARRAYS["in/R"]).sum().backward()
    torch.testing.assert_close(out[0].detach(), ARRAYS[f"noise/pred{kind}_{level}"], atol=6e-7, rtol=0)
    torch.testing.assert_close(x.grad[0], ARRAYS[f"noise/grad{kind}_{level}"], atol=1.6e-5, rtol=0)


@pytest.mark.parametrize("level", LEVELS)
def test_noise_draws_equal_the_published_ones(level):
    f = PoissonBernoulliNoise(*LEVELS[level], compat=PUBLISHED)
    k = ["XL", "L", "M", "S", "XS"].index(level)
    true = f.draw(picture(), torch.Generator().manual_seed(4000 + k))
    guess = f(picture(), torch.Generator().manual_seed(5000 + k))
    stored = f.degrade(picture(), torch.Generator().manual_seed(2024))
    torch.testing.assert_close(true[0], ARRAYS[f"noise/true_seed{4000 + k}_{level}"], atol=1e-6, rtol=0)
    torch.testing.assert_close(guess[0], ARRAYS[f"noise/approx_seed{5000 + k}_{level}"], atol=1e-6, rtol=0)
    expected = ARRAYS[f"noise/degrade_ground_truth_u8_{level}"]
    assert torch.equal((stored[0] * 255).round().byte(), expected)


@pytest.mark.parametrize("level", LEVELS)
def test_the_noise_surrogate_has_the_true_mean_and_spread(level):
    """Over 100 draws, against the golden 2048; measured biases are in the docstring of the class."""
    photons, p = LEVELS[level]
    x = picture().expand(100, -1, -1, -1)
    for f, expected in (
        (PoissonBernoulliNoise(photons, p), "true"),
        (PoissonBernoulliNoise(photons, p, PUBLISHED), "approx"),
    ):
        draws = f(x, torch.Generator().manual_seed(1))
        mean, spread = (ARRAYS[f"noise/{expected}_{moment}_{level}"] for moment in ("mean", "var"))
        assert abs(float(draws.mean() - mean.mean())) < 0.0035
        assert abs(float(draws.var(0).mean() / spread.mean()) - 1) < 0.02
    true = PoissonBernoulliNoise(photons, p).draw(x, torch.Generator().manual_seed(2))
    assert abs(float(true.mean() - ARRAYS[f"noise/true_mean_{level}"].mean())) < 0.001


def test_half_a_photon_is_what_the_published_surrogate_lacks():
    f, published = PoissonBernoulliNoise(6, 0.64), PoissonBernoulliNoise(6, 0.64, compat=PUBLISHED)
    x = picture().expand(100, -1, -1, -1)
    true = f.draw(x, torch.Generator().manual_seed(2)).mean()
    ours = f(x, torch.Generator().manual_seed(3)).mean()
    theirs = published(x, torch.Generator().manual_seed(3)).mean()
    assert abs(ours - true) < 0.005 < 0.015 < abs(theirs - true)


@pytest.mark.parametrize("sigma", [0.0, 0.02, 0.2])
def test_read_noise_has_its_spread_in_the_dark_and_in_the_light(sigma):
    """Against SciPy's normal distribution, cut off at 0 and 1 as a file does."""
    for value in (0.0, 128 / 255, 1.0):
        x = torch.full((1, 3, 200, 200), value)
        drawn = ReadNoise(sigma).degrade(x, torch.Generator().manual_seed(1))
        steps = torch.arange(256, dtype=torch.float64) / 255
        edges = torch.cat([torch.tensor([-9.0]), steps[:-1] + 0.5 / 255, torch.tensor([9.0])]).numpy()
        shares = torch.tensor(stats.norm.cdf(edges, value, max(sigma, 1e-9))).diff()
        mean = float((shares * steps).sum())
        spread = float((shares * (steps - mean) ** 2).sum().sqrt())
        assert float(drawn.mean()) == pytest.approx(mean, abs=0.01 * sigma + 1e-6)
        assert float(drawn.std()) == pytest.approx(spread, rel=0.01, abs=1e-6)
    assert torch.equal(ReadNoise(0)(picture(), torch.Generator()), picture())
    with pytest.raises(DegradationError, match=r"sigma must be a number in \[0, 1\], got 2"):
        ReadNoise(2)
