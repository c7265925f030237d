"""The method: search W, then W+, then W++ for the latent code whose degraded image matches y.

Poirier-Ginter & Lalonde, "Robust Unsupervised StyleGAN Image Restoration", CVPR 2023,
https://arxiv.org/abs/2302.06733, section 3. One fixed preset serves every task, level and composition.

    w~ = argmin_w L_total(f(G(w)), y),    f = f_k o ... o f_1

Chapter: book/phases.ipynb.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.allocator import keep_freed_memory
from rusr_core.degradations.base import Operator
from rusr_core.degradations.operator import as_operator, is_random, mask_of
from rusr_core.errors import RusrError
from rusr_core.latents import mean_w, to_w_plus, to_w_plus_plus
from rusr_core.losses import IdentityLoss, MultiscaleLPIPS, RestorationLoss
from rusr_core.optimizers import make_optimizer
from rusr_core.presets import Phase, Preset, get
from rusr_core.prior import Prior, prior_shape

WIDEN = {"W": lambda w, G: w, "W+": to_w_plus, "W++": to_w_plus_plus}


class RestorationError(RusrError):
    """The search cannot start, or has left the numbers (NaN or infinity in a latent)."""


@dataclass(frozen=True)
class Step:
    """What a callback sees after each step."""

    phase: str  # "W", "W+" or "W++"
    step: int  # in this phase, from 0
    losses: dict[str, Tensor]  # before the step: each term [N], NaN for images that have stopped
    active: Tensor  # [N] bool, images that are still searched
    image: Callable[[], Tensor]  # call it for the images that gave these losses, [N, 3, R, R] in [0, 1]


@dataclass(frozen=True)
class PhaseResult:
    """One phase's outcome."""

    space: str
    image: Tensor  # [N, 3, R, R] in [0, 1]
    latents: Tensor  # of rank 2, 3 or 4, see latents.py
    steps: list[int]  # steps that each image took
    history: dict[str, Tensor]  # each loss term, [steps, N], NaN after an image has stopped


@dataclass(frozen=True)
class Restoration:
    """What `restore` returns, and every baseline too."""

    image: Tensor  # [N, 3, R, R] in [0, 1]
    phases: list[PhaseResult]
    preset: str
    seed: int
    seconds: float
    interrupted: bool = False  # by Ctrl-C: the phases hold what there was
    oracle: bool = False  # the clean image was used (identity_reference="clean")

    @property
    def latents(self) -> Tensor:
        return self.phases[-1].latents

    @property
    def steps(self) -> list[int]:
        """Steps of each image over all phases."""
        return [sum(counts) for counts in zip(*(phase.steps for phase in self.phases), strict=True)]


@dataclass
class _Search:
    """The state of one restoration: one latent tensor an image, so that each has its own optimiser state.

    Networks see the images of a group together: all of them on a GPU, one by one on a CPU. There a batch would bring
    little, and rounding that depends on its size would not stay small: Adam divides small gradients by themselves.
    """

    prior: Prior
    f: Operator
    loss: RestorationLoss
    y: Tensor
    mask: Tensor | None
    clean: Tensor | None
    seed: int
    draws: int = 1  # of f in each step, if it is random
    images: Tensor | None = None  # [N, 3, R, R], the latest image of each, [0, 1] not clamped
    rngs: list[torch.Generator] = field(default_factory=list)  # for f, one an image
    loss_rngs: list[torch.Generator] = field(default_factory=list)  # one a group

    def __post_init__(self) -> None:
        num = len(self.y)
        self.groups = [[i] for i in range(num)] if self.y.device.type == "cpu" else [list(range(num))]
        self.targets = [self.loss.target(*(_rows(v, g) for v in (self.y, self.mask, self.clean))) for g in self.groups]

    @cached_property
    def random(self) -> bool:
        """Whether f draws random numbers. Then it is applied image by image, each with its own generator."""
        return is_random(self.f, self.y.new_empty(prior_shape(self.prior, len(self.y))))

    @cached_property
    def operators(self) -> list[Operator]:
        """f of each image."""
        return [self.f.for_image(i) for i in range(len(self.y))]

    def degraded(self, pictures: Tensor) -> Tensor:
        """f(x) of all images, [N, 3, h, w]."""
        if not self.random:
            return self.f.forward(pictures)
        rows = zip(self.operators, pictures.split(1), self.rngs, strict=True)
        return torch.cat([f.forward(x, rng) for f, x, rng in rows])

    @cached_property
    def twice(self) -> bool:
        """Whether f is drawn twice a step, for the energy score of the two."""
        return self.draws > 1 and self.random

    def reseed(self, phase: int) -> None:
        """Each phase has its own random stream, the same for every image: an image gets what it would get alone,
        whenever the others of its batch stop."""
        word = randomness.seeds(self.seed, 1, phase)[0]
        self.rngs = [torch.Generator().manual_seed(word) for _ in self.y]
        self.loss_rngs = [torch.Generator().manual_seed(word + 1) for _ in self.groups]

    def pictures(self, latents: list[Tensor], index: list[int]) -> Tensor:
        """G(w) of the images `index`, [n, 3, R, R]; remembers them."""
        parts = [[latents[i] for i in group if i in index] for group in self.groups]
        x = torch.cat([self.prior.generator.image(torch.cat(part)) for part in parts if part])
        everything = len(index) == len(latents)
        self.images = x.detach() if everything else self.images.index_copy(0, _index(index, x), x.detach())
        return x

    def losses(self, latents: list[Tensor], index: list[int]) -> dict[str, Tensor]:
        """Loss terms [n] of the images `index`."""
        x = self.pictures(latents, index)
        # f sees all images, the stopped ones as constants: a degradation may treat each image in its own way
        pictures = self.images.index_copy(0, _index(index, x), x)
        guess = self.degraded(pictures)
        again = self.degraded(pictures) if self.twice else None
        if guess.shape != self.y.shape:
            raise RestorationError(f"f(G(w)) is {tuple(guess.shape)} but y is {tuple(self.y.shape)}: f did not make y")
        terms = []
        for group, target, rng in zip(self.groups, self.targets, self.loss_rngs, strict=True):
            rows = [i for i in group if i in index]
            if not rows:
                continue
            if len(rows) < len(group):
                target = target.select(_index([group.index(i) for i in rows], x))
            # blind: E(f(G(w))) against E(y); an oracle sees the picture before f, as it sees the truth
            picture = None if self.clean is None else x[[index.index(i) for i in rows]]
            terms.append(self.loss(guess[rows], target, rng, picture, None if again is None else again[rows]))
        return {name: torch.cat([part[name] for part in terms]) for name in terms[0]}


