"""The command line: `rusr restore`, `rusr degrade` and others; `rusr COMMAND --help` explains each.

Bad input is one line on stderr and exit status 2, before anything is written. Ctrl-C writes what has been
reached, as NAME.interrupted.png, and exits with 130. A command is one `Command` in `COMMANDS`: its options and a
function of the parsed options that returns the exit status.
"""

import argparse
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import PIL
import torch

import rusr_core
from rusr_core.commands import papermill, zoo
from rusr_core.commands.align import align_options, run_align
from rusr_core.commands.app import app_options, run_app
from rusr_core.commands.bench import bench_options, run_bench
from rusr_core.commands.degrade import degrade_options, run_degrade
from rusr_core.commands.ending import ended
from rusr_core.commands.inspect import inspect_options, run_inspect
from rusr_core.commands.output import one_line
from rusr_core.commands.photo import photo_options, run_photo
from rusr_core.commands.report import report_options, run_report
from rusr_core.commands.restore import restore_options, run_restore
from rusr_core.commands.show import run_sheet, run_show, sheet_options, show_options
from rusr_core.commands.tune import run_tune, tune_options


@dataclass(frozen=True)
class Command:
    """One subcommand."""

    name: str
    summary: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, one_line(f"{self.prog}: error: {message}") + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 some of it failed, 2 bad input, 130 interrupted."""
    return ended(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser(prog="rusr", description="Unsupervised StyleGAN image restoration.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.summary, description=command.summary)
        command.options(sub)
        sub.set_defaults(run=command.run)
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has said what there is to say
        return int(stop.code or 0)
    return args.run(args)


def _version() -> str:
    """The versions that a report of a defect needs."""
    ours, python = rusr_core.__version__, platform.python_version()
    return f"rusr {ours} (Python {python}, torch {torch.__version__}, Pillow {PIL.__version__}, {platform.system()})"


COMMANDS = (
    Command("restore", "Restore a degraded image, or a folder of them.", restore_options, run_restore),
    Command("photo", "Restore the faces of a photograph and put them back.", photo_options, run_photo),
    Command("app", "A page on this machine, for your own pictures.", app_options, run_app),
    Command("align", "Cut faces out of a photograph, upright.", align_options, run_align),
    Command("show", "Print the record of a restored picture.", show_options, run_show),
    Command("sheet", "A contact sheet of a folder, before and after.", sheet_options, run_sheet),
    Command("inspect", "Say what happened to an image, and how sure that is.", inspect_options, run_inspect),
    Command("degrade", "Degrade a clean image, or a folder of them.", degrade_options, run_degrade),
    Command("bench", "Run or resume a benchmark.", bench_options, run_bench),
    Command("tune", "Search for the best settings of a method.", tune_options, run_tune),
    Command("report", "Performance reports.", report_options, run_report),
    Command("papermill", "Run a chapter over a grid of parameters.", papermill.options, papermill.run),
    Command("zoo", "List, fetch and convert priors.", zoo.options, zoo.run),
)
