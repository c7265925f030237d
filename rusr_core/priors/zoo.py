"""The zoo: priors and networks by name, with the address that an official README publishes for each, where one does.

The table is data/zoo.toml.
"""

import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from rusr_core.errors import RusrError
from rusr_core.files import cache_dir, data_path
from rusr_core.priors import downloads

EMBEDDED = "portraits-128"


class ZooError(RusrError):
    """A prior or network that the zoo does not know, or cannot get."""


@dataclass(frozen=True)
class Entry:
    """One line of the table. Empty `url`: no address could be verified, supply a path or put the file at `path`."""

    name: str
    kind: str  # "prior", "identity" or "perceptual"
    title: str
    license: str
    source: str  # where the address is published
    url: str
    sha256: str  # as published, perhaps only its first digits; empty: pinned at the first download
    size: str  # as published
    domain: str = "faces"
    resolution: int | None = None
    faces: bool = True
    rates: str = ""  # "published": the learning rates of the presets were chosen for this network, which keeps them
    mapping_sha256: str = ""  # of its mapping network (w_std.mapping_digest), which tells it in any kind of file

    @property
    def path(self) -> Path:
        """Where the file lies, or would: downloaded, torchvision's where torchvision puts it, or put there by hand."""
        if not self.url:
            return cache_dir() / self.name / "weights"
        if self.kind == "perceptual":
            return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rsplit("/", 1)[-1]
        return cache_dir() / self.name / self.url.rsplit("/", 1)[-1]


def table() -> dict[str, Entry]:
    """The zoo by name: generators, then identity networks."""
    with open(data_path("zoo.toml"), "rb") as file:
        kinds = tomllib.load(file)
    rows = [(kind, name, row) for kind, entries in kinds.items() for name, row in entries.items()]
    return {name: Entry(name=name, kind=kind, **row) for kind, name, row in rows}


def at_path(path: Path) -> Entry | None:
    """The entry whose download lies at `path`."""
    there = path.resolve()
    return next((entry for entry in table().values() if entry.path.resolve() == there), None)


def fetch(name: str) -> Path:
    """The file of an entry, downloaded on first use (see `downloads.fetch`). No address, and no file there: ZooError.

    A download shows a progress bar on a terminal, and says on stderr when it pinned a hash that nobody states.
    """
    entry = find(name)
    if not entry.url:
        if not entry.path.exists():
            about = f"put its file at {entry.path} ({entry.title}; {entry.source})"
            raise ZooError(f"{name} has no verified address: supply a path, or {about}")
        downloads.verify(entry.path, entry.sha256)
        return entry.path
    new = not entry.path.exists()
    with tqdm(unit="B", unit_scale=True, desc=name, leave=False, disable=not new or None) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = downloads.fetch(entry.url, entry.path, entry.sha256, progress)
    if new and not entry.sha256:
        print(f"{name}: no publisher states a SHA-256; pinned {found} at this first download", file=sys.stderr)
    return entry.path


def find(name: str, kind: str = "") -> Entry:
    """One entry of the table; a name that is not in it is an error that lists those that are."""
    known = {n: e for n, e in table().items() if e.kind.startswith(kind)}
    if name not in known:
        what = "a file and no name of" if os.path.isfile(name) else "neither a file nor in"
        raise ZooError(f"{name!r} is {what} the zoo: {', '.join([EMBEDDED, *known])}")
    return known[name]
