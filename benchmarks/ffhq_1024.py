"""One restoration step in each phase on the CPU; the generator has FFHQ's 1024 px configuration and random weights.

python benchmarks/ffhq_1024.py [--task upsampling] [--level M] [--preset cvpr2023]

It shows that the code runs at this size and what it costs; the pictures mean nothing. LPIPS runs on a VGG16
with random weights. Prints seconds and the process's peak memory so far after each phase.

Measured 2026-11-23, 2 CPU cores shared with other work (load 5 to 6: seconds are pessimistic, memory is not), float32,
torch 2.12, preset cvpr2023, one image, forward and backward:

| task | W | W+ | W++ | peak memory |
|---|---|---|---|---|
| upsampling M (y 128 px) | 48 s | 67 s | 53 s | 3.10 GB |
| inpainting M (y 1024 px) | 168 s | 194 s | 225 s | 5.93 GB |
"""

import argparse
import resource
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from rusr_core import presets, tasks  # noqa: E402
from rusr_core.generator import Generator, GeneratorConfig  # noqa: E402
from rusr_core.networks.perceptual import LPIPSFeatures  # noqa: E402
from rusr_core.prior import Prior  # noqa: E402
from rusr_core.priors.load import lpips_heads  # noqa: E402
from rusr_core.restore import Step, restore  # noqa: E402

VGG_WIDTHS = {
    0: 64,
    2: 64,
    5: 128,
    7: 128,
    10: 256,
    12: 256,
    14: 256,
    17: 512,
    19: 512,
    21: 512,
    24: 512,
    26: 512,
    28: 512,
}


def random_vgg(seed: int) -> dict[str, torch.Tensor]:
    """Weights for torchvision's vgg16 tensor names, scaled so that activations keep their size."""
    draw, state, inputs = torch.Generator().manual_seed(seed), {}, 3
    for i, width in VGG_WIDTHS.items():
        kernel = torch.randn(width, inputs, 3, 3, generator=draw) * (2 / (9 * inputs)) ** 0.5
        state |= {f"features.{i}.weight": kernel, f"features.{i}.bias": torch.zeros(width)}
        inputs = width
    return state


def random_prior() -> Prior:
    """FFHQ's configuration with random weights."""
    config = GeneratorConfig(resolution=1024, channels=GeneratorConfig.published_channels(1024, 32768))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        G = Generator(config).eval().requires_grad_(False)
    return Prior("random-ffhq-1024", G, LPIPSFeatures(random_vgg(1), lpips_heads()), None, lr_scale=1.0)


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux: KiB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--task", default="upsampling", choices=tasks.TASKS)
    parser.add_argument("--level", default="M", choices=tasks.LEVELS)
    parser.add_argument("--preset", default="cvpr2023", choices=tuple(presets.PRESETS))
    args = parser.parse_args()
    prior = random_prior()
    parameters = sum(p.numel() for p in prior.generator.parameters())
    rows, threads = sum(prior.generator.rows), torch.get_num_threads()
    print(f"{parameters / 1e6:.1f} M parameters, {rows} rows in W++, {threads} threads")
    f = tasks.get(args.task, args.level)
    clean = torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(2))
    y = f.degrade(clean, torch.Generator().manual_seed(3))
    print(f"{args.task} {args.level}: y is {tuple(y.shape)}; start: peak {peak_gb():.2f} GB")
    clock = [time.perf_counter()]

    def report(step: Step) -> None:
        clock.append(time.perf_counter())
        loss = step.losses["total"].item()
        print(f"{step.phase:4} {clock[-1] - clock[-2]:6.1f} s, peak {peak_gb():.2f} GB, loss {loss:.3f}", flush=True)

    result = restore(prior, y, f, preset=presets.get(args.preset).shortened(1), callback=report)
    assert torch.isfinite(result.image).all() and result.latents.ndim == 4
    print(f"{result.seconds:.1f} s in all, image {tuple(result.image.shape)}, peak {peak_gb():.2f} GB")


if __name__ == "__main__":
    main()
