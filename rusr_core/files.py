"""Where files lie (the project's data, the cache of downloads), and the one way in which files are written."""

import contextlib
import errno
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from rusr_core.errors import RusrError
from rusr_core.limits import shown

NO_FOLDER_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)  # file systems on which only files can be synchronised

LONGEST = 255  # bytes of a name, on nearly all file systems


class DataError(RusrError):
    """A file of the project's own data that is not installed."""


class FileError(RusrError):
    """A file that cannot be written: its folder, its name, its permissions, or the disk."""


class FileExistsAlreadyError(FileError):
    """A file that would have to be overwritten, which was not asked for."""


def data_path(relative: str) -> Path:
    """A file of the project's `data/` folder, in a checkout or in an installed wheel. Missing: DataError."""
    here = Path(__file__).resolve().parent
    for folder in (here / "_data", here.parent / "data"):
        if (folder / relative).exists():
            return folder / relative
    raise DataError(f"data file {relative!r} is not installed, expected it in {here / '_data'}")


def as_path(value: object, error: type[RusrError] = FileError) -> Path:
    """The path that a text or a path-like object names. Raises `error` for anything else."""
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise error(f"a file is {shown(value)}: expected its path")
    return Path(value)


def cache_dir() -> Path:
    """Downloads and computed sizes: `rusr` beside torch's own hub folder (TORCH_HOME, XDG_CACHE_HOME)."""
    return Path(torch.hub.get_dir()).parent / "rusr"


