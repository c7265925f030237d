"""The experiment of one setting against rivals that are tuned for each task; given again, it goes on.

    python -m benchmarks.one_setting OUT --workers 2                        the report's four rows, 20 portraits
    python -m benchmarks.one_setting OUT --tasks all --num-images 100 --device cuda --workers 16 --batch 20
    python -m benchmarks.one_setting OUT --tables                           what there is so far, as tables

It renders portraits to tune on, tunes every method that has settings (`rusr tune`: one setting for the 20 single tasks,
then one for each task of the experiment), restores Portraits-X in all columns (`rusr bench`), and writes tables:

    OUT/validation/        portraits that are neither trained on nor tested on
    OUT/tuning/            the studies, METHOD.db, and what they found, METHOD.toml: install it in data/tuned
    OUT/sweep/             the restorations
    OUT/distances.md, differences.md, prices.md, and the same as CSV

Each part can be killed at any moment. Never move OUT to another kind of device: it refuses to go on there. After an
update of rusr it goes on with --accept-code-change only; each result names its own version.
"""

import argparse
import sys
from pathlib import Path

from rusr_core import baselines, commands
from rusr_core.baselines.tuned import COLUMNS, prior_of, space_of
from rusr_core.commands.bench import image_names
from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, processes
from rusr_core.commands.output import complain
from rusr_core.commands.searching import check_denoiser
from rusr_core.errors import RusrError
from rusr_core.files import check_writable
from rusr_core.priors import EMBEDDED, ZooError, load_diffusion_prior
from rusr_core.sweeps import parse_tasks, rivals
from rusr_core.sweeps.measurements import ImageFolder
from rusr_core.sweeps.storage import digest, note_not_applicable, write_atomic
from tools.portraits import validation

ROWS = ("upsampling:L", "denoising:L", "deartifacting:M", "UNA")  # the report's own, and a composition of three
TABLES = {"distances": rivals.distances, "differences": rivals.differences, "prices": rivals.prices}


class StepError(RusrError):
    """A command of the experiment that did not end well: given again, it is tried again."""


def methods_of(words: list[str], denoiser: str | None) -> tuple[list[str], dict[str, str]]:
    """The methods that can be run, and those that cannot, each with the reason: no denoiser is installed."""
    able, missing = [], {}
    for name in words:
        try:
            if prior_of(baselines.base_of(name)) == "diffusion":
                load_diffusion_prior(denoiser or EMBEDDED)
            able.append(name)
        except ZooError as error:
            missing[name] = str(error)
    return able, missing


def check(args: argparse.Namespace) -> None:
    """What the last of the commands would refuse, before the first of them works for days. Raises a RusrError."""
    check_denoiser(args.denoiser, {name: baselines.base_of(name) for name in args.methods})
    for words in (args.tasks, args.tasks_of_one):
        parse_tasks(words)
    chosen = []
    for folder, number in ((args.images, args.num_images), (args.images_to_tune, args.portraits)):
        if folder is not None:
            names = image_names(ImageFolder(folder.absolute()), number)
            chosen.append({digest(ImageFolder(folder).path(name).read_bytes()) for name in names})
    if len(chosen) == 2 and (both := set.intersection(*chosen)):
        raise StepError(f"{len(both)} of {args.images} are in {args.images_to_tune}: expected others to tune on")


def tune(args: argparse.Namespace, methods: list[str]) -> None:
    """The two studies of every method that has settings: at first the one setting of each method, then the tasks'."""
    images = args.images_to_tune or args.out / "validation"
    if args.images_to_tune is None and len(list(images.glob("*.png"))) < args.portraits:
        validation.main([str(images), "--count", str(args.portraits)])
    common = ["--images", images, "--num-images", args.portraits, "--trials", args.trials, "--batch", args.batch]
    for only, tasks in (("one", args.tasks_of_one), ("each", args.tasks)):
        for name in (name for name in methods if tunable(name, tasks)):
            words = ["tune", name, args.out / "tuning", *common, "--tasks", *tasks, "--only", only]
            run(*words, *workers(args), *networks(args, [name]))


def tunable(name: str, tasks: list[str]) -> bool:
    """Whether a method has settings, and can do one of these tasks."""
    base = baselines.base_of(name)
    can = base.can if isinstance(base, baselines.Baseline) else lambda f: None
    return bool(space_of(base)) and any(can(task.degradation()) is None for task in parse_tasks(tasks))


