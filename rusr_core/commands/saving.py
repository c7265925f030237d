"""Results are saved so that no finished work is lost: not to a name that is taken, a full disk, or another process."""

import argparse
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from PIL import Image
from torch import Tensor

from rusr_core.commands.options import CommandError
from rusr_core.commands.output import complain, say
from rusr_core.errors import RusrError
from rusr_core.files import FileExistsAlreadyError, with_ending, write_atomic
from rusr_core.images import check_writable, encoded, holds_metadata
from rusr_core.photos.credentials import Signer, load_signer, signed
from rusr_core.photos.marks import mark_of
from rusr_core.photos.records import is_same_work, record_path

KEPT = "another process was first; its result is kept"
INVENTED = "invented"  # NAME.invented.png: the map of what several answers do not agree on
WORDS_BESIDE = re.compile(rf"\.(answer\d+|mean|{INVENTED})$")  # of the stems that `others` gives


class Outcome(Enum):
    """Where a finished image is."""

    SAVED = 1  # where it was wanted
    KEPT = 2  # another process was first, and its result is there
    ELSEWHERE = 3  # it could not be saved where it was wanted


@dataclass(frozen=True)
class Finished:
    """A picture that is to be written, and what goes with it."""

    image: Tensor | Image.Image  # [1, 3, H, W] in [0, 1], or RGB
    record: dict[str, object] | None = None  # see photos.records; None: of `rusr degrade`
    marked: bool = False  # whether the picture itself carries the mark and the record
    beside: bool = True  # whether the record is also written beside it
    source: Path | None = None  # what the picture was made from
    signer: Signer | None = None  # by whose key its Content Credentials are signed, if it gets any

    def write(self, path: Path, force: bool) -> None:
        """The picture, then its record. Raises what `save_image`, `credentials.signed` and `write_atomic` raise."""
        check_writable(path, force=force)
        data = encoded(self.image, path, metadata=mark_of(self.record) if self.marked else None)
        if self.signer is not None:
            data = signed(data, path, self.record, self.source, self.signer)
        write_atomic(path, data, overwrite=force)
        if self.record is not None and self.beside:
            words = json.dumps(self.record, indent=1, ensure_ascii=False) + "\n"
            write_atomic(record_path(path), words.encode(), overwrite=True)


def why_unmarked(args: argparse.Namespace, target: Path) -> str:
    """Why the picture `target` will carry neither mark nor record; "" if it will."""
    if args.no_mark:
        return "left out, as --no-mark asks"
    return "" if holds_metadata(target) else f"left out, since {target.suffix} files have no place for it"


def signer_of(args: argparse.Namespace, targets: Sequence[Path]) -> Signer | None:
    """Who signs the pictures, as --sign says. Raises CommandError and CredentialsError where that is not possible."""
    if args.sign is None:
        return None
    if args.no_mark:
        raise CommandError("--sign signs the mark, which --no-mark leaves out; expected one of them")
    wrong = next((target for target in targets if not holds_metadata(target)), None)
    if wrong is not None:
        raise CommandError(f"{wrong}: cannot hold Content Credentials; --sign needs PNG, JPEG, WebP or TIFF")
    return load_signer(*args.sign)


def warn_of_unmarked(args: argparse.Namespace, targets: Sequence[Path]) -> None:
    """Say which pictures will carry no mark, unless that was asked for."""
    left_out = [] if args.no_mark else [target for target in targets if why_unmarked(args, target)]
    if left_out:
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        words = f"{left_out[0].suffix} files have no place for the mark and the record in the picture"
        complain(
            f"warning: {left_out[0]}{more}: {words}; the record beside it says so. PNG, JPEG, WebP and TIFF have one"
        )


def save(finished: Finished, target: Path, args: argparse.Namespace, words: str) -> Outcome:
    """Write one finished picture and say so.

    What another process has written meanwhile is kept: with --skip-existing it is as good, and so is one that says of
    itself that it is the result of the same work. Where a picture cannot be saved, it is saved beside, or in the folder
    of temporary files, and said.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        finished.write(target, args.force)
        reason, outcome = None, Outcome.SAVED
    except FileExistsAlreadyError:
        reason = f"{target}: appeared meanwhile and is kept"
        if args.skip_existing or (finished.record is not None and is_same_work(target, finished.record)):
            reason, outcome, words = None, Outcome.KEPT, KEPT
    except (RusrError, OSError) as error:
        reason = str(error)
    if reason is None:
        say(f"{target}: {words}")
        return outcome
    for place in _other_places(target):
        try:
            finished.write(place, False)
        except (RusrError, OSError):
            continue
        complain(f"error: {reason}; this result is {place}")
        return Outcome.ELSEWHERE
    complain(f"error: {reason}; this result is lost")
    return Outcome.ELSEWHERE


def save_as(finished: Finished, target: Path, word: str, words: str) -> None:
    """Write a picture that is not finished, as NAME.`word`.png beside the name of a finished one, and say so."""
    place = beside(target, word)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        finished.write(place, True)
    except (RusrError, OSError) as error:
        complain(f"error: {error}")
    else:
        say(f"{place}: {words}")


def others(target: Path, samples: int) -> list[Path]:
    """Beside `target`, where the other answers, their mean and the map of what was invented go."""
    if samples == 1:
        return []
    words = [*(f"answer{number}" for number in range(2, samples + 1)), "mean", INVENTED]
    return [beside(target, word) for word in words]


def beside(target: Path, word: str) -> Path:
    """NAME.word.png for NAME.png, NAME cut off where that would be too long."""
    return with_ending(target, f".{word}{target.suffix}")


def _other_places(target: Path) -> Iterator[Path]:
    for folder in (target.parent, Path(tempfile.gettempdir())):
        for number in range(2, 10):
            yield beside(folder / target.name, str(number))
