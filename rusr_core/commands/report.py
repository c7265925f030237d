"""`rusr report OUT` shows the performance reports of a sweep."""

import argparse
from pathlib import Path

from rusr_core.commands.options import count, rounds
from rusr_core.metrics import intervals, realism
from rusr_core.sweeps import paired, results
from rusr_core.sweeps.methods import separated

FORMS = {"text": str, "markdown": "to_markdown", "csv": "to_csv", "latex": "to_latex"}


def report_options(parser: argparse.ArgumentParser) -> None:
    """Options of `rusr report`."""
    parser.add_argument("folder", type=Path, metavar="OUT", help="folder of `rusr bench`")
    parser.add_argument("--form", choices=tuple(FORMS), default="text", help="default: %(default)s")
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME", help="compare these only, separated by blanks or commas (default: all)"
    )
    words = (
        "how much farther from the truth each method ends than this one, paired by portrait, in place of the reports"
    )
    parser.add_argument("--against", metavar="NAME", help=words)
    parser.add_argument("--judge", help="file of the portrait net that judged the sweep (default: the embedded net B)")
    parser.add_argument("--no-realism", action="store_true", help="leave out FID, patch FID and KID (quick)")
    parser.add_argument("--crops", type=count, help=f"an image, patch FID (default: {realism.CROPS})")
    words = "how often images are left out for the spread of FID and patch FID; 0: no spread"
    parser.add_argument("--rounds", type=rounds, help=f"{words} (default: {intervals.ROUNDS})")


def run_report(args: argparse.Namespace) -> int:
    """Print the reports of everything that is finished."""
    numbers = {name: value for name in ("crops", "rounds") if (value := getattr(args, name)) is not None}
    without = "--no-realism" if args.no_realism else "--against" if args.against is not None else ""
    for name, value in ({"judge": args.judge} | numbers).items() if without else ():
        if value is not None:
            raise results.ResultsError(f"--{name} {value}: has no use with {without}, the scores are in the results")
    if args.no_realism and args.against is not None:
        raise results.ResultsError("--no-realism: has no use with --against, whose table has no realism")
    methods = None if args.methods is None else separated(args.methods)
    if args.against is not None:
        table = paired.compare(args.folder, args.against, methods=methods)
    else:
        judge = None if args.no_realism else results.judge_for(args.folder, args.judge)
        table = results.reports(args.folder, judge, methods=methods, **numbers)
    form = FORMS[args.form]
    print((str(table) if form is str else getattr(table, form)()).rstrip("\n"))
    return 0
