"""DAPS: Zhang, Chu, Berner, Meng, Anandkumar & Song, "Improving Diffusion Inverse Problem Solving with Decoupled Noise
Annealing", CVPR 2025, https://arxiv.org/abs/2407.01521, algorithm 1.

Noise falls from level to level, but a level does not continue the one before. It starts from a clean image, adds the
level's noise, follows the probability flow down to a clean estimate, and lets Langevin dynamics draw the image from a
Gaussian about that estimate times the likelihood of y. f needs a gradient, the denoiser none: Langevin steps never look
at it. What it cannot say: how noisy y is. `tau` stands for that, 0.01 in the public configurations of downsampling and
in-painting where the noise is 0.05, and the rate of the Langevin steps is chosen for each task there.

Its spread ends at that of the last level, 0.1, if the Langevin steps have the time: for a Gaussian prior with noise of
0.2 its variance was 3.4 times the posterior's, its mean two thirds of the way (tests/baselines/test_diffusion.py).

Against the public code (https://github.com/zhangbingliang2019/DAPS, a9bed9f): the images' draws, one generator each,
and Langevin steps that leave the numbers are an error, where there the next level starts from a grey image. As there,
the likelihood is exp(-|f(x) - y|^2 / tau^2), without the 2 of a Gaussian, and the flow ends at the level 0.01.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rusr_core.baselines.diffusion import Estimates, begin, follow, normal_draws, residual
from rusr_core.baselines.method import Baseline, Real
from rusr_core.baselines.settings import check_counts, check_range, check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.prior import DiffusionPrior
from rusr_core.restore import Restoration, Step

HIGH, LOW, END, POWER = 100.0, 0.1, 0.01, 7  # levels: first and last of the annealing, last of a flow, their spacing
LAST_RATE = 0.01  # of the first


def daps(
    prior: DiffusionPrior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 200,
    flow_steps: int = 5,
    langevin_steps: int = 100,
    rate: float = 1e-4,
    tau: float = 0.01,
) -> Restoration:
    """Restore y `[N, 3, h, w]` in [0, 1]. The defaults are the published ones, the rate that of downsampling.

    Args:
        steps: levels of the annealing.
        flow_steps: looks of the denoiser in each.
        langevin_steps: steps of the Langevin dynamics in each.
        rate: their size, which falls to a hundredth over the levels; in-painting has 5e-5 in the public code.
        tau: scale of the likelihood, on the scale of [-1, 1].

    Raises BaselineError for settings that do not fit, or if the rate was so large that numbers were left, and what
    `observe` raises.
    """
    check_counts(steps=steps, flow_steps=flow_steps, langevin_steps=langevin_steps)
    check_weights(rate=rate)
    check_range("tau", tau, 1e-6, math.inf)
    seen, denoise = begin(prior, y, f, seed, callback, gradient=True)
    draws = normal_draws(prior, seen)

    def conditioned(estimate: Tensor, sigma: float, share: float) -> Tensor:
        falling = rate * (1 + share * (LAST_RATE - 1))
        return langevin(lambda x: residual(seen, x), estimate, sigma, draws, langevin_steps, falling, tau)

    estimates = annealing(denoise, conditioned, draws, steps, flow_steps)
    return follow(estimates, "daps", prior, seen, denoise, callback)


def levels(count: int, high: float, low: float) -> list[float]:
    """`count` + 1 noise levels from high to low, evenly spaced in their seventh root (EDM, equation 5)."""
    first, last = high ** (1 / POWER), low ** (1 / POWER)
    return [(first + i / count * (last - first)) ** POWER for i in range(count + 1)]


def annealing(
    denoise: Callable[[Tensor, float], Tensor],
    conditioned: Callable[[Tensor, float, float], Tensor],
    draws: Iterator[Tensor],
    steps: int,
    flow_steps: int,
) -> Estimates:
    """The image `[N, 3, R, R]` in [-1, 1] that each level draws; the last is the result.

    `conditioned` draws the clean image from the flow's estimate, the level and the share of levels that are done.
    """
    sigmas = levels(steps, HIGH, LOW)[:-1]
    x = HIGH * next(draws)
    for step, sigma in enumerate(sigmas):
        clean = conditioned(flow(denoise, x, sigma, flow_steps), sigma, step / (steps + 1))
        yield clean, {}
        if step + 1 < steps:
            x = clean + sigmas[step + 1] * next(draws)


@torch.no_grad()
def flow(denoise: Callable[[Tensor, float], Tensor], x: Tensor, sigma: float, steps: int) -> Tensor:
    """Where the probability flow takes x from the level sigma, in Euler steps (EDM, equation 1)."""
    path = levels(steps, sigma, END)
    for now, then in zip(path[:-1], path[1:], strict=True):
        x = x + (then - now) * (x - denoise(x, now)) / now
    return x


def langevin(
    difference: Callable[[Tensor], Tensor],
    estimate: Tensor,
    sigma: float,
    draws: Iterator[Tensor],
    steps: int,
    rate: float,
    tau: float,
) -> Tensor:
    """Langevin dynamics from the estimate, of a Gaussian about it with standard deviation sigma times the likelihood.

    `difference` gives f(x) - y, whose squares over tau^2 are the likelihood's exponent.
    """
    x = estimate
    for _ in range(steps):
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(difference(x).square().sum(), x)
        with torch.no_grad():
            x = x + rate * ((estimate - x) / sigma**2 - slope / tau**2) + math.sqrt(2 * rate) * next(draws)
    return x.detach()


SPACE = {"rate": Real(1e-6, 1e-3, log=True), "tau": Real(0.003, 0.3, log=True)}
BASELINE = Baseline("daps", daps, "zhang2025improving", SPACE, samples=True, prior="diffusion")
