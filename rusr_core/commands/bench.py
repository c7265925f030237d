"""`rusr bench OUT` runs or resumes a sweep."""

import argparse
import contextlib
import os
import sys
from pathlib import Path

from tqdm import tqdm

from rusr_core import presets, priors
from rusr_core.commands.options import device_of
from rusr_core.files import data_path
from rusr_core.sweeps import ablations, results
from rusr_core.sweeps.measurements import ImageFolder
from rusr_core.sweeps.plan import SweepPlan, parse_tasks
from rusr_core.sweeps.work import BenchmarkError, Method, SweepConfig
from rusr_core.sweeps.workers import run

RANDOM_START = "report-random=rusr_core.sweeps.ablations:random_start"  # the variant that no preset can say


def bench_options(parser: argparse.ArgumentParser) -> None:
    """Options of `rusr bench`."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the results; the same command resumes it")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(presets.PRESETS),
        help="presets, variants of them (variants: all), or NAME=MODULE:FUNCTION of your own method "
        "(default: all presets)",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=["all"],
        help="single, composed, all, upsampling (all levels), upsampling:L, UNA, ... (default: all)",
    )
    parser.add_argument("--images", type=Path, help="folder of clean images (default: Portraits-X, shipped)")
    parser.add_argument("--num-images", type=int, help="the first so many of them (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0], help="default: 0")
    parser.add_argument("--steps", type=int, help="steps of each phase of the presets (for quick looks)")
    parser.add_argument("--batch", type=int, default=1, help="images restored at once (default: %(default)s)")
    parser.add_argument("--prior", default=priors.EMBEDDED, help="name or file (default: %(default)s)")
    parser.add_argument("--perceptual", choices=("lpips", "portraits"), help="default: the prior's")
    parser.add_argument("--identity", help="face network by name or file (default: the prior's)")
    parser.add_argument("--judge", help="file of a portrait net that judges (default: the embedded one, net B)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ..., of each worker (default: %(default)s)")
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="processes; the GPUs of --device cuda are dealt out (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, help="of each process (default: the cores divided among them)")
    parser.add_argument(
        "--scheduler", help="of a Dask cluster, tcp://HOST:PORT; local: one of --workers processes with a thread each"
    )


def run_bench(args: argparse.Namespace) -> int:
    """Run what is left; 0 if every unit is done, 1 if some failed."""
    for name in ("num_images", "steps", "batch", "workers", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise BenchmarkError(f"--{name.replace('_', '-')} is {getattr(args, name)}, expected a whole number from 1")
    sys.path.insert(0, os.getcwd())  # where a method of one's own is looked for, as `python -m` does
    methods = tuple(method for word in args.methods for method in _methods(word, args.steps))
    folder = args.images or data_path("portraits/test")
    names = tuple(ImageFolder(folder).paths)[: args.num_images]
    tasks = parse_tasks(args.tasks)
    plan = SweepPlan(tuple(method.name for method in methods), tasks, names, tuple(args.seeds), args.batch)
    files = [_absolute(word) for word in (args.prior, args.identity, args.judge)]  # workers may live elsewhere
    device = args.device if args.scheduler else device_of(args.device)  # a cluster's machines have their own
    networks = (files[0], args.perceptual, *files[1:], device)
    config = SweepConfig(args.output.absolute(), methods, folder.absolute(), *networks)
    with tqdm(unit="unit", disable=None) as bar:

        def progress(done: int, planned: int) -> None:
            if bar.total is None:  # the time left is that of the units of this run
                bar.total = planned
                bar.initial = bar.n = done
            bar.update(done - bar.n)

        options = {"workers": args.workers, "threads": args.threads, "scheduler": args.scheduler}
        summary = run(config, plan, callback=progress, **options)
    for line in summary.failed[:20]:
        print(line, file=sys.stderr)
    with contextlib.suppress(results.ResultsError):  # no unit is done: what failed is said below
        print(*results.write_tables(config.folder), sep="\n")
    print(f"{summary.planned} units: {summary.before} were done, {len(summary.failed)} units failed")
    if not summary.ok:
        print(f"rusr: {config.folder / 'errors'} says why; the same command tries them again", file=sys.stderr)
    return 0 if summary.ok else 1


def _methods(word: str, steps: int | None) -> list[Method]:
    """A preset's or a variant's name, "variants" for all of them, or NAME=MODULE:FUNCTION."""
    name, equals, function = word.partition("=")
    if equals:
        return [Method(name, function)]
    if name == "variants":
        return [m for known in (*ablations.VARIANTS, "report-random") for m in _methods(known, steps)]
    if name == "report-random":
        if steps is not None:
            raise BenchmarkError(f"--steps {steps}: report-random has the steps of the preset report and no others")
        return _methods(RANDOM_START, None)
    preset = ablations.VARIANTS.get(name) or presets.get(name)
    return [Method(name, preset if steps is None else preset.shortened(steps))]


def _absolute(word: str | None) -> str | None:
    """A file by its full path; a name as it is."""
    return str(Path(word).absolute()) if word not in (None, priors.EMBEDDED) and Path(word).is_file() else word
