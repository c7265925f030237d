"""L-BRGM: StyleGAN-induced data-driven regularization for inverse problems.

Conmy, Mukherjee and Schoenlieb, ICASSP 2022, https://arxiv.org/abs/2110.03814. BRGM with two variables, a z in front of
the mapping network M and a w in W+ behind it, which are drawn together in place of a prior on w:

    13 MSE(f(x), y) + 2.5 LPIPS(f(x), y) + 30 MSE(M(z), w) + 0.4 mean(z^2)

The search begins at the best of 100 random z. Where we depart from the public code:

    degradation, perception, angles    as in `brgm`
    optimiser      Adam's own betas (0.9, 0.999), with which the code runs; the (0.96, 0.9999) that it states are not
                   handed to Adam
    numbers        z in single precision; there it is double, since NumPy draws it, and cast in front of M
    noise          the generator's stored maps, as there
    random z       drawn from the seed, the same for each image; there NumPy draws them without one
    result         the last iterate, as there for an input without its clean picture; where that is given, the code
                   keeps the image nearest to it, which is an oracle
"""

from collections.abc import Callable

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.baselines.brgm import FEATURES, data_terms
from rusr_core.baselines.descent import Losses, begin, descend, followed, perceptual, summed
from rusr_core.baselines.mapped import mapped, mapping_of
from rusr_core.baselines.method import Baseline, Choice, Real, Whole
from rusr_core.baselines.observation import Observation
from rusr_core.baselines.settings import check_counts, check_rates, check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.generator import Generator
from rusr_core.networks.perceptual import Perceptual
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step


def lbrgm(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 2000,
    lr: float = 0.1,
    pix: float = 2e-4,
    perc: float = 2e7,
    together: float = 30.0,
    norm: float = 0.4,
    starts: int = 100,
    side: int | None = None,
) -> Restoration:
    """Search z and W+ -> the last image, [N, 3, R, R].

    Args:
        steps, lr: of Adam, at a constant rate.
        pix, perc: weights of the pixels (of 8-bit values) and of perception (of the mean over 8 million features).
        together, norm: weights of the distance between M(z) and w, and of z.
        starts: random z, of which the best one is taken.
        side: px at which pictures are compared, see `brgm`.

    Raises BaselineError for a setting that cannot be, RestorationError for a generator without a mapping network, or
    with one that wants a class, and where a loss is no number any more, and what `begin` raises.
    """
    check_counts(steps=steps, starts=starts)
    check_rates(lr=lr)
    check_weights(pix=pix, perc=perc, together=together, norm=norm)
    seen, G, network, side = begin(prior, y, f, seed, callback, side)

    def perception(x: Tensor) -> Tensor:
        return perc / FEATURES * perceptual(network, seen.degraded(x), seen.y, side)

    size = (starts, mapping_of(G).z_dim)
    draws = torch.stack([randomness.normal(size, one, G.w_mean) for one in seen.stream(2)])
    z = best_start(G, draws, perception).requires_grad_(True)
    w = mapped(G, z).detach().clone().requires_grad_(True)

    def objective(step: int) -> tuple[Losses, Tensor]:
        return losses(G, z, w, seen, network, (pix, perc, together, norm), side)

    search = descend(objective, torch.optim.Adam([w, z], lr), steps, phase="Z, W+", callback=callback)
    taken, interrupted = followed(search)
    with torch.no_grad():
        image = G.image(w)
    return seen.result(prior, image, [taken] * len(seen), (G, network), interrupted=interrupted)


@torch.no_grad()
def best_start(G: Generator, candidates: Tensor, perception: Callable[[Tensor], Tensor]) -> Tensor:
    """Of each image's candidates [N, S, z_dim] the z [N, z_dim] whose picture has the smallest `perception` [N].

    Raises what `mapping_of` does.
    """
    values = torch.stack([perception(G.image(mapped(G, z))) for z in candidates.unbind(1)], 1)
    return candidates[torch.arange(len(candidates)), values.argmin(1).to(candidates.device)].clone()


def losses(
    G: Generator,
    z: Tensor,
    w: Tensor,
    seen: Observation,
    network: Perceptual,
    weights: tuple[float, float, float, float],
    side: int,
) -> tuple[Losses, Tensor]:
    """The four terms [N] at z [N, z_dim] and w [N, L, D], and the images [N, 3, R, R]. Raises what `mapped` does."""
    pix, perc, together, norm = weights
    x = G.image(w)
    terms = {"together": together * (mapped(G, z) - w).square().mean((1, 2)), "norm": norm * z.square().mean(1)}
    return summed(data_terms(x, seen, network, (pix, perc), side) | terms), x


BASELINE = Baseline(
    "lbrgm",
    lbrgm,
    paper="conmy2022stylegan",
    space={
        "lr": Real(0.01, 0.3, log=True),
        "steps": Whole(200, 3000, log=True),
        "pix": Real(1e-6, 1e-2, log=True),
        "perc": Real(1e5, 2e8, log=True),
        "together": Real(0.3, 3000.0, log=True),
        "norm": Real(1e-3, 40.0, log=True),
        "side": Choice((None, 256)),
    },
)
