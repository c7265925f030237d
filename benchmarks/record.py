"""Distil a finished `rusr bench` folder into a recording that travels with the project (`rusr_core.sweeps.recordings`).

    rusr bench SWEEP --workers 2 --num-images 8
    python -m benchmarks.record SWEEP data/results/portraits-128

Of each task, the images and seeds are recorded for which every method is done (`results.select`), so that methods are
compared on the same images; tasks may rest on different numbers of them, which every row says. A method that cannot do
a task is named with its reason in provenance.json. Means and KID have 95 % intervals, Frechet distances a spread
(`metrics.intervals`). A sweep with another judge than net B needs --judge. Pictures of the first image stand side by
side in one sheet a task. The folder is replaced as a whole.

With --add a task of which it already holds all images is kept as it is, with the commit that each of its rows names,
and one whose images the sweep has all is taken anew. Where each has images that the other lacks they are joined: an
image that both have keeps its recorded rows, and realism is left out, since the recorded pictures are gone ("joined"
in provenance.json). A sweep of other methods is joined to the tasks and images that are there, if it repeats a method
that is recorded and finds the same scores, or nearly the same where it ran on another device: only then are the two
runs comparable. A task that is not there yet is taken whole. Methods may then rest on fewer images than others of
their task; the sheets of pictures get a column for each, where the sweep has their portrait in all their rows.
Measures that came later than a recording enter it with --add --anew METHOD: the rows of a recorded method are taken
from the sweep, whose LPIPS must be the same on all tasks and images that are recorded. So are those of a method that
restores with another denoiser now, whose LPIPS may differ; its pictures in the sheets are drawn anew.
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.recorded_rows import PEAKS, add, counted, denoisers_of, settings_of, write_rows
from benchmarks.recorded_sheets import draw_sheets, earlier_sheets
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError
from rusr_core.commands.output import complain
from rusr_core.files import check_writable, whole_folder, write_atomic
from rusr_core.sweeps import results
from rusr_core.sweeps.storage import manifest, not_applicable

STATISTICS = {
    "low, high": "95 % interval over images: Student's of a mean, with the standard error of the jackknife of KID",
    "spread": "standard deviation over images by the jackknife, no interval",
    "pfid": "crops drawn independently for the restorations and the truth",
}


def about(sweep: Path, rows: list[dict], note: str) -> dict:
    """Where the numbers come from."""
    known, first = manifest(sweep), rows[0]
    denoisers = denoisers_of(known)
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
            "settings": settings_of(known, {row["method"] for row in rows}),
        }
        | ({"denoisers": denoisers} if denoisers else {})  # of the methods that restore with one
    )


def finished(sweep: Path) -> tuple[list[dict], dict, dict]:
    """Of a sweep: the rows of those tasks, images and seeds that every method has done that can, what was chosen by
    task, and why a method cannot do a task."""
    rows, chosen, missing = results.rows(sweep), results.selections(sweep), not_applicable(sweep)
    methods = {row["method"] for row in rows}
    able = {task: {method for method in methods if (method, task) not in missing} for task in chosen}
    chosen = {task: found for task, found in chosen.items() if set(found.results) >= able[task]}
    for line in left_out(sweep, rows, chosen, missing):
        complain(f"left out: {line}")
    if not chosen:
        raise CommandError(f"{sweep}: no image has every method yet")
    pairs = {(task, image, seed) for task, found in chosen.items() for image in found.images for seed in found.seeds}
    return [row for row in rows if (row["task"], row["image"], row["seed"]) in pairs], chosen, missing


def left_out(sweep: Path, rows: list[dict], chosen: dict, missing: dict) -> list[str]:
    """What a sweep is to hold, or holds, and a recording of it does not: methods, tasks, and images."""
    known, begun = manifest(sweep), {row["method"] for row in rows}
    waiting = {name: [task for task in known["tasks"] if (name, task) not in missing] for name in known["methods"]}
    lines = [f"{name}, which has no result yet" for name, left in waiting.items() if left and name not in begun]
    lines += [f"{task}, of which no image has every method yet" for task in known["tasks"] if task not in chosen]
    for task, found in chosen.items():
        images = {row["image"] for row in rows if row["task"] == task} - set(found.images)
        if images:
            lines.append(f"{task}, {', '.join(sorted(images))}: not every method has done this")
    return lines


def record(
    sweep: Path,
    out: Path,
    *,
    realism: bool = True,
    sheets: bool = True,
    note: str = "",
    adding: bool = False,
    anew: Sequence[str] = (),
    judge: Path | None = None,
) -> None:
    """Write the recording."""
    if adding and not out.exists():
        raise CommandError(f"{out} does not exist: --add needs a recording")
    if out.exists() and not (out / "provenance.json").is_file():
        raise CommandError(f"{out} exists and is no recording: nothing is replaced")
    check_writable(out / "provenance.json", force=True, new_folders=True)
    rows, chosen, missing = finished(sweep)
    if unknown := sorted(set(anew) - {row["method"] for row in rows}):
        raise CommandError(f"{unknown[0]} is not in {sweep}; expected methods of the sweep after --anew")
    table = results.reports(sweep, results.judge_for(sweep, judge) if realism else None, only=chosen)
    scores, said = list(csv.DictReader(io.StringIO(table.to_csv()))), about(sweep, rows, note)
    scores = [row for row in scores if row["metric"]]
    said["not_applicable"] = [[*pair, reason] for pair, reason in sorted(missing.items()) if pair[1] in chosen]
    drawn, alike, renewed = rows, True, set()
    if adding:
        methods = said["methods"]
        rows, scores, said, renewed = add(out, rows, scores, said, anew)
        alike = said["methods"] == methods
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_folder(out) as made:
        shown = earlier_sheets(out, made) if adding else {}
        shown |= draw_sheets(sweep, drawn, made, None if alike else shown, renewed) if sheets else {}
        said |= {"sheets": shown} if shown else {}
        write_rows(made / "results.csv", rows)
        write_rows(made / "scores.csv", scores)
        write_atomic(made / "provenance.json", f"{json.dumps(said, indent=1)}\n".encode())
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
        help="keep what OUT holds; join other images, and other methods of a comparable run",
    )
    parser.add_argument(
        "--anew", nargs="+", default=[], metavar="METHOD", help="with --add: recorded methods to take from the sweep"
    )
    parser.add_argument("--note", default="", help="what a reader must know, such as what else the machine did")
    args = parser.parse_args()
    options = {"realism": not args.no_realism, "sheets": not args.no_sheets, "note": args.note, "adding": args.add}
    options |= {"judge": args.judge, "anew": args.anew}
    if args.anew and not args.add:
        raise CommandError("--anew needs --add: a recording without it is made of the sweep alone")
    record(args.sweep, args.out, **options)


if __name__ == "__main__":
    sys.exit(ended(main))
