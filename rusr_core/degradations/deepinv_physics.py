"""A `deepinv.physics.Physics` as an operator of ours: its noise as a surrogate with a gradient. deepinv need not be
installed: nothing is imported of it."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.checks import DegradationError

FEW = 1e-3  # photons; keeps the derivative of a root finite in the dark, as in `PoissonBernoulliNoise`


def is_deepinv(f: object, kind: str = "Physics") -> bool:
    """Whether `f` is a Physics of the package deepinv, or of that `kind`."""
    return any(base.__name__ == kind and base.__module__.startswith("deepinv.") for base in type(f).__mro__)


def surrogate(physics: object) -> Callable[..., Tensor]:
    """What a search follows of `physics`: A(x), and where its noise model is one of `SURROGATES`, A(x) with noise.

    Other noise models are left out: their measurements are compared with A(x), and `left_out` says so.
    """
    noise = getattr(physics, "noise_model", None)
    model = next((kind for kind in SURROGATES if is_deepinv(noise, kind)), None)
    return physics.A if model is None else partial(_noisy, physics, SURROGATES[model])


def left_out(physics: object) -> str | None:
    """The name of the noise model of which the surrogate of `physics` has nothing; None if there is none."""
    noise = getattr(physics, "noise_model", None) if is_deepinv(physics) else None
    known = noise is None or any(is_deepinv(noise, kind) for kind in (*SURROGATES, "ZeroNoise"))
    return None if known or not is_deepinv(noise, "NoiseModel") else type(noise).__name__


def _noisy(physics: object, noise: Callable, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    return noise(physics.A(x), physics.noise_model, generator)


def _gaussian(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """N(z, sigma^2)."""
    return z + _level(model, "sigma") * randomness.normal(z.shape, generator, z)


def _uniform(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """z + U(-a, a)."""
    return z + _level(model, "a") * (2 * randomness.uniform(z.shape, generator, z) - 1)


def _poisson(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """gain Poisson(z / gain), with the normal distribution of the same mean and variance."""
    gain = _level(model, "gain")
    count = z / gain
    observed = count + (count.clamp(min=0) + FEW).sqrt() * randomness.normal(z.shape, generator, z)
    return observed * gain if getattr(model, "normalize", True) else observed


def _poisson_gaussian(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """gain Poisson(z / gain) + N(0, sigma^2)."""
    return _gaussian(_poisson(z, model, generator), model, generator)


def _gamma(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """Gamma noise of mean z and variance z^2 / l (speckle), by the normal distribution of the same two."""
    return z * (1 + randomness.normal(z.shape, generator, z) / _level(model, "l") ** 0.5)


def _laplace(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """z + Laplace(b), by the inverse of its distribution function."""
    u = randomness.uniform(z.shape, generator, z) - 0.5
    return z - _level(model, "b") * u.sign() * torch.log1p(-2 * u.abs())


def _rician(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """The length of (z + sigma n, sigma n'), two normal numbers."""
    one, other = (_level(model, "sigma") * randomness.normal(z.shape, generator, z) for _ in range(2))
    return ((z + one) ** 2 + other**2 + FEW**2).sqrt()


def _salt_and_pepper(z: Tensor, model: object, generator: torch.Generator | None) -> Tensor:
    """0 with probability p, 1 with probability s, else z."""
    u = randomness.uniform(z.shape, generator, z)
    return torch.where(u < _level(model, "p"), 0.0, torch.where(u >= 1 - _level(model, "s"), 1.0, z))


def _level(model: object, name: str) -> float:
    """A parameter of the noise, the same for all images."""
    level = torch.as_tensor(getattr(model, name)).detach()
    if level.numel() != 1:
        found = list(level.shape)
        raise DegradationError(f"{name} of {type(model).__name__} is {found}: expected one number for all images")
    return float(level)


SURROGATES = {
    "GammaNoise": _gamma,
    "GaussianNoise": _gaussian,
    "LaplaceNoise": _laplace,
    "PoissonGaussianNoise": _poisson_gaussian,
    "PoissonNoise": _poisson,
    "RicianNoise": _rician,
    "SaltPepperNoise": _salt_and_pepper,
    "UniformNoise": _uniform,
}
