"""`rusr papermill NOTEBOOK OUT -p level=M,L -p seed=0,1`: a grid of notebooks, resumed by the same command."""

import argparse
from pathlib import Path

from rusr_core.commands.output import say
from rusr_core.sweeps import notebooks


def options(parser: argparse.ArgumentParser) -> None:
    """Options of `rusr papermill`."""
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="a chapter, book/benchmark.ipynb for example")
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the executed notebooks")
    parser.add_argument(
        "-p",
        "--parameter",
        dest="axes",
        action="append",
        default=[],
        metavar="NAME=VALUE[,VALUE...]",
        help='a parameter and its values, read by its type: -p level=M,L -p fast=False -p "rates=[0.1, 0.2],[0.3]"; '
        "several make a grid",
    )


def run(args: argparse.Namespace) -> int:
    """Execute what is not there yet."""
    axes = {}
    for word in args.axes:
        name, equals, values = word.partition("=")
        if not equals or not name or name in axes:
            raise notebooks.NotebookError(f"-p {word!r}: expected NAME=VALUE[,VALUE...], each name once")
        axes[name] = values

    def report(path: Path, ran: bool) -> None:
        say(f"{path}{'' if ran else ' (was there)'}")

    notebooks.grid(args.notebook, args.output, notebooks.read_axes(args.notebook, axes), callback=report)
    return 0
