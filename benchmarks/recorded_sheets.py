"""Sheets of recordings: the pictures of one portrait, side by side, that `rusr_core.sweeps.recordings` reads."""

import io
import json
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor

from rusr_core import tasks
from rusr_core.commands.output import complain
from rusr_core.files import write_atomic
from rusr_core.images import load_image, to_pil
from rusr_core.presets import known_as
from rusr_core.sweeps.measurements import truth_path

ENDS = ("input", "truth")  # the first and the last column of a sheet
SAME_PORTRAIT = 0.04  # mean difference: JPEG makes 0.006 of 128 px and 0.014 of 32 px, another portrait 0.1 and more


def draw_sheets(
    sweep: Path, rows: list[dict], out: Path, wider: dict[str, dict] | None, anew: Collection[str] = ()
) -> dict[str, dict]:
    """Draw the sheets of a sweep into `out`, or give those of `wider`, which lie there, the columns that they lack or
    that are drawn `anew`, and draw no others; -> what they show."""
    if wider is not None:
        return {letter: widened(sweep, rows, letter, labels, out, anew) for letter, labels in wider.items()}
    drawn = {letter: sheet(sweep, rows, letter, out) for letter in (*tasks.TASKS, "composed")}
    return {letter: labels for letter, labels in drawn.items() if labels}


def sheet(sweep: Path, rows: list[dict], letter: str, out: Path) -> dict[str, list[str]] | None:
    """Write input, results and truth of the first image as `LETTER.jpg`, a row a level of a task, or a row a
    composition; -> what its columns and rows are, None for a task of which there is none.

    Doing nothing has no column: the input has one.
    """
    image = min(row["image"] for row in rows)
    chosen = [t for t in _of_letter(letter) if any(row["task"] == str(t) and row["image"] == image for row in rows)]
    if not chosen:
        return None
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != "nothing"]
    file, truth = f"{image}_{rows[0]['seed']}.png", load_image(truth_path(sweep, image))[0]
    columns = {"input": _column(sweep / "measurements", chosen, file, truth.shape[-1])}
    columns |= {name: _column(sweep / "units" / name, chosen, file, truth.shape[-1]) for name in methods}
    _save(columns | {"truth": truth.repeat(1, len(chosen), 1)}, out / f"{letter}.jpg")
    return {"columns": ["input", *methods, "truth"], "rows": [_label(t, letter) for t in chosen]}


def widened(
    sweep: Path, rows: list[dict], letter: str, labels: dict, out: Path, anew: Collection[str] = ()
) -> dict[str, list[str]]:
    """Give the recorded sheet `LETTER.jpg` in `out` a column for each method of a sweep that it lacks, or that is drawn
    `anew`; -> its labels.

    It stays as it is where the sweep has not restored its portrait in all its rows: the truth tells. JPEG's blocks lie
    as before, so that the squares that were there change by a rounding.
    """
    known = [known_as(name) for name in labels["columns"]]
    new = {known_as(row["method"]) for row in rows} - ({"nothing", *known} - set(anew))
    if not new:
        return labels
    image = min(row["image"] for row in rows)
    there = {row["task"] for row in rows if row["image"] == image}
    chosen = [t for t in _of_letter(letter) if str(t) in there and _label(t, letter) in labels["rows"]]
    (whole,) = load_image(out / f"{letter}.jpg")  # [3, rows * side, columns * side]
    columns = dict(zip(known, whole.chunk(len(known), 2), strict=True))
    truth = load_image(truth_path(sweep, image))[0].repeat(1, len(chosen), 1)
    same = [_label(t, letter) for t in chosen] == labels["rows"] and truth.shape == columns["truth"].shape
    if not same or (truth - columns["truth"]).abs().mean() > SAME_PORTRAIT:
        complain(f"sheet {letter} gets no column for {', '.join(sorted(new))}: the sweep lacks its portrait or a row")
        return labels
    for name in new:
        columns[name] = _column(sweep / "units" / name, chosen, f"{image}_{rows[0]['seed']}.png", truth.shape[-1])
    order = [ENDS[0], *sorted(columns.keys() - set(ENDS)), ENDS[1]]
    _save({name: columns[name] for name in order}, out / f"{letter}.jpg")
    return labels | {"columns": order}


def earlier_sheets(out: Path, made: Path) -> dict[str, dict]:
    """Copy the sheets of a recording; -> what they show."""
    labels = json.loads((out / "provenance.json").read_text(encoding="utf-8")).get("sheets", {})
    for name in labels:
        write_atomic(made / f"{name}.jpg", (out / f"{name}.jpg").read_bytes())
    return labels


def _of_letter(letter: str) -> list[tasks.Task]:
    """The tasks that a sheet of this name may have rows of."""
    composed = letter == "composed"
    return [t for t in tasks.SINGLE + tasks.COMPOSED if (len(t.letters) > 1 if composed else t.name == letter)]


def _label(task: tasks.Task, letter: str) -> str:
    return task.letters if letter == "composed" else task.level


def _column(folder: Path, chosen: list[tasks.Task], name: str, side: int) -> Tensor:
    """The pictures of one method, [3, rows * side, side]; grey where there is none, as where it cannot do a task."""
    files = [folder / task.file_name / name for task in chosen]
    grey = torch.full((1, 3, side, side), 0.5)
    return torch.cat([_enlarged(load_image(file) if file.exists() else grey, side)[0] for file in files], 1)


def _enlarged(x: Tensor, side: int) -> Tensor:
    times = side // x.shape[-1]
    return x.repeat_interleave(times, 2).repeat_interleave(times, 3)


def _save(columns: dict[str, Tensor], path: Path) -> None:
    file = io.BytesIO()
    to_pil(torch.cat(list(columns.values()), 2)).save(file, "JPEG", quality=88, subsampling=0, optimize=True)
    write_atomic(path, file.getvalue())