def _rows(values: Tensor | None, index: list[int]) -> Tensor | None:
    """Some images of a batch; None and what all images share stay as they are."""
    return values if values is None or len(values) == 1 else values[index]


def _index(index: list[int], like: Tensor) -> Tensor:
    return torch.tensor(index, device=like.device)


@dataclass
class _EarlyStopping:
    """Stop an image after `patience` steps without a new best loss (the report, "Algorithm")."""

    patience: int | None
    best: list[float]
    waited: list[int]

    @classmethod
    def of(cls, patience: int | None, num: int) -> "_EarlyStopping":
        return cls(patience, [float("inf")] * num, [0] * num)

    def stops(self, i: int, loss: float) -> bool:
        if loss < self.best[i]:
            self.best[i], self.waited[i] = loss, 0
        else:
            self.waited[i] += 1
        return self.patience is not None and self.waited[i] >= self.patience


def restore(
    prior: Prior,
    y: Tensor,
    f: Operator,
    *,
    preset: str | Preset = "report",
    generator: torch.Generator | None = None,
    callback: Callable[[Step], None] | None = None,
    clean: Tensor | None = None,
    start: Tensor | None = None,
) -> Restoration:
    """Restore degraded images by latent search.

    Args:
        prior: generator and networks, see `priors.load_prior`.
        y: degraded images [N, 3, h, w] in [0, 1], h x w as f gives them for the prior's resolution. A batch is
            searched at once; each image gets what it would get alone.
        f: the known degradation; only its `forward(x, generator)` is used (and its mask, if it has one).
        preset: name or `presets.Preset`; nothing in it depends on task or level.
        generator: seeds the random numbers of f and of the loss (its `initial_seed`; default 0).
        callback: called after each step with a `Step`.
        clean: the true images; only for presets with identity_reference="clean", which are oracles.
        start: where W begins, [N, D]; default the mean latent (section 3.2).

    Ctrl-C returns what there is. Raises RestorationError if y does not fit f, or on NaN (phase and step are named).
    """
    begun = time.perf_counter()
    preset = get(preset)
    spaces = [phase.space for phase in preset.phases]
    if not spaces or sorted(spaces, key=list(WIDEN).index) != spaces:
        raise RestorationError(f"phases {spaces}: a latent can only be widened, expected the order {', '.join(WIDEN)}")
    G = prior.generator
    device = G.mapping.w_avg.device
    seed = 0 if generator is None else generator.initial_seed()
    y = _checked(y).to(device)
    if device.type == "cpu":
        keep_freed_memory()
    w = mean_w(G, len(y)) if start is None else start.detach().clone().to(device)
    if w.shape != (len(y), G.config.w_dim):
        raise RestorationError(f"start is {tuple(w.shape)}: expected W [{len(y)}, {G.config.w_dim}]")
    loss = _loss(prior, preset, min(y.shape[2:]))
    clean = _reference(preset, loss, clean, prior_shape(prior, len(y)), device)
    like = y.new_empty(prior_shape(prior, len(y)))
    f = as_operator(f, like)
    search = _Search(prior, f, loss, y, mask_of(f, like), clean, seed, preset.draws)
    latents, results, interrupted = list(w.split(1)), [], False
    for number, phase in enumerate(preset.phases):
        latents = [WIDEN[phase.space](v.detach(), G).clone() for v in latents]
        search.reseed(number)
        result, interrupted = _run_phase(search, phase, preset, latents, callback)
        results.append(result)
        if interrupted:
            break
    seconds = time.perf_counter() - begun
    return Restoration(results[-1].image, results, preset.name, seed, seconds, interrupted, clean is not None)


