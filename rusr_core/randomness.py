"""Random numbers that one seed fixes on every device: drawn on the CPU, image by image, then moved.

Wherever the library takes `generator` for a batch of N images it may be
- a list of N `torch.Generator`, one per image: each image gets what it would get alone;
- one `torch.Generator`, from which the images draw in turn: independent of each other, but what an image gets
  depends on those before it;
- None: a fresh generator of seed 2024 for each image, so that the result is repeatable and every image gets
  the
  same draw, as in the published protocol (whose noise has the seed 2024).
What draws more than once resolves it first, `generator = per_image(generator, len(x))`, so that its draws
continue one stream. The global generator is never touched.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from rusr_core.errors import RusrError

Generators = torch.Generator | Sequence[torch.Generator] | None

DEFAULT_SEED = 2024


class RandomnessError(RusrError):
    """A generator that cannot serve the batch."""


def generators(seed: int, num: int, start: int = 0) -> list[torch.Generator]:
    """Independent generators for the images `start` ... `start + num - 1` of a data set, a function of (seed,
    index)."""
    words = [np.random.SeedSequence([seed, start + i]).generate_state(1)[0] for i in range(num)]
    return [torch.Generator().manual_seed(int(word)) for word in words]


def per_image(generator: Generators, num: int) -> list[torch.Generator]:
    """The generator of each of `num` images, see above. Raises `RandomnessError`."""
    if generator is None:
        return [torch.Generator().manual_seed(DEFAULT_SEED) for _ in range(num)]
    sources = [generator] * num if isinstance(generator, torch.Generator) else list(generator)
    if len(sources) != num:
        raise RandomnessError(f"got {len(sources)} generators for {num} images; expected one, or one per image")
    for source in sources:
        if not isinstance(source, torch.Generator) or source.device.type != "cpu":
            raise RandomnessError(f"expected torch.Generator on the CPU, got {source!r}")
    return sources


def normal(shape: Sequence[int], generator: Generators, like: Tensor) -> Tensor:
    """N(0, 1) numbers of `shape` (images first), drawn in float32, with the dtype and device of `like`."""
    sources = per_image(generator, shape[0])
    return torch.stack([torch.randn(shape[1:], generator=source) for source in sources]).to(like)


def uniform(shape: Sequence[int], generator: Generators, like: Tensor) -> Tensor:
    """U[0, 1) numbers of `shape` (images first), drawn in float32, with the dtype and device of `like`."""
    sources = per_image(generator, shape[0])
    return torch.stack([torch.rand(shape[1:], generator=source) for source in sources]).to(like)


def poisson(rate: Tensor, generator: Generators) -> Tensor:
    """Poisson counts with the given rates `[N, ...]`, same shape, dtype and device."""
    sources = per_image(generator, len(rate))
    rates = rate.detach().float().cpu()
    counts = [torch.poisson(r, generator=source) for r, source in zip(rates, sources, strict=True)]
    return torch.stack(counts).to(rate)
