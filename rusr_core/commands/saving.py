"""Results are saved so that no finished work is lost: not to a name that is taken, a full disk, or another process."""

import argparse
import os
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from torch import Tensor

from rusr_core.commands.output import complain, say
from rusr_core.errors import RusrError
from rusr_core.files import FileExistsAlreadyError
from rusr_core.images import save_image

LONGEST = 255  # bytes of a name, on nearly all file systems


class Outcome(Enum):
    """Where a finished image is."""

    SAVED = 1  # where it was wanted
    KEPT = 2  # another process was first, and its result is there
    ELSEWHERE = 3  # it could not be saved where it was wanted


def save(image: Tensor, target: Path, args: argparse.Namespace, words: str) -> Outcome:
    """Write one finished image `[1, 3, H, W]` and say so.

    What another process has written meanwhile is kept: with --skip-existing it is as good. Where an image cannot be
    saved, it is saved beside, or in the folder of temporary files, and said.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_image(image, target, force=args.force)
        reason, outcome = None, Outcome.SAVED
    except FileExistsAlreadyError:
        reason = f"{target}: appeared meanwhile and is kept"
        if args.skip_existing:
            reason, outcome, words = None, Outcome.KEPT, "another process was first; its result is kept"
    except (RusrError, OSError) as error:
        reason = str(error)
    if reason is None:
        say(f"{target}: {words}")
        return outcome
    for place in _other_places(target):
        try:
            save_image(image, place)
        except (RusrError, OSError):
            continue
        complain(f"error: {reason}; this result is {place}")
        return Outcome.ELSEWHERE
    complain(f"error: {reason}; this result is lost")
    return Outcome.ELSEWHERE


def save_as(image: Tensor, target: Path, word: str, words: str) -> None:
    """Write an image that is not finished, as NAME.`word`.png beside the name of a finished one, and say so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    place = beside(target, word)
    try:
        save_image(image, place, force=True)
    except (RusrError, OSError) as error:
        complain(f"error: {error}")
    else:
        say(f"{place}: {words}")


def beside(target: Path, word: str) -> Path:
    """NAME.word.png for NAME.png, NAME cut off where that would be too long."""
    ending = f".{word}{target.suffix}"
    stem = os.fsencode(target.stem)[: LONGEST - len(os.fsencode(ending))]
    while stem and not _same(stem):  # not in the middle of a letter
        stem = stem[:-1]
    return target.with_name(os.fsdecode(stem) + ending)


def _same(stem: bytes) -> bool:
    try:
        stem.decode()
        return True
    except UnicodeDecodeError as error:
        return error.end < len(stem)  # bytes that are no text anywhere else were there before


def _other_places(target: Path) -> Iterator[Path]:
    for folder in (target.parent, Path(tempfile.gettempdir())):
        for number in range(2, 10):
            yield beside(folder / target.name, str(number))
