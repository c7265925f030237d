"""What does it cost not to know f? Known, estimated, blind and wrong degradations on held-out portraits.

    python -m benchmarks.blind OUT --num-images 8
    python -m benchmarks.blind OUT --num-images 8 --device cuda --batch 8

Each case has a true f. `known` restores with it, `wrong` with one number (or three) that is off, `blind` starts from
that wrong one with the numbers free, and `estimated` takes what `photos.estimate` says of the degraded file.
In the case x8 the file's size tells the factor, but not how much the lens had blurred before the reduction: that is
what blind super-resolution searches for (Michaeli and Irani, "Nonparametric Blind Super-resolution", ICCV 2013).
OUT/CASE-METHOD-NNN.json holds one restoration, whole or not at all: the same command resumes, and `--num-images` may
grow. OUT/blind.json sums all of the folder up, and says where it comes from.
"""

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.resuming import Measurement, fill, read, summed_up
from rusr_core import metrics, presets, priors
from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, device_of, whole
from rusr_core.degradations import Compose, Degradation, parse
from rusr_core.degradations.free import Free
from rusr_core.images import save_image
from rusr_core.metrics.intervals import mean_factor, mean_interval
from rusr_core.photos import estimate
from rusr_core.prior import Prior
from rusr_core.priors.load import PORTRAITS_X
from rusr_core.restore import restore

# of each case: the true f, and the one whose numbers are free, from a wrong start in the middle of their bounds
CASES: dict[str, tuple[str, str]] = {
    "blur": ("blur:2.5", "blur:0.3..4.8@1.2"),
    "motion": ("blur:length=9,direction=30", "blur:length=1.6..16@5,direction=-90..90@0"),
    "photons": ("noise:24,0", "noise:6..864@72,0"),
    "read noise": ("readnoise:0.15", "readnoise:0.005..0.5@0.05"),
    "fading": ("fade:0.6,0.15,1.2", "fade:0.25..4@1,-0.4..0.4@0,0.4..2.5@1"),
    "x8": ("blur:4 | downsample:8", "blur:0.375..6@1.5 | downsample:8"),
}
METHODS = ("known", "estimated", "blind", "wrong")


def operator(case: str, method: str) -> Degradation:
    """The f that a method believes in, whatever the file says: "known" is the true one."""
    true, unknown = map(parse, CASES[case])
    wrong = Compose(*(stage.f if isinstance(stage, Free) else stage for stage in unknown.stages))
    return {"known": true, "wrong": wrong, "blind": unknown}[method]


def estimated(y: Tensor, side: int) -> Degradation:
    """The f that the file of y `[1, 3, h, w]` is estimated to have, for images of `side` x `side` px."""
    with tempfile.TemporaryDirectory() as folder:
        return estimate(save_image(y, Path(folder) / "y.png")).degradation(side)


def measure(prior: Prior, case: str, method: str, preset: str, numbers: list[int]) -> list[Measurement]:
    """A restoration of each portrait, and how near it comes to the truth; at once, where all believe in one f."""
    true, x = operator(case, "known"), priors.portraits(numbers)
    draws = [torch.Generator().manual_seed(number) for number in numbers]
    y = torch.cat([true.degrade(image, draw) for image, draw in zip(x.split(1), draws, strict=True)])
    if method != "estimated":
        return _restored(prior, x, y, operator(case, method), preset)
    pairs = zip(x.split(1), y.split(1), strict=True)
    return [one for pair in pairs for one in _restored(prior, *pair, estimated(pair[1], x.shape[-1]), preset)]


