"""Where the head is: rotation, alignment to the eyes, and where rays meet the ellipsoids of head and hair."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .drawing import Canvas
from .factors import Factors

EYE_LINE = -0.08  # height of the eyes on the canvas: portraits are aligned to the eyes, as FFHQ is
ZOOM = 1.04  # canvas units per head unit


@dataclass(frozen=True)
class Pose:
    """Rotation from head space to the viewer's (x right, y down, z to the viewer) and the aligned coordinates."""

    rows: tuple[tuple[Tensor, Tensor, Tensor], ...]  # 3 x 3 of [N, 1, 1]
    x: Tensor  # [N, S, S] viewer coordinates of the pixels, in head units
    y: Tensor
    eyes: tuple[Tensor, Tensor]  # the middle of the eyes in viewer coordinates, [N, 1, 1] each
    yaw: Tensor

    def view(self, x: Tensor | float, y: Tensor | float, z: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
        """A point or vector of head space in viewer coordinates."""
        return tuple(row[0] * x + row[1] * y + row[2] * z for row in self.rows)

    def head(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The viewer's point (x, y, 0) in head space."""
        return tuple(self.rows[0][k] * x + self.rows[1][k] * y for k in range(3))


def pose_of(factors: Factors, canvas: Canvas, depth: Tensor, eye_y: Tensor, turn: Tensor | float = 1.0) -> Pose:
    """Rotate by yaw, then by pitch; put the point between the eyes, at `depth` in the head, where it is aligned."""
    yaw, pitch = 0.34 * turn * factors.bounded("yaw"), 0.12 * factors.bounded("pitch") + 0.02
    roll, scale = 0.03 * factors.bounded("roll"), ZOOM * torch.exp(0.025 * factors.bounded("scale"))
    cos_y, sin_y, cos_p, sin_p = torch.cos(yaw), torch.sin(yaw), torch.cos(pitch), torch.sin(pitch)
    rows = (
        (cos_y, torch.zeros_like(cos_y), sin_y),
        (sin_p * sin_y, cos_p, -sin_p * cos_y),
        (-sin_y * cos_p, sin_p, cos_y * cos_p),
    )
    eyes = (rows[0][1] * eye_y + rows[0][2] * depth, rows[1][1] * eye_y + rows[1][2] * depth)
    cos_r, sin_r = torch.cos(roll), torch.sin(roll)
    x = (cos_r * canvas.x + sin_r * (canvas.y - EYE_LINE)) / scale + eyes[0]
    y = (-sin_r * canvas.x + cos_r * (canvas.y - EYE_LINE)) / scale + eyes[1]
    return Pose(rows, x, y, eyes, yaw)


@dataclass(frozen=True)
class Surface:
    """Where rays meet an ellipsoid: points in head space, q < 1 inside the silhouette, normals in the viewer's."""

    x: Tensor
    y: Tensor
    z: Tensor
    q: Tensor
    normal: tuple[Tensor, Tensor, Tensor]


def ellipsoid(pose: Pose, x: Tensor, y: Tensor, axes: tuple, centre: tuple[float, float] = (0.0, 0.0)) -> Surface:
    """Intersect the rays through viewer points (x, y) with an ellipsoid centred at (0, *centre) of head space.

    Outside the silhouette the nearest point of the ray is used, so that every field stays smooth.
    """
    ox, oy, oz = pose.head(x, y)
    oy, oz = oy - centre[0], oz - centre[1]
    dx, dy, dz = pose.rows[2]
    ia, ib, ic = (1 / axis**2 for axis in axes)
    along = dx * dx * ia + dy * dy * ib + dz * dz * ic
    half = ox * dx * ia + oy * dy * ib + oz * dz * ic
    q2 = 1 + (ox * ox * ia + oy * oy * ib + oz * oz * ic - 1) - half * half / along
    t = (-half + torch.sqrt(((1 - q2) * along).clamp_min(0))) / along
    hx, hy, hz = ox + t * dx, oy + t * dy, oz + t * dz
    normal = pose.view(hx * ia, hy * ib, hz * ic)
    return Surface(hx, hy + centre[0], hz + centre[1], torch.sqrt(q2.clamp_min(1e-6)), normal)
