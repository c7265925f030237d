"""The noise maps of a StyleGAN2 generator as numbers that can be replaced, searched and kept in bounds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core import randomness
from rusr_core.generator.layers import SynthesisLayer
from rusr_core.search.stopping import RestorationError


def layers(generator: torch.nn.Module) -> list[SynthesisLayer]:
    """The layers that add noise, coarse to fine: 4, 8, 8, 16, 16, ... px. RestorationError for another generator."""
    if not hasattr(generator, "synthesis"):
        raise RestorationError(f"{type(generator).__name__} has no noise maps: expected a StyleGAN2 generator")
    return [m for m in generator.synthesis.modules() if isinstance(m, SynthesisLayer) and m.use_noise]


def draw(generator: torch.nn.Module, draws: Sequence[torch.Generator]) -> list[Tensor]:
    """Standard normal maps [N, 1, S, S] for each layer, each image's from its own generator."""
    found = []
    for layer in layers(generator):
        shape = (1, 1, layer.resolution, layer.resolution)
        found.append(torch.cat([randomness.normal(shape, one, layer.noise_const) for one in draws]))
    return found


@contextmanager
def replaced(generator: torch.nn.Module, maps: Sequence[Tensor]) -> Iterator[None]:
    """Inside, the generator adds these maps, [N, 1, S, S] or [S, S], in place of its own; gradients flow to them."""
    found = layers(generator)
    before = [layer.noise_const for layer in found]
    try:
        for layer, value in zip(found, maps, strict=True):
            del layer._buffers["noise_const"]
            layer.noise_const = value
        yield
    finally:
        for layer, value in zip(found, before, strict=True):
            if "noise_const" in layer.__dict__:
                del layer.__dict__["noise_const"]
            layer.register_buffer("noise_const", value)


def picture(generator: torch.nn.Module, ws: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """G(w) with these noise maps, [N, 3, R, R], about [0, 1]."""
    with replaced(generator, maps):
        return generator.image(ws)


def correlation(maps: Sequence[Tensor]) -> Tensor:
    """How far the maps [N, 1, S, S] are from white noise: the squared correlation of neighbours, summed over the maps
    and their halvings down to 8 px (Karras et al., CVPR 2020, appendix D), [N]."""
    total = torch.zeros(len(maps[0])).to(maps[0])
    for value in maps:
        while True:
            for axis in (2, 3):
                total = total + (value * value.roll(1, axis)).mean((1, 2, 3)).square()
            if value.shape[2] <= 8:
                break
            value = F.avg_pool2d(value, 2)
    return total


def standardise(maps: Sequence[Tensor]) -> None:
    """Bring each map [N, 1, S, S] to mean 0 and mean square 1, in place."""
    for value in maps:
        value -= value.mean((1, 2, 3), keepdim=True)
        value *= value.square().mean((1, 2, 3), keepdim=True).rsqrt()
