"""What a degradation is: two methods, and two optional ones for its mask."""

from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.images import quantize, resize
from rusr_core.randomness import Generators, per_image

COMPAT = "cvpr2023"


class DegradationError(RusrError):
    """A degradation that cannot exist or does not fit the image."""


class TwoMethods(Protocol):
    """All that a user's own degradation needs; the other methods of `Degradation` are optional."""

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor: ...

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor: ...


class Degradation:
    """What the degradations of this module share. `f(x)` is `f.forward(x)`."""

    name: ClassVar[str]

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        """The true operation on `x` `[N, 3, H, W]` in [0, 1]: 8-bit values, no gradient."""
        raise TypeError(f"{type(self).__name__} does not define degrade(x, generator)")

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
        """The differentiable approximation; `x` `[N, 3, H, W]` about [0, 1]."""
        raise TypeError(f"{type(self).__name__} does not define forward(x, generator)")

    def __call__(self, x: Tensor, generator: Generators = None) -> Tensor:
        return self.forward(x, generator)

    def mask(self, shape: Sequence[int]) -> Tensor | None:
        """What is visible of images of `shape` `[N, 3, H, W]`, at the output size; None if everything is."""
        return None

    def __str__(self) -> str:
        """The notation that `notation.parse` reads."""
        arguments = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING:
                arguments.append(text(value))
            elif item.repr and value != item.default:
                arguments.append(f"{item.name}={text(value)}")
        return f"{self.name}:{','.join(arguments)}"


def mask_of(f: TwoMethods, shape: Sequence[int]) -> Tensor | None:
    """What `f`, anyone's degradation, shows of images of `shape` `[N, 3, H, W]`: `[N or 1, 1, h, w]` or None.

    `f.mask` may be a method of the shape, or a tensor `[h, w]` or `[N or 1, 1, h, w]`, or be missing.
    """
    mask = getattr(f, "mask", None)
    mask = mask(shape) if callable(mask) else mask
    if mask is None:
        return None
    if isinstance(mask, Tensor) and mask.dim() == 2:
        mask = mask[None, None]
    good = isinstance(mask, Tensor) and mask.dim() == 4 and mask.shape[1] == 1
    if not good or len(mask) not in (1, shape[0]):
        found = list(mask.shape) if isinstance(mask, Tensor) else repr(mask)
        raise DegradationError(f"a mask must be [h, w] or [{shape[0]} or 1, 1, h, w], got {found}")
    return mask


def shape_after(f: TwoMethods, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of `f(x)` for x of `shape` `[N, 3, H, W]`, found by trying it on black images."""
    with torch.no_grad():
        return tuple(f.forward(torch.zeros(tuple(shape)), per_image(None, shape[0])).shape)


def is_random(f: TwoMethods, shape: Sequence[int], device: str | torch.device = "cpu") -> bool:
    """Whether two draws of `f(x)` differ, for x of `shape` `[N, 3, H, W]`, found by trying it on noise."""
    x = torch.rand(tuple(shape), generator=torch.Generator().manual_seed(0)).to(device)
    draws = per_image(torch.Generator().manual_seed(0), shape[0])
    with torch.no_grad():
        return not torch.equal(f.forward(x, draws), f.forward(x, draws))


def carry_mask(f: TwoMethods, mask: Tensor, shape: Sequence[int]) -> Tensor:
    """`mask` of the picture before `f`, moved to where it is in the picture of `shape` after it: as `f.carry`
    says, else averaged to that size."""
    method = getattr(f, "carry", None)
    if callable(method):
        return method(mask)
    return mask if mask.shape[2:] == tuple(shape[2:]) else resize(mask, tuple(shape[2:]), "area")


class _SoftClamp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        s = torch.sigmoid(2 * (ctx.saved_tensors[0] - 0.5))
        return gradient * 2 * s * (1 - s)


def soft_clamp(x: Tensor) -> Tensor:
    """x clamped to [0, 1] with the gradient of sigmoid(2 (x - 1/2)), which never vanishes (published
    code)."""
    return _SoftClamp.apply(x)


def eight_bit(x: Tensor, compat: str | None) -> Tensor:
    """x as an 8-bit file would hold it: rounded; cut off to the value below with `compat`, as published."""
    if compat is None:
        return quantize(x)
    return (x.detach().clamp(0, 1) * 255).to(torch.uint8).to(x.dtype) / 255


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of a batch of images. Raises `DegradationError` if it is none."""
    if x.dim() != 4 or x.shape[1] != 3 or not x.is_floating_point() or not x.numel():
        raise DegradationError(f"expected images [N, 3, H, W] of floats, got {list(x.shape)} {x.dtype}")
    return x.shape[2], x.shape[3]


def true_input(x: Tensor) -> Tensor:
    """`x` without its gradient. Raises `DegradationError` if it is no batch of finite images."""
    size_of(x)
    if not x.isfinite().all():
        raise DegradationError("the image holds NaN or infinity; expected values in [0, 1]")
    return x.detach()


def check(good: bool, name: str, expected: str, value: object) -> None:
    """Raise `DegradationError` for a bad argument."""
    if not good:
        raise DegradationError(f"{name} must be {expected}, got {value!r}")


def check_compat(value: str | None) -> None:
    check(value in (None, COMPAT), "compat", f"None or {COMPAT!r}", value)


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    return is_whole(value) or isinstance(value, float)


def text(value: object) -> str:
    """An argument in the notation of `notation.parse`."""
    if isinstance(value, Tensor):
        return f"<{'x'.join(str(n) for n in value.shape)} tensor>"
    if isinstance(value, tuple):
        return "+".join(str(v) for v in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
