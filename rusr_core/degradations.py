"""Degradations: what happened to the picture (`degrade`), and its differentiable approximation (`forward`).

A degradation is any object with two methods; nothing has to be registered or inherited:

    degrade(x, generator=None) -> y    the true operation, without gradient
    forward(x, generator=None) -> y    a differentiable approximation of it, for the search

`x` is `[N, 3, H, W]` float in [0, 1]; `y` has the same form, perhaps another size. What a file is expected to
hold, `degrade` rounds to 8 bit. `generator` is a `torch.Generator`, a list of one per image, or None: see
`randomness`.

A degradation is a pure function: it holds no state, so the `f` that made `y` is the `f` that restores it.
What the restorer knows (the mask) is therefore fixed by f's own fields, as `Strokes.seed`; what nobody knows
(noise, the resampling filter) comes from `generator`. Two more methods are optional, `Degradation` has them:

    mask(shape) -> Tensor | None       what f shows of images of `shape` [N, 3, H, W]: [N or 1, 1, h, w] in
                                       [0, 1] at f's output size, 1 = visible; None = everything
    carry(mask) -> Tensor              a mask of the picture before f, moved to where it is after f; by
                                       default it is averaged to f's output size

By default the published flaws are corrected; `compat="cvpr2023"` repeats the published code
(robust-unsupervised afa53685): 8 bit by truncation, noise that is half a photon too dark, JPEG tables
transposed, whole-pixel brushes. Chapter: book/degradations.ipynb.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from . import jpeg, randomness
from .images import RESIZE_MODES, from_pil, quantize, resize, to_pil
from .masks import Mask, Strokes
from .protocol import (
    COMPAT,
    Degradation,
    DegradationError,
    TwoMethods,
    carry_mask,
    check,
    check_compat,
    eight_bit,
    is_number,
    is_whole,
    mask_of,
    shape_after,
    size_of,
    soft_clamp,
    true_input,
)
from .randomness import Generators

__all__ = [
    "COMPAT", "JPEG", "Compose", "Degradation", "DegradationError", "Downsample", "Mask",
    "PoissonBernoulliNoise", "Resize", "Strokes", "TwoMethods", "mask_of", "shape_after",
]  # fmt: skip

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

    def __post_init__(self) -> None:
        check_compat(self.compat)
        check(is_whole(self.factor) and self.factor >= 1, "factor", "a whole number from 1", self.factor)
        known = (*FILTERS, "random")
        check(self.filter in known, "filter", f"one of {', '.join(known)}", self.filter)

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        height, width = self._size(true_input(x))
        names = [self.filter] * len(x)
        if self.filter == "random":
            draws = randomness.uniform((len(x),), generator, torch.empty(0)).tolist()
            names = [list(FILTERS)[int(u * len(FILTERS))] for u in draws]
        steps = [lambda picture, name=name: picture.resize((width, height), FILTERS[name]) for name in names]
        return _through_files(x, steps, self.compat)

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
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
class PoissonBernoulliNoise(Degradation):
    """Photon noise, then dead pixels: Poisson(photons x) / photons, and black with probability `p`.

    Surrogate: x + sqrt(photons x) e / photons with e ~ N(0, 1), dead pixels in the same way, both clamped to
    [0, 1] with the gradient of a sigmoid. The published surrogate is half a photon darker (`compat`).

    Agreement on the golden picture for (96, 0.04), (24, 0.16), (6, 0.64), 300 draws: the surrogate's mean is
    0.0002, 0.0007, 0.0027 above the true one (published: 0.0044, 0.0146, 0.0188 below); its standard
    deviation 0.2, 0.4, 0.7 % above.
    """

    photons: float
    p: float
    compat: str | None = None
    name: ClassVar[str] = "noise"

    def __post_init__(self) -> None:
        check_compat(self.compat)
        check(is_number(self.photons) and 0 < self.photons < 1e9, "photons", "a number above 0", self.photons)
        check(is_number(self.p) and 0 <= self.p < 1, "p", "a number in [0, 1)", self.p)

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        return eight_bit(self.draw(x, generator), self.compat)

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
        size_of(x)
        generator = randomness.per_image(generator, len(x))  # once: noise and dead pixels share its stream
        noise = randomness.normal(x.shape, generator, x)
        return self.approximate(x, noise, self._alive(x, generator))

    def draw(self, x: Tensor, generator: Generators = None) -> Tensor:
        """The true noisy image before it is stored in 8 bit, same shape, in [0, 1]."""
        x = true_input(x)
        generator = randomness.per_image(generator, len(x))
        counts = randomness.poisson(x.clamp(0, 1) * self.photons, generator)
        return (counts / self.photons * self._alive(x, generator)).clamp(0, 1)

    def approximate(self, x: Tensor, noise: Tensor, alive: Tensor) -> Tensor:
        """The surrogate for given N(0, 1) `noise` `[N, 3, H, W]` and `alive` pixels `[N, 1, H, W]` in {0,
        1}."""
        count = self.photons * soft_clamp(x)
        shift = 0.5 if self.compat else 0.0
        observed = (count - shift + (count + 1e-3).sqrt() * noise) / self.photons
        return soft_clamp(observed * alive)

    def _alive(self, x: Tensor, generator: Generators) -> Tensor:
        return (randomness.uniform((len(x), 1, *x.shape[2:]), generator, x) > self.p).to(x)


@dataclass(frozen=True)
class JPEG(Degradation):
    """JPEG compression at Pillow's `quality` (1 to 100) with chroma at half size (4:2:0), any image size.

    True: a file written and read by Pillow. Surrogate: `jpeg.differentiable_jpeg`.

    Agreement at qualities 6, 9, 12, 15, 18: 61 to 63 dB on the golden picture (published: 26 to 29). On the
    100 test portraits of 128 px the median PSNR is 70, 54, 61, 57, 55 dB (published: 33, 34, 35, 36, 36), and
    42 dB for the worst image (31).
    """

    quality: int
    compat: str | None = None
    name: ClassVar[str] = "jpeg"

    def __post_init__(self) -> None:
        check_compat(self.compat)
        whole = is_whole(self.quality) and 1 <= self.quality <= 100
        check(whole, "quality", "a whole number from 1 to 100", self.quality)

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        step = partial(jpeg.file_round_trip, quality=self.quality)
        return _through_files(true_input(x), [step] * len(x), self.compat)

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
        size_of(x)
        return (jpeg.published_jpeg if self.compat else jpeg.differentiable_jpeg)(x, self.quality)


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

    def __post_init__(self) -> None:
        if isinstance(self.size, list):
            object.__setattr__(self, "size", tuple(self.size))
        sides = self.size if isinstance(self.size, tuple) else (self.size, self.size)
        good = len(sides) == 2 and all(is_whole(side) and side >= 1 for side in sides)
        check(good, "size", "a side or (height, width) from 1 px", self.size)
        check(self.mode in RESIZE_MODES, "mode", f"one of {', '.join(RESIZE_MODES)}", self.mode)

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        return quantize(resize(quantize(true_input(x)), self.size, self.mode))

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
        size_of(x)
        return resize(x, self.size, self.mode)


@dataclass(frozen=True, init=False)
class Compose(Degradation):
    """Degradations one after another: `Compose(f1, f2)(x)` is `f2(f1(x))`. Without any, identity.

    `degrade` rounds to 8 bit after every stage, as if each were stored as a file. A stage may be any object
    with `degrade` and `forward`. The mask of the composition is that of all its stages, carried to the output
    size.
    """

    stages: tuple[TwoMethods, ...]
    name: ClassVar[str] = "compose"

    def __init__(self, *stages: TwoMethods) -> None:
        for stage in stages:
            for method in ("degrade", "forward"):
                if not callable(getattr(stage, method, None)):
                    raise DegradationError(f"a degradation needs a method {method}(x, generator); {stage!r} has none")
        inner = (stage.stages if isinstance(stage, Compose) else (stage,) for stage in stages)
        object.__setattr__(self, "stages", tuple(stage for group in inner for stage in group))

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        x = true_input(x) if self.stages else quantize(true_input(x))
        generator = randomness.per_image(generator, len(x))
        for stage in self.stages:
            x = quantize(stage.degrade(x, generator))
        return x

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
        size_of(x)
        generator = randomness.per_image(generator, len(x))
        for stage in self.stages:
            x = stage.forward(x, generator)
        return x

    def mask(self, shape: Sequence[int]) -> Tensor | None:
        mask = None
        for stage in self.stages:
            after, own = shape_after(stage, shape), mask_of(stage, shape)
            carried = None if mask is None else carry_mask(stage, mask, after)
            mask = own if carried is None else carried if own is None else carried * own
            shape = after
        return mask

    def __str__(self) -> str:
        return " | ".join(str(stage) for stage in self.stages) or "identity"


def _through_files(x: Tensor, steps: list[Callable], compat: str | None) -> Tensor:
    """Each image of `x` `[N, 3, H, W]` as an 8-bit Pillow image through its step."""
    pictures = [step(to_pil(image)) for step, image in zip(steps, eight_bit(x, compat), strict=True)]
    return torch.cat([from_pil(picture) for picture in pictures]).to(x)
