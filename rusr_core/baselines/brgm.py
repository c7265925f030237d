"""BRGM: Bayesian Image Reconstruction using Deep Generative Models.

Marinescu, Moyer and Golland, 2020, https://arxiv.org/abs/2012.04567. The maximum of the posterior over W+, with a
normal prior on w and a von Mises prior on the angles between the vectors of the layers:

    65 MSE(f(x), y) + 1.25 LPIPS(f(x), y) + 100 mean((w - mean)^2) / s^2 + 0.1 sum_lm |1 - cos(w_l, w_m)|

The public code states the first two weights for [0, 255] and for a mean over features; these are the same numbers in
[0, 1] and in units of LPIPS. Where we depart from the public code:

    degradation    any f in place of a bicubic that is not antialiased, and holes that are black in place of 1/255
    perception     the prior's own network in place of VGG16, at the prior's resolution where it is below 256 px: the
                   embedded net was trained there; `side=256` is the published size
    statistics     the generator's mean and size of W in place of 10,000 samples of its own
    noise          the picture is rendered with the noise maps that it was searched with; there it gets others, with
                   which it does not match y. The maps are drawn once from N(0, 1), as there
    angles         of every image; the code looks at the first of a batch alone. The weight is 0.1 everywhere; there it
                   is 1 for upsampling by more than 16, and holes are pasted from y, which one setting cannot know
    result         the last iterate, as there
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.baselines import noise_maps
from rusr_core.baselines.descent import Losses, begin, descend, followed, mean_square, perceptual, summed
from rusr_core.baselines.method import Baseline, Choice, Real, Whole
from rusr_core.baselines.observation import Observation
from rusr_core.baselines.settings import check_counts, check_rates, check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.networks.perceptual import Perceptual
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step

LEVELS = 255.0**2  # from a mean square in [0, 1] to one of 8-bit values
FEATURES = 7_995_392  # numbers in the feature vector of VGG16 at 256 px, of which the code takes the mean


def cosines(w: Tensor) -> Tensor:
    """W+ [N, L, D] -> the sum of |1 - cos| over all ordered pairs of its L vectors, [N]."""
    unit = F.normalize(w, dim=2, eps=1e-8)
    return (1 - unit @ unit.transpose(1, 2)).abs().sum((1, 2))


def data_terms(
    x: Tensor, seen: Observation, network: Perceptual, weights: tuple[float, float], side: int
) -> dict[str, Tensor]:
    """How far f(x) is from y, [N] each: pixels and perception, with the published weights, at `side` px."""
    pix, perc = weights
    made = seen.degraded(x)
    return {
        "pix": pix * LEVELS * mean_square(made, seen.y),
        "perc": perc / FEATURES * perceptual(network, made, seen.y, side),
    }


def brgm(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 501,
    lr: float = 0.1,
    pix: float = 1e-3,
    perc: float = 1e7,
    prior_w: float = 100.0,
    prior_c: float = 0.1,
    side: int | None = None,
) -> Restoration:
    """Search W+ from the mean -> the last image, [N, 3, R, R].

    Args:
        steps, lr: of Adam, at a constant rate.
        pix, perc: weights of the pixels (of 8-bit values) and of perception (of the mean over 8 million features).
        prior_w, prior_c: weights of the distance from the mean and of the angles.
        side: px at which pictures are compared, see above.

    Raises BaselineError for a setting that cannot be, RestorationError for a generator without a synthesis network or
    where a loss is no number any more, and what `begin` raises.
    """
    check_counts(steps=steps)
    check_rates(lr=lr)
    check_weights(pix=pix, perc=perc, prior_w=prior_w, prior_c=prior_c)
    seen, G, network, side = begin(prior, y, f, seed, callback, side)
    maps = noise_maps.draw(G, seen.stream(1))
    w = G.widen(G.w_mean.detach().expand(len(seen), -1), "W+").clone().requires_grad_(True)

    def objective(step: int) -> tuple[Losses, Tensor]:
        x = noise_maps.picture(G, w, maps)
        terms = {
            "w": prior_w * (w - G.w_mean).square().mean((1, 2)) / prior.w_std**2,
            "c": prior_c * cosines(w),
        }
        return summed(data_terms(x, seen, network, (pix, perc), side) | terms), x

    search = descend(objective, torch.optim.Adam([w], lr), steps, phase="W+", callback=callback)
    taken, interrupted = followed(search)
    with torch.no_grad():
        image = noise_maps.picture(G, w, maps)
    return seen.result(prior, image, [taken] * len(seen), (G, network), interrupted=interrupted)


BASELINE = Baseline(
    "brgm",
    brgm,
    paper="marinescu2020bayesian",
    space={
        "lr": Real(0.01, 0.3, log=True),
        "steps": Whole(100, 1000, log=True),
        "pix": Real(1e-5, 1e-1, log=True),
        "perc": Real(1e5, 1e8, log=True),
        "prior_w": Real(1.0, 1e4, log=True),
        "prior_c": Real(1e-3, 10.0, log=True),
        "side": Choice((None, 256)),
    },
)
