"""Degradations in words, for commands and tables: "downsample:8 | noise:24,0.16 | jpeg:12 | strokes:9"."""

from dataclasses import MISSING, fields
from difflib import get_close_matches

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import DegradationError
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Mask, Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise
from rusr_core.degradations.resampling import Downsample, Resize

NAMES = {kind.name: kind for kind in (Downsample, PoissonBernoulliNoise, JPEG, Strokes, Resize, Mask)}


def parse(notation: str, *, seed: int = 0) -> Degradation:
    """A degradation from words: "downsample:8 | noise:24,0.16 | jpeg:12 | strokes:9", applied left to right.

    Each stage is a name of `NAMES` and the arguments of its class, in order or as name=value:
    "downsample:8,bicubic", "strokes:9,seed=3", a seed for each image as "seed=3+4+5", "resize:64,area",
    "resize:64+48" (height, width), "mask:holes.png". "identity" does nothing. `str(f)` gives the words
    back. Strokes that name no seed take `seed`.
    Raises `DegradationError`.
    """
    if notation.strip() == "identity":
        return Compose()
    stages = [_parse_stage(part.strip(), seed) for part in notation.split("|")]
    return stages[0] if len(stages) == 1 else Compose(*stages)


def _parse_stage(words: str, seed: int) -> Degradation:
    name, _, rest = words.partition(":")
    kind = NAMES.get(name.strip().lower())
    if kind is None:
        close = get_close_matches(name.strip().lower(), NAMES, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise DegradationError(f"unknown degradation {name.strip()!r}; expected one of {', '.join(NAMES)}{hint}")
    known = [item.name for item in fields(kind) if item.init]
    arguments = {}
    for place, word in enumerate(part.strip() for part in rest.split(",") if rest.strip()):
        key, equals, value = word.partition("=")
        if not (equals and key in known):
            key, value = (known[place] if place < len(known) else ""), word
        if not key or key in arguments:
            raise DegradationError(f"{words!r}: cannot use {word!r}; {kind.name} takes {', '.join(known)}")
        arguments[key] = _value(words, key, value.strip())
    if "seed" in known:
        arguments.setdefault("seed", seed)
    missing = [item.name for item in fields(kind) if item.default is MISSING and item.name not in arguments]
    if missing:
        raise DegradationError(f"{words!r}: {', '.join(missing)} missing; {kind.name} takes {', '.join(known)}")
    return kind(**arguments)


def _value(words: str, key: str, value: str) -> object:
    """The text `value` of the argument `key` as its type."""
    kind, expected = KINDS.get(key, (str, ""))
    try:
        return kind(value)
    except ValueError:
        raise DegradationError(f"{words!r}: {key} must be {expected}, got {value!r}") from None


def _numbers(value: str) -> int | tuple[int, ...]:
    """The text "3" as 3, "3+4+5" as (3, 4, 5)."""
    numbers = tuple(int(number) for number in value.split("+"))
    return numbers if len(numbers) > 1 else numbers[0]


WHOLE, NUMBER = (int, "a whole number"), (float, "a number")
NUMBERS = (_numbers, "a whole number, or several joined by +")
KINDS = {
    "factor": WHOLE,
    "quality": WHOLE,
    "count": WHOLE,
    "photons": NUMBER,
    "p": NUMBER,
    "width": NUMBER,
    "seed": NUMBERS,
    "size": NUMBERS,
}
