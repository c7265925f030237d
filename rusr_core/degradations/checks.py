"""Checks of what degradations are given, and the 8 bit of their results."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.images import OVERSHOOT, in_words, quantize
from rusr_core.limits import is_whole, shown

COMPAT = "cvpr2023"


class DegradationError(RusrError):
    """A degradation that cannot exist or does not fit the image."""


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of a batch of images. Raises `DegradationError` if it is none."""
    if not isinstance(x, Tensor) or x.dim() != 4 or x.shape[1] != 3 or not x.is_floating_point() or not x.numel():
        raise DegradationError(f"expected images [N, 3, H, W] of floats, got {in_words(x)}")
    return x.shape[2], x.shape[3]


def sides_of_batch(shape: Sequence[int]) -> tuple[int, int, int]:
    """Number, height and width of images of `shape` `[N, 3, H, W]`. Raises `DegradationError` if there are none."""
    good = isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) == 4
    good = good and all(is_whole(side) and side > 0 for side in shape)
    check(good, "the shape of images", "[N, 3, H, W], four whole numbers from 1", shape)
    return shape[0], shape[2], shape[3]


def true_input(x: Tensor) -> Tensor:
    """`x` without its gradient. Raises `DegradationError` if it is no batch of images in [0, 1]; as in
    `images.to_uint8`, it may overshoot a little."""
    size_of(x)
    x = x.detach()
    if not x.isfinite().all():
        raise DegradationError("the image holds NaN or infinity; expected values in [0, 1]")
    low, high = (float(v) for v in x.aminmax())
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise DegradationError(f"expected an image with values in [0, 1], got [{low:g}, {high:g}]")
    return x


def eight_bit(x: Tensor, compat: str | None) -> Tensor:
    """x as an 8-bit file would hold it: rounded; cut off to the value below with `compat`, as published."""
    if compat is None:
        return quantize(x)
    return (x.detach().clamp(0, 1) * 255).to(torch.uint8).to(x.dtype) / 255


def check(good: bool, name: str, expected: str, value: object) -> None:
    """Raise `DegradationError` for a bad argument."""
    if not good:
        raise DegradationError(f"{name} must be {expected}, got {shown(value)}")


def check_source(name: str, value: object) -> None:
    """Raise `DegradationError` for what is neither a tensor of real numbers nor the path of a picture."""
    if not isinstance(value, str | Path) and (not isinstance(value, Tensor) or value.is_complex()):
        raise DegradationError(f"{name} must be a real tensor or the path of a picture, got {in_words(value)}")


def check_compat(value: str | None) -> None:
    """Raise `DegradationError` for an unknown `compat`."""
    check(value in (None, COMPAT), "compat", f"None or {COMPAT!r}", value)
