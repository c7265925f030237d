"""Blur: a lens out of focus, a hand that moved, or any point spread function."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import check, check_source, size_of, true_input
from rusr_core.images import load_image, quantize
from rusr_core.limits import is_number

TRUNCATE = 4.0  # standard deviations after which a Gaussian ends, as in SciPy
STEPS = 8  # points a pixel on the path of a motion
LONGEST = 1024.0  # px, of widths and lengths; beyond it, nothing of a picture is left
TURN = 360.0  # degrees


@dataclass(frozen=True, eq=False)
class Blur(Degradation):
    """Convolution with a Gaussian of standard deviation `width` px, and with a straight motion of `length` px.

    `direction` is that of the motion in degrees: 0 is horizontal, 90 vertical, between them it rises to the right. A
    `kernel` of one's own, `[h, w]` with odd sides and no negative values, or a picture file of it, takes the place of
    both; it is scaled to the sum 1. The picture is mirrored at its borders (the border pixel is not repeated).

    True: the 8-bit picture convolved and rounded to 8 bit. Surrogate: without the rounding, from which it differs by
    at most 0.5 / 255. `gaussian_kernel`, `motion_kernel` and `convolve` are differentiable in their numbers.
    """

    width: float = 0.0
    length: float = 0.0
    direction: float = 0.0
    kernel: Tensor | str | Path | None = None
    spread: Tensor | None = field(init=False, repr=False, default=None)  # the own kernel [h, w], of sum 1
    name: ClassVar[str] = "blur"
    random: ClassVar[bool] = False
    free_numbers: ClassVar[tuple[str, ...]] = ("width", "length", "direction")

    def __post_init__(self) -> None:
        for key in ("width", "length"):
            value = getattr(self, key)
            check(is_number(value) and 0 <= value <= LONGEST, key, f"in [0, {LONGEST:g}] px", value)
        good = is_number(self.direction) and abs(self.direction) <= TURN
        check(good, "direction", f"an angle in [-{TURN:g}, {TURN:g}] degrees", self.direction)
        if self.kernel is not None:
            check(not (self.width or self.length), "kernel", "without width and length", _shown(self.kernel))
            object.__setattr__(self, "spread", _own_kernel(self.kernel))

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return quantize(self.forward(quantize(true_input(x))))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        if self.spread is not None:
            return convolve(x, self.spread)
        if self.width:
            line = gaussian_kernel(self.width)
            x = convolve(convolve(x, line[:, None]), line[None])
        return convolve(x, motion_kernel(self.length, self.direction)) if self.length else x

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Blur):
            return NotImplemented
        if (self.spread is None) != (other.spread is None):
            return False
        numbers = (self.width, self.length, self.direction) == (other.width, other.length, other.direction)
        return numbers and (self.spread is None or torch.equal(self.spread, other.spread))

    def __hash__(self) -> int:
        return hash((self.width, self.length, self.direction, None if self.spread is None else self.spread.shape))


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """`x` `[N, C, H, W]` convolved with `kernel` `[h, w]` of odd sides, same shape; mirrored borders, of any width."""
    rows, columns = (side // 2 for side in kernel.shape)
    n, c, height, width = x.shape
    padded = x[..., _mirror(height, rows, x.device), :][..., _mirror(width, columns, x.device)]
    flipped = kernel.flip(0, 1).to(x)[None, None]  # conv2d is a correlation
    return F.conv2d(padded.reshape(n * c, 1, *padded.shape[2:]), flipped).view(n, c, height, width)


def gaussian_kernel(width: float | Tensor) -> Tensor:
    """A sampled Gaussian of standard deviation `width` px (above 0), `[2 r + 1]` of sum 1 with r = round(4 width)."""
    width = torch.as_tensor(width, dtype=torch.float32)
    radius = int(TRUNCATE * width.item() + 0.5)
    offsets = torch.arange(-radius, radius + 1, device=width.device)
    weights = torch.exp(-0.5 * (offsets / width) ** 2)
    return weights / weights.sum()


def motion_kernel(length: float | Tensor, direction: float | Tensor) -> Tensor:
    """The path of a point that moves `length` px along `direction` (degrees), as `[2 r + 1, 2 r + 1]` of sum 1.

    Each of the path's points, 8 a pixel, is shared among the four pixels around it as in bilinear interpolation.
    """
    length, direction = (torch.as_tensor(v, dtype=torch.float32) for v in (length, direction))
    num = max(1, math.ceil(STEPS * length.item()))
    radius = math.ceil(length.item() / 2) + 1
    along = ((torch.arange(num, device=length.device) + 0.5) / num - 0.5) * length
    angle = torch.deg2rad(direction)
    offsets = torch.arange(-radius, radius + 1, device=length.device)
    rows = (1 - (offsets[:, None] + along * torch.sin(angle)).abs()).clamp_min(0)  # rows are counted downwards
    columns = (1 - (offsets[:, None] - along * torch.cos(angle)).abs()).clamp_min(0)
    return rows @ columns.T / num


def _shown(kernel: Tensor | str | Path) -> list[int] | str:
    """A kernel in an error's words: its shape, or its file."""
    return list(kernel.shape) if isinstance(kernel, Tensor) else str(kernel)


def _own_kernel(kernel: Tensor | str | Path) -> Tensor:
    """A kernel `[h, w]` of sum 1 from a tensor or a picture file. Raises `DegradationError` and `ImageError`."""
    check_source("kernel", kernel)
    values = kernel if isinstance(kernel, Tensor) else load_image(kernel)[0].mean(0)
    values = values.detach().float().cpu().clone()
    odd = values.dim() == 2 and all(side % 2 == 1 for side in values.shape)
    check(odd, "kernel", "[h, w] with odd sides", list(values.shape))
    good = bool(values.isfinite().all() and values.min() >= 0 and values.sum() > 0)
    check(good, "kernel", "without negative values and with a sum above 0", _shown(kernel))
    return values / values.sum()


def _mirror(size: int, margin: int, device: torch.device) -> Tensor:
    """The indices of `size` pixels and of `margin` mirrored ones on either side, however wide the margin is."""
    period = max(1, 2 * (size - 1))
    places = torch.arange(-margin, size + margin, device=device) % period
    return torch.minimum(places, period - places)