def sweep(args: argparse.Namespace, methods: list[str], missing: dict[str, str]) -> None:
    """All methods in all their columns on the test portraits."""
    columns = list(methods)
    for column, tasks in zip(COLUMNS, (args.tasks_of_one, args.tasks), strict=True):
        columns += [f"{name}@{column}" for name in methods if tunable(name, tasks)]
    words = ["bench", args.out / "sweep", "--methods", *columns, "--tasks", *args.tasks]
    words += ["--tuned", args.out / "tuning"] if columns != methods else []
    words += ["--images", args.images] if args.images else []
    words += ["--num-images", args.num_images, "--batch", args.batch]
    run(*words, *workers(args), *networks(args, methods))
    pairs = {(name, str(task)): reason for name, reason in missing.items() for task in parse_tasks(args.tasks)}
    note_not_applicable(args.out / "sweep", pairs)


def tables(out: Path) -> str | None:
    """What the sweep holds so far, as Markdown and CSV; -> what is missing for one of the tables, or None.

    Raises StepError where nothing is finished.
    """
    found = rivals.Comparison.of_folder(out / "sweep")
    ran = list(dict.fromkeys(unit["method"] for unit in found.recording.units))
    if not ran:
        raise StepError(f"{out / 'sweep'}: no restoration is finished, so that there are no tables")
    for name, table in TABLES.items():
        if name == "differences" and rivals.OURS not in ran:
            continue
        grid = table(found)
        write_atomic(out / f"{name}.md", grid.to_markdown().encode())
        write_atomic(out / f"{name}.csv", grid.to_csv().encode())
        print(grid.to_markdown())
    if rivals.OURS in ran:
        return None
    told = f"no restoration of {rivals.OURS} is finished, with which differences.md compares"
    return f"{out / 'sweep'}: {told}; there are some of {', '.join(ran)}"


def run(*words: object) -> None:
    """A command of rusr in this process. Raises StepError unless it ends well."""
    told = [str(word) for word in words]
    print("$ rusr", *told, flush=True)
    if (status := commands.main(told)) == 130:
        raise KeyboardInterrupt
    if status:
        raise StepError(f"rusr {told[0]} {told[1]} ended with {status}, see above; the same command goes on")


def workers(args: argparse.Namespace) -> list[str]:
    """How the work is shared, and whether it goes on with what another version of rusr has done."""
    flags = ["--accept-code-change"] if args.accept_code_change else []
    return ["--workers", str(args.workers), "--device", args.device, *flags]


def networks(args: argparse.Namespace, methods: list[str]) -> list[str]:
    """The options that name networks, as `rusr tune` and `rusr bench` have them for these methods."""
    denoised = any(prior_of(baselines.base_of(name)) == "diffusion" for name in methods)
    given = {"--prior": args.prior, "--perceptual": args.perceptual, "--judge": args.judge}
    given |= {"--denoiser": args.denoiser if denoised else None}
    return [str(word) for option, value in given.items() if value for word in (option, value)]


def options() -> argparse.ArgumentParser:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", nargs="+", default=list(baselines.names()))
    parser.add_argument("--tasks", nargs="+", default=list(ROWS), help="of the experiment (default: %(default)s)")
    parser.add_argument("--tasks-of-one", nargs="+", default=["single"], help="on which the one setting is found")
    parser.add_argument("--num-images", type=count, default=20, help="of Portraits-X (default: %(default)s)")
    parser.add_argument("--portraits", type=count, default=8, help="to tune on (default: %(default)s)")
    parser.add_argument("--trials", type=count, default=20, help="of each study (default: %(default)s)")
    parser.add_argument("--batch", type=count, default=1)
    parser.add_argument("--workers", type=processes, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--images", type=Path, help="other portraits to test on")
    parser.add_argument("--images-to-tune", type=Path, help="other portraits to tune on")
    parser.add_argument("--tables", action="store_true", help="only write the tables of what there is")
    parser.add_argument("--accept-code-change", action="store_true", help="as `rusr tune` and `rusr bench` have it")
    for word in ("--prior", "--perceptual", "--judge", "--denoiser"):
        parser.add_argument(word)
    return parser


def main(words: list[str] | None = None) -> int:
    """Command line; -> the exit status: 0 when all is done, 2 if something failed, 130 after Ctrl-C."""
    return ended(lambda: _experiment(options().parse_args(words)))


def _experiment(args: argparse.Namespace) -> None:
    check_writable(*(args.out / f"{name}.md" for name in TABLES), force=True, new_folders=True)
    if not args.tables:
        check(args)
        able, missing = methods_of(args.methods, args.denoiser)
        tune(args, able)
        sweep(args, able, missing)
    if (lack := tables(args.out)) is not None:
        if args.tables:
            raise StepError(lack)
        complain(f"warning: {lack}")  # who chose the methods knows it


if __name__ == "__main__":
    sys.exit(main())
