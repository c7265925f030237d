"""Which values the settings of the compared methods may have: each is checked before a method begins.

`Baseline.space` is narrower. It says where `rusr tune` looks; here stands what can be run at all.
"""

import math

from rusr_core.baselines.method import BaselineError
from rusr_core.limits import MAX_STEPS, check_positive, check_whole, is_number, is_whole, shown


def check_counts(**values: object) -> None:
    """BaselineError unless all settings are whole numbers from 1 to MAX_STEPS."""
    for name, value in values.items():
        check_whole(name, value, 1, MAX_STEPS, BaselineError)


def check_rates(**values: object) -> None:
    """BaselineError unless all settings are positive numbers."""
    for name, value in values.items():
        check_positive(name, value, BaselineError)


def check_weights(**values: object) -> None:
    """BaselineError unless all settings are numbers from 0."""
    for name, value in values.items():
        check_range(name, value, 0, math.inf)


def check_range(name: str, value: object, low: float, high: float) -> None:
    """BaselineError unless a setting is a finite number in [low, high]."""
    if not is_number(value) or not low <= value <= high:
        expected = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f"from {low:g}"
        raise BaselineError(f"{name} is {shown(value)}: expected a number {expected}")


def check_divisor(steps: object, of: int) -> None:
    """BaselineError unless a number of steps divides `of`."""
    if not is_whole(steps) or steps < 1 or of % steps:
        raise BaselineError(f"steps is {shown(steps)}: expected a divisor of {of}")


def check_choice(name: str, value: object, choices: tuple[str | int, ...]) -> None:
    """BaselineError unless a setting is one of these words or whole numbers."""
    if not (isinstance(value, str) or is_whole(value)) or value not in choices:
        raise BaselineError(f"{name} is {shown(value)}: expected one of {', '.join(map(str, choices))}")
