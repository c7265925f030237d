"""Recorded results: tables of finished benchmark runs that travel with the project, each with its provenance.

`data/results/NAME/` holds what `benchmarks/record.py` distils from a folder of `rusr bench`:

    results.csv      a row a unit: scores, seconds, steps, provenance
    scores.csv       a row a task, method and metric: value, and its 95 % interval over images or its spread
    provenance.json  commit, machine, weights, number of images; what the columns of scores.csv mean; what was
                     withdrawn; what it is of, if not of the weights that are shipped; what the sheets show
    TASK.jpg         a sheet of recorded pictures, side by side without a border: a row a level, a column a method

A chapter shows them beside its live run and says which is which. Chapter: book/benchmark.ipynb.
"""

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.files import DataError, as_path, data_path
from rusr_core.images import load_image
from rusr_core.presets import known_as

FILES = ("results.csv", "scores.csv", "provenance.json")


class RecordingError(RusrError):
    """A recording, or a row of one, that does not exist."""


@dataclass(frozen=True)
class Recording:
    """One recorded sweep. Methods go by the names of today's presets; their aliases are understood, too."""

    name: str
    units: tuple[dict, ...]  # rows of results.csv; numbers are floats
    scores: tuple[dict, ...]  # rows of scores.csv; "task" is "upsampling L", "metric" a label as LPIPS-portraits
    provenance: dict

    def score(self, task: str, method: str, metric: str) -> tuple[float, float, float]:
        """Value and 95 % interval of one row, (value, low, high). `metric` is a label as "LPIPS-portraits" or
        "FID-portraits", or "fidelity". low and high are nan where there is no interval, as for Frechet distances.

        `RecordingError` says why a metric was withdrawn, or names the rows that exist.
        """
        for row in self.scores:
            if (row["task"], row["method"], _name(row)) == (task, known_as(method), metric):
                return row["value"], row.get("low", math.nan), row.get("high", math.nan)
        if reason := self.provenance.get("withdrawn", {}).get(metric):
            raise RecordingError(f"{metric} of recording {self.name!r} was withdrawn: {reason}")
        known = {key: sorted({row[key] for row in self.scores}) for key in ("task", "method")}
        known["metric"] = sorted({_name(row) for row in self.scores})
        raise RecordingError(f"no score {(task, method, metric)} in recording {self.name!r}; it holds {known}")

    def has(self, task: str, method: str, *metrics: str) -> bool:
        """Whether the recording holds this task and method, with all these metrics."""
        found = {_name(row) for row in self.scores if (row["task"], row["method"]) == (task, known_as(method))}
        return bool(found) and found.issuperset(metrics)

    def column(self, key: str, **where: str) -> list[float]:
        """One column of the units whose other columns are as given: `column("lpips", task="upsampling L")`."""
        where = {key: known_as(value) if key == "method" else value for key, value in where.items()}
        chosen = (u for u in self.units if all(u.get(k) == v for k, v in where.items()))
        values = [u[key] for u in chosen if key in u]
        if not values:
            raise RecordingError(f"no {key!r} with {where} in recording {self.name!r}")
        return values

    @property
    def earlier(self) -> str:
        """Why the recording says nothing of the weights that are shipped today; "" if it was made with them."""
        return self.provenance.get("earlier_weights", "")

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(row["method"] for row in self.scores))

    def __str__(self) -> str:
        """One line for a caption: what, how much, where, when."""
        p = self.provenance
        commits = ", ".join(commit[:7] for commit in p["commits"])
        portraits = "1 portrait" if str(p["images"]) == "1" else f"{p['images']} portraits"
        return (
            f"recorded run: profile {p['prior']}, {portraits}, {p['units']} restorations, {p['device']}, "
            f"commit {commits}, {p['date']}" + "".join(f"; {text}" for text in (p.get("note"), self.earlier) if text)
        )


@dataclass(frozen=True)
class Sheet:
    """Recorded pictures of one portrait, in [0, 1]."""

    columns: tuple[str, ...]  # "input", then methods, then "truth"
    rows: tuple[str, ...]  # levels, or the letters of what is composed
    pictures: Tensor  # [rows, columns, 3, side, side]

    def picture(self, row: str, column: str) -> Tensor:
        """One of them, [1, 3, side, side]. Raises `RecordingError` if it is not there."""
        if row not in self.rows or column not in self.columns:
            known = f"rows {', '.join(self.rows)} and columns {', '.join(self.columns)}"
            raise RecordingError(f"no picture {column!r} of {row!r} in a sheet with {known}")
        return self.pictures[self.rows.index(row), self.columns.index(column)][None]


def load(name: str | Path = "portraits-128") -> Recording:
    """The recording `data/results/NAME`, or that of another folder, by its path, which `benchmarks.record` has written.

    A folder of such a NAME, in the working directory, is "./NAME". `RecordingError` lists those of data/results."""
    if str(name) in (known := names()):
        return _shipped(str(name))
    if _is_one(folder := as_path(name, RecordingError)):
        return _read(folder.resolve().name, folder)
    expected = f"expected one of {', '.join(known) or 'none'}, or a folder with {', '.join(FILES)}"
    raise RecordingError(f"no recording {str(name)!r}; {expected}")


def _read(name: str, folder: Path) -> Recording:
    units, scores = (tuple(_rows(folder / file)) for file in FILES[:2])
    return Recording(name, units, scores, json.loads((folder / FILES[2]).read_text(encoding="utf-8")))


@cache
def _shipped(name: str) -> Recording:
    return _read(name, data_path(f"results/{name}"))


def _is_one(folder: Path) -> bool:
    return all((folder / file).is_file() for file in FILES)


def find(name: str) -> Recording | None:
    """The recording `data/results/NAME`, or None where nothing is recorded, as for most priors."""
    return _shipped(name) if name in names() else None


def names() -> list[str]:
    """All recordings that are there."""
    try:
        folder = data_path("results")
    except DataError:
        return []
    return sorted(p.name for p in folder.iterdir() if _is_one(p))


def sheet(name: str, task: str) -> Sheet | None:
    """The recorded pictures of a single task over the levels, or of all "composed" ones; None where there are none."""
    recording = find(name)
    labels = recording.provenance.get("sheets", {}).get(task) if recording else None
    if labels is None:
        return None
    columns, rows = tuple(known_as(each) for each in labels["columns"]), tuple(labels["rows"])
    (whole,) = load_image(data_path(f"results/{name}/{task}.jpg"))  # [3, rows * side, columns * side]
    side = whole.shape[1] // len(rows)
    if whole.shape[1:] != (side * len(rows), side * len(columns)):
        size = f"{whole.shape[2]} x {whole.shape[1]} px"
        raise RecordingError(f"sheet {task} of {name!r}: {size} do not hold {len(rows)} rows of {len(columns)} squares")
    return Sheet(columns, rows, whole.unfold(1, side, side).unfold(2, side, side).permute(1, 2, 0, 3, 4))


def _name(row: dict) -> str:
    """Accuracy and fidelity are both LPIPS: the latter goes by its question."""
    return "fidelity" if row["question"] == "fidelity" else row["metric"]


def _rows(path: Path) -> Iterator[dict]:
    """A CSV's rows, numbers as floats; empty fields are left out."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {key: _cell(key, value) for key, value in row.items() if value != ""}


def _cell(key: str, value: str) -> float | str:
    if key == "method":
        return known_as(value)
    if key in ("image", "commit"):  # names that look like numbers
        return value
    try:
        return float(value)
    except ValueError:
        return value
