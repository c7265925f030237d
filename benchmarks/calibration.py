"""How often does the truth lie where several answers say? Calibration of `restore(..., samples=k)` on portraits.

    python -m benchmarks.calibration OUT --task inpainting --level L --num-images 20

If the truth were one more answer, drawn like the k others, it would lie between the smallest and the largest of them at
a share (k - 1) / (k + 1) of all values, and the mean of the answers would be sqrt(1 + 1 / k) spreads away from it.
OUT/TASK-NNN.json holds one portrait, whole or not at all: the same command resumes. OUT/TASK.json sums up those that
are there, and says where they come from.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from rusr_core import metrics, priors, tasks
from rusr_core.degradations import mask_of
from rusr_core.files import write_atomic
from rusr_core.images import resize
from rusr_core.metrics.intervals import mean_interval
from rusr_core.networks.digests import weights_digest
from rusr_core.prior import Prior
from rusr_core.restore import Samples, restore
from rusr_core.sweeps.provenance import provenance

BLOCK = 8  # px, the side of the squares whose spread and error are ranked


def calibration(result: Samples, truth: Tensor, mask: Tensor | None = None) -> dict[str, float | None]:
    """The numbers of one portrait, truth [1, 3, R, R]; with a mask [1, 1, R, R], 1 = visible, also of either side.

    `inside`: share of values between the smallest and the largest answer; `factor`: error of the mean in units of what
    the spread foretells, 1 if calibrated; `rank`: Spearman's correlation of spread and error over squares of 8 px.
    """
    low, high = result.answers.amin(1), result.answers.amax(1)
    inside = ((low <= truth) & (truth <= high)).float().mean(1, keepdim=True)
    error = (result.mean - truth).square().mean(1, keepdim=True)
    foretold = result.spread.square() * (1 + 1 / result.samples)
    squares = [resize(value, truth.shape[-1] // BLOCK, "area").flatten() for value in (error, foretold)]
    regions = {"": torch.ones_like(error)}
    if mask is not None:
        regions |= {"_hidden": (mask < 0.5).float(), "_visible": (mask >= 0.5).float()}
    found = {"rank": rank_correlation(*squares)}
    for name, region in regions.items():
        num = region.sum()
        if num:
            found[f"inside{name}"] = float((inside * region).sum() / num)
            found[f"factor{name}"] = float(((error * region).sum() / (foretold * region).sum()).sqrt())
            found[f"error{name}"] = float(((error * region).sum() / num).sqrt())
            found[f"invented{name}"] = float((result.invented * region).sum() / num)
    return found


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's correlation of two lists of numbers [n] without ties."""
    ranks = torch.stack([v.argsort().argsort().double() for v in (a, b)])
    return float(torch.corrcoef(ranks)[0, 1])


def measure(prior: Prior, args: argparse.Namespace, number: int) -> dict[str, object]:
    """One portrait: restored `args.samples` times, and compared with the truth."""
    f, x = tasks.get(args.task, args.level), priors.portraits([number])
    y = f.degrade(x, torch.Generator().manual_seed(number))
    result = restore(prior, y, f, preset=args.preset, seed=number, samples=args.samples)
    distances = metrics.lpips(torch.cat([result.image, result.mean]), x.expand(args.samples + 1, -1, -1, -1))
    mask = mask_of(f, x)
    mask = mask if mask is not None and mask.shape[2:] == x.shape[2:] else None
    scores = {"lpips_answers": distances[:-1].tolist(), "lpips_mean": distances[-1].item()}
    misfit = {"misfit": result.misfit[0].tolist(), "steps": result.steps, "seconds": result.seconds}
    return calibration(result, x, mask) | scores | misfit


def summary(found: list[dict], samples: int) -> dict[str, object]:
    """Means with their intervals, mean, low, high, over portraits; beside what a calibrated spread would give."""
    names = [name for name, value in found[0].items() if isinstance(value, float) and name != "seconds"]
    means = {name: mean_interval(torch.tensor([one[name] for one in found if name in one])) for name in names}
    first = mean_interval(torch.tensor([one["lpips_answers"][0] for one in found]))
    return {"inside_if_calibrated": (samples - 1) / (samples + 1), "lpips_first": first} | means


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", default="inpainting")
    parser.add_argument("--level", default="L")
    parser.add_argument("--preset", default="report", help="NAME or NAME@STEPS")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--num-images", type=int, default=20)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    prior = priors.load_prior(priors.EMBEDDED)
    settings = {"task": f"{args.task} {args.level}", "preset": args.preset, "samples": args.samples}
    origin = provenance(prior.device, torch.float32, "exact") | {"weights": weights_digest(prior.generator)}
    found = []
    for number in range(args.num_images):
        path = args.out / f"{args.task}-{number:03d}.json"
        if path.exists():
            one = json.loads(path.read_text(encoding="utf-8"))
            if one["settings"] != settings:
                sys.exit(f"{path}: made with {one['settings']}; expected {settings}, or another folder")
        else:
            one = {"settings": settings} | measure(prior, args, number)
            write_atomic(path, json.dumps(one, indent=1).encode())
            print(f"portrait {number}: inside {one['inside']:.2f}, factor {one['factor']:.2f}", flush=True)
        found.append({name: value for name, value in one.items() if name != "settings"})
        record = {"settings": settings, "portraits": len(found), "results": summary(found, args.samples)}
        text = json.dumps(record | {"provenance": origin}, indent=1)
        write_atomic(args.out / f"{args.task}.json", text.encode(), overwrite=True)
    print(text)


if __name__ == "__main__":
    main()
