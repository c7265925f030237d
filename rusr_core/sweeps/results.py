"""What a benchmark's folder holds, as one tidy table and as performance reports. Only the result files count."""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.checkpoints.networks import load_portrait_net
from rusr_core.errors import RusrError
from rusr_core.files import as_path
from rusr_core.images import load_image
from rusr_core.limits import MAX_COUNT, check_whole
from rusr_core.metrics import intervals, realism
from rusr_core.metrics.judges import (
    METRICS,
    Judge,
    Score,
    SetFeatures,
    portraits_judge,
    realism_scores,
    set_features,
)
from rusr_core.metrics.report import Report, Table, summarize, summarize_none
from rusr_core.networks.digests import SHOWN, weights_digest
from rusr_core.sweeps.claims import claim
from rusr_core.sweeps.measurements import truth_path
from rusr_core.sweeps.stamps import CheckedFiles
from rusr_core.sweeps.storage import manifest, not_applicable, read_head, read_record, write_atomic

UNIT = ("method", "task", "image", "seed", "scores", "run")  # what the record of a unit has at least
ORACLE = "ORACLE: the clean image was used"


class ResultsError(RusrError):
    """A folder without results, or a table that cannot be written."""


@dataclass(frozen=True)
class Result:
    """One finished unit."""

    path: Path
    record: dict


def read(folder: str | Path) -> Iterator[Result]:
    """All whole results of a folder, by method, task, image and seed. Of those with a stamp only the record is read.

    Raises ResultsError for a picture of another origin, StorageError for a folder that is none of a sweep.
    """
    manifest(folder := as_path(folder, ResultsError))
    files = CheckedFiles(folder, lambda path: read_record(path) is not None or None)
    for path in sorted((folder / "units").glob("*/*/*.png")):
        if not path.name.startswith(".") and files.note(path.relative_to(folder).as_posix()):
            record = read_head(path) or {}
            missing = [key for key in UNIT if key not in record]
            if missing:
                raise ResultsError(f"{path}: no result of a sweep, its record has no {', '.join(missing)}")
            yield Result(path, record)


def rows(folder: str | Path) -> list[dict]:
    """The tidy table: a row a unit, its scores and its provenance as columns."""
    found = []
    for result in read(folder):
        record = dict(result.record)
        scores, run = record.pop("scores"), record.pop("run")
        found.append(record | {key: scores[key] for key in METRICS if key in scores} | run)
    return found


