"""How a program ends: bad input is one line and status 2, Ctrl-C 130; a defect is not hidden."""

import pytest

from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError


def raising(error: BaseException):
    def work():
        raise error

    return work


def test_what_the_work_returns_is_the_status():
    assert ended(lambda: None) == 0 and ended(lambda: 1) == 1 and ended(lambda: 130) == 130


@pytest.mark.parametrize(
    "error, status, words",
    [
        (CommandError("no such thing"), 2, "rusr: error: no such thing\n"),
        (FileNotFoundError(2, "No such file", "a\nb"), 2, "rusr: error: [Errno 2] No such file: 'a\\nb'\n"),
        (MemoryError(), 2, "rusr: error: not enough memory for images of this size\n"),
        (RuntimeError("CUDA out of memory"), 2, "rusr: error: not enough memory for images of this size\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_one_line(error, status, words, capsys):
    assert ended(raising(error)) == status
    assert capsys.readouterr() == ("", words)


@pytest.mark.parametrize("error", [ValueError("a defect"), RuntimeError("a defect"), SystemExit(3)])
def test_a_defect_is_raised(error):
    with pytest.raises(type(error)):
        ended(raising(error))
