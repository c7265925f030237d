"""Telling bad input and a lack of memory from a defect."""

from pathlib import Path

from rusr_core.errors import RusrError, out_of_memory


def reason_of(error: Exception, source: Path, lack: str = "not enough memory for an image of this size") -> str:
    """Why the file `source` cannot be used, in one line that names it. Raises `error` again if it is a defect."""
    if out_of_memory(error):
        return f"{source}: {lack}"
    if not isinstance(error, RusrError):
        raise error
    return str(error) if str(source) in str(error) else f"{source}: {error}"
