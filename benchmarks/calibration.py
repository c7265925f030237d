"""How often does the truth lie where several answers say? Calibration of `restore(..., samples=k)` on portraits.

    python -m benchmarks.calibration OUT --task inpainting --level L --num-images 20
    python -m benchmarks.calibration OUT --num-images 20 --device cuda --batch 20

What a calibrated spread would give is said in `rusr_core.metrics.samples`.
OUT/TASK-NNN.json holds one portrait, whole or not at all: the same command resumes, and `--num-images` may grow.
OUT/TASK.json sums them up, and says where they come from.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.resuming import Measurement, fill, summed_up
from rusr_core import metrics, presets, priors, tasks
from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, device_of, whole
from rusr_core.degradations import mask_of
from rusr_core.images import resize
from rusr_core.limits import MAX_SAMPLES
from rusr_core.metrics.intervals import mean_interval
from rusr_core.metrics.samples import among
from rusr_core.prior import Prior
from rusr_core.priors.load import PORTRAITS_X
from rusr_core.restore import restore
from rusr_core.results import Samples

BLOCK = 8  # px, the side of the squares whose spread and error are ranked


def calibration(
    answers: Tensor, invented: Tensor, truth: Tensor, mask: Tensor | None = None
) -> dict[str, float | None]:
    """The numbers of one portrait: k answers [k, 3, R, R], the map of what is invented and truth, each [1, C, R, R].

    `inside`: share of values between the smallest and the largest answer; `factor`: error of the mean in units of what
    the spread foretells, 1 if calibrated; `rank`: Spearman's correlation of spread and error over squares of 8 px.
    With a mask [1, 1, R, R], 1 = visible, also of either side.
    """
    where = among(answers[None], truth)
    squares = [resize(value, truth.shape[-1] // BLOCK, "area").flatten() for value in (where.error, where.foretold)]
    regions = {"": torch.ones_like(where.error)}
    if mask is not None:
        regions |= {"_hidden": (mask < 0.5).float(), "_visible": (mask >= 0.5).float()}
    found = {"rank": rank_correlation(*squares)}
    for name, region in regions.items():
        num = region.sum()
        if num:
            found |= {f"{key}{name}": value.item() for key, value in where.scores(region).items()}
            found[f"error{name}"] = float(((where.error * region).sum() / num).sqrt())
            found[f"invented{name}"] = float((invented * region).sum() / num)
    return found


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's correlation of two lists of numbers [n] without ties."""
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


def measure(prior: Prior, args: argparse.Namespace, numbers: list[int]) -> list[Measurement]:
    """Portraits restored `args.samples` times, with the seed 0, and compared with the truth."""
    f, x = tasks.get(args.task, args.level), priors.portraits(numbers)
    draws = [torch.Generator().manual_seed(number) for number in numbers]
    y = torch.cat([f.degrade(image, draw) for image, draw in zip(x.split(1), draws, strict=True)])
    result = restore(prior, y, f, preset=args.preset, samples=args.samples)
    mask = mask_of(f, x[:1])
    mask = mask if mask is not None and mask.shape[2:] == x.shape[2:] else None
    return [_one(result, i, x[i : i + 1], mask) for i in range(len(x))]


def _one(result: Samples, i: int, truth: Tensor, mask: Tensor | None) -> Measurement:
    """The portrait `i` of a result."""
    answers, invented = result.answers[i].cpu(), result.invented[i : i + 1].cpu()
    everything = torch.cat([answers, answers.mean(0, keepdim=True)])
    *distances, of_mean = metrics.lpips(everything, truth.expand(len(everything), -1, -1, -1)).tolist()
    rows = slice(i * result.samples, (i + 1) * result.samples)
    cost = {"steps": result.steps[rows], "seconds": result.seconds / len(result.answers)}
    scores = {"lpips_answers": distances, "lpips_mean": of_mean, "misfit": result.misfit[i].tolist()}
    return calibration(answers, invented, truth, mask) | scores | cost


def summary(found: list[Measurement], samples: int) -> dict[str, object]:
    """Means with their intervals, mean, low, high, over portraits; beside what a calibrated spread would give."""
    numbers = {name: value for one in found for name, value in one.items() if isinstance(value, float)}
    names = [name for name in numbers if name != "seconds"]
    means = {name: mean_interval(torch.tensor([one[name] for one in found if name in one])) for name in names}
    first = mean_interval(torch.tensor([one["lpips_answers"][0] for one in found]))
    return {"inside_if_calibrated": (samples - 1) / (samples + 1), "lpips_first": first} | means


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", default="inpainting")
    parser.add_argument("--level", default="L")
    parser.add_argument("--preset", default="default", help="NAME or NAME@STEPS")
    parser.add_argument("--samples", type=whole(2, MAX_SAMPLES), default=4)
    parser.add_argument("--num-images", type=whole(1, PORTRAITS_X), default=20)
    parser.add_argument("--batch", type=count, default=1, help="portraits at once (default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    presets.get(args.preset)  # names that are none, before the work
    tasks.get(args.task, args.level)
    prior = priors.load_prior(priors.EMBEDDED, device=device_of(args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    settings = {"task": f"{args.task} {args.level}", "preset": args.preset, "samples": args.samples}
    paths = [args.out / f"{args.task}-{number:03d}.json" for number in range(args.num_images)]
    work = lambda part: measure(prior, args, part)  # noqa: E731
    found = fill(paths, settings, work, tell=_words, batch=args.batch)
    record = {"settings": settings, "portraits": len(found), "results": summary(found, args.samples)}
    summed_up(args.out / f"{args.task}.json", record, prior)
    print(json.dumps(record, indent=1))


def _words(one: Measurement) -> str:
    return f"inside {one['inside']:.2f}, factor {one['factor']:.2f}"


if __name__ == "__main__":
    sys.exit(ended(main))
