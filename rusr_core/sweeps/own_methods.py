"""MODULE:NAME as a method: somebody's own function, with the signature of `rusr.restore`, or a `Baseline` of theirs.

Other processes find it again by these words, so that it may hold what cannot be sent to them, as a lambda.
"""

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from rusr_core.baselines import COLUMNS, Baseline, BaselineError, Configured, Tuned, arguments, load, names
from rusr_core.errors import RusrError, in_a_line, out_of_memory
from rusr_core.own_code import source_digest
from rusr_core.presets import known_as
from rusr_core.prior import Prior, prior_shape
from rusr_core.restore import Restoration
from rusr_core.search.stopping import RestorationError
from rusr_core.sweeps.config import BenchmarkError, Method, check_pictures
from rusr_core.sweeps.plan import check_method_name

NEW_NAME = "a name that no method of the library has"


class OwnBaseline(Baseline):
    """A method of somebody's own with its settings, found by its reference wherever it travels. It is also of the
    class that its owner gave it, a subclass of `Baseline` or that itself."""

    reference: str  # "module:name"

    @property
    def word(self) -> str:
        """What `rusr tune` is given for it."""
        return f"{self.name}={self.reference}"

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
    function = method.function()
    own = method.baseline() or Baseline(method.name, function)
    takes = arguments(function)
    options = {} if takes is None else takes.parameters
    takes_callback = "callback" in options or any(each.kind is each.VAR_KEYWORD for each in options.values())

    def restored(prior: Prior, y: Tensor, f: object, /, *, callback: Callable | None = None, **given: object):
        given |= {"callback": callback} if takes_callback else {}
        try:
            found = function(prior, y.clone(), f, **given)  # what it does to y is nobody else's
        except (Exception, SystemExit) as error:
            if _of_the_library(error) or out_of_memory(error):
                raise
            raise BenchmarkError(f"{reference}: {_said(error, function)}") from error
        found: Restoration = method.checked(found, len(y))
        check_pictures(reference, found, prior_shape(prior, len(y)))
        return found

    if takes is not None:
        restored.__signature__ = takes  # from which `Baseline` reads the settings
    kind = type(own)
    made = object.__new__(type(kind.__name__, (OwnBaseline, kind), {}))
    vars(made).update(vars(own) | {"name": method.name, "function": restored, "reference": reference})
    return made


def _of_the_library(error: BaseException) -> bool:
    """Whether an error says itself what was wrong, and finds its way back from another process: one of a class of
    somebody's own may not, unless it is a setting that gives no image, which is caught where it is raised."""
    known = isinstance(error, RusrError) and type(error).__module__.partition(".")[0] == "rusr_core"
    return known or isinstance(error, BaselineError | RestorationError)


def parted(word: str) -> tuple[str, str, str]:
    """NAME=MODULE:NAME -> (name, "", reference); NAME@one=MODULE:NAME -> (name, "one", reference), and so NAME@tuned.

    Raises BenchmarkError for another word, as NAME@20=MODULE:NAME, which would be run as it is, PlanError for a name
    that no method can have.
    """
    name, _, reference = word.partition("=")
    name, at, column = name.partition("@")
    if at and column not in COLUMNS:
        forms = " or ".join(["NAME=MODULE:NAME", *(f"NAME@{each}=MODULE:NAME" for each in COLUMNS)])
        raise BenchmarkError(f"method {word!r}: expected {forms}")
    check_method_name(name)
    if column and (name in names() or known_as(name) != name):
        raise BenchmarkError(f"method {word!r}: expected NAME@{column}=MODULE:NAME with {NEW_NAME}")
    return name, column, reference


def find_own(word: str, steps: int | None = None, tuned_in: str | Path | None = None) -> Configured | Tuned:
    """`baselines.find` for MODULE:NAME, NAME=MODULE:NAME, and NAME@one=MODULE:NAME or NAME@tuned=MODULE:NAME with the
    settings that `rusr tune` found, in the folder `tuned_in`. Its name is the whole word, which finds it again.

    Raises as `parted` and `own_baseline`, and BaselineError.
    """
    name, column, reference = parted(word) if "=" in word else (word, "", word)
    if not column:
        own = own_baseline(reference, word)
        return own.configured() if steps is None else own.shortened(steps)
    if steps is not None:
        raise BaselineError(f"method {word!r} has the steps that it was tuned with: expected no other, got {steps}")
    return replace(load(own_baseline(reference, name), column, tuned_in), name=word)


def _said(error: BaseException, function: Callable) -> str:
    """What was raised, and the last line of the function's own file that led there."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    here = getattr(getattr(function, "__code__", None), "co_filename", "")
    frame = ([each for each in frames if each.filename == here] or frames or [None])[-1]
    place = "" if frame is None else f" ({frame.filename}, line {frame.lineno})"
    return f"{in_a_line(error)}{place}"
