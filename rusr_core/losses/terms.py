"""What the search minimises: how far the degraded guess f(G(w)) is from the observed image y.

    L_total = L_LPIPS + 0.1 L_1 + lambda_ID L_ID          (the report; CVPR 2023 without L_ID)

A loss is a sum of terms, `RestorationLoss`. A term is a function of a `Guess` that returns a value for each image, [n],
and never mixes images; one's own is added to a preset's loss by

    loss = preset.loss(prior) + Term("close", 0.01, lambda guess: (guess.latents - w).square().mean(-1))

What a term needs of y alone is computed once, by its method `target`, if it has one. Chapter: book/losses.ipynb.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self, TypeVar

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.limits import is_number, shown
from rusr_core.losses.guess import (
    LEVELS,
    SMALLEST,
    Guess,
    LookOnce,
    LossError,
    OnPyramid,
    depth,
    fitted,
    pool,
    select,
    visible,
)
from rusr_core.networks.perceptual import Perceptual, distance
from rusr_core.networks.recognition import Embedder

Compared = TypeVar("Compared")  # an image, its features or its embedding


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of each image, [N]."""
    return (x - y).abs().mean((1, 2, 3))


def energy_score(
    distance: Callable[[Compared, Compared], Tensor], y: Compared, x: Compared, again: Compared | None = None
) -> Tensor:
    """distance(x, y), or with a second, independent draw x' of x the energy score, [N]:

        (distance(x, y) + distance(x', y) - distance(x, x')) / 2

    Its expectation is E d(X, Y) - E d(X, X') / 2, a proper score: it is smallest where X has the distribution of Y, for
    absolute differences (L1) and for squared ones (LPIPS, identity), which see only means, so that others may tie. The
    expected distance alone, E d(X, Y), need not be smallest there: a calmer X may come nearer to a noisy Y. Poisson and
    Bernoulli noise disturb a dark image least, so a search that minimises the distance darkens it. A value may be
    negative. Gneiting & Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 2007,
    https://doi.org/10.1198/016214506000001437.
    """
    if again is None:
        return distance(x, y)
    return (distance(x, y) + distance(again, y) - distance(x, again)) / 2


class PyramidTarget(NamedTuple):
    """What multi-scale LPIPS keeps of y, a list of one entry for each level that it sees."""

    features: list[list[Tensor]]  # of y; empty where there are holes, which get fresh noise
    images: list[Tensor]  # y and its poolings, [N, 3, S, S]; empty without holes
    masks: list[Tensor]  # 1 = visible, [N or 1, 1, S, S]; empty without holes


@dataclass(frozen=True)
class MultiscaleLPIPS(OnPyramid):
    """LPIPS summed over a pyramid (CVPR 2023): compare, average-pool by 2, and so on, while the shorter
    side exceeds `smallest`, `levels` times at most. One level is plain LPIPS and pools nothing.

    With a mask, LPIPS sees noise (e + 0.5) / 2, e ~ N(0, 1), inside the holes of both images, so that a black hole is
    not itself a feature to match; the noise is drawn anew at each call, as published.
    """

    CITES: ClassVar[tuple[str, ...]] = ("zhang2018unreasonable", "poirierginter2023robust")

    network: Perceptual
    levels: int = LEVELS
    smallest: int = SMALLEST

    def depth(self, size: Sequence[int]) -> int:
        """How many levels LPIPS sees of an image of this size [h, w]; may be 0."""
        return depth(size, self.levels, self.smallest)

    def sees(self, size: Sequence[int]) -> bool:
        """Whether LPIPS sees anything of images y of this size [h, w]."""
        return self.depth(size) > 0

    def poolings(self, size: Sequence[int]) -> int:
        """How often an image of this size is pooled: once more than LPIPS compares, unless there is one level."""
        return self.depth(size) if self.levels > 1 else 0

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """x and its poolings, one more than LPIPS sees (the last is for L1); x alone if there is one level."""
        return pool(x, self.poolings(x.shape[2:]))

    def target(self, y: Tensor, mask: Tensor | None = None, clean: Tensor | None = None) -> PyramidTarget:
        """y [N, 3, h, w] in about [0, 1], mask [N or 1, 1, h, w] or None. What stands in the holes does not matter."""
        mask, seen = fitted(mask, y), self.depth(y.shape[2:])
        images = self.pyramid(visible(y, mask))[:seen] if seen else []
        if mask is None:
            return PyramidTarget([self.network.features(v) for v in images], [], [])
        return PyramidTarget([], images, self.pyramid(mask)[:seen] if seen else [])

    def __call__(self, guess: Guess | Tensor, target: PyramidTarget) -> Tensor:
        """The degraded guess, black in its holes -> [n]; of two draws an `energy_score`."""
        guess = Guess.of(guess)
        size = guess.degraded.shape[2:]
        pyramids = guess.pyramids(self.poolings(size))
        total = guess.degraded.new_zeros(len(guess.degraded))
        for level in range(self.depth(size)):
            images = [levels[level] for levels in pyramids]
            if target.masks:
                shape = (1, *images[0].shape[1:])  # one draw for the batch: an image gets what it would get alone
                noise = (randomness.normal(shape, guess.generator, images[0]) + 0.5) / 2
                hidden = noise * (1 - target.masks[level])
                images = [x + hidden for x in images]
                with torch.no_grad():
                    wanted = self.network.features(target.images[level] + hidden)
            else:
                wanted = target.features[level]
            total = total + energy_score(distance, wanted, *map(self.network.features, images))
        return total


