"""The degradation that the options of a command describe, for each file its own."""

import argparse
import re
from pathlib import Path

import torch
from torch import Tensor

from rusr_core import tasks
from rusr_core.commands.masks import Masks
from rusr_core.commands.options import CommandError, find_own_modules
from rusr_core.commands.output import complain, say
from rusr_core.degradations import notation
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.inpainting import Mask, Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.operator import shape_after
from rusr_core.limits import MAX_SIDE
from rusr_core.photos.jpeg_file import JPEGFile, read_jpeg
from rusr_core.photos.masks import doubts, fit_mask

AUTO = re.compile(r'"(?:\\.|[^"\\])*"|(?P<auto>\bjpeg\s*:\s*auto\b)', re.IGNORECASE)  # what is in quotes is a file


class Operators:
    """What --task, --level, --degradation, --mask and --seed say, read and checked when it is made."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.made, self.notes = args, {}, []
        self.by_source: dict[Path, Degradation] = {}
        self.compared: set[Path] = set()
        words = args.degradation or ""
        self.auto = _with_jpeg(words, "jpeg:75") != words
        self.common = None if args.mask else _common(args, _with_jpeg(words, "jpeg:75"))
        if args.mask:
            _check_mask_options(args)
            self.masks = Masks(args)
            self.notes += self.masks.notes
        elif args.invert_mask:
            raise CommandError("--invert-mask needs --mask")
        if self.auto and not _ends_with_jpeg(self.common):
            raise CommandError("jpeg:auto must be the last stage but for masks: a file tells of its last compression")

    def tell(self) -> None:
        """Say what was read from masks and from the tables of JPEG files."""
        for note in self.notes:
            say(note)
        self.notes = []

    def input_size(self, side: int) -> tuple[int, int]:
        """(height, width) of the inputs for images of `side` x `side`: what the degradation makes of them."""
        return (side, side) if self.common is None else output_size(self.common, (1, 3, side, side))

    def of(self, source: Path, size: tuple[int, int], fitted: tuple[int, int]) -> Degradation:
        """The degradation of the file `source` of `size` (height, width), which was brought to the size `fitted`."""
        if source not in self.by_source:
            f = self._mask(source, size, fitted) if self.common is None else self.common
            self.by_source[source] = self._from_tables(source, size, fitted) if self.auto else f
        return self.by_source[source]

    def known(self, source: Path) -> Degradation:
        """The degradation of a file that `of` was asked for."""
        return self.by_source[source]

    def kind(self, source: Path) -> object:
        """Files of one kind can be restored at once."""
        return "mask" if self.common is None else id(self.by_source[source])

    def _mask(self, source: Path, size: tuple[int, int], fitted: tuple[int, int]) -> Mask:
        """The mask of a file; it goes the way of the file if it is of its size."""
        name, known = self.masks.of(source, size, fitted)
        key = (name, tuple(known.shape[-2:]), fitted)
        if key not in self.made:
            self.made[key] = Mask(fit_mask(known, fitted, self.args.fit))
        return self.made[key]

    def _from_tables(self, source: Path, size: tuple[int, int], fitted: tuple[int, int]) -> Degradation:
        """The degradation with jpeg:auto read from the file."""
        if size != fitted:
            raise CommandError(
                f"{source}: {size[1]}x{size[0]} px; jpeg:auto needs {fitted[1]}x{fitted[0]} px, "
                "since resizing and cropping move the blocks of a file"
            )
        found = read_jpeg(source)
        if found is None:
            raise CommandError(f"{source}: is no JPEG file, so jpeg:auto finds no tables in it")
        self.notes.append(f"{source}: {found.words}, read from the file{_doubt(found)}")
        words = _with_jpeg(self.args.degradation, found.notation)
        if words not in self.made:
            self.made[words] = notation.parse(words, seed=self.args.seed)
        return self.made[words]

    def compare(self, source: Path, y: Tensor) -> None:
        """Say what is odd about the degradation of a given file, read as y `[1, 3, h, w]`; once a file."""
        if source in self.compared:
            return
        self.compared.add(source)
        f = self.by_source[source]
        if self.common is None:
            for doubt in doubts(f.visible, y):
                complain(f"warning: {source}: {doubt}")
        stated = None if self.auto else _stated_jpeg(f)
        found = None if stated is None else read_jpeg(source)
        if found is not None and (
            found.degradation.quality != stated.quality or found.sampling not in (stated.sampling, "grey")
        ):
            complain(
                f"warning: {source}: the file says {found.words}, and {stated} is assumed; unless it was saved "
                "twice, --degradation jpeg:auto takes what the file says"
            )


def output_size(f: Degradation, shape: tuple[int, int, int, int]) -> tuple[int, int]:
    """(height, width) of f's output for images of `shape`."""
    height, width = shape_after(f, torch.empty(shape))[-2:]
    if max(height, width) > MAX_SIDE:
        raise CommandError(f"the degradation makes {width}x{height} px; expected at most {MAX_SIDE} a side")
    return height, width


def batched(operators: list[Degradation]) -> Degradation:
    """One degradation for a batch: all share it, or each brings a mask."""
    if all(f is operators[0] for f in operators):
        return operators[0]
    return Mask(torch.cat([f.visible for f in operators]))


def _common(args: argparse.Namespace, words: str) -> Degradation:
    """What the options describe for all files alike."""
    if (args.task is None) == (args.degradation is None):
        raise CommandError("expected either --task (with --level) or --degradation, and not both")
    if args.degradation is None:
        return tasks.get(args.task, args.level or "M", seed=args.seed)
    if args.level is not None:
        raise CommandError("--degradation replaces --task and --level")
    find_own_modules()
    return notation.parse(words, seed=args.seed)


def _with_jpeg(words: str, stage: str) -> str:
    """A degradation in words with `stage` for jpeg:auto."""
    return AUTO.sub(lambda match: stage if match["auto"] else match[0], words)


def _check_mask_options(args: argparse.Namespace) -> None:
    if args.degradation is not None or args.task not in (None, "inpainting") or args.level is not None:
        raise CommandError("--mask is a task of its own; to combine it: --degradation 'mask:FILE | ...'")


def _stated_jpeg(f: Degradation) -> JPEG | None:
    """The compression that made the file, if `f` ends with one, masks aside."""
    stages = [stage for stage in f.stages if not isinstance(stage, Mask | Strokes)]
    return stages[-1] if stages and isinstance(stages[-1], JPEG) else None


def _ends_with_jpeg(f: Degradation) -> bool:
    return _stated_jpeg(f) is not None and sum(isinstance(stage, JPEG) for stage in f.stages) == 1


def _doubt(found: JPEGFile) -> str:
    return "" if found.exact else "; this chroma is taken for 4:2:0"
