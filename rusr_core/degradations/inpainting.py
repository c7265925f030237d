"""Masks, random brush strokes or your own: 1 where the picture is seen, 0 where it is hidden."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import (
    DegradationError,
    check,
    check_compat,
    eight_bit,
    is_number,
    is_whole,
    size_of,
    true_input,
)
from rusr_core.degradations.mask_files import load_mask
from rusr_core.degradations.strokes import stroke_mask


class _Masked(Degradation):
    """x times a mask. True and surrogate differ by the rounding to 8 bit only (at most 0.5 / 255)."""

    compat: str | None = None
    random: ClassVar[bool] = False

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return eight_bit(true_input(x) * self.mask(x.shape).to(x), self.compat)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        return x * self.mask(x.shape).to(x)


@dataclass(frozen=True)
class Strokes(_Masked):
    """Hide the picture under `count` soft brush strokes, each `width` times its shorter side wide.

    Both ends of a stroke lie in the outer thirds of the picture, so that it often crosses the middle. The
    strokes are a function of (`seed`, image size): one seed gives all images of a batch the same strokes, a
    tuple of N seeds gives each image its own. True and surrogate differ by the rounding to 8 bit only.
    """

    count: int
    seed: int | tuple[int, ...] = 0
    width: float = 0.08  # of the shorter side; published protocol
    compat: str | None = None
    name: ClassVar[str] = "strokes"

    def __post_init__(self) -> None:
        check_compat(self.compat)
        check(is_whole(self.count) and self.count >= 0, "count", "a whole number from 0", self.count)
        check(is_number(self.width) and 0 < self.width <= 1, "width", "in (0, 1] of the side", self.width)
        if isinstance(self.seed, list):
            object.__setattr__(self, "seed", tuple(self.seed))
        seeds = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        good = all(is_whole(seed) and 0 <= seed < 2**63 for seed in seeds) and seeds
        check(bool(good), "seed", "a whole number from 0, or a tuple of one per image", self.seed)

    def mask(self, shape: Sequence[int]) -> Tensor:
        num, _, height, width = shape
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
        check(0 <= i < len(self.seed), "the image", f"one of the {len(self.seed)} that have a seed", i)
        return replace(self, seed=self.seed[i])


@dataclass(frozen=True, eq=False)
class Mask(_Masked):
    """Show the picture where your own mask is 1 and black where it is 0; values between blend.

    `source`: a tensor `[H, W]`, `[1, H, W]` or `[N or 1, 1, H, W]` in [0, 1], or a picture file, see
    `mask_files.load_mask`. Raises `DegradationError` if its size is not the image's.
    """

    source: Tensor | str | Path
    visible: Tensor = field(init=False, repr=False, default=None)  # [N or 1, 1, H, W]
    name: ClassVar[str] = "mask"

    def __post_init__(self) -> None:
        if isinstance(self.source, Tensor):
            mask = self.source.detach().float().cpu().clone()
        else:
            mask = load_mask(self.source).known
        mask = mask[(None,) * (4 - mask.dim())] if mask.dim() in (2, 3) else mask
        if mask.dim() != 4 or mask.shape[1] != 1 or not mask.numel():
            raise DegradationError(f"a mask must be [H, W] or [N, 1, H, W], got {list(mask.shape)}")
        if not (mask.min() >= 0 and mask.max() <= 1):  # NaN fails both
            raise DegradationError(f"a mask must lie in [0, 1], got [{mask.min():g}, {mask.max():g}]")
        object.__setattr__(self, "visible", mask)

    def mask(self, shape: Sequence[int]) -> Tensor:
        num, _, height, width = shape
        have = tuple(self.visible.shape)
        if have[2:] != (height, width) or have[0] not in (1, num):
            raise DegradationError(
                f"the mask is {have[0]} x {have[3]}x{have[2]} px, the image {num} x {width}x{height} px"
            )
        return self.visible

    def for_image(self, i: int) -> "Mask":
        if len(self.visible) == 1:
            return self
        check(0 <= i < len(self.visible), "the image", f"one of the {len(self.visible)} that have a mask", i)
        return Mask(self.visible[i : i + 1])
