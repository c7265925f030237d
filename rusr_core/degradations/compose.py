"""Degradations one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.checks import sides_of_batch, size_of, true_input
from rusr_core.degradations.operator import as_operator, mask_of
from rusr_core.images import quantize


@dataclass(frozen=True, init=False)
class Compose(Degradation):
    """Degradations one after another: `Compose(f1, f2)(x)` is `f2(f1(x))`. Without any, identity.

    `degrade` rounds to 8 bit after every stage, as if each were stored as a file. A stage may be anything that
    `operator.as_operator` takes. The mask of the composition is the product of its stages' masks, each moved to where
    it lies in the output.
    """

    stages: tuple[Degradation, ...] = ()
    name: ClassVar[str] = "compose"

    def __init__(self, *stages: object) -> None:
        joined: list[Degradation] = []
        for stage in (s for given in stages for s in as_operator(given).stages):
            both = joined[-1].followed(stage) if joined else None
            joined[-1 if both else len(joined) :] = [both or stage]
        object.__setattr__(self, "stages", tuple(joined))

    @property
    def random(self) -> bool:
        return any(stage.random for stage in self.stages)

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        x = true_input(x) if self.stages else quantize(true_input(x))
        for stage in self.stages:
            x = quantize(stage.degrade(x, generator).clamp(0, 1))  # a file holds no more, whatever a stage makes
        return x

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        size_of(x)
        for stage in self.stages:
            x = stage.forward(x, generator)
        return x

    def expected(self, x: Tensor) -> Tensor:
        size_of(x)
        for stage in self.stages:
            x = stage.expected(x)
        return x

    def mask(self, shape: Sequence[int]) -> Tensor | None:
        num, height, width = sides_of_batch(shape)
        return mask_of(self, torch.empty(num, 3, height, width))

    def for_image(self, i: int) -> "Compose":
        return Compose(*(stage.for_image(i) for stage in self.stages))

    def __str__(self) -> str:
        return " | ".join(str(stage) for stage in self.stages) or "identity"
