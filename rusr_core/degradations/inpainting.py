"""Masks, random brush strokes or your own: 1 where the image is visible, 0 where it is hidden."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from rusr_core.arithmetic import plain_tensors
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import (
    DegradationError,
    check,
    check_compat,
    check_source,
    eight_bit,
    sides_of_batch,
    size_of,
    true_input,
)
from rusr_core.degradations.mask_files import load_mask
from rusr_core.limits import MAX_SEED, is_number, is_whole, whole_words

CANVAS = 4  # strokes are drawn at 4 times the size and reduced twice by 2: section 14 of the protocol
MAX_STROKES = 10_000
BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16


class _Masked(Degradation):
    """x times a mask. True operation and surrogate differ by the rounding to 8 bit only (at most 0.5 / 255)."""

    compat: str | None = None
    random: ClassVar[bool] = False

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        x = true_input(x)
        return eight_bit(x * _placed(self, tuple(x.shape), x.dtype, x.device), self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return x * _placed(self, tuple(x.shape), x.dtype, x.device)


@lru_cache(maxsize=32)
def _placed(f: _Masked, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The mask of `f` on a device, where it stays: a search asks for it at every step."""
    with plain_tensors():
        return f.mask(shape).to(device, dtype)


@dataclass(frozen=True)
class Strokes(_Masked):
    """Hide the image under `count` soft brush strokes, each as wide as `width` times its shorter side.

    Both ends of a stroke lie in the outer thirds of the image, so that it often crosses the middle. The strokes are a
    function of (`seed`, image size): one seed gives all images of a batch the same strokes, a tuple of N seeds gives
    each image its own.
    """

    count: int
    seed: int | tuple[int, ...] = field(default=0, metadata={"always_named": True})  # `parse` has another default
    width: float = 0.08  # of the shorter side; published protocol
    compat: str | None = None
    name: ClassVar[str] = "strokes"

    def __post_init__(self) -> None:
        check_compat(self.compat)
        check(is_whole(self.count) and 0 <= self.count <= MAX_STROKES, "count", whole_words(0, MAX_STROKES), self.count)
        check(is_number(self.width) and 0 < self.width <= 1, "width", "in (0, 1] of the side", self.width)
        if isinstance(self.seed, list):
            object.__setattr__(self, "seed", tuple(self.seed))
        seeds = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        good = all(is_whole(seed) and 0 <= seed <= MAX_SEED for seed in seeds) and seeds
        check(bool(good), "seed", "a whole number from 0, or a tuple of one per image", self.seed)

    def mask(self, shape: Sequence[int]) -> Tensor:
        num, height, width = sides_of_batch(shape)
        brush = self.width * min(height, width)
        if self.compat:
            brush = max(1, int(brush)) + 0.25  # whole px, drawn by OpenCV 1 px of the 4x canvas wider
        seeds = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        if len(seeds) not in (1, num):
            raise DegradationError(f"strokes have {len(seeds)} seeds for {num} images; expected one, or one per image")
        return torch.cat([stroke_mask(self.count, seed, (height, width), brush) for seed in seeds])

    def for_image(self, i: int) -> "Strokes":
        if not isinstance(self.seed, tuple) or len(self.seed) == 1:
            return self
        _check_image(i, len(self.seed), "seed")
        return replace(self, seed=self.seed[i])


