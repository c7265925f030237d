"""NA-NHMC: Noise-Adaptive Diffusion Sampling for Inverse Problems Without Task-Specific Tuning.

Xia, Tanomkiattikun, Zhen and Gu, ICLR 2026, https://arxiv.org/abs/2604.16919. Hamiltonian Monte Carlo over the normal
input z of a frozen generator, whose picture is compared with y by a likelihood that has integrated the unknown noise
level out, so that nobody has to tell it:

    U(z) = |z|^2 / 2 + d / 2 log(SSE(z) / 2),    SSE = |f(G(z)) - y|^2 over the d values that are visible

A proposal takes `leaps` leapfrog steps of length `step` and is accepted with probability min(1, exp(H - H')). Where we
depart from the public code (the noise-space sampler of the authors; it holds the variant of a known noise level):

    generator      StyleGAN2, G(M(z)), in place of a diffusion model's deterministic sampler: z has far fewer numbers
    burn-in        the likelihood alone anneals itself, as SSE falls; the code lowers a noise level by hand
    proposals      their number is fixed, `steps`; the code waits for a number of accepted ones, without a bound
    step length    adapted in the burn-in, as there after two rejections in a row (by 0.95), and lengthened after an
                   acceptance (by 1.02), which there it never is; fixed afterwards, so that the chain is one of a
                   stationary law
    momentum       the first and the last half step are half steps; there the last one is taken back from a whole one
    random f       f draws the same numbers in the whole of one proposal, so that its energy is one function
    constants      80 proposals, as 40 and twice 20 there, of which the last quarter is kept; 10 leaps, as there while
                   it samples (0.1 / 0.01); the first step length is ours, since it belongs to the generator
    result         the mean of the samples (`image`) and the samples themselves (`drawn`)
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.baselines.descent import followed
from rusr_core.baselines.mapped import mapped, mapping_of
from rusr_core.baselines.method import Baseline, BaselineError, Real, Whole
from rusr_core.baselines.observation import Observation, observe
from rusr_core.baselines.settings import check_counts, check_range, check_rates
from rusr_core.degradations.operator import AnyOperator
from rusr_core.generator import Generator
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step
from rusr_core.search.stopping import RestorationError

SMALLEST = 1e-12  # of the sum of squares, whose logarithm is taken

Energy = Callable[[Tensor], tuple[Tensor, Tensor]]  # z [N, Z] -> U [N] and its gradient [N, Z]


@dataclass(frozen=True, eq=False)
class Proposal:
    """What a proposal of each chain led to."""

    z: Tensor  # [N, Z], the state afterwards
    energy: Tensor  # [N], U there
    gradient: Tensor  # [N, Z]
    accepted: Tensor  # [N] bool
    error: Tensor  # [N], H' - H


def noise_adaptive(residual: Tensor, count: Tensor) -> Tensor:
    """-log of the likelihood of residuals [N, ...] with an unknown noise level, d / 2 log(SSE / 2), [N]; `count`, d,
    is the number of values [N] that are visible. It is Gaussian noise, its variance integrated over Jeffreys' prior."""
    return count / 2 * (residual.square().flatten(1).sum(1).clamp_min(SMALLEST) / 2).log()


def leapfrog(z: Tensor, p: Tensor, gradient: Tensor, energy: Energy, step: Tensor, leaps: int) -> tuple[Tensor, ...]:
    """`leaps` steps of Hamilton's equations of unit mass from z, p [N, Z] -> z, p, U and the gradient at the end.

    `step` [N, 1] is the length of each chain's steps. Time-reversible, and it preserves volume.
    """
    p = p - step / 2 * gradient
    for leap in range(leaps):
        z = z + step * p
        value, gradient = energy(z)
        p = p - (step if leap + 1 < leaps else step / 2) * gradient
    return z, p, value, gradient


def propose(
    z: Tensor, value: Tensor, gradient: Tensor, energy: Energy, step: Tensor, leaps: int, draws: list
) -> Proposal:
    """One proposal of each chain, with U and its gradient at z; each draws from its own generator."""
    p = torch.cat([randomness.normal((1, z.shape[1]), one, z) for one in draws])
    luck = torch.cat([randomness.uniform((1,), one, value) for one in draws])
    z1, p1, value1, gradient1 = leapfrog(z, p, gradient, energy, step, leaps)
    error = value1 + p1.square().sum(1) / 2 - value - p.square().sum(1) / 2
    accepted = luck < torch.exp(-error.nan_to_num(math.inf).clamp(min=0))
    at = accepted[:, None]
    kept = torch.where(at, z1, z), torch.where(accepted, value1, value), torch.where(at, gradient1, gradient)
    return Proposal(*kept, accepted, error)


class StepLength:
    """The step length of each chain: shorter after two rejections in a row, longer after an acceptance."""

    def __init__(self, step: float, num: int, like: Tensor):
        self.step = like.new_full((num, 1), step)
        self.rejected = torch.zeros(num, dtype=torch.long, device=like.device)

    def learn(self, accepted: Tensor) -> None:
        """Take note of what became of the proposals [N]."""
        self.rejected = torch.where(accepted, 0, self.rejected + 1)
        factor = torch.where(accepted, 1.02, torch.where(self.rejected >= 2, 0.95, 1.0))
        self.step = self.step * factor[:, None].to(self.step)


