"""How far a number from few images can be trusted: intervals of means, spread of everything else.

The images are what is drawn at random: other portraits would have given other numbers. That the intervals hold the true
value as often as they say is simulated in tests/metrics/test_intervals.py. Chapter: book/metrics.ipynb.
"""

import math
from collections.abc import Callable

import torch
from scipy import special
from torch import Tensor

from rusr_core.limits import MAX_COUNT, check_whole, is_number, is_whole, shown, whole_words
from rusr_core.metrics.checks import MetricError, check_real

LEVEL = 0.95
ROUNDS = 20
MOST_DIGITS = 100


def check_level(level: float) -> None:
    """MetricError unless an interval can hold the truth in this share of cases."""
    if not is_number(level) or not 0 < level < 1:
        raise MetricError(f"level is {shown(level)}: expected a number in (0, 1)")


def check_rounds(rounds: int) -> None:
    """MetricError unless the images can be left out in so many rounds; 0: no spread."""
    if not is_whole(rounds) or rounds == 1 or not 0 <= rounds <= MAX_COUNT:
        raise MetricError(f"rounds is {shown(rounds)}: expected 0 or {whole_words(2, MAX_COUNT)}")


def with_interval(value: float, low: float, high: float, *, digits: int = 2, unit: str = "") -> str:
    """A number with its interval: "0.35 [0.33, 0.37]" or "58 % [49, 67]", alone if low is nan; a zero has no sign.

    Raises `MetricError` for digits that are none."""
    check_whole("digits", digits, 0, MOST_DIGITS, MetricError)
    text = f"{value:z.{digits}f}{unit and ' ' + unit}"
    return text if math.isnan(low) else f"{text} [{low:z.{digits}f}, {high:z.{digits}f}]"


def mean_interval(values: Tensor, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Mean of one value an image [N] and its Student interval; -> (mean, low, high), low and high nan for one image.

    The interval is mean -+ t s / sqrt(N) with the standard deviation s of the N values and the quantile t of Student's
    distribution of N - 1 degrees of freedom (Student, "The Probable Error of a Mean", Biometrika 1908). It is exact for
    normal values. For values as skewed as distances are, 8 images hold the true mean in 91 to 94 of 100 cases where 95
    are promised, the percentiles of the bootstrap in 84 to 87.

    Raises `MetricError` if a value is infinite or NaN: such values have no mean.
    """
    check_real("mean_interval: got", values)
    values = values.detach().double().cpu().flatten()
    check_level(level)
    if not len(values):
        raise MetricError("mean_interval: 0 values; expected 1 or more")
    if not values.isfinite().all():
        raise MetricError(f"mean_interval: {int((~values.isfinite()).sum())} of {len(values)} values are not finite")
    mean = values.mean().item()
    if len(values) == 1:
        return mean, float("nan"), float("nan")
    return student(mean, values.std().item() / len(values) ** 0.5, len(values), level)


def mean_factor(logs: Tensor, *, level: float = LEVEL) -> tuple[float, float, float]:
    """Geometric mean of one factor an image, given as logarithms [N], with its interval; -> (factor, low, high), as
    `mean_interval` has them. Raises what it raises."""
    value, low, high = mean_interval(logs, level=level)
    return math.exp(value), math.exp(low), math.exp(high)


def student(value: float, error: float, num: int, level: float = LEVEL) -> tuple[float, float, float]:
    """value, low, high: Student's interval of a value with the standard error `error`, found from `num` images.

    Raises `MetricError` for fewer than 2 images.
    """
    check_whole("num", num, 2, MAX_COUNT, MetricError)
    check_level(level)
    half = special.stdtrit(num - 1, (1 + level) / 2).item() * error
    return value, value - half, value + half


def spread(statistic: Callable[[Tensor], float], num: int, *, rounds: int = ROUNDS) -> float:
    """Spread over images of a number that is computed from `num` of them: its standard deviation by the jackknife.

    `statistic(index)` gives the number for the images `index`. It is computed `rounds` times, each time with another
    part of the images left out, or with each left out once if there are no more than `rounds` (Efron and Stein, "The
    Jackknife Estimate of Variance", Annals of Statistics 1981). So it says how far the number would vary with the
    choice of as many images. It knows nothing of a bias, and Frechet distances of few images have a large one: this is
    no interval for the true distance.

    nan for one image, or without rounds. Raises `MetricError` for another `num`, and for one round.
    """
    check_whole("num", num, 1, MAX_COUNT, MetricError)
    check_rounds(rounds)
    parts = min(num, rounds)
    if parts < 2:
        return float("nan")
    part_of = torch.arange(num) % parts
    values = [statistic(torch.nonzero(part_of != part).flatten()) for part in range(parts)]
    return torch.tensor(values, dtype=torch.float64).var(correction=0).mul(parts - 1).sqrt().item()
