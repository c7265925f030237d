"""Does restoring help? Restored against degraded, on held-out portraits, at level M, both presets.

    python -m benchmarks.accuracy --images 10 --out _build/accuracy.png

For each task: the share of images that come closer to the truth (LPIPS-portraits, by the judging net and by the
optimised one) than the degraded image does, up-sampled bicubically where it is smaller.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from rusr_core import figures, metrics, presets, randomness, tasks
from rusr_core.images import load_image, resize
from rusr_core.restore import restore
from rusr_core.zoo import Prior, data_path, load_prior

TASKS = ("upsampling", "denoising", "inpainting", "deartifacting", "UNAP")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10, help="held-out portraits, from the first on")
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--presets", nargs="+", default=list(presets.PRESETS))
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("_build/accuracy.png"), help="picture of the first images")
    args = parser.parse_args()
    torch.set_flush_denormal(True)
    prior = load_prior()
    x = torch.cat([load_image(data_path(f"portraits/test/{i:03d}.png")) for i in range(args.images)])
    print(f"{'preset':10}{'task':15}{'better':>8}{'(net A)':>9}{'LPIPS before':>14}{'after':>8}{'PSNR':>7}{'s':>7}")
    for name in args.presets:
        columns = []
        for task in args.tasks:
            before, after = row(prior, name, task, x, args.batch)
            columns += [before[:4], after[:4]]
        titles = [t for task in args.tasks for t in (f"{task}", "restored")]
        picture = figures.panel(*columns, x[:4], titles=(*titles, "truth"), size=1.1)
        args.out.parent.mkdir(parents=True, exist_ok=True)
        picture.savefig(args.out.with_stem(f"{args.out.stem}_{name}"), dpi=120)


def row(prior: Prior, preset: str, task: str, x: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Restore all images of one task, print its line; -> degraded (at full size) and restored images."""
    befores, afters, seconds = [], [], 0.0
    for start in range(0, len(x), batch):
        part = x[start : start + batch]
        f = tasks.get(task, "M", seed=tuple(range(start, start + len(part))))
        y = f.degrade(part, randomness.generators(0, len(part), start))
        result = restore(prior, y, f, preset=preset)
        befores.append(resize(y, x.shape[-1], "bicubic").clamp(0, 1))
        afters.append(result.image)
        seconds += result.seconds
    before, after = torch.cat(befores), torch.cat(afters)
    scores = [(metrics.lpips(v, x), metrics.lpips(v, x, prior.perceptual)) for v in (before, after)]
    better, better_a = ((scores[1][k] < scores[0][k]).float().mean().item() for k in (0, 1))
    print(
        f"{preset:10}{task:15}{better:8.0%}{better_a:9.0%}{scores[0][0].mean():14.3f}{scores[1][0].mean():8.3f}"
        f"{metrics.psnr(after, x).mean():7.2f}{seconds / len(x):7.1f}",
        flush=True,
    )
    return before, after


if __name__ == "__main__":
    main()
