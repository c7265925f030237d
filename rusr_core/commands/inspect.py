"""`rusr inspect IN` says what happened to a file, and how sure that is."""

import argparse
import json
from pathlib import Path

from rusr_core.commands.estimates import briefly
from rusr_core.commands.jobs import tell_of_file, tell_of_left_out
from rusr_core.commands.memory import reason_of
from rusr_core.commands.options import CommandError
from rusr_core.commands.output import complain, say
from rusr_core.decoding import list_images
from rusr_core.errors import RusrError
from rusr_core.photos.estimate import estimate


def inspect_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", type=Path, metavar="IN", help="an image or a folder of images")
    parser.add_argument("--json", action="store_true", help="the estimates as a JSON list, for other programs")
    parser.add_argument("--mask", type=Path, help="a picture, white where the input is known, or transparent where not")
    parser.add_argument("--recursive", action="store_true", help="the folders in IN, too")


def run_inspect(args: argparse.Namespace) -> int:
    """Print the estimate of a file or of every image in a folder. Returns 0, or 1 if one could not be read."""
    paths, records, everything = [args.input], [], True
    if args.input.is_dir():
        listing = list_images(args.input, recursive=args.recursive)
        paths = listing.images
        tell_of_left_out(args.input, listing.left_out, listing.hidden, args.recursive)
        if not paths:
            raise CommandError(f"{args.input}: no images in this folder")
    else:
        tell_of_file(args)
    for path in paths:
        try:
            found = estimate(path, mask=args.mask)
        except (RusrError, MemoryError, RuntimeError) as error:
            reason = reason_of(error, path)
            if len(paths) == 1:
                raise CommandError(reason) from error
            complain(f"left out: {reason}")
            everything = False
            continue
        if args.json:
            records.append(found.record())
            continue
        say(f"{path}: {found.width}x{found.height} px, {briefly(found.notation)}")
        for line in found.lines():
            say(f"  {line}")
    if args.json:
        print(json.dumps(records, indent=1))
    return 0 if everything else 1
