"""Distil a finished `rusr bench` folder into a recording that travels with the project (`rusr_core.sweeps.recordings`).

    rusr bench SWEEP --workers 2 --num-images 8
    python -m benchmarks.record SWEEP data/results/portraits-128

Of each task, the images and seeds are recorded for which every method is done (`results.select`), so that methods are
compared on the same images; tasks may rest on different numbers of them, which every row says. A method that cannot do
a task is named with its reason in provenance.json. Means and KID have 95 % intervals, Frechet distances a spread
(`metrics.intervals`). A sweep with another judge than net B needs --judge. Pictures of the first image are drawn into
one sheet a task. The folder is replaced as a whole.

With --add a task that it already holds with as many images or more is kept as it is, with the commit that each of its
rows names. A sweep of other methods is joined to the tasks and images that are there, if it repeats a method that is
recorded and finds the same scores, or nearly the same where it ran on another device: only then are the two runs
comparable. A task that is not there yet is taken whole. Methods may then rest on fewer images than others of their
task; the sheets of pictures stay as they are.
"""

import argparse
import csv
import io
import json
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.commands.ending import ended
from rusr_core.figures import panel
from rusr_core.files import replace_folder
from rusr_core.images import load_image
from rusr_core.presets import known_as
from rusr_core.sweeps import results
from rusr_core.sweeps.measurements import truth_path
from rusr_core.sweeps.storage import manifest, not_applicable

PEAKS = ("peak_memory_mb", "process_peak_memory_mb")  # of a unit on CUDA, of a process elsewhere
DROPPED = ("version", "code", "python", "numpy", "platform", "dtype", "arithmetic", "device", *PEAKS)
STATISTICS = {
    "low, high": "95 % interval over images: Student's of a mean, with the standard error of the jackknife of KID",
    "spread": "standard deviation over images by the jackknife, no interval",
    "pfid": "crops drawn independently for the restorations and the truth",
}
SAME, NEARLY = 1e-3, 2e-2  # relative differences of LPIPS that a repeated method may show: on one device, between two


def complete(rows: list[dict]) -> set[tuple[str, str]]:
    """Pairs (task, image) that every method of the sweep has done."""
    methods = {row["method"] for row in rows}
    done = defaultdict(set)
    for row in rows:
        done[row["task"], row["image"]].add(row["method"])
    return {pair for pair, found in done.items() if found == methods}


def write_rows(path: Path, rows: list[dict]) -> None:
    """A CSV with all columns that any row has; scores to five digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in DROPPED))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()})
    path.write_text(text.getvalue(), encoding="utf-8")


def read_rows(path: Path) -> list[dict]:
    """A CSV's rows, all values as text; methods by the names of today's presets."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row | {"method": known_as(row["method"])} for row in csv.DictReader(file)]


def number_of_images(rows: list[dict]) -> dict[str, int]:
    """How many images each task rests on."""
    images = defaultdict(set)
    for row in rows:
        images[row["task"]].add(row["image"])
    return {task: len(names) for task, names in images.items()}


def of_all_methods(rows: list[dict]) -> list[dict]:
    """The rows of those tasks and images that every method has done."""
    pairs = complete(rows)
    return [row for row in rows if (row["task"], row["image"]) in pairs]


def ordered(rows: list[dict]) -> list[dict]:
    """Rows in the order of the tasks; methods and images stay as they are."""
    order = {str(task): i for i, task in enumerate(tasks.SINGLE + tasks.COMPOSED)}
    return sorted(rows, key=lambda row: order.get(row["task"], len(order)))


def about(sweep: Path, rows: list[dict], note: str) -> dict:
    """Where the numbers come from."""
    known, first = manifest(sweep), rows[0]
    peaks = {key: max(row[key] for row in rows if key in row) for key in PEAKS if any(key in row for row in rows)}
    return (
        counted(rows)
        | peaks
        | {
            "arithmetic": known["arithmetic"],
            "prior": known["prior"]["name"],
            "methods": sorted({row["method"] for row in rows}),
            "seeds": sorted({row["seed"] for row in rows}),
            "judge": known["judge"]["suffix"],
            "statistics": STATISTICS,
            "device": f"{first['device_name']}, {first['threads']} thread(s) a process",
            "torch": first["torch"],
            "python": first["python"],
            "note": note,
            "weights": known["prior"] | {"judge": known["judge"]["perceptual"]},
        }
    )