def _checked(y: Tensor) -> Tensor:
    if y.ndim != 4 or y.shape[1] != 3 or len(y) == 0 or not y.isfinite().all() or y.min() < 0 or y.max() > 1:
        raise RestorationError(f"y is {tuple(y.shape)}, {y.dtype}: expected [N, 3, h, w] with values in [0, 1]")
    return y.float()


def _loss(prior: Prior, preset: Preset, side: int) -> RestorationLoss:
    """The preset's loss on the prior's networks.

    There is no identity term where the domain has no identity network, nor on a y that is too small to be shown to a
    network (a face of 4 x 4 pixels has no identity; the term would only bend the colours).
    """
    identity = None
    seen = side > preset.lpips_smallest or preset.identity_reference == "clean"
    if preset.identity_weight and prior.identity is not None and seen:
        identity = IdentityLoss(prior.identity)
    lpips = MultiscaleLPIPS(prior.perceptual, preset.lpips_levels, preset.lpips_smallest)
    return RestorationLoss(lpips, identity, preset.l1_weight, preset.identity_weight)


def _reference(
    preset: Preset, loss: RestorationLoss, clean: Tensor | None, shape: tuple[int, ...], device: torch.device
) -> Tensor | None:
    """The clean images if the preset is an oracle, else None."""
    if preset.identity_reference == "input" or not loss.uses_identity:
        return None
    if clean is None:
        raise RestorationError("identity_reference='clean' is an oracle: restore(..., clean=...) is needed")
    if clean.shape != shape:
        raise RestorationError(f"clean is {tuple(clean.shape)}: expected an image for each y, {shape}")
    return clean.float().to(device)


def _run_phase(
    search: _Search, phase: Phase, preset: Preset, latents: list[Tensor], callback: Callable[[Step], None] | None
) -> tuple[PhaseResult, bool]:
    """Search one latent space from `latents` (one tensor [1, ...] an image, changed in place)."""
    num = len(latents)
    optimizer = make_optimizer(preset.optimizer, latents, phase.lr * search.prior.lr_scale)
    stopping = _EarlyStopping.of(preset.patience, num)
    active, steps, rows, interrupted = list(range(num)), [0] * num, [], False
    for parameter in latents:
        parameter.requires_grad_(True)
    try:
        for step in range(phase.steps):
            if not active:
                break
            terms = search.losses(latents, active)
            optimizer.zero_grad(set_to_none=True)  # latents without a gradient are not touched by the step
            terms["total"].sum().backward()
            optimizer.step()
            _check_finite(latents, terms["total"], active, phase.space, step)
            rows.append({name: _scatter(value.detach(), active, num) for name, value in terms.items()})
            totals = terms["total"].tolist()
            for i in active:
                steps[i] += 1
            active = [i for i, total in zip(list(active), totals, strict=True) if not stopping.stops(i, total)]
            if callback is not None:
                mask = torch.zeros(num, dtype=torch.bool)
                mask[active] = True
                images = search.images
                callback(Step(phase.space, step, rows[-1], mask, lambda images=images: images.clamp(0, 1)))
    except KeyboardInterrupt:
        interrupted = True
    ws = torch.cat([parameter.detach().requires_grad_(False) for parameter in latents])
    with torch.no_grad():
        search.pictures(latents, list(range(num)))
    history = {name: torch.stack([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    return PhaseResult(phase.space, search.images.clamp(0, 1), ws, steps, history), interrupted


def _check_finite(latents: list[Tensor], totals: Tensor, active: list[int], name: str, step: int) -> None:
    """The loss too: normalised gradient descent takes a gradient of NaN for none."""
    for i, total in zip(active, totals.isfinite().tolist(), strict=True):
        if not total or not latents[i].isfinite().all():
            where = "latent" if total else "loss"
            raise RestorationError(f"image {i}: NaN or infinity in the {where}, phase {name}, step {step}")


def _scatter(values: Tensor, index: list[int], num: int) -> Tensor:
    """Values of some images -> [num] on the CPU, NaN elsewhere."""
    full = torch.full((num,), float("nan"))
    full[index] = values.float().cpu()
    return full
