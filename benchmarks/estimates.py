"""How right are the estimates of `photos.estimate`? Two hundred degraded portraits whose truth is known.

    python -m benchmarks.estimates OUT        # minutes on one core; writes estimates.csv, wrong.csv, provenance.json

Each damage in `cases` is done to another portrait: Portraits-X, each twice, or with `--new SEED` as many new renders,
which nobody looked at when the thresholds were chosen. A number that is stated counts as
right within the tolerance of `TOLERANCES`, and so does "none" where nothing happened; "unknown" is neither right nor
wrong. "wrong" are numbers that were stated and are not right.
"""

import argparse
import csv
import io
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

import rusr_core
from rusr_core import tasks
from rusr_core.commands.ending import ended
from rusr_core.commands.options import seed
from rusr_core.degradations import JPEG, Blur, Compose, Fade, PoissonBernoulliNoise, ReadNoise, Resize, mask_of, parse
from rusr_core.files import check_writable, data_path, write_atomic
from rusr_core.images import load_image, quantize, to_pil
from rusr_core.photos import Estimate, estimate
from tools.portraits.renderer import render, sample_z

# what is right: by how much a number may be off, relative or absolute, whichever is more
TOLERANCES = {
    "saved before": (0, 1),
    "photons": (0.3, 0),
    "dead pixels": (0, 0.03),
    "read noise": (0.3, 0.002),
    "blur": (0.25, 0.6),
    "gain": (0, 0.02),
    "offset": (0, 0.05),
    "gamma": (0, 0.03),
}
MOTION = (0.2, 2.0, 10.0)  # of the length, px, degrees
HOLE = (0.93, 0.03)  # least share of the hidden pixels that are found, most of the picture that is hidden in vain
CAMERA = [[min(255, first + down * r + right * c) for r in range(8) for c in range(8)] for first, down, right in
          ((3, 2, 4), (5, 6, 3), (4, 3, 7))]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One degraded portrait."""

    words: str  # the degradation, as `parse` reads it
    suffix: str = ".png"
    options: dict = field(default_factory=dict)  # of Pillow's JPEG


def cases() -> list[Case]:
    """The damages, 200 of them: each once or several times, on other portraits."""
    made = [Case("identity")] * 10
    made += [Case(str(task.degradation())) for task in tasks.SINGLE for _ in range(2)]  # 40
    made += [Case(str(task.degradation())) for task in tasks.COMPOSED]  # 11
    made += [Case(str(task.degradation())) for task in tasks.EXTRA for _ in range(3)]  # 15
    made += [Case(f"blur:length={n},direction={a}") for n, a in ((6, 0), (10, 30), (16, -60), (12, 90), (20, 45))] * 2
    made += [
        Case(f"resize:{size},{down} | resize:128,{mode}")
        for size, down in ((16, "area"), (32, "bicubic"), (50, "bicubic"), (64, "area"))
        for mode in ("nearest", "bilinear", "bicubic", "lanczos")
    ]  # 16
    made += [Case(f"readnoise:{s}") for s in (0.02, 0.05, 0.1, 0.2)] * 2
    made += [Case(f"noise:{n},0 | readnoise:{s}") for n, s in ((100, 0.05), (300, 0.1), (30, 0.03))] * 2
    made += [
        Case("fade:0.85+0.7+0.6,0.1+0.05+0.02"), Case("fade:0.8,0.15"), Case("fade:1.3,-0.1"), Case("fade:0.9,0.1,1.4"),
        Case("fade:1,0,1.4"), Case("fade:1,0,0.7"),
    ] * 2 + [Case("fade:0.7,0.1 | noise:48,0"), Case("blur:2 | fade:0.65,0.2")]  # fmt: skip
    made += [_jpeg(i) for i in range(36)] + [_twice(i) for i in range(20)]
    mixtures = (
        "blur:2 | noise:200,0", "blur:1.5 | jpeg:70", "resize:32,area | resize:128,bicubic | jpeg:80",
        "resize:48,bicubic | resize:128,bilinear | noise:96,0.02", "noise:48,0 | resize:96,bicubic",
        "strokes:5 | jpeg:60", "readnoise:0.05 | jpeg:85", "fade:0.8,0.1 | jpeg:90", "noise:24,0.16 | strokes:9",
        "blur:2 | strokes:5",
        "resize:64,area | resize:128,lanczos | strokes:9", "blur:length=12,direction=20 | noise:300,0",
    )  # fmt: skip
    made += [Case(words) for words in mixtures]
    return (made + made[10:])[:200]


def _jpeg(i: int) -> Case:
    """Files of libjpeg's tables and of a camera's, baseline and progressive, of every sampling."""
    sampling = ("4:2:0", "4:2:2", "4:4:4", "grey")[i % 4]
    own = {"qtables": CAMERA[: 1 if sampling == "grey" else 1 + i % 3]} if i % 2 else {"quality": 15 + 2 * i}
    chroma = {} if sampling == "grey" else {"subsampling": sampling}
    return Case("identity", ".jpg", {**own, **chroma, "progressive": i % 5 == 0})


def _twice(i: int) -> Case:
    first = (15, 30, 45, 60, 70)[i % 5]
    return Case(f"jpeg:{first}", ".jpg", {"quality": first + (12, 20, 25, 29)[i // 5], "subsampling": "4:2:0"})


def truth(case: Case, x: Tensor) -> dict[str, object]:
    """What `estimate` should find: numbers by the names of findings, 0 or "none" where nothing happened."""
    f, y_size = parse(case.words), None
    found = {"photons": 0.0, "dead pixels": 0.0, "read noise": 0.0, "blur": 0.0, "motion": 0.0, "hole": 0.0}
    found |= {"gain": (1.0,) * 3, "offset": (0.0,) * 3, "gamma": (1.0,) * 3, "saved before": None, "jpeg": "none"}
    for stage in Compose(f).stages:
        if isinstance(stage, PoissonBernoulliNoise):
            found |= {"photons": stage.photons, "dead pixels": stage.p}
        elif isinstance(stage, ReadNoise):
            found["read noise"] = stage.sigma
        elif isinstance(stage, Blur):
            found |= {"motion": (stage.length, stage.direction)} if stage.length else {"blur": stage.width}
        elif isinstance(stage, Fade):
            wide = [v if isinstance(v, tuple) else (v,) * 3 for v in (stage.gain, stage.offset, stage.gamma)]
            found |= dict(zip(("gain", "offset", "gamma"), wide, strict=True))
        elif isinstance(stage, JPEG):
            found["saved before"] = stage.quality
        elif isinstance(stage, Resize) and y_size is None:
            y_size = stage.size
        elif isinstance(stage, Resize):
            found["true size"] = (y_size, y_size, stage.mode)
    if case.suffix == ".jpg":
        found["jpeg"] = case.options
    mask = mask_of(f, x)
    return found | ({} if mask is None else {"hole": mask})


def is_right(name: str, stated: object, true: object, result: Estimate) -> tuple[bool, float | None]:
    """Whether a stated number is right, and by how much it is off, relative for photons, read noise and lengths."""
    if name == "jpeg":
        return _same_file(stated, true, result), None
    if name == "hole":
        if not isinstance(true, Tensor):
            return stated == 0, None
        if stated == 0:
            return False, None
        hidden, found = true < 0.99, result.stages[-1].visible < 0.5
        enough = (hidden & found).sum() >= HOLE[0] * hidden.sum()
        return bool(enough and (found & ~hidden).float().mean() < HOLE[1]), None
    if name == "true size":
        size = true or (result.height, result.width)
        near = len(size) == len(stated) and all(abs(a - b) <= 1 for a, b in zip(size[:2], stated[:2], strict=True))
        return near and size[2:] == tuple(stated[2:]), abs(size[0] - stated[0])
    if name == "motion":
        if not true or not stated:
            return bool(true) == bool(stated), None
        apart = abs((stated[1] - true[1] + 90) % 180 - 90)
        off = abs(stated[0] - true[0])
        return off <= max(MOTION[0] * true[0], MOTION[1]) and apart <= MOTION[2], off / true[0]
    if true is None:
        return False, None
    relative, absolute = TOLERANCES[name]
    pairs = [(s, t) for s, t in zip(np.atleast_1d(stated), np.atleast_1d(true), strict=True) if s is not None]
    right = all(abs(s - t) <= max(relative * abs(t), absolute) for s, t in pairs)
    scale = abs(true) if name in ("photons", "read noise", "blur") and true else 1.0
    return right, float(np.mean([abs(s - t) for s, t in pairs]) / scale)


def _same_file(stated: str, options: dict | str, result: Estimate) -> bool:
    """Whether the file's tables and sampling are exactly those that it was written with."""
    if options == "none" or stated == "none":
        return options == stated
    (stage,) = [s for s in result.stages if isinstance(s, JPEG)][-1:]
    tables = tuple(sum(options["qtables"], [])) if "qtables" in options else options["quality"]
    return stage.quality == tables and stage.sampling == options.get("subsampling", "grey")


