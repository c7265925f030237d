"""Files that have been read whole once and need not be read again, told by their size and time of change.

Starting a sweep again must find out which results are there, whole. Reading every picture and comparing its checksums
takes minutes for thousands of large ones, so each result gets a stamp when it has been written or checked: a line in
`stamps.jsonl` with its path, size and time of change. A file that still has the size and time of its stamp is taken as
it was; any other (cut off, written to, copied without its times, or never stamped) is read whole.

What this does not notice is damage that changes neither size nor time of change, such as a disk that returns other
bits. `rusr bench --verify` reads every result whole.
"""

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from rusr_core.files import json_value
from rusr_core.sweeps.claims import StorageError, claim

STAMPS = "stamps.jsonl"

Stamp = tuple[int, int]  # size in bytes, time of change in ns


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now. Raises OSError."""
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def read_stamps(folder: Path) -> dict[str, tuple[Stamp, object]]:
    """All stamps of a folder by name, each with what was noted of the file. Lines cut off by a crash are left out."""
    found = {}
    with (
        suppress(FileNotFoundError, NotADirectoryError),
        open(folder / STAMPS, encoding="utf-8", errors="replace") as file,
    ):
        for line in file:
            with suppress(ValueError, TypeError):
                name, size, changed, note = json_value(line)
                found[name] = (size, changed), note
    return found


def add_stamps(folder: Path, stamps: Mapping[str, tuple[Stamp, object]]) -> None:
    """Append stamps. Raises StorageError (disk full, ...)."""
    if not stamps:
        return
    lines = [json.dumps([name, *stamp, note]) for name, (stamp, note) in stamps.items()]
    try:
        # the first line feed ends a line that a killed process may have left half-written
        with claim(folder, STAMPS, wait=True), open(folder / STAMPS, "a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(lines) + "\n")
    except OSError as error:
        raise StorageError(f"{folder / STAMPS}: cannot be written ({error.strerror or error})") from error


class CheckedFiles:
    """Which files of a folder are whole, by their stamps where these hold and by `check` where they do not.

    `check(path)` reads a file whole and returns what to note of it, or None if it is damaged. Stamps lie in the folder
    `store`, by default that of the files; `save` adds the new ones. With `verify` no stamp is trusted.
    """

    def __init__(
        self, folder: Path, check: Callable[[Path], object], *, store: Path | None = None, verify: bool = False
    ):
        self.folder, self.check, self.store = folder, check, store or folder
        self.prefix = "" if store is None else f"{folder}/"
        self.known = {} if verify else read_stamps(self.store)
        self.new: dict[str, tuple[Stamp, object]] = {}
        self.listings: dict[str, dict[str, Stamp]] = {}

    def note(self, name: str) -> object:
        """What is noted of the file `name`, a path below the folder with "/"; None if it is missing or damaged."""
        below, _, last = name.rpartition("/")
        if below not in self.listings:
            self.listings[below] = _listing(self.folder / below)
        stamp = self.listings[below].get(last)
        if stamp is None:
            return None
        known = self.known.get(self.prefix + name)
        if known is not None and known[0] == stamp:
            return known[1]
        note = self.check(self.folder / name)
        if note is not None:
            self.new[self.prefix + name] = self.known[self.prefix + name] = (stamp, note)
        return note

    def save(self) -> None:
        """Store the stamps of the files that were read."""
        add_stamps(self.store, self.new)
        self.new = {}


def _listing(folder: Path) -> dict[str, Stamp]:
    """Size and time of change of the files in a folder, by name: one reading of it instead of a look at each file."""
    found = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                about = entry.stat()
                found[entry.name] = about.st_size, about.st_mtime_ns
    return found
