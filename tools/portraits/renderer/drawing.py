"""Small tools of a smooth painter: every mask is a soft function of position, so nothing needs supersampling.

Scalars of a portrait are maps `[N, 1, 1]`, fields `[N, S, S]`, colours `[N, 3, S, S]` in linear RGB.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Canvas:
    """Pixel centres of a square picture: x to the right, y down, both in [-1, 1]."""

    x: Tensor  # [1, S, S]
    y: Tensor  # [1, S, S]
    pixel: float  # side of a pixel, 2 / S

    @classmethod
    def of_size(cls, size: int, device: torch.device) -> "Canvas":
        """A canvas of `size` x `size` pixels."""
        line = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        return cls(x[None], y[None], 2 / size)

    @property
    def edge(self) -> float:
        """Half width of an anti-aliased edge."""
        return 1.4 * self.pixel


def smoothstep(low: float | Tensor, high: float | Tensor, x: Tensor) -> Tensor:
    """0 below `low`, 1 above `high`, a smooth cubic between; `low` > `high` falls instead of rising."""
    t = ((x - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def bump(u: Tensor, v: Tensor | float = 0.0) -> Tensor:
    """Gaussian bump of height 1 and unit deviation at the origin of (u, v)."""
    return torch.exp(-0.5 * (u * u + v * v))


def mix(a: Tensor, b: Tensor, t: Tensor | float) -> Tensor:
    """a at t = 0, b at t = 1."""
    return a + (b - a) * t


def over(below: Tensor, above: Tensor, alpha: Tensor) -> Tensor:
    """Paint colours `above` on `below` with coverage alpha `[N, S, S]`."""
    return below + (above - below) * alpha[:, None]


def rgb(red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Stack three fields to a colour."""
    return torch.stack(torch.broadcast_tensors(red, green, blue), 1)


def constant(values: tuple[float, float, float], like: Tensor) -> Tensor:
    """A colour `[1, 3, 1, 1]` on the device of `like`."""
    return torch.tensor(values, device=like.device).view(1, 3, 1, 1)


def opponent_colour(lightness: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Smooth bounded colour from a lightness in (0, 1), green-red `a` and blue-yellow `b`."""
    a, b = torch.tanh(0.7 * a), torch.tanh(0.7 * b)
    red = lightness * torch.exp(0.55 * a + 0.30 * b)
    green = lightness * torch.exp(-0.35 * a + 0.18 * b)
    blue = lightness * torch.exp(0.02 * a - 0.75 * b)
    return rgb(red, green, blue).clamp(0, 1.2)


def unit(x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Scale a field of vectors to length 1."""
    scale = torch.rsqrt(x * x + y * y + z * z + 1e-6)
    return x * scale, y * scale, z * scale


def slope(height: Tensor, pixel: float) -> tuple[Tensor, Tensor]:
    """Central differences of a height field `[N, S, S]` along x and y, per unit of the canvas."""
    wide = torch.cat([height[:, :, :1], height, height[:, :, -1:]], 2)
    tall = torch.cat([height[:, :1], height, height[:, -1:]], 1)
    return (wide[:, :, 2:] - wide[:, :, :-2]) / (2 * pixel), (tall[:, 2:] - tall[:, :-2]) / (2 * pixel)
