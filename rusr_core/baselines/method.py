"""What a compared method is: a function, the paper it comes from, its settings, and what it cannot do."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial

import torch
from torch import Tensor

from rusr_core.arithmetic import gradients
from rusr_core.baselines.draws import drawn
from rusr_core.citations import PAPERS
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.errors import RusrError, in_a_line
from rusr_core.limits import MAX_SAMPLES, MAX_STEPS, check_whole, is_number, is_whole, shown
from rusr_core.results import Restoration

PRIORS = ("none", "generator", "diffusion")  # what a method restores with
MOST = 2**53  # of whole numbers that are searched: a float, as which they are proposed, holds each of them


class BaselineError(RusrError):
    """A method that does not exist, a setting that it does not have, or a degradation that it cannot invert."""


def _check_ends(low: float, high: float, log: bool, good: Callable[[object], bool], numbers: str) -> None:
    """BaselineError unless something lies in [low, high], and all of it has a logarithm where that is searched."""
    if not good(low) or not good(high) or low > high or (log and low <= 0):
        expected = f"two {numbers}, the smaller one first" + (" and above 0, for its logarithm" if log else "")
        raise BaselineError(f"a range from {shown(low)} to {shown(high)}: expected {expected}")


def _is_searched(value: object) -> bool:
    return is_whole(value) and abs(value) <= MOST


@dataclass(frozen=True)
class Real:
    """A real number in [low, high]; `log`: its logarithm is searched, and low must be positive. BaselineError."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.log, is_number, "numbers")

    def holds(self, value: object) -> bool:
        """Whether a value lies inside."""
        return is_number(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Whole:
    """A whole number in [low, high]; `log`: its logarithm is searched, and low must be positive. BaselineError."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high, self.log, _is_searched, "whole numbers up to 2^53")

    def holds(self, value: object) -> bool:
        """Whether a value lies inside."""
        return is_whole(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of these values: words, numbers or None, no two of them equal. BaselineError."""

    values: tuple[str | int | float | bool | None, ...]

    def __post_init__(self) -> None:
        found = tuple(self.values) if isinstance(self.values, list) else self.values
        known = isinstance(found, tuple) and all(each is None or isinstance(each, str | int | float) for each in found)
        if not known or not found or len(set(found)) < len(found) or any(each != each for each in found):
            expected = "a tuple of different words, numbers or None"
            raise BaselineError(f"a choice of {shown(self.values)}: expected {expected}")
        object.__setattr__(self, "values", found)

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        if value is not None and not isinstance(value, str | int | float):  # tensors have no single answer to ==
            return False
        return any(value == known and isinstance(value, bool) == isinstance(known, bool) for known in self.values)


Range = Real | Whole | Choice


def anything(f: Degradation) -> None:
    """The `can` of a method that takes every degradation."""
    return None


def any_number(settings: Mapping[str, object]) -> int:
    """The `most` of a method that can draw as many samples as anybody wants."""
    return MAX_SAMPLES


def nothing_more(steps: int) -> dict[str, object]:
    """The `shorter` of a method for which its number of steps is one among others."""
    return {}


def arguments(method: Callable) -> inspect.Signature | None:
    """What a method's function takes, of a torch module its `forward`; None where its language does not say."""
    try:
        return inspect.signature(method.forward if isinstance(method, torch.nn.Module) else method)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Baseline:
    """A compared method. BaselineError for one that contradicts itself."""

    name: str
    function: Callable[..., Restoration]  # (prior, y, f, *, seed, callback, **settings)
    paper: str | None = None  # a key of `citations.PAPERS`
    space: Mapping[str, Range] = field(default_factory=dict)  # what `rusr tune` searches; the published value is inside
    can: Callable[[Degradation], str | None] = anything  # None, or the reason for "n/a"
    samples: bool = False  # whether it draws from a posterior: another seed gives another answer
    prior: str = "generator"  # one of PRIORS
    shorter: Callable[[int], Mapping[str, object]] = nothing_more  # what NAME@STEPS changes besides; BaselineError
    most: Callable[[Mapping[str, object]], int] = any_number  # samples of these settings; BaselineError

    def __post_init__(self) -> None:
        if self.paper is not None and self.paper not in PAPERS:
            raise BaselineError(f"method {self.name!r} cites {self.paper!r}: expected a key of citations.PAPERS")
        if self.prior not in PRIORS:
            raise BaselineError(f"method {self.name!r} needs the prior {self.prior!r}: expected {', '.join(PRIORS)}")
        if not isinstance(self.space, Mapping):
            raise BaselineError(f"method {self.name!r}: its space is {shown(self.space)}, expected ranges by setting")
        for name, values in self.space.items():
            self._check_range(name, values)

    def _check_range(self, name: str, values: Range) -> None:
        """BaselineError unless these are values of a setting, the published one among them."""
        if name not in self.settings:
            known = f"one of {', '.join(self.settings)}" if self.settings else "no name: its function names no settings"
            raise BaselineError(f"method {self.name!r}: its space names {shown(name)}, expected {known}")
        if not isinstance(values, Range):
            told = f"the space of {name} is {shown(values)}, expected a Real, a Whole or a Choice"
            raise BaselineError(f"method {self.name!r}: {told}")
        if not values.holds(found := self.settings[name]):
            raise BaselineError(f"method {self.name!r}: the published {name}, {shown(found)}, is not in {values}")

    @cached_property
    def settings(self) -> dict[str, object]:
        """The published value of each setting: the defaults of the function's own arguments."""
        takes = arguments(self.function)
        parameters = [] if takes is None else list(takes.parameters.values())
        given = [p for p in parameters if p.kind not in (p.KEYWORD_ONLY, p.VAR_KEYWORD)][:3]  # prior, y and f
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p not in given]
        return {p.name: p.default for p in named if p.name not in ("seed", "callback")}

    @property
    def word(self) -> str:
        """What `rusr tune` is given for it."""
        return self.name

    def origin(self) -> dict[str, object]:
        """What determines its restorations beside its settings, as plain JSON; nothing of a method of this library."""
        return {}

    def reason(self, f: AnyOperator) -> str | None:
        """What `can` says of f: why the method cannot invert it, None if it can. BaselineError for any other answer."""
        found = self._told("can", as_operator(f))
        if found is not None and not isinstance(found, str):
            raise BaselineError(f"can of method {self.name!r} gives {shown(found)}: expected None, or why it cannot")
        return found

    def _told(self, what: str, *given: object) -> object:
        """What one of its functions beside the method itself says, called `what`. BaselineError where that fails."""
        try:
            return getattr(self, what)(*given)
        except RusrError:
            raise
        except (Exception, SystemExit) as error:  # of somebody's own method
            raise BaselineError(f"{what} of method {self.name!r} fails: {in_a_line(error)}") from error

    def most_samples(self, settings: Mapping[str, object]) -> int:
        """What `most` says of these settings. BaselineError for what is no number."""
        if not is_whole(found := self._told("most", settings)):
            raise BaselineError(f"most of method {self.name!r} gives {shown(found)}: expected a number of samples")
        return found

    def configured(self, name: str | None = None, /, **values: object) -> "Configured":
        """The method with some settings of one's own. BaselineError for a setting that it does not have."""
        unknown = [word for word in values if word not in self.settings]
        if unknown:
            known = ", ".join(self.settings) or "none"
            raise BaselineError(f"method {self.name!r} has no setting {unknown[0]!r}: expected one of {known}")
        return Configured(self, values, name or self.name)

    def shortened(self, steps: int) -> "Configured":
        """The method NAME@STEPS for quick looks; BaselineError if it takes no steps, or not so many."""
        if "steps" not in self.settings:
            raise BaselineError(f"method {self.name!r} takes no steps that could be shortened to {shown(steps)}")
        check_whole(f"the steps of {self.name!r} when shortened", steps, 1, MAX_STEPS, BaselineError)
        try:
            more = self._told("shorter", steps)
        except BaselineError as error:
            raise BaselineError(f"method {self.name!r}: {error}") from error
        if not isinstance(more, Mapping) or not all(isinstance(word, str) for word in more):
            raise BaselineError(f"shorter of method {self.name!r} gives {shown(more)}: expected settings by name")
        return self.configured(f"{self.name}@{steps}", **{"steps": steps} | more)


