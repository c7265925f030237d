"""Memory on a CPU: what a step of the search frees, the next step takes again.

The C library of Linux (glibc) gives large blocks back to the system as soon as they are free, and the system hands
them out anew page by page, filled with zeros. A search frees and takes the same few hundred megabytes in every step; on
two cores that was up to a fifth of a step's time.
"""

import ctypes
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt(3), malloc.h
LARGEST = 32 << 20  # bytes: what glibc allows at most for blocks that come from its own heap
KEPT = 1 << 30  # bytes of free memory at the end of the heap that a process keeps


@cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep up to `KEPT` bytes for the process's own use; False where there is no glibc.

    It holds for the whole process and for blocks of up to `LARGEST` bytes. Nothing but time depends on it.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS and musl have none; Windows cannot open the process itself
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT)) and bool(mallopt(MMAP_THRESHOLD, LARGEST))
