"""Neck, ears and clothes."""

import torch
from torch import Tensor

from .drawing import Canvas, bump, constant, mix, opponent_colour, over, smoothstep, unit
from .factors import Factors
from .head import Head
from .light import SKIN_WRAP, Light, shade
from .textures import Textures


def paint_neck(f: Factors, head: Head, light: Light, picture: Tensor, skin: Tensor, t: Textures) -> Tensor:
    """Paint the neck, in the shadow of the chin."""
    pose, edge = head.pose, head.edge
    width = 0.285 * torch.exp(0.10 * f.bounded("neck") + 0.12 * (0.5 - f.feminine))
    width = width + 0.05 * smoothstep(0.75, 1.25, pose.y) ** 2
    across = (pose.x - 0.30 * pose.eyes[0]) / width
    mask = smoothstep(-edge, edge, (1 - across.abs()) * width) * smoothstep(0.2, 0.4, pose.y)
    x = 0.95 * across.clamp(-1, 1)
    below = pose.y - head.shape.length * (0.93 - 0.28 * across.clamp(-1, 1) ** 2) - 0.05 * light.y + 0.02
    open_ = smoothstep(0.02, 0.36, below)
    normal = (x, torch.full_like(x, 0.15), torch.sqrt((1 - x * x).clamp_min(0.02)))
    albedo = skin * (1 + 0.03 * t.blotch + 0.02 * t.grain)[:, None]
    colour = shade(light, albedo, normal, 0.30 + 0.60 * open_, 0.03, 12.0, SKIN_WRAP)
    tendon = bump((across.abs() - 0.42 + 0.25 * (pose.y - 0.9)) / 0.10)
    return over(picture, colour * (0.45 + 0.55 * open_ - 0.06 * tendon)[:, None], mask)


def paint_ears(f: Factors, head: Head, light: Light, picture: Tensor, skin: Tensor) -> Tensor:
    """Paint both ears: a tilted oval with a darker shell inside."""
    pose, p, size = head.pose, head.shape, torch.exp(0.16 * f.bounded("ears"))
    for side in (-1.0, 1.0):
        x, y, _ = pose.view(side * p.width * 0.99, p.eye_y + 0.10, -0.03)
        u, v = (pose.x - x - side * 0.030) / (0.068 * size), (pose.y - y) / (0.125 * size)
        u = u - side * 0.30 * v * v + side * 0.15 * v
        mask = smoothstep(-0.08, 0.08, 1 - u * u - v * v)
        inside = bump((u + 0.2 * side) / 0.38, (v + 0.05) / 0.48)
        nx, ny = 0.55 * u + 0.2 * side - 0.5 * side * inside, 0.4 * v
        normal = (nx, ny, torch.sqrt((1 - nx * nx - ny * ny).clamp_min(0.1)))
        albedo = (skin * constant((1.05, 0.88, 0.86), skin)).expand(-1, -1, *u.shape[1:])
        ear = shade(light, albedo, normal, 0.80 - 0.45 * inside, 0.04, 12.0, SKIN_WRAP)
        visible = smoothstep(-0.5, 0.0, 0.35 - side * torch.sin(pose.yaw))
        picture = over(picture, ear, mask * visible)
    return picture


def _cloth(f: Factors, x: Tensor, below: Tensor, t: Textures) -> Tensor:
    """Albedo of the clothes: one colour or two in hoops or stripes, woven or knitted."""
    light = 0.03 + 0.60 * f.uniform("cloth_l") ** 1.6
    plain = opponent_colour(light, 1.25 * f.raw("cloth_a"), 1.25 * f.raw("cloth_b"))
    second = opponent_colour((0.77 - 1.1 * light).clamp_min(0.03), -f.raw("cloth_b"), f.raw("cloth_a"))
    kind = smoothstep(0.35, 0.65, f.uniform("pattern_kind"))
    pattern = mix(torch.tanh(2.5 * torch.sin(24 * below)), torch.tanh(2.5 * torch.sin(20 * x)), kind)
    amount = 0.45 * smoothstep(0.60, 0.85, f.uniform("pattern")) * (1 + pattern)
    cloth = mix(plain.expand(-1, -1, *pattern.shape[1:]), second, amount[:, None])
    fabric = mix(t.weave, t.knit, smoothstep(0.3, 0.7, f.uniform("knit")))
    return cloth * torch.exp(0.10 * fabric)[:, None]