@dataclass(frozen=True)
class L1(OnPyramid):
    """Mean absolute difference at the pooled size on which the LPIPS pyramid ends, as published (16 px for six levels
    of a power of two); at the full size where there is one level."""

    levels: int = LEVELS
    smallest: int = SMALLEST

    def target(self, y: Tensor, mask: Tensor | None = None, clean: Tensor | None = None) -> Tensor:
        """y [N, 3, h, w] and its mask -> y at the last level, [N, 3, S, S]."""
        return pool(visible(y, fitted(mask, y)), self._poolings(y))[-1]

    def __call__(self, guess: Guess | Tensor, target: Tensor) -> Tensor:
        """The degraded guess -> [n]."""
        guess = Guess.of(guess)
        return energy_score(l1, target, *(levels[-1] for levels in guess.pyramids(self._poolings(guess.degraded))))

    def _poolings(self, x: Tensor) -> int:
        return depth(x.shape[2:], self.levels, self.smallest) if self.levels > 1 else 0


@dataclass(frozen=True)
class IdentityLoss(OnPyramid):
    """1 - cos(E(x), E(reference)), [n], with a face-recognition network E (Deng et al., "ArcFace", CVPR 2019).

    Blind, it compares the degraded guess with y. As an ORACLE it compares the guess before its degradation with the
    clean image. It sees nothing of a y of `smallest` px or less: a face of 4 x 4 pixels has no identity, and the term
    would only bend the colours.
    """

    network: Embedder
    oracle: bool = False
    smallest: int = SMALLEST

    def sees(self, size: Sequence[int]) -> bool:
        """Whether it sees anything of images y of this size [h, w]."""
        return self.oracle or min(size) > self.smallest

    def target(self, y: Tensor, mask: Tensor | None = None, clean: Tensor | None = None) -> Tensor:
        """Embedding [N, E] of the reference: of y [N, 3, h, w] with black holes, or of the clean image."""
        if not self.oracle:
            return self.network.embed(visible(y, fitted(mask, y)))
        if clean is None:
            raise LossError("identity with oracle=True compares with the clean image: clean= is needed")
        return self.network.embed(clean)

    def __call__(self, guess: Guess | Tensor, target: Tensor) -> Tensor:
        """-> [n]"""
        guess = Guess.of(guess)
        seen = map(self.network.embed, [guess.image] if self.oracle else guess.draws)
        return energy_score(lambda a, b: 1 - (a * b).sum(1), target, *seen)


@dataclass(frozen=True)
class Term:
    """One summand of a loss.

    `loss` is a function of a `Guess` -> [n]. If it has a method `target(y, mask, clean)`, what that returns (tensors
    whose first axis counts the images of y, in tuples and lists) is computed once, and is its second argument.
    """

    name: str
    weight: float
    loss: Callable[..., Tensor]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name in ("", "total"):
            raise LossError(f"a term is called {self.name!r}: expected a word, and not 'total'")
        if not is_number(self.weight) or self.weight < 0:
            raise LossError(f"term {self.name!r} has the weight {shown(self.weight)}: expected a number from 0")
        if not callable(self.loss):
            raise LossError(f"term {self.name!r} has the loss {self.loss!r}: expected a function of a Guess")

    def target(self, y: Tensor, mask: Tensor | None, clean: Tensor | None) -> object:
        """What its loss computes once; None if it does not."""
        return self.loss.target(y, mask, clean) if hasattr(self.loss, "target") else None

    def __call__(self, guess: Guess, target: object) -> Tensor:
        """The value of each image, [n], not weighted."""
        value = self.loss(guess, target) if hasattr(self.loss, "target") else self.loss(guess)
        if not isinstance(value, Tensor) or value.shape != guess.degraded.shape[:1]:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise LossError(f"term {self.name!r} returned {found}: expected [{len(guess.degraded)}], one an image")
        return value


