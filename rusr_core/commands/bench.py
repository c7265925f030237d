"""`rusr bench OUT` runs or resumes a sweep."""

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from rusr_core import baselines, presets, priors
from rusr_core.arithmetic import MODES
from rusr_core.baselines import Configured
from rusr_core.baselines.tuned import base_of, draws_samples
from rusr_core.commands.options import (
    class_option,
    count,
    denoiser_option,
    device_of,
    device_option,
    find_own_modules,
    processes,
    sample_count,
    seed,
    step_count,
    tuned_option,
)
from rusr_core.commands.output import complain, complain_of_left_out, tell_of_hidden
from rusr_core.commands.searching import check_denoiser, check_samples_drawn, check_tuned
from rusr_core.files import data_path
from rusr_core.presets import Preset
from rusr_core.sweeps import results
from rusr_core.sweeps.config import BenchmarkError, Method, SweepConfig
from rusr_core.sweeps.measurements import ImageFolder
from rusr_core.sweeps.methods import parse_methods, unable
from rusr_core.sweeps.own_methods import OwnBaseline, find_own
from rusr_core.sweeps.plan import SweepPlan, parse_tasks
from rusr_core.sweeps.workers import SweepSummary, run


def bench_options(parser: argparse.ArgumentParser) -> None:
    """Options of `rusr bench`."""
    parser.add_argument("output", type=Path, metavar="OUT", help="folder of the results; the same command resumes it")
    _what_options(parser)
    network_options(parser)
    _worker_options(parser)


def _what_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(presets.PRESETS),
        help=f"{', '.join(baselines.names())}; NAME@one and NAME@tuned of what rusr tune found; variants of the "
        "presets (variants: all), or NAME=MODULE:NAME of your own method, tuned NAME@one=MODULE:NAME; separated by "
        "blanks or commas (default: all presets)",
    )
    parser.add_argument(
        "--tasks",
        nargs="+",
        default=["all"],
        help='single, composed, all, extra, upsampling (all levels), upsampling:L, UNA; "downsample:4 | jpeg:30"; '
        "MODULE:NAME of your own degradation; separated by blanks, names also by commas (default: all)",
    )
    parser.add_argument("--images", type=Path, help="folder of clean images (default: Portraits-X, shipped)")
    parser.add_argument("--num-images", type=count, help="the first so many of them (default: all)")
    parser.add_argument("--seeds", nargs="+", type=seed, default=[0], help="default: 0")
    parser.add_argument(
        "--steps",
        type=step_count,
        help="steps of each phase, for quick looks: the preset default becomes default@STEPS; your own methods "
        "take their own",
    )
    parser.add_argument(
        "--samples",
        type=sample_count,
        metavar="K",
        help="answers of the presets and of the methods that sample; tables then say how often the truth lies among "
        "them and how far from their mean (default: one, na_nhmc its own five)",
    )
    tuned_option(parser)
    parser.add_argument("--batch", type=count, default=1, help="images restored at once (default: %(default)s)")
    parser.add_argument("--verify", action="store_true", help="read every result whole before going on")
    parser.add_argument(
        "--accept-code-change",
        action="store_true",
        help="go on with results of another version of rusr; each names its own",
    )


def network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prior", default=priors.EMBEDDED, help="name, file or MODULE:NAME (default: %(default)s)")
    class_option(parser)
    parser.add_argument("--perceptual", choices=("lpips", "portraits"), help="default: the prior's")
    parser.add_argument("--identity", help="face network by name or file (default: the prior's)")
    parser.add_argument("--judge", help="file of a portrait net that judges (default: the embedded one, net B)")
    denoiser_option(parser)


def _worker_options(parser: argparse.ArgumentParser) -> None:
    device_option(parser, "; of each worker; on a cluster, whose machines are not known here, auto is cpu")
    parser.add_argument(
        "--arithmetic",
        choices=MODES,
        default=MODES[0],
        help="on a GPU: exact repeats its results bit for bit, fast allows TF32 and any order (default: %(default)s)",
    )
    parallel_options(parser)
    parser.add_argument(
        "--scheduler", help="of a Dask cluster, tcp://HOST:PORT; local: one of --workers processes with a thread each"
    )


def parallel_options(parser: argparse.ArgumentParser) -> None:
    """How many processes work, and with how many threads."""
    parser.add_argument(
        "--workers",
        type=processes,
        default=1,
        help="processes; the GPUs of --device cuda are dealt out (default: %(default)s)",
    )
    parser.add_argument("--threads", type=processes, help="of each process (default: the cores divided among them)")


