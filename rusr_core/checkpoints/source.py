"""The bytes of a checkpoint, and the one line that says what is wrong with them."""

import mmap
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rusr_core.errors import RusrError


class CheckpointError(RusrError):
    """A file that is no checkpoint this library reads, is damaged, or asks for what is refused."""


# What parsers of the standard library and torch raise on bytes that make no sense
DAMAGE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    EOFError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)


@contextmanager
def reading(path: str | Path, explain: Callable[[], str] | None = None) -> Iterator[None]:
    """Turn whatever the bytes of `path` make a parser raise into a CheckpointError of one line that names the file.

    `explain` may know better than the parser: what it returns, if anything, is said instead.
    """
    try:
        yield
    except RusrError as error:
        reason = str(error)
    except MemoryError:
        reason = "not enough memory to read it"
    except DAMAGE as error:
        reason = f"damaged ({type(error).__name__}: {str(error)[:120]})"
    else:
        return
    better = explain() if explain is not None else ""
    raise CheckpointError(" ".join(f"{Path(path).name}: {better or reason}".split())) from None


def map_file(path: str | Path) -> memoryview:
    """The bytes of a file, mapped rather than read; what is written to them does not reach the file.

    Missing or empty: CheckpointError.
    """
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise CheckpointError(f"{path}: the file is empty")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))  # torch warns of a read-only buffer
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error
