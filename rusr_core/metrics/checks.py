"""Which images the metrics take. Every metric checks its images before it computes anything."""

import torch
from torch import Tensor

from rusr_core.errors import RusrError

OVERSHOOT = 0.25  # beyond [0, 1]: what images that were not clamped need, and no other range ([-1, 1], [0, 255]) fits


class MetricError(RusrError):
    """Images that cannot be compared, or values that have no interval."""


def check_real(what: str, value: object, shape: str = "", error: type[RusrError] = MetricError) -> None:
    """Raise `error`, whose message begins with `what`, unless `value` is a tensor of real numbers, of this `shape`."""
    if not isinstance(value, Tensor) or value.is_complex():
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise error(f"{what} {found}: expected a tensor of real numbers{shape}")


def check_images(metric: str, *batches: Tensor) -> None:
    """Raise `MetricError`, which begins with the name of the metric, unless all batches [N, C, H, W] are images.

    They are of floating point, have one shape, and lie in [0, 1]. Values may leave that range by `OVERSHOOT`, as those
    of a restoration do that was not clamped, or of one that a cubic filter resized.
    """
    for x in batches:
        if not isinstance(x, Tensor):
            raise MetricError(f"{metric}: got {type(x).__name__}, expected a tensor [N, 3, H, W]")
    shapes = " and ".join(dict.fromkeys(str(tuple(x.shape)) for x in batches))
    if any(x.ndim != 4 or x.shape != batches[0].shape or not x.numel() for x in batches):
        expected = "two equal [N, 3, H, W]" if len(batches) > 1 else "[N, 3, H, W]"
        raise MetricError(f"{metric}: images of shapes {shapes}, expected {expected}")
    for x in batches:
        if not x.is_floating_point():
            raise MetricError(f"{metric}: images of {x.dtype}, expected floating point in [0, 1]")
        if (told := out_of_range(x)) is not None:
            raise MetricError(f"{metric}: {told}")


def out_of_range(x: Tensor) -> str | None:
    """How images leave [0, 1] by more than `OVERSHOOT`, in words; None if they do not. NaN is in no range."""
    low, high = (edge.item() for edge in torch.aminmax(x.detach()))
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return None
    return f"images with values in [{low:.4g}, {high:.4g}], expected [0, 1]"
