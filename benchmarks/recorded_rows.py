"""Rows and scores of recordings: written, read, and joined where two runs can be compared."""

import csv
import io
import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.commands.options import CommandError
from rusr_core.files import write_atomic
from rusr_core.metrics.intervals import mean_interval
from rusr_core.metrics.judges import METRICS, label
from rusr_core.presets import known_as

PEAKS = ("peak_memory_mb", "process_peak_memory_mb")  # of a unit on CUDA, of a process elsewhere
DROPPED = ("version", "code", "python", "numpy", "platform", "dtype", "arithmetic", "device", *PEAKS)
SAME, NEARLY = 1e-3, 2e-2  # relative differences of LPIPS that a repeated method may show: on one device, between two
METRIC_KEYS = {(metric.question, label(key, "")): key for key, metric in METRICS.items()}


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
    write_atomic(path, text.getvalue().encode())


def read_rows(path: Path) -> list[dict]:
    """A CSV's rows, all values as text; methods by the names of today's presets."""
    with path.open(newline="", encoding="utf-8") as file:
        return [row | {"method": known_as(row["method"])} for row in csv.DictReader(file)]


def images_by_task(rows: list[dict]) -> dict[str, set[str]]:
    """The images that each task rests on."""
    images = defaultdict(set)
    for row in rows:
        images[row["task"]].add(row["image"])
    return dict(images)


def of_all_methods(rows: list[dict]) -> list[dict]:
    """The rows of those tasks and images that every method has done."""
    pairs = complete(rows)
    return [row for row in rows if (row["task"], row["image"]) in pairs]


def ordered(rows: list[dict]) -> list[dict]:
    """Rows in the order of the tasks; methods and images stay as they are."""
    order = {str(task): i for i, task in enumerate(tasks.SINGLE + tasks.COMPOSED)}
    return sorted(rows, key=lambda row: order.get(row["task"], len(order)))


def denoisers_of(facts: dict) -> dict[str, str]:
    """The digest of the denoiser of each method of a sweep that restores with one; `facts` are its bench.json's."""
    return {name: how["denoiser"] for name, how in facts["methods"].items() if "denoiser" in how}


def settings_of(facts: dict, methods: Iterable[str]) -> dict[str, dict]:
    """What each of these methods was run with: its numbers, or those of each task; `facts` are a sweep's bench.json."""
    return {name: facts["methods"][name] for name in sorted(methods)}


def counted(rows: list[dict]) -> dict:
    """The part of `about` that a merge changes."""
    counts = sorted({len(images) for images in images_by_task(rows).values()})
    return {
        "images": str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}",
        "image_names": sorted({row["image"] for row in rows}),
        "units": len(rows),
        "commits": sorted({row["commit"] for row in rows}),
        "date": max(row["at"] for row in rows)[:10],
        "seconds": round(sum(float(row["seconds"]) for row in rows)),
    }


def add(
    known: Path, rows: list[dict], table: list[dict], said: dict, anew: Iterable[str] = ()
) -> tuple[list[dict], list[dict], dict, set[str]]:
    """Rows, scores and provenance of a sweep together with those that are already recorded, and those of the methods
    `anew`, which are taken from the sweep although they are recorded, that had another denoiser before."""
    before = json.loads((known / "provenance.json").read_text(encoding="utf-8"))
    for each in (before, said):
        each["methods"] = sorted(known_as(name) for name in each["methods"])
    rows, table = ([row | {"method": known_as(row["method"])} for row in part] for part in (rows, table))
    for key in ("weights", "seeds", "judge"):
        if before[key] != said[key]:
            raise CommandError(f"{known} has {key} {before[key]}, the sweep {said[key]}: nothing is added")
    other = renewed(before, said)
    if left := sorted(other - set(anew)):
        raise CommandError(f"{left[0]} has another denoiser than in {known}: expected it after --anew")
    old, scores = read_rows(known / "results.csv"), read_rows(known / "scores.csv")
    if before["methods"] == said["methods"] and not anew:
        check_answers(before, said, known)
        taken = set(said["methods"])
        rows, table, mixed = more_images(rows, table, old, scores)
        measured = {row["task"] for row in table if row["question"] == "realism"}
        if joined := [task for task in dict.fromkeys((*before.get("joined", ()), *mixed)) if task not in measured]:
            said["joined"] = joined  # tasks of several runs, without realism
    else:
        new = new_methods(rows, old, {known_as(name) for name in anew}, other)
        taken = {method for _, method in new}
        rows, table = (
            [row for row in a if by_method(row) not in new] + [row for row in b if by_method(row) in new]
            for a, b in ((old, rows), (scores, table))
        )
        said["methods"] = sorted({row["method"] for row in rows})
    said |= run_with(before, said, taken)
    unable = {
        (method, task): reason for each in (before, said) for method, task, reason in each.get("not_applicable", ())
    }
    said["not_applicable"] = [[*pair, reason] for pair, reason in sorted(unable.items())]
    if "withdrawn" in before and any(row in table for row in scores):
        said["withdrawn"] = before["withdrawn"]  # what the rows that stay lack
    for key in ("device", "torch", "python", "note"):
        parts = [part for text in (before[key], said[key]) for part in text.split("; ") if part]
        said[key] = "; ".join(dict.fromkeys(parts))  # what a third sweep repeats is said once
    return ordered(rows), ordered(table), said | counted(rows), other


