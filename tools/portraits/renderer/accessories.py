"""Glasses, woollen hats, and the head bands that only portraits beyond the training range wear."""

import torch
from torch import Tensor

from .drawing import bump, constant, mix, opponent_colour, over, smoothstep, unit
from .factors import Factors
from .hair import Hair
from .head import Head
from .light import Light, shade
from .textures import Textures


def _plane(head: Head, z: Tensor) -> tuple[Tensor, Tensor]:
    """Head-space x and y where the viewer's rays pass the plane of the lenses."""
    pose = head.pose
    ox, oy, oz = pose.head(pose.x, pose.y)
    dx, dy, dz = pose.rows[2]
    t = (z - oz) / dz
    return ox + t * dx, oy + t * dy


def paint_glasses(f: Factors, head: Head, hair: Hair, light: Light, picture: Tensor) -> Tensor:
    """Paint rims, bridge, temples, a tint, a reflection and a shadow, where there are glasses."""
    p, edge, on = head.shape, head.edge, f.gate("glasses", 0.85)
    x, y = _plane(head, p.depth + 0.055)
    side = torch.sqrt(x * x + 1e-6)
    shape, thick = f.bounded("glasses_shape"), 0.013 + 0.010 * f.uniform("glasses_col")
    width, height = 0.155 * torch.exp(0.10 * shape), 0.122 * torch.exp(-0.08 * shape)
    middle = 1.03 * p.eye_x + 0.005
    u, v = (side - middle) / width, (y - p.eye_y - 0.025) / height
    power = 2.6 + 1.2 * shape
    radius = ((u.abs() + 1e-4) ** power + (v.abs() + 1e-4) ** power) ** (1 / power)
    rim = smoothstep(thick + edge, thick - 0.5 * edge, (radius - 1).abs() * height)
    line = smoothstep(0.8 * thick + edge, 0.8 * thick - edge, (y - p.eye_y + 0.012 + 0.25 * x * x).abs())
    bridge = line * smoothstep(edge, -edge, side - middle + 0.98 * width)
    temple = smoothstep(0.8 * thick + edge, 0.8 * thick - edge, (y - p.eye_y + 0.015).abs())
    temple = temple * smoothstep(-edge, edge, side - middle - width) * head.mask * (1 - 0.9 * hair.on_head)
    lens = smoothstep(edge, -edge, (radius - 1) * height)
    sheen = smoothstep(0.25, 0.0, (0.5 * u * head.sign + 0.7 * v + 0.35 - 0.2 * light.x).abs())
    picture = picture * (1 - 0.10 * on * lens)[:, None] + (0.10 * on * lens * sheen * light.key_strength)[:, None]
    picture = picture * (1 - 0.18 * on * bump((radius - 1.12) * height / 0.025) * head.mask)[:, None]
    tone = 0.015 + 0.25 * smoothstep(0.55, 1.0, f.uniform("glasses_shape")) * (1 - f.uniform("glasses_col"))
    colour = opponent_colour(tone, torch.full_like(tone, 1.2), 0.8 * f.raw("glasses_col"))
    gleam = (0.75 + 0.5 * (0.5 * u * head.sign * light.x - 0.4 * v)).clamp(0.3, 1.6)
    return over(picture, colour * gleam[:, None], 0.94 * on * (rim + bridge + temple).clamp(max=1))


def paint_hat(f: Factors, head: Head, hair: Hair, light: Light, picture: Tensor, t: Textures) -> Tensor:
    """Paint a knitted hat with a turned-up brim over the hair of those who wear one."""
    p, shell, edge, on = head.shape, hair.shell, head.edge, f.gate("hat", 1.35)
    border = -0.50 * p.length - 0.12 * shell.x**2
    inside = smoothstep(-edge, edge, (1 - shell.q) * 0.7 + 0.035)
    mask = inside * smoothstep(edge, -edge, shell.y - border)
    brim = smoothstep(-0.20 - edge, -0.20 + edge, shell.y - border)
    roll = bump((shell.y - border + 0.10) / 0.06)
    colour = opponent_colour(0.08 + 0.40 * f.uniform("cloth_l"), -1.2 * f.raw("cloth_a"), 1.2 * f.raw("cloth_b"))
    ribs = mix(t.knit, torch.tanh(3 * t.straight_locks), 0.5 * brim)
    albedo = colour * (1 - 0.30 * brim)[:, None] * torch.exp(0.18 * ribs)[:, None]
    normal = unit(shell.normal[0], shell.normal[1] - 0.3 * (1 - roll) * brim, shell.normal[2].clamp_min(0.05))
    return over(picture, shade(light, albedo, normal, 0.75 + 0.25 * roll), mask * on)


def paint_band(head: Head, light: Light, picture: Tensor, extra: dict[str, Tensor]) -> Tensor:
    """Paint a head band across the forehead: beyond the training range."""
    band = smoothstep(head.edge, -head.edge, (head.y - head.shape.eye_y + 0.36 + 0.2 * head.x**2).abs() - 0.05)
    colour = opponent_colour(
        torch.full_like(extra["band"], 0.35), 2 * torch.cos(extra["hue"]), 2 * torch.sin(extra["hue"])
    )
    cloth = shade(light, colour * constant((1.0, 1.0, 1.0), colour).expand_as(picture), head.surface.normal, 0.9)
    return over(picture, cloth, band * head.mask * extra["band"])
