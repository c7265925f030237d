"""`rusr align IN OUT` cuts faces out of photographs, upright and as a prior frames them."""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.commands.jobs import Inputs, Job, check_beside, find_jobs
from rusr_core.commands.memory import reason_of
from rusr_core.commands.options import file_options, side
from rusr_core.commands.output import complain
from rusr_core.commands.saving import Finished, Outcome, beside, save
from rusr_core.commands.subjects import face_option, subjects_of
from rusr_core.errors import RusrError
from rusr_core.photos.align import FFHQ, PORTRAITS, align
from rusr_core.photos.pictures import load_picture

FRAMES = {"portraits": PORTRAITS, "ffhq": FFHQ}


def align_options(parser: argparse.ArgumentParser) -> None:
    file_options(parser)
    face_option(parser)
    parser.add_argument("--size", type=side, default=128, help="side of OUT in px (default: %(default)s)")
    parser.add_argument(
        "--frame", choices=tuple(FRAMES), default="portraits", help="whose framing of a face (default: %(default)s)"
    )


def run_align(args: argparse.Namespace) -> int:
    """Write the first face of each photograph as OUT, the others as OUT.face2.png, ...; 0, or 1 if one was left out."""

    def read(job: Job) -> Tensor:
        picture = load_picture(job.source)
        subjects = subjects_of(job.source, picture, FRAMES[args.frame], args.face)
        numbers[job] = [subject.number for subject in subjects]
        return align_all(picture, [subject.quad for subject in subjects], (args.size, args.size))

    def more(job: Job) -> list[Path]:
        return [beside(job.target, f"face{number}") for number in numbers[job][1:]]

    numbers: dict[Job, list[int]] = {}
    (jobs, done), inputs = find_jobs(args), Inputs(read)
    good = inputs.check(jobs, args.skip_bad, done)
    check_beside(args, good, more)
    everything = len(good) == len(jobs)
    for job in good:
        try:
            images = inputs.take(job).split(1)
        except (RusrError, MemoryError, RuntimeError) as error:
            complain(f"error: {reason_of(error, job.source)}")
            everything = False
            continue
        faces = zip(images, (job.target, *more(job)), numbers[job], strict=True)
        for image, target, number in reversed(list(faces)):  # OUT last: --skip-existing looks for it
            everything &= save(Finished(image), target, args, f"face {number}") is not Outcome.ELSEWHERE
    return 0 if everything else 1


def align_all(picture: Tensor, quads: list[Tensor], size: tuple[int, int]) -> Tensor:
    """The upright pictures `[N, 3, h, w]` of N squares of a photograph `[3, H, W]`, uint8."""
    return torch.cat([align(picture, quad, size) for quad in quads])
