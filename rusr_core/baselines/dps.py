"""DPS: Chung, Kim, Mccann, Klasky & Ye, "Diffusion Posterior Sampling for General Noisy Inverse Problems", ICLR 2023,
https://arxiv.org/abs/2209.14687, algorithm 1.

Reverse diffusion of the prior, and after each step one along the gradient of |y - f(D(x))|, which goes through the
denoiser. It needs nothing of f but its gradient, so that JPEG, noise and compositions are all possible, and pays for it
with a thousand steps forward and backward. What it cannot say: how noisy y is. The `weight` of the gradient stands for
that, and the public code chooses it for each task (https://github.com/DPS2022/diffusion-posterior-sampling, 19f2526).

Why not deepinv's `DPS` (0.5): there the gradient is part of the score, so that a step takes it times about beta_t, 1e-4
to 0.02, where the paper takes it once. Without the gradient both are the same sampler, which a test checks.

Against the paper: the variance of a step is that of DDPM's posterior, since our denoiser predicts none. With fewer
steps than the paper's 1000 the weight of each grows in proportion. For photon noise the public code divides the misfit
by y; here it is the same for every f, and each image of a batch has its own norm.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rusr_core.baselines.diffusion import Estimates, alphas_bar, begin, follow, normal_draws, residual, sigma_of
from rusr_core.baselines.method import Baseline, BaselineError, Real
from rusr_core.baselines.settings import check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.limits import check_whole
from rusr_core.prior import DiffusionPrior
from rusr_core.restore import Restoration, Step

STEPS = 1000  # of DDPM


def dps(
    prior: DiffusionPrior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = STEPS,
    weight: float = 1.0,
) -> Restoration:
    """Restore y `[N, 3, h, w]` in [0, 1].

    Args:
        steps: of the reverse diffusion, 2 to 1000, spread evenly over the 1000 of DDPM.
        weight: of the gradient of |y - f(D(x))|, for 1000 steps. The public configurations have 0.3 for upsampling and
            0.5 for in-painting at 256 px. The paper's appendix D.1 has 1 for upsampling (as the repository's issue 6
            quotes it), but there of the gradient of the squared norm divided by the norm, which is twice as large. The
            default lies between the two. Images are on the scale of [-1, 1] there and in the norm.

    Raises BaselineError for settings that do not fit, or if the weight was so large that numbers were left, and what
    `observe` raises.
    """
    shorter(steps)
    check_weights(weight=weight)
    seen, denoise = begin(prior, y, f, seed, callback, gradient=True)
    used = torch.linspace(0, STEPS - 1, steps).round().long()
    abars = alphas_bar()[used].flip(0).tolist()
    pull = weight * STEPS / steps
    estimates = sampler(denoise, lambda x: residual(seen, x), abars, normal_draws(prior, seen), pull)
    return follow(estimates, "dps", prior, seen, denoise, callback)


def sampler(
    denoise: Callable[[Tensor, float], Tensor],
    difference: Callable[[Tensor], Tensor],
    abars: list[float],
    draws: Iterator[Tensor],
    pull: float,
) -> Estimates:
    """After each step the estimate D(x) `[N, 3, R, R]`, after the last the result, and |f(D(x)) - y| `[N]`.

    `difference` gives f(x) - y. `abars` rise; after the last comes 1.
    """
    x = next(draws)
    for now, then in zip(abars, [*abars[1:], 1.0], strict=True):
        x = x.detach().requires_grad_()
        clean = denoise(x / now**0.5, sigma_of(now)).clamp(-1, 1)
        distance = difference(clean).flatten(1).norm(dim=1)
        (slope,) = torch.autograd.grad(distance.sum(), x)
        with torch.no_grad():
            beta = 1 - now / then
            mean = (then**0.5 * beta * clean + (now / then) ** 0.5 * (1 - then) * x) / (1 - now)
            noise = (beta * (1 - then) / (1 - now)) ** 0.5 * next(draws) if then < 1 else 0.0
            x = mean + noise - pull * slope
        yield (x if then == 1 else clean).detach(), {"distance": distance.detach()}


def shorter(steps: int) -> dict[str, object]:
    """BaselineError for a number of steps that cannot be spread over those of DDPM."""
    check_whole("steps", steps, 2, STEPS, BaselineError)
    return {}


SPACE = {"weight": Real(0.1, 10.0, log=True)}
BASELINE = Baseline("dps", dps, "chung2023diffusion", SPACE, samples=True, prior="diffusion", shorter=shorter)
