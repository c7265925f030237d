"""`rusr restore IN OUT` restores an image or a folder of them."""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from tqdm import tqdm

from rusr_core import presets, priors
from rusr_core.commands.options import (
    INTERRUPTED,
    degradation,
    degradation_options,
    device_of,
    jobs_of,
    load_degraded,
    output_size,
    positive,
)
from rusr_core.images import save_image
from rusr_core.prior import prior_shape
from rusr_core.restore import Restoration, Step, restore


def restore_options(parser: argparse.ArgumentParser) -> None:
    degradation_options(parser)
    parser.add_argument("--prior", default=priors.EMBEDDED, help="name or file of the generator (default: %(default)s)")
    parser.add_argument(
        "--perceptual",
        choices=("lpips", "portraits"),
        help="default: portraits (embedded) for the embedded prior, else lpips (VGG)",
    )
    parser.add_argument("--identity", help="face network by name or file, see `rusr zoo list` (default: the prior's)")
    parser.add_argument("--preset", default="report", choices=tuple(presets.PRESETS), help="default: %(default)s")
    parser.add_argument("--steps", type=positive, help="steps of each phase (default: the preset's)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ... (default: %(default)s)")
    parser.add_argument("--batch", type=positive, default=4, help="images at once (default: %(default)s)")


def run_restore(args: argparse.Namespace) -> int:
    """Restore a file or every image of a folder."""
    networks = {"perceptual": args.perceptual, "identity": args.identity}
    prior = priors.load_prior(args.prior, device=device_of(args.device), **networks)
    shape = prior_shape(prior, 1)
    f = degradation(args)
    size = output_size(f, shape)
    jobs = jobs_of(args)
    for source, _ in jobs:  # all of them, before the first is restored
        load_degraded(source, size, args.fit)
    preset = presets.get(args.preset)
    preset = preset if args.steps is None else preset.shortened(args.steps)
    steps = sum(phase.steps for phase in preset.phases)
    batches = [jobs[i : i + args.batch] for i in range(0, len(jobs), args.batch)]
    with tqdm(total=steps * len(batches), unit="step", disable=None) as bar:
        for number, batch in enumerate(batches):
            y = torch.cat([load_degraded(source, size, args.fit) for source, _ in batch])
            bar.set_description(batch[0][0].name)
            seeded = torch.Generator().manual_seed(args.seed)
            result = restore(prior, y, f, preset=preset, generator=seeded, callback=_progress(bar))
            _save(result, batch, args.force)
            if result.interrupted:
                return INTERRUPTED
            bar.update(steps * (number + 1) - bar.n)  # early stopping leaves steps undone
    return 0


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
