"""`--method MODULE:FUNCTION`: a method of somebody's own, with the signature of `rusr.restore`, for their pictures."""

import traceback
from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from rusr_core.baselines import Baseline, Configured, arguments
from rusr_core.errors import RusrError, out_of_memory
from rusr_core.prior import Prior, prior_shape
from rusr_core.restore import Restoration
from rusr_core.sweeps.config import BenchmarkError, Method, check_pictures


def own_method(reference: str, steps: int | None = None) -> Configured:
    """The function or the `Baseline` that "module:name" names; its arguments after `callback` are its settings.

    What it returns is checked, and what it raises becomes one line with its place. Raises BenchmarkError for what is no
    such function, OwnCodeError for what cannot be imported, BaselineError for steps that it does not take.
    """
    method = Method(reference, reference)
    function = method.function()
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
    own = method.baseline()
    baseline = Baseline(reference, restored) if own is None else replace(own, name=reference, function=restored)
    return baseline.configured() if steps is None else baseline.shortened(steps)


def _told(error: BaseException, function: Callable) -> str:
    """What was raised, and the last line of the function's own file that led there."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    here = getattr(getattr(function, "__code__", None), "co_filename", "")
    frame = ([each for each in frames if each.filename == here] or frames or [None])[-1]
    place = "" if frame is None else f" ({frame.filename}, line {frame.lineno})"
    return f"{type(error).__name__}: {(str(error) or 'no reason given').splitlines()[0]}{place}"