def counted(rows: list[dict]) -> dict:
    """The part of `about` that a merge changes."""
    counts = sorted(set(number_of_images(rows).values()))
    return {
        "images": str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",
        "image_names": sorted({row["image"] for row in rows}),
        "units": len(rows),
        "commits": sorted({row["commit"] for row in rows}),
        "date": max(row["at"] for row in rows)[:10],
        "seconds": round(sum(float(row["seconds"]) for row in rows)),
    }


def add(known: Path, rows: list[dict], table: list[dict], said: dict) -> tuple[list[dict], list[dict], dict]:
    """Rows, scores and provenance of a sweep together with those that are already recorded."""
    before = json.loads((known / "provenance.json").read_text(encoding="utf-8"))
    for each in (before, said):
        each["methods"] = sorted(known_as(name) for name in each["methods"])
    rows, table = ([row | {"method": known_as(row["method"])} for row in part] for part in (rows, table))
    for key in ("weights", "seeds", "judge"):
        if before[key] != said[key]:
            raise SystemExit(f"{known} has {key} {before[key]}, the sweep {said[key]}: nothing is added")
    old, scores = read_rows(known / "results.csv"), read_rows(known / "scores.csv")
    if before["methods"] == said["methods"]:  # of each task the run with more images
        here, there = number_of_images(rows), number_of_images(of_all_methods(old))
        kept = {task for task, number in there.items() if number >= here.get(task, 0)}
        rows = [row for row in rows if row["task"] not in kept] + [row for row in old if row["task"] in kept]
        table = [row for row in table if row["task"] not in kept] + [row for row in scores if row["task"] in kept]
    else:
        new = new_methods(rows, old)
        rows, table = (a + [row for row in b if by_method(row) in new] for a, b in ((old, rows), (scores, table)))
        said["methods"] = sorted({row["method"] for row in rows})
    if "withdrawn" in before and any(row in table for row in scores):
        said["withdrawn"] = before["withdrawn"]  # what the rows that stay lack
    for key in ("device", "torch", "python", "note"):
        parts = [part for text in (before[key], said[key]) for part in text.split("; ") if part]
        said[key] = "; ".join(dict.fromkeys(parts))  # what a third sweep repeats is said once
    return ordered(rows), ordered(table), said | counted(rows)


def by_method(row: dict) -> tuple[str, str]:
    """Task and method of a row."""
    return row["task"], row["method"]


def new_methods(rows: list[dict], old: list[dict]) -> set[tuple[str, str]]:
    """The sweep's pairs (task, method) that are not recorded, if the two runs are comparable."""
    unit, there = ("task", "image", "method"), {row["task"] for row in old}
    recorded = {tuple(row[key] for key in unit): row for row in old}
    found = {tuple(row[key] for key in unit): row for row in rows if row["task"] in there}
    if strange := {key[:2] for key in found} - {key[:2] for key in recorded}:
        raise SystemExit(f"the sweep has {sorted(strange)[0]}, which is not recorded: nothing is added")
    both = found.keys() & recorded.keys()
    if {key[:2] for key in both} != {key[:2] for key in found}:
        raise SystemExit("the sweep repeats no recorded method on all its tasks and images: nothing is added")
    for key in sorted(both):
        here, known = float(found[key]["lpips"]), float(recorded[key]["lpips"])
        tolerance = SAME if found[key]["device_name"] == recorded[key]["device_name"] else NEARLY
        if abs(here - known) > tolerance * abs(known):
            raise SystemExit(f"{key}: LPIPS {here:.5g}, recorded {known:.5g}: nothing is added")
    new = {by_method(row) for row in rows} - {by_method(row) for row in old}
    if not new:
        raise SystemExit("the sweep has no method that is not recorded on its tasks: nothing is added")
    return new


