"""A face's square in a photograph, by the rule of FFHQ, and the upright picture of it.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019,
https://arxiv.org/abs/1812.04948, appendix A; Kazemi and Sullivan's 68 landmarks are replaced by MTCNN's five. Points
are [x, y] in pixels from the upper left corner of a picture, whose pixels have their centres at 0.5.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.images import in_words, resize
from rusr_core.limits import MAX_COUNT, MAX_SIDE, check_positive, check_whole, is_number, shown, sides_of
from rusr_core.parts import strips

EYES, MOUTH = 2.0, 1.8  # half the side of the square in distances of the eyes, and of eyes and mouth
DOWN = 0.1  # of the centre from between the eyes towards the mouth
BORDER, PADDING, BLUR = 0.1, 0.3, 0.02  # in sides of the square
FINER = 4  # samples a pixel, in both directions


class AlignError(RusrError):
    """Landmarks or a square that are none."""


@dataclass(frozen=True)
class Frame:
    """How a prior frames a face, against FFHQ's square: in halves of its side, along its own axes."""

    scale: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def __post_init__(self) -> None:
        check_positive("a frame's scale", self.scale, AlignError)
        for name in ("right", "down"):
            if not is_number(getattr(self, name)):
                raise AlignError(f"a frame's {name} is {shown(getattr(self, name))}: expected a finite number")

    def wider(self, times: float) -> "Frame":
        """The frame with its sides so many times as long, about the same centre. AlignError unless that is positive."""
        check_positive("times", times, AlignError)
        return Frame(self.scale * times, self.right, self.down)


FFHQ = Frame()
PORTRAITS = Frame(1.0917, -0.001, 0.0544)  # of this project, 100 of the training set: benchmarks/faces.py --calibrate


def quad_of(landmarks: Tensor, frame: Frame = FFHQ) -> Tensor:
    """The square of a face: corners `[4, 2]`, upper left, lower left, lower right, upper right as the face sees them.

    `landmarks`: `[5, 2]` in px: eyes, nose, corners of the mouth, those at the left of the picture first. The nose is
    not used. Raises AlignError for other shapes and for points that coincide.
    """
    if tuple(landmarks.shape) != (5, 2) or not landmarks.isfinite().all():
        raise AlignError(f"expected finite landmarks [5, 2], got {list(landmarks.shape)}")
    eye_left, eye_right, _, mouth_left, mouth_right = landmarks.double()
    middle = (eye_left + eye_right) / 2
    across, along = eye_right - eye_left, (mouth_left + mouth_right) / 2 - middle
    axis = across - torch.stack((-along[1], along[0]))
    if not axis.norm() > 0:
        raise AlignError("the landmarks coincide; expected eyes and mouth at different places")
    x = axis / axis.norm() * torch.maximum(EYES * across.norm(), MOUTH * along.norm())
    y = torch.stack((-x[1], x[0]))
    centre = middle + DOWN * along + frame.right * x + frame.down * y
    x, y = frame.scale * x, frame.scale * y
    return torch.stack((centre - x - y, centre - x + y, centre + x + y, centre + x - y))


def side_of(quad: Tensor) -> float:
    """The side of a square `[4, 2]` in px."""
    return float((quad[3] - quad[0]).norm())


def corners(width: int, height: int | None = None) -> Tensor:
    """The corners of a picture `[4, 2]`, in the order of `quad_of`."""
    height = width if height is None else height
    for name, side in (("width", width), ("height", height)):
        check_positive(name, side, AlignError)
    return torch.tensor([[0, 0], [0, height], [width, height], [width, 0]], dtype=torch.float64)


def homography(source: Tensor, target: Tensor) -> Tensor:
    """The projective map `[3, 3]` (float64) that takes four points `[4, 2]` to four others, none three on a line."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source.tolist(), target.tolist(), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    try:
        found = torch.linalg.solve(torch.tensor(rows, dtype=torch.float64), torch.tensor(values, dtype=torch.float64))
    except torch.linalg.LinAlgError:
        raise AlignError("expected four corners of which no three lie on a line") from None
    return torch.cat((found, found.new_ones(1))).view(3, 3)


def map_points(matrix: Tensor, points: Tensor) -> Tensor:
    """Points `[..., 2]` under a projective map `[3, 3]`."""
    mapped = torch.cat((points.double(), points.new_ones(points.shape[:-1] + (1,), dtype=torch.float64)), -1) @ matrix.T
    return mapped[..., :2] / mapped[..., 2:]


def pixel_centres(height: int, width: int) -> Tensor:
    """The centres of a picture's pixels, `[height, width, 2]`. AlignError for a size that is none."""
    height, width = sides_of((height, width), MAX_COUNT, AlignError)
    rows, columns = (torch.arange(size, dtype=torch.float64) + 0.5 for size in (height, width))
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack((x, y), -1)


def sample(x: Tensor, points: Tensor) -> Tensor:
    """`x` `[1, C, H, W]` at points `[h, w, 2]`, bicubic, borders repeated -> `[1, C, h, w]`, clamped to [0, 1]."""
    size = points.new_tensor([x.shape[-1], x.shape[-2]])
    grid = (2 * points / size - 1)[None].to(x)
    return F.grid_sample(x, grid, "bicubic", "border", align_corners=False).clamp(0, 1)


