"""Does a device compute what the CPU computes, twice the same, and at what price? Checks with bounds, and timings.

`benchmarks.gpu` runs them in turn and keeps what each one found; see benchmarks/GPU.md. Every check returns rows
{"check", "value", "bound", "ok"}; its docstring says why the bound is what it is.
"""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.kill import world
from rusr_core import metrics, presets, tasks
from rusr_core.arithmetic import arithmetic, exact_arithmetic
from rusr_core.degradations import Downsample
from rusr_core.images import load_image
from rusr_core.prior import Prior
from rusr_core.priors import load_prior, portraits
from rusr_core.restore import restore
from rusr_core.results import Search

KINDS = {"plain": ("upsampling", "S"), "noise": ("denoising", "M"), "mask": ("inpainting", "M")}
IMAGES = 3


@dataclass(frozen=True)
class Bench:
    """What is checked: one prior on the CPU and on the device, portraits, and how many steps a phase has."""

    cpu: Prior
    prior: Prior  # on the device
    truth: Tensor  # [N, 3, R, R] on the CPU
    steps: int
    rounds: int  # how often a timing is repeated

    @classmethod
    def of(cls, device: str, folder: Path, tiny: bool) -> "Bench":
        """The embedded prior and three portraits; tiny: a random prior of 32 px, two images and one step."""
        if not tiny:
            return cls(load_prior(), load_prior(device=device), portraits(range(IMAGES)), 20, 3)
        config = world(folder, "check")
        load = {"perceptual": "portraits", "identity": "portraits"}
        truth = torch.cat([load_image(config.images / f"{i:03d}.png") for i in range(2)])
        return cls(load_prior(config.prior, **load), load_prior(config.prior, device=device, **load), truth, 1, 1)

    def measured(self, kind: str) -> tuple[object, Tensor]:
        """A degradation of that kind, and y of all portraits."""
        f = tasks.get(*KINDS[kind], seed=tuple(range(len(self.truth))))
        return f, f.degrade(self.truth, torch.Generator().manual_seed(0))

    def search(
        self, kind: str, preset: str = "default", num: int | None = None, on_cpu: bool = False, **changes
    ) -> Search:
        """A shortened search for the first `num` portraits, or all; `changes` replace fields of the preset."""
        _, y = self.measured(kind)
        num = len(y) if num is None else num
        f = tasks.get(*KINDS[kind], seed=tuple(range(num)))
        chosen = presets.get(preset).shortened(self.steps)
        chosen = dataclasses.replace(chosen, name=f"check-{chosen.name}", **changes) if changes else chosen
        return restore(self.cpu if on_cpu else self.prior, y[:num], f, preset=chosen)

    def lpips(self, image: Tensor) -> Tensor:
        """Distance [N] to the portraits, by the judge."""
        return metrics.lpips(image.cpu().clamp(0, 1), self.truth[: len(image)])


def row(check: str, value: float, bound: str, ok: bool) -> dict[str, object]:
    return {"check": check, "value": round(float(value), 6), "bound": bound, "ok": bool(ok)}


def generator_and_gradient(bench: Bench) -> list[dict]:
    """Images of the mean latent, and the gradient of a distance to a portrait, on both devices. Only the order of
    32-bit sums differs: images to 1e-3 of their range, directions of gradients to a cosine of 0.999.
    """
    found = []
    with exact_arithmetic():
        for prior in (bench.cpu, bench.prior):
            w = prior.generator.w_mean.detach()[None].clone().requires_grad_(True)
            x = prior.generator.image(w)
            distance = sum(
                (u - v).square().sum(1).mean()
                for u, v in zip(
                    prior.perceptual.features(x),
                    prior.perceptual.features(bench.truth[:1].to(prior.device)),
                    strict=True,
                )
            )
            (gradient,) = torch.autograd.grad(distance, w)
            found.append((x.detach().cpu(), gradient.cpu().flatten()))
    difference = (found[0][0] - found[1][0]).abs().max()
    cosine = torch.cosine_similarity(found[0][1], found[1][1], dim=0)
    return [
        row("image of the mean latent, largest difference to the CPU", difference, "at most 1e-3", difference <= 1e-3),
        row("gradient, cosine with the CPU's", cosine, "at least 0.999", cosine >= 0.999),
    ]


def searches(bench: Bench) -> list[dict]:
    """Both presets on a plain, a noisy and a masked task, a batch of three: finite, and as near to the truth as on the
    CPU. Adam amplifies rounding, so that single images differ: means of LPIPS within 20 %.
    """
    rows = []
    with exact_arithmetic():
        for preset in presets.PRESETS:
            for kind in KINDS:
                result = bench.search(kind, preset)
                here = bench.lpips(result.image).mean()
                there = bench.lpips(bench.search(kind, preset, on_cpu=True).image).mean()
                ratio, name = here / there, f"{preset}, {kind}, batch of {len(bench.truth)}: LPIPS over the CPU's"
                good = result.image.isfinite().all() and 0.8 <= ratio <= 1.25
                rows.append(row(name, ratio, "0.8 to 1.25", good))
    return rows


