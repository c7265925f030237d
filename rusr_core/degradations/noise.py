"""Photon noise and dead pixels; read noise."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import check, check_compat, eight_bit, size_of, true_input
from rusr_core.images import quantize
from rusr_core.limits import is_number

FEWEST, MOST = 0.01, 1e9  # photons of white: with fewer all is black, with more nothing is noisy


class _SoftClamp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clamp(0, 1)

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        s = torch.sigmoid(2 * (ctx.saved_tensors[0] - 0.5))
        return gradient * 2 * s * (1 - s)

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return _SoftClamp.backward(ctx, tangent)  # the derivative is diagonal


def soft_clamp(x: Tensor) -> Tensor:
    """x clamped to [0, 1] with the gradient of sigmoid(2 (x - 1/2)), which never vanishes, as in the published code."""
    return _SoftClamp.apply(x)


@dataclass(frozen=True)
class PoissonBernoulliNoise(Degradation):
    """Photon noise, then dead pixels: Poisson(photons x) / photons, and black with probability `p`.

    Surrogate: x + sqrt(x / photons) e with e ~ N(0, 1), times dead pixels that are drawn alike. Both x and the result
    are clamped to [0, 1] with the gradient of a sigmoid. The published surrogate is half a photon darker (`compat`).

    Agreement on the golden picture for (96, 0.04), (24, 0.16), (6, 0.64), 300 draws: the surrogate's mean is
    0.0002, 0.0007, 0.0027 above the true one (published: 0.0044, 0.0146, 0.0188 below); its standard
    deviation 0.2, 0.4, 0.7 % above.

    Both numbers can be free. Which pixels are dead does not change smoothly with `p`: each counts with the derivative
    of its mean, -1 (straight through: Bengio et al., https://arxiv.org/abs/1308.3432). Where a loss is linear in the
    pixels this is the derivative of its mean; LPIPS is not. On a portrait with (24, 0.16), six draws at each of seven
    shares from 0.05 to 0.4, it had the sign of the differences of the default loss at all of them, a third to nine
    tenths of their size, and its zero at 0.166, theirs at 0.168. Pixels that die gradually (over 0.05 of the draw) had
    the size, but show greys that no dead pixel has, and scattered 2 to 16 times as much.
    """

    photons: float
    p: float
    compat: str | None = None
    name: ClassVar[str] = "noise"
    random: ClassVar[bool] = True
    free_numbers: ClassVar[tuple[str, ...]] = ("photons", "p")

    def __post_init__(self) -> None:
        check_compat(self.compat)
        good = is_number(self.photons) and FEWEST <= self.photons <= MOST
        check(good, "photons", f"a number in [{FEWEST}, {MOST:g}]", self.photons)
        check(is_number(self.p) and 0 <= self.p < 1, "p", "a number in [0, 1)", self.p)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return eight_bit(self.draw(x, generator), self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        noise = randomness.normal(x.shape, generator, x)
        return self.approximate(x, noise, self._alive(x, generator))

    def expected(self, x: Tensor) -> Tensor:
        size_of(x)
        return (1 - self.p) * self.approximate(x, torch.zeros_like(x), torch.ones_like(x[:, :1]))

    def draw(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The true noisy image before it is stored in 8 bit, same shape, in [0, 1]."""
        x = true_input(x)
        counts = randomness.poisson(x.clamp(0, 1) * self.photons, generator)
        return (counts / self.photons * self._alive(x, generator)).clamp(0, 1)

    def approximate(self, x: Tensor, noise: Tensor, alive: Tensor) -> Tensor:
        """The surrogate for given N(0, 1) `noise` `[N, 3, H, W]` and `alive` pixels `[N, 1, H, W]`, 0 or 1."""
        count = self.photons * soft_clamp(x)
        shift = 0.5 if self.compat else 0.0
        observed = (count - shift + (count + 1e-3).sqrt() * noise) / self.photons
        return soft_clamp(observed * alive)

    def _alive(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        draws = randomness.uniform((len(x), 1, *x.shape[2:]), generator, x)
        alive = (draws >= self.p).to(x)  # 0 is drawn, too
        return alive - (self.p - self.p.detach()) if isinstance(self.p, Tensor) else alive


@dataclass(frozen=True)
class ReadNoise(Degradation):
    """Noise of a sensor's electronics: N(0, `sigma`^2) on every value, `sigma` in units of [0, 1].

    Unlike photon noise it does not vanish in the dark. True: added to the 8-bit picture, clamped and rounded to 8 bit.
    Surrogate: the same without the rounding, clamped to [0, 1] with the gradient of a sigmoid.
    """

    sigma: float
    name: ClassVar[str] = "readnoise"
    random: ClassVar[bool] = True
    free_numbers: ClassVar[tuple[str, ...]] = ("sigma",)

    def __post_init__(self) -> None:
        check(is_number(self.sigma) and 0 <= self.sigma <= 1, "sigma", "a number in [0, 1]", self.sigma)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return quantize(self.forward(quantize(true_input(x)), generator))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return soft_clamp(x + self.sigma * randomness.normal(x.shape, generator, x))

    def expected(self, x: Tensor) -> Tensor:
        size_of(x)
        return soft_clamp(x)
