"""The command line: `rusr restore`, `rusr degrade` and others; `rusr COMMAND --help` explains each.

Bad input is one line on stderr and exit status 2, before anything is written. Ctrl-C writes what has been
reached, as NAME.interrupted.png, and exits with 130. A command is one `Command` in `COMMANDS`: its options and a
function of the parsed options that returns the exit status.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from tqdm import tqdm

from rusr_core import bench_command, notation, notebook_command, presets, tasks, zoo, zoo_command
from rusr_core.degradations import Degradation, Mask
from rusr_core.errors import RusrError
from rusr_core.images import READABLE_SUFFIXES, check_writable, load_image, resize, save_image
from rusr_core.protocol import shape_after
from rusr_core.restore import Restoration, Step, prior_shape, restore

INTERRUPTED = 130  # the shell's convention: 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE
MAX_SIDE = 8192  # px; a degradation that asks for more is a mistake


class CommandError(RusrError):
    """Options that do not belong together, or files that do not fit them."""


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
        self.exit(2, f"{self.prog}: error: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 2 bad input, 130 interrupted)."""
    parser = Parser(prog="rusr", description="Unsupervised StyleGAN image restoration.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.summary, description=command.summary)
        command.options(sub)
        sub.set_defaults(run=command.run)
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # argparse has said what there is to say
        return int(stop.code or 0)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (RusrError, OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise  # a defect of this program, not of its input
        known = isinstance(error, RusrError | OSError)
        reason = str(error) if known else "not enough memory for images of this size"
        print(f"rusr: error: {reason}", file=sys.stderr)
        return 2


def restore_options(parser: argparse.ArgumentParser) -> None:
    _degradation_options(parser)
    parser.add_argument("--prior", default=zoo.EMBEDDED, help="name or file of the generator (default: %(default)s)")
    parser.add_argument(
        "--perceptual",
        choices=("lpips", "portraits"),
        help="default: portraits (embedded) for the embedded prior, else lpips (VGG)",
    )
    parser.add_argument("--identity", help="face network by name or file, see `rusr zoo list` (default: the prior's)")
    parser.add_argument("--preset", default="report", choices=tuple(presets.PRESETS), help="default: %(default)s")
    parser.add_argument("--steps", type=_positive, help="steps of each phase (default: the preset's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: %(default)s)")
    parser.add_argument("--batch", type=_positive, default=4, help="images at once (default: %(default)s)")


def run_restore(args: argparse.Namespace) -> int:
    """Restore a file or every image of a folder."""
    networks = {"perceptual": args.perceptual, "identity": args.identity}
    prior = zoo.load_prior(args.prior, device=_device(args.device), **networks)
    shape = prior_shape(prior, 1)
    f = _degradation(args)
    size = _output_size(f, shape)
    jobs = _jobs(args)
    for source, _ in jobs:  # all of them, before the first is restored
        _load_degraded(source, size, args.fit)
    preset = presets.get(args.preset)
    preset = preset if args.steps is None else preset.with_steps(args.steps)
    steps = sum(phase.steps for phase in preset.phases)
    batches = [jobs[i : i + args.batch] for i in range(0, len(jobs), args.batch)]
    with tqdm(total=steps * len(batches), unit="step", disable=None) as bar:
        for number, batch in enumerate(batches):
            y = torch.cat([_load_degraded(source, size, args.fit) for source, _ in batch])
            bar.set_description(batch[0][0].name)
            seeded = torch.Generator().manual_seed(args.seed)
            result = restore(prior, y, f, preset=preset, generator=seeded, callback=_progress(bar))
            _save(result, batch, args.force)
            if result.interrupted:
                return INTERRUPTED
            bar.update(steps * (number + 1) - bar.n)  # early stopping leaves steps undone
    return 0


def degrade_options(parser: argparse.ArgumentParser) -> None:
    _degradation_options(parser)
    parser.add_argument("--size", type=_positive, help="first resize the square picture to this side, in px")


def run_degrade(args: argparse.Namespace) -> int:
    """Degrade a file or every image of a folder with the true operation, to make inputs for `restore`."""
    jobs = _jobs(args)
    f = _degradation(args)
    done = []
    for source, target in jobs:
        x = load_image(source, size=args.size, fit=args.fit)
        _output_size(f, tuple(x.shape))
        done.append((f.degrade(x, torch.Generator().manual_seed(args.seed)), target))
    for y, target in done:
        target.parent.mkdir(exist_ok=True)
        save_image(y, target, force=args.force)
        print(f"{target}: {y.shape[-1]}x{y.shape[-2]} px")
    return 0


COMMANDS = (
    Command("restore", "Restore a degraded image, or a folder of them.", restore_options, run_restore),
    Command("degrade", "Degrade a clean image, or a folder of them.", degrade_options, run_degrade),
    Command("bench", "Run or resume a benchmark.", bench_command.bench_options, bench_command.run_bench),
    Command("report", "Performance reports.", bench_command.report_options, bench_command.run_report),
    Command("papermill", "Run a chapter over a grid of parameters.", notebook_command.options, notebook_command.run),
    Command("zoo", "List, fetch and convert priors.", zoo_command.options, zoo_command.run),
)


def _degradation_options(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that read images, apply a degradation and write images."""
    parser.add_argument("input", type=Path, metavar="IN", help="an image or a folder of images")
    parser.add_argument("output", type=Path, metavar="OUT", help="the file to write; a folder if IN is one")
    parser.add_argument("--task", help=f"one of {', '.join(tasks.TASKS)}; or --degradation")
    parser.add_argument("--level", help=f"one of {', '.join(tasks.LEVELS)} (default: M)")
    parser.add_argument("--degradation", help='your own, left to right: "downsample:8 | jpeg:12"')
    parser.add_argument("--mask", type=Path, help="a picture, white where the input is known (inpainting)")
    parser.add_argument("--seed", type=_seed, default=0, help="strokes and noise (default: %(default)s)")
    parser.add_argument("--fit", choices=("crop", "pad"), help="make other shapes square and of the size needed")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out images whose OUT exists: resumes a folder"
    )


def _degradation(args: argparse.Namespace) -> Degradation:
    """What the options describe."""
    if (args.task is None) == (args.degradation is None) and args.mask is None:
        raise CommandError("expected either --task (with --level) or --degradation, and not both")
    if args.mask is not None:
        if args.degradation is not None or args.task not in (None, "inpainting") or args.level is not None:
            raise CommandError("--mask is a task of its own; to combine it: --degradation 'mask:FILE | ...'")
        return Mask(args.mask)
    if args.degradation is not None:
        if args.task is not None or args.level is not None:
            raise CommandError("--degradation replaces --task and --level")
        return notation.parse(args.degradation, seed=args.seed)
    return tasks.get(args.task, args.level or "M", seed=args.seed)


def _output_size(f: Degradation, shape: Sequence[int]) -> tuple[int, int]:
    """(height, width) of f's output for images of `shape`."""
    height, width = shape_after(f, shape)[-2:]
    if max(height, width) > MAX_SIDE:
        raise CommandError(f"the degradation makes {width}x{height} px; expected at most {MAX_SIDE} a side")
    return height, width


def _jobs(args: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Pairs (input, output), checked: inputs exist, outputs can be written."""
    if not args.input.exists():
        raise CommandError(f"{args.input}: no such file or folder")
    if not args.input.is_dir():
        jobs = [(args.input, args.output / f"{args.input.stem}.png" if args.output.is_dir() else args.output)]
    else:
        sources = sorted(p for p in args.input.iterdir() if p.suffix.lower() in READABLE_SUFFIXES)
        if not sources:
            raise CommandError(f"{args.input}: no images in this folder ({', '.join(READABLE_SUFFIXES)})")
        jobs = [(p, args.output / f"{p.stem}.png") for p in sources]
        if len({target for _, target in jobs}) < len(jobs):
            raise CommandError(f"{args.input}: several images share a name and would overwrite each other")
        if not args.output.exists() and os.access(args.output.parent, os.W_OK):
            return jobs  # the folder is made when the first image is saved
    if args.skip_existing:
        jobs = [(source, target) for source, target in jobs if not target.exists()]
    for _, target in jobs:
        check_writable(target, force=args.force)
    return jobs


def _load_degraded(path: Path, size: tuple[int, int], fit: str | None) -> torch.Tensor:
    """The degraded image `[1, 3, h, w]` of exactly `size`; others are resized only if `fit` asks for it."""
    y = load_image(path, fit=fit)
    if tuple(y.shape[-2:]) == size:
        return y
    if fit is None:
        found, expected = (f"{s[1]}x{s[0]}" for s in (y.shape[-2:], size))
        raise CommandError(f"{path}: {found} px, but this degradation and prior give {expected} px")
    return resize(y, size, "bicubic").clamp(0, 1)


def _save(result: Restoration, batch: list[tuple[Path, Path]], force: bool) -> None:
    for i, (_, target) in enumerate(batch):
        target.parent.mkdir(exist_ok=True)
        if result.interrupted:  # not under the name of a finished one
            target, force = target.with_stem(f"{target.stem}.interrupted"), True
        save_image(result.image[i : i + 1], target, force=force)
        ended = ", interrupted" if result.interrupted else ""
        tqdm.write(f"{target}: {result.steps[i]} steps, {result.seconds / len(batch):.1f} s{ended}")


def _progress(bar: tqdm) -> Callable[[Step], None]:
    def callback(step: Step) -> None:
        bar.set_postfix_str(f"{step.phase}, loss {step.losses['total'].nanmean():.3f}", refresh=False)
        bar.update()

    return callback


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise CommandError(f"device {name!r} is not available here; expected auto, cpu or cuda") from None
    return name


def _seed(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0, below 2^63")
    return value


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
