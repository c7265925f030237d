"""mGANprior: Image Processing Using Multi-Code GAN Prior.

Gu, Shen and Zhou, CVPR 2020, https://arxiv.org/abs/1912.07116. Several codes of a generator, each with its own picture,
are composed at an inner layer: channel c of code n counts as much as its importance alpha_nc says, and the layers that
follow make one picture of the sum:

    x = G2( 1/N sum_n alpha_n * G1(w_n) ),    4 MSE(f(x), y) + perc LPIPS(f(x), y)   (the MSE of images in [-1, 1])

Where we depart from the public code:

    generator      StyleGAN2, divided after the block of `split` px, for PGGAN: the codes are w_n in W, which enter the
                   convolutions as PGGAN's z does, and begin at M(z_n), truncated by 0.7. What follows the division has
                   a code of its own, W+ from the mean; the sum of pictures that StyleGAN2 carries along is averaged
    importance     begins at 1. There it begins at 1/N beside the average, and features are N times too small, which
                   PGGAN's normalisation of every pixel hides and StyleGAN2 has not
    degradation    any f, against y itself; there three of its own, applied to the clean picture in the loss
    perception     LPIPS of the prior's own network in place of the mean absolute difference of VGG16's relu3_3, whose
                   features have no unit length: its weight, `perc`, is ours. It is small, as there; weight and number
                   of steps are the same for every task, which there they are not
    optimiser      Adam, since a rate of 1 without momentum belongs to PGGAN; its rate is ours
    result         the last iterate, as there

What limits it: N codes and N importances a channel are more numbers than W+ has, and nothing keeps them near what a
draw would give, so that noise, blocks of JPEG and the edges of holes are matched, too.
"""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.baselines.descent import Losses, begin, descend, followed, mean_square, perceptual, summed
from rusr_core.baselines.mapped import mapping_of, truncated
from rusr_core.baselines.method import Baseline, Choice, Real, Whole
from rusr_core.baselines.settings import check_choice, check_counts, check_rates, check_weights
from rusr_core.degradations.operator import AnyOperator
from rusr_core.generator import Generator
from rusr_core.prior import Prior
from rusr_core.restore import Restoration, Step
from rusr_core.search.stopping import RestorationError


def fused(features: Tensor, importance: Tensor) -> Tensor:
    """Features [B, N, C, S, S] of N codes, weighted by the importance [B, N, C] of their channels -> [B, C, S, S]."""
    return (importance[..., None, None] * features).mean(1)


def composed(G: Generator, split: int, codes: Tensor, importance: Tensor, tail: Tensor) -> Tensor:
    """The picture of several codes, [B, 3, R, R], about [0, 1].

    Args:
        split: size in px of the last block that each code passes through alone.
        codes: [B, N, D] in W. importance: [B, N, C] of the C channels there. tail: W+ of the later blocks [B, T, D].
    """
    num = codes.shape[:2]
    alone = G.synthesis.section([codes.flatten(0, 1)] * G.num_ws, last=split)
    x, img = (None if part is None else part.unflatten(0, num) for part in alone)
    latents = [None] * (G.num_ws - tail.shape[1]) + list(tail.unbind(1))
    state = fused(x, importance), None if img is None else img.mean(1)
    img = G.synthesis.section(latents, state, first=2 * split)[1] * 0.5 + 0.5
    return img if img.shape[1] == 3 else img.repeat(1, 3, 1, 1)


def mganprior(
    prior: Prior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    steps: int = 2000,
    lr: float = 0.05,
    codes: int = 20,
    split: int = 16,
    perc: float = 0.01,
    psi: float = 0.7,
    side: int | None = None,
) -> Restoration:
    """Search the codes, their importance and the later layers' W+ -> the last image, [N, 3, R, R].

    Args:
        steps, lr: of Adam, at a constant rate.
        codes: how many of them.
        split: size in px of the block after which they are composed, 16 as for upsampling there.
        perc: weight of LPIPS, beside the mean square of images in [-1, 1].
        psi: how far from the mean the codes begin, 1: where they are drawn.
        side: px at which pictures are compared by LPIPS, see `descent.side_of`.

    Raises BaselineError for a setting that cannot be, RestorationError for a generator that cannot be divided, or that
    wants a class, and where a loss is no number any more, and what `descent.begin` raises.
    """
    check_counts(steps=steps, codes=codes)
    check_rates(lr=lr)
    check_weights(perc=perc, psi=psi)
    seen, G, network, side = begin(prior, y, f, seed, callback, side)
    check_split(G, split)
    z = torch.cat([randomness.normal((codes, mapping_of(G).z_dim), one, G.w_mean) for one in seen.stream(4)])
    each = truncated(G, z, psi)[:, 0].unflatten(0, (len(seen), codes))
    importance = torch.ones(len(seen), codes, G.config.channels[G.synthesis.names.index(f"b{split}")]).to(each)
    rest = G.num_ws - G.synthesis.vectors(2 * split).start
    tail = G.w_mean.expand(len(seen), rest, -1)
    leaves = [leaf.detach().clone().requires_grad_(True) for leaf in (each, importance, tail)]

    def losses(x: Tensor) -> Losses:
        made = seen.degraded(x)
        return total_of(made, seen.y, perceptual(network, made, seen.y, side), perc)

    picture = partial(composed, G, split)
    taken, interrupted = followed(search(picture, leaves, losses, torch.optim.Adam(leaves, lr), steps, callback))
    with torch.no_grad():
        image = picture(*leaves)
    return seen.result(prior, image, [taken] * len(seen), (G, network), interrupted=interrupted)


def check_split(G: Generator, split: int) -> None:
    """RestorationError unless G is a StyleGAN2 that can be divided, BaselineError unless it can be after `split` px."""
    if not hasattr(G, "synthesis") or not hasattr(G.synthesis, "section"):
        raise RestorationError(f"{type(G).__name__} cannot be divided: expected a StyleGAN2 generator")
    check_choice("split", split, tuple(int(name[1:]) for name in G.synthesis.names[:-1]))


def total_of(made: Tensor, y: Tensor, perception: Tensor, perc: float) -> Losses:
    """The published sum, of degraded images and y [N, 3, h, w] in [0, 1] and a perceptual distance [N]."""
    return summed({"pix": 4 * mean_square(made, y), "perc": perc * perception})


def search(
    picture: Callable[..., Tensor],
    leaves: list[Tensor],
    losses: Callable[[Tensor], Losses],
    optimizer: torch.optim.Optimizer,
    steps: int,
    callback: Callable[[Step], None] | None = None,
) -> Iterator[tuple[int, Losses, Tensor]]:
    """The loop: the leaves, of which `picture` makes an image, are searched, in place -> steps, losses and images."""

    def objective(step: int) -> tuple[Losses, Tensor]:
        x = picture(*leaves)
        return losses(x), x

    return descend(objective, optimizer, steps, phase="codes", callback=callback)


BASELINE = Baseline(
    "mganprior",
    mganprior,
    paper="gu2020image",
    space={
        "lr": Real(0.005, 0.3, log=True),
        "steps": Whole(200, 3000, log=True),
        "codes": Whole(1, 40, log=True),
        "split": Choice((8, 16, 32)),
        "perc": Real(1e-3, 10.0, log=True),
        "psi": Real(0.3, 1.0),
    },
)
