"""One step of a denoiser's training, and what it is measured by.

Loss and preconditioning are those of EDM (rusr_core/networks/denoiser.py). The learning rate falls as the inverse root
of the images seen, and the average of the weights follows a power function, after Karras et al., "Analyzing and
Improving the Training Dynamics of Diffusion Models" (CVPR 2024, https://arxiv.org/abs/2312.02696, sections 2.3 and
3.1). Neither needs to know when the training will end, so it can be stopped and continued at any time.
"""

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.networks.denoiser import Denoiser, DenoiserConfig, DenoiserError
from tools.portraits.training.distillation import autocast
from tools.portraits.training.training_set import HELD_OUT, World, load_images, pick

LEVELS = (0.02, 0.05, 0.12, 0.3, 0.7, 1.6, 4.0, 10.0, 40.0)  # sigmas at which a denoiser is judged
FIT = 8_000  # pictures that the linear denoiser is measured on, at most


@dataclass(frozen=True)
class DenoisingPlan:
    """How a denoiser is trained; everything counts images."""

    images: int = 60_000
    batch: int = 8
    rate: float = 1e-3
    flat_images: int = 3_000  # seen before the rate begins to fall
    warm_up: int = 400  # images over which it rises at first
    average_power: int = 12  # the average forgets all but about the last twelfth
    log_mean: float = -0.5  # of ln sigma: EDM's -1.2 neglects the levels that decide a portrait's composition
    log_std: float = 1.5
    wide_share: float = 0.125  # of the pictures, whose sigma is log-uniform in [1, 80] instead
    seed: int = 0

    def learning_rate(self, seen: int) -> float:
        """The rate of the step after `seen` images."""
        warm = min(1.0, (seen + self.batch) / self.warm_up)
        return self.rate * warm / math.sqrt(max(1.0, seen / self.flat_images))


class Portraits:
    """The pictures of a training set; batches are drawn by seed and images seen."""

    def __init__(self, folder: Path, device: torch.device):
        self.images, self.device = load_images(folder / "images.npy", device), device

    def batch(self, plan: DenoisingPlan, seen: int, world: World) -> Tensor:
        """This process's part of the batch, `[n, 3, 128, 128]` in [-1, 1]."""
        g = torch.Generator().manual_seed(plan.seed * 1_000_003 + seen)
        people = torch.randint(len(self.images) - HELD_OUT, (plan.batch,), generator=g)
        views = torch.randint(self.images.shape[1], (plan.batch,), generator=g)
        mine = slice(world.rank, None, world.size)
        return self._rows(people[mine], views[mine])

    def held_out(self, count: int = HELD_OUT) -> Tensor:
        """One view each of `count` people that training never sees, `[count, 3, 128, 128]` in [-1, 1]."""
        people = torch.arange(len(self.images) - count, len(self.images))
        return self._rows(people, torch.zeros_like(people))

    def trained_on(self, count: int) -> Tensor:
        """The first views of `count` people spread over those of the training, `[n, 3, 128, 128]` in [-1, 1]."""
        total = len(self.images) - HELD_OUT
        people = torch.linspace(0, total - 1, min(count, total)).long().unique()
        return self._rows(people, torch.zeros_like(people))

    def reduced(self, side: int, count: int = FIT) -> Tensor:
        """Block means of pictures of the training, all views, `[n, 3, side, side]` in [-1, 1]."""
        people = torch.arange(len(self.images) - HELD_OUT)
        views = self.images.shape[1]
        pairs = torch.cartesian_prod(people, torch.arange(views))
        pairs = pairs[torch.linspace(0, len(pairs) - 1, min(count, len(pairs))).long()]
        parts = (self._rows(*part.unbind(1)) for part in pairs.split(256))
        return torch.cat([F.adaptive_avg_pool2d(part, side) for part in parts])

    def _rows(self, people: Tensor, views: Tensor) -> Tensor:
        people, views = people.to(self.device), views.to(self.device)
        return pick(self.images, people, views).float() / 127.5 - 1


