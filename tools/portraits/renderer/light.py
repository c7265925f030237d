"""One key light, ambient light from above, a rim light: wrapped Lambert with a highlight, in linear RGB."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .drawing import rgb
from .factors import Factors

SKIN_WRAP = (0.30, 0.16, 0.10)  # red light scatters furthest under the skin
PLAIN_WRAP = (0.20, 0.20, 0.20)


@dataclass(frozen=True)
class Light:
    """Direction, colours and strengths, maps `[N, 1, 1]` (colours `[N, 3, 1, 1]`)."""

    x: Tensor
    y: Tensor
    z: Tensor
    key: Tensor
    ambient: Tensor
    key_strength: Tensor
    ambient_strength: Tensor
    ratio: Tensor
    rim: Tensor


def light_of(factors: Factors) -> Light:
    """The lights of each portrait."""
    azimuth, elevation = 1.0 * factors.bounded("light_x"), -0.45 + 0.45 * factors.bounded("light_y")
    warm, ratio = 0.20 * factors.bounded("light_warm"), 0.62 + 0.25 * factors.bounded("light_ratio")
    return Light(
        x=torch.sin(azimuth) * torch.cos(elevation),
        y=torch.sin(elevation),
        z=torch.cos(azimuth) * torch.cos(elevation),
        key=rgb(1 + warm, 1 + 0.1 * warm, 1 - warm),
        ambient=rgb(1 - 0.6 * warm, torch.ones_like(warm), 1 + 0.8 * warm),
        key_strength=1.5 * ratio,
        ambient_strength=0.30 + 0.52 * (1 - ratio),
        ratio=ratio,
        rim=factors.uniform("rim") ** 2,
    )


def shade(
    light: Light,
    albedo: Tensor,
    normal: tuple[Tensor, Tensor, Tensor],
    occlusion: Tensor | float,
    gloss: Tensor | float = 0.0,
    sharpness: float = 20.0,
    wrap: tuple[float, float, float] = PLAIN_WRAP,
) -> Tensor:
    """Reflected light `[N, 3, S, S]` of a surface; occlusion 1 is open, 0 is hidden from all light."""
    x, y, z = normal
    occlusion = occlusion if torch.is_tensor(occlusion) else torch.full_like(x, occlusion)
    facing = x * light.x + y * light.y + z * light.z
    diffuse = torch.stack([((facing + w) / (1 + w)).clamp_min(0) for w in wrap], 1)
    key = diffuse * (light.key_strength[:, None] * light.key) * (0.35 + 0.65 * occlusion)[:, None]
    sky = light.ambient * (light.ambient_strength * (0.78 - 0.32 * y) * occlusion)[:, None]
    half = torch.rsqrt(light.x**2 + light.y**2 + (light.z + 1) ** 2)
    towards = ((x * light.x + y * light.y + z * (light.z + 1)) * half).clamp_min(0)
    highlight = gloss * towards**sharpness * light.key_strength
    side = 0.5 + 0.5 * torch.tanh(-3 * x * torch.sign(light.x + 1e-3))
    rim = light.rim * 0.45 * (1 - z).clamp_min(0) ** 3 * side
    return albedo * (key + sky) + highlight[:, None] * light.key + rim[:, None] * (0.25 + albedo)
