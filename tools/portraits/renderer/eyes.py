"""Paint the eyes: white, iris, pupil, reflections, lids, lashes."""

import torch
from torch import Tensor

from .complexion import melanin
from .drawing import bump, constant, mix, over, smoothstep
from .factors import Factors
from .head import Head
from .light import SKIN_WRAP, Light, shade

WHITE = (0.72, 0.68, 0.65)
BROWN = ((0.085, 0.032, 0.012), (0.26, 0.12, 0.035))
LIGHT = ((0.12, 0.26, 0.42), (0.16, 0.25, 0.10))


def _iris_colour(f: Factors, like: Tensor) -> Tensor:
    dark, hue = melanin(f)[:, None], f.uniform("iris_hue")[:, None]
    brown = mix(constant(BROWN[0], like), constant(BROWN[1], like), hue * (1 - 0.6 * dark))
    light = mix(constant(LIGHT[0], like), constant(LIGHT[1], like), hue)
    share = smoothstep(0.40, 1.0, f.uniform("iris_light"))[:, None] * (1 - 0.7 * smoothstep(0.35, 0.85, dark))
    return mix(brown, light, share)


def _eyeball(f: Factors, head: Head, light: Light, upper: Tensor) -> Tensor:
    """White, iris, pupil, the lid's shadow and two reflections."""
    p, u, v = head.shape, head.eye_u, head.eye_v
    radius = 0.054 * torch.exp(0.05 * f.bounded("eye_size"))
    gaze = 0.024 * f.bounded("gaze_x") - 0.015 * torch.sin(head.pose.yaw)
    iris_u = ((head.side - p.eye_x) * head.sign - gaze) / radius
    iris_v = (v - 0.010 * f.bounded("gaze_y") + 0.12 * p.eye_height) / radius
    r = torch.sqrt(iris_u**2 + iris_v**2 + 1e-6)
    white = constant(WHITE, u) * (1 - 0.18 * (u * u).clamp(max=1))[:, None]
    rays = 0.75 + 0.75 * smoothstep(-0.6, 0.9, iris_v)
    iris = _iris_colour(f, u) * (rays * (1 - 0.65 * smoothstep(0.72, 1.0, r)))[:, None]
    eye = over(white, iris, smoothstep(1.06, 0.92, r)) * (1 - 0.97 * smoothstep(0.52, 0.38, r))[:, None]
    lid_shadow = 0.42 + 0.58 * smoothstep(0.0, 0.042, v - upper)
    nx, ny = 0.5 * u * head.sign, 0.5 * v / p.eye_width
    normal = (nx, ny, torch.sqrt((1 - nx * nx - ny * ny).clamp_min(0.1)))
    eye = shade(light, eye, normal, lid_shadow * (1 - 0.25 * u * u).clamp_min(0), wrap=SKIN_WRAP)
    eye = eye * (0.5 + 0.5 * lid_shadow)[:, None]
    spot = 0.38 * torch.tanh(1.5 * light.x)
    glint = 1.2 * light.key_strength * bump((iris_u - spot) / 0.20, (iris_v + 0.36) / 0.20)
    glint = glint + 0.10 * bump((iris_u + spot) / 0.2, (iris_v - 0.45) / 0.15)
    return eye + glint[:, None] * light.key


def paint_eyes(f: Factors, head: Head, light: Light, face: Tensor, hair: Tensor, made: Tensor) -> Tensor:
    """Paint both eyes on the face `[N, 3, S, S]`."""
    p, u, v, edge = head.shape, head.eye_u, head.eye_v, head.edge
    arc = 1 - u * u
    inside = arc.clamp_min(0) + 1e-6
    upper = -p.eye_height * inside**0.62 * (1 - 0.12 * u)
    lower = 0.55 * p.eye_height * inside**0.75
    # The corners end where the arc does: beyond it both lids lie at 0 and would leave a line.
    corner = smoothstep(0.0, 0.10, arc)
    mask = smoothstep(-edge, edge, v - upper) * smoothstep(-edge, edge, lower - v) * corner
    face = over(face, _eyeball(f, head, light, upper), mask)
    width = 0.009 + 0.006 * f.feminine + 0.006 * made
    near = smoothstep(-0.02, 0.14, arc)
    lash = smoothstep(1.7 * width, 0.3 * width, (v - upper + 0.004).abs()) * near
    wing_line = (v + 0.20 * (u - 0.9) * p.eye_width).abs()
    wing = smoothstep(1.6 * width, 0.002, wing_line) * smoothstep(0.88, 1.0, u) * smoothstep(1.30, 1.05, u)
    lash = (lash + wing * (0.3 + 0.7 * made) * f.feminine).clamp(max=1)
    face = over(face, (0.10 * hair + 0.008).expand_as(face), 0.9 * lash)
    rim = bump((v - lower - 0.004) / 0.007) * smoothstep(0.0, 0.2, arc)
    face = face * (1 - (0.28 + 0.25 * made) * rim)[:, None]
    crease = bump((v - 1.25 * upper + 0.024) / 0.010) * smoothstep(0.0, 0.3, arc)
    return face * (1 - 0.34 * crease)[:, None]
