"""How a program ends: its exit status, and one line about what went wrong."""

import os
import sys
from collections.abc import Callable

from rusr_core.commands.options import INTERRUPTED
from rusr_core.commands.output import complain, readable_output
from rusr_core.errors import RusrError, out_of_memory

BAD_INPUT = 2
BROKEN_PIPE = 141  # 128 + SIGPIPE


def ended(work: Callable[[], int | None]) -> int:
    """The exit status of a program that does `work`: what that returns (None: 0), 2 for bad input, which is said in one
    line on stderr, 130 after Ctrl-C. What is a defect of the program and not of its input is raised.

    What `work` has printed is written out before it has ended well: a disk may be full, and a reader gone.
    """
    with readable_output():
        return _written_out(_status(work))


def _status(work: Callable[[], int | None]) -> int:
    try:
        return work() or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        _drop_output()
        return BROKEN_PIPE
    except (RusrError, OSError) as error:
        complain(f"error: {error}")
        return BAD_INPUT
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        complain("error: not enough memory for images of this size")
        return BAD_INPUT


def _written_out(status: int) -> int:
    """The status after the rest of the output is written: as it is, unless all was well and that fails."""
    try:
        if sys.stdout is not None:  # a program may be started without one
            sys.stdout.flush()
        return status
    except OSError as error:
        _drop_output()
        if status:
            return status
        if isinstance(error, BrokenPipeError):
            return BROKEN_PIPE
        complain(f"error: {error}")
        return BAD_INPUT


def _drop_output() -> None:
    """What is left of the output goes nowhere: writing it would fail once more at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