def write_atomic(path: str | Path, data: bytes, *, overwrite: bool = True) -> Path:
    """Write a file that appears complete or not at all, also after a power cut; the folder must exist.

    Threads and processes that write one path at the same time leave one of the files, whole. The file gets the
    permissions of an ordinary new file (the umask), or keeps those of the file that it replaces; a symbolic link is
    followed. With `overwrite=False` a file that is there already stays as it is.

    Returns the path. Raises `FileError` (disk full, no permission, ...), and `FileExistsAlreadyError` for a file that
    may not be overwritten; both name `path`, and nothing is left behind.
    """
    path = Path(path)
    try:
        place = Path(os.path.realpath(path))
        descriptor, temporary = _open_temporary(place.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with contextlib.suppress(OSError):  # a new file, or one whose permissions cannot be copied
                    os.chmod(temporary, place.stat().st_mode & 0o777)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _move(temporary, place, overwrite)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        _sync_folder(place.parent)
    except FileExistsError:
        raise FileExistsAlreadyError(f"{path}: exists already; force (--force) overwrites it") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise FileError(f"{path}: cannot be written ({_reason(error)})") from error
    return path


def replace_folder(folder: Path, made: Path, aside: Path) -> None:
    """Give the folder `made` the name of `folder`. What is there goes `aside`, and back again if that fails or is
    interrupted. All three lie on one file system. Raises OSError.
    """
    if not folder.exists():
        made.rename(folder)
        return
    try:
        folder.rename(aside)
        made.rename(folder)
    finally:
        if aside.exists() and not folder.exists():
            aside.rename(folder)


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Inside, an empty folder to be filled; at the end it gets the name of `folder`, complete, in the place of what is
    there. What is left early, by an error or Ctrl-C, leaves no trace. The folder above must exist.

    Raises FileError, which names the file of `folder` that could not be written, or `folder` where that is not known.
    """
    filled, place = False, folder
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
            place = Path(temporary) / "new"
            place.mkdir()
            yield place
            filled = True
            replace_folder(folder, place, Path(temporary) / "old")
    except FileError as error:
        raise FileError(str(error).replace(str(place), str(folder))) from error
    except OSError as error:
        named = folder if filled or place == folder else Path(error.filename or place)
        if named != folder and not named.is_relative_to(place):  # of the caller's own, perhaps a file that was read
            raise
        named = str(named).replace(str(place), str(folder))
        raise FileError(f"{named}: cannot be written ({_reason(error)})") from error


def check_writable(*paths: str | Path, force: bool = False, new_folders: bool = False) -> None:
    """Raise `FileError` if `write_atomic` could not write one of `paths`, before any work is done for them.

    Looks at the length of the name, at the folder (a file is made in it and removed again, once a folder), and at
    what is there already, which may only be overwritten with `force`. The folder must exist; with `new_folders` it
    may be yet to be made, and the nearest folder above it is tried.
    """
    tried = set()
    for path in map(Path, paths):
        try:
            folder = _check_name(path, force, new_folders)
            if folder not in tried:
                descriptor, temporary = _open_temporary(folder)  # access() knows no quotas
                os.close(descriptor)
                temporary.unlink()
                tried.add(folder)
        except RusrError:
            raise
        except (OSError, ValueError) as error:
            raise FileError(f"{path}: cannot be written ({_reason(error)})") from error


def with_ending(path: Path, ending: str) -> Path:
    """NAME and `ending` for NAME.png, NAME cut off where that would be too long."""
    stem = os.fsencode(path.stem)[: LONGEST - len(os.fsencode(ending))]
    while stem and not _is_whole(stem):  # not in the middle of a letter
        stem = stem[:-1]
    return path.with_name(os.fsdecode(stem) + ending)


def _is_whole(stem: bytes) -> bool:
    try:
        stem.decode()
        return True
    except UnicodeDecodeError as error:
        return error.end < len(stem)  # bytes that are no text anywhere else were there before


def _check_name(path: Path, force: bool, new_folders: bool) -> Path:
    """The folder in which `path`, or the first of its missing folders, has to be made."""
    folder = Path(os.path.realpath(path)).parent
    if not path.parent.is_dir():
        folder = next(above for above in path.absolute().parents if os.path.lexists(above))
        if not folder.is_dir():
            raise FileError(f"{path}: cannot be written ({folder} is not a folder)")
        if not new_folders:
            raise FileError(f"{path}: the folder {path.parent} does not exist")
        longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
        if max(len(os.fsencode(part)) for part in path.absolute().relative_to(folder).parts) > longest:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return folder
    try:
        there = path.stat()  # raises for a name that is too long
    except FileNotFoundError:
        return folder
    if stat.S_ISDIR(there.st_mode):
        raise FileError(f"{path}: is a folder")
    if not force:
        raise FileExistsAlreadyError(f"{path}: exists already; force (--force) overwrites it")
    if not stat.S_ISREG(there.st_mode):
        raise FileError(f"{path}: is not an ordinary file")
    return folder


def _open_temporary(folder: Path) -> tuple[int, Path]:
    """A new empty file in `folder`, open for writing, with the permissions that the umask leaves.

    Its name is short whatever the name of the file it becomes, and nobody else's.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    while True:
        path = folder / f".{secrets.token_hex(6)}.tmp"
        with contextlib.suppress(FileExistsError):
            return os.open(path, flags, 0o666), path


def _move(temporary: Path, path: Path, overwrite: bool) -> None:
    """Give the file its name; FileExistsError if it is taken and may not be overwritten."""
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # unlike a renaming, this refuses a name that is taken
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError from None
        os.replace(temporary, path)


def _sync_folder(folder: Path) -> None:
    """Make the new name last, too, where folders can be opened (not on Windows) and synchronised."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    """Why, without the name of the temporary file."""
    return getattr(error, "strerror", None) or str(error)


def json_value(text: str | bytes) -> object:
    """What `text` holds as JSON. ValueError for anything else, be it no JSON or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def json_object(text: str | bytes) -> dict:
    """The object that `text` holds as JSON. ValueError for anything else, be it no JSON or nested too deeply."""
    found = json_value(text)
    if not isinstance(found, dict):
        raise ValueError(f"holds a {type(found).__name__}, expected an object")
    return found
