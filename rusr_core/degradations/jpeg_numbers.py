"""The whole numbers that a JPEG file stores, and how many of them two files share."""

from torch import Tensor

from rusr_core.degradations.checks import check
from rusr_core.degradations.jpeg import _quantised, _to_ycc
from rusr_core.degradations.jpeg_tables import BLOCK, Quality, three_tables


def stored_numbers(x: Tensor, quality: Quality) -> Tensor:
    """The numbers of brightness that a file of this `quality` stores of pictures `x` `[N, 3, H, W]` in [0, 1].

    -> `[N, H/8, W/8, 8, 8]` whole numbers (float64): the cosine coefficients of each block of 8 x 8 pixels over the
    table's entries, rounded; rows are vertical frequencies. A picture that was decoded from such a file gives nearly
    all numbers of that file back, because they are much coarser than its pixels. Source: ITU-T T.81, annex A.3.

    Raises `DegradationError` for another quality, or for sides that are no multiples of 8.
    """
    steps = three_tables(quality)[0].double().flatten().to(x.device)
    height, width = x.shape[-2:]
    check(height % BLOCK == 0 and width % BLOCK == 0, "sides", f"multiples of {BLOCK}", f"{height} x {width}")
    brightness = (_to_ycc((255 * x.double()).round().clamp(0, 255))[:, :1] + 0.5).floor()
    return _quantised(brightness, steps).view(len(x), height // BLOCK, width // BLOCK, BLOCK, BLOCK)


def agreement(a: Tensor, b: Tensor) -> tuple[float, float]:
    """Share of equal `stored_numbers` of two pictures: of all, and of those that are not zero in both.

    Most numbers are zero in every file, so that only the second share tells files apart; it is nan if all are zero.
    Raises `DegradationError` for numbers of two sizes.
    """
    check(a.shape == b.shape, "numbers", f"of one size, {list(a.shape)}", list(b.shape))
    same = (a == b).double()
    return float(same.mean()), float(same[(a != 0) | (b != 0)].mean())
