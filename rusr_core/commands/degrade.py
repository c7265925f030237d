"""`rusr degrade IN OUT` applies a true degradation, to make inputs for `rusr restore`."""

import argparse

import torch
from torch import Tensor

from rusr_core.commands.jobs import Inputs, Job, find_jobs
from rusr_core.commands.memory import reason_of
from rusr_core.commands.operators import Operators, output_size
from rusr_core.commands.options import picture_options, side
from rusr_core.commands.output import complain
from rusr_core.commands.saving import Finished, Outcome, save
from rusr_core.degradations.base import Degradation
from rusr_core.errors import RusrError
from rusr_core.images import fit_image, load_image


def degrade_options(parser: argparse.ArgumentParser) -> None:
    picture_options(parser)
    parser.add_argument("--size", type=side, help="first resize the square picture to this side, in px")


def run_degrade(args: argparse.Namespace) -> int:
    """Degrade a file or every image of a folder with the true operation; each is saved as soon as it is made.

    Returns 0, or 1 if an image was left out or could not be saved where it was wanted.
    """
    operators = Operators(args)
    jobs, done = find_jobs(args)

    def read(job: Job) -> Tensor:
        x = load_image(job.source)
        fitted = fit_image(x, args.size, args.fit)
        f = operators.of(job.source, (x.shape[-2], x.shape[-1]), (fitted.shape[-2], fitted.shape[-1]))
        output_size(f, tuple(fitted.shape))
        return fitted

    inputs = Inputs(read)
    good = inputs.check(jobs, args.skip_bad, done)
    operators.tell()
    everything = len(good) == len(jobs)
    for job in good:
        y = _degraded(operators.known(job.source), inputs, job, args.seed)
        words = "" if y is None else f"{y.shape[-1]}x{y.shape[-2]} px"
        everything &= y is not None and save(Finished(y), job.target, args, words) is not Outcome.ELSEWHERE
    return 0 if everything else 1


def _degraded(f: Degradation, inputs: Inputs, job: Job, seed: int) -> Tensor | None:
    """The degraded image `[1, 3, h, w]`; None, which is said, if it cannot be made: it costs no other image."""
    try:
        return f.degrade(inputs.take(job), torch.Generator().manual_seed(seed))
    except (RusrError, MemoryError, RuntimeError) as error:
        complain(f"error: {reason_of(error, job.source)}")
        return None
