"""What it costs each method to be told a wrong f: the part of the experiment of one setting that changes what is known.

    python -m benchmarks.wrong_f OUT --num-images 4
    python -m benchmarks.wrong_f OUT --write data/results/wrong_f       keep the summary there, too

Each case has a true f, at level M of its task, and a wrong one that the methods are told: half and twice the noise, a
JPEG quality that is six too high or too low, a reduction by another filter (the true one is softer), and a mask that is
a few pixels too small. Every method restores each input with the true f and with the wrong one. `price` is how many
times as far from the truth it ends with the wrong one (LPIPS by net B, in pairs, a geometric mean with its 95 %
interval over portraits), `against` how many times as far as `default` when both are told the wrong f. Where a method
cannot invert the true f there is no price, and where it cannot invert the wrong one there is a reason.

OUT/CASE-METHOD-TOLD-NNN.json holds one restoration, whole or not at all: the same command resumes, and methods and
portraits may grow. OUT/wrong_f.json sums all of the folder up, and says where it comes from. Chapter:
book/one_setting.ipynb.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks.resuming import Measurement, fill, read, summed_up
from rusr_core import baselines, metrics, priors
from rusr_core.baselines.tuned import prior_of, weights_of
from rusr_core.commands.ending import ended
from rusr_core.commands.options import device_of, whole
from rusr_core.degradations import Degradation, parse
from rusr_core.files import check_writable
from rusr_core.metrics.intervals import mean_factor, mean_interval
from rusr_core.prior import Prior
from rusr_core.priors.diffusion import denoiser_beside
from rusr_core.priors.load import PORTRAITS_X
from rusr_core.sweeps import Method

CASES: dict[str, tuple[str, str]] = {  # of each the true f, and the wrong one that is told
    "half the noise": ("noise:24,0.16", "noise:96,0.08"),  # the deviation of photon noise goes by the root of photons
    "twice the noise": ("noise:24,0.16", "noise:6,0.32"),
    "quality 6 too high": ("jpeg:12", "jpeg:18"),
    "quality 6 too low": ("jpeg:12", "jpeg:6"),
    "another filter": ("blur:2 | downsample:8", "downsample:8"),
    "mask too small": ("strokes:9", "strokes:9,width=0.05"),  # true: 0.08 of the side, so 2 px wider on each edge
}
Weights = dict[str, dict[str, str]]  # of each kind of prior the digests of its networks, by role
TOLD = ("right", "wrong")
OURS = "default"
FILE = "wrong_f.json"
QUICK = ("default", "classical", "pulse", "ddrm")  # four portraits take these a quarter of an hour of a fast core


def told(case: str, which: str, number: int) -> Degradation:
    """The f that is told of a portrait, "right" or "wrong"; strokes lie where the portrait's number puts them."""
    return parse(CASES[case][TOLD.index(which)], seed=number)


def measure(method: Method, prior: Prior, case: str, which: str, numbers: Sequence[int]) -> list[Measurement]:
    """A restoration of each of these portraits, by the method told right or wrong: LPIPS and PSNR to the truth."""
    used = denoiser_beside(prior, priors.EMBEDDED) if prior_of(method.how) == "diffusion" else prior
    found = []
    for number in numbers:
        x = priors.portraits([number])
        y = told(case, "right", number).degrade(x, torch.Generator().manual_seed(number))
        result = method.restore(used, y.to(prior.device), told(case, which, number), x, number)
        image = result.image.cpu()
        scores = {"lpips": metrics.lpips(image, x).item(), "psnr": metrics.psnr(image, x).item()}
        found.append(scores | {"steps": result.steps[0], "seconds": result.seconds})
    return found


