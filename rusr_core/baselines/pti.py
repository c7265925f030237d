"""PTI: Pivotal Tuning for Latent-based Editing of Real Images.

Roich, Mokady, Bermano and Cohen-Or, ACM Transactions on Graphics 2022, https://arxiv.org/abs/2106.05744. First a pivot
in W whose picture is like y, by the projector of StyleGAN2; then the weights of the generator are tuned, the pivot
fixed, until its picture is y. A penalty keeps the pictures of other codes near the pivot what they were:

    pivot     LPIPS(f(G(w, n)), y) + 1e5 correlation(n),    w and the noise maps n are searched
    tuning    4 MSE(f(G'(w)), y) + LPIPS(f(G'(w)), y) + 0.1 (4 MSE + LPIPS)(G'(w_r), G(w_r)),    G' is searched
    w_r       30 away from the pivot, in the direction of a random M(z), truncated by 0.5, drawn anew at each step

The method is one of inversion: f and its place in both losses are ours, as are all sentences about holes. The prior
stays as it is: each image tunes a copy of the generator of its own. Where we depart from the public code:

    perception     the prior's own network in place of VGG16 (pivot) and AlexNet (tuning), at the prior's resolution
                   where y is smaller, since it looks at nothing below 16 px
    statistics     the generator's mean and size of W in place of 600 samples of its own
    locality       is on, as in the paper; the code leaves it off, since it saves time where the tuned generator is not
                   used again, but here y leaves much of the picture open
    stop           an image whose LPIPS comes to 0.06 is tuned no further, as there, but it is the LPIPS of f(x)
    noise          the maps that the pivot was searched with are given up for the stored ones, as there
    steps          450 for the pivot and at most 350 for the tuning, as there: `share` of `steps` goes to the pivot

What limits it: every weight of the generator is free, so that noise, blocks of JPEG and the edges of holes are matched,
too, and what y does not show follows along; only the early stop and the locality hold against that.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.baselines import noise_maps
from rusr_core.baselines.descent import Losses, begin, descend, followed, mean_square, network_of, perceptual, summed
from rusr_core.baselines.mapped import mapping_of, truncated
from rusr_core.baselines.method import Baseline, Choice, Real, Whole
from rusr_core.baselines.observation import Observation
from rusr_core.baselines.settings import check_choice, check_counts, check_range, check_rates, check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.generator import Generator
from rusr_core.networks.perceptual import Perceptual
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step
from rusr_core.search.stopping import RestorationError

Callback = Callable[[Step], None] | None
SMOOTH = 1e5  # weight of the noise maps' correlation
SPACES = {"W": 1, "W+": None}  # vectors that are searched; None: all


def warm_up(t: float) -> float:
    """The factor of the projector's rate at t in [0, 1]: up over the first 5 %, down by a cosine over the last 25 %."""
    return (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - t) / 0.25))) * min(1.0, t / 0.05)


def shaking(t: float) -> float:
    """The standard deviation of the noise on the code at t in [0, 1], in sizes of W: from 0.05 to 0 at 75 %."""
    return 0.05 * max(0.0, 1 - t / 0.75) ** 2


def find_pivot(
    prior: Prior, seen: Observation, steps: int, lr: float, space: str, side: int, callback: Callback = None
) -> tuple[Tensor, int, bool]:
    """The first phase, from the mean of W -> the pivot in W+, [N, L, D], the steps taken, and whether by Ctrl-C.

    Args:
        lr: the highest rate of Adam, see `warm_up`.
        space: "W", or "W+" with a vector for each layer.
        side: px at which pictures are compared.
    """
    G, network, draws = prior.generator, network_of(prior), seen.stream(5)
    maps = [value.requires_grad_(True) for value in noise_maps.draw(G, draws)]
    shape = (1, SPACES[space] or G.num_ws, G.w_mean.shape[0])
    w = G.w_mean.detach().repeat(len(seen), shape[1], 1).requires_grad_(True)

    def objective(step: int) -> tuple[Losses, Tensor]:
        noise = torch.cat([randomness.normal(shape, one, w) for one in draws])
        shaken = w + prior.w_std * shaking(step / steps) * noise
        x = noise_maps.picture(G, shaken.expand(-1, G.num_ws, -1), maps)
        distance = perceptual(network, seen.degraded(x), seen.y, side)
        return summed({"perc": distance, "noise": SMOOTH * noise_maps.correlation(maps)}), x

    def rate(step: int) -> float:
        return lr * warm_up(step / steps)

    def project() -> None:
        noise_maps.standardise(maps)

    how = {"phase": space, "rate": rate, "project": project, "callback": callback}
    taken, interrupted = followed(descend(objective, torch.optim.Adam([w, *maps], lr), steps, **how))
    return w.detach().expand(-1, G.num_ws, -1), taken, interrupted


@dataclass(frozen=True)
class Locality:
    """The penalty that keeps a tuned generator's pictures near the pivot what they were."""

    weight: float
    reach: float  # of w_r from the pivot, over all L vectors together
    network: Perceptual

    def near(self, G: Generator, pivot: Tensor, z: Tensor) -> Tensor:
        """w_r [1, L, D], of a pivot [1, L, D] and z [1, z_dim]."""
        towards = truncated(G, z, 0.5) - pivot
        return pivot + self.reach * towards / towards.norm()

    def __call__(self, tuned: Generator, G: Generator, w: Tensor) -> Tensor:
        """How far the tuned generator's picture of w [1, L, D] is from that of G, [1]; both without noise."""
        with torch.no_grad():
            before = G.image(w, noise_mode="none")
        after = tuned.image(w, noise_mode="none")
        return self.weight * (4 * mean_square(after, before) + perceptual(self.network, after, before))


