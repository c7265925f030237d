"""What the terms of a loss see: the guess of a step, its holes, its pyramid, and networks that look at it once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.limits import MAX_SIDE, check_whole

LEVELS, SMALLEST = 6, 16  # the published pyramid; a side of 16 px or less is not given to a network


class LossError(RusrError):
    """Images that cannot be compared, or terms that cannot be summed."""


@dataclass(frozen=True, eq=False)
class Guess:
    """What a term sees in one step, of the n images that are still searched."""

    degraded: Tensor  # f(G(w)), [n, 3, h, w]
    image: Tensor | None = None  # G(w), the guess before its degradation, [n, 3, R, R], about [0, 1]
    latents: Tensor | None = None  # w, [n, D], [n, L, D] or [n, 1, R, D]
    again: Tensor | None = None  # another draw of f(G(w)), where f is random and the preset draws twice
    index: Tensor | None = None  # [n], which images of y they are, for terms that hold something of each
    generator: torch.Generator | None = None  # for terms that draw: the same numbers for every image

    @classmethod
    def of(cls, guess: "Guess | Tensor") -> "Guess":
        """A guess as it is, or of the degraded images alone."""
        return guess if isinstance(guess, Guess) else cls(guess)

    @property
    def draws(self) -> list[Tensor]:
        """The one or two draws of f(G(w))."""
        return [self.degraded] if self.again is None else [self.degraded, self.again]

    def behind(self, mask: Tensor | None) -> "Guess":
        """The guess with its holes black, as those of y are."""
        if mask is None:
            return self
        again = None if self.again is None else visible(self.again, mask)
        return replace(self, degraded=visible(self.degraded, mask), again=again)

    def pyramids(self, poolings: int) -> list[list[Tensor]]:
        """Each draw and its average-poolings by 2, finest first; the terms of a sum share them."""
        for levels in self._pyramids:
            while len(levels) <= poolings:
                levels.append(F.avg_pool2d(levels[-1], 2))
        return [levels[: poolings + 1] for levels in self._pyramids]

    @cached_property
    def _pyramids(self) -> list[list[Tensor]]:
        return [[draw] for draw in self.draws]


class OnPyramid:
    """A term that sees `levels` of a pyramid, or one, on sides above `smallest` px. LossError for other numbers."""

    def __post_init__(self) -> None:
        check_whole("levels", getattr(self, "levels", 1), 1, MAX_SIDE, LossError)
        check_whole("smallest", self.smallest, 1, MAX_SIDE, LossError)


def visible(x: Tensor, mask: Tensor | None) -> Tensor:
    """Images [N, 3, h, w] where the mask [N or 1, 1, h, w] shows anything, black elsewhere, whatever stood there."""
    return x if mask is None else torch.where(mask > 0, x, 0.0)


def fitted(mask: Tensor | None, y: Tensor) -> Tensor | None:
    """The mask [N or 1, 1, H, W] beside y [N, 3, h, w]: of its size, type and device. LossError if it fits no y."""
    if mask is None:
        return None
    if mask.ndim != 4 or mask.shape[1] != 1 or mask.shape[0] not in (1, y.shape[0]):
        raise LossError(f"mask {tuple(mask.shape)}: expected [{y.shape[0]} or 1, 1, H, W]")
    if mask.shape[2:] != y.shape[2:]:
        mask = F.interpolate(mask, size=y.shape[2:], mode="area")
    return mask.to(y)


def depth(size: Sequence[int], levels: int = LEVELS, smallest: int = SMALLEST) -> int:
    """How many levels of the pyramid of an image of this size [h, w] have a shorter side above `smallest`; may be 0."""
    side, found = min(size), 0
    while found < levels and side > smallest:
        found, side = found + 1, side // 2
    return found


def pool(x: Tensor, poolings: int) -> list[Tensor]:
    """x [N, 3, H, W] and its average-poolings by 2, finest first."""
    return Guess(x).pyramids(poolings)[0]


class LookOnce:
    """A network that is asked for features and for the embedding of the same image of `size`, and looks once.

    `features` of an image of that size keeps the embedding that came with them, until `embed` asks for it.
    """

    def __init__(self, network: object, size: Sequence[int]):
        self.network, self.size = network, tuple(size)
        self.kept: list[tuple[Tensor, Tensor]] = []  # images and their embeddings; two draws at most

    def features(self, x: Tensor) -> list[Tensor]:
        """The network's features(x)."""
        if tuple(x.shape[2:]) != self.size:
            return self.network.features(x)
        features, embedding = self.network.features_and_embedding(x)
        self.kept = [*self.kept[-1:], (x, embedding)]
        return features

    def embed(self, x: Tensor) -> Tensor:
        """The network's embed(x)."""
        for entry in self.kept:
            if entry[0] is x:
                self.kept.remove(entry)
                return entry[1]
        return self.network.embed(x)


def select(value: object, index: Tensor, num: int) -> object:
    """Rows of the tensors in a target, of those that hold something of each of its `num` images."""
    if isinstance(value, Tensor):
        return value[index] if value.ndim and len(value) == num and num > 1 else value
    if isinstance(value, dict):
        return {key: select(item, index, num) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [select(item, index, num) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
