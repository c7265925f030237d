"""Sampling of the image: reduction by a whole factor, resizing, and both where the factor is not known."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import DegradationError, check, check_compat, eight_bit, size_of, true_input
from rusr_core.degradations.fractional import KERNELS, resampling
from rusr_core.images import RESIZE_MODES, from_pil, quantize, resize, to_pil
from rusr_core.limits import MAX_SIDE, is_number, is_whole, whole_words

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
    factor pixels. Raises `DegradationError` if a side is no multiple of the factor. A free factor need not be whole:
    see `Enlarged`.

    Agreement of the two on the 100 test portraits of 128 px, median PSNR in dB for factors 2, 4, 8, 16, 32:
    bilinear 41, 41, 39, 37, 35; bicubic 46, 45, 42, 40, 38; lanczos 44, 42, 39, 37, 36.
    """

    factor: int
    filter: str = "random"
    compat: str | None = None
    name: ClassVar[str] = "downsample"
    random: ClassVar[bool] = False  # the filter is drawn by `degrade` only
    free_numbers: ClassVar[tuple[str, ...]] = ("factor",)

    def __post_init__(self) -> None:
        check_compat(self.compat)
        check(is_whole(self.factor) and 1 <= self.factor <= MAX_SIDE, "factor", whole_words(1, MAX_SIDE), self.factor)
        known = (*FILTERS, "random")
        check(self.filter in known, "filter", f"one of {', '.join(known)}", self.filter)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.reduced(x, self._size(true_input(x)), generator)

    def reduced(self, x: Tensor, size: tuple[int, int], generator: torch.Generator | None = None) -> Tensor:
        """`x` `[N, 3, H, W]`, a `true_input`, as 8-bit pictures of `size` (height, width), with the filter of this."""
        height, width = size
        names = [self.filter] * len(x)
        if self.filter == "random":
            draws = randomness.uniform((len(x),), generator, torch.empty(0)).tolist()
            names = [list(FILTERS)[int(u * len(FILTERS))] for u in draws]
        steps = [lambda picture, name=name: picture.resize((width, height), FILTERS[name]) for name in names]
        return _through_files(x, steps, self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        self._size(x)
        return F.avg_pool2d(x, self.factor)

    def freed(self) -> "Enlarged":
        return Enlarged(self.factor, self.filter, self.compat)

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


@dataclass(frozen=True)
class Enlarged(Degradation):
    """Reduce each side by `factor`, a number from 1, and enlarge it again: `Downsample` whose factor is free.

    A size is a whole number of pixels and has no derivative. So a factor can be searched only where the size of the
    result does not hang on it: the picture comes back at the size that it had (bicubic), or at that of the `Resize`
    right `after` it, with its mode. That is a file whose true resolution is not known. Where the file was not enlarged,
    its size is the factor, and there is nothing to search; where it was enlarged by "nearest", its blocks show it.

    Surrogate: the image, averaged over a box factor x factor and interpolated between samples that are `factor` px
    apart, as a mean over where these samples may lie. With them in their true places (16 for 128 px and a factor of 8)
    it would equal `Downsample` and `Resize` at whole factors. But then a factor a little beside the true one shifts
    them all, and a search that starts beside it feels these shifts, not the valley: from 5 it ended at 4.8 instead of
    8 (default preset, portrait 4, LPIPS 2.14). The mean has no such places. It found 8.2 and 3.9 for 8 and 4 from 5 and
    2.5 in 12 steps a phase (LPIPS 0.56 and 0.48; with the factor known 0.56 and 0.50).

    True: `Downsample` to the nearest whole sides, then `Resize`. Agreement of the two on 20 test portraits of 128 px,
    median PSNR in dB for factors 1.31, 2, 3.2, 4, 5.33, 8: bilinear 47, 44, 42, 41, 39, 38; bicubic 48, 46, 43, 42, 40,
    39; lanczos 46, 43, 41, 40, 38, 37. The mean over places is from `Downsample`'s own surrogate, enlarged, as far: 44,
    40 and 37 dB for 2, 4 and 8.
    """

    factor: float | Tensor
    filter: str = "random"
    compat: str | None = None
    after: Resize | None = field(default=None, repr=False)
    name: ClassVar[str] = Downsample.name
    random: ClassVar[bool] = False
    free_numbers: ClassVar[tuple[str, ...]] = Downsample.free_numbers

    def __post_init__(self) -> None:
        good = is_number(self.factor) and 1 <= self.factor <= MAX_SIDE
        check(good, "a free factor", f"a number from 1 to {MAX_SIDE}", self.factor)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        x = true_input(x)
        sides = [max(1, round(side / float(self.factor))) for side in x.shape[2:]]
        small = Downsample(1, self.filter, self.compat).reduced(x, sides, generator)
        return self._resize(x).degrade(small)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        rows, columns = self._matrices(x)
        return rows @ x @ columns.T

    def transform_mask(self, mask: Tensor) -> Tensor:
        """Where a mask `[N or 1, 1, H, W]` of the images lies in the result."""
        rows, columns = self._matrices(mask)
        return (rows @ mask @ columns.T).detach().clamp(0, 1)

    def followed(self, after: Degradation) -> "Enlarged | None":
        if self.after is not None:
            return None
        if not isinstance(after, Resize) or after.mode not in KERNELS:
            raise DegradationError(
                f"a picture reduced by a free factor has no known size: expected resize right after it, with mode "
                f"{', '.join(KERNELS)}, got '{after}'"
            )
        return replace(self, after=after)

    def __str__(self) -> str:
        return super().__str__() + (f" | {self.after}" if self.after else "")

    def _resize(self, x: Tensor) -> Resize:
        return self.after or Resize(tuple(x.shape[2:]))

    def _matrices(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What resamples rows `[h, H]` and columns `[w, W]` of images of x's size."""
        resize = self._resize(x)
        sides = resize.size if isinstance(resize.size, tuple) else (resize.size, resize.size)
        factor = torch.as_tensor(self.factor, dtype=torch.float64).to(x.device)
        pairs = list(zip(x.shape[2:], sides, strict=True))
        made = {pair: resampling(*pair, factor, resize.mode).to(x) for pair in set(pairs)}  # one, if all are squares
        return tuple(made[pair] for pair in pairs)


def _through_files(x: Tensor, steps: list[Callable], compat: str | None) -> Tensor:
    """Each image of `x` `[N, 3, H, W]` as an 8-bit Pillow image through its step."""
    pictures = [step(to_pil(image)) for step, image in zip(steps, eight_bit(x, compat), strict=True)]
    return torch.cat([from_pil(picture) for picture in pictures]).to(x)
