"""Fading and colour casts."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import check, size_of, true_input
from rusr_core.degradations.noise import soft_clamp
from rusr_core.images import quantize
from rusr_core.limits import is_number

DARKEST = 1 / 255  # below it a power is replaced by a line through 0, whose slope is finite

Numbers = float | tuple[float, float, float]


@dataclass(frozen=True)
class Fade(Degradation):
    """`gain` times x to the power `gamma`, plus `offset`: for all channels, or (red, green, blue) each its own.

    Old prints: a gain below 1 and an offset above 0; a cast: channels that differ. True: the 8-bit picture, clamped
    and rounded to 8 bit. Surrogate: without the rounding, clamped to [0, 1] with the gradient of a sigmoid, which
    never vanishes; on 8-bit pictures it differs by at most 0.5 / 255, since only between 0 and 1 / 255 the power is
    replaced by a line.
    """

    gain: Numbers = 1.0
    offset: Numbers = 0.0
    gamma: Numbers = 1.0
    name: ClassVar[str] = "fade"
    random: ClassVar[bool] = False
    free_numbers: ClassVar[tuple[str, ...]] = ("gain", "offset", "gamma")

    def __post_init__(self) -> None:
        for key, low, high in (("gain", 0.01, 100), ("offset", -1, 1), ("gamma", 0.05, 20)):
            value = getattr(self, key)
            if isinstance(value, list):
                object.__setattr__(self, key, value := tuple(value))
            channels = value if isinstance(value, tuple) else (value,)
            good = len(channels) in (1, 3) and all(is_number(v) and low <= v <= high for v in channels)
            check(good, key, f"in [{low}, {high}], one number or three", value)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return quantize(self.forward(quantize(true_input(x))))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return faded(x, *(torch.as_tensor(v).to(x) for v in (self.gain, self.offset, self.gamma)))


def faded(x: Tensor, gain: Tensor, offset: Tensor, gamma: Tensor) -> Tensor:
    """The surrogate of `Fade` on `x` `[N, 3, H, W]`, with one number or three in each tensor; differentiable in all."""
    gain, offset, gamma = (v.reshape(-1, 1, 1) for v in (gain, offset, gamma))
    power = torch.where(x > DARKEST, x.clamp_min(DARKEST) ** gamma, x / DARKEST * DARKEST**gamma)
    return soft_clamp(gain * power + offset)
