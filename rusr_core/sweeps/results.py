"""What a benchmark's folder holds, as one tidy table and as performance reports. Only the result files count."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.checkpoints.networks import load_portrait_net
from rusr_core.errors import RusrError
from rusr_core.images import load_image
from rusr_core.metrics import realism
from rusr_core.metrics.judges import METRICS, Judge, portraits_judge, set_scores
from rusr_core.metrics.report import Report, Table, summarize
from rusr_core.sweeps.claims import claim
from rusr_core.sweeps.measurements import truth_path
from rusr_core.sweeps.stamps import CheckedFiles
from rusr_core.sweeps.storage import manifest, read_head, read_record, write_atomic

ORACLE = "ORACLE: the clean image was used"


class ResultsError(RusrError):
    """A folder without results, or a table that cannot be written."""


@dataclass(frozen=True)
class Result:
    """One finished unit."""

    path: Path
    record: dict


def read(folder: Path) -> Iterator[Result]:
    """All whole results of a folder, by method, task, image and seed. Of those with a stamp only the record is read."""
    manifest(folder)
    files = CheckedFiles(folder, lambda path: read_record(path) is not None or None)
    for path in sorted((folder / "units").glob("*/*/*.png")):
        if not path.name.startswith(".") and files.note(path.relative_to(folder).as_posix()):
            yield Result(path, read_head(path))


def rows(folder: Path) -> list[dict]:
    """The tidy table: a row a unit, its scores and its provenance as columns."""
    found = []
    for result in read(folder):
        record = dict(result.record)
        scores, run = record.pop("scores"), record.pop("run")
        found.append(record | {key: scores.get(key) for key in METRICS if key in scores} | run)
    return found


def write_tables(folder: Path) -> list[Path]:
    """Write `results.csv`, and `results.parquet` if pyarrow is installed; -> the files."""
    table = rows(folder)
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


def reports(
    folder: Path,
    judge: Judge | None = None,
    *,
    keep: Callable[[dict], bool] | None = None,
    crops: int = realism.CROPS,
    rounds: int = 100,
) -> Table:
    """A performance report of each task and method, of the records that `keep` accepts or of all. Realism needs the
    `judge` (its features) and two images.

    Several seeds of an image count as one image: their scores are averaged.
    """
    groups = defaultdict(list)
    for result in read(folder):
        if keep is not None and not keep(result.record):
            continue
        groups[result.record["task"], result.record["method"]].append(result)
    if not groups:
        raise ResultsError(f"{folder}: no finished unit")
    order = {str(task): i for i, task in enumerate(tasks.SINGLE + tasks.COMPOSED)}
    keys = sorted(groups, key=lambda key: (order.get(key[0], len(order)), key))
    return Table(tuple(_report(folder, groups[key], judge, crops, rounds) for key in keys))


def _report(folder: Path, results: list[Result], judge: Judge | None, crops: int, rounds: int) -> Report:
    """The report of one task and method."""
    first = results[0].record
    images = sorted({result.record["image"] for result in results})
    values = {}
    for key in METRICS:
        if all(key in result.record["scores"] for result in results):
            of = defaultdict(list)
            for result in results:
                of[result.record["image"]].append(result.record["scores"][key])
            values[key] = torch.tensor([sum(of[name]) / len(of[name]) for name in images], dtype=torch.float64)
    sets = {}
    if judge is not None:
        if judge.suffix != first["judge"]:
            raise ResultsError(f"judged by {first['judge']!r} nets, the judge given is {judge.suffix!r}")
        seed = min(result.record["seed"] for result in results)
        chosen = {r.record["image"]: r.path for r in results if r.record["seed"] == seed}
        restored = torch.cat([load_image(path) for path in chosen.values()])
        truth = torch.cat([load_image(truth_path(folder, name)) for name in chosen])
        sets = set_scores(restored, truth, judge, crops=crops, rounds=rounds)
    notes = [ORACLE] if any(result.record["oracle"] for result in results) else []
    return summarize(first["task"], first["method"], first["judge"], values, sets, notes)


def judge_for(folder: Path, net: str | Path | None = None) -> Judge | None:
    """The judge whose features give realism: `net` (a `PortraitNet` file) or, on the embedded profile, net B; else
    clean-fid's Inception if its file is there, else None.
    """
    suffix = manifest(folder)["judge"]["suffix"]
    if suffix:
        return portraits_judge(None if net is None else load_portrait_net(net))
    try:
        return Judge(suffix, None, None, realism.inception_features())
    except realism.RealismError:
        return None
