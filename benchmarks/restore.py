"""What a restoration costs, and where the time goes.

    python -m benchmarks.restore                 # the embedded prior, 128 px: seconds a restoration, split of a step
    python -m benchmarks.restore --ffhq-256      # FFHQ's layer shapes at 256 px with LPIPS-VGG, random weights

Times are the best of several steps; run it on an idle machine and compare ratios within one run. The naive loop
recomputes the target's features at every step and modulates the weights instead of the activations, as the
published code does.
"""

import argparse
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.step_1024 import random_vgg
from rusr_core import presets, tasks
from rusr_core.arithmetic import flushed_denormals
from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, processes, whole
from rusr_core.generator import Generator, GeneratorConfig
from rusr_core.latents import mean_w, sample_w, to_w_plus, to_w_plus_plus
from rusr_core.losses import L1, MultiscaleLPIPS, RestorationLoss, Term
from rusr_core.networks.perceptual import LPIPSFeatures, Perceptual
from rusr_core.optimizers import NormalizedGradientDescent
from rusr_core.priors import load_prior, portraits
from rusr_core.priors.load import PORTRAITS_X, lpips_heads
from rusr_core.restore import restore

PARTS = ("generator", "loss", "backward", "step")


@flushed_denormals()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ffhq-256", action="store_true", help="FFHQ's layer shapes at 256 px, one step a phase")
    parser.add_argument("--repeats", type=count, default=8, help="steps timed (default: %(default)s)")
    parser.add_argument("--images", type=whole(1, PORTRAITS_X), default=1, help="restorations timed for each task")
    parser.add_argument("--threads", type=processes, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"{platform.processor() or platform.machine()}, {args.threads} threads, torch {torch.__version__}")
    print(f"load average {os.getloadavg()[0]:.1f} (an idle machine has about 0)")
    ffhq_256(args.repeats) if args.ffhq_256 else embedded(args.repeats, args.images)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


def embedded(repeats: int, images: int) -> None:
    """The shipped prior: the split of a step, then whole restorations of the four tasks at level M."""
    prior = load_prior()
    x = portraits([0])
    compare(prior.generator, prior.perceptual, x, repeats)
    for name in presets.PRESETS:
        seconds = []
        for task in tasks.TASKS:
            f = tasks.get(task, "M")
            for i in range(images):
                y = f.degrade(portraits([i]), torch.Generator().manual_seed(0))
                result = restore(prior, y, f, preset=name)
                seconds.append(result.seconds)
                print(f"  {name:9} {task:14} portrait {i:03d}: {result.steps[0]} steps, {result.seconds:.1f} s")
        print(f"  {name:9} median {statistics.median(seconds):.1f} s an image")


def ffhq_256(repeats: int) -> None:
    """FFHQ's layer shapes: channel base 16384, w 512, batch 1, no degradation, random weights."""
    draw = torch.Generator().manual_seed(0)
    G = Generator(GeneratorConfig(256, GeneratorConfig.published_channels(256, 16384))).eval().requires_grad_(False)
    network = LPIPSFeatures(random_vgg(1), lpips_heads())
    y = G.image(sample_w(G, 1, generator=draw)).clamp(0, 1)
    compare(G, network, y, repeats)
    variants(G, network, y, repeats)


def compare(G: Generator, network: Perceptual, y: Tensor, repeats: int) -> None:
    """Milliseconds of each part of a step in W, W+ and W++, beside the naive loop's."""
    print(f"  {'ms a step':9} " + "".join(f"{part:>11}" for part in PARTS) + f"{'total':>11}{'naive':>11}{'ratio':>7}")
    for name, ws in spaces(G).items():
        split = timed(G, published_loss(network), ws, y, repeats)
        slow = timed(G, published_loss(network), ws, y, repeats, naive=True)
        total, whole = sum(split), sum(slow)
        row = "".join(f"{1e3 * part:11.1f}" for part in (*split, total, whole))
        print(f"  {name:9} {row}{total / whole:7.2f}", flush=True)


def published_loss(network: Perceptual) -> RestorationLoss:
    """LPIPS + 0.1 L1, without an identity term."""
    return RestorationLoss((Term("lpips", 1.0, MultiscaleLPIPS(network)), Term("l1", 0.1, L1())))


def spaces(G: Generator) -> dict[str, Tensor]:
    w = mean_w(G)
    return {"W": w, "W+": to_w_plus(w, G), "W++": to_w_plus_plus(w, G)}


def timed(G: Generator, loss: RestorationLoss, ws: Tensor, y: Tensor, repeats: int, naive: bool = False) -> list[float]:
    """Best seconds of each of PARTS."""
    ws = ws.clone().requires_grad_()
    optimizer = NormalizedGradientDescent([ws], 1e-30)  # rounded away: the same point every time
    target, best = loss.target(y), [float("inf")] * len(PARTS)
    for _ in range(repeats):
        clock = [time.perf_counter()]
        x = fused_image(G, ws) if naive else G.image(ws)
        clock.append(time.perf_counter())
        total = loss(x, loss.target(y) if naive else target)["total"].sum()
        clock.append(time.perf_counter())
        total.backward()
        clock.append(time.perf_counter())
        optimizer.step()
        optimizer.zero_grad()
        clock.append(time.perf_counter())
        best = [min(b, end - start) for b, start, end in zip(best, clock[:-1], clock[1:], strict=True)]
    return best


def fused_image(G: Generator, ws: Tensor) -> Tensor:
    """The image with modulated weights in all three spaces: W and W+ pay for the gradient of the weights."""
    rows = to_w_plus_plus(ws, G) if ws.ndim < 4 else ws
    return G.image(rows)


def variants(G: Generator, network: LPIPSFeatures, y: Tensor, repeats: int) -> None:
    """What memory layout and bfloat16 bring to the loss, and what they change in its gradient."""
    x = G.image(mean_w(G)).requires_grad_()
    loss = published_loss(network)

    def run(low: bool) -> tuple[float, Tensor]:
        best, target = float("inf"), loss.target(y)
        for _ in range(repeats):
            begun = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=low):
                total = loss(x, target)["total"].sum()
            (gradient,) = torch.autograd.grad(total, x)
            best = min(best, time.perf_counter() - begun)
        return best, gradient

    cases: dict[str, Callable[[], tuple[float, Tensor]]] = {}
    network.to(memory_format=torch.contiguous_format)
    reference = run(low=False)
    print(f"  loss and its gradient, NCHW float32: {1e3 * reference[0]:.0f} ms")
    network.to(memory_format=torch.channels_last)
    cases["channels_last"] = lambda: run(low=False)
    cases["channels_last, bfloat16"] = lambda: run(low=True)
    for name, case in cases.items():
        seconds, gradient = case()
        similarity = F.cosine_similarity(gradient.flatten(), reference[1].flatten(), dim=0)
        print(f"  {name}: {1e3 * seconds:.0f} ms, cosine of its gradient with float32's {similarity:.4f}")


if __name__ == "__main__":
    sys.exit(ended(main))
