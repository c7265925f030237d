"""One restoration step in each phase at 1024 px; the generators have published layer shapes and random weights.

python -m benchmarks.step_1024 [--generator stylegan2] [--task upsampling] [--level M] [--preset cvpr2023]

StyleGAN2, StyleGAN3-T and -R have the shapes of FFHQ's networks, StyleGAN-XL those of ImageNet's. It shows that the
code runs at this size and what it costs; the pictures mean nothing. LPIPS runs on a VGG16 with random weights. Prints
seconds, seconds of CPU and peak memory after each phase: memory of the process so far on a CPU, of the card on a GPU.
What was measured stands in benchmarks/README.md.
"""

import argparse
import resource
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from rusr_core import presets, tasks
from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, device_of, side
from rusr_core.generator import Generator, GeneratorConfig, StyleGAN3, StyleGANXL, StyleGenerator
from rusr_core.generator.alias_free import add_head, design_layers
from rusr_core.networks.perceptual import LPIPSFeatures
from rusr_core.prior import Prior
from rusr_core.priors.load import lpips_heads
from rusr_core.restore import Step, restore

SIDE = 1024
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


def random_vgg(seed: int) -> dict[str, Tensor]:
    """Weights for torchvision's vgg16 tensor names, scaled so that activations keep their size."""
    draw, state, inputs = torch.Generator().manual_seed(seed), {}, 3
    for i, width in VGG_WIDTHS.items():
        kernel = torch.randn(width, inputs, 3, 3, generator=draw) * (2 / (9 * inputs)) ** 0.5
        state |= {f"features.{i}.weight": kernel, f"features.{i}.bias": torch.zeros(width)}
        inputs = width
    return state


def stylegan2(side: int, thinner: int) -> StyleGenerator:
    """FFHQ's configuration."""
    channels = tuple(width // thinner for width in GeneratorConfig.published_channels(side, 32768))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(GeneratorConfig(resolution=side, channels=channels))


def stylegan3_t(side: int, thinner: int) -> StyleGenerator:
    """FFHQ's configuration T."""
    designs = design_layers(side, channel_base=32768 // thinner, channel_max=512 // thinner)
    return StyleGAN3.new(designs, torch.Generator().manual_seed(0))


def stylegan3_r(side: int, thinner: int) -> StyleGenerator:
    """FFHQ's configuration R."""
    widths = dict(channel_base=65536 // thinner, channel_max=1024 // thinner)
    return StyleGAN3.new(design_layers(side, **widths, kernel=1, radial=True), torch.Generator().manual_seed(0))


def stylegan_xl(side: int, thinner: int) -> StyleGenerator:
    """ImageNet's: a stem of 16 px in ten layers, and a head of seven for each doubling."""
    widths = dict(channel_base=65536 // thinner, channel_max=1024 // thinner)
    designs = design_layers(16, 10, **widths)
    while designs[-1].shape.out_size < side:
        designs = add_head(designs, 2 * designs[-1].shape.out_size, 7, **widths)
    return StyleGANXL.new(designs, torch.Generator().manual_seed(0), z_dim=64, c_dim=1000)


GENERATORS: dict[str, Callable[[int, int], StyleGenerator]] = {
    "stylegan2": stylegan2,
    "stylegan3-t": stylegan3_t,
    "stylegan3-r": stylegan3_r,
    "stylegan-xl": stylegan_xl,
}


def random_prior(kind: str, device: str = "cpu", side: int = SIDE, thinner: int = 1) -> Prior:
    """One of GENERATORS with random weights, in `side` px; all widths divided by `thinner`, to try it quickly."""
    G = GENERATORS[kind](side, thinner).eval().requires_grad_(False).to(device)
    look = LPIPSFeatures(random_vgg(1), lpips_heads()).to(device)
    return Prior(f"random-{kind}-{side}", G, look, None, lr_scale=1.0)


def steps(prior: Prior, task: str, level: str, preset: str, callback: Callable[[dict], None]) -> None:
    """One step in each phase; each gives the callback its phase, seconds, seconds of CPU, peak GB and loss."""
    f, clock = tasks.get(task, level), []
    clean = torch.rand(1, 3, prior.resolution, prior.resolution, generator=torch.Generator().manual_seed(2))
    y = f.degrade(clean, torch.Generator().manual_seed(3)).to(prior.device)
    if prior.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(prior.device)

    def report(step: Step) -> None:
        loss = step.losses["total"].item()  # waits for the card
        clock.append((time.perf_counter(), time.process_time()))
        seconds, cpu = (after - before for before, after in zip(*clock[-2:], strict=True))
        found = {"phase": step.phase, "seconds": seconds, "cpu_seconds": cpu, "peak_gb": peak_gb(prior.device)}
        callback(found | {"loss": loss})

    clock.append((time.perf_counter(), time.process_time()))
    result = restore(prior, y, f, preset=presets.get(preset).shortened(1), callback=report)
    if not result.image.isfinite().all() or result.latents.ndim != 4:
        raise RuntimeError(f"image finite: {result.image.isfinite().all()}, latents {tuple(result.latents.shape)}")


def peak_gb(device: torch.device) -> float:
    """GB that were held at most: on a card since its statistics were reset, else of the process since it began."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux: KiB


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--generator", default="stylegan2", choices=tuple(GENERATORS))
    parser.add_argument("--task", default="upsampling", choices=tasks.TASKS)
    parser.add_argument("--level", default="M", choices=tasks.LEVELS)
    parser.add_argument("--preset", default="cvpr2023", choices=tuple(presets.PRESETS))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=side, default=SIDE, help="px, to try it quickly (default: %(default)s)")
    parser.add_argument("--thinner", type=count, default=1, help="divides all widths, to try it quickly")
    args = parser.parse_args(words)
    prior = random_prior(args.generator, device_of(args.device), args.side, args.thinner)
    parameters = sum(p.numel() for p in prior.generator.parameters())
    rows, threads = sum(prior.generator.rows), torch.get_num_threads()
    print(f"{args.generator}: {parameters / 1e6:.1f} M parameters, {rows} rows in W++, {threads} threads")
    print(f"start: peak {peak_gb(prior.device):.2f} GB", flush=True)

    def show(found: dict) -> None:
        times = f"{found['seconds']:6.1f} s, {found['cpu_seconds']:.1f} s of CPU"
        print(f"{found['phase']:4} {times}, peak {found['peak_gb']:.2f} GB, loss {found['loss']:.3f}", flush=True)

    steps(prior, args.task, args.level, args.preset, show)


if __name__ == "__main__":
    sys.exit(ended(main))
