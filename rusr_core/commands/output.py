"""What the commands print: whole lines beside a progress bar, and file names of any bytes."""

import codecs
import contextlib
import sys
import unicodedata
import warnings
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from rusr_core.decoding import DecodingWarning
from rusr_core.errors import shown_once

NAMED = 10  # of what is left out


def say(text: str) -> None:
    """One line on stdout."""
    tqdm.write(one_line(text), file=sys.stdout)


def complain(text: str) -> None:
    """One line on stderr."""
    tqdm.write(one_line(f"rusr: {text}"), file=sys.stderr)


def complain_of_left_out(names: Sequence[str], why: str) -> None:
    """Name what is left out, if anything is, on one line of stderr: `NAMED` of it, and how many more."""
    if names:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        complain(f"left out: {', '.join(names[:NAMED])}{more} ({why})")


def tell_of_hidden(num: int) -> None:
    """Say how many hidden files of a folder are left out, if there are any."""
    if num:
        complain(f"left out: {num} hidden {'file' if num == 1 else 'files'}")


def one_line(text: str) -> str:
    """`text` with its control characters escaped: a file may have a line break in its name, or codes of a terminal."""
    return "".join(letter if unicodedata.category(letter) != "Cc" else repr(letter)[1:-1] for letter in text)


def _printable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Bytes of file names that are no text are printed as they are; letters that stdout does not know, escaped."""
    part = error.object[error.start : error.end]
    if all(0xDC80 <= ord(letter) <= 0xDCFF for letter in part):
        return bytes(ord(letter) - 0xDC00 for letter in part), error.end
    return codecs.backslashreplace_errors(error)


codecs.register_error("rusr.printable", _printable)


def _show(message: Warning, *_args: object, **_options: object) -> None:
    """A warning as one line."""
    complain(f"warning: {message}")


@contextlib.contextmanager
def readable_output() -> Iterator[None]:
    """For the duration, any file name can be printed, and a warning is one line on stderr."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if hasattr(stream, "reconfigure")]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="rusr.printable")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = shown_once(DecodingWarning, _show)  # a file is read more than once
            yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            stream.reconfigure(errors=errors)
