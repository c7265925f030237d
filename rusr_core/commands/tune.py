"""`rusr tune METHOD OUT` finds a method's best setting for all tasks, and its best setting for each."""

import argparse
from pathlib import Path

from tqdm import tqdm

from rusr_core import baselines
from rusr_core.arithmetic import MODES
from rusr_core.baselines import Baseline
from rusr_core.commands.bench import absolute, image_names, network_options, parallel_options
from rusr_core.commands.options import CommandError, count, device_of, device_option, find_own_modules, seed
from rusr_core.commands.output import complain
from rusr_core.commands.searching import check_denoiser
from rusr_core.presets import Preset
from rusr_core.sweeps import tuned_files
from rusr_core.sweeps.config import SweepConfig
from rusr_core.sweeps.measurements import ImageFolder
from rusr_core.sweeps.own_methods import NEW_NAME, own_baseline
from rusr_core.sweeps.plan import check_method_name, parse_tasks
from rusr_core.sweeps.tuning import TuningPlan, tune


def tune_options(parser: argparse.ArgumentParser) -> None:
    """Options of `rusr tune`."""
    words = f"one of {', '.join(baselines.names())}; NAME=MODULE:NAME, a Baseline of your own, with its space"
    parser.add_argument("method", metavar="METHOD", help=words)
    parser.add_argument(
        "output", type=Path, metavar="OUT", help="folder of the studies; the same command resumes them, also if killed"
    )
    words = "folder of clean portraits to tune on, none of them a test portrait (tools.portraits.validation)"
    parser.add_argument("--images", type=Path, required=True, help=words)
    parser.add_argument("--num-images", type=count, help="the first so many of them (default: all)")
    parser.add_argument("--tasks", nargs="+", default=["single"], help="as rusr bench has them (default: single)")
    parser.add_argument("--trials", type=count, default=20, help="of each study (default: %(default)s)")
    parser.add_argument("--seed", type=seed, default=0, help="of what is tried, too (default: %(default)s)")
    parser.add_argument(
        "--only", choices=("one", "each"), help="the one setting for all tasks, or one for each (default: both)"
    )
    words = "folder in which METHOD.toml is written (default: OUT); rusr bench --tuned FOLDER reads it"
    parser.add_argument("--to", type=Path, metavar="FOLDER", help=words)
    parser.add_argument("--batch", type=count, default=1, help="images restored at once (default: %(default)s)")
    words = "try each setting on all portraits, also one that a Wilcoxon test finds behind on some"
    parser.add_argument("--no-race", action="store_true", help=words)
    parser.add_argument(
        "--accept-code-change", action="store_true", help="go on with trials of another version of rusr"
    )
    network_options(parser)
    device_option(parser, "; of each worker")
    parser.add_argument("--arithmetic", choices=MODES, default=MODES[0], help="on a GPU, as in rusr bench")
    parallel_options(parser)


def _base(word: str) -> Preset | Baseline:
    """The method of that name, or of NAME=MODULE:NAME."""
    find_own_modules()
    name, equals, reference = word.partition("=")
    if not equals:
        return baselines.base_of(word)
    if "@" in name or name in baselines.names():
        raise CommandError(f"{word}: expected NAME=MODULE:NAME with {NEW_NAME}, and no @")
    check_method_name(name)
    return own_baseline(reference, name)


def run_tune(args: argparse.Namespace) -> int:
    """Tune what is left; 0 when METHOD.toml is written, 1 if it lacks a study, of which no setting gave an image."""
    base = _base(args.method)
    check_denoiser(args.denoiser, {base.name: base})
    output, to = args.output.absolute(), (args.to or args.output).absolute()  # somebody's own code may go elsewhere
    tuned_files.check_place(to, base.name)
    images = ImageFolder(args.images.absolute())
    names = image_names(images, args.num_images)
    tasks = []
    for task in parse_tasks(args.tasks):
        reason = None if not isinstance(base, Baseline) else base.reason(task.degradation())
        if reason is None:
            tasks.append(task)
        else:
            print(f"n/a: {base.name} on {task}: {reason}")
    plan = TuningPlan(base, tuple(tasks), names, args.trials, args.seed, args.batch, not args.no_race)
    files = [absolute(word) for word in (args.prior, args.identity, args.judge, args.denoiser)]
    networks = (files[0], args.perceptual, *files[1:], device_of(args.device), args.arithmetic)
    config = SweepConfig(output, (), images.folder, *networks, label=args.label)
    with tqdm(unit="trial", disable=None) as bar:

        def progress(done: int, planned: int) -> None:
            bar.total = planned
            bar.update(done - bar.n)

        wanted = {"one": args.only != "each", "each": args.only != "one"}
        options = {"workers": args.workers, "threads": args.threads, "accept_code_change": args.accept_code_change}
        studies = tune(config, plan, **wanted, **options, callback=progress)
    path = tuned_files.write(to, config, plan, studies)
    print(tuned_files.summary(path))
    print(f"{(args.to or args.output) / path.name}: {sum(len(study.finished()) for study in studies.values())} trials")
    for line in (failed := tuned_files.failures(studies)):
        complain(line)
    return 1 if failed else 0