def draw_sigma(plan: DenoisingPlan, count: int, generator: torch.Generator) -> Tensor:
    """Noise levels `[count]` of a batch: log-normal and stratified, some log-uniform in [1, 80]."""
    device = generator.device
    first, wide, choice = torch.rand(3, count, generator=generator, device=device)
    share = ((torch.arange(count, device=device) + first) / count).clamp(1e-4, 1 - 1e-4)
    sigma = torch.exp(plan.log_mean + plan.log_std * torch.special.ndtri(share))
    return torch.where(choice < plan.wide_share, 80**wide, sigma)


def weighted_error(denoiser: Denoiser, clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """EDM's weighted squared error of each picture, `[N]`; 1 where nothing is predicted."""
    x = clean + sigma.view(-1, 1, 1, 1) * noise
    skip, scale, raw = denoiser.parts(x, sigma)
    return (raw - (clean - skip * x) / scale).square().mean((1, 2, 3))


@torch.no_grad()
def accuracy(denoise, clean: Tensor, levels: tuple[float, ...] = LEVELS, seed: int = 1) -> list[float]:
    """PSNR in dB of `denoise(x, sigma)` at each level, over all pixels of clean `[N, 3, H, W]` in [-1, 1]."""
    found = []
    for level in levels:
        g = torch.Generator().manual_seed(seed)
        error = 0.0
        for part in clean.split(16):
            x = part + level * torch.randn(part.shape, generator=g).to(part)
            error += (denoise(x, level) - part).square().sum().item()
        found.append(-10 * math.log10(error / clean.numel() / 4))
    return found


class DenoiserTrainer:
    """Everything that training changes: the denoiser, its average, the optimiser, and the count of images."""

    def __init__(self, plan: DenoisingPlan, config: DenoiserConfig, reduced: Tensor, device: torch.device):
        self.plan, self.device, self.seen = plan, device, 0
        with torch.random.fork_rng(devices=[]):  # a plan's seed gives its weights; nobody else's numbers change
            torch.manual_seed(plan.seed)
            denoiser = Denoiser(config)
        denoiser.wiener.fit(reduced.cpu())
        self.denoiser = denoiser.to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.denoiser).eval().requires_grad_(False)
        self.weights = list(self.denoiser.parameters())
        self.optimizer = torch.optim.AdamW(self.weights, lr=plan.rate, betas=(0.9, 0.99), weight_decay=0.0)

    def step(self, clean: Tensor, world: World) -> Tensor:
        """One step on this process's part of a batch; returns its mean loss before it."""
        plan = self.plan
        g = torch.Generator(self.device).manual_seed(plan.seed * 1_000_003 + self.seen + 7 + world.rank)
        sigma = draw_sigma(plan, len(clean), g)
        noise = torch.randn(clean.shape, generator=g, device=self.device)
        with autocast(self.device):
            loss = weighted_error(self.denoiser, clean.contiguous(memory_format=torch.channels_last), noise, sigma)
        self.optimizer.zero_grad()
        loss.mean().backward()
        world.average(self.weights)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = plan.learning_rate(self.seen)
        self.optimizer.step()
        self.seen += plan.batch
        self._update_average()
        return loss.detach().mean()

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = (1 - self.plan.batch / self.seen) ** self.plan.average_power
        torch._foreach_lerp_(list(self.average.parameters()), self.weights, 1 - keep)

    def start(self, denoiser: Denoiser, seen: int) -> None:
        """Begin with a denoiser that has seen so many images; the optimiser's moments begin anew.

        DenoiserError for one of another shape.
        """
        if denoiser.config != self.denoiser.config:
            raise DenoiserError(f"a denoiser of {denoiser.config}: expected {self.denoiser.config}")
        for each in (self.denoiser, self.average):
            each.load_state_dict(denoiser.state_dict())
        self.seen = seen

    def state(self) -> dict:
        """What a resumed run needs."""
        modules = {"denoiser": self.denoiser.state_dict(), "average": self.average.state_dict()}
        return modules | {"optimizer": self.optimizer.state_dict(), "seen": self.seen}

    def restore(self, state: dict) -> None:
        """Continue from `state()`."""
        self.denoiser.load_state_dict(state["denoiser"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seen = state["seen"]
