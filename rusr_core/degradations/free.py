"""Degradations of which a number is not known: the search finds it together with the latent code.

    f = free(Blur(width=1.5), width=(0.5, 4))      # between 0.5 and 4 px, from 1.5
    f = parse("blur:0.5..4@1.5 | jpeg:30")         # the same in notation, one stage of others

A number stays within its bounds by a smooth map of a number u that is searched without any: low (high / low)^s with
s = sigmoid(u), or low + (high - low) s where `low` is not positive. Chapter: book/unknown.ipynb.
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation, text
from rusr_core.degradations.checks import DegradationError, check
from rusr_core.degradations.compose import Compose
from rusr_core.limits import is_number


@dataclass(frozen=True)
class Range:
    """Where a free number lies, and where its search starts; None: in the middle of the map."""

    low: float
    high: float
    start: float | None = None

    def checked(self, name: str) -> "Range":
        """The range with its start. Raises `DegradationError` if nothing lies in it, or the start does not."""
        good = all(is_number(v) and math.isfinite(v) for v in (self.low, self.high)) and self.low < self.high
        check(good, f"the bounds of {name}", "two numbers, the lower first", (self.low, self.high))
        middle = float(self.at(torch.zeros((), dtype=torch.float64))) if good else 0.0
        start = float(f"{middle:.6g}") if self.start is None else self.start  # a number that can be read aloud
        inside = is_number(start) and self.low < start < self.high
        check(inside, f"the start of {name}", f"between {self.low:g} and {self.high:g}", start)
        return Range(self.low, self.high, start)

    def at(self, u: Tensor) -> Tensor:
        """The number for u, any real."""
        share = torch.sigmoid(u)
        if self.low > 0:
            return self.low * (self.high / self.low) ** share
        return self.low + (self.high - self.low) * share

    def inverse(self) -> float:
        """The u of the start."""
        if self.low > 0:
            share = math.log(self.start / self.low) / math.log(self.high / self.low)
        else:
            share = (self.start - self.low) / (self.high - self.low)
        return math.log(share / (1 - share))

    def __str__(self) -> str:
        return f"{text(float(self.low))}..{text(float(self.high))}@{text(float(self.start))}"


@dataclass(frozen=True)
class Free(Degradation):
    """A degradation `f` whose numbers `ranges`, by the names of its fields, are free. `free` makes one.

    Its surrogate is that of f at the start. It has no true operation: nobody knows it.
    """

    f: Degradation
    ranges: tuple[tuple[str, Range], ...]

    @property
    def random(self) -> bool:
        return self.f.random

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.f.forward(x, generator)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        raise DegradationError(f"{self} has free numbers: expected a degradation that is known, such as {self.f}")

    def mask(self, shape: Sequence[int]) -> Tensor | None:
        return self.f.mask(shape)

    def followed(self, after: Degradation) -> "Free | None":
        both = self.f.followed(after)
        return None if both is None else dataclasses.replace(self, f=both)

    @property
    def transform_mask(self) -> Callable[[Tensor], Tensor] | None:
        """Where a mask lies after f at the start, if f says so."""
        return getattr(self.f, "transform_mask", None)

    def start(self) -> Tensor:
        """Where the search of u starts, [P], for P free numbers."""
        return torch.tensor([one.inverse() for _, one in self.ranges])

    def bound(self, u: Tensor) -> Degradation:
        """`f` with the numbers for u [P], tensors with their gradient: only its `forward` is of use."""
        return _with(self.f, {name: one.at(v) for (name, one), v in zip(self.ranges, u, strict=True)})

    def __str__(self) -> str:
        return str(_with(self.f, dict(self.ranges)))


def free(f: Degradation, **bounds: Sequence[float]) -> Free:
    """`f` with free numbers, each by name: (low, high), or (low, high, start); without a start, f's own.

    Raises `DegradationError` for numbers that f's class does not list in `free_numbers`, since its surrogate has no
    gradient for them, for bounds that f cannot have, and for bounds that hold no start.
    """
    known = getattr(f, "free_numbers", ())
    unknown = [name for name in bounds if name not in known]
    if unknown or not bounds:
        given = ", ".join(unknown) or "nothing"
        raise DegradationError(f"{f}: {given} cannot be free; expected {' or '.join(known) or 'another degradation'}")
    f, ranges = f.freed(), []
    for name, given in bounds.items():
        several = isinstance(given, Sequence) and len(given) in (2, 3)
        check(several, f"the bounds of {name}", "(low, high) or (low, high, start)", given)
        one = Range(given[0], given[1], given[2] if len(given) == 3 else getattr(f, name)).checked(name)
        for end in (one.low, one.high) if dataclasses.is_dataclass(f) else ():
            dataclasses.replace(f, **{name: end})  # its class says which numbers it may have
        ranges.append((name, one))
    return Free(_with(f, {name: one.start for name, one in ranges}), tuple(ranges))


def free_stages(f: Degradation) -> list[Free]:
    """The stages of f that have free numbers."""
    return [stage for stage in f.stages if isinstance(stage, Free)]


def starts(operators: Sequence[Degradation]) -> list[Tensor]:
    """Where the search of the free numbers of each operator starts, [P] each; nothing if there are none."""
    if not free_stages(operators[0]):
        return []
    return [torch.cat([stage.start() for stage in free_stages(f)]) for f in operators]


def found_numbers(f: Degradation, unknown: Sequence[Tensor], samples: int = 1) -> dict[str, dict[str, object]]:
    """What was found of the free numbers of f, by name, as plain JSON values: bounds, start and, from u [P] of each
    image, its number; of several `samples` of each y in turn, their standard deviation, too."""
    table, begin = {}, 0
    for stage in free_stages(f):
        for name, one in stage.ranges:
            values = one.at(torch.stack([u.detach().cpu()[begin] for u in unknown]))
            facts = {"low": one.low, "high": one.high, "start": one.start, "found": values.tolist()}
            if samples > 1:
                facts["spread"] = values.unflatten(0, (-1, samples)).std(1).tolist()
            key, begin = f"{stage.f.name}.{name}", begin + 1
            table[key if key not in table else f"{key} {begin}"] = facts
    return table


def bound(f: Degradation, u: Tensor) -> Degradation:
    """f with the numbers for u [P] of all its free stages, in turn."""
    stages, begin = [], 0
    for stage in f.stages:
        if isinstance(stage, Free):
            end = begin + len(stage.ranges)
            stage, begin = stage.bound(u[begin:end]), end
        stages.append(stage)
    return stages[0] if len(stages) == 1 else Compose(*stages)


def _with(f: Degradation, values: dict[str, object]) -> Degradation:
    """f with other values in its fields, which are not checked: tensors where it expects numbers."""
    f = copy.copy(f)
    for name, value in values.items():
        object.__setattr__(f, name, value)
    return f
