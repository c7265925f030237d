"""Sheets of recordings: the pictures of one portrait, side by side, as `rusr_core.sweeps.recordings.sheet` reads them."""

import json
import shutil
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.images import load_image, to_pil
from rusr_core.sweeps.measurements import truth_path


def sheet(sweep: Path, rows: list[dict], letter: str, out: Path) -> dict[str, list[str]] | None:
    """Write input, results and truth of the first image as `LETTER.jpg`, a row a level of a task, or a row a
    composition; -> what its columns and rows are, None for a task of which there is none.

    Doing nothing has no column: the input has one.
    """
    image = min(row["image"] for row in rows)
    composed = letter == "composed"
    chosen = [t for t in tasks.SINGLE + tasks.COMPOSED if (len(t.letters) > 1 if composed else t.name == letter)]
    chosen = [t for t in chosen if any(row["task"] == str(t) and row["image"] == image for row in rows)]
    methods = [name for name in dict.fromkeys(row["method"] for row in rows) if name != "nothing"]
    if not chosen:
        return None
    seed, truth, columns = rows[0]["seed"], load_image(truth_path(sweep, image)), []
    grey = torch.full_like(truth, 0.5)
    for folder in ("measurements", *(f"units/{method}" for method in methods)):
        files = [sweep / folder / f"{t.letters}-{t.level}" / f"{image}_{seed}.png" for t in chosen]
        columns.append([load_image(file) if file.exists() else grey for file in files])  # grey: n/a
    columns.append([truth] * len(chosen))
    stacked = [torch.cat([_enlarged(x, truth.shape[-1]) for x in column], 2) for column in columns]
    to_pil(torch.cat(stacked, 3)[0]).save(out / f"{letter}.jpg", quality=88, subsampling=0, optimize=True)
    return {"columns": ["input", *methods, "truth"], "rows": [t.letters if composed else t.level for t in chosen]}


def _enlarged(x: torch.Tensor, side: int) -> torch.Tensor:
    times = side // x.shape[-1]
    return x.repeat_interleave(times, 2).repeat_interleave(times, 3)


def earlier_sheets(out: Path, made: Path) -> dict[str, dict]:
    """Copy the sheets of a recording; -> what they show."""
    labels = json.loads((out / "provenance.json").read_text(encoding="utf-8")).get("sheets", {})
    for name in labels:
        shutil.copy(out / f"{name}.jpg", made)
    return labels