def gaussian_blur(x: Tensor, sigma: float, reach: int) -> Tensor:
    """`x` `[N, C, H, W]` on a CPU, smoothed by a Gaussian that ends after `reach` px; mirrored at its borders.

    AlignError for a width `sigma` in px or a reach that is none.
    """
    check_positive("sigma", sigma, AlignError)
    check_whole("reach", reach, 0, MAX_COUNT, AlignError)
    return torch.from_numpy(gaussian_filter(x.detach().numpy(), sigma, radius=reach, mode="mirror", axes=(2, 3)))


def check_picture(picture: Tensor) -> None:
    """AlignError unless a picture is `[3, H, W]`, uint8: of other numbers, white would not be 255."""
    if not isinstance(picture, Tensor) or picture.dim() != 3 or len(picture) != 3 or picture.dtype != torch.uint8:
        raise AlignError(f"expected a picture [3, H, W] of torch.uint8, got {in_words(picture)}")


def _check_quad(quad: Tensor) -> None:
    if not isinstance(quad, Tensor) or quad.shape != (4, 2) or not quad.isfinite().all():
        raise AlignError(f"expected finite corners [4, 2], got {in_words(quad)}")


def align(picture: Tensor, quad: Tensor, size: int | tuple[int, int]) -> Tensor:
    """The upright picture of a square: `[1, 3, h, w]`, float32, in [0, 1]; `size`: a side or (height, width) in px.

    `picture`: `[3, H, W]`, uint8. `quad`: corners `[4, 2]` as `quad_of` gives them; what lies outside the picture is
    mirrored, blurred and led to the median colour, as FFHQ's was. Antialiased: 4 x 4 bicubic samples a pixel of
    what was averaged to at most four times the size, then Lanczos. Raises `AlignError`.
    """
    check_picture(picture)
    _check_quad(quad)
    height, width = sides_of(size, MAX_SIDE, AlignError)
    x, quad = _window(picture, quad.double(), max(height, width))
    x, quad = _padded(x, quad)
    finer = max(1, math.ceil(2 * max(height, width) / side_of(quad)))  # interpolated far below the limit of sampling
    if finer > 1:
        x, quad = resize(x, (finer * x.shape[-2], finer * x.shape[-1]), "lanczos").clamp(0, 1), quad * finer
    back = homography(corners(FINER * width, FINER * height), quad)
    samples = sample(x, map_points(back, pixel_centres(FINER * height, FINER * width)))
    return resize(samples, (height, width), "lanczos").clamp(0, 1)


def _window(picture: Tensor, quad: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What of a picture a square needs, `[1, 3, h, w]` in [0, 1], averaged where it is far larger than `size`."""
    shrink = max(1, math.floor(side_of(quad) / size / 2))
    border = shrink * max(round(BORDER * side_of(quad) / shrink), 3)
    left, upper = (_down(float(v) - border, shrink) for v in quad.amin(0))
    right, lower = (math.ceil(v) + border for v in quad.amax(0).tolist())
    left, upper = max(left, 0), max(upper, 0)
    x = picture[:, upper : max(lower, 1), left : max(right, 1)]
    if not x.numel():
        raise AlignError(f"the square lies outside the picture of {picture.shape[2]}x{picture.shape[1]} px")
    if shrink > 1 and min(x.shape[-2:]) >= shrink:
        x = _averaged(x, shrink)
    else:
        x, shrink = x[None].float() / 255, 1
    return x, (quad - quad.new_tensor([left, upper])) / shrink


def _averaged(picture: Tensor, size: int) -> Tensor:
    """The means of whole squares of `size` px, `[1, 3, h, w]` in [0, 1], of `picture`, uint8, in strips."""
    height, width = (side // size for side in picture.shape[1:])
    bands = [slice(size * rows.start, size * rows.stop) for rows, _ in strips(height, size * width * size)]
    means = [F.avg_pool2d(picture[None, :, band, : size * width].float() / 255, size) for band in bands]
    return torch.cat(means, 2)


def _down(value: float, step: int) -> int:
    return math.floor(value / step) * step


def _padded(x: Tensor, quad: Tensor) -> tuple[Tensor, Tensor]:
    """The window of a square that reaches beyond it, with FFHQ's padding."""
    side, (height, width) = side_of(quad), x.shape[-2:]
    border = max(round(BORDER * side), 3)
    low, high = quad.amin(0).floor().tolist(), quad.amax(0).ceil().tolist()
    beyond = [border - low[0], border - low[1], high[0] - width + border, high[1] - height + border]
    if max(beyond) <= border - 4:  # the square ends 4 px inside
        return x, quad
    left, upper, right, lower = (max(1, round(max(v, PADDING * side))) for v in beyond)
    wide = np.pad(
        x[0].numpy(), ((0, 0), (upper, lower), (left, right)), "reflect" if min(height, width) > 1 else "edge"
    )
    wide = torch.from_numpy(wide)[None]
    rows = torch.arange(wide.shape[-2], dtype=torch.float32)[:, None]
    columns = torch.arange(wide.shape[-1], dtype=torch.float32)
    inside_x = torch.minimum(columns / left, columns.flip(0) / right)
    inside_y = torch.minimum(rows / upper, rows.flip(0) / lower)
    mask = 1 - torch.minimum(inside_x, inside_y)  # 1 at the edge, 0 where the picture begins, negative in it
    sigma = BLUR * side
    reach = min(math.ceil(4 * sigma), min(wide.shape[-2:]) - 1)
    wide = wide + (gaussian_blur(wide, sigma, reach) - wide) * (3 * mask + 1).clamp(0, 1)
    median = wide.flatten(2).median(2).values[..., None, None]
    wide = wide + (median - wide) * mask.clamp(0, 1)
    return wide, quad + quad.new_tensor([left, upper])
