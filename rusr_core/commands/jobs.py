"""Which files a command reads and which it writes; what cannot be used is known before the work begins."""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rusr_core import files
from rusr_core.commands.memory import reason_of
from rusr_core.commands.options import CommandError
from rusr_core.commands.output import complain, complain_of_left_out, say, tell_of_hidden
from rusr_core.decoding import READABLE_SUFFIXES, list_images
from rusr_core.errors import RusrError
from rusr_core.files import FileError
from rusr_core.images import check_writable
from rusr_core.photos.records import is_same_work, record_path

HELD = 2**30  # bytes of decoded inputs that are kept; what is beyond is decoded a second time when its turn comes


@dataclass(frozen=True)
class Job:
    """One image to be read and one to be written."""

    source: Path
    target: Path


def find_jobs(args: argparse.Namespace, *, recorded: bool = False) -> tuple[list[Job], int]:
    """The jobs that IN and OUT mean, checked: inputs exist, outputs can be written, and with `recorded` OUT.json, too.

    -> the jobs, and how many others --skip-existing found done. Says what is left out.
    """
    if not args.input.exists():
        raise CommandError(f"{args.input}: no such file or folder")
    if args.input.is_dir():
        jobs = _jobs_of_folder(args)
    else:
        tell_of_file(args)
        jobs = [Job(args.input, args.output / f"{args.input.stem}.png" if args.output.is_dir() else args.output)]
    wanted = len(jobs)
    if args.skip_existing:
        jobs = [job for job in jobs if not job.target.exists()]
        if len(jobs) < wanted:
            say(f"{wanted - len(jobs)} of {wanted} images exist already and are left out")
    if args.input.is_dir() and not args.output.absolute().parent.is_dir():
        raise FileError(f"{args.output}: the folder {args.output.parent} does not exist")
    check_writable(*(job.target for job in jobs), force=args.force, new_folders=args.input.is_dir())
    records = [record_path(job.target) for job in jobs] if recorded else []
    files.check_writable(*records, force=args.force, new_folders=args.input.is_dir())
    return jobs, wanted - len(jobs)


def _jobs_of_folder(args: argparse.Namespace) -> list[Job]:
    listing = list_images(args.input, recursive=args.recursive)
    own = _real(args.output)  # results of an earlier run are no inputs
    inside = own != _real(args.input)
    sources = [path for path in listing.images if not (inside and own in _real(path).parents)]
    left_out = [path for path in listing.left_out if _real(path) != own]
    tell_of_left_out(args.input, left_out, listing.hidden, args.recursive)
    if not sources:
        raise CommandError(f"{args.input}: no images in this folder ({', '.join(READABLE_SUFFIXES)})")
    targets: dict[Path, Path] = {}
    for path in sources:
        target = args.output / path.relative_to(args.input).with_suffix(".png")
        if target in targets:
            raise CommandError(f"{targets[target]} and {path} would both be written to {target}")
        targets[target] = path
    return [Job(source, target) for target, source in targets.items()]


def tell_of_file(args: argparse.Namespace) -> None:
    """Say it where --recursive has nothing to enter."""
    if args.recursive:
        complain(f"--recursive changes nothing: {args.input} is a file")


def tell_of_left_out(folder: Path, left_out: Sequence[Path], hidden: int, recursive: bool) -> None:
    """Name what lies in a folder and is not read, and say how many files are hidden."""
    hint = "; --recursive enters folders" if any(path.is_dir() for path in left_out) and not recursive else ""
    names = [f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}" for path in left_out]
    complain_of_left_out(names, f"read are {', '.join(READABLE_SUFFIXES)}{hint}")
    tell_of_hidden(hidden)


def check_beside(args: argparse.Namespace, jobs: Sequence[Job], beside: Callable[[Job], Sequence[Path]]) -> None:
    """Before the work: what goes `beside` the picture of a job can be written, and is no other's name.

    Raises CommandError and FileError.
    """
    taken = {job.target: job for job in jobs}
    for job in jobs:
        for path in beside(job):
            other = taken.setdefault(path, job)
            if other is not job:
                raise CommandError(f"{other.source} and {job.source} would both be written to {path}")
    if not args.skip_existing:  # what it leaves out it has looked at already
        check_writable(*(path for job in jobs for path in beside(job)), force=args.force, new_folders=True)


def check_left(args: argparse.Namespace, places: Sequence[Path], work: Callable[[], Mapping[str, object]]) -> None:
    """Before the work on a picture that --skip-existing has not found: what lies at the `places` beside it, as a run
    that was killed leaves it, is a part of the same `work`. Raises FileError for a part of another, or of none.
    """
    there = [path for path in places if args.skip_existing and path.exists()]
    if there and not args.force:
        known = work()
        check_writable(*(path for path in there if not is_same_work(path, known)))


def _real(path: Path) -> Path:
    """Where a path leads; unlike `Path.resolve`, this says nothing against a link to itself, which is a bad input."""
    return Path(os.path.realpath(path))


class Input(Protocol):
    """A tensor, or what holds several."""

    nbytes: int


class Inputs:
    """The inputs of jobs, read once: when they are checked, or, beyond `HELD` bytes, once more at their turn."""

    def __init__(self, read: Callable[[Job], Input]):
        """`read`: the input of a job, or a RusrError."""
        self.read, self.held, self.bytes = read, {}, 0

    def check(self, jobs: Sequence[Job], skip_bad: bool, done: int = 0) -> list[Job]:
        """The jobs whose input can be used. All others are named; with `skip_bad` they are left out.

        Raises CommandError for bad inputs without `skip_bad`, and if no input can be used and none was `done` before.
        """
        bad = {}
        for job in jobs:
            try:
                x = self.read(job)
            except (RusrError, MemoryError, RuntimeError) as error:
                bad[job] = reason_of(error, job.source)
            else:
                if self.bytes + x.nbytes <= HELD:
                    self.held[job] = x
                    self.bytes += x.nbytes
        if len(bad) == 1 and not skip_bad:
            raise CommandError(next(iter(bad.values())))
        for reason in bad.values():
            complain(f"left out: {reason}" if skip_bad else reason)
        if bad and (not skip_bad or len(bad) == len(jobs) + done):
            ways = "" if skip_bad else "; --skip-bad goes on without them"
            raise CommandError(f"{len(bad)} of {len(jobs) + done} images cannot be used{ways}")
        return [job for job in jobs if job not in bad]

    def take(self, job: Job) -> Input:
        """The input of a job whose turn has come."""
        if job not in self.held:
            return self.read(job)
        x = self.held.pop(job)
        self.bytes -= x.nbytes
        return x


def batches(jobs: Sequence[Job], size: int, key: Callable[[Job], object]) -> Iterator[list[Job]]:
    """Neighbours of one `key`, at most `size` at once."""
    batch: list[Job] = []
    for job in jobs:
        if batch and (len(batch) == size or key(job) != key(batch[0])):
            yield batch
            batch = []
        batch.append(job)
    if batch:
        yield batch