def run_bench(args: argparse.Namespace) -> int:
    """Run what is left; 0 if every unit is done, 1 if some failed."""
    find_own_modules()
    methods = parse_methods(args.methods, args.steps, args.tuned)
    methods = methods if args.samples is None else tuple(map(_sampling, methods))
    check_denoiser(args.denoiser, by_name := {method.name: method.how for method in methods})
    check_tuned(args.tuned, by_name)
    check_samples_drawn(args.samples, by_name)
    methods = tuple(replace(m, samples=args.samples) if draws_samples(m.how) else m for m in methods)
    _check_steps(args.steps, methods)
    _tell_of_own("samples", args.samples, methods)
    images = ImageFolder((args.images or data_path("portraits/test")).absolute())
    names = image_names(images, args.num_images)
    tasks = parse_tasks(args.tasks)
    seeds, missing = tuple(args.seeds), unable(methods, tasks)
    for (method, task), reason in missing.items():
        print(f"n/a: {method} on {task}: {reason}")
    plan = SweepPlan(tuple(m.name for m in methods), tasks, names, seeds, args.batch, missing)
    words = (args.prior, args.identity, args.judge, args.denoiser)
    files = [absolute(word) for word in words]  # workers may live elsewhere
    cluster = args.scheduler not in (None, "local")  # its machines have devices of their own
    device = args.device.replace("auto", "cpu") if cluster else device_of(args.device)
    networks = (files[0], args.perceptual, *files[1:], device, args.arithmetic)
    config = SweepConfig(args.output.absolute(), methods, images.folder, *networks, label=args.label)
    with tqdm(unit="unit", disable=None) as bar:

        def progress(done: int, planned: int) -> None:
            if bar.total is None:  # the time left is that of the units of this run
                bar.total = planned
                bar.initial = bar.n = done
            bar.update(done - bar.n)

        options = {"workers": args.workers, "threads": args.threads, "scheduler": args.scheduler}
        checks = {"verify": args.verify, "accept_code_change": args.accept_code_change}
        summary = run(config, plan, callback=progress, **options, **checks)
    return _end(config.folder, summary)


def _end(folder: Path, summary: SweepSummary) -> int:
    """Write the tables and say what was done; 0 if every unit is done."""
    for line in summary.failures:
        complain(line)
    with contextlib.suppress(results.ResultsError):  # no unit is done: what failed is said below
        print(*results.write_tables(folder), sep="\n")
    print(f"{summary.planned} units: {summary.before} were done, {len(summary.failures)} failed")
    if not summary.ok:
        complain(f"{folder / 'errors'} says why; the same command tries them again")
    return 0 if summary.ok else 1


def _check_steps(steps: int | None, methods: tuple[Method, ...]) -> None:
    """Say which functions of one's own --steps does not reach; BenchmarkError if it reaches no method at all."""
    if steps is None:
        return
    taken = [m.name for m in methods if isinstance(m.how, Preset) or _is_shortened(m.how)]
    if not taken:
        names = ", ".join(method.name for method in methods)
        raise BenchmarkError(f"--steps {steps}: reaches none of {names}; expected a method that takes steps")
    _tell_of_own("steps", steps, methods)


def _is_shortened(how: object) -> bool:
    return isinstance(how, Configured) and "steps" in how.values


def _sampling(method: Method) -> Method:
    """A `Baseline` of one's own that samples, as what can be asked for a number; any other method as it is."""
    own = method.baseline() if isinstance(method.how, str) else None
    return method if own is None or not own.samples else Method(method.name, find_own(f"{method.name}={method.how}"))


def _tell_of_own(option: str, number: int | None, methods: tuple[Method, ...]) -> None:
    """Say which functions of one's own a number does not reach; None is no number."""
    for method in methods:
        own = base_of(method.how)
        if number is not None and (isinstance(own, str) or (option == "steps" and isinstance(own, OwnBaseline))):
            told = "a function of one's own takes its own number"
            complain(f"warning: --{option} {number} does not reach {method.name}: {told}")


def image_names(images: ImageFolder, number: int | None) -> tuple[str, ...]:
    """The first `number` images of a folder, or all; says what else lies in the folder."""
    names = tuple(images.paths)
    if number is not None and number > len(names):
        raise BenchmarkError(f"--num-images is {number}, but {images.folder} holds {len(names)} images")
    shipped = images.folder == data_path("portraits/test").absolute()  # it is known what lies there
    others = [] if shipped else [path.name for path in images.left_out()]
    complain_of_left_out(others, f"no images; they lie in {images.folder}")
    tell_of_hidden(0 if shipped else images.hidden())
    return names if number is None else names[:number]


def absolute(word: str | None) -> str | None:
    """A file by its full path; a name as it is."""
    return str(Path(word).absolute()) if word not in (None, priors.EMBEDDED) and Path(word).is_file() else word
