"""Does each rival beat doing nothing, on the tasks that its paper claims, with its published setting?

    python -m benchmarks.beats_nothing OUT --num-images 4                                  on a CPU: hours
    python -m benchmarks.beats_nothing OUT --num-images 4 --device cuda --workers 6        on a GPU: minutes
    python -m benchmarks.beats_nothing OUT --methods pulse classical --steps 20            a quick look
    python -m benchmarks.beats_nothing OUT --write data/results/rivals                     keep the table there, too

The same command goes on where it was stopped; OUT is a folder as `rusr bench` makes them. Compared is LPIPS-portraits
(net B) of the input, enlarged where it is small, and of the restoration: on how many portraits a method comes nearer to
the truth, and whether it does on the mean. A table that is kept grows: rows of other tasks and methods stay, if they
were measured with the same weights. The exit status is 1 if a restoration failed.
"""

import argparse
import csv
import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks.accuracy import distances
from benchmarks.recorded_rows import denoisers_of
from benchmarks.resuming import stored
from rusr_core import baselines
from rusr_core.baselines import METHODS, Configured
from rusr_core.commands.bench import image_names
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError, count, device_of, processes, step_count
from rusr_core.files import check_writable, data_path, write_atomic
from rusr_core.metrics.intervals import mean_factor
from rusr_core.priors import EMBEDDED
from rusr_core.priors.diffusion import load_diffusion_prior
from rusr_core.priors.zoo import ZooError
from rusr_core.sweeps import ImageFolder, Method, SweepConfig, SweepPlan, parse_tasks, run
from rusr_core.sweeps.provenance import provenance
from rusr_core.tasks import Task

TABLE = "beats_nothing.csv"
FACTOR = ("factor", "low", "high")
FOUR = ("upsampling", "denoising", "deartifacting", "inpainting")
# The single tasks on which a paper shows its method. PTI shows inversion alone, for which an image with holes stands.
CLAIMS = {
    "classical": FOUR,
    "pulse": ("upsampling",),
    "brgm": ("upsampling", "inpainting"),
    "lbrgm": ("upsampling", "inpainting"),
    "mganprior": ("upsampling", "inpainting"),
    "pti": ("inpainting",),
    "na_nhmc": ("upsampling", "inpainting"),
    "ddrm": FOUR,
    "dps": ("upsampling", "inpainting", "deblurring"),
    "daps": ("upsampling", "inpainting", "deblurring"),
}


def installed(names: list[str]) -> list[str]:
    """Those of the methods whose prior is here; the others are said."""
    try:
        load_diffusion_prior(EMBEDDED)
        return names
    except ZooError as error:
        missing = [name for name in names if METHODS[name].prior == "diffusion"]
        for name in missing:
            print(f"{name} is left out: {error}", file=sys.stderr)
        return [name for name in names if name not in missing]


def at_most(name: str, steps: int | None) -> Configured:
    """A method with its published number of steps, or `steps` where that is fewer."""
    published = METHODS[name].settings.get("steps")
    shorter = published is not None and steps is not None and steps < published
    return baselines.find(name, steps if shorter else None)


def why_not(name: str, task: Task, asked: list[str] | None) -> str | None:
    """Why a method is not run on a task; where tasks were asked for, only because it cannot."""
    if asked is None and task.name not in CLAIMS[name]:
        return "its paper does not show this task"
    return METHODS[name].can(task.degradation())


def sweep_of(out: Path, args: argparse.Namespace) -> tuple[SweepConfig, SweepPlan]:
    """The sweep: each method on the tasks that it claims, or on those that were asked for, at one level."""
    names = installed(args.methods)
    wanted = {name: args.tasks or CLAIMS[name] for name in names}
    tasks = parse_tasks([f"{task}:{args.level}" for task in sorted({t for name in names for t in wanted[name]})])
    pairs = [(name, task) for name in names for task in tasks]
    left_out = {(name, str(task)): reason for name, task in pairs if (reason := why_not(name, task, args.tasks))}
    methods = tuple(Method(name, at_most(name, args.steps)) for name in names)
    folder = ImageFolder((args.images or data_path("portraits/test")).absolute())
    images = image_names(folder, args.num_images)
    networks = {"prior": args.prior, "judge": args.judge, "perceptual": args.perceptual}
    config = SweepConfig(out.absolute(), methods, folder.folder, **networks, device=device_of(args.device))
    return config, SweepPlan(tuple(names), tasks, images, (0,), args.batch, left_out)


def compared(sweep: Path, judge: Path | None = None) -> list[dict]:
    """A row a task and method: means of LPIPS before and after, how many portraits came nearer, and how many times as
    far from the truth as its input a restoration lies (a geometric mean in pairs, with its 95 % interval)."""
    found = []
    for (task, method), pairs in sorted(distances(sweep, judge).items()):
        before, after = torch.tensor(pairs).unbind(1)
        nearer, better = int((after < before).sum()), bool(after.mean() < before.mean())
        means = {"before": before.mean().item(), "after": after.mean().item()}
        factor = mean_factor((after / before).log())
        means |= dict(zip(FACTOR, factor, strict=True))
        found.append({"task": task, "method": method, "nearer": nearer, "of": len(pairs), "better": better} | means)
    return found


def line(row: dict, how: Configured) -> str:
    """A row of the table: how many steps the method was given, of the published number, and the verdict."""
    taken, published = (each.get("steps") for each in (how.settings, how.baseline.settings))
    steps = "none" if published is None else f"{taken} of {published}"
    nearer, verdict = f"{row['nearer']} of {row['of']}", "" if row["better"] else "   not better than nothing"
    numbers = f"{nearer:>9}{row['before']:9.3f}{row['after']:9.3f}"
    return f"{row['task']:48}{row['method']:14}{numbers}   {steps:12}{verdict}".rstrip()