def portraits(seed: int | None) -> Tensor:
    """The portraits of the cases, `[200, 3, 128, 128]`: Portraits-X twice, or new renders from a seed."""
    if seed is None:
        return torch.cat([load_image(data_path(f"portraits/test/{i % 100:03d}.png")) for i in range(len(cases()))])
    return torch.cat([render(z[None], 128) for z in sample_z(seed, len(cases()))])


def measured(folder: Path, clean: Tensor) -> Iterator[dict[str, object]]:
    """A row for each finding of each case."""
    for i, case in enumerate(cases()):
        x = quantize(clean[i : i + 1])
        y = to_pil(parse(case.words).degrade(x, torch.Generator().manual_seed(i)))
        path = folder / f"{i:03d}{case.suffix}"
        if case.suffix == ".jpg":
            (y if "subsampling" in case.options else y.convert("L")).save(path, "JPEG", **case.options)
        else:
            y.save(path)
        result, true = estimate(path), truth(case, x)
        for found in result.findings:
            if found.name == "saved before" and found.value is None and true["saved before"] is None:
                continue  # nothing to find, nothing found
            expected = true.get(found.name)
            row = {"case": i, "degradation": f"{case.words}{case.suffix}", "finding": found.name, "stated": found.words}
            happened = _happened(expected)
            if found.value is None:
                yield row | {"happened": happened, "verdict": "unknown", "error": ""}
                continue
            right, off = is_right(found.name, found.value, expected, result)
            error = "" if off is None or not happened else f"{off:.4f}"
            yield row | {"happened": happened, "verdict": "right" if right else "wrong", "error": error}