def paint_clothes(
    f: Factors, canvas: Canvas, head: Head, light: Light, picture: Tensor, skin: Tensor, t: Textures
) -> Tensor:
    """Paint chest and clothes, with a round or a V neckline."""
    edge = canvas.edge
    x = canvas.x - 0.08 * torch.sin(head.pose.yaw)
    level = 0.79 + 0.05 * f.bounded("scale") - 0.04 * f.bounded("neck")
    shoulder = level + 0.30 * (x.abs() + 1e-4) ** 1.7 - 0.10 * bump(x / 0.26)
    collar = f.uniform("collar")
    vee = level - 0.06 + 0.34 * collar**1.5 * (1 - x.abs() / (0.27 + 0.05 * collar)).clamp(-1, 1)
    around = level - 0.03 + 0.13 * (1 - (x / 0.27) ** 2).clamp(-1, 1)
    neckline = mix(around, vee, smoothstep(0.35, 0.65, collar))
    top = torch.maximum(shoulder, torch.where(x.abs() < 0.40, neckline, shoulder - 1))
    mask = smoothstep(-edge, edge, canvas.y - top)
    nx = 0.6 * x
    chest_normal = (nx, torch.full_like(nx, -0.25), torch.sqrt((1 - nx * nx).clamp_min(0.1)))
    open_ = 0.35 + 0.5 * smoothstep(0.75, 1.1, canvas.y)
    chest = shade(light, skin.expand(-1, -1, *x.shape[1:]), chest_normal, open_.expand_as(x), wrap=SKIN_WRAP)
    bare = smoothstep(-2 * edge, 2 * edge, canvas.y - shoulder - 0.03) * (1 - mask)
    picture = over(picture, chest, bare)
    fold = t.cloud
    nx = 0.85 * torch.tanh(1.1 * x) + 0.18 * fold
    ny = -0.55 * smoothstep(0.22, 0.0, canvas.y - shoulder) - 0.12 + 0.08 * fold
    normal = (nx, ny, torch.sqrt((1 - nx * nx - ny * ny).clamp_min(0.06)))
    occlusion = 0.55 + 0.45 * smoothstep(-0.02, 0.15, canvas.y - neckline)
    cloth = shade(light, _cloth(f, x, canvas.y - shoulder, t), normal, occlusion, 0.02, 8.0)
    hem = bump((canvas.y - neckline - 0.022) / 0.016) * smoothstep(0.38, 0.34, x.abs())
    return over(picture, cloth * (1 - 0.25 * hem)[:, None], mask)


def paint_scarf(f: Factors, canvas: Canvas, head: Head, light: Light, picture: Tensor, t: Textures) -> Tensor:
    """Paint a knitted scarf round the neck of those who wear one."""
    x = canvas.x - 0.08 * torch.sin(head.pose.yaw)
    half = 0.36 + 0.03 * f.bounded("neck")
    middle = 0.80 + 0.10 * (1 - (x / half) ** 2).clamp(-1, 1)
    across = (canvas.y - middle) / 0.105
    mask = smoothstep(-canvas.edge, canvas.edge, (1 - across.abs()) * 0.105)
    mask = mask * smoothstep(-canvas.edge, canvas.edge, half - x.abs())
    colour = opponent_colour(0.10 + 0.40 * (1 - f.uniform("cloth_l")), -1.2 * f.raw("cloth_b"), 1.2 * f.raw("cloth_a"))
    albedo = colour * torch.exp(0.16 * t.knit)[:, None]
    normal = unit(x / half * 0.9 + 0 * across, 0.8 * across, torch.full_like(across, 0.7))
    scarf = shade(light, albedo, normal, 0.85 - 0.35 * smoothstep(0.4, 1.0, across.abs()))
    return over(picture, scarf, mask * f.gate("scarf", 1.35))
