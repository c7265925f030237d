"""Degradations one after another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.operator import (
    Degradation,
    DegradationError,
    TwoMethods,
    carry_mask,
    mask_of,
    shape_after,
    size_of,
    true_input,
)
from rusr_core.images import quantize
from rusr_core.randomness import Generators


@dataclass(frozen=True, init=False)
class Compose(Degradation):
    """Degradations one after another: `Compose(f1, f2)(x)` is `f2(f1(x))`. Without any, identity.

    `degrade` rounds to 8 bit after every stage, as if each were stored as a file. A stage may be any object
    with `degrade` and `forward`. The mask of the composition is that of all its stages, carried to the output
    size.
    """

    stages: tuple[TwoMethods, ...]
    name: ClassVar[str] = "compose"

    def __init__(self, *stages: TwoMethods) -> None:
        for stage in stages:
            for method in ("degrade", "forward"):
                if not callable(getattr(stage, method, None)):
                    raise DegradationError(f"a degradation needs a method {method}(x, generator); {stage!r} has none")
        inner = (stage.stages if isinstance(stage, Compose) else (stage,) for stage in stages)
        object.__setattr__(self, "stages", tuple(stage for group in inner for stage in group))

    def degrade(self, x: Tensor, generator: Generators = None) -> Tensor:
        x = true_input(x) if self.stages else quantize(true_input(x))
        generator = randomness.per_image(generator, len(x))
        for stage in self.stages:
            x = quantize(stage.degrade(x, generator))
        return x

    def forward(self, x: Tensor, generator: Generators = None) -> Tensor:
        size_of(x)
        generator = randomness.per_image(generator, len(x))
        for stage in self.stages:
            x = stage.forward(x, generator)
        return x

    def mask(self, shape: Sequence[int]) -> Tensor | None:
        mask = None
        for stage in self.stages:
            after, own = shape_after(stage, shape), mask_of(stage, shape)
            carried = None if mask is None else carry_mask(stage, mask, after)
            mask = own if carried is None else carried if own is None else carried * own
            shape = after
        return mask

    def __str__(self) -> str:
        return " | ".join(str(stage) for stage in self.stages) or "identity"
