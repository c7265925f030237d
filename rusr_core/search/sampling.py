"""Several answers to one y: where their searches start, and what varies over the images of a prior."""

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.base import Degradation
from rusr_core.latents import sample_w
from rusr_core.limits import MAX_SAMPLES, check_whole
from rusr_core.prior import Prior
from rusr_core.search.stopping import RestorationError

# How far from the mean the other searches start, as a share of the way to a random w. On one portrait (inpainting L,
# default@30, 3 answers) the misfits were 0.015 from the mean and 0.019 and 0.026 from starts of 0.4, 0.021 and 0.032 of
# 0.7, 0.036 and 0.082 of 1: what starts further away explains y less, and what starts nearer varies less.
PSI = 0.7
DRAWN = 64  # images of the prior whose spread is that of a y which decides nothing
SEED = 20230207  # of those images: one map for all results


def check_samples(samples: object, prior: Prior) -> None:
    """RestorationError if `samples` is no number of answers, or the prior's generator cannot be sampled."""
    check_whole("samples", samples, 1, MAX_SAMPLES, RestorationError)
    if samples > 1 and not hasattr(prior.generator, "mapping"):
        kind = type(prior.generator).__name__
        raise RestorationError(
            f"{samples} answers need random latents: expected a generator with a mapping, got {kind}"
        )


def several_starts(prior: Prior, latents: Tensor, samples: int, seed: int) -> Tensor:
    """Where `samples` searches of each image begin: of `latents`, the mean [N samples, D], the first stays, and the
    others move to random w, the same for all images."""
    draws = [torch.Generator().manual_seed(word) for word in randomness.seeds(seed, samples - 1, 1)]
    others = torch.cat([sample_w(prior.generator, 1, PSI, generator=draw) for draw in draws])
    starts = latents.unflatten(0, (-1, samples)).clone()
    starts[:, 1:] = others
    return starts.flatten(0, 1)


@torch.no_grad()
def prior_spread(prior: Prior) -> Tensor:
    """The standard deviation of the prior's own images at each pixel, [1, 1, R, R]: the root mean square of those of
    the three channels, over `DRAWN` images."""
    draw = torch.Generator().manual_seed(SEED)
    ws = sample_w(prior.generator, DRAWN, generator=draw)
    images = torch.cat([prior.generator.image(w).clamp(0, 1) for w in ws.split(1)])
    return images.var(0).mean(0).sqrt()[None, None]


class Repeated(Degradation):
    """`f`, made for N images, for a batch that holds each of them `samples` times in turn."""

    name = "repeated"

    def __init__(self, f: Degradation, num: int, samples: int):
        self.f, self.samples = f, samples
        self.alike = all(f.for_image(i) == f for i in range(num))

    @property
    def random(self) -> bool:
        return any(stage.random for stage in self.f.stages)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        if self.alike:
            return self.f.forward(x, generator)
        return torch.cat([self.for_image(i).forward(image, generator) for i, image in enumerate(x.split(1))])

    def for_image(self, i: int) -> Degradation:
        return self.f.for_image(i // self.samples)
