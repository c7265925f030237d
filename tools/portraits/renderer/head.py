"""The shape of a head: proportions, then the visible surface with nose, brows, cheeks and lips."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .drawing import Canvas, bump, slope, smoothstep, unit
from .factors import Factors
from .pose import Pose, Surface, ellipsoid, pose_of
from .textures import Textures


@dataclass(frozen=True)
class Proportions:
    """Sizes and places in head units, `[N, 1, 1]`; y grows downwards, 0 is the middle of the head."""

    width: Tensor
    length: Tensor
    depth: Tensor
    eye_y: Tensor
    eye_x: Tensor
    eye_width: Tensor
    eye_height: Tensor
    nose_y: Tensor
    nose_width: Tensor
    mouth_y: Tensor
    mouth_width: Tensor
    chin_y: Tensor
    smile: Tensor  # from -0.5, sad, to 1.1
    smiling: Tensor  # its positive part, smooth
    parted: Tensor  # 0 closed lips .. 1 open mouth
    age: Tensor


def proportions(f: Factors) -> Proportions:
    """Sizes and places of one portrait's features."""
    tilt = f.feminine - 0.5
    smile = 0.30 + 0.8 * f.bounded("smile")
    smiling, parted = F.softplus(5 * smile) / 5, smoothstep(0.35, 1.0, f.uniform("mouth_open"))
    length = 0.755 * torch.exp(0.06 * f.bounded("face_l"))
    eye_y = torch.full_like(length, -0.03)
    eye_width = 0.112 * torch.exp(0.12 * f.bounded("eye_size") + 0.07 * tilt)
    lids = (1 - 0.42 * f.uniform("squint") ** 2) * (1 - 0.15 * smoothstep(0.5, 1.0, f.uniform("smile")))
    nose_y = eye_y + 0.285 * torch.exp(0.12 * f.bounded("nose_l"))
    mouth_width = 0.192 * torch.exp(0.12 * f.bounded("mouth_w") + 0.10 * f.bounded("face_w"))
    return Proportions(
        width=0.545 * torch.exp(0.07 * f.bounded("face_w") - 0.03 * tilt),
        length=length,
        depth=torch.full_like(length, 0.62),
        eye_y=eye_y,
        eye_x=0.228 * torch.exp(0.04 * f.bounded("eye_gap")),
        eye_width=eye_width,
        eye_height=eye_width * (0.46 + 0.10 * f.bounded("eye_shape") + 0.05 * tilt) * lids,
        nose_y=nose_y,
        nose_width=torch.exp(0.22 * f.bounded("nose_w") - 0.12 * tilt),
        mouth_y=nose_y + 0.185 * torch.exp(0.10 * f.bounded("mouth_y") + 0.05 * f.bounded("face_l")),
        mouth_width=mouth_width * (1 + 0.16 * smiling - 0.08 * parted * (1 - smiling)),
        chin_y=0.88 * length,
        smile=smile,
        smiling=smiling,
        parted=parted,
        age=f.uniform("age") ** 2,
    )


@dataclass(frozen=True)
class Mouth:
    """Lines of the mouth as heights over the face, `[N, S, S]`."""

    across: Tensor  # x in mouth widths
    envelope: Tensor  # 1 in the middle, 0 from the corners on
    line: Tensor
    opening: Tensor
    upper_edge: Tensor
    upper_inside: Tensor
    lower_inside: Tensor
    lower_edge: Tensor
    lips: Tensor  # masks
    gap: Tensor


@dataclass(frozen=True)
class Head:
    """The visible surface of the head; fields `[N, S, S]`."""

    pose: Pose
    shape: Proportions
    surface: Surface  # of the bare ellipsoid
    mask: Tensor
    x: Tensor  # coordinates on the face, moved by the nose's parallax
    y: Tensor
    side: Tensor  # |x|, smooth at 0
    sign: Tensor  # -1 left .. 1 right, smooth
    eye_u: Tensor  # eye coordinates: 0 at the middle of an eye, 1 at its outer corner
    eye_v: Tensor  # in head units
    fold: Tensor  # mask of the folds from nose to mouth
    mouth: Mouth
    normal: tuple[Tensor, Tensor, Tensor]
    edge: float


