"""Does restoring help? Counts, in a folder of `rusr bench`, the images that end nearer to the truth than their input.

    rusr bench SWEEP --tasks upsampling:M denoising:M inpainting:M deartifacting:M UNAP --num-images 10
    python -m benchmarks.accuracy SWEEP

Nearer by LPIPS-portraits of the net that judged the sweep, on the images that every method has restored. An input that
is smaller than the truth is enlarged (bicubic).
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import torch

from rusr_core import metrics
from rusr_core.commands.ending import ended
from rusr_core.images import load_image, resize
from rusr_core.sweeps import results
from rusr_core.sweeps.measurements import truth_path


def distances(sweep: Path, net: Path | None = None) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """LPIPS to the truth of (input, restoration), for each image and seed of each (task, method) that all methods have.

    `net`: the file of the net that judged the sweep, if it is not net B. Another one is refused.
    """
    judge = results.judge_for(sweep, net)
    if judge is None or judge.perceptual is None:
        raise results.ResultsError(f"{sweep}: judged by LPIPS-VGG; expected a sweep that a portrait net judged")
    found, inputs = defaultdict(list), {}
    for task, selection in results.selections(sweep).items():
        for method, done in selection.results.items():
            for (image, _), result in done.items():
                target = sweep / "measurements" / result.path.parent.name / result.path.name
                if target not in inputs:
                    truth = load_image(truth_path(sweep, image))
                    shown = resize(load_image(target), truth.shape[-1], "bicubic").clamp(0, 1)
                    inputs[target] = metrics.lpips(shown, truth, judge.perceptual).item()
                found[task, method].append((inputs[target], result.record["scores"]["lpips"]))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--judge", type=Path, help="file of the portrait net that judged the sweep (default: net B)")
    args = parser.parse_args()
    found = sorted(distances(args.sweep, args.judge).items())
    wide = [2 + max(map(len, names)) for names in zip(("task", "method"), *(key for key, _ in found), strict=True)]
    print(f"{'task':{wide[0]}}{'method':{wide[1]}}{'nearer':>9}{'LPIPS of the input':>20}{'of the result':>15}")
    for (task, method), pairs in found:
        before, after = torch.tensor(pairs).unbind(1)
        nearer = f"{int((after < before).sum())} of {len(pairs)}"
        print(f"{task:{wide[0]}}{method:{wide[1]}}{nearer:>9}{before.mean():20.3f}{after.mean():15.3f}")


if __name__ == "__main__":
    sys.exit(ended(main))
