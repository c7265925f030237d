"""How a program ends: bad input is one line and status 2, Ctrl-C 130; a defect is not hidden."""

import os
import sys

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


@pytest.mark.parametrize("status", [0, 1])
def test_a_reader_that_is_gone_before_the_output_is_written(status, monkeypatch, capsys):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:  # whose buffer holds the line until the work is done
        monkeypatch.setattr(sys, "stdout", stream)
        assert ended(lambda: print("one line") or status) == (status or 141)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's full device")
@pytest.mark.parametrize("lines", [1, 10_000])
def test_a_full_disk_is_one_line(lines, monkeypatch, capsys):
    with open("/dev/full", "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert ended(lambda: print("a line\n" * lines)) == 2
    assert capsys.readouterr().err == "rusr: error: [Errno 28] No space left on device\n"


def test_a_program_without_an_output(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert ended(lambda: print("nowhere")) == 0