def sheet(sweep: Path, rows: list[dict], letter: str, out: Path) -> None:
    """Input, results and truth of the first image: a row a level of a task, or a row a composition."""
    image = min(row["image"] for row in rows)
    composed = letter == "composed"
    chosen = [t for t in tasks.SINGLE + tasks.COMPOSED if (len(t.letters) > 1 if composed else t.name == letter)]
    chosen = [t for t in chosen if any(row["task"] == str(t) and row["image"] == image for row in rows)]
    methods = list(dict.fromkeys(row["method"] for row in rows))
    if not chosen:
        return
    seed, columns, grey = rows[0]["seed"], [], torch.full_like(load_image(truth_path(sweep, image)), 0.5)
    folders = ["measurements", *(f"units/{method}" for method in methods)]
    for folder in folders:
        files = [sweep / folder / f"{t.letters}-{t.level}" / f"{image}_{seed}.png" for t in chosen]
        columns.append([load_image(file) if file.exists() else grey for file in files])  # grey: n/a
    columns.append([load_image(truth_path(sweep, image))] * len(chosen))
    side = columns[-1][0].shape[-1]
    stacked = [torch.cat([_enlarged(x, side) for x in column]) for column in columns]
    labels = [t.letters if composed else t.level for t in chosen]
    figure = panel(*stacked, titles=["input", *methods, "truth"], rows=labels, size=1.3)
    figure.savefig(out / f"{letter}.jpg", dpi=105, pil_kwargs={"quality": 85, "optimize": True})


def _enlarged(x: torch.Tensor, side: int) -> torch.Tensor:
    times = side // x.shape[-1]
    return x.repeat_interleave(times, 2).repeat_interleave(times, 3)


def finished(sweep: Path) -> tuple[list[dict], dict, dict]:
    """Of a sweep: the rows of those tasks, images and seeds that every method has done that can, what was chosen by
    task, and why a method cannot do a task."""
    rows, chosen, missing = results.rows(sweep), results.selections(sweep), not_applicable(sweep)
    methods = {row["method"] for row in rows}
    able = {task: {method for method in methods if (method, task) not in missing} for task in chosen}
    chosen = {task: found for task, found in chosen.items() if set(found.results) >= able[task]}
    if not chosen:
        raise SystemExit(f"{sweep}: no image has every method yet")
    pairs = {(task, image, seed) for task, found in chosen.items() for image in found.images for seed in found.seeds}
    return [row for row in rows if (row["task"], row["image"], row["seed"]) in pairs], chosen, missing


def record(
    sweep: Path,
    out: Path,
    *,
    realism: bool = True,
    sheets: bool = True,
    note: str = "",
    adding: bool = False,
    judge: Path | None = None,
) -> None:
    """Write the recording."""
    if adding and not out.exists():
        raise SystemExit(f"{out} does not exist: --add needs a recording")
    if out.exists() and not (out / "provenance.json").is_file():
        raise SystemExit(f"{out} exists and is no recording: nothing is replaced")
    rows, chosen, missing = finished(sweep)
    table = results.reports(sweep, results.judge_for(sweep, judge) if realism else None, only=chosen)
    scores, said = list(csv.DictReader(io.StringIO(table.to_csv()))), about(sweep, rows, note)
    scores = [row for row in scores if row["metric"]]
    said["not_applicable"] = [[*pair, reason] for pair, reason in sorted(missing.items()) if pair[1] in chosen]
    drawn = rows
    if adding:
        same_methods = said["methods"]
        rows, scores, said = add(out, rows, scores, said)
        drawn = drawn if said["methods"] == same_methods else []  # sheets show the methods that they began with
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".recording-") as place:
        made = Path(place) / "new"
        made.mkdir()
        for letter in (*tasks.TASKS, "composed") if sheets and drawn else ():
            sheet(sweep, drawn, letter, made)
        for known in out.glob("*.jpg") if adding else ():
            if not (made / known.name).exists():
                shutil.copy(known, made)
        write_rows(made / "results.csv", rows)
        write_rows(made / "scores.csv", scores)
        (made / "provenance.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        replace_folder(out, made, Path(place) / "old")
    print(f"{out}: {len(rows)} units")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--judge", type=Path, help="file of the portrait net that judged the sweep (default: net B)")
    parser.add_argument("--no-realism", action="store_true", help="for sweeps of too few images")
    parser.add_argument("--no-sheets", action="store_true")
    parser.add_argument(
        "--add",
        action="store_true",
        help="keep what OUT holds with as many images or more; join other methods of a comparable run",
    )
    parser.add_argument("--note", default="", help="what a reader must know, such as what else the machine did")
    args = parser.parse_args()
    options = {"realism": not args.no_realism, "sheets": not args.no_sheets, "note": args.note, "adding": args.add}
    options["judge"] = args.judge
    record(args.sweep, args.out, **options)


if __name__ == "__main__":
    sys.exit(ended(main))
