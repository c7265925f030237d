"""Which numbers may be given, in every function and on the command line, and the one sentence about those that may not.

The largest are far beyond what anybody needs: they keep a slip of the finger (a zero too many, a seed pasted into the
wrong option) from being taken for work of a year, or from ending in an overflow somewhere inside.
"""

import json
import math
import re
from collections.abc import Sequence

from rusr_core.errors import RusrError

MAX_STEPS = 100_000  # of a phase or of a method; 150 are published
MAX_SAMPLES = 1_000  # answers to one image
MAX_COUNT = 1_000_000  # images, trials, crops, rounds: whatever is counted
MAX_PROCESSES = 1_024  # processes, or threads of one
MAX_SIDE = 8_192  # px, the side of a picture that is made
MAX_PORT = 65_535
MAX_SEED = 2**63 - 1  # what a torch.Generator takes


def is_whole(value: object) -> bool:
    """Whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a finite number that a float can hold; True and False are none."""
    if is_whole(value):
        return abs(value) <= 10**300
    return isinstance(value, float) and math.isfinite(value)


def whole_words(low: int, high: int) -> str:
    """What is expected of a whole number in [low, high]."""
    return f"a whole number from {low}" + (", below 2^63" if high == MAX_SEED else f" to {high}")


def check_whole(what: str, value: object, low: int, high: int, error: type[RusrError] = RusrError) -> None:
    """Raise `error` unless `value` is a whole number in [low, high]."""
    if not is_whole(value) or not low <= value <= high:
        raise error(f"{what} is {shown(value)}: expected {whole_words(low, high)}")


def check_seed(value: object, error: type[RusrError] = RusrError, what: str = "seed") -> None:
    """Raise `error` unless `value` can seed a generator."""
    check_whole(what, value, 0, MAX_SEED, error)


def check_positive(what: str, value: object, error: type[RusrError] = RusrError) -> None:
    """Raise `error` unless `value` is a finite number above 0."""
    if not is_number(value) or value <= 0:
        raise error(f"{what} is {shown(value)}: expected a positive number")


def sides_of(size: int | Sequence[int], most: int, error: type[RusrError] = RusrError) -> tuple[int, int]:
    """(height, width) in px of a size, which is a side or both, each from 1 to `most`. Raises `error`."""
    sides = tuple(size) if isinstance(size, Sequence) and not isinstance(size, str) else (size, size)
    if len(sides) != 2 or not all(is_whole(side) and 1 <= side <= most for side in sides):
        raise error(f"size is {shown(size)}: expected a side or (height, width) in px, whole numbers from 1 to {most}")
    return sides


def shown(value: object) -> str:
    """A value in an error message, on one line of at most 60 letters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else f"a {type(value).__name__}"
        if isinstance(value, tuple | list):
            text = f"({', '.join(map(shown, value))})"
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:50]}..."


def dotted(*keys: str) -> str:
    """The name of a nested setting, its keys between dots. A key that is empty or holds a dot, a blank or a bracket
    stands in quotes, as in TOML: settings."".lr, tasks."denoising L".settings. Long ones are cut off, as by `shown`.
    """
    plain = re.compile(r'[^\s."\[\]]+')
    texts = [key if plain.fullmatch(key) else json.dumps(key, ensure_ascii=False) for key in keys]
    return ".".join(text if len(text) <= 60 else f"{text[:50]}..." for text in texts)
