"""Sampling of the image: reduction by a whole factor, and resizing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import DegradationError, check, check_compat, eight_bit, size_of, true_input
from rusr_core.images import RESIZE_MODES, from_pil, quantize, resize, to_pil
from rusr_core.limits import MAX_SIDE, is_whole, whole_words

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True)
class Downsample(Degradation):
    """Reduce each side by a whole `factor`.

    True: Pillow's resize of the 8-bit image. `filter="random"` draws bilinear, bicubic or lanczos for each
    image from the generator (the published protocol); by name it is fixed. Surrogate: means of factor x
    factor pixels. Raises `DegradationError` if a side is no multiple of the factor.

    Agreement of the two on the 100 test portraits of 128 px, median PSNR in dB for factors 2, 4, 8, 16, 32:
    bilinear 41, 41, 39, 37, 35; bicubic 46, 45, 42, 40, 38; lanczos 44, 42, 39, 37, 36.
    """

    factor: int
    filter: str = "random"
    compat: str | None = None
    name: ClassVar[str] = "downsample"
    random: ClassVar[bool] = False  # the filter is drawn by `degrade` only

    def __post_init__(self) -> None:
        check_compat(self.compat)
        check(is_whole(self.factor) and 1 <= self.factor <= MAX_SIDE, "factor", whole_words(1, MAX_SIDE), self.factor)
        known = (*FILTERS, "random")
        check(self.filter in known, "filter", f"one of {', '.join(known)}", self.filter)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        height, width = self._size(true_input(x))
        names = [self.filter] * len(x)
        if self.filter == "random":
            draws = randomness.uniform((len(x),), generator, torch.empty(0)).tolist()
            names = [list(FILTERS)[int(u * len(FILTERS))] for u in draws]
        steps = [lambda picture, name=name: picture.resize((width, height), FILTERS[name]) for name in names]
        return _through_files(x, steps, self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        self._size(x)
        return F.avg_pool2d(x, self.factor)

    def _size(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the output."""
        height, width = size_of(x)
        if height % self.factor or width % self.factor:
            raise DegradationError(
                f"{width}x{height} px cannot be reduced by {self.factor}: both sides must be multiples of it"
            )
        return height // self.factor, width // self.factor


@dataclass(frozen=True)
class Resize(Degradation):
    """Resize to `size` (a side, or (height, width), in px) with a mode of `images.resize`.

    True: the same resize of the 8-bit image, rounded to 8 bit. Surrogate: without the rounding, from which it
    differs by at most 0.5 / 255; and without cutting off the overshoot of bicubic and lanczos at strong
    edges (58 dB or more on 20 test portraits in every mode).
    """

    size: int | tuple[int, int]
    mode: str = "bicubic"
    name: ClassVar[str] = "resize"
    random: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if isinstance(self.size, list):
            object.__setattr__(self, "size", tuple(self.size))
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        good = len(sides) == 2 and all(is_whole(side) and 1 <= side <= MAX_SIDE for side in sides)
        check(good, "size", f"a side or (height, width) from 1 to {MAX_SIDE} px", self.size)
        check(self.mode in RESIZE_MODES, "mode", f"one of {', '.join(RESIZE_MODES)}", self.mode)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return quantize(resize(quantize(true_input(x)), self.size, self.mode))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return resize(x, self.size, self.mode)


def _through_files(x: Tensor, steps: list[Callable], compat: str | None) -> Tensor:
    """Each image of `x` `[N, 3, H, W]` as an 8-bit Pillow image through its step."""
    pictures = [step(to_pil(image)) for step, image in zip(steps, eight_bit(x, compat), strict=True)]
    return torch.cat([from_pil(picture) for picture in pictures]).to(x)
