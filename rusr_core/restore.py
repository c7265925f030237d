"""The method: search W, then W+, then W++ for the latent code whose degraded image matches y.

Poirier-Ginter & Lalonde, "Robust Unsupervised StyleGAN Image Restoration", CVPR 2023,
https://arxiv.org/abs/2302.06733. One fixed preset serves every task, level and composition.

    w~ = argmin_w L_total(f(G(w)), y),    f = f_k o ... o f_1

Chapter: book/phases.ipynb.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from rusr_core.arithmetic import flushed_denormals, gradients
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.errors import RusrWarning
from rusr_core.losses.guess import visible
from rusr_core.losses.terms import RestorationLoss
from rusr_core.optimizers import make_optimizer
from rusr_core.presets import Phase, Preset, get, rate_of_unknown
from rusr_core.prior import Prior, prior_shape
from rusr_core.results import PhaseResult, Restoration, Samples, Search
from rusr_core.search.objective import Objective
from rusr_core.search.preparation import (
    check_call,
    check_followed,
    check_values,
    facts,
    facts_of_unknown,
    first_latents,
    images,
    loss_for,
    mask_for,
)
from rusr_core.search.sampling import check_samples, prior_spread, several_starts
from rusr_core.search.stopping import Progress, RestorationError

__all__ = ["PhaseResult", "Restoration", "RestorationError", "Samples", "Search", "Step", "restore"]


@dataclass(frozen=True)
class Step:
    """What a callback sees after each step."""

    phase: str  # "W", "W+" or "W++"
    step: int  # in this phase, from 0
    losses: dict[str, Tensor]  # before the step: each term [N] on the CPU, NaN for images that have stopped
    active: Tensor  # [N] bool, images that are still searched
    image: Callable[[], Tensor]  # call it for the images that gave these losses, [N, 3, R, R] in [0, 1]


@gradients()
def restore(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    preset: str | Preset = "default",
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    clean: Tensor | None = None,
    start: Tensor | None = None,
    loss: RestorationLoss | Callable[..., Tensor] | None = None,
    samples: int = 1,
) -> Search:
    """Restore degraded images by latent search.

    Args:
        prior: generator and networks, see `priors.load_prior` and `Prior.of`.
        y: degraded images [N, 3, h, w], h x w as f gives them for the prior's resolution. They are images in [0, 1];
            single values may lie outside, as noise puts them. What stands where f's mask is 0 does not matter. A batch
            is searched at once; each image gets what it would get alone (on a GPU up to rounding, as
            `search.objective` explains).
        f: the degradation, or whatever `as_operator` takes for one; only its `forward` and its mask are used. Numbers
            of it that are free, see `degradations.free`, are found together with the latents: `info["free"]`.
        preset: name, NAME@STEPS or `presets.Preset`; nothing in it depends on task or level.
        seed: of the random numbers of f and of the loss.
        callback: called after each step with a `Step`.
        clean: the true images; only for presets with identity_reference="clean", which are oracles.
        start: where the search begins, latents of N images in W, or in W+ or W++ if the first phase searches that or
            more; default the mean latent.
        samples: k answers to each y instead of one, as `Samples`: images and latents of N k searches, those of one y
            in turn. The first is what one answer would be; the others start on the way to a random w and draw other
            numbers. A `start` is then one of each of the N k.
        loss: a sum of terms instead of the preset's, `preset.loss(prior) + Term(...)`, or a function of a `Guess`.

    Ctrl-C returns what there is. An image that diverges stays at its last finite latent, with a warning. What was asked
    for and cannot act is a RusrWarning, too, and recorded in `info["warnings"]`. Raises, before the search begins,
    RestorationError if an argument does not fit or f has no gradient, PresetError and OptimizerError for the preset,
    DegradationError for an f that fails on the prior's images; and RestorationError if all images have diverged.
    """
    begun = time.perf_counter()
    check_call(prior, Prior, seed, callback)
    preset, device = get(preset), prior.device
    check_samples(samples, prior)
    notes: list[str] = []
    y = images(y, "y").to(device)
    like = y.new_empty(prior_shape(prior, len(y)))
    f = as_operator(f, like)
    mask = mask_for(f, y, like, notes)
    y = visible(y, mask)  # the hole is what the mask says, whatever stands there
    check_values(y, notes)
    chosen, clean = loss_for(prior, preset, y, mask is not None, clean, loss, notes)
    latents = first_latents(prior, preset, len(y) * samples, start)
    if samples > 1 and start is None:
        latents = several_starts(prior, latents, samples, seed)
    for note in notes:
        warnings.warn(note, RusrWarning, stacklevel=3)  # the decorator is between this line and the caller
    with flushed_denormals():
        objective = Objective(prior, f, chosen, y, mask, clean, preset.draws, samples)
        searched = _search(objective, preset, seed, latents, callback)
    info = facts(prior, f, preset, chosen, objective.twice, notes) | facts_of_unknown(f, objective, samples)
    said = {"seed": seed, "preset": preset, "method": preset.name, "oracle": clean is not None, "info": info}
    return _result(objective, *searched, begun, said)


def _result(
    objective: Objective,
    phases: tuple[PhaseResult, ...],
    diverged: list[str | None],
    interrupted: bool,
    begun: float,
    said: dict[str, object],
) -> Search:
    """What the phases found, with one answer or several to each y, and what was `said` before; it began at `begun`."""
    samples, prior = objective.samples, objective.prior
    kind = partial(Samples, samples=samples, prior_spread=prior_spread(prior)) if samples > 1 else Search
    return kind(
        image=phases[-1].image,
        seconds=time.perf_counter() - begun,
        steps=[sum(counts) for counts in zip(*(phase.steps for phase in phases), strict=True)],
        interrupted=interrupted,
        phases=phases,
        terms=objective.loss.weights,
        diverged=diverged,
        **said,
    )


def _search(
    objective: Objective, preset: Preset, seed: int, latents: Tensor, callback: Callable[[Step], None] | None
) -> tuple[tuple[PhaseResult, ...], list[str | None], bool]:
    """Phase after phase, each from the latents that the one before it found -> results, divergence, interruption."""
    generator, results = objective.prior.generator, []
    diverged: list[str | None] = [None] * len(latents)
    for number, phase in enumerate(preset.phases):
        widened = generator.widen(latents, phase.space).detach()
        each = [v.clone().requires_grad_(True) for v in widened.split(1)]
        objective.reseed(seed, number)
        result, interrupted = _search_phase(objective, phase, preset, each, diverged, callback)
        latents = result.latents
        results.append(result)
        if interrupted:
            break
    return tuple(results), diverged, interrupted


def _search_phase(
    objective: Objective,
    phase: Phase,
    preset: Preset,
    latents: list[Tensor],
    diverged: list[str | None],
    callback: Callable[[Step], None] | None,
) -> tuple[PhaseResult, bool]:
    """Search one latent space from `latents`: a tensor [1, ...] an image, changed in place, so that each image has its
    own state of the optimiser."""
    optimizer = make_optimizer(preset.optimizer, latents, phase.lr * objective.prior.lr_scale)
    if objective.unknown:
        optimizer.add_param_group({"params": objective.unknown, "lr": rate_of_unknown(phase, preset.phases[0])})
    progress, interrupted = Progress(phase.space, latents, preset.patience, diverged), False
    try:
        for step in range(phase.steps):
            if not progress.active:
                break
            losses = objective(latents, progress.active)  # L(f(G(w)), y) of each image
            check_followed(losses["total"])
            optimizer.zero_grad(set_to_none=True)  # latents without a gradient are not touched by the step
            losses["total"].sum().backward()
            progress.before_step()
            optimizer.step()
            progress.after_step(losses)
            if callback is not None:
                picture = partial(torch.clamp, objective.images, 0, 1)
                callback(Step(phase.space, step, progress.rows[-1], progress.mask, picture))
    except KeyboardInterrupt:
        interrupted = True
    found = [v.detach() for v in latents]
    image = objective.render(found)
    return PhaseResult(phase.space, image, torch.cat(found), progress.steps, progress.history), interrupted
