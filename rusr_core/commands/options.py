"""Options that several commands share, and what they mean."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.decoding import READABLE_SUFFIXES
from rusr_core.degradations import notation
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.inpainting import Mask
from rusr_core.degradations.operator import shape_after
from rusr_core.errors import RusrError
from rusr_core.images import check_writable, load_image, resize

INTERRUPTED = 130  # exit status, the shell's convention: 128 + SIGINT
MAX_SIDE = 8192  # px; a degradation that asks for more is a mistake


class CommandError(RusrError):
    """Options that do not belong together, or files that do not fit them."""


def degradation_options(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that read images, apply a degradation and write images."""
    parser.add_argument("input", type=Path, metavar="IN", help="an image or a folder of images")
    parser.add_argument("output", type=Path, metavar="OUT", help="the file to write; a folder if IN is one")
    parser.add_argument("--task", help=f"one of {', '.join(tasks.TASKS)}; or --degradation")
    parser.add_argument("--level", help=f"one of {', '.join(tasks.LEVELS)} (default: M)")
    parser.add_argument("--degradation", help='your own, left to right: "downsample:8 | jpeg:12"')
    parser.add_argument("--mask", type=Path, help="a picture, white where the input is known (inpainting)")
    parser.add_argument("--seed", type=seed, default=0, help="strokes and noise (default: %(default)s)")
    parser.add_argument("--fit", choices=("crop", "pad"), help="make other shapes square and of the size needed")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out images whose OUT exists: resumes a folder"
    )


def degradation(args: argparse.Namespace) -> Degradation:
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


def output_size(f: Degradation, shape: Sequence[int]) -> tuple[int, int]:
    """(height, width) of f's output for images of `shape`."""
    height, width = shape_after(f, torch.empty(tuple(shape)))[-2:]
    if max(height, width) > MAX_SIDE:
        raise CommandError(f"the degradation makes {width}x{height} px; expected at most {MAX_SIDE} a side")
    return height, width


def jobs_of(args: argparse.Namespace) -> list[tuple[Path, Path]]:
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


def load_degraded(path: Path, size: tuple[int, int], fit: str | None) -> torch.Tensor:
    """The degraded image `[1, 3, h, w]` of exactly `size`; others are resized only if `fit` asks for it."""
    y = load_image(path, fit=fit)
    if tuple(y.shape[-2:]) == size:
        return y
    if fit is None:
        found, expected = (f"{s[1]}x{s[0]}" for s in (y.shape[-2:], size))
        raise CommandError(f"{path}: {found} px, but this degradation and prior give {expected} px")
    return resize(y, size, "bicubic").clamp(0, 1)


def device_of(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise CommandError(f"device {name!r} is not available here; expected auto, cpu or cuda") from None
    return name


def seed(text: str) -> int:
    value = int(text) if text.isdecimal() else -1
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0, below 2^63")
    return value


def positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return value
