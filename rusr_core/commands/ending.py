"""How a program ends: its exit status, and one line about what went wrong."""

import os
import sys
from collections.abc import Callable

from rusr_core.commands.memory import out_of_memory
from rusr_core.commands.options import INTERRUPTED
from rusr_core.commands.output import complain, readable_output
from rusr_core.errors import RusrError

BAD_INPUT = 2
BROKEN_PIPE = 141  # 128 + SIGPIPE


def ended(work: Callable[[], int | None]) -> int:
    """The exit status of a program that does `work`: what that returns (None: 0), 2 for bad input, which is said in one
    line on stderr, 130 after Ctrl-C. What is a defect of the program and not of its input is raised.
    """
    with readable_output():
        try:
            return work() or 0
        except KeyboardInterrupt:
            return INTERRUPTED
        except BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        except (RusrError, OSError) as error:
            complain(f"error: {error}")
            return BAD_INPUT
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            complain("error: not enough memory for images of this size")
            return BAD_INPUT
