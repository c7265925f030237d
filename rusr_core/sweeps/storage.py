"""Files that are complete or absent, and claims that end with the process that holds them.

A result is an ordinary PNG picture whose text chunk `rusr` holds its record as JSON: one file, one rename, and PNG's
own checksums tell a damaged file. Claims are POSIX locks on bytes of one file, one byte a unit: the kernel drops them
when a process dies, however it dies, so that there is no stale claim to detect; they work between machines on network
file systems that support them.
"""

import hashlib
import io
import json
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import PngImagePlugin
from torch import Tensor

from rusr_core import files
from rusr_core.errors import RusrError
from rusr_core.images import to_pil

try:
    import fcntl
except ImportError:  # Windows; `claim` says so
    fcntl = None

SIGNATURE = b"\x89PNG\r\n\x1a\n"
KEYWORD = b"rusr"
CLAIMS = ".claims"


class StorageError(RusrError):
    """A file cannot be written or locked: the sweep stops, and can be resumed."""


def write_atomic(path: Path, data: bytes) -> None:
    """`files.write_atomic`, the folders included. Raises StorageError (disk full, ...)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomic(path, data)
    except (files.FileError, OSError) as error:
        raise StorageError(str(error)) from error


def write_json(path: Path, value: object) -> None:
    """`value` as a JSON file, see `write_atomic`."""
    write_atomic(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def write_result(path: Path, image: Tensor, record: dict) -> None:
    """One image [1, 3, H, W] in [0, 1] as an 8-bit PNG that carries `record`, see `write_atomic`."""
    info = PngImagePlugin.PngInfo()
    info.add_text(KEYWORD.decode(), json.dumps(record, sort_keys=True))
    file = io.BytesIO()
    to_pil(image).save(file, "PNG", pnginfo=info)
    write_atomic(path, file.getvalue())


def read_record(path: Path) -> dict | None:
    """The record of a result file; None if there is no such file, or it is damaged or of another kind."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    record, kind, at = None, b"", len(SIGNATURE)
    if not data.startswith(SIGNATURE):
        return None
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        if zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, "big") != checksum:
            return None
        if kind == b"tEXt" and body.startswith(KEYWORD + b"\0"):
            record = json.loads(body[len(KEYWORD) + 1 :])
        at += 12 + length
    return record if kind == b"IEND" and at == len(data) else None


def digest(*parts: bytes) -> str:
    """SHA-256 of the parts."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part)
    return sha.hexdigest()


class _Claims:
    """The claims of this process on one folder. POSIX locks belong to processes, `held` keeps its threads apart."""

    def __init__(self, path: Path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
        self.path, self.held, self.free = path, set(), threading.Condition()

    def take(self, key: int, wait: bool) -> bool:
        with self.free:
            while key in self.held:
                if not wait:
                    return False
                self.free.wait()
            self.held.add(key)
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB), 1, key)
            return True
        except BlockingIOError:
            self._forget(key)
            return False
        except OSError as error:
            self._forget(key)
            raise StorageError(f"{self.path}: this file system has no locks ({error.strerror or error})") from error

    def leave(self, key: int) -> None:
        fcntl.lockf(self.fd, fcntl.LOCK_UN, 1, key)
        self._forget(key)

    def _forget(self, key: int) -> None:
        with self.free:
            self.held.discard(key)
            self.free.notify_all()


# Closing any descriptor of a file drops all POSIX locks of the process on it: so each process opens it once, for good.
_OPEN: dict[tuple[int, Path], _Claims] = {}
_OPENING = threading.Lock()


@contextmanager
def claim(folder: Path, name: str, *, wait: bool = False) -> Iterator[bool]:
    """Whether this thread holds `name` in `folder` for the duration: nobody else does. `wait`: until it is free."""
    if fcntl is None:
        raise StorageError("benchmarks need POSIX file locks, which this system does not have")
    with _OPENING:
        place = (os.getpid(), folder.resolve() / CLAIMS)
        if place not in _OPEN:
            _OPEN[place] = _Claims(place[1])
        claims = _OPEN[place]
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7], "big")  # below the largest file offset
    mine = claims.take(key, wait)
    try:
        yield mine
    finally:
        if mine:
            claims.leave(key)


def agree(folder: Path, wanted: dict, grows: tuple[str, ...]) -> None:
    """Make `bench.json` of `folder` say `wanted`, or raise StorageError naming what differs from what it says.

    The dictionaries under the names `grows` may gain entries.
    """
    path = folder / "bench.json"
    wanted = json.loads(json.dumps(wanted))  # as it will be read: lists for tuples
    with claim(folder, "bench.json", wait=True):
        known = _read_manifest(path)
        if known is None:
            if any(p.name != CLAIMS and p.suffix != ".tmp" for p in folder.iterdir()):
                raise StorageError(f"{folder}: is not empty and holds no bench.json; choose a new folder")
            write_json(path, wanted)
            return
        wrong = list(differences(known, wanted, grows))
        if wrong:
            more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
            raise StorageError(f"{folder}: holds results of another configuration: {'; '.join(wrong[:3])}{more}")
        merged = {key: known[key] | wanted[key] if key in grows else known[key] for key in known}
        if merged != known:
            write_json(path, merged)


def manifest(folder: Path) -> dict:
    """What `bench.json` of a folder says. Raises StorageError if it is none of ours."""
    known = _read_manifest(folder / "bench.json")
    if known is None:
        raise StorageError(f"{folder}: holds no bench.json, expected the folder of `rusr bench`")
    return known


def _read_manifest(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{path}: cannot be read ({error}); its results cannot be resumed") from error


def differences(known: object, wanted: object, grows: tuple[str, ...] = (), name: str = "") -> Iterator[str]:
    """Lines that name what differs; the entries of the dictionaries `grows` need not be in both."""
    if isinstance(known, dict) and isinstance(wanted, dict):
        keys = known.keys() & wanted.keys() if name in grows else known.keys() | wanted.keys()
        for key in sorted(keys):
            yield from differences(known.get(key), wanted.get(key), grows, f"{name}.{key}" if name else key)
    elif isinstance(known, list) and isinstance(wanted, list) and len(known) == len(wanted):
        for i, (a, b) in enumerate(zip(known, wanted, strict=True)):
            yield from differences(a, b, grows, f"{name}[{i}]")
    elif known != wanted:
        short = [f"{text[:24]}..." if len(text := json.dumps(v)) > 40 else text for v in (known, wanted)]
        yield f"{name} was {short[0]}, is now {short[1]}"
