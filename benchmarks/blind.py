"""What does it cost not to know f? Known, blind and wrong degradations on held-out portraits.

    python -m benchmarks.blind OUT --num-images 8

Each case has a true f. `known` restores with it, `wrong` with one number (or three) that is off, and `blind` starts
from that wrong one with the numbers free. OUT/CASE-METHOD-NNN.json holds one restoration, whole or not at all: the same
command resumes. OUT/blind.json sums them up, and says where they come from.
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from rusr_core import metrics, priors
from rusr_core.degradations import Blur, Degradation, Fade, PoissonBernoulliNoise, ReadNoise, free
from rusr_core.files import write_atomic
from rusr_core.metrics.intervals import mean_interval
from rusr_core.networks.digests import weights_digest
from rusr_core.prior import Prior
from rusr_core.restore import restore
from rusr_core.sweeps.provenance import provenance

# of each case: the true f, the wrong one, and the bounds of what is free, about the wrong one in their middle
CASES: dict[str, tuple[Degradation, Degradation, dict[str, tuple[float, float]]]] = {
    "blur": (Blur(2.5), Blur(1.2), {"width": (0.3, 4.8)}),
    "motion": (Blur(length=9.0, direction=30.0), Blur(length=5.0, direction=0.0),
               {"length": (1.6, 16), "direction": (-90, 90)}),
    "photons": (PoissonBernoulliNoise(24, 0.0), PoissonBernoulliNoise(72, 0.0), {"photons": (6, 864)}),
    "read noise": (ReadNoise(0.15), ReadNoise(0.05), {"sigma": (0.005, 0.5)}),
    "fading": (Fade(0.6, 0.15, 1.2), Fade(1.0, 0.0, 1.0),
               {"gain": (0.25, 4), "offset": (-0.4, 0.4), "gamma": (0.4, 2.5)}),
}  # fmt: skip
METHODS = ("known", "blind", "wrong")


def operator(case: str, method: str) -> Degradation:
    """The f that a method believes in."""
    true, wrong, bounds = CASES[case]
    return {"known": true, "wrong": wrong, "blind": free(wrong, **bounds)}[method]


def measure(prior: Prior, case: str, method: str, preset: str, number: int) -> dict[str, object]:
    """One restoration, and how near it comes to the truth."""
    true, x = CASES[case][0], priors.portraits([number])
    y = true.degrade(x, torch.Generator().manual_seed(number))
    result = restore(prior, y, operator(case, method), preset=preset, seed=number)
    scores = {"lpips": metrics.lpips(result.image, x).item(), "psnr": metrics.psnr(result.image, x).item()}
    loss = float(result.phases[-1].history["total"].nan_to_num(nan=float("inf")).min())
    return scores | {"loss": loss, "steps": result.steps[0], "seconds": result.seconds} | _free(result.info)


def _free(info: dict) -> dict[str, float]:
    """Where each free number ended."""
    return {name: facts["found"][0] for name, facts in info.get("free", {}).items()}


def summary(found: dict[tuple[str, str], list[dict]]) -> dict[str, dict[str, object]]:
    """Of each case and method, means over portraits with their intervals (mean, low, high), and their number."""
    table: dict[str, dict[str, object]] = {}
    for (case, method), each in found.items():
        names = [name for name in each[0] if name not in ("steps", "seconds")]
        means = {name: mean_interval(torch.tensor([one[name] for one in each])) for name in names}
        table.setdefault(case, {})[method] = {"portraits": len(each)} | means
    return table


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--preset", default="report", help="NAME or NAME@STEPS")
    parser.add_argument("--num-images", type=int, default=8)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    prior, found = priors.load_prior(priors.EMBEDDED), {}
    origin = provenance(prior.device, torch.float32, "exact") | {"weights": weights_digest(prior.generator)}
    for number in range(args.num_images):
        for case in args.cases:
            for method in METHODS:
                settings = {"f": str(CASES[case][0]), "believed": str(operator(case, method)), "preset": args.preset}
                path = args.out / f"{case.replace(' ', '-')}-{method}-{number:03d}.json"
                if path.exists():
                    one = json.loads(path.read_text(encoding="utf-8"))
                    if one["settings"] != settings:
                        sys.exit(f"{path}: made with {one['settings']}; expected {settings}, or another folder")
                else:
                    one = {"settings": settings} | measure(prior, case, method, args.preset, number)
                    write_atomic(path, json.dumps(one, indent=1).encode())
                    print(f"{path.stem}: LPIPS {one['lpips']:.3f} {_ended(one)}", flush=True)
                found.setdefault((case, method), []).append({k: v for k, v in one.items() if k != "settings"})
        record = {"preset": args.preset, "results": summary(found), "provenance": origin}
        write_atomic(args.out / "blind.json", json.dumps(record, indent=1).encode())


def _ended(one: dict) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in one.items() if "." in name)


if __name__ == "__main__":
    main()