def more_images(
    rows: list[dict], table: list[dict], old: list[dict], scores: list[dict]
) -> tuple[list[dict], list[dict], list[str]]:
    """Of each task the run that has all images of the other, or both joined; -> rows, scores, and the joined tasks.

    An image that both have keeps its recorded rows. Means and intervals of a joined task are made anew. What is
    measured on a set of pictures is left out, since the pictures of the recorded run are no longer there.
    """
    old = of_all_methods(old)
    here, there = (images_by_task(each) for each in (rows, old))
    kept = {task for task, images in there.items() if images >= here.get(task, set())}
    mixed = [task for task, images in here.items() if task in there and task not in kept and not images >= there[task]]
    added = [row for row in rows if row["task"] not in kept]
    added = [row for row in added if row["task"] not in mixed or row["image"] not in there[row["task"]]]
    known = [row for row in old if row["task"] in kept or row["task"] in mixed]
    both = known + added
    joined = [anew(score, both) for score in table if score["task"] in mixed and score["question"] != "realism"]
    whole = [row for row in table if row["task"] not in kept and row["task"] not in mixed]
    return both, whole + joined + [row for row in scores if row["task"] in kept], mixed


def anew(score: dict, rows: list[dict]) -> dict:
    """The mean of one metric over the images of these rows, with its interval: a row of scores like `score`."""
    key = METRIC_KEYS[score["question"], score["metric"].removesuffix("-portraits")]
    by_image = defaultdict(list)
    for row in rows:
        if (row["task"], row["method"]) == (score["task"], score["method"]):
            by_image[row["image"]].append(float(row[key]))
    values = torch.tensor([sum(each) / len(each) for each in by_image.values()], dtype=torch.float64)
    value, low, high = mean_interval(values)
    return score | {"images": len(by_image), "value": value, "low": low, "high": high}


def by_method(row: dict) -> tuple[str, str]:
    """Task and method of a row."""
    return row["task"], row["method"]


def renewed(before: dict, said: dict) -> set[str]:
    """The methods that two provenances have with different denoisers."""
    one, other = (each.get("denoisers", {}) for each in (before, said))
    return {name for name in one.keys() & other.keys() if one[name] != other[name]}


def run_with(before: dict, said: dict, taken: Collection[str]) -> dict:
    """The parts of a provenance that say what its methods were run with: the sweep's for those whose rows are `taken`
    from it, and what is recorded for those whose rows stay."""
    both = {}
    for key in ("denoisers", "settings"):
        kept = {name: value for name, value in before.get(key, {}).items() if name not in taken}
        both[key] = said.get(key, {}) | kept
    return {key: found for key, found in both.items() if found}


def check_answers(before: dict, said: dict, known: Path) -> None:
    """Raise CommandError if a method gave each image other numbers of answers in two provenances: rows of both would
    stand beside one another as those of one method."""
    one, other = (
        {name: found.get("samples") for name, found in each.get("settings", {}).items()} for each in (before, said)
    )
    for name in sorted(name for name in one.keys() & other.keys() if one[name] != other[name]):
        counts = [number or "its own number of" for number in (one[name], other[name])]
        told = f"{counts[0]} answers to each image in {known}, the sweep {counts[1]}"
        raise CommandError(f"{name} gave {told}: expected it after --anew")


def new_methods(rows: list[dict], old: list[dict], anew: set[str], other: Collection[str] = ()) -> set[tuple[str, str]]:
    """The sweep's pairs (task, method) that are not recorded, or of methods `anew`, if the two runs are comparable.

    Nothing is compared of methods that restored with another prior, `other`.
    """
    unit, there = ("task", "image", "method"), {row["task"] for row in old}
    recorded = {tuple(row[key] for key in unit): row for row in old}
    found = {tuple(row[key] for key in unit): row for row in rows if row["task"] in there}
    if strange := {key[:2] for key in found} - {key[:2] for key in recorded}:
        raise CommandError(f"the sweep has {sorted(strange)[0]}, which is not recorded: nothing is added")
    both = {key for key in found.keys() & recorded.keys() if key[2] not in other}
    if {key[:2] for key in both} != {key[:2] for key in found}:
        raise CommandError("the sweep repeats no recorded method on all its tasks and images: nothing is added")
    for key in sorted(both):
        here, known = float(found[key]["lpips"]), float(recorded[key]["lpips"])
        tolerance = SAME if found[key]["device_name"] == recorded[key]["device_name"] else NEARLY
        if abs(here - known) > tolerance * abs(known):
            raise CommandError(f"{key}: LPIPS {here:.5g}, recorded {known:.5g}: nothing is added")
    if lost := sorted(key for key in recorded.keys() - found.keys() if key[2] in anew):
        raise CommandError(f"the sweep lacks {lost[0]}, which is recorded: nothing is taken anew")
    new = {by_method(row) for row in rows} - {by_method(row) for row in old if row["method"] not in anew}
    if not new:
        raise CommandError("the sweep has no method that is not recorded on its tasks: nothing is added")
    return new