def early_stopping(bench: Bench) -> list[dict]:
    """Images of a batch that stop at their own steps. Alone they stop at the same step or near it, since a step's loss
    differs by rounding only: images agree to 30 dB.
    """
    bench = dataclasses.replace(bench, steps=max(bench.steps, 6))  # in fewer, none of tiny images stops
    with exact_arithmetic():
        batch = bench.search("noise", patience=1)
        alone = bench.search("noise", num=1, patience=1)
    agreement = metrics.psnr(batch.image[:1].cpu().clamp(0, 1), alone.image.cpu().clamp(0, 1)).item()
    most = 3 * bench.steps
    return [
        row("patience 1: fewest steps of a batch", min(batch.steps), f"below {most}", min(batch.steps) < most),
        row("first image, alone against in its batch, dB", agreement, "at least 30", agreement >= 30),
    ]


class OnTheCard(nn.Module):
    """Somebody's operator whose weights lie on the device: a blur and a reduction."""

    def __init__(self, device: torch.device):
        super().__init__()
        self.register_buffer("kernel", torch.full((3, 1, 3, 3), 1 / 9, device=device))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.kernel, padding=1, groups=3)[..., ::2, ::2]


def operator_on_the_card(bench: Bench) -> list[dict]:
    """An operator that only works on the device, alone and before one of ours: the search runs and is finite."""
    from rusr_core.degradations import Compose

    own, rows = OnTheCard(bench.prior.device), []
    x = bench.truth[:1].to(bench.prior.device)
    for name, f in (("alone", own), ("in a composition", Compose(own, Downsample(2)))):
        with torch.no_grad():
            y = f(x, torch.Generator().manual_seed(0)) if isinstance(f, Compose) else f(x)
        result = restore(bench.prior, y.clamp(0, 1), f, preset=presets.get("default").shortened(bench.steps))
        rows.append(row(f"operator on the card, {name}", 1, "finite", result.image.isfinite().all()))
    return rows


def repeats(bench: Bench) -> list[dict]:
    """Two runs of one seed in exact arithmetic: equal bits."""
    rows = []
    for kind in KINDS:
        with exact_arithmetic():
            one, two = (bench.search(kind).latents for _ in range(2))
        difference = (one - two).abs().max()
        rows.append(row(f"{kind}: two exact runs, largest difference", difference, "0", torch.equal(one, two)))
    return rows


def price(bench: Bench) -> list[dict]:
    """Seconds a step in exact and in fast arithmetic, best of the rounds of short searches after one to warm up."""
    seconds = {}
    for mode in ("exact", "fast"):
        with arithmetic(mode):
            found = [bench.search("plain") for _ in range(bench.rounds + 1)][1:]
        seconds[mode] = min(result.seconds / max(result.steps) for result in found)
    rows = [row(f"{mode} arithmetic, ms a step", 1e3 * value, "none", True) for mode, value in seconds.items()]
    return [*rows, row("exact over fast", seconds["exact"] / seconds["fast"], "none", True)]


CHECKS = {
    check.__name__: check
    for check in (generator_and_gradient, searches, early_stopping, operator_on_the_card, repeats, price)
}


def speeds(bench: Bench, sizes: tuple[int, ...]) -> dict[str, object]:
    """Timings by name: whole restorations of each task at level M with each preset, in batches of these sizes."""
    names = [(preset, task, size) for size in sizes for preset in presets.PRESETS for task in tasks.TASKS]
    return {f"{p}, {t} M, batch of {n}": lambda p=p, t=t, n=n: speed(bench, p, t, n) for p, t, n in names}


def speed(bench: Bench, preset: str, task: str, size: int) -> list[dict]:
    """Seconds an image and peak memory of one restoration, in exact arithmetic."""
    device = bench.prior.device
    level = "XS" if bench.truth.shape[-1] < 64 else "M"  # a level that a tiny image still shows
    f = tasks.get(task, level, seed=tuple(range(size)))
    x = bench.truth.repeat(-(-size // len(bench.truth)), 1, 1, 1)[:size]
    y = f.degrade(x, torch.Generator().manual_seed(0))
    chosen = presets.get(preset)
    chosen = chosen.shortened(bench.steps) if bench.steps < 10 else chosen
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    begun = time.perf_counter()
    with exact_arithmetic():
        result = restore(bench.prior, y, f, preset=chosen)
    found = {"seconds an image": (time.perf_counter() - begun) / size, "steps": max(result.steps)}
    if device.type == "cuda":
        found["peak memory, MB"] = torch.cuda.max_memory_allocated(device) / 2**20
    return [row(name, value, "none", True) for name, value in found.items()]
