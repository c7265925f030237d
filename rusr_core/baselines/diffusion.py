"""What the diffusion rivals share: the noise levels of DDPM, normal draws, the likelihood, and how they run.

Images lie in [-1, 1] inside the methods and in [0, 1] outside. A denoiser D(x; sigma) is asked for images that noise of
standard deviation sigma was added to, x = x_0 + sigma n. The published methods speak of x_t = sqrt(abar_t) x_0 +
sqrt(1 - abar_t) n instead, and of the noise eps that a network finds in it. Both say the same:

    sigma_t = sqrt((1 - abar_t) / abar_t),   x = x_t / sqrt(abar_t),   eps = (x - D(x; sigma_t)) / sigma_t
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.baselines.method import BaselineError
from rusr_core.baselines.observation import Observation, observe
from rusr_core.degradations.operator import AnyOperator
from rusr_core.prior import DiffusionPrior, ImageDenoiser, prior_shape
from rusr_core.restore import Restoration, Step

Estimates = Iterable[tuple[Tensor, dict[str, Tensor]]]  # after each step: images in [-1, 1], and what was measured


def alphas_bar() -> Tensor:
    """abar_0 ... abar_999 of DDPM (Ho et al., NeurIPS 2020): betas linear from 1e-4 to 0.02, float64 `[1000]`."""
    return (1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)).cumprod(0)


def sigma_of(abar: float) -> float:
    """The noise level that belongs to abar."""
    return ((1 - abar) / abar) ** 0.5


class Passes:
    """A denoiser that counts how often it was asked: once a call, whatever the batch."""

    def __init__(self, denoiser: ImageDenoiser):
        self.denoiser, self.count = denoiser, 0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.count += 1
        return self.denoiser(x, sigma)


def begin(
    prior: DiffusionPrior,
    y: Tensor,
    f: AnyOperator,
    seed: int,
    callback: Callable[[Step], None] | None,
    *,
    gradient: bool,
) -> tuple[Observation, Passes]:
    """What is observed, and the denoiser. Raises what `observe` does."""
    return observe(prior, y, f, seed, callback, gradient=gradient, kinds=DiffusionPrior), Passes(prior.denoiser)


def normal_draws(prior: DiffusionPrior, seen: Observation) -> Iterator[Tensor]:
    """Normal numbers `[N, 3, R, R]` without end; each image gets what it would get alone."""
    generators, shape = seen.stream(0), prior_shape(prior, 1)
    while True:
        yield torch.cat([randomness.normal(shape, generator, seen.y) for generator in generators])


def residual(seen: Observation, x: Tensor) -> Tensor:
    """f(x) - y `[N, 3, h, w]` on the scale of [-1, 1], for x `[N, 3, R, R]` in [-1, 1]; differentiable.

    The surrogate of f is used as it is: one that draws random numbers draws anew at each call.
    """
    return 2 * (seen.degraded(x / 2 + 0.5) - seen.y)


def follow(
    estimates: Estimates,
    method: str,
    prior: DiffusionPrior,
    seen: Observation,
    passes: Passes,
    callback: Callable[[Step], None] | None,
) -> Restoration:
    """Run a sampler to its end: after each step the callback, at the end the result.

    Ctrl-C returns the last estimate, and is raised where there is none yet. BaselineError if it is no number any more.
    """
    x, taken, interrupted = None, 0, False
    try:
        for x, measured in estimates:
            taken += 1  # also where the callback interrupts the search
            if callback is not None:
                active, losses = torch.ones(len(seen), dtype=torch.bool), {k: v.cpu() for k, v in measured.items()}
                callback(Step(method, taken - 1, losses, active, lambda x=x: to_unit(x)))
    except KeyboardInterrupt:
        if x is None:
            raise
        interrupted = True
    if not x.isfinite().all():
        raise BaselineError(f"{method} left the numbers within {taken} steps: expected a smaller step size")
    info = {"network_passes": passes.count}
    steps = [taken] * len(seen)
    return seen.result(prior, to_unit(x), steps, (prior.denoiser,), interrupted=interrupted, info=info)


def to_unit(x: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], clamped."""
    return (x.detach() / 2 + 0.5).clamp(0, 1)
