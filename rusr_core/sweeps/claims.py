"""Claims on names in a folder, which end with the process that holds them, however it dies.

A claim is a POSIX lock on one byte of one file, one byte a name: the kernel drops it when the process dies, so that
there is no stale claim to detect; it works between machines on network file systems that support such locks. POSIX
locks belong to processes, so a table in memory keeps the threads of a process apart.

Whoever waits for a claim asks again and again and never sleeps inside the kernel. The kernel looks for deadlocks
between processes and knows nothing of their threads: if a thread of A waits for what B holds while another thread of
B waits for what A holds, a blocking request fails with EDEADLK although all of them will go on.
"""

import contextlib
import errno
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rusr_core.errors import RusrError

try:
    import fcntl
except ImportError:  # Windows; `claim` says so
    fcntl = None

CLAIMS = ".claims"
BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK, errno.EINTR)  # held by somebody else, or disturbed: ask again
UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1  # s between two requests; it doubles


class StorageError(RusrError):
    """A file of a sweep cannot be written, read or locked: the sweep stops, and can be resumed."""


class _ClaimsFile:
    """The claims of this process on one folder."""

    def __init__(self, path: Path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(f"{path}: cannot be opened ({error.strerror or error})") from error
        self.path, self.holders, self.changed = path, {}, threading.Condition()

    def is_current(self) -> bool:
        """Whether the path still leads to the open file: the folder may have been deleted and made again."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self.descriptor))
        except OSError:
            return False

    def take(self, key: int, holder: object, wait: bool) -> bool:
        """Make `holder` the only one who holds `key`; -> whether it is. Any exception leaves the key as it was."""
        with self.changed:
            while key in self.holders:
                if not wait:
                    return False
                self.changed.wait()
            self.holders[key] = holder
        pause = FIRST_PAUSE
        try:
            while not self._lock(key):
                if not wait:
                    self._forget(key, holder)
                    return False
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        except BaseException:  # Ctrl-C, too
            self._forget(key, holder)
            raise
        return True

    def release(self, key: int, holder: object) -> None:
        """Give `key` back if `holder` has it."""
        if self.holders.get(key) is holder:
            try:
                fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, key)
            finally:
                self._forget(key, holder)

    def _lock(self, key: int) -> bool:
        """Ask the kernel once; -> whether the lock is ours."""
        try:
            fcntl.lockf(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, key)
            return True
        except OSError as error:
            if error.errno in BUSY:
                return False
            reason = os.strerror(error.errno) if error.errno else str(error)
            if error.errno in UNSUPPORTED:
                raise StorageError(f"{self.path}: this file system has no locks ({reason})") from error
            raise StorageError(f"{self.path}: cannot be locked ({reason})") from error

    def _forget(self, key: int, holder: object) -> None:
        with self.changed:
            if self.holders.get(key) is holder:
                del self.holders[key]
            self.changed.notify_all()


# Closing any descriptor of a file drops all POSIX locks of the process on it: so each process opens it once, for good.
_OPEN: dict[Path, _ClaimsFile] = {}
_OPENING = threading.Lock()


def _after_fork() -> None:
    """A forked child holds no claim of its parent, whose other threads may have been inside `_OPENING`."""
    global _OPENING
    _OPENING = threading.Lock()
    for file in _OPEN.values():
        with contextlib.suppress(OSError):
            os.close(file.descriptor)
    _OPEN.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _claims_file(folder: Path) -> _ClaimsFile:
    with _OPENING:
        path = folder.resolve() / CLAIMS
        if path not in _OPEN or not _OPEN[path].is_current():
            _OPEN[path] = _ClaimsFile(path)
        return _OPEN[path]


@contextmanager
def claim(folder: Path, name: str, *, wait: bool = False) -> Iterator[bool]:
    """Hold `name` in `folder` for the duration, so that no other thread, process or machine does.

    Yields whether the claim is ours; with `wait` it always is, once it is free. Raises `StorageError` where locks do
    not work. An interruption while waiting (Ctrl-C) leaves nothing claimed.
    """
    if fcntl is None:
        raise StorageError("sweeps need POSIX file locks, which this system does not have")
    file, holder = _claims_file(folder), object()
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")  # below the largest file offset
    try:
        yield file.take(key, holder, wait)
    finally:
        file.release(key, holder)
