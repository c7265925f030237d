"""PULSE: Self-Supervised Photo Upsampling via Latent Space Exploration of Generative Models.

Menon, Damian, Hu, Ravi and Rudin, CVPR 2020, https://arxiv.org/abs/2003.03808. Each of a generator's L style vectors
moves on the sphere of its own first radius, so that it stays as likely as a draw, until the degraded picture matches:

    100 max(MSE(f(x), y), eps) + 0.05 GEO(w),   w = lrelu(sigma v + mu),   |v_l| constant

GEO is 64 times the mean squared angle between the style vectors of two layers. Where we depart from the public code:

    generator      StyleGAN2 for StyleGAN1: 2 log2(R) - 3 noise maps, of which the first five are searched and the last
                   is zero, as there, and a generator that has none is searched in W+ alone; mu and sigma are
                   measured on 100,000 samples in place of 1,000,000
    downsampling   any f in place of the bicubic D; the mean square is taken of images that are black in the holes
    noise          where f draws, eps would lie below the noise and is not used, as the loss never reaches it
    result         the image of the smallest loss (the code pairs the last image with the best downscaled one), and
                   never a refusal: `info["reached"]` says which images came within eps
    batches        a loss for each image; there, one sum is compared with eps, and a batch never stops
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core import randomness
from rusr_core.baselines import noise_maps
from rusr_core.baselines.descent import Losses, descend, followed, mean_square, one_cycle
from rusr_core.baselines.mapped import mapping_of
from rusr_core.baselines.method import Baseline, Real, Whole
from rusr_core.baselines.observation import observe
from rusr_core.baselines.settings import check_counts, check_rates, check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step

SEARCHED = 5  # noise maps, from the coarsest
SAMPLES = 100_000  # of w, for the fit of the Gaussian


@dataclass(frozen=True)
class Gaussian:
    """The normal distribution of w before the last leaky ReLU of the mapping network."""

    mean: Tensor  # [D]
    std: Tensor  # [D]

    @classmethod
    def of(cls, w: Tensor) -> "Gaussian":
        """Fitted to samples w [num, D], whose leaky ReLU is undone by one of slope 5."""
        before = F.leaky_relu(w, 5)
        return cls(before.mean(0), before.std(0))

    def w(self, v: Tensor) -> Tensor:
        """Standard normal v [..., D] -> w."""
        return F.leaky_relu(v * self.std + self.mean, 0.2)


def geocross(w: Tensor) -> Tensor:
    """W+ [N, L, D] -> the mean squared angle between each two of the L vectors, times 512 / 8, as published; [N]."""
    one, other = w.unsqueeze(1), w.unsqueeze(2)
    apart = ((one - other).square().sum(-1) + 1e-9).sqrt()
    along = ((one + other).square().sum(-1) + 1e-9).sqrt()
    angle = 2 * torch.atan2(apart, along)
    return angle.square().mean((1, 2)) * (512 / 8)


def clamped(error: Tensor, eps: float) -> Tensor:
    """max(error, eps): an image that is near enough has no gradient any more."""
    return error.clamp_min(eps)


class Spheres:
    """Keeps each of some tensors, over its axes from the third on, at the norm that it has now."""

    def __init__(self, values: list[Tensor]):
        self.values = values
        self.norms = [self._norm(v.detach()) for v in values]

    def __call__(self) -> None:
        """Scale the tensors back, in place."""
        for value, norm in zip(self.values, self.norms, strict=True):
            value.mul_(norm / self._norm(value).clamp_min(1e-9))

    @staticmethod
    def _norm(value: Tensor) -> Tensor:
        axes = tuple(range(2, value.ndim))
        return value.square().sum(axes, keepdim=True).sqrt()


class Best:
    """Of each image the one of the smallest loss, and its mean squared error."""

    def __init__(self, num: int):
        self.image: Tensor | None = None  # [N, 3, R, R]
        self.loss = self.error = torch.full((num,), float("inf"))

    def compare(self, _: int, terms: Losses, image: Tensor) -> None:
        """Take note of what a step of the search has seen."""
        now = terms["total"].float().cpu()
        better = now < self.loss
        at = better.to(image.device)[:, None, None, None]
        self.image = image if self.image is None else torch.where(at, image, self.image)
        self.loss = torch.where(better, now, self.loss)
        self.error = torch.where(better, terms["l2"].float().cpu(), self.error)


def pulse(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 100,
    lr: float = 0.4,
    eps: float = 2e-3,
    l2: float = 100.0,
    geo: float = 0.05,
) -> Restoration:
    """Search the spheres of W+ -> the image of the smallest loss, [N, 3, R, R].

    Args:
        steps: of Adam, whose rate `lr` rises and falls once (`descent.one_cycle`).
        eps: a mean squared error in [0, 1] units below which an image is near enough.
        l2, geo: weights of the data and of the angles.

    Raises BaselineError for a setting that cannot be, RestorationError for a generator without a mapping network or
    where a loss is no number any more, KeyboardInterrupt where Ctrl-C leaves no image, and what `observe` raises.
    """
    check_counts(steps=steps)
    check_rates(lr=lr)
    check_weights(eps=eps, l2=l2, geo=geo)
    seen, G = observe(prior, y, f, seed, callback), prior.generator
    near, draws = 0.0 if seen.random else eps, seen.stream(0)
    gaussian = Gaussian.of(mapping_of(G, classes=True).sample(SAMPLES, torch.Generator().manual_seed(0)))
    shape = (1, G.num_ws, G.w_mean.shape[0])
    v = torch.cat([randomness.normal(shape, one, G.w_mean) for one in draws]).requires_grad_(True)
    maps = noise_maps.draw(G, draws)
    if maps:
        maps[-1] = torch.zeros_like(maps[-1])

    def losses(x: Tensor, w: Tensor) -> Losses:
        error = mean_square(seen.degraded(x), seen.y)
        return total_of(error, w, near, l2, geo)

    best, picture = Best(len(seen)), partial(noise_maps.picture, G)
    every = search(picture, gaussian, v, G.num_ws, maps, losses, steps, lr, callback)
    taken, interrupted = followed(every, best.compare)
    if best.image is None:
        raise KeyboardInterrupt
    info = {"reached": (best.error <= eps).tolist(), "loss": best.loss.tolist()}
    return seen.result(prior, best.image, [taken] * len(seen), (G,), interrupted=interrupted, info=info)


def total_of(error: Tensor, w: Tensor, eps: float, l2: float, geo: float) -> Losses:
    """The published sum, of mean squared errors [N] and W+ [N, L, D]."""
    terms = {"l2": clamped(error, eps), "geocross": geocross(w)}
    return terms | {"total": l2 * terms["l2"] + geo * terms["geocross"]}


def search(
    picture: Callable[[Tensor, list[Tensor]], Tensor],
    gaussian: Gaussian,
    v: Tensor,
    num_ws: int,
    maps: list[Tensor],
    losses: Callable[[Tensor, Tensor], Losses],
    steps: int,
    lr: float,
    callback: Callable[[Step], None] | None = None,
    cycle: Callable[[int, int], float] = one_cycle,
) -> Iterator[tuple[int, Losses, Tensor]]:
    """The loop: v [N, num_ws or 1, D] and the first noise maps are searched, in place -> steps, losses and images.

    `picture` makes an image of W+ [N, num_ws, D] and the maps. RestorationError where a loss is no number any more.
    """
    leaves = [m.requires_grad_(True) for m in maps[:SEARCHED]]
    optimizer = torch.optim.Adam([v, *leaves], lr)

    def objective(step: int) -> tuple[Losses, Tensor]:
        w = gaussian.w(v.expand(-1, num_ws, -1))
        x = picture(w, maps)
        return losses(x, w), x

    rate, project = (lambda step: lr * cycle(step, steps)), Spheres([v, *leaves])
    return descend(objective, optimizer, steps, phase="W+", rate=rate, project=project, callback=callback)


BASELINE = Baseline(
    "pulse",
    pulse,
    paper="menon2020pulse",
    space={
        "lr": Real(0.05, 1.0, log=True),
        "steps": Whole(50, 500, log=True),
        "geo": Real(0.005, 0.5, log=True),
        "eps": Real(1e-5, 1e-2, log=True),
    },
)
