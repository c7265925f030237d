"""The compared methods, one paper a file, and the one list of all methods, ours and theirs.

    find("pulse").restore(prior, y, f, seed=0) -> Restoration
    METHODS["pulse"].can(f)                    -> None, or why the method cannot invert f

A method is a function `(prior, y, f, *, seed, callback, **settings) -> Restoration`. Its file ends with its entry
`BASELINE`: paper, settings, what `rusr tune` searches, and what it cannot do. `find` knows our presets, too.
"""

from rusr_core.baselines import brgm, classical, daps, ddrm, dps, lbrgm, na_nhmc, nothing, pulse
from rusr_core.baselines.method import Baseline, BaselineError, Choice, Configured, Range, Real, Whole
from rusr_core.presets import PRESETS, Preset, get

_FILES = (nothing, classical, pulse, brgm, lbrgm, na_nhmc, ddrm, dps, daps)
METHODS: dict[str, Baseline] = {module.BASELINE.name: module.BASELINE for module in _FILES}


def names() -> tuple[str, ...]:
    """All methods: our presets, then the compared ones."""
    return (*PRESETS, *METHODS)


def find(name: str, steps: int | None = None) -> Preset | Configured:
    """A method by name: a preset, or a compared method; NAME@STEPS or `steps` for a quick look. BaselineError."""
    word, at, number = name.partition("@")
    if word not in names() or (at and not number.isdecimal()):
        raise BaselineError(f"method {name!r}: expected one of {', '.join(names())}, or NAME@STEPS")
    steps = int(number) if at and steps is None else steps
    if word in METHODS:
        return METHODS[word].configured() if steps is None else METHODS[word].shortened(steps)
    return get(word) if steps is None else get(word).shortened(steps)


__all__ = ["METHODS", "Baseline", "BaselineError", "Choice", "Configured", "Range", "Real", "Whole", "find", "names"]
