"""`rusr show OUT.png` prints the record of a restored picture; `rusr sheet` puts a folder on one contact sheet."""

import argparse
import json
from importlib.util import find_spec
from pathlib import Path

from rusr_core.commands.memory import reason_of
from rusr_core.commands.options import CommandError
from rusr_core.commands.output import complain, complain_of_left_out, say
from rusr_core.commands.saving import INVENTED, WORDS_BESIDE, beside
from rusr_core.decoding import list_images
from rusr_core.errors import RusrError
from rusr_core.images import check_writable, save_image
from rusr_core.photos.credentials import read_credentials
from rusr_core.photos.records import read_record
from rusr_core.photos.sheet import Row, contact_sheet, sheet_row


def show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pictures", type=Path, nargs="+", metavar="OUT", help="pictures that rusr has written")


def run_show(args: argparse.Namespace) -> int:
    """Print the record that each picture carries or that lies beside it, and who signed it if somebody did."""
    records, without = {}, []
    for path in args.pictures:
        try:
            records[path] = read_record(path)
        except RusrError as error:
            without.append(reason_of(error, path))
    if without:  # all of them, at once
        for reason in without[:-1]:
            complain(f"error: {reason}")
        raise CommandError(without[-1])
    for path, record in records.items():
        say(f"{path}:")
        for line in (line for item in record.items() for line in _lines(*item)):
            say(f"  {line}")
        credentials = read_credentials(path) if find_spec("c2pa") else None
        if credentials is not None:
            say(f"  {'credentials':12} {credentials}")
    return 0


def _lines(key: str, value: object) -> list[str]:
    """An entry of a record for people: of an estimate a line for each finding, whose source is in the record alone."""
    if key == "estimate" and _are_findings(value):
        width = max(map(len, value), default=0)
        findings = [f"{name:{width}}  {finding['words']}" for name, finding in value.items()]
        return [f"{key if i == 0 else '':12} {line}" for i, line in enumerate(findings)]
    return [f"{key:12} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"]


def _are_findings(value: object) -> bool:
    """Whether an entry is what `photos.estimate` writes; a record may be anybody's."""
    return isinstance(value, dict) and all(isinstance(one, dict) and "words" in one for one in value.values())


def sheet_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", type=Path, metavar="IN", help="folder of the inputs")
    parser.add_argument("after", type=Path, metavar="OUT", help="folder of the results")
    parser.add_argument("sheet", type=Path, metavar="SHEET.png", help="the contact sheet to write")
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")


def run_sheet(args: argparse.Namespace) -> int:
    """A row for each result: the input of its name, the result, and of several answers the map of what was invented.

    What has no partner is named, and so is what cannot be read: then 1 is returned.
    """
    check_writable(args.sheet, force=args.force)
    inputs: dict[str, Path] = {}
    for path in list_images(args.before).images:
        if (other := inputs.setdefault(path.stem, path)) is not path:
            raise CommandError(f"{other} and {path} would be one picture of the sheet")
    every = list_images(args.after).images
    results = [path for path in every if path.stem in inputs]
    if not results:
        raise CommandError(f"{args.after}: no picture has the name of one in {args.before}")
    maps = {path: beside(path, INVENTED) for path in results}
    alone = [path.name for path in every if WORDS_BESIDE.sub("", path.stem) not in inputs]
    complain_of_left_out(alone, f"no picture of {args.before} has their name")
    names = {path.stem for path in results}
    missing = [path.name for stem, path in inputs.items() if stem not in names]
    complain_of_left_out(missing, f"no picture of {args.after} has their name")
    rows = [(inputs[path.stem], path, *([place] if place in every else [])) for path, place in maps.items()]
    shown = _readable(rows)
    save_image(contact_sheet(shown), args.sheet, force=args.force)
    third = ", and what was invented" if any(len(row.pictures) > 2 for row in shown) else ""
    say(f"{args.sheet}: {len(shown)} of {len(inputs)} pictures, before and after{third}")
    return 0 if len(shown) == len(rows) else 1


def _readable(rows: list[tuple[Path, ...]]) -> list[Row]:
    """The rows whose pictures can all be read; the others are named. CommandError if there is none."""
    found = []
    for paths in rows:
        try:
            found.append(sheet_row(paths))
        except RusrError as error:  # which names the one of them that is bad
            complain(f"left out: {error}")
        except (MemoryError, RuntimeError) as error:
            complain(f"left out: {reason_of(error, paths[-1])}")
    if not found:
        raise CommandError(f"{len(rows)} of {len(rows)} rows cannot be shown")
    return found