class Target(NamedTuple):
    """What a sum of terms keeps of the observed images."""

    y: Tensor  # [N, 3, h, w], black in the holes
    mask: Tensor | None  # 1 = visible, [N or 1, 1, h, w]
    terms: tuple[object, ...]  # what each term keeps

    def select(self, index: Tensor) -> Self:
        """The target of some of the images, for a batch in which others have already stopped."""
        return select(self, index, len(self.y))


@dataclass(frozen=True)
class RestorationLoss:
    """A weighted sum of terms. A term of weight 0 is not computed.

    Holes are black in y and in the guess, whatever stands there. Where f is random, as noise is, a second, independent
    draw of f(x) makes each of our terms an `energy_score`.
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.terms, Sequence) or not all(isinstance(term, Term) for term in self.terms):
            raise LossError(f"the terms of a loss are {shown(self.terms)}: expected a tuple of Term")
        object.__setattr__(self, "terms", tuple(term for term in self.terms if term.weight > 0))
        names = [term.name for term in self.terms]
        if twice := [name for name in names if names.count(name) > 1]:
            raise LossError(f"two terms are called {twice[0]!r}: expected a name for each")

    def __add__(self, other: "Term | RestorationLoss") -> "RestorationLoss":
        """The sum with one more term, or with another sum."""
        if not isinstance(other, Term | RestorationLoss):
            return NotImplemented
        return RestorationLoss((*self.terms, *((other,) if isinstance(other, Term) else other.terms)))

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term."""
        return {term.name: term.weight for term in self.terms}

    def blind(self, size: Sequence[int]) -> list[str]:
        """The terms that see nothing of images y of this size [h, w], as their method `sees(size)` says."""
        return [term.name for term in self.terms if hasattr(term.loss, "sees") and not term.loss.sees(size)]

    def fit(self, size: Sequence[int], masked: bool = False) -> "RestorationLoss":
        """The loss for images y of this size [h, w]: without its blind terms, and with one look at y and at the guess
        where LPIPS and identity ask the same network (net A of the embedded prior).

        Behind a mask they see different images: LPIPS sees noise in the holes.
        """
        blind = self.blind(size)
        terms = [term for term in self.terms if term.name not in blind]
        networks = {type(term.loss): term.loss.network for term in terms if _shares(term.loss)}
        if not masked and len(networks) == 2 and len(set(map(id, networks.values()))) == 1:
            network = next(iter(networks.values()))
            if hasattr(network, "features_and_embedding"):
                once = LookOnce(network, size)
                terms = [replace(t, loss=replace(t.loss, network=once)) if _shares(t.loss) else t for t in terms]
        return RestorationLoss(tuple(terms))

    def target(self, y: Tensor, mask: Tensor | None = None, clean: Tensor | None = None) -> Target:
        """Everything that is computed once. y [N, 3, h, w] in about [0, 1], mask [N or 1, 1, h, w] or None;
        `clean` [N, 3, R, R] is what an ORACLE's identity compares with."""
        mask = fitted(mask, y)
        y = visible(y, mask)
        with torch.no_grad():
            return Target(y, mask, tuple(term.target(y, mask, clean) for term in self.terms))

    def __call__(self, guess: Guess | Tensor, target: Target) -> dict[str, Tensor]:
        """The value of each term and their weighted sum "total", [n] each."""
        guess = Guess.of(guess)
        for draw in guess.draws:
            if draw.shape != target.y.shape:
                raise LossError(f"degraded guess {tuple(draw.shape)}: the target is {tuple(target.y.shape)}")
        guess = guess.behind(target.mask)
        values = {term.name: term(guess, kept) for term, kept in zip(self.terms, target.terms, strict=True)}
        return values | {"total": sum(term.weight * values[term.name] for term in self.terms)}


def _shares(loss: object) -> bool:
    return isinstance(loss, MultiscaleLPIPS) or (isinstance(loss, IdentityLoss) and not loss.oracle)
