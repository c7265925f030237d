"""Options that several commands share, and how their words are read."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from rusr_core import arithmetic, baselines, priors, tasks
from rusr_core.errors import RusrError
from rusr_core.limits import (
    MAX_COUNT,
    MAX_PORT,
    MAX_PROCESSES,
    MAX_SAMPLES,
    MAX_SEED,
    MAX_SIDE,
    MAX_STEPS,
    shown,
    whole_words,
)

INTERRUPTED = 130  # exit status, the shell's convention: 128 + SIGINT


class CommandError(RusrError):
    """Options that do not belong together, or files that do not fit them."""


def picture_options(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that read images, apply a degradation and write images."""
    file_options(parser)
    degradation_options(parser)
    parser.add_argument("--fit", choices=("crop", "pad"), help="make other shapes those of the size needed")


def file_options(parser: argparse.ArgumentParser) -> None:
    """Which images are read and which are written, see `jobs.find_jobs`."""
    parser.add_argument("input", type=Path, metavar="IN", help="an image or a folder of images")
    parser.add_argument("output", type=Path, metavar="OUT", help="the file to write; a folder if IN is one")
    parser.add_argument("--recursive", action="store_true", help="the folders in IN, too; OUT gets the same folders")
    parser.add_argument("--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--skip-existing", action="store_true", help="leave out images whose OUT exists: resumes a folder"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="go on without images that cannot be used; the exit status is 1 then"
    )


def degradation_options(parser: argparse.ArgumentParser) -> None:
    """What was done to the image, see `operators.Operators` and, for photographs, `faces.FaceDegradations`."""
    parser.add_argument("--task", help=f"one of {', '.join(tasks.EVERY)}; or --degradation")
    parser.add_argument("--level", help=f"one of {', '.join(tasks.LEVELS)} (default: M)")
    parser.add_argument(
        "--degradation",
        help='your own, left to right: "downsample:8 | jpeg:12", or MODULE:NAME of your own code; '
        "jpeg:auto reads quality and chroma from each file",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        help="inpainting: a picture, white where the input is known, or transparent where it is not; of the size "
        "of the input; or a folder of them, with the names of the inputs",
    )
    parser.add_argument("--invert-mask", action="store_true", help="the mask is black (or transparent) where known")
    parser.add_argument("--seed", type=seed, default=0, help="strokes and noise (default: %(default)s)")


def search_options(parser: argparse.ArgumentParser) -> None:
    """The prior and the settings of a search, and whether its results are marked."""
    prior_options(parser)
    names = ", ".join(baselines.names())
    own = "MODULE:NAME, your own, tuned NAME@one=MODULE:NAME"
    words = f"one of {names}; NAME@one or NAME@tuned, as rusr tune found it; {own}"
    parser.add_argument("--method", default="default", help=f"{words} (default: %(default)s)")
    tuned_option(parser)
    denoiser_option(parser)
    parser.add_argument("--steps", type=step_count, help="of each phase of a preset, or of a method (default: its own)")
    parser.add_argument(
        "--samples",
        type=sample_count,
        default=1,
        metavar="K",
        help="K answers of a preset, or draws of a method that samples: OUT, OUT.answer2.png, ..., their mean "
        "OUT.mean.png, and OUT.invented.png, black where the input decides and white where the answers vary as the "
        "prior itself does",
    )
    device_option(parser)
    parser.add_argument("--batch", type=count, default=4, help="images at once (default: %(default)s)")
    parser.add_argument(
        "--no-mark",
        action="store_true",
        help="leave out the mark in the picture (IPTC digital source type) and the record in it; OUT.json says so",
    )
    parser.add_argument(
        "--sign",
        nargs=2,
        type=Path,
        metavar=("CERT.pem", "KEY.pem"),
        help="sign the picture's Content Credentials (C2PA) with your own certificate, behind which its issuers' "
        "follow, and its key, without a password",
    )


def prior_options(parser: argparse.ArgumentParser) -> None:
    """The generator, and the networks that look at its pictures."""
    parser.add_argument(
        "--prior",
        default=priors.EMBEDDED,
        help="name or file of the generator, or MODULE:NAME, your own (default: %(default)s)",
    )
    class_option(parser)
    parser.add_argument(
        "--perceptual",
        choices=("lpips", "portraits"),
        help="default: portraits (embedded) for the embedded prior, else lpips (VGG)",
    )
    parser.add_argument("--identity", help="face network by name or file, see `rusr zoo list` (default: the prior's)")


def tuned_option(parser: argparse.ArgumentParser) -> None:
    """Where the settings of NAME@one and NAME@tuned lie."""
    parser.add_argument("--tuned", type=Path, metavar="FOLDER", help="of tuned settings (default: data/tuned)")


def denoiser_option(parser: argparse.ArgumentParser) -> None:
    """What the diffusion methods restore with, see `priors.denoiser_beside`."""
    words = "file of the denoiser that ddrm, dps and daps restore with (default: the embedded prior's)"
    parser.add_argument("--denoiser", metavar="FILE", help=words)


def class_option(parser: argparse.ArgumentParser) -> None:
    """Which class of a conditional generator is meant, see `priors.load_prior`."""
    words = "of a conditional generator, from 0 (default: the mean of all)"
    parser.add_argument("--class", type=seed, dest="label", metavar="N", help=words)


def device_option(parser: argparse.ArgumentParser, more: str = "") -> None:
    """Where the networks run; `device_of` reads it. `more`: what the command's help adds."""
    words = f"auto (a GPU if there is one), cpu, cuda, cuda:1, ...{more} (default: %(default)s)"
    parser.add_argument("--device", default="auto", help=words)


def device_of(name: str) -> str:
    """A device on which numbers can be computed and read: `auto` is the GPU if there is one. Raises DeviceError."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(arithmetic.usable_device(name))


def find_own_modules() -> None:
    """Look for MODULE:NAME, a person's own code, in the working directory first, as `python -m` does."""
    if sys.path[:1] != [here := os.getcwd()]:
        sys.path.insert(0, here)


def whole(low: int, high: int) -> Callable[[str], int]:
    """The reader of an option that takes a whole number in [low, high], see `rusr_core.limits`."""

    def read(text: str) -> int:
        value = int(text) if text.isdecimal() and len(text) < 40 else -1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{shown(text)}: expected {whole_words(low, high)}")
        return value

    return read


seed = whole(0, MAX_SEED)
step_count = whole(1, MAX_STEPS)
sample_count = whole(1, MAX_SAMPLES)
count = whole(1, MAX_COUNT)
processes = whole(1, MAX_PROCESSES)
side = whole(1, MAX_SIDE)
port = whole(1, MAX_PORT)


def rounds(text: str) -> int:
    """How often images are left out, from the command line: 0, or 2 and more."""
    value = whole(0, MAX_COUNT)(text)
    if value == 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 0 or {whole_words(2, MAX_COUNT)}")
    return value
