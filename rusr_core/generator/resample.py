"""Low-pass filters with a change of the sampling rate, along one axis after the other, as sums of shifted copies.

PyTorch's depthwise convolutions are slow with few channels, and very slow in double precision; a filter of 12 taps is a
dozen additions of contiguous tensors. Spreading and gathering are each other's transposes, so each is the other's
gradient, and nothing of the images has to be kept for it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample(x: Tensor, taps: Tensor, factor: int, crop: int, gain: float = 1) -> Tensor:
    """Insert zeros, filter [N, C, h, w] with a separable filter, leaving out `crop` samples at each end, times `gain`.

    `taps` [t], t a multiple of `factor` -> [N, C, h', w'], h' = (h - 1) * factor + t - 2 * crop.
    """
    for axis, strength in ((2, factor * gain), (3, factor)):
        weights = (taps * strength).tolist()
        length = (x.shape[axis] - 1) * factor + len(weights) - 2 * crop
        x = _Spread.apply(x, weights, factor, crop, length, axis)
    return x


def downsample(x: Tensor, taps: Tensor, factor: int) -> Tensor:
    """Filter [N, C, h, w] where the filter is wholly covered, and keep every `factor`-th sample from the first.

    `taps` [t] of a separable filter or [t, t] -> [N, C, h', w'], h' = (h - t) // factor + 1.
    """
    if taps.ndim == 2:
        channels = x.shape[1]
        return F.conv2d(x, taps.to(x).expand(channels, 1, -1, -1), stride=factor, groups=channels)
    weights = taps.tolist()
    for axis in (3, 2):
        length = (x.shape[axis] - len(weights)) // factor + 1
        x = _Gather.apply(x, weights, factor, 0, length, axis)
    return x


class _Spread(torch.autograd.Function):
    """y[m] = sum over j of x[j] f[m + start - factor j], m < length, along one axis."""

    @staticmethod
    def forward(ctx, x: Tensor, f: list[float], factor: int, start: int, length: int, axis: int) -> Tensor:  # noqa: ANN001
        ctx.given = (f, factor, start, x.shape[axis], axis)
        reach, count = -(-len(f) // factor), -(-length // factor)
        x = _padded(x, axis, reach, count + start // factor + 1 - x.shape[axis])
        y = x.new_empty([*x.shape[:axis], factor * count, *x.shape[axis + 1 :]])
        phases = y.unflatten(axis, (count, factor))
        for p in range(factor):
            first, offset = divmod(p + start, factor)
            phase = _sum_of_shifts(x, f[offset::factor][::-1], count, axis, first, reach)
            phases.select(axis + 1, p).copy_(phase)
        return y if y.shape[axis] == length else y.narrow(axis, 0, length).contiguous()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN001
        return _Gather.apply(gradient, *ctx.given), None, None, None, None, None


class _Gather(torch.autograd.Function):
    """y[q] = sum over t of x[factor q + t - start] f[t], q < length, along one axis; x is zero beyond its ends."""

    @staticmethod
    def forward(ctx, x: Tensor, f: list[float], factor: int, start: int, length: int, axis: int) -> Tensor:  # noqa: ANN001
        ctx.given = (f, factor, start, x.shape[axis], axis)
        count = length - 1 + -(-len(f) // factor)  # of each phase
        x = _padded(x, axis, start, factor * count - start - x.shape[axis])
        phases = x.narrow(axis, 0, factor * count).unflatten(axis, (count, factor))
        y = None
        for p in range(min(factor, len(f))):
            phase = phases.select(axis + 1, p).contiguous()
            for s, weight in enumerate(f[p::factor]):
                part = phase.narrow(axis, s, length)
                y = part * weight if y is None else y.add_(part, alpha=weight)
        return y

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN001
        return _Spread.apply(gradient, *ctx.given), None, None, None, None, None


def _sum_of_shifts(x: Tensor, f: list[float], count: int, axis: int, first: int, reach: int) -> Tensor:
    """The weighted sum of `count` samples beginning at each of the last len(f) positions up to first + reach."""
    y = None
    for s, weight in enumerate(f):
        part = x.narrow(axis, first + reach - len(f) + 1 + s, count)
        y = part * weight if y is None else y.add_(part, alpha=weight)
    return y


def _padded(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Zeros before and after along one of the last two axes; a negative number crops."""
    return F.pad(x, (before, after) if axis == 3 else (0, 0, before, after))
