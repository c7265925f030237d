"""The degradations that are estimated from the files, where neither --task nor --degradation nor --mask says them."""

import argparse
import re
from pathlib import Path

from torch import Tensor

from rusr_core.commands.options import CommandError
from rusr_core.commands.output import say
from rusr_core.degradations.base import Degradation
from rusr_core.photos.estimate import Estimate, estimate


def nothing_said(args: argparse.Namespace) -> bool:
    """Whether no option says what was done to the images. Raises CommandError for options that then mean nothing."""
    if args.task is not None or args.degradation is not None or args.mask is not None:
        return False
    options = (("--level", args.level), ("--invert-mask", args.invert_mask), ("--fit", getattr(args, "fit", None)))
    for option, given in options:
        if given:
            hint = "; resizing and cropping hide what happened before" if option == "--fit" else ""
            raise CommandError(f"{option} needs --task, --degradation or --mask{hint}")
    return True


class Estimates:
    """What `Operators` is where the options say it: the degradation of each file."""

    common = None  # no degradation is that of every file

    def __init__(self) -> None:
        self.side, self.by_source, self.estimated, self.notes = 0, {}, {}, []

    def input_size(self, side: int) -> None:
        """Each file has the size that it has; its degradation makes that of images of `side` x `side`."""
        self.side = side

    def of(self, source: Path, size: tuple[int, int], fitted: tuple[int, int]) -> Degradation:
        """The degradation of the file `source`; `size` and `fitted` are the same, since nothing is fitted."""
        if source not in self.by_source:
            self.estimated[source] = found = estimate(source)
            self.by_source[source] = found.degradation(self.side)
            self.notes.append(note(found, self.by_source[source]))
        return self.by_source[source]

    def known(self, source: Path) -> Degradation:
        """The degradation of a file that `of` was asked for."""
        return self.by_source[source]

    def kind(self, source: Path) -> object:
        """Files of one kind can be restored at once: those of one degradation in words, if they have no mask."""
        words = str(self.by_source[source])
        return source if "tensor" in words else words

    def compare(self, source: Path, y: Tensor) -> None:
        """The estimate was made from the file: there is nothing to compare."""

    def tell(self) -> None:
        """Say what is assumed."""
        for note in self.notes:
            say(note)
        self.notes = []


def note(found: Estimate, f: Degradation) -> str:
    """One line: what is assumed of a file, and why."""
    return f"{found.path}: assumed {briefly(f)} ({reasons(found)}); `rusr inspect` says why"


def briefly(f: Degradation | str) -> str:
    """A degradation in words for people: a file's own tables by their first three numbers, a mask without its shape."""
    words = re.sub(r"((?:\d+\+){3})(?:\d+\+){3,}\d+", r"\1...", str(f))
    return re.sub(r"mask:<[^>]*>", "a mask", words)


def reasons(found: Estimate) -> str:
    """What was found in a file, and what is unknown."""
    unknown = [item.name for item in found.findings if item.value is None]
    stated = [
        item.words if item.words.startswith(item.name) else f"{item.name} {item.words}"
        for item in found.findings
        if item.value not in (None, 0, "none")
    ]
    missing = f"; unknown: {', '.join(unknown)}" if unknown else ""
    return f"{', '.join(stated) or 'no damage was found'}{missing}"