@dataclass(frozen=True)
class Tuning:
    """What the second phase may be told."""

    steps: int
    rate: float  # of Adam
    pixels: float  # weight of the mean square of images in [-1, 1]
    perc: float  # weight of LPIPS
    enough: float  # LPIPS at which an image is tuned no further
    locality: Locality
    side: int  # px at which pictures are compared, at least


def tune(
    prior: Prior, seen: Observation, pivot: Tensor, how: Tuning, callback: Callback = None
) -> tuple[Tensor, list[int], list[Generator], bool]:
    """The second phase, of a pivot [N, L, D] -> images [N, 3, R, R], the steps that each took, its generator, and
    whether Ctrl-C ended it."""
    G, network = prior.generator, network_of(prior)
    tuned = [copy.deepcopy(G) for _ in range(len(seen))]
    weights = [p.requires_grad_(True) for one in tuned for p in one.synthesis.parameters()]
    each, draws = [seen.image(i) for i in range(len(seen))], seen.stream(6)
    active, taken = torch.ones(len(seen), dtype=torch.bool), torch.zeros(len(seen), dtype=torch.long)
    side = max(how.side, *seen.y.shape[2:])

    def terms_of(i: int) -> tuple[Losses, Tensor, bool]:
        w = pivot[i : i + 1]
        x = tuned[i].image(w)
        made = each[i].degraded(x)
        pixels, perc = mean_square(made, each[i].y), perceptual(network, made, each[i].y, side)
        terms = {"pix": how.pixels * 4 * pixels, "perc": how.perc * perc}
        if how.locality.weight:
            z = randomness.normal((1, G.mapping.z_dim), draws[i], w)
            terms["locality"] = how.locality(tuned[i], G, how.locality.near(G, w, z))
        return summed(terms), x, perc.item() <= how.enough

    def objective(step: int) -> tuple[Losses, Tensor]:
        found = []
        for i in range(len(seen)):
            with torch.set_grad_enabled(bool(active[i])):
                terms, x, near = terms_of(i)
            if near:
                active[i] = False
                terms = {name: value.detach() for name, value in terms.items()}
            found.append((terms, x))
        taken.add_(active)
        losses = {name: torch.cat([terms[name] for terms, _ in found]) for name in found[0][0]}
        return losses, torch.cat([x for _, x in found])

    optimizer = torch.optim.Adam(weights, how.rate)  # it passes over weights without a gradient
    search = descend(objective, optimizer, how.steps, phase="weights", active=lambda: active, callback=callback)
    _, interrupted = followed(search)
    with torch.no_grad():
        image = torch.cat([one.image(w) for one, w in zip(tuned, pivot.split(1), strict=True)])
    return image, taken.tolist(), tuned, interrupted


def pti(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callback = None,
    steps: int = 800,
    share: float = 450 / 800,
    lr: float = 0.01,
    space: str = "W",
    rate: float = 3e-4,
    pixels: float = 1.0,
    perc: float = 1.0,
    locality: float = 0.1,
    reach: float = 30.0,
    enough: float = 0.06,
    side: int | None = None,
) -> Restoration:
    """Search a pivot, then tune a copy of the generator -> the last image, [N, 3, R, R].

    Args:
        steps: of both phases; `share` of them look for the pivot.
        lr: the highest rate of Adam for the pivot and the noise maps.
        space: of the pivot, "W" or "W+".
        rate: of Adam for the weights.
        pixels, perc: weights of the tuning: the mean square of images in [-1, 1], and LPIPS.
        locality, reach: weight of the penalty, 0: none, and how far from the pivot it looks, over all L vectors.
        enough: LPIPS of f(x) and y at which the tuning of an image ends.
        side: px at which pictures are compared, see `descent.side_of`; in the tuning y's own where it is larger.

    Raises BaselineError for a setting that cannot be, RestorationError for a generator that has no noise maps or, with
    a locality, no z, and where a loss is no number any more, and what `descent.begin` raises.
    """
    check_counts(steps=steps)
    check_range("share", share, 0, 1)
    check_rates(lr=lr, rate=rate, reach=reach)
    check_weights(pixels=pixels, perc=perc, locality=locality, enough=enough)
    check_choice("space", space, tuple(SPACES))
    seen, G, network, side = begin(prior, y, f, seed, callback, side)
    if not noise_maps.layers(G):
        raise RestorationError(f"{prior.name!r} has no noise maps: expected a StyleGAN2 generator that adds noise")
    if locality:
        mapping_of(G)
    first = round(share * steps)
    pivot, found, interrupted = find_pivot(prior, seen, first, lr, space, side, callback)
    near = Locality(locality, reach, network)
    how = Tuning(0 if interrupted else steps - first, rate, pixels, perc, enough, near, side)
    image, taken, _, later = tune(prior, seen, pivot, how, callback)
    more = {"interrupted": interrupted or later, "info": {"tuned": taken}}
    return seen.result(prior, image, [found + number for number in taken], (G, network), **more)


BASELINE = Baseline(
    "pti",
    pti,
    paper="roich2022pivotal",
    space={
        "steps": Whole(100, 1500, log=True),
        "share": Real(0.2, 1.0),
        "lr": Real(0.002, 0.3, log=True),
        "space": Choice(("W", "W+")),
        "rate": Real(1e-5, 3e-3, log=True),
        "pixels": Real(0.1, 10.0, log=True),
        "locality": Choice((0.0, 0.1, 1.0)),
        "enough": Real(0.0, 0.3),
    },
)
