"""Does restoring help? Counts, in a folder of `rusr bench`, the images that end nearer to the truth than their input.

    rusr bench SWEEP --tasks upsampling:M denoising:M inpainting:M deartifacting:M UNAP --num-images 10
    python -m benchmarks.accuracy SWEEP

Nearer by LPIPS-portraits of the judging net. An input that is smaller than the truth is enlarged (bicubic).
"""

import argparse
from collections import defaultdict
from pathlib import Path

import torch

from rusr_core import metrics
from rusr_core.images import load_image, resize
from rusr_core.sweeps import results
from rusr_core.sweeps.measurements import truth_path


def distances(sweep: Path) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """LPIPS to the truth of (input, restoration), for each image of each (task, method)."""
    judge, found, inputs = metrics.judge(), defaultdict(list), {}
    for result in results.read(sweep):
        target = sweep / "measurements" / result.path.parent.name / result.path.name
        if target not in inputs:
            truth = load_image(truth_path(sweep, result.record["image"]))
            shown = resize(load_image(target), truth.shape[-1], "bicubic").clamp(0, 1)
            inputs[target] = metrics.lpips(shown, truth, judge).item()
        key = result.record["task"], result.record["method"]
        found[key].append((inputs[target], result.record["scores"]["lpips"]))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    print(f"{'task':44}{'method':12}{'nearer':>9}{'LPIPS of the input':>20}{'of the result':>15}")
    for (task, method), pairs in sorted(distances(parser.parse_args().sweep).items()):
        before, after = torch.tensor(pairs).unbind(1)
        nearer = f"{int((after < before).sum())} of {len(pairs)}"
        print(f"{task:44}{method:12}{nearer:>9}{before.mean():20.3f}{after.mean():15.3f}")


if __name__ == "__main__":
    main()