def _happened(expected: object) -> bool:
    """Whether a damage was done."""
    if isinstance(expected, Tensor):
        return True
    return expected not in (0.0, "none", None, (1.0,) * 3, (0.0,) * 3)


def summary(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """One row a finding, and one for all: how many, shares, and the median error where a damage was stated."""
    names = list(dict.fromkeys(row["finding"] for row in rows))
    table = []
    for name in [*names, "all"]:
        mine = [row for row in rows if name in (row["finding"], "all")]
        done = [row for row in mine if row["happened"]]
        errors = [float(row["error"]) for row in done if row["error"] != ""]
        share = lambda verdict, of: round(sum(r["verdict"] == verdict for r in of) / max(1, len(of)), 4)  # noqa: E731
        table.append({
            "finding": name, "estimates": len(mine), "damaged": len(done),
            "unknown": share("unknown", mine), "wrong": share("wrong", mine),
            "right_of_damaged": share("right", done), "unknown_of_damaged": share("unknown", done),
            "median_error": f"{np.median(errors):.4f}" if errors and name != "all" else "",
        })  # fmt: skip
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--new", type=seed, metavar="SEED", help="new renders from this seed")
    args = parser.parse_args()
    names = ("estimates.csv", "wrong.csv", "provenance.json")
    check_writable(*(args.out / name for name in names), force=True, new_folders=True)
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        rows = list(measured(Path(folder), portraits(args.new)))
    table = summary(rows)
    wrong = [row for row in rows if row["verdict"] == "wrong"]
    for name, columns, content in zip(names[:2], (table[0], rows[0]), (table, wrong), strict=True):
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(content)
        write_atomic(args.out / name, text.getvalue().encode())
    packages = {"rusr": rusr_core, "torch": torch, "numpy": np, "Pillow": PIL}
    versions = {name: package.__version__ for name, package in packages.items()}
    provenance = {
        "command": f"python -m benchmarks.estimates OUT{'' if args.new is None else f' --new {args.new}'}",
        "portraits": "Portraits-X, each twice" if args.new is None else "new renders", "cases": len(cases()),
        "tolerances": TOLERANCES, "motion": MOTION, "hole": HOLE, "versions": versions,
        "python": platform.python_version(), "seconds": round(time.monotonic() - start),
    }  # fmt: skip
    write_atomic(args.out / names[2], (json.dumps(provenance, indent=1) + "\n").encode())
    for row in table:
        print("  ".join(f"{v!s:>18}" for v in row.values()))


if __name__ == "__main__":
    sys.exit(ended(main))
