"""Hair: a shell round the skull with an opening for the face, and a curtain behind and beside the neck."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .drawing import bump, mix, smoothstep, unit
from .factors import Factors
from .head import Head
from .light import Light, shade
from .pose import Surface, ellipsoid
from .textures import Textures


@dataclass(frozen=True)
class Hair:
    """Masks and shading inputs, `[N, S, S]`."""

    shell: Surface
    on_head: Tensor  # over the head, around the face
    behind: Tensor  # behind neck and shoulders
    before: Tensor  # long hair falling over the shoulders
    shadow: Tensor  # what it leaves of the light on the face, 1 is all
    strand: Tensor
    lock: Tensor
    from_middle: Tensor  # viewer x from the middle of the head
    reach: Tensor  # half width of the curtain
    gap: Tensor  # half width of the gap in front
    depth: Tensor  # 1 in the open, less at the inner edge


def hair_length(f: Factors) -> Tensor:
    """0 short .. 1 long, `[N, 1, 1]`."""
    return torch.sigmoid(1.3 * f.raw("hair_len") + 2.4 * (f.feminine - 0.5))


def _thickness(f: Factors) -> Tensor:
    return 0.060 + 0.060 * f.uniform("hair_vol") + 0.03 * f.feminine


def _opening(f: Factors, head: Head, shell: Surface, lock: Tensor) -> Tensor:
    """Distance from the middle of the face in units of the opening: 1 at the hairline."""
    p, part = head.shape, 0.26 * f.bounded("hair_part")
    fringe = 0.5 + 0.5 * f.bounded("fringe")
    hairline = -p.length * (0.71 + 0.06 * f.bounded("hairline") + 0.04 * p.age)
    hairline = hairline + 0.30 * smoothstep(0.35, 0.95, fringe)
    middle = p.eye_y + 0.10
    x = shell.x - 0.25 * part
    bend = 1.4 * part * x * (0.35 + 0.65 * fringe)
    up = ((middle - shell.y - bend) / (middle - hairline)).clamp_min(0)
    width = p.width * (0.97 - 0.10 * hair_length(f) * fringe)
    distance = ((x.abs() / width + 1e-4) ** 2.6 + (up + 1e-4) ** 2.6) ** (1 / 2.6)
    return distance + 0.022 * lock * (0.3 + fringe) - 0.05 * (1 - fringe) * bump(x / 0.06)


def hair_of(f: Factors, head: Head, t: Textures) -> Hair:
    """Shape of the hair of each portrait."""
    p, pose, edge = head.shape, head.pose, head.edge
    wave, length, thick = f.uniform("hair_wave") ** 1.5, hair_length(f), _thickness(f)
    strand, lock = mix(t.straight, t.wavy, wave), mix(t.straight_locks, t.wavy_locks, wave)
    # A head is rounder on top than an ellipsoid: widen it there, or the crown looks pointed.
    crown = 1 + 0.10 * smoothstep(0.25, 1.0, -pose.y / p.length)
    axes = (p.width + thick, p.length + 0.9 * thick, p.depth + thick)
    shell = ellipsoid(pose, pose.x / crown, pose.y, axes, centre=(-0.035, -0.05))
    frayed = (0.006 + 0.024 * wave) * lock * (0.22 + 0.78 * smoothstep(-0.62, 0.05, pose.y))
    inside = smoothstep(-edge, 1.5 * edge, (1 - shell.q) * 0.7 + frayed)
    opening = _opening(f, head, shell, lock)
    # Where there is no head there is no face to leave open: so no slit shows between hair and temple.
    skinless = 1 - smoothstep(0.0, 0.05, 1 - head.surface.q)
    covered = torch.maximum(smoothstep(-0.03, 0.03, opening - 1), skinless)
    burn = p.eye_y + 0.02 + 0.75 * smoothstep(0.25, 0.6, length)
    cut = 1 - smoothstep(burn - 0.06, burn + 0.08, shell.y + 0.025 * lock)
    end = -0.25 + 1.9 * smoothstep(0.30, 0.95, length)
    from_middle = pose.x - 0.25 * pose.eyes[0]
    volume = f.uniform("hair_vol")
    wide = 0.99 + 0.10 * volume * smoothstep(-0.2, 0.8, pose.y) - 0.16 * smoothstep(0.5, 1.5, pose.y) * (1 - volume)
    reach = (p.width + thick) * wide + 1.3 * frayed
    gap = (0.20 + 0.06 * f.bounded("neck")) * smoothstep(0.35, 0.8, pose.y)
    fall = smoothstep(-0.3, -0.05, pose.y) * (1 - smoothstep(end - 0.14, end + 0.05, pose.y + 0.05 * lock))
    curtain = smoothstep(-edge, 1.5 * edge, reach - from_middle.abs()) * fall
    front = smoothstep(-0.02, 0.05, from_middle.abs() - gap + 0.02 * lock) * smoothstep(0.45, 0.75, pose.y)
    return Hair(
        shell=shell,
        on_head=inside * covered * cut,
        behind=curtain,
        before=curtain * front,
        shadow=1 - 0.42 * smoothstep(0.80, 1.0, opening) * cut,
        strand=strand,
        lock=lock,
        from_middle=from_middle,
        reach=reach,
        gap=gap,
        depth=(0.45 + 0.55 * smoothstep(1.0, 1.16, opening)) * (0.75 + 0.25 * smoothstep(1.0, 0.8, shell.q)),
    )


def _paint(hair: Hair, light: Light, colour: Tensor, normal: tuple, occlusion: Tensor, gleam: float) -> Tensor:
    """Colours `[N, 3, S, S]`: strands in the albedo, and the band of light across combed hair."""
    albedo = colour * torch.exp(0.34 * hair.strand + 0.16 * hair.lock)[:, None]
    base = shade(light, albedo, normal, occlusion)
    height = (1.1 * normal[1] - 0.9 * light.y + 0.25 - 0.18 * hair.strand) / 0.20
    towards = 0.35 + 0.65 * (normal[0] * light.x + normal[2] * light.z).clamp_min(0)
    band = 0.16 * gleam * bump(height) * towards * light.key_strength * (0.6 + 0.4 * torch.tanh(hair.strand))
    return base + band[:, None] * (0.35 * light.key + 1.6 * colour)


def paint_on_head(hair: Hair, light: Light, colour: Tensor) -> Tensor:
    """Colours of the hair over the head."""
    x, y, z = hair.shell.normal
    normal = unit(x + 0.25 * hair.lock, y, z.clamp_min(0.05))
    return _paint(hair, light, colour, normal, hair.depth, 1.0)


def paint_behind(hair: Hair, light: Light, colour: Tensor) -> Tensor:
    """Colours of the hair behind the neck, in the shadow of the head."""
    x = 0.8 * (hair.from_middle / hair.reach).clamp(-1, 1)
    normal = (x + 0.2 * hair.lock, torch.zeros_like(x), torch.sqrt((1 - x * x).clamp_min(0.05)))
    occlusion = 0.35 + 0.25 * smoothstep(0.2, 0.6, hair.from_middle.abs())
    return _paint(hair, light, colour, normal, occlusion, 0.3)


def paint_before(hair: Hair, light: Light, colour: Tensor) -> Tensor:
    """Colours of the hair that falls over the shoulders."""
    share = ((hair.from_middle.abs() - hair.gap) / (hair.reach - hair.gap + 0.05)).clamp(0, 1)
    x = torch.sign(hair.from_middle) * (1.5 * share - 0.6) + 0.25 * hair.lock
    normal = (x, torch.full_like(x, -0.05), torch.sqrt((1 - x.clamp(-0.95, 0.95) ** 2).clamp_min(0.08)))
    occlusion = 0.45 + 0.40 * smoothstep(0.05, 0.45, (hair.from_middle.abs() - hair.gap) / 0.5)
    return _paint(hair, light, colour, normal, occlusion, 0.6)
