"""MODULE:NAME as a method: somebody's own function, with the signature of `rusr.restore`, or a `Baseline` of theirs.

Other processes find it again by these words, so that it may hold what cannot be sent to them, as a lambda.
"""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

from torch import Tensor

from rusr_core.baselines import COLUMNS, Baseline, BaselineError, Configured, Tuned, arguments, load
from rusr_core.errors import RusrError, out_of_memory
from rusr_core.own_code import source_digest
from rusr_core.prior import Prior, prior_shape
from rusr_core.restore import Restoration
from rusr_core.sweeps.config import BenchmarkError, Method, check_pictures


@dataclass(frozen=True)
class OwnBaseline(Baseline):
    """A method of somebody's own with its settings, found by its reference wherever it travels."""

    reference: str = ""  # "module:name"

    def origin(self) -> dict[str, object]:
        """Where it was found, and the digest of its source."""
        return {"function": self.reference, "source": source_digest(self.reference.partition(":")[0])}

    def __reduce__(self) -> tuple:
        return own_baseline, (self.reference, self.name)


def own_baseline(reference: str, name: str | None = None) -> OwnBaseline:
    """The function or the `Baseline` that "module:name" names, called `name`.

    Its arguments after `callback` are its settings. What it returns is checked, and what it raises becomes one line
    with its place. Raises BenchmarkError for what is no such function, OwnCodeError for what cannot be imported.
    """
    method = Method(name or reference, reference)
    function, own = method.function(), method.baseline()
    takes = arguments(function)
    options = {} if takes is None else takes.parameters
    takes_callback = "callback" in options or any(each.kind is each.VAR_KEYWORD for each in options.values())

    def restored(prior: Prior, y: Tensor, f: object, *, callback: Callable | None = None, **given: object):
        given |= {"callback": callback} if takes_callback else {}
        try:
            found = function(prior, y, f, **given)
        except (Exception, SystemExit) as error:
            if isinstance(error, RusrError) or out_of_memory(error):
                raise
            raise BenchmarkError(f"{reference}: {_told(error, function)}") from error
        found: Restoration = method.checked(found, len(y))
        check_pictures(reference, found, prior_shape(prior, len(y)))
        return found

    if takes is not None:
        restored.__signature__ = takes  # from which `Baseline` reads the settings
    declared = {} if own is None else {each.name: getattr(own, each.name) for each in fields(own)}
    return OwnBaseline(**declared | {"name": method.name, "function": restored, "reference": reference})


def find_own(word: str, steps: int | None = None, tuned_in: str | Path | None = None) -> Configured | Tuned:
    """`baselines.find` for MODULE:NAME, NAME=MODULE:NAME, and NAME@one=MODULE:NAME or NAME@tuned=MODULE:NAME with the
    settings that `rusr tune` found, in the folder `tuned_in`. Its name is the whole word, which finds it again.

    Raises as `own_baseline`, and BaselineError.
    """
    name, _, reference = word.rpartition("=")
    name, _, column = name.partition("@")
    if column not in COLUMNS:
        own = own_baseline(reference, word)
        return own.configured() if steps is None else own.shortened(steps)
    if steps is not None:
        raise BaselineError(f"method {word!r} has the steps that it was tuned with: expected no other, got {steps}")
    return replace(load(own_baseline(reference, name), column, tuned_in), name=word)


def _told(error: BaseException, function: Callable) -> str:
    """What was raised, and the last line of the function's own file that led there."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    here = getattr(getattr(function, "__code__", None), "co_filename", "")
    frame = ([each for each in frames if each.filename == here] or frames or [None])[-1]
    place = "" if frame is None else f" ({frame.filename}, line {frame.lineno})"
    return f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}{place}"
