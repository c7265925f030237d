"""The diffusion rivals as functions: with a small denoiser of random weights, and where the answer is a formula.

The Gaussian prior has a covariance that is diagonal in the cosine basis, so that its denoiser, its posterior under a
linear degradation with Gaussian noise, and each sampler's target are matrices.
"""

import numpy as np
import pytest
import torch
from scipy.fft import dct
from small_denoiser import METHODS, small_prior, truth

from rusr_core.baselines import BaselineError, daps, ddrm, dps
from rusr_core.baselines.diffusion import alphas_bar, sigma_of
from rusr_core.baselines.spectra import ROUNDING, spectrum
from rusr_core.degradations import JPEG, Compose, Downsample, Mask, PoissonBernoulliNoise, ReadNoise, Resize
from rusr_core.prior import DiffusionPrior
from rusr_core.restore import RestorationError

SIDE, NUM, MEAN = 8, 200, 0.1
COSINE = torch.from_numpy(dct(np.eye(SIDE), axis=0, norm="ortho"))
PLACES = torch.arange(SIDE, dtype=torch.float64)
VARIANCE = 0.5 / (1 + PLACES[:, None] ** 2 + PLACES**2) ** 1.5 + 1e-3
BASIS = torch.kron(torch.eye(3, dtype=torch.float64), torch.kron(COSINE, COSINE))
COVARIANCE = BASIS.T @ torch.diag(VARIANCE.expand(3, -1, -1).reshape(-1)) @ BASIS  # [192, 192]


