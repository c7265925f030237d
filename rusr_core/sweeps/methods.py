"""The methods of a sweep by their words, as `rusr bench --methods` takes them, and what they cannot do."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rusr_core import baselines, presets
from rusr_core.limits import shown
from rusr_core.sweeps import ablations
from rusr_core.sweeps.config import BenchmarkError, Method
from rusr_core.sweeps.own_methods import find_own, parted
from rusr_core.tasks import Task

SETS = {"variants": (*ablations.VARIANTS, *ablations.FUNCTIONS), "rates": tuple(ablations.RATES)}


def parse_methods(
    words: Sequence[str], steps: int | None = None, tuned_in: str | Path | None = None
) -> tuple[Method, ...]:
    """Methods by name: a preset or a compared method, NAME@STEPS, NAME@one or NAME@tuned with settings that lie in
    `tuned_in`; a variant of the presets, "variants" or "rates" for all of a kind; NAME=MODULE:NAME of somebody's own,
    and NAME@one=MODULE:NAME or NAME@tuned=MODULE:NAME with the settings that `rusr tune` found for it.

    A word may hold several with commas between them. `steps` shortens each method that takes steps, but one's own.
    Raises BenchmarkError for one word in place of several and for what is no word, BaselineError for another name and
    for `steps` of settings that were found.
    """
    if isinstance(words, str):  # each letter would be a method
        raise BenchmarkError(f"methods are {shown(words)}: expected several words, as [{shown(words)}]")
    for word in words:
        if not isinstance(word, str):
            raise BenchmarkError(f"method {shown(word)}: expected a word; Method(NAME, ...) makes one of a preset")
    return tuple(method for part in separated(words) for method in _named(part, steps, tuned_in))


def separated(words: Iterable[str]) -> list[str]:
    """The names in these words, of which each may hold several with commas between them."""
    return [part for word in words for part in map(str.strip, word.split(",")) if part]


def unable(methods: Iterable[Method], tasks: Sequence[Task]) -> dict[tuple[str, str], str]:
    """(method, task) of those that a method cannot do, "n/a" in tables, with the reason."""
    pairs = ((method, task) for method in methods for task in tasks)
    found = {(method.name, str(task)): method.reason(task.degradation()) for method, task in pairs}
    return {pair: reason for pair, reason in found.items() if reason is not None}


def _named(word: str, steps: int | None, tuned_in: str | Path | None) -> list[Method]:
    name, equals, function = word.partition("=")
    if equals:
        _, tuned, _ = parted(word)
        return [Method(name, find_own(word, steps, tuned_in) if tuned else function)]
    name = presets.known_as(name)
    if name in SETS:
        return [method for known in SETS[name] for method in _named(known, steps, tuned_in)]
    if name in ablations.FUNCTIONS:
        if steps is not None:
            raise BenchmarkError(f"{name} with {steps} steps: it has the steps of the preset default and no others")
        return [Method(name, f"rusr_core.sweeps.ablations:{ablations.FUNCTIONS[name].__name__}")]
    variant = (ablations.RATES | ablations.VARIANTS).get(name)
    if variant is not None:
        variant = variant if steps is None else variant.shortened(steps)
        return [Method(variant.name, variant)]
    takes_steps = name not in baselines.METHODS or "steps" in baselines.METHODS[name].settings
    found = baselines.find(name, steps if takes_steps else None, tuned_in)
    return [Method(found.name, found)]