def weights_of(facts: dict) -> dict[str, str]:
    """The digests of the networks of a sweep, whose bench.json says these facts."""
    weights = {name: facts["prior"][name] for name in ("generator", "perceptual", "identity")}
    denoisers = list(denoisers_of(facts).values())  # one, whichever method restores with it
    return weights | {"judge": facts["judge"]["perceptual"]} | ({"denoiser": denoisers[0]} if denoisers else {})


def kept(
    folder: Path, weights: dict[str, str], anew: set[tuple[str, str]]
) -> tuple[dict[tuple[str, str], dict], dict[str, str]]:
    """The rows that a folder holds, by task and method, and the weights of them and of a sweep together.

    Raises CommandError if these are not the same. The denoiser may be another one if all rows that rest on one are made
    `anew`, which are pairs of a task and a method.
    """
    about = stored(folder / "provenance.json")
    with open(folder / TABLE, encoding="utf-8", newline="") as file:
        rows = [row | {name: row.get(name, about[name]) for name in ("on", "commit")} for row in csv.DictReader(file)]
    found = {(row["task"], row["method"]): row for row in rows}
    known = about.get("weights", {})
    diffusion = {name for name, method in METHODS.items() if method.prior == "diffusion"}
    if not any(method in diffusion and (task, method) not in anew for task, method in found):
        known = {role: digest for role, digest in known.items() if role != "denoiser"}
    if {"denoiser": weights.get("denoiser")} | known != {"denoiser": known.get("denoiser")} | weights:
        raise CommandError(f"{folder}: measured with the weights {known}; expected {weights}, or another folder")
    return found, known | weights


def write(folder: Path, table: list[dict], how: dict[str, Configured], sweep: Path) -> None:
    """Put the rows into FOLDER/beats_nothing.csv, in place of those of the same task and method.

    FOLDER/provenance.json says where they come from, and each row of which day and commit it is. Raises CommandError if
    those that are there are of other weights.
    """
    facts, path = json.loads((sweep / "bench.json").read_text(encoding="utf-8")), folder / TABLE
    origin = provenance(torch.device(facts["device"]), torch.float32, facts["arithmetic"])
    if origin["code"] != facts["code"]:  # the restorations are of other code than what is here now
        origin |= {"code": facts["code"], "commit": None}
    today = {"on": f"{datetime.now(UTC):%Y-%m-%d}", "commit": origin["commit"]}
    rows, weights = {}, weights_of(facts)
    if path.exists():
        rows, weights = kept(folder, weights, {(row["task"], row["method"]) for row in table})
    for row in table:
        settings, published = how[row["method"]].settings, how[row["method"]].baseline.settings
        numbers = {"steps": settings.get("steps", ""), "published_steps": published.get("steps", "")}
        numbers |= {"portraits": row["of"], "nearer": row["nearer"]}
        numbers |= {name: f"{row[name]:.4f}" for name in ("before", "after", *FACTOR)}
        rows[row["task"], row["method"]] = {"task": row["task"], "method": row["method"]} | numbers | today
    text = io.StringIO()
    columns = dict.fromkeys(name for row in rows.values() for name in row)  # rows of before may lack some
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows[key] for key in sorted(rows))
    about = {"command": "python -m benchmarks.beats_nothing", "weights": weights}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "provenance.json", (json.dumps(about | origin | today, indent=1) + "\n").encode())
    write_atomic(path, text.getvalue().encode())  # the last: no table is without its provenance


def options() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--methods", nargs="+", default=list(CLAIMS), choices=list(CLAIMS), metavar="METHOD")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="also those that a paper does not claim, as UNAP")
    parser.add_argument("--level", default="M")
    parser.add_argument("--num-images", type=count, default=4)
    parser.add_argument("--batch", type=count, default=1)
    parser.add_argument("--steps", type=step_count, help="of each method, at most (default: the published number)")
    parser.add_argument("--workers", type=processes, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="keep the table in this folder")
    parser.add_argument("--images", type=Path, help="folder of clean images (default: Portraits-X)")
    parser.add_argument("--prior", default=EMBEDDED)
    parser.add_argument("--perceptual", choices=("lpips", "portraits"))
    parser.add_argument("--judge", help="file of the portrait net that judges (default: net B)")
    return parser


def main(words: list[str] | None = None) -> int:
    """Command line; -> the exit status."""
    args = options().parse_args(words)
    config, plan = sweep_of(args.out, args)
    if args.write:
        check_writable(args.write / TABLE, force=True, new_folders=True)
    summary = run(config, plan, workers=args.workers)
    for failure in summary.failures:
        print(failure, file=sys.stderr)
    how = {method.name: method.how for method in config.methods}
    rows = compared(config.folder, args.judge and Path(args.judge))
    table = [row for row in rows if row["method"] in how]
    print(f"{'task':48}{'method':14}{'nearer':>9}{'nothing':>9}{'method':>9}   steps")
    for row in table:
        print(line(row, how[row["method"]]))
    if others := sorted({row["method"] for row in rows} - how.keys()):
        print(f"{args.out} holds {', '.join(others)} as well: name them with --methods to see them")
    if args.write:
        write(args.write, table, how, config.folder)
    return 0 if summary.ok else 1


if __name__ == "__main__":
    sys.exit(ended(main))
