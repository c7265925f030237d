"""Could a restoration be the original? The numbers that its JPEG stores, beside those of the file it was found from.

    rusr bench SWEEP --tasks deartifacting:XS deartifacting:M ... --num-images 10
    python -m benchmarks.stored_numbers SWEEP OUT

In a folder of `rusr bench`: each restoration of the task deartifacting is compressed once more, and its stored numbers
of brightness are compared with the input's; beside it the mean face, which is nobody. OUT/stored_numbers.json has the
means with Student's 95 % intervals over portraits, each portrait, and where the restorations come from. The results of
the recorded sweep belong into data/results/stored_numbers.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from rusr_core import priors, tasks
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError
from rusr_core.degradations import JPEG
from rusr_core.degradations.jpeg_numbers import agreement, stored_numbers
from rusr_core.files import check_writable, write_atomic
from rusr_core.images import load_image
from rusr_core.latents import mean_w
from rusr_core.metrics.intervals import mean_interval
from rusr_core.networks.digests import weights_digest
from rusr_core.sweeps import results
from rusr_core.sweeps.storage import manifest

TASKS = {str(task): task.degradation().quality for task in tasks.SINGLE if task.name == "deartifacting"}
MEAN_FACE = "mean face"
KINDS = ("of all", "where not both are zero")

Shares = dict[str, list[tuple[float, float]]]  # by whose picture; one pair a portrait, as KINDS


def shares(sweep: Path, selection: results.Selection, quality: int, mean_face: Tensor) -> Shares:
    """What each method's restorations of a task, and the mean face, share with the input that was to be explained."""
    f, inputs, found = JPEG(quality), {}, defaultdict(list)
    nobody = stored_numbers(f.degrade(mean_face), quality)
    for method, done in selection.results.items():
        for unit, result in done.items():
            if unit not in inputs:
                y = load_image(sweep / "measurements" / result.path.parent.name / result.path.name)
                inputs[unit] = stored_numbers(y, quality)
            again = stored_numbers(f.degrade(load_image(result.path)), quality)
            found[method].append(agreement(inputs[unit], again))
    return found | {MEAN_FACE: [agreement(y, nobody) for y in inputs.values()]}


def summed(task: str, found: Shares) -> list[dict]:
    """A row for each picture and kind of share: mean and 95 % interval over portraits, and the portraits' own."""
    rows = []
    for name, pairs in found.items():
        for kind, values in zip(KINDS, zip(*pairs, strict=True), strict=True):
            mean, low, high = mean_interval(torch.tensor(values, dtype=torch.float64))
            row = {"task": task, "picture": name, "share": kind, "mean": mean, "low": low, "high": high}
            rows.append(row | {"portraits": [round(value, 6) for value in values]})
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--prior", default="portraits-128", help="of the sweep, a name or a file (default: %(default)s)"
    )
    args = parser.parse_args()
    path = args.out / "stored_numbers.json"
    check_writable(path, force=True, new_folders=True)
    there = {task: done for task, done in results.selections(args.sweep).items() if task in TASKS}
    if not there:
        raise CommandError(f"{args.sweep}: no restoration of {', '.join(TASKS)}; expected a sweep of one of them")
    said = manifest(args.sweep)
    G = priors.load_prior(args.prior, perceptual=False, identity=False).generator
    if weights_digest(G) != said["prior"]["generator"]:
        raise CommandError(
            f"{args.prior}: another generator than that of {args.sweep}; expected {said['prior']['name']}"
        )
    nobody, rows = G.image(mean_w(G)).clamp(0, 1), []
    for task, done in there.items():
        rows += summed(task, shares(args.sweep, done, TASKS[task], nobody))
    units = [result for done in there.values() for of in done.results.values() for result in of.values()]
    origin = {
        "portraits": sorted({image for done in there.values() for image in done.images}),
        "commits": sorted({result.record["run"]["commit"] for result in units}),
        "weights": said["prior"], "device": said["device"], "torch": said["torch"],
    }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    write_atomic(path, (json.dumps({"rows": rows, "provenance": origin}, indent=1) + "\n").encode())
    for row in rows:
        print(f"{row['task']:20}{row['picture']:12}{row['share']:26}{100 * row['mean']:6.1f} %")


if __name__ == "__main__":
    sys.exit(ended(main))