def summary(found: dict[tuple[str, str, str], list[Measurement]]) -> dict[str, dict[str, Measurement]]:
    """Of each case and method: portraits, LPIPS told right and wrong, the price, and the factor against `default`.

    `found` holds measurements of the same portraits by (case, method, told). A mean is (value, low, high), as a factor
    is; None where a method was not run.
    """
    table: dict[str, dict[str, Measurement]] = {}
    for case, method in dict.fromkeys((case, method) for case, method, _ in found):
        each = {which: [one["lpips"] for one in found.get((case, method, which), ())] for which in TOLD}
        ours = [one["lpips"] for one in found.get((case, OURS, "wrong"), ())]
        row: Measurement = {"portraits": min(len(values) for values in each.values() if values)}
        row |= {which: _mean(values) for which, values in each.items()}
        row |= {"price": _factor(each["wrong"], each["right"])}
        table.setdefault(case, {})[method] = row | {"against": _factor(each["wrong"], ours)}
    return table


def _mean(values: Sequence[float]) -> list[float] | None:
    return list(mean_interval(torch.tensor(values, dtype=torch.float64))) if values else None


def _factor(values: Sequence[float], others: Sequence[float]) -> list[float] | None:
    """How many times as large the first are, pair by pair; of the portraits that both have."""
    pairs = list(zip(values, others, strict=False))
    if not pairs:
        return None
    a, b = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    return list(mean_factor((a / b).log()))


def gathered(out: Path, weights: Weights) -> dict[tuple[str, str, str], list[Measurement]]:
    """All of a folder, whichever command made it: of each case and method the portraits from the first on."""
    found = {}
    for case, method, which in itertools.product(CASES, baselines.names(), TOLD):
        for number in itertools.count():
            path = place(out, case, method, which, number)
            if not path.exists():
                break
            found.setdefault((case, method, which), []).append(read(path, settings_of(case, method, which, weights)))
    return found


def settings_of(case: str, name: str, which: str, weights: Weights) -> Measurement:
    """What a restoration was made with."""
    method = Method(name, baselines.find(name))
    used = weights.get(prior_of(method.how), {})
    return {"f": CASES[case][0], "told": CASES[case][TOLD.index(which)], "method": method.configuration(), **used}


def weights_beside(prior: Prior) -> Weights:
    """The digests of what methods restore with, by the kind of prior."""
    return {"generator": weights_of(prior), "diffusion": weights_of(denoiser_beside(prior, priors.EMBEDDED))}


def place(out: Path, case: str, method: str, which: str, number: int) -> Path:
    """The file of a restoration; told right, cases with the same true f share it."""
    if which == "right":
        case = next(name for name, (true, _) in CASES.items() if true == CASES[case][0])
    return out / f"{case.replace(' ', '-')}-{method}-{which}-{number:03d}.json"


def restored(
    out: Path, methods: Sequence[str], prior: Prior, weights: Weights, num_images: int
) -> dict[str, dict[str, str]]:
    """Restore what is missing; -> of each case the methods that cannot invert the wrong f, and why."""
    unable: dict[str, dict[str, str]] = {}
    for case, name, which in itertools.product(CASES, methods, TOLD):
        method = Method(name, baselines.find(name))
        if reason := method.reason(told(case, which, 0)):
            if which == "wrong":
                unable.setdefault(case, {})[name] = reason
            continue
        paths = [place(out, case, name, which, number) for number in range(num_images)]
        work = partial(measure, method, prior, case, which)
        fill(paths, settings_of(case, name, which, weights), work, tell=lambda one: f"LPIPS {one['lpips']:.3f}")
    return unable


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    known = tuple(baselines.names())
    parser.add_argument("--methods", nargs="+", choices=known, default=list(QUICK), metavar="METHOD")
    parser.add_argument("--num-images", type=whole(1, PORTRAITS_X), default=4)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="keep the summary in this folder")
    args = parser.parse_args()
    if args.write:
        check_writable(args.write / FILE, force=True, new_folders=True)
    prior = priors.load_prior(priors.EMBEDDED, device=device_of(args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    weights = weights_beside(prior)
    unable = restored(args.out, args.methods, prior, weights, args.num_images)
    record = {"cases": CASES, "results": summary(gathered(args.out, weights)), "not_applicable": unable}
    record |= weights["diffusion"]
    for folder in filter(None, (args.out, args.write)):
        folder.mkdir(parents=True, exist_ok=True)
        summed_up(folder / FILE, record, prior)


if __name__ == "__main__":
    sys.exit(ended(main))
