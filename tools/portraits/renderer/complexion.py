"""Colours of skin and hair, in linear RGB; dark skin comes with dark hair and eyes."""

import torch
from torch import Tensor

from .drawing import constant, mix, rgb, smoothstep
from .factors import Factors

SKINS = ((0.80, 0.555, 0.44), (0.52, 0.295, 0.185), (0.135, 0.068, 0.042))
HAIRS = ((0.58, 0.40, 0.20), (0.17, 0.082, 0.036), (0.018, 0.014, 0.012))
RED = (0.50, -0.15, -0.60)
GREY = (0.50, 0.49, 0.48)


def melanin(f: Factors) -> Tensor:
    """0 light .. 1 dark, `[N, 1, 1]`."""
    return f.uniform("melanin") ** 1.15


def _along(colours: tuple, t: Tensor) -> Tensor:
    """Logarithm of a colour between three anchors at t = 0, 1/2 and 1; t `[N, 1, 1, 1]`."""
    first, second, third = (constant(c, t).log() for c in colours)
    return torch.where(t < 0.5, mix(first, second, 2 * t), mix(second, third, 2 * t - 1))


def skin_colour(f: Factors) -> Tensor:
    """Albedo `[N, 3, 1, 1]`."""
    under = 0.09 * f.bounded("undertone")
    return torch.exp(_along(SKINS, melanin(f)[:, None])) * rgb(1 + 0.4 * under, torch.ones_like(under), 1 - 1.2 * under)


def hair_colour(f: Factors, tint: Tensor | None = None) -> Tensor:
    """Albedo `[N, 3, 1, 1]`; `tint` `[N, 3, 1, 1]` is an unnatural colour, which training never uses."""
    dark = mix(f.uniform("hair_dark") ** 0.8, torch.ones_like(f.raw("melanin")), 0.75 * melanin(f))[:, None]
    red = smoothstep(0.50, 1.0, f.uniform("hair_red") * (1 - 0.5 * melanin(f)))[:, None]
    colour = torch.exp(_along(HAIRS, dark) + red * constant(RED, dark) * (1 - 0.4 * dark))
    grey = smoothstep(0.60, 1.0, 0.5 * f.uniform("hair_grey") + 0.5 * f.uniform("age"))[:, None]
    colour = mix(colour, constant(GREY, colour), 0.85 * grey)
    return colour if tint is None else mix(colour, tint, tint.amax(1, keepdim=True).gt(0).float())