def _restored(prior: Prior, x: Tensor, y: Tensor, f: Degradation, preset: str) -> list[Measurement]:
    """The search for x `[N, 3, R, R]` from y `[N, 3, h, w]` with the seed 0, so that a batch changes nothing."""
    result = restore(prior, y, f, preset=preset)
    image = result.image.cpu()
    loss = result.phases[-1].history["total"].nan_to_num(nan=float("inf")).amin(0)
    scores = zip(metrics.lpips(image, x).tolist(), metrics.psnr(image, x).tolist(), loss.tolist(), strict=True)
    measured = []
    for i, (distance, psnr, misfit) in enumerate(scores):
        where = {name: facts["found"][i] for name, facts in result.info.get("free", {}).items()}
        cost = {"steps": result.steps[i], "seconds": result.seconds / len(y)}
        measured.append({"believed": str(f), "lpips": distance, "psnr": psnr, "loss": misfit} | cost | where)
    return measured


def summary(found: dict[tuple[str, str], list[Measurement]]) -> dict[str, dict[str, object]]:
    """Of each case and method, means over portraits with their intervals (mean, low, high), and their number.

    `lpips_to_known` is the factor, a geometric mean with its interval, by which LPIPS is that of the known f.
    """
    table: dict[str, dict[str, object]] = {}
    for (case, method), each in found.items():
        names = [name for name, value in each[0].items() if isinstance(value, float) and name != "seconds"]
        means = {name: mean_interval(torch.tensor([one[name] for one in each])) for name in names}
        pairs = zip(each, found[case, "known"], strict=True)
        ratios = torch.tensor([one["lpips"] / known["lpips"] for one, known in pairs]).log()
        factor = mean_factor(ratios)
        row = {"portraits": len(each)} | means | {"lpips_to_known": factor}
        if method == "estimated":
            row["believed"] = [one["believed"] for one in each]
        table.setdefault(case, {})[method] = row
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--preset", default="default", help="NAME or NAME@STEPS")
    parser.add_argument("--num-images", type=whole(1, PORTRAITS_X), default=8)
    parser.add_argument("--batch", type=count, default=1, help="portraits at once (default: %(default)s)")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    presets.get(args.preset)  # a name that is none, before the work
    prior = priors.load_prior(priors.EMBEDDED, device=device_of(args.device))
    args.out.mkdir(parents=True, exist_ok=True)
    for case in args.cases:
        for method in METHODS:
            paths = [_place(args.out, case, method, number) for number in range(args.num_images)]
            work = lambda part, case=case, method=method: measure(prior, case, method, args.preset, part)  # noqa: E731
            fill(paths, settings_of(case, method, args.preset), work, tell=_words, batch=args.batch)
        record = {"preset": args.preset, "results": summary(gathered(args.out, args.preset))}
        summed_up(args.out / "blind.json", record, prior)


def settings_of(case: str, method: str, preset: str) -> Measurement:
    """What the restorations of a case and a method have in common."""
    believed = "the estimate" if method == "estimated" else str(operator(case, method))
    return {"f": str(operator(case, "known")), "believed": believed, "preset": preset}


def gathered(out: Path, preset: str) -> dict[tuple[str, str], list[Measurement]]:
    """All of a folder, whichever command made it: of each case the portraits that all methods have restored."""
    found = {}
    for case in CASES:
        numbers = itertools.takewhile(lambda n, case=case: _is_whole(out, case, n), itertools.count())
        for number, method in itertools.product(numbers, METHODS):
            one = read(_place(out, case, method, number), settings_of(case, method, preset))
            found.setdefault((case, method), []).append(one)
    return found


def _place(out: Path, case: str, method: str, number: int) -> Path:
    return out / f"{case.replace(' ', '-')}-{method}-{number:03d}.json"


def _is_whole(out: Path, case: str, number: int) -> bool:
    return all(_place(out, case, method, number).exists() for method in METHODS)


def _words(one: Measurement) -> str:
    ended = [f"{name} {value:.3g}" for name, value in one.items() if "." in name]
    return f"LPIPS {one['lpips']:.3f}, believed {one['believed']} {', '.join(ended)}".rstrip()


if __name__ == "__main__":
    sys.exit(ended(main))