def na_nhmc(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 80,
    step: float = 0.05,
    leaps: int = 10,
    share: float = 0.25,
    samples: int = 5,
) -> Restoration:
    """Draw from the posterior of z -> the mean of the samples, [N, 3, R, R], and in `drawn` the samples.

    Args:
        steps: proposals, each of `leaps` passes through the generator and back.
        step: the first length of a leapfrog step.
        share: of the proposals, after which samples are taken; those before it are the burn-in.
        samples: kept, evenly spaced over the rest of the chain.

    Raises BaselineError for a setting that cannot be, RestorationError for a generator without a mapping network, or
    with one that wants a class, and where the energy is no number any more, KeyboardInterrupt where Ctrl-C comes before
    the first proposal is done, and what `observe` raises.
    """
    _check(steps, step, leaps, share, samples)
    seen, G = observe(prior, y, f, seed, callback), prior.generator
    length, kept, accepted = StepLength(step, len(seen), seen.y), [], torch.zeros(len(seen))
    start, z = steps - int(share * steps), None  # of the samples
    wanted = {start + (i + 1) * (steps - start) // samples - 1 for i in range(samples)}

    def note(number: int, done: Proposal) -> None:
        nonlocal z, accepted
        z, accepted = done.z, accepted + done.accepted.cpu()
        if number in wanted:
            kept.append(_picture(G, z))

    taken, interrupted = followed(chain(prior, seen, length, steps, start, leaps, callback), note)
    if z is None:
        raise KeyboardInterrupt
    drawn = torch.stack(kept or [_picture(G, z)], 1)  # interrupted in the burn-in: where the chain is
    info = {"accepted": (accepted / taken).tolist(), "step": length.step.flatten().tolist()}
    more = {"drawn": drawn, "interrupted": interrupted, "info": info}
    return seen.result(prior, drawn.mean(1), [taken] * len(seen), (G,), **more)


def chain(
    prior: Prior,
    seen: Observation,
    length: StepLength,
    steps: int,
    start: int,
    leaps: int,
    callback: Callable[[Step], None] | None = None,
) -> Iterator[tuple[int, Proposal]]:
    """Proposal after proposal, of a chain an image; before the number `start` each teaches the step's length.

    Raises RestorationError where the energy is no number any more, and what `mapping_of` does.
    """
    G, draws, energy = prior.generator, seen.stream(3), partial(_energy, prior, seen, _visible_values(seen))
    z = torch.cat([randomness.normal((1, mapping_of(G).z_dim), one, G.w_mean) for one in draws])
    everybody = torch.ones(len(seen), dtype=torch.bool)
    for number in range(steps):
        fixed = [one.get_state() for one in seen.generators]
        value, gradient = energy(z, fixed)
        done = propose(z, value, gradient, partial(energy, states=fixed), length.step, leaps, draws)
        if not done.energy.isfinite().all():
            raise RestorationError(f"NaN or infinity in the energy, proposal {number}")
        z = done.z
        if number < start:
            length.learn(done.accepted)
        _move_on(seen.generators, value)
        yield number, done
        if callback is not None:
            callback(Step("Z", number, {"total": done.energy.float().cpu()}, everybody, partial(_picture, G, z)))


def _check(steps: int, step: float, leaps: int, share: float, samples: int) -> None:
    """BaselineError for settings that cannot be, or more samples than there are proposals to take them from."""
    check_counts(steps=steps, leaps=leaps, samples=samples)
    check_rates(step=step)
    check_range("share", share, 0, 1)
    if samples > int(share * steps):
        raise BaselineError(f"{samples} samples of {steps} proposals: expected no more than {share} of them")


@torch.no_grad()
def _picture(G: Generator, z: Tensor) -> Tensor:
    """G(M(z)), [N, 3, R, R] in [0, 1]."""
    return G.image(mapped(G, z)).clamp(0, 1)


def _move_on(generators: list[torch.Generator], like: Tensor) -> None:
    """The next proposal sees other draws of f."""
    for one in generators:
        randomness.uniform((1,), one, like)


def _visible_values(seen: Observation) -> Tensor:
    """How many values of each y are visible, [N]."""
    if seen.mask is None:
        return seen.y.new_full((len(seen),), float(seen.y[0].numel()))
    return 3 * (seen.mask > 0).flatten(1).sum(1).to(seen.y).expand(len(seen))


def _energy(prior: Prior, seen: Observation, count: Tensor, z: Tensor, states: list[Tensor]) -> tuple[Tensor, Tensor]:
    """U(z) [N] and its gradient; f draws from the generators in these states."""
    for one, state in zip(seen.generators, states, strict=True):
        one.set_state(state)
    z = z.detach().requires_grad_(True)
    with torch.enable_grad():
        residual = seen.degraded(prior.generator.image(mapped(prior.generator, z))) - seen.y
        value = z.square().sum(1) / 2 + noise_adaptive(residual, count)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def most(settings: Mapping[str, object]) -> int:
    """How many samples a chain of these settings can keep. BaselineError for settings that cannot be."""
    _check(**{**settings, "samples": 1})
    return int(settings["share"] * settings["steps"])


def shorter(steps: int) -> dict[str, object]:
    """As many samples as a quick look has proposals for, at least one."""
    share = max(0.25, 1 / steps)
    return {"share": share, "samples": min(5, int(share * steps))}


BASELINE = Baseline(
    "na_nhmc",
    na_nhmc,
    paper="xia2026noise",
    space={
        "steps": Whole(40, 400, log=True),
        "step": Real(0.005, 0.3, log=True),
        "leaps": Whole(3, 40, log=True),
    },
    samples=True,
    most=most,
    shorter=shorter,
)