def write_tables(folder: str | Path) -> list[Path]:
    """Write `results.csv`, and `results.parquet` if pyarrow is installed; -> the files."""
    table = rows(folder := as_path(folder, ResultsError))
    if not table:
        raise ResultsError(f"{folder}: no finished unit")
    columns = list(dict.fromkeys(key for row in table for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    files = {"results.csv": text.getvalue().encode()}
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        pass  # CSV holds the same; pip install 'rusr[bench]'
    else:
        sink = io.BytesIO()
        complete = [{column: row.get(column) for column in columns} for row in table]
        parquet.write_table(pyarrow.Table.from_pylist(complete), sink)
        files["results.parquet"] = sink.getvalue()
    with claim(folder, "tables", wait=True):
        for name, data in files.items():
            write_atomic(folder / name, data)
    return [folder / name for name in files]


@dataclass(frozen=True)
class Selection:
    """The results of one task that are compared: every method has restored the same images with the same seeds."""

    images: tuple[str, ...]
    seeds: tuple[int, ...]
    results: dict[str, dict[tuple[str, int], Result]]  # by method, then by (image, seed)
    left_out: dict[str, int]  # results of each method that are not compared


def select(results: Iterable[Result]) -> Selection:
    """Of the results of one task those that all its methods have: the images of the seed of which most are done, and
    of the other seeds those that are done for all these images. A sweep that was cut short has others: they are
    counted in `left_out`.
    """
    of: dict[str, dict[tuple[str, int], Result]] = defaultdict(dict)
    for result in results:
        of[result.record["method"]][result.record["image"], result.record["seed"]] = result
    common, images_of = set.intersection(*(set(done) for done in of.values())), defaultdict(set)
    for image, seed in common:
        images_of[seed].add(image)
    if not common:
        return Selection((), (), {}, {method: len(done) for method, done in of.items()})
    first = min(images_of, key=lambda seed: (-len(images_of[seed]), seed))
    images = tuple(sorted(images_of[first]))
    seeds = tuple(sorted(seed for seed, done in images_of.items() if done.issuperset(images)))
    chosen = [(image, seed) for seed in seeds for image in images]
    compared = {method: {pair: done[pair] for pair in chosen} for method, done in of.items()}
    return Selection(images, seeds, compared, {method: len(done) - len(chosen) for method, done in of.items()})


def selections(folder: str | Path, methods: Collection[str] | None = None) -> dict[str, Selection]:
    """What a folder's reports rest on, by task, in the order of the tables; of these methods, or of all.

    Raises `ResultsError` if there is nothing, or no such method.
    """
    by_task: dict[str, list[Result]] = defaultdict(list)
    known = set()
    for result in read(folder):
        known.add(result.record["method"])
        if methods is None or result.record["method"] in methods:
            by_task[result.record["task"]].append(result)
    if not known:
        raise ResultsError(f"{folder}: no finished unit")
    if methods is not None:
        known |= {method for method, _ in not_applicable(folder)}
    for name in methods or ():
        if name not in known:
            raise ResultsError(f"{folder}: no finished unit of {name!r}, expected one of {', '.join(sorted(known))}")
    order = {str(task): i for i, task in enumerate(tasks.SINGLE + tasks.COMPOSED + tasks.EXTRA)}
    return {task: select(by_task[task]) for task in sorted(by_task, key=lambda t: (order.get(t, len(order)), t))}


def check_shared(task: str, selection: Selection) -> None:
    """ResultsError for a task of which the methods share no image."""
    if not selection.images:
        done = ", ".join(f"{number} by {method}" for method, number in sorted(selection.left_out.items()))
        raise ResultsError(f"{task}: no image is done by every method ({done}): compare fewer methods")


def left_out_words(number: int) -> str:
    """What is said of results that are not compared."""
    return f"{number} more restorations left out: not every method has finished their images and seeds"


def reports(
    folder: str | Path,
    judge: Judge | None = None,
    *,
    methods: Collection[str] | None = None,
    only: Collection[str] | None = None,
    crops: int = realism.CROPS,
    rounds: int = intervals.ROUNDS,
) -> Table:
    """A performance report of each task and method, of these methods and `only` these tasks, or of all.

    All lines of a task rest on the same images and seeds (`select`); what is left out is counted in a note. Several
    seeds of an image count as one image: its scores are averaged. Realism needs two images and the
    `judge` that scored the sweep. A method that cannot do a task has a line "n/a" with the reason.

    Raises `ResultsError` for another judge, for a task of which the methods share no image, and for no number of crops;
    `MetricError` for another number of rounds.
    """
    check_whole("crops", crops, 1, MAX_COUNT, ResultsError)
    intervals.check_rounds(rounds)
    folder = as_path(folder, ResultsError)
    if judge is not None:
        check_judge(folder, judge)
    found, truths, table = selections(folder, methods), {}, []
    known = manifest(folder)
    suffix, weights = known["judge"]["suffix"], _judging(known)
    missing = {pair: reason for pair, reason in not_applicable(folder).items() if methods is None or pair[0] in methods}
    for task, selection in found.items():
        if only is not None and task not in only:
            continue
        absent = [pair for pair in missing if pair[1] == task and pair[0] not in selection.results]
        check_shared(task, selection)
        for method in sorted(selection.results):
            sets = {}
            if judge is not None and judge.features is not None and len(selection.images) > 1:
                if selection.images not in truths:
                    files = (truth_path(folder, name) for name in selection.images)
                    truths = {selection.images: _features(files, judge, crops, realism.REFERENCE)}  # of one task
                sets = _realism(selection, method, truths[selection.images], judge, crops, rounds)
            table.append(_report(selection, method, sets, weights))
        table += [summarize_none(task, method, suffix, missing[method, task]) for method, _ in sorted(absent)]
    return Table(tuple(table))


def _features(files: Iterable[Path], judge: Judge, crops: int, start: int = 0) -> SetFeatures:
    return set_features(map(load_image, files), judge.features, crops=crops, start=start)


def _realism(
    selection: Selection, method: str, truth: SetFeatures, judge: Judge, crops: int, rounds: int
) -> dict[str, Score]:
    """Realism of a method's restorations, each seed a set."""
    done = selection.results[method]
    files = [[done[image, seed].path for image in selection.images] for seed in selection.seeds]
    return realism_scores([_features(paths, judge, crops) for paths in files], truth, rounds=rounds)


def _judging(known: dict) -> dict[str, str]:
    """The digests of the networks that judged the sweep of a manifest (`Judge.weights`): a portrait net has every role,
    and where there is none the prior's own networks judge."""
    found = {"perceptual": known["judge"]["perceptual"]}
    found["identity"] = found["perceptual"] if known["judge"]["suffix"] else known["prior"]["identity"]
    return {role: digest for role, digest in found.items() if digest is not None}


def _report(selection: Selection, method: str, sets: dict[str, Score], weights: dict[str, str]) -> Report:
    """The report of one task and method."""
    done = selection.results[method]
    records = [result.record for result in done.values()]
    values = {}
    for key in METRICS:
        if all(key in record["scores"] for record in records):
            scores = [[done[i, s].record["scores"][key] for s in selection.seeds] for i in selection.images]
            values[key] = torch.tensor(scores, dtype=torch.float64).mean(1)
    notes = [ORACLE] if any(record["oracle"] for record in records) else []
    if left_out := selection.left_out[method]:
        notes.append(left_out_words(left_out))
    first = records[0]
    return summarize(first["task"], method, first["judge"], values, sets, notes, len(selection.seeds), weights)


def check_judge(folder: str | Path, judge: Judge) -> None:
    """Raise `ResultsError` unless `judge` is the one that scored the sweep, by its name and by its weights."""
    known = manifest(folder)["judge"]
    if judge.suffix != known["suffix"]:
        raise ResultsError(f"{folder}: judged by {known['suffix']!r} nets, the judge given is {judge.suffix!r}")
    if judge.perceptual is not None and (found := weights_digest(judge.perceptual)) != known["perceptual"]:
        told = f"weights {known['perceptual'][:SHOWN]}, the judge given has {found[:SHOWN]}"
        raise ResultsError(f"{folder}: judged by a net of {told}; give the file that judged (--judge)")


def judge_for(folder: str | Path, net: str | Path | None = None) -> Judge | None:
    """The judge whose features give realism, the one that scored the sweep: `net` (a `PortraitNet` file) or net B on
    the embedded profile; else clean-fid's Inception if its file is there, else None.

    Raises `ResultsError` for a net that did not score the sweep, or cannot be used.
    """
    suffix = manifest(folder)["judge"]["suffix"]
    if suffix:
        judge = portraits_judge(None if net is None else load_portrait_net(net))
        check_judge(folder, judge)
        return judge
    if net is not None:
        raise ResultsError(f"{folder}: judged by LPIPS-VGG and Inception, the portrait net {net} cannot judge it")
    try:
        return Judge(suffix, None, None, realism.inception_features())
    except realism.RealismError:
        return None
