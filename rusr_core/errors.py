"""The one exception that a user of the library has to catch, and the one warning."""

from collections.abc import Callable

SIGNS = ("out of memory", "allocate memory", "not enough memory", "bad_alloc")


class RusrError(ValueError):
    """Bad input or bad data. The message is one line: what was found and what was expected."""


class RusrWarning(UserWarning):
    """Something that was asked for and does not act, or a result that is not what it seems. One line, as an error's."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was asked for and not given, on the CPU or a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)
    )


def in_a_line(error: BaseException) -> str:
    """The kind of an error and the first line of what it says, for errors of somebody's own code."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"


def shown_once(kind: type[Warning], show: Callable[..., None]) -> Callable[..., None]:
    """`show`, a `warnings.showwarning`, that shows each text of warnings of this kind once.

    No filter does that: Python forgets what it has shown whenever the filters change, and they change for each picture
    that is read by this library.
    """
    told: set[str] = set()

    def once(message: Warning, *args: object, **options: object) -> None:
        if not isinstance(message, kind) or str(message) not in told:
            show(message, *args, **options)
        told.add(str(message))

    return once
