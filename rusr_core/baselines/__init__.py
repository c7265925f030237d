"""The compared methods, one paper a file, and the one list of all methods, ours and theirs.

    find("pulse").restore(prior, y, f, seed=0) -> Restoration
    METHODS["pulse"].can(f)                    -> None, or why the method cannot invert f

A method is a function `(prior, y, f, *, seed, callback, **settings) -> Restoration`. Its file ends with its entry
`BASELINE`: paper, settings, what `rusr tune` searches, and what it cannot do. `find` knows our presets, too, and the
settings that were searched: NAME@one, NAME@tuned.
"""

from pathlib import Path

from rusr_core.baselines import brgm, classical, daps, ddrm, dps, lbrgm, mganprior, na_nhmc, nothing, pti, pulse
from rusr_core.baselines.method import Baseline, BaselineError, Choice, Configured, Range, Real, Whole, arguments
from rusr_core.baselines.tuned import COLUMNS, Tuned, load
from rusr_core.limits import shown
from rusr_core.presets import LONGEST, PRESETS, Preset, known_as

_FILES = (nothing, classical, pulse, brgm, lbrgm, mganprior, pti, na_nhmc, ddrm, dps, daps)
METHODS: dict[str, Baseline] = {module.BASELINE.name: module.BASELINE for module in _FILES}


def names() -> tuple[str, ...]:
    """All methods: our presets, then the compared ones."""
    return (*PRESETS, *METHODS)


def base_of(name: str) -> Preset | Baseline:
    """A preset or a compared method by its name alone. BaselineError for another name."""
    name = known_as(str(name))
    if name not in names():
        raise _unknown(name)
    return METHODS[name] if name in METHODS else PRESETS[name]


def _unknown(name: str, forms: str = "") -> BaselineError:
    own = "; rusr bench and rusr tune take one of your own as NAME=MODULE:NAME" if ":" in str(name) else ""
    return BaselineError(f"method {shown(name)}: expected one of {', '.join(names())}{forms}{own}")


def find(name: str, steps: int | None = None, tuned_in: str | Path | None = None) -> Preset | Configured | Tuned:
    """A method by name: a preset or a compared method, NAME@STEPS or `steps` for a quick look, NAME@one or NAME@tuned
    with settings that `rusr tune` found, which lie in the folder `tuned_in`, by default data/tuned. BaselineError.
    """
    word, at, column = known_as(str(name)).partition("@")
    steps_given = column.isdecimal() and len(column) < LONGEST
    if word not in names() or (at and column not in COLUMNS and not steps_given):
        raise _unknown(name, ", or NAME@STEPS, NAME@one or NAME@tuned")
    if column in COLUMNS:
        if steps is not None:
            got = shown(steps)
            raise BaselineError(f"method {name!r} has the steps that it was tuned with: expected no other, got {got}")
        return load(base_of(word), column, tuned_in)
    if at and steps not in (None, int(column)):
        raise BaselineError(f"method {name!r} says its steps itself: expected no other, got {shown(steps)}")
    steps = int(column) if at else steps
    if steps is not None:
        return base_of(word).shortened(steps)
    return METHODS[word].configured() if word in METHODS else PRESETS[word]


__all__ = [
    "COLUMNS", "METHODS", "Baseline", "BaselineError", "Choice", "Configured", "Range", "Real", "Tuned", "Whole",
    "arguments", "base_of", "find", "names",
]  # fmt: skip
