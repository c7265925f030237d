"""DDRM for JPEG: Kawar, Song, Ermon & Elad, "JPEG Artifact Correction using Denoising Diffusion Restoration Models",
NeurIPS 2022 Workshop on Score-Based Methods, https://arxiv.org/abs/2209.11888, algorithm 1.

JPEG is not linear, but encoding what was decoded changes nothing, as a projection does. So the estimate of each step is
given what y shows by x - J(x) + J(y), where J encodes and decodes at the known quality.

Against the public code (https://github.com/bahjat-kawar/ddrm-jpeg, e3704ce), which the tests follow step by step: its
codec takes every second sample of the colours, rounds no pixels and clamps nothing; here J is our surrogate, which
agrees with the files that y comes from far better (degradations/jpeg.py). One sample is drawn, as by default there;
the paper averages up to eight.
"""

import dataclasses
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rusr_core.baselines.diffusion import Estimates, alphas_bar, begin, follow, normal_draws, sigma_of
from rusr_core.baselines.method import BaselineError
from rusr_core.baselines.settings import check_divisor, check_range
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.prior import DiffusionPrior
from rusr_core.restore import Restoration, Step

PAPER = "kawar2022jpeg"
LAST = 300  # of the 1000 steps of DDPM: y is already near, so the diffusion starts here


def is_jpeg(f: AnyOperator) -> bool:
    """Whether a degradation is JPEG alone."""
    stages = as_operator(f).stages
    return len(stages) == 1 and isinstance(stages[0], JPEG)


def ddrm_jpeg(
    prior: DiffusionPrior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 20,
    eta: float = 1.0,
    eta_b: float = 0.4,
) -> Restoration:
    """Restore y `[N, 3, R, R]` in [0, 1] that was stored as JPEG. The defaults are the published ones.

    `steps` is a divisor of 300, `eta` how much of the noise is drawn anew, `eta_b` how far a step follows y. Raises
    BaselineError for another degradation, and for settings and measurements that do not fit.
    """
    if not is_jpeg(f):
        raise BaselineError(f"ddrm for JPEG is n/a for {as_operator(f)}: expected JPEG alone")
    check_divisor(steps, LAST)
    check_range("eta", eta, 0, 1)
    check_range("eta_b", eta_b, 0, 1)
    seen, denoise = begin(prior, y, f, seed, callback, gradient=False)

    def codec(x: Tensor) -> Tensor:
        return 2 * seen.degraded(x / 2 + 0.5) - 1

    abars = alphas_bar()[: LAST : LAST // steps].flip(0).tolist()
    estimates = recursion(denoise, codec, 2 * seen.y - 1, abars, normal_draws(prior, seen), eta, eta_b)
    result = follow(estimates, "ddrm", prior, seen, denoise, callback)
    papers = [PAPER, *result.info["references"]]
    return dataclasses.replace(result, info=result.info | {"references": papers})


@torch.no_grad()
def recursion(
    denoise: Callable[[Tensor, float], Tensor],
    codec: Callable[[Tensor], Tensor],
    y: Tensor,
    abars: list[float],
    draws: Iterator[Tensor],
    eta: float,
    eta_b: float,
) -> Estimates:
    """The estimates that agree with y `[N, 3, H, W]` in [-1, 1], step by step; the last is the result.

    `codec` is J. `abars` rise; after the last comes 1.
    """
    shown = codec(y)
    x = abars[0] ** 0.5 * y + (1 - abars[0]) ** 0.5 * next(draws)
    for now, then in zip(abars, [*abars[1:], 1.0], strict=True):
        sigma = sigma_of(now)
        noisy = x / now**0.5
        clean = denoise(noisy, sigma)
        found = (noisy - clean) / sigma
        mended = eta_b * (clean - codec(clean) + shown) + (1 - eta_b) * clean
        yield mended, {}
        if then < 1:
            x = then**0.5 * mended + (1 - then) ** 0.5 * (eta * next(draws) + (1 - eta) * found)
