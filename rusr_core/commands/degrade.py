"""`rusr degrade IN OUT` applies a true degradation, to make inputs for `rusr restore`."""

import argparse

import torch

from rusr_core.commands.options import (
    degradation,
    degradation_options,
    jobs_of,
    output_size,
    positive,
)
from rusr_core.images import load_image, save_image


def degrade_options(parser: argparse.ArgumentParser) -> None:
    degradation_options(parser)
    parser.add_argument("--size", type=positive, help="first resize the square picture to this side, in px")


def run_degrade(args: argparse.Namespace) -> int:
    """Degrade a file or every image of a folder with the true operation, to make inputs for `restore`."""
    jobs = jobs_of(args)
    f = degradation(args)
    done = []
    for source, target in jobs:
        x = load_image(source, size=args.size, fit=args.fit)
        output_size(f, tuple(x.shape))
        done.append((f.degrade(x, torch.Generator().manual_seed(args.seed)), target))
    for y, target in done:
        target.parent.mkdir(exist_ok=True)
        save_image(y, target, force=args.force)
        print(f"{target}: {y.shape[-1]}x{y.shape[-2]} px")
    return 0
