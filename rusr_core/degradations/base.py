"""What a degradation is: a differentiable surrogate, and what else it can do."""

from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from rusr_core.degradations.checks import DegradationError


class Operator(Protocol):
    """The forward operator f of a restoration, y = f(x).

    A user's own needs `forward` only, and `operator.as_operator` gives it the rest. All of these are optional:

        degrade(x, generator=None)   the true operation; without it, `forward` rounded to 8 bit
        mask                         what f shows of the images, as a method `mask(shape)` or as a tensor, at f's
                                     output size: [h, w] or [N or 1, 1, h, w] in [0, 1], 1 = visible
        transform_mask(mask)         where a mask of the images before f lies after f; without it, the mask is
                                     averaged to f's output size
        random                       whether `forward` draws random numbers; without it, that is tried out
        for_image(i)                 the operator of image i of a batch, if it differs from image to image
        expected(x)                  the surrogate of a random f with its noise at its mean, for methods that ask for it
    """

    random: bool

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The differentiable surrogate of f: x [N, 3, H, W] about [0, 1] -> [N, 3, h, w]."""

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The true f: x [N, 3, H, W] in [0, 1] -> [N, 3, h, w], 8-bit values, without gradient."""


class Degradation:
    """What the library's own degradations share. `f(x)` is `f.forward(x)`.

    A degradation is a pure function: it holds no state, so the `f` that made `y` is the `f` that restores it. What the
    restorer knows (the mask) is fixed by its fields, as `Strokes.seed`; what nobody knows (noise, the resampling
    filter) is drawn from `generator`, and a degradation that draws raises `RandomnessError` without one.
    """

    name: ClassVar[str]
    random: ClassVar[bool]
    free_numbers: ClassVar[tuple[str, ...]] = ()  # fields for which `forward` has a gradient, see `free.free`

    def degrade(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The true operation on `x` `[N, 3, H, W]` in [0, 1]: 8-bit values, no gradient."""
        raise NotImplementedError(f"{type(self).__name__} does not define degrade(x, generator)")

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The differentiable surrogate; `x` `[N, 3, H, W]` about [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(x, generator)")

    def expected(self, x: Tensor) -> Tensor:
        """The surrogate with its noise at its mean: `forward` itself, where nothing is drawn."""
        if self.random:
            raise DegradationError(f"{self} draws random numbers and says no mean: expected a method expected(x)")
        return self.forward(x)

    def __call__(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        return self.forward(x, generator)

    def mask(self, shape: Sequence[int]) -> Tensor | None:
        """What is visible of images of `shape` `[N, 3, H, W]`, at the output size; None if everything is."""
        return None

    def for_image(self, i: int) -> "Degradation":
        """The degradation of image `i` of a batch: itself, if it treats all images alike."""
        return self

    @property
    def stages(self) -> "tuple[Degradation, ...]":
        """The degradations that it applies one after another: itself, if it is no composition."""
        return (self,)

    def freed(self) -> "Degradation":
        """The degradation of the same numbers whose `forward` has a gradient for them and any values between: itself,
        where none of them has to be whole."""
        return self

    def followed(self, after: "Degradation") -> "Degradation | None":
        """One degradation for itself and the one `after` it, where they cannot be told apart; None for two stages."""
        return None

    def __str__(self) -> str:
        """The notation that `notation.parse` reads, if there is one: of one's own class, its name and fields."""
        name = getattr(self, "name", type(self).__name__)
        if not is_dataclass(self):
            return name
        arguments = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.default is MISSING and item.default_factory is MISSING:
                arguments.append(text(value))
            elif item.repr and (item.metadata.get("always_named") or not _same(value, item.default)):
                arguments.append(f"{item.name}={text(value)}")
        return f"{name}:{','.join(arguments)}"


def text(value: object) -> str:
    """An argument in the notation of `notation.parse`."""
    if isinstance(value, Tensor):
        return f"<{'x'.join(str(n) for n in value.shape)} tensor>"
    if isinstance(value, tuple):
        return "+".join(str(v) for v in value) + ("+" if len(value) == 1 else "")
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    words = str(value)
    if isinstance(value, str | Path) and (set(words) & set(',|="\\') or words != words.strip() or not words):
        return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return words


def _same(value: object, other: object) -> bool:
    """Equality of any two fields; tensors are never a default."""
    return not isinstance(value, Tensor) and bool(value == other)
