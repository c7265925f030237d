"""What `restore`, the metrics and the sweeps do with a degradation, anybody's."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation, Operator
from rusr_core.degradations.checks import DegradationError, size_of
from rusr_core.degradations.foreign import Foreign, probe_image
from rusr_core.images import in_words, resize
from rusr_core.limits import shown

AnyOperator = Operator | Callable[[Tensor], Tensor]  # also a torch.nn.Module or a deepinv Physics


def as_operator(f: AnyOperator, like: Tensor | None = None) -> Degradation:
    """Anything that can be a degradation as a `Degradation`. Ours are returned as they are.

    Args:
        f: a degradation of ours; an object with `forward(x)` or `forward(x, generator)` and perhaps more, see
            `base.Operator`; a function of x; a `torch.nn.Module`; a deepinv `Physics`, see `from_deepinv`.
        like: images `[N, 3, H, W]` to which it is going to be applied. If given, what is not ours is tried on one
            image of their shape, type and device.

    Raises `DegradationError` if `f` is none of these, or cannot be applied to such images.
    """
    if not isinstance(f, Degradation) or not _is_ours(f):
        f = Foreign(f)
    if like is not None:
        size_of(like)
        for stage, given in _chain(f, like):
            if isinstance(stage, Foreign):
                stage.probe(given)
    return f


def from_deepinv(physics: object) -> Degradation:
    """A `deepinv.physics.Physics` as a degradation. `restore` and `Compose` also take the physics itself.

    The surrogate is its operator `A` with its noise, see `deepinv_physics.surrogate`; the true operation is the whole
    `physics(x)`, rounded to 8 bit. The mask of an `Inpainting` is taken over, if it is the same in all channels.
    """
    return Foreign(physics)


def degrade(f: AnyOperator, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """The true operation of `f`, anybody's, on `x` `[N, 3, H, W]` in [0, 1] -> `[N, 3, h, w]`, no gradient.

    Where `f` has no `degrade`, its `forward` is rounded to 8 bit.
    """
    return as_operator(f).degrade(x, generator)


def for_image(f: AnyOperator, i: int) -> Degradation:
    """The operator of image `i` of a batch, which is `f` itself unless it treats each image in its own way."""
    return as_operator(f).for_image(i)


def is_random(f: AnyOperator, like: Tensor) -> bool:
    """Whether the surrogate of `f` draws random numbers for images `like` `[N, 3, H, W]`."""
    return any(stage.random for stage in as_operator(f, like).stages)


def shape_after(f: AnyOperator, like: Tensor) -> tuple[int, ...]:
    """The shape `[N, 3, h, w]` of f(x) for images `like` `[N, 3, H, W]`, found by trying it on one image."""
    return (len(like), *_after(as_operator(f, like), like).shape[1:])


def mask_of(f: AnyOperator, like: Tensor) -> Tensor | None:
    """What `f` shows of images `like` `[N, 3, H, W]`: `[N or 1, 1, h, w]` in [0, 1] on their device, or None.

    Of a composition: the product of its stages' masks, each moved to where it lies after the last stage. A mask that
    does not fit is an error in a `Degradation`. In other classes an attribute `mask` may mean something else: it is not
    used, and a warning says so.
    """
    mask = None
    for stage, given in _chain(as_operator(f, like), like):
        size = _after(stage, given).shape[2:]
        carried = None if mask is None else transform_mask(stage, mask, size)
        own = _own_mask(stage, given, size)
        mask = own if carried is None else carried if own is None else carried * own
    return mask


def transform_mask(f: Degradation, mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Where a `mask` `[N or 1, 1, H, W]` of the images before `f` lies after it: as `f.transform_mask` says, or else
    averaged to `size`, (h, w) of f's output. Raises `DegradationError` if what f says is no mask of that size."""
    method, size = getattr(f.f if isinstance(f, Foreign) else f, "transform_mask", None), tuple(size)
    if not callable(method):
        return mask if mask.shape[2:] == size else resize(mask, size, "area")
    given = method(mask)
    moved = _as_mask(given, len(mask), size)
    if moved is None:
        raise DegradationError(f"{f}: transform_mask gives {_found(given)}; expected {[len(mask), 1, *size]} in [0, 1]")
    return moved.to(mask)


def _is_ours(f: Degradation) -> bool:
    return type(f).__module__.partition(".")[0] == __name__.partition(".")[0]


def _chain(f: Degradation, like: Tensor) -> list[tuple[Degradation, Tensor]]:
    """The stages of `f`, each with images of the kind that it is given when `f` is given some of the kind `like`.
    The images are not computed; only their number, shape, type and device count."""
    pairs = []
    for number, stage in enumerate(f.stages):
        pairs.append((stage, like))
        if number + 1 < len(f.stages):
            like = _after(stage, like)
    return pairs


def _after(f: Degradation, like: Tensor) -> Tensor:
    """Images of the kind that f(x) is for images x of the kind `like`, `[N, 3, h, w]` without memory of their own."""
    f = f.for_image(0)
    with torch.no_grad():
        draw = torch.Generator().manual_seed(0)
        y = f.probe(like) if isinstance(f, Foreign) else f.forward(probe_image(like), draw)
    return y.expand(len(like), -1, -1, -1)


def _own_mask(f: Degradation, like: Tensor, size: tuple[int, int]) -> Tensor | None:
    """The mask of one stage, `[N or 1, 1, h, w]`; see `mask_of`."""
    strict = isinstance(f.f if isinstance(f, Foreign) else f, Degradation)  # the base class promises a mask
    try:
        given = f.mask(like.shape)
    except Exception:
        if strict:
            raise
        given = "a method that takes something else"
    if given is None:
        return None
    mask = _as_mask(given, len(like), tuple(size))
    if mask is not None:
        return mask.to(like)
    expected = f"[{size[0]}, {size[1]}] or [{len(like)} or 1, 1, {size[0]}, {size[1]}] in [0, 1]"
    if strict:
        raise DegradationError(f"a mask must be {expected}, got {_found(given)}")
    warnings.warn(f"{f}: its mask, {_found(given)}, is not used; a mask is {expected}", stacklevel=4)
    return None


def _found(mask: object) -> str:
    """What was given as a mask, in the words of an error."""
    return in_words(mask) if isinstance(mask, Tensor) else shown(mask)


def _as_mask(mask: object, num: int, size: tuple[int, int]) -> Tensor | None:
    """A tensor that can be the mask of `num` images of `size` as `[num or 1, 1, h, w]`, or else None."""
    if not isinstance(mask, Tensor) or mask.dim() not in (2, 3, 4) or mask.is_complex():
        return None
    mask = mask.detach().float()[(None,) * (4 - mask.dim())]
    if mask.shape[2:] != size or mask.shape[0] not in (1, num) or mask.shape[1] not in (1, 3):
        return None
    if not (mask.min() >= 0 and mask.max() <= 1) or not torch.equal(mask, mask[:, :1].expand_as(mask)):
        return None
    return mask[:, :1]
