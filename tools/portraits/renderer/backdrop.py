"""Backdrops: a gradient, a soft light, a vignette, and the surface of canvas or plaster."""

import torch
from torch import Tensor

from .drawing import Canvas, bump, mix, opponent_colour, over, smoothstep
from .factors import Factors
from .textures import Textures


def paint_backdrop(f: Factors, canvas: Canvas, t: Textures) -> Tensor:
    """Colours `[N, 3, S, S]`."""
    x, y = canvas.x, canvas.y
    light = 0.05 + 0.50 * f.uniform("bg_l") ** 1.3
    a, b = f.raw("bg_a"), f.raw("bg_b")
    spot_a, spot_b = f.raw("bg_blob_a"), f.raw("bg_blob_b")
    first = opponent_colour(light, a, b)
    second = opponent_colour(
        light * torch.exp(0.7 * f.bounded("bg_grad")), 0.4 * a + 0.6 * spot_a, 0.4 * b + 0.6 * spot_b
    )
    picture = mix(first, second, smoothstep(-1.3, 1.3, y + 0.6 * f.bounded("bg_blob_x") * x)[:, None])
    centre_x, centre_y = 0.9 * f.bounded("bg_blob_x"), 0.75 * f.bounded("bg_blob_y") - 0.35
    spot = bump((x - centre_x) / 0.45, (y - centre_y) / 0.50)
    picture = over(picture, opponent_colour(1.35 * light + 0.10, spot_a, spot_b), 0.6 * spot)
    kind = f.bounded("bg_texture")
    surface = 0.16 * t.canvas * (-kind).clamp_min(0) + 0.20 * t.plaster * kind.clamp_min(0) + 0.10 * t.cloud
    return picture * torch.exp(surface)[:, None] * (1 - 0.16 * (x * x + y * y))[:, None]