def _mouth(f: Factors, p: Proportions, x: Tensor, y: Tensor, side: Tensor, edge: float) -> Mouth:
    across = x / p.mouth_width
    square = (across * across).clamp(max=3)
    # A softplus instead of a clamp would widen the mouth: the corners are meant to be sharp.
    envelope = (1 - square).clamp_min(0)
    droop = 0.020 * (0.35 - p.smile).clamp_min(0)
    line = p.mouth_y + (droop - 0.045 * p.smiling) * square + 0.010 * p.smiling
    opening = 0.055 * p.parted * (envelope + 1e-6) ** 0.8
    tilt, thin = f.feminine - 0.5, 1 - 0.2 * p.smiling
    upper = 0.042 * torch.exp(0.28 * f.bounded("lip_up") + 0.18 * tilt) * thin
    lower = 0.052 * torch.exp(0.26 * f.bounded("lip_lo") + 0.14 * tilt) * thin
    cupid = 1 - 0.22 * bump(x / 0.022) + 0.10 * bump((side - 0.045) / 0.03)
    upper_inside, lower_inside = line - 0.45 * opening, line + 0.55 * opening
    upper_edge = upper_inside - upper * (envelope + 1e-6) ** 0.75 * cupid
    lower_edge = lower_inside + lower * (envelope + 1e-6) ** 0.6
    corner = smoothstep(0.0, 0.12, envelope)
    lips = smoothstep(-edge, 2 * edge, y - upper_edge) * smoothstep(-edge, 2 * edge, lower_edge - y) * corner
    gap = smoothstep(-edge, edge, y - upper_inside) * smoothstep(-edge, edge, lower_inside - y)
    gap = gap * smoothstep(0.0, 0.10, envelope) * smoothstep(0.004, 0.014, opening)
    return Mouth(across, envelope, line, opening, upper_edge, upper_inside, lower_inside, lower_edge, lips, gap)


def _nose(f: Factors, p: Proportions, x: Tensor, y: Tensor) -> Tensor:
    """Height of the nose over the ellipsoid: ridge, tip and wings."""
    top = p.eye_y - 0.07
    down = ((y - top) / (p.nose_y - top)).clamp(0, 1.2)
    end = 1 - smoothstep(p.nose_y - 0.005, p.nose_y + 0.085, y + 0.5 * torch.sqrt(x * x + 4e-4))
    height = 0.115 * torch.exp(0.25 * f.bounded("nose_bridge"))
    ridge = (0.18 + 0.82 * down**1.4) * bump(x / (0.045 + 0.030 * down * p.nose_width))
    ridge = ridge * smoothstep(-0.12, 0.25, down) * end * height
    tip = 0.040 * torch.exp(0.35 * f.bounded("nose_tip"))
    tip = tip * bump(x / (0.056 * p.nose_width), (y - p.nose_y + 0.01) / 0.042)
    wing_x = (x.abs() - 0.078 * p.nose_width) / (0.030 * p.nose_width)
    return ridge + tip + 0.040 * bump(wing_x, (y - p.nose_y - 0.008) / 0.032)


