"""Hamiltonian Monte Carlo: its integrator, its likelihood, and that it draws from a law that is known."""

import math

import pytest
import torch
from scipy import integrate

from rusr_core import baselines
from rusr_core.baselines import BaselineError, Tuned
from rusr_core.baselines.na_nhmc import StepLength, leapfrog, noise_adaptive, propose
from rusr_core.degradations import parse


def gaussian(scale):
    """U and its gradient of independent normal numbers with these deviations [Z]."""
    return lambda z: ((z / scale).square().sum(1) / 2, z / scale**2)


def test_the_integrator_goes_back_where_it_came_from():
    energy = gaussian(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
    draw = torch.Generator().manual_seed(0)
    z, p = torch.randn(2, 4, 3, generator=draw, dtype=torch.float64)
    step = torch.full((4, 1), 0.1, dtype=torch.float64)
    z1, p1, value, gradient = leapfrog(z, p, energy(z)[1], energy, step, 12)
    z2, p2, *_ = leapfrog(z1, -p1, gradient, energy, step, 12)
    torch.testing.assert_close((z2, -p2), (z, p), atol=1e-12, rtol=0)
    before, after = energy(z)[0] + p.square().sum(1) / 2, value + p1.square().sum(1) / 2
    assert 0 < (after - before).abs().max() < 0.02 * before.max()
    exact = z[:, 1] * math.cos(1.2) + p[:, 1] * math.sin(1.2)  # unit mass and deviation: a harmonic oscillator
    torch.testing.assert_close(z1[:, 1], exact, atol=0.01, rtol=0)


def test_it_draws_from_the_law_of_its_energy():
    scale = torch.tensor([0.5, 2.0])
    energy, draws = gaussian(scale), [torch.Generator().manual_seed(i) for i in range(400)]
    z, kept = torch.zeros(400, 2), []
    for number in range(60):
        value, gradient = energy(z)
        z = propose(z, value, gradient, energy, torch.full((400, 1), 0.4), 6, draws).z
        kept += [z] if number >= 20 else []
    drawn = torch.cat(kept)
    assert (drawn.mean(0) / scale).abs().max() < 0.05
    torch.testing.assert_close(drawn.std(0), scale, atol=0, rtol=0.03)
    inside = (drawn.abs() < scale).float().mean(0)
    torch.testing.assert_close(inside, torch.full((2,), 0.6827), atol=0.015, rtol=0)


def test_the_likelihood_is_the_integral_over_the_noise_level():
    """Against SciPy: the marginal of Gaussian noise under p(s^2) ~ 1 / s^2, up to one constant."""
    residuals, d = torch.tensor([[0.3, -0.2, 0.5, 0.1], [0.9, 0.4, -0.7, 1.1]], dtype=torch.float64), 4

    def marginal(sse):
        return integrate.quad(lambda v: v ** (-d / 2 - 1) * math.exp(-sse / 2 / v), 0, math.inf)[0]

    ours = noise_adaptive(residuals, torch.tensor([4.0, 4.0], dtype=torch.float64))
    wanted = [-math.log(marginal(row.square().sum().item())) for row in residuals]
    assert (ours[1] - ours[0]).item() == pytest.approx(wanted[1] - wanted[0], rel=1e-8)


def test_the_step_length_follows_rejections():
    length = StepLength(1.0, 2, torch.zeros(1))
    for accepted in ([True, False], [True, False], [False, False]):
        length.learn(torch.tensor(accepted))
    torch.testing.assert_close(length.step.flatten(), torch.tensor([1.02**2, 0.95**2]))


@pytest.mark.slow
@pytest.mark.parametrize("words", ["downsample:2,bilinear | strokes:1,seed=1", "noise:48,0.05"])
def test_samples_of_a_posterior(words, prior, truth):
    f, seen = parse(words), []
    y = f.degrade(truth[:2], torch.Generator().manual_seed(0))
    method = baselines.METHODS["na_nhmc"].configured(steps=16, leaps=4, samples=3)
    result = method.restore(prior, y, f, seed=1, callback=lambda s: seen.append(s))
    assert result.drawn.shape == (2, 3, 3, 32, 32) and len(seen) == 16
    torch.testing.assert_close(result.drawn.mean(1), result.image)
    assert torch.equal(seen[-1].image(), result.drawn[:, -1])
    assert seen[-1].losses["total"].mean() < seen[0].losses["total"].mean()
    assert torch.equal(result.image, method.restore(prior, y, f, seed=1).image)
    assert not torch.equal(result.image, method.restore(prior, y, f, seed=2).image)
    torch.testing.assert_close(result.image[1:], method.restore(prior, y[1:], f, seed=1).image, atol=1e-3, rtol=0)
    four = method.restore(prior, y, f, seed=1, samples=4)
    assert four.answers.shape[1] == four.info["settings"]["samples"] == 4
    assert torch.equal(four.drawn[:, -1], result.drawn[:, -1]), "of one chain, whatever its samples"


def test_too_many_samples_are_refused(prior, truth):
    with pytest.raises(BaselineError, match="30 samples of 40 proposals"):
        baselines.METHODS["na_nhmc"].configured(steps=40, samples=30).restore(prior, truth, parse("identity"))
    method = baselines.METHODS["na_nhmc"].configured(steps=40)
    for samples, message in ((11, "share=0.25: expected no more than 10 samples, got 11"), (True, "samples is True")):
        with pytest.raises(BaselineError, match=message):
            method.restore(prior, truth, parse("identity"), samples=samples)
    with pytest.raises(BaselineError, match="share is 'x'"):
        method.baseline.configured(share="x").check_samples(2)
    settings = {"": {"steps": 40, "step": 0.05, "leaps": 10}}
    tuned = Tuned("na_nhmc@one", method.baseline, settings, weights={}, portraits={}, source="x.toml")
    tuned.check_samples(10)
    with pytest.raises(BaselineError, match="na_nhmc@one with steps=40, .*: expected no more than 10 samples, got 11"):
        tuned.check_samples(11)