def gaussian(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The posterior mean of the Gaussian prior, exactly."""
    along = COSINE @ (x - MEAN) @ COSINE.T
    return MEAN + COSINE.T @ (along * VARIANCE / (VARIANCE + sigma**2)) @ COSINE


def draws(seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(NUM, 3, SIDE, SIDE, generator=g, dtype=torch.float64)


def posterior(f, y: torch.Tensor, sigma: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [192] and covariance of x given y = H x + sigma n on the scale of [-1, 1], by matrices."""
    H = f.forward(torch.eye(192, dtype=torch.float64).view(192, 3, SIDE, SIDE)).flatten(1).T
    gain = COVARIANCE @ H.T @ torch.linalg.inv(H @ COVARIANCE @ H.T + sigma**2 * torch.eye(len(H), dtype=H.dtype))
    seen = 2 * y.flatten() - f.forward(torch.ones(1, 3, SIDE, SIDE, dtype=H.dtype)).flatten()
    mean = torch.full((192,), MEAN, dtype=H.dtype)
    return mean + gain @ (seen - H @ mean), COVARIANCE - gain @ H @ COVARIANCE


def picture(seed: int = 3) -> torch.Tensor:
    """One draw of the prior, [1, 3, 8, 8] in [-1, 1]."""
    g = torch.Generator().manual_seed(seed)
    n = torch.randn(192, generator=g, dtype=torch.float64)
    return (MEAN + torch.linalg.cholesky(COVARIANCE) @ n).view(1, 3, SIDE, SIDE)


def last(estimates) -> torch.Tensor:
    for x, _ in estimates:  # noqa: B007
        pass
    return x


def levels(steps: int) -> list[float]:
    return [sigma_of(abar) for abar in alphas_bar()[:: 1000 // steps].flip(0).tolist()]


def test_ddrm_is_about_the_posterior_mean_and_narrower_than_the_posterior():
    """Nothing in its 20 steps keeps the posterior's variance; its mean is near, far nearer than the prior's."""
    f, sigma = Downsample(2), 0.2
    y = f.forward(picture() / 2 + 0.5)
    noisy = Compose(f, ReadNoise(sigma / 2))
    x = last(ddrm.recursion(gaussian, spectrum(noisy, y.expand(NUM, -1, -1, -1), SIDE), levels(20), draws(), 0.85, 1.0))
    mean, covariance = posterior(f, y, sigma)
    off, there = (x.mean(0).flatten() - mean).norm(), (mean - MEAN).norm()
    spread = x.var(0).sum() / covariance.trace()
    print(f"DDRM, 20 steps: mean off by {off / there:.3f} of the way, variance {spread:.2f} of the posterior's")
    assert off < 0.2 * there and 0.1 < spread < 0.6


def test_ddrm_keeps_what_is_seen_and_its_holes_know_only_a_part_of_it():
    mask = torch.ones(SIDE, SIDE, dtype=torch.float64)
    mask[:, :3] = 0
    x = picture()
    y = mask * (x / 2 + 0.5)
    m = spectrum(Mask(mask), y.expand(NUM, -1, -1, -1), SIDE)
    found = last(ddrm.recursion(gaussian, m, levels(100), draws(), 0.85, 1.0))
    assert (found.mean(0) - x)[0, :, :, 3:].abs().max() < 0.03 and found.std(0)[..., 3:].max() < 0.02
    mean, covariance = posterior(Mask(mask), y, ROUNDING)
    mean = mean.view(3, SIDE, SIDE)[..., :3]
    spread = found.var(0)[..., :3].sum() / covariance.trace()
    off, there = (found.mean(0)[..., :3] - mean).norm(), (mean - MEAN).norm()
    print(f"DDRM, hole: mean off by {off / there:.3f} of the way, variance {spread:.2f} of the posterior's")
    assert off < 0.75 * there and 0.3 < spread < 1.2  # a third of the way: what is seen informs a hole only faintly


def test_dps_without_a_pull_draws_from_the_prior():
    abars = alphas_bar()[torch.linspace(0, 999, 100).round().long()].flip(0).tolist()
    x = last(dps.sampler(gaussian, lambda clean: 0 * clean, abars, draws(), 0.0))
    flat = x.flatten(1)
    assert (flat.mean() - MEAN).abs() < 0.02
    along = (COSINE @ (x - MEAN) @ COSINE.T).var((0, 1))
    ratio = (along / VARIANCE).flatten()
    assert abs(ratio[VARIANCE.flatten() > 0.02].mean() - 0.9) < 0.1  # of what is coarser than a step; less below


def test_dps_without_a_pull_is_ddpm_as_deepinv_has_it():
    deepinv = pytest.importorskip("deepinv")
    sde = deepinv.sampling.VariancePreservingDiffusion(alpha=1.0, device="cpu", dtype=torch.float64)
    times = torch.linspace(1, 0, 30, dtype=torch.float64)
    x = next(draws())[:1]
    noise = iter(next(draws(seed))[:1] for seed in range(100, 140))
    abars = [float(sde.scale_t(t) ** 2) for t in times[:-1]]
    own = last(dps.sampler(gaussian, lambda clean: 0 * clean, abars, iter([x, *noise]), 0.0))
    noise = iter(next(draws(seed))[:1] for seed in range(100, 140))
    for now, then in zip(times[:-1], times[1:], strict=True):  # the ancestral step of its solver, by its own schedule
        scale, sigma, below = sde.scale_t(now), sde.sigma_t(now), sde.sigma_t(then)
        clean = gaussian(x / scale, float(sigma)).clamp(-1, 1)
        score = (scale * clean - x) / (scale * sigma) ** 2
        ratio = below / sigma
        x = sde.scale_t(then) / scale * x + scale * sde.scale_t(then) * sigma**2 * (1 - ratio**2) * score
        if below > 0:
            x = x + sde.scale_t(then) * below * (1 - ratio**2).sqrt() * next(noise)
    assert torch.allclose(own, x, atol=1e-9)


def test_daps_langevin_draws_from_the_product_of_its_gaussians():
    f, sigma, tau, rate = Downsample(2), 0.3, 0.2, 2e-3
    y = f.forward(picture() / 2 + 0.5)
    estimate = picture(7).expand(NUM, -1, -1, -1)
    x = daps.langevin(lambda x: 2 * (f.forward(x / 2 + 0.5) - y), estimate, sigma, draws(), 150, rate, tau)
    H = f.forward(torch.eye(192, dtype=torch.float64).view(192, 3, SIDE, SIDE)).flatten(1).T
    precision = torch.eye(192, dtype=torch.float64) / sigma**2 + 2 / tau**2 * H.T @ H
    pull = estimate[0].flatten() / sigma**2 + 2 / tau**2 * H.T @ (2 * y - 1).flatten()
    mean, covariance = torch.linalg.solve(precision, pull), torch.linalg.inv(precision)
    standard = (covariance.diagonal() / NUM).sqrt()
    assert ((x.mean(0).flatten() - mean) / standard).square().mean().sqrt() < 1.25
    # a step of finite size widens each direction by 1 / (1 - rate * precision / 2)
    wide = covariance @ torch.linalg.inv(torch.eye(192, dtype=torch.float64) - rate / 2 * precision)
    assert x.var(0).sum() / wide.trace() == pytest.approx(1, abs=0.05)


def test_daps_is_about_the_posterior_mean_and_wider_than_the_posterior():
    """The last level, 0.1, is a floor of its spread: the published constants are for less noise than this."""
    f, sigma, many = Downsample(2), 0.2, draws()
    far = MEAN + 3 * (picture() - MEAN)
    y = f.forward(far / 2 + 0.5)

    def conditioned(estimate, level, share):
        difference = lambda x: 2 * (f.forward(x / 2 + 0.5) - y)  # noqa: E731
        return daps.langevin(difference, estimate, level, many, 20, 1e-2 * (1 - 0.99 * share), sigma * 2**0.5)

    x = last(daps.annealing(gaussian, conditioned, many, 20, 4))
    mean, covariance = posterior(f, y, sigma)
    off, there = (x.mean(0).flatten() - mean).norm(), (mean - MEAN).norm()
    spread = x.var(0).sum() / covariance.trace()
    print(f"DAPS: mean off by {off / there:.3f} of the way, variance {spread:.2f} of the posterior's")
    assert off < 0.45 * there and 1 < spread < 6


def test_daps_levels_are_those_of_edm():
    found = daps.levels(200, 100.0, 0.1)
    assert len(found) == 201 and found[0] == pytest.approx(100) and found[-1] == pytest.approx(0.1)
    assert np.allclose(np.diff(np.array(found) ** (1 / 7)), (0.1 ** (1 / 7) - 100 ** (1 / 7)) / 200)


# ---- as functions, with random weights


@pytest.fixture(scope="module")
def small() -> DiffusionPrior:
    return small_prior()


TASKS = {
    "upsampling": Downsample(4),
    "denoising": PoissonBernoulliNoise(24, 0.1),
    "deartifacting": JPEG(20),
    "composition": Compose(Downsample(2), PoissonBernoulliNoise(24, 0.1), JPEG(20)),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("task", TASKS)
def test_a_method_restores_or_says_why_not(name, task, small):
    (method, settings, passes), f = METHODS[name], TASKS[task]
    y, seen = f.degrade(truth(), torch.Generator().manual_seed(0)), []
    configured = method.configured(**settings)
    if (reason := configured.reason(f)) is not None:
        assert name == "ddrm" and task == "composition" and "not linear" in reason
        with pytest.raises(BaselineError, match="ddrm is n/a for downsample"):
            method.function(small, y, f)
        return
    result = configured.restore(small, y, f, seed=2, callback=seen.append)
    assert result.image.shape == (2, 3, 16, 16) and 0 <= result.image.min() and result.image.max() <= 1
    assert result.info["network_passes"] == passes and result.steps == [settings["steps"]] * 2 == [len(seen)] * 2
    assert torch.allclose(seen[-1].image(), result.image)
    assert {method.paper, "karras2022elucidating"} <= set(result.info["references"])
    assert ("kawar2022jpeg" in result.info["references"]) == (name == "ddrm" and task == "deartifacting")
    again, alone = (configured.restore(small, part, f, seed=2) for part in (y, y[1:]))
    assert torch.equal(again.image, result.image)
    assert torch.allclose(alone.image, result.image[1:], atol=2e-3)
    assert not torch.allclose(configured.restore(small, y, f, seed=3).image, result.image, atol=1e-2)


def test_what_does_not_fit_is_said_before_the_work(small, prior):
    y = Downsample(4).forward(truth())
    for function, settings, message in (
        (ddrm.ddrm, {"steps": 7}, "steps is 7: expected a divisor of 1000"),
        (ddrm.ddrm, {"eta": 1.5}, r"eta is 1.5: expected a number in \[0, 1\]"),
        (dps.dps, {"steps": 1}, "steps is 1: expected a whole number from 2 to 1000"),
        (dps.dps, {"weight": -1.0}, "weight is -1.0"),
        (daps.daps, {"steps": 0}, "steps is 0: expected a whole number from 1"),
        (daps.daps, {"tau": 0.0}, "tau is 0.0"),
    ):
        with pytest.raises(BaselineError, match=message):
            function(small, y, Downsample(4), **settings)
    with pytest.raises(RestorationError, match="the prior is a Prior: expected a DiffusionPrior"):
        ddrm.ddrm(prior, y, Downsample(4))
    with pytest.raises(RestorationError):
        ddrm.ddrm(small, y, Downsample(2))
    with pytest.raises(BaselineError, match="images become larger, 32 from 16 px"):
        ddrm.ddrm(small, truth().repeat(1, 1, 2, 2), Resize(32))
    with pytest.raises(BaselineError, match="dps left the numbers within"):
        dps.dps(small, y, Downsample(4), steps=4, weight=1e38)


def test_an_interrupted_method_gives_what_there_is(small):
    def stop(step):
        if step.step == 3:
            raise KeyboardInterrupt

    y = Downsample(4).forward(truth())
    result = ddrm.ddrm(small, y, Downsample(4), callback=stop)
    assert result.interrupted and result.steps == [4, 4] and result.image.shape == (2, 3, 16, 16)