def _relief(f: Factors, p: Proportions, m: Mouth, fields: tuple, t: Textures) -> Tensor:
    """Everything but the nose: brow ridge, sockets, lids, cheeks, folds, lips, chin, grain, wrinkles."""
    x, y, side, eye_v, fold = fields
    masculine = 0.5 - f.feminine
    h = 0.030 * (1 + 0.6 * masculine) * bump(side / 0.28, (y - p.eye_y + 0.115) / 0.05)
    h = h - 0.050 * bump((side - 0.93 * p.eye_x) / 0.12, (y - p.eye_y + 0.005) / 0.075)
    h = h + 0.020 * bump((side - p.eye_x) / 0.085, eye_v / 0.050)
    h = h + (0.030 + 0.022 * f.bounded("cheek")) * bump((side - 0.335) / 0.11, (y - 0.16) / 0.10)
    h = h + 0.042 * p.smiling * bump((side - 0.275) / 0.09, (y - p.nose_y + 0.02) / 0.075)
    h = h - 0.020 * (1 - 0.5 * f.bounded("cheek")) * bump((side - 0.36) / 0.09, (y - p.mouth_y + 0.02) / 0.12)
    h = h - (0.008 * p.smiling + 0.006 * p.age) * fold
    h = h - 0.010 * bump(x / 0.022, (y - 0.5 * (p.nose_y + p.mouth_y) - 0.008) / 0.035)
    h = h + 0.022 * bump(m.across / 0.55, (y - 0.5 * (m.upper_edge + m.upper_inside)) / 0.025)
    h = h + 0.034 * bump(m.across / 0.50, (y - 0.55 * m.lower_edge - 0.45 * m.lower_inside) / 0.026)
    h = h - 0.022 * bump(x / 0.11, (y - m.lower_edge - 0.045) / 0.030)
    h = h - 0.012 * bump((side - 1.04 * p.mouth_width) / 0.022, (y - m.line) / 0.02)
    h = h + (0.045 + 0.02 * f.bounded("chin")) * bump(x / 0.115, (y - p.chin_y + 0.02) / 0.075)
    wrinkles = torch.sin(70 * y + 2 * torch.sin(6 * x)) * bump(x / 0.22, (y - p.eye_y + 0.33) / 0.09)
    return h + 0.0010 * (0.5 + p.age) * t.grain + 0.0030 * p.age * wrinkles


def _silhouette(f: Factors, p: Proportions, pose: Pose) -> Tensor:
    """Viewer x, stretched so that the ellipsoid gets the outline of jaw and chin."""
    down = (pose.y - 0.02) / p.length
    jaw = 0.02 + 0.13 * f.bounded("jaw") + 0.10 * (0.5 - f.feminine)
    taper = 0.17 - 0.08 * f.bounded("chin")
    outline = 1 + jaw * smoothstep(0.1, 0.75, down) - taper * smoothstep(0.55, 1.05, down)
    return pose.x / outline


def head_of(f: Factors, canvas: Canvas, t: Textures, extra: dict[str, Tensor]) -> Head:
    """Build the visible head. `extra` may hold "asymmetry" and "turn", which training never uses."""
    p = proportions(f)
    pose = pose_of(f, canvas, 0.88 * p.depth, p.eye_y, extra.get("turn", 1.0))
    surface = ellipsoid(pose, _silhouette(f, p, pose), pose.y, (p.width, p.length, p.depth))
    mask = smoothstep(-canvas.edge, canvas.edge, (1 - surface.q) * 0.6)
    nx, ny, nz = unit(surface.normal[0], surface.normal[1], surface.normal[2].clamp_min(0))
    slide_x, slide_y = pose.rows[2][0] / pose.rows[2][2], pose.rows[2][1] / pose.rows[2][2]
    x, y = surface.x, surface.y
    for _ in range(2):  # parallax: what is high on the face moves with the turn of the head
        height = _nose(f, p, x, y)
        x, y = surface.x + slide_x * height, surface.y + slide_y * height
    side, sign = torch.sqrt(x * x + 1e-6), torch.tanh(x / 0.01)
    eye_line = y + 0.03 * extra.get("asymmetry", 0.0) * torch.tanh(x / 0.1)
    eye_v = eye_line - p.eye_y + (0.05 + 0.16 * f.bounded("eye_tilt")) * (side - p.eye_x)
    fold_x = 0.118 + 0.55 * (y - p.nose_y + 0.02).clamp(0, 0.3) + 0.03 * p.smiling
    fold = bump((side - fold_x) / 0.022) * smoothstep(p.nose_y - 0.05, p.nose_y + 0.03, y)
    fold = fold * (1 - smoothstep(p.mouth_y - 0.02, p.mouth_y + 0.09, y))
    mouth = _mouth(f, p, x, y, side, canvas.edge)
    relief = _nose(f, p, x, y) + _relief(f, p, mouth, (x, y, side, eye_v, fold), t)
    gx, gy = slope(relief, canvas.pixel)
    fade = 0.85 * smoothstep(0.0, 0.35, nz)
    normal = unit(nx - gx * fade, ny - gy * fade, nz + 0.04)
    eye_u = (side - p.eye_x) / p.eye_width
    return Head(pose, p, surface, mask, x, y, side, sign, eye_u, eye_v, fold, mouth, normal, canvas.edge)