@dataclass(frozen=True)
class Configured:
    """A method with values for some of its settings, as it is run."""

    baseline: Baseline
    values: Mapping[str, object]
    name: str  # as tables show it

    @property
    def settings(self) -> dict[str, object]:
        """The value of every setting."""
        return {**self.baseline.settings, **self.values}

    def reason(self, f: AnyOperator) -> str | None:
        """Why the method cannot invert f, or None if it can."""
        return self.baseline.reason(f)

    @gradients()
    def restore(
        self,
        prior: object,
        y: Tensor,
        f: AnyOperator,
        *,
        seed: int = 0,
        callback: Callable | None = None,
        samples: int | None = None,
    ) -> Restoration:
        """Restore degraded images y [N, 3, h, w]; the result names the method, its settings and its papers.

        With `samples`, `drawn` [N, samples, 3, R, R] holds so many draws of a method that samples. One that draws once
        a run is run so often, the first time with `seed`: its `image` is what one run gives.

        Raises BaselineError for a degradation that the method cannot invert, for several samples of a method that draws
        none, and what the method raises.
        """
        reason = self.reason(f)
        if reason is not None:
            raise BaselineError(f"{self.name} is n/a for {as_operator(f)}: {reason}")
        self.check_samples(samples)
        settings, several = self.settings, (samples or 1) > 1
        if samples is not None and "samples" in settings:
            settings, several = settings | {"samples": samples}, False
        run = partial(self.baseline.function, prior, y, f, **settings)
        result = drawn(run, seed, samples, callback) if several else run(seed=seed, callback=callback)
        told = result.info.get("references") or []
        papers = [*([self.baseline.paper] if self.baseline.paper else []), *([told] if isinstance(told, str) else told)]
        info = result.info | {"settings": settings, "references": list(dict.fromkeys(papers))}
        return dataclasses.replace(result, method=self.name, info=info)

    def check_samples(self, samples: int | None) -> None:
        """Raise BaselineError for a number of samples that the method, with its settings, cannot draw."""
        if samples is None:
            return
        check_whole("samples", samples, 1, MAX_SAMPLES, BaselineError)
        if samples > 1 and not self.baseline.samples:
            raise BaselineError(f"{self.name} draws no samples of a posterior: expected samples=1, got {samples}")
        if samples > (most := self.baseline.most_samples(self.settings)):
            told = ", ".join(f"{name}={value}" for name, value in self.settings.items() if name != "samples")
            raise BaselineError(f"{self.name} with {told}: expected no more than {most} samples, got {samples}")