@dataclass(frozen=True, eq=False)
class Mask(_Masked):
    """Show the image where your own mask is 1 and black where it is 0; values between blend.

    `source` is a tensor `[H, W]`, `[1, H, W]` or `[N or 1, 1, H, W]` in [0, 1], or an image file, which is read at once
    as `mask_files.load_mask` says. Only a mask from a file has a notation. Raises `DegradationError` if the mask's size
    is not the image's.
    """

    source: Tensor | str | Path
    visible: Tensor = field(init=False, repr=False, default=None)  # [N or 1, 1, H, W]
    name: ClassVar[str] = "mask"

    def __post_init__(self) -> None:
        check_source("a mask", self.source)
        if isinstance(self.source, Tensor):
            mask = self.source.detach().to("cpu", torch.float32, copy=True)
        else:
            mask = load_mask(self.source).known
        mask = mask[(None,) * (4 - mask.dim())] if mask.dim() in (2, 3) else mask
        if mask.dim() == 4 and mask.shape[1] == 3 and torch.equal(mask, mask[:, :1].expand_as(mask)):
            mask = mask[:, :1]
        if mask.dim() != 4 or mask.shape[1] != 1 or not mask.numel():
            raise DegradationError(f"a mask must be [H, W] or [N, 1, H, W], got {list(mask.shape)}")
        if not (mask.min() >= 0 and mask.max() <= 1):  # NaN fails both
            raise DegradationError(f"a mask must lie in [0, 1], got [{mask.min():g}, {mask.max():g}]")
        object.__setattr__(self, "visible", mask)

    def mask(self, shape: Sequence[int]) -> Tensor:
        num, height, width = sides_of_batch(shape)
        have = tuple(self.visible.shape)
        if have[2:] != (height, width) or have[0] not in (1, num):
            raise DegradationError(
                f"the mask is {have[0]} x {have[3]}x{have[2]} px, the image {num} x {width}x{height} px"
            )
        return self.visible.clone()  # whoever is given it may change it

    def for_image(self, i: int) -> "Mask":
        if len(self.visible) == 1:
            return self
        _check_image(i, len(self.visible), "mask")
        return Mask(self.visible[i : i + 1])


def _check_image(i: object, num: int, what: str) -> None:
    """Raise `DegradationError` unless `i` is one of the `num` images that have a `what` of their own."""
    check(is_whole(i) and 0 <= i < num, "the image", f"one of the {num} that have a {what}", i)


@lru_cache(maxsize=64)
def stroke_mask(count: int, seed: int, size: tuple[int, int], brush: float) -> Tensor:
    """A mask `[1, 1, H, W]` float32 in [0, 1] of `count` strokes `brush` px wide. It is kept: do not change it.

    Both ends of a stroke lie, in each direction, in the first or the last third of the image. This is a pure function:
    the same arguments give the same mask.
    """
    height, width = (CANVAS * side for side in size)
    with plain_tensors():
        u = torch.rand(count, 4, 2, generator=torch.Generator().manual_seed(seed)).numpy()
        side, place = u[..., 0] < 0.5, u[..., 1] / 3
        ends = np.where(side, place, 1 - place) * [width, height, width, height] - 0.5  # pixel centres are whole
        return torch.from_numpy(draw(ends, size, CANVAS * brush))[None, None]


def draw(strokes: np.ndarray, size: tuple[int, int], thickness: float) -> np.ndarray:
    """The mask `[H, W]` of strokes (x0, y0, x1, y1) `[S, 4]` with round ends, in pixels of the 4x canvas: hidden is
    what lies within half the thickness of a line segment."""
    height, width = (CANVAS * side for side in size)
    radius, hidden = thickness / 2, np.zeros((height, width), np.float32)
    for x0, y0, x1, y1 in np.asarray(strokes, np.float64):
        (left, right), (top, bottom) = (_reach(a, b, radius, n) for a, b, n in ((x0, x1, width), (y0, y1, height)))
        dx, dy = x1 - x0, y1 - y0
        x, y = np.arange(left, right) - x0, (np.arange(top, bottom) - y0)[:, None]
        along = ((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-12)).clip(0, 1)
        near = (x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius**2
        hidden[top:bottom, left:right][near] = 1
    return 1 - _reduce(_reduce(hidden))


def _reach(a: float, b: float, radius: float, side: int) -> tuple[int, int]:
    """First and last (excluded) of the pixels 0 ... side - 1 that a stroke from a to b can touch."""
    return max(0, int(min(a, b) - radius)), max(0, min(side, int(max(a, b) + radius) + 2))


def _reduce(x: np.ndarray) -> np.ndarray:
    """Half the size, after a blur by the binomial of 5 taps, mirrored at the border (OpenCV's pyrDown)."""
    for axis in (0, 1):
        x = np.moveaxis(x, axis, 0)
        padded = np.pad(x, ((2, 2), (0, 0)), mode="reflect")
        length = len(x)
        x = sum(w * padded[tap : tap + length : 2] for tap, w in enumerate(BINOMIAL)).astype(np.float32)
        x = np.moveaxis(x, 0, axis)
    return np.ascontiguousarray(x)
