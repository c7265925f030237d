"""DDRM: Kawar, Elad, Ermon & Song, "Denoising Diffusion Restoration Models", NeurIPS 2022,
https://arxiv.org/abs/2201.11793, section 3, and the public code that is named below.

Reverse diffusion in the basis of the degradation's singular vectors: what y shows is put in, coefficient by
coefficient, with as much noise as its own and the level's allow; the rest is drawn from the prior. No gradients, and
nothing to tune but the noise of y. It needs a linear degradation with a cheap singular value decomposition
(spectra.py), and JPEG is a paper of its own (ddrm_jpeg.py); of everything else `can` says why not.

It is no exact sampler. For a Gaussian prior, whose posterior is a formula, 20 steps miss a tenth of the way to the
posterior's mean and have three tenths of its variance (tests/baselines/test_diffusion.py); what is seen
informs a hole only faintly.

Against the public code (https://github.com/bahjat-kawar/ddrm, 32b6b3c), which the tests follow step by step:

* one normal draw a step serves all three rules; there it is three, of which each coefficient uses one;
* normal numbers are drawn as an image and turned into coefficients, so that a seed means the same for every basis;
* where y has no noise of its own, its rounding to 8 bit counts as noise (there sigma_y is 0);
* photon noise is Gaussian of one standard deviation, that of the mean of what is kept; a pixel that is black in all
  channels is missing. The paper knows neither;
* masks may be soft: their value is the singular value.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rusr_core.baselines import ddrm_jpeg
from rusr_core.baselines.diffusion import Estimates, alphas_bar, begin, follow, normal_draws, sigma_of
from rusr_core.baselines.method import Baseline, BaselineError, Choice, Real
from rusr_core.baselines.settings import check_divisor, check_range
from rusr_core.baselines.spectra import Spectrum, spectrum, why_none
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.prior import DiffusionPrior
from rusr_core.restore import Restoration, Step


def can(f: AnyOperator) -> str | None:
    """Why DDRM cannot restore from `f`; None if it can."""
    return None if ddrm_jpeg.is_jpeg(f) else why_none(f)


def ddrm(
    prior: DiffusionPrior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 20,
    eta: float = 0.85,
    eta_b: float = 1.0,
    jpeg_eta: float = 1.0,
    jpeg_eta_b: float = 0.4,
) -> Restoration:
    """Restore y `[N, 3, h, w]` in [0, 1]. The defaults are the published ones.

    Args:
        steps: noise levels, of the 1000 of DDPM every (1000 / steps)-th; a divisor of 1000, and of 300 for JPEG.
        eta: how much of the noise of what is not measured, or is below y's noise, is drawn anew.
        eta_b: how far a coefficient that is measured well enough follows y.
        jpeg_eta, jpeg_eta_b: the same for JPEG, whose paper has values of its own.

    Raises BaselineError if `can(f)` has a reason, for settings and measurements that do not fit, and if the estimate is
    no number any more; KeyboardInterrupt where Ctrl-C comes before the first step is done, and what `observe` raises.
    """
    for name, value in {"eta": eta, "eta_b": eta_b, "jpeg_eta": jpeg_eta, "jpeg_eta_b": jpeg_eta_b}.items():
        check_range(name, value, 0, 1)
    if ddrm_jpeg.is_jpeg(f):
        return ddrm_jpeg.ddrm_jpeg(
            prior, y, f, seed=seed, callback=callback, steps=steps, eta=jpeg_eta, eta_b=jpeg_eta_b
        )
    if (reason := can(f)) is not None:
        raise BaselineError(f"ddrm is n/a for {as_operator(f)}: {reason}")
    check_divisor(steps, 1000)
    seen, denoise = begin(prior, y, f, seed, callback, gradient=False)
    measurement = spectrum(seen.f, seen.y, prior.resolution)
    levels = [sigma_of(abar) for abar in alphas_bar()[:: 1000 // steps].flip(0).tolist()]
    estimates = recursion(denoise, measurement, levels, normal_draws(prior, seen), eta, eta_b)
    return follow(estimates, "ddrm", prior, seen, denoise, callback)


@torch.no_grad()
def recursion(
    denoise: Callable[[Tensor, float], Tensor],
    measurement: Spectrum,
    levels: list[float],
    draws: Iterator[Tensor],
    eta: float,
    eta_b: float,
) -> Estimates:
    """The estimates of the clean image `[N, 3, H, W]` in [-1, 1], step by step; the last is the result.

    `levels` fall; after the last comes 0, where every rule gives the estimate itself. `draws` are normal images.
    """
    first = levels[0]
    start = measurement.back(_start(measurement, first, measurement.to(next(draws))))
    x = start * (1 + first**-2) ** 0.5  # the public code divides by sigma where it should multiply by sqrt(abar)
    for now, then in zip(levels, [*levels[1:], 0.0], strict=True):
        clean = denoise(x, now)
        yield clean, {}
        if then:
            c, e = measurement.to(clean), measurement.to((x - clean) / now)
            x = measurement.back(_next(measurement, then, c, e, measurement.to(next(draws)), eta, eta_b))


def _start(m: Spectrum, sigma: float, noise: Tensor) -> Tensor:
    """Coefficients at the first level: about y where that is above y's noise."""
    floor = m.over_singular(m.sigma.expand_as(noise))
    about = m.over_singular(m.measured) + (sigma**2 - floor**2).clamp_min(0).sqrt() * noise
    return torch.where(m.known & (m.singular * sigma > m.sigma), about, sigma * noise)


def _next(m: Spectrum, then: float, c: Tensor, e: Tensor, noise: Tensor, eta: float, eta_b: float) -> Tensor:
    """Coefficients at the level `then`, from those of the estimate, c, and of the noise found, e."""
    floor = m.over_singular(m.sigma.expand_as(c))  # y's noise, seen as noise of x
    keep = (1 - eta**2) ** 0.5 * then
    free = c + keep * e + eta * then * noise
    faint = c + keep * (m.measured - m.singular * c) / m.sigma.clamp_min(1e-12) + eta * then * noise
    spread = (then**2 - (eta_b * floor) ** 2).clamp_min(0).sqrt()
    clear = (1 - eta_b) * c + eta_b * m.over_singular(m.measured) + spread * noise
    return torch.where(m.known & (then < floor), faint, torch.where(m.known & (then > floor), clear, free))


def shorter(steps: int) -> dict[str, object]:
    """BaselineError for a number of steps that DDRM cannot take."""
    check_divisor(steps, 1000)
    return {}


SPACE = {"eta": Real(0.0, 1.0), "eta_b": Real(0.0, 1.0), "steps": Choice((10, 20, 50, 100))}
SPACE |= {"jpeg_eta": Real(0.0, 1.0), "jpeg_eta_b": Real(0.0, 1.0)}
BASELINE = Baseline("ddrm", ddrm, "kawar2022denoising", SPACE, can, True, "diffusion", shorter)
