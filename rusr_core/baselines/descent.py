"""The loop that the compared methods share: gradient descent on one loss an image, seen by a callback step by step.

Ctrl-C ends a search where it is, as it does in `restore`: the result holds what there is.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor

from rusr_core.baselines.method import BaselineError
from rusr_core.baselines.observation import Observation, observe
from rusr_core.degradations.operator import AnyOperator
from rusr_core.limits import MAX_SIDE, check_whole
from rusr_core.networks.perceptual import Perceptual, distance
from rusr_core.networks.portrait_net import SMALLEST
from rusr_core.prior import LatentGenerator, Prior
from rusr_core.restore import Step
from rusr_core.search.stopping import RestorationError

Losses = dict[str, Tensor]  # each term [N], of the images before the step; the sum is "total"


def begin(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    seed: int,
    callback: Callable[[Step], None] | None,
    side: int | None,
) -> tuple[Observation, LatentGenerator, Perceptual, int]:
    """What is observed, the prior's generator and perceptual network, and the side in px of what is compared.

    Raises what `observe`, `network_of` and `side_of` do.
    """
    seen = observe(prior, y, f, seed, callback)
    return seen, prior.generator, network_of(prior), side_of(prior, side)


def descend(
    objective: Callable[[int], tuple[Losses, Tensor]],
    optimizer: torch.optim.Optimizer,
    steps: int,
    *,
    phase: str,
    rate: Callable[[int], float] | None = None,
    project: Callable[[], None] | None = None,
    active: Callable[[], Tensor] | None = None,
    callback: Callable[[Step], None] | None = None,
) -> Iterator[tuple[int, Losses, Tensor]]:
    """Step by step: the losses and the images [N, 3, R, R] before the step's update, yielded after it.

    Args:
        objective: of the step, from 0 -> losses and images; the images of a batch do not mix in it.
        rate: the learning rate of a step; default: the optimiser's own.
        project: what is done to the parameters after each update.
        active: which images are still searched, [N] bool, asked after the objective, in which the loss of the others
            has no gradient. Where none is left the loop ends, without an update. Default: all, to the last step.

    Raises RestorationError if the loss of an image is NaN or infinite.
    """
    for step in range(steps):
        losses, image = objective(step)
        if not losses["total"].isfinite().all():
            bad = (~losses["total"].isfinite()).nonzero()[0].item()
            raise RestorationError(f"image {bad}: NaN or infinity in the loss, phase {phase}, step {step}")
        going = torch.ones(len(image), dtype=torch.bool) if active is None else active().clone()
        if not going.any():
            return
        if rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
        optimizer.zero_grad(set_to_none=True)
        losses["total"].sum().backward()
        optimizer.step()
        if project is not None:
            with torch.no_grad():
                project()
        losses = {name: value.detach() for name, value in losses.items()}
        yield step, losses, image.detach()
        if callback is not None:  # behind the step, which counts also where the callback interrupts the search
            seen = {name: torch.where(going, value.float().cpu(), torch.nan) for name, value in losses.items()}
            callback(Step(phase, step, seen, going, partial(torch.clamp, image.detach(), 0, 1)))


def followed(steps: Iterable, note: Callable[..., None] = lambda *_: None) -> tuple[int, bool]:
    """Follow a search to its end, or to Ctrl-C -> how many steps it took, and whether it was interrupted.

    `note` is told what each step yields.
    """
    taken = 0
    try:
        for told in steps:
            note(*told)
            taken += 1
    except KeyboardInterrupt:
        return taken, True
    return taken, False


def summed(terms: Losses) -> Losses:
    """The terms, and their sum as "total"."""
    return terms | {"total": sum(terms.values())}


def one_cycle(step: int, steps: int, drop: bool = True) -> float:
    """The factor of the rate at a step: from 0.1 up to 1 and down again to 0.1 over 90 % of the steps, then down to
    0.001 (PULSE's "linear1cycledrop"; without `drop` the cycle takes all steps)."""
    whole = 0.9 * steps if drop else steps
    if step < whole:
        return (9 * (1 - abs(2 * step / whole - 1)) + 1) / 10
    return 0.1 + (step - whole) / (steps - whole) * (0.001 - 0.1)


def mean_square(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared difference of each image, [N]."""
    return (x - y).square().flatten(1).mean(1)


def resized(x: Tensor, side: int) -> Tensor:
    """Images [N, 3, h, w] brought to `side` by averaging, up or down, as BRGM and NVIDIA's projector do."""
    return x if x.shape[2:] == (side, side) else torch.nn.functional.interpolate(x, (side, side), mode="area")


def side_of(prior: Prior, side: int | None) -> int:
    """The size in px at which pictures are compared: 256 as published, or the prior's where that is smaller.

    BaselineError for a `side` that the networks cannot look at.
    """
    if side is None:
        return min(256, prior.resolution)
    check_whole("side", side, SMALLEST, MAX_SIDE, BaselineError)
    return side


def perceptual(network: Perceptual, x: Tensor, y: Tensor, side: int | None = None) -> Tensor:
    """LPIPS [N] of images in [0, 1], both brought to `side` px first if it is given."""
    if side is not None:
        x, y = resized(x, side), resized(y, side)
    with torch.no_grad():
        wanted = network.features(y)
    return distance(network.features(x), wanted)


def network_of(prior: Prior) -> Perceptual:
    """The prior's perceptual network. RestorationError if it has none."""
    if prior.perceptual is None:
        raise RestorationError(f"prior {prior.name!r} has no perceptual network, which this method compares with")
    return prior.perceptual
