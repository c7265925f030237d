"""What the search minimises: how far the degraded guess f(G(w)) is from the observed image y.

    L_total = L_LPIPS + 0.1 L_1 + lambda_ID L_ID          (the report; CVPR 2023, section 3.3, without L_ID)

Everything that depends on y alone is computed once (`RestorationLoss.target`), not at every step. Values are per
image, [N], and never mix images. Chapter: book/losses.ipynb.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core import randomness
from rusr_core.errors import RusrError
from rusr_core.networks.perceptual import Perceptual, distance
from rusr_core.networks.recognition import Embedder


class LossError(RusrError):
    """Images that cannot be compared."""


@dataclass(frozen=True)
class Target:
    """What the losses keep of the observed images: one entry for each level of the pyramid, finest first."""

    images: list[Tensor]  # y, then average-pooled by 2 again and again: [N, 3, S, S]; the last one is for L1 only
    masks: list[Tensor] | None  # 1 = visible, [N or 1, 1, S, S] each, as long as `images`
    features: list[list[Tensor]]  # of y at each level that LPIPS sees; empty when holes get fresh noise
    identity: Tensor | None = None  # embedding of the reference, [N, E]

    def select(self, index: Tensor) -> "Target":
        """The target of some of the images, for a batch in which others have already stopped."""
        masks = self.masks and [m if m.shape[0] == 1 else m[index] for m in self.masks]
        return replace(
            self,
            images=[y[index] for y in self.images],
            masks=masks,
            features=[[f[index] for f in level] for level in self.features],
            identity=None if self.identity is None else self.identity[index],
        )


@dataclass(frozen=True)
class MultiscaleLPIPS:
    """LPIPS summed over a pyramid (CVPR 2023, section 3.3): compare, average-pool by 2, and so on, while the shorter
    side exceeds `smallest`, `levels` times at most. One level is plain LPIPS and pools nothing.

    With a mask, LPIPS sees noise (e + 0.5) / 2, e ~ N(0, 1), inside the holes of both images, lest black holes be
    rewarded; it is drawn anew at each call, as published.
    """

    network: Perceptual
    levels: int = 6
    smallest: int = 16  # a side of 16 px or less is not given to LPIPS

    def depth(self, size: Sequence[int]) -> int:
        """How many levels LPIPS sees of an image of this size [H, W]; may be 0."""
        side, found = min(size), 0
        while found < self.levels and side > self.smallest:
            found, side = found + 1, side // 2
        return found

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """x and its poolings, one more than LPIPS sees (the last is for L1); x alone if there is one level."""
        levels = [x]
        for _ in range(self.depth(x.shape[2:]) if self.levels > 1 else 0):
            levels.append(F.avg_pool2d(levels[-1], 2))
        return levels

    def target(self, y: Tensor, mask: Tensor | None = None) -> Target:
        """y [N, 3, H, W] in [0, 1], mask [N or 1, 1, h, w] or None."""
        images = self.pyramid(y)
        if mask is None:
            return Target(images, None, [self.network.features(v) for v in images[: self.depth(y.shape[2:])]])
        if mask.ndim != 4 or mask.shape[1] != 1 or mask.shape[0] not in (1, y.shape[0]):
            raise LossError(f"mask {tuple(mask.shape)}: expected [{y.shape[0]} or 1, 1, H, W]")
        if mask.shape[2:] != y.shape[2:]:
            mask = F.interpolate(mask, size=y.shape[2:], mode="area")
        return Target(images, self.pyramid(mask.to(y)), [])

    def compare(
        self,
        draws: list[list[Tensor]],
        target: Target,
        generator: torch.Generator | None,
        finest: list[list[Tensor]] | None = None,
    ) -> Tensor:
        """Sum over the levels of one `pyramid(x)`, or of two, of two draws of a random f: see `energy_score` -> [N].

        `generator` draws the noise in the holes, one for all images; it is needed with a mask only. `finest`: features
        of each draw's finest level, where they are known already.
        """
        total = draws[0][0].new_zeros(draws[0][0].shape[0])
        for level in range(self.depth(draws[0][0].shape[2:])):
            images = [pyramid[level] for pyramid in draws]
            if target.masks is None:
                seen = target.features[level]
            else:
                shape = (1, *images[0].shape[1:])  # one draw for the batch: an image gets what it would get alone
                noise = (randomness.normal(shape, generator, images[0]) + 0.5) / 2
                hidden = noise * (1 - target.masks[level])
                images = [x + hidden for x in images]
                with torch.no_grad():
                    seen = self.network.features(target.images[level] + hidden)
            known = finest if finest is not None and level == 0 else [self.network.features(x) for x in images]
            total = total + energy_score(distance, seen, *known)
        return total

    def __call__(self, x: Tensor, target: Target, generator: torch.Generator | None = None) -> Tensor:
        """x [N, 3, H, W], the degraded guess -> [N]."""
        return self.compare([self.pyramid(x)], target, generator)


def l1(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of each image, [N]."""
    return (x - y).abs().mean((1, 2, 3))


Seen = TypeVar("Seen")  # an image, its features or its embedding


def energy_score(distance: Callable[[Seen, Seen], Tensor], y: Seen, x: Seen, again: Seen | None = None) -> Tensor:
    """distance(x, y), or with a second, independent draw of x the energy score, [N]: half of

        distance(x, y) + distance(again, y) - distance(x, again)

    The expected distance of a noisy x to a noisy y need not be smallest where both have the same distribution: a calmer
    x may come nearer. Poisson and Bernoulli noise disturb a dark picture least, and a search darkens it. What is taken
    away here is that gain. The expectation of the score is smallest at the true distribution, for absolute differences
    (L1) and for squared ones (LPIPS, identity), which see only means, so that others may tie. A value may be negative.
    Gneiting & Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 2007,
    https://doi.org/10.1198/016214506000001437.
    """
    if again is None:
        return distance(x, y)
    return (distance(x, y) + distance(again, y) - distance(x, again)) / 2


@dataclass(frozen=True)
class IdentityLoss:
    """1 - cos(E(x), E(reference)), [N], with a face-recognition network E (Deng et al., "ArcFace", CVPR 2019)."""

    network: Embedder

    def target(self, reference: Tensor) -> Tensor:
        """Embedding [N, E] of the reference, y itself or the clean image (an oracle), [N, 3, H, W] in [0, 1]."""
        return self.network.embed(reference)

    def __call__(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [N, 3, H, W] in [0, 1], embedding [N, E] -> [N]."""
        return self.compare([self.network.embed(x)], embedding)

    @staticmethod
    def compare(draws: list[Tensor], embedding: Tensor) -> Tensor:
        """Of embeddings of one or two draws, [N, E] each, see `energy_score` -> [N]."""
        return energy_score(lambda a, b: 1 - (a * b).sum(1), embedding, *draws)


@dataclass(frozen=True)
class RestorationLoss:
    """LPIPS + l1_weight L1 + identity_weight ID. A term of weight 0, or without a network, is not computed.

    L1 is taken at the pooled size on which the LPIPS pyramid ends, as published (16 px for the six-level loss on
    powers of two), or at the full size for the one-level loss. It is not masked: both images are black in the holes.

    Where f is random, as noise is, a second, independent draw of f(x) makes each term an `energy_score`.
    """

    lpips: MultiscaleLPIPS
    identity: IdentityLoss | None = None
    l1_weight: float = 0.1
    identity_weight: float = 0.0

    def target(self, y: Tensor, mask: Tensor | None = None, clean: Tensor | None = None) -> Target:
        """Everything that is computed once. y [N, 3, H, W] in [0, 1]; `clean` as identity reference makes an ORACLE."""
        with torch.no_grad():
            target = self.lpips.target(y, mask)
            if not self.uses_identity:
                return target
            return replace(target, identity=self.identity.target(y if clean is None else clean))

    @property
    def uses_identity(self) -> bool:
        return self.identity is not None and self.identity_weight > 0

    def __call__(
        self,
        x: Tensor,
        target: Target,
        generator: torch.Generator | None = None,
        image: Tensor | None = None,
        again: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Per-image terms {"lpips", "l1", ["identity"], "total"}, [N] each.

        x is the degraded guess and `again` another draw of it; `image`, the guess before its degradation, is what an
        oracle's identity looks at.
        """
        for guess in (x, again):
            if guess is not None and guess.shape != target.images[0].shape:
                raise LossError(f"degraded guess {tuple(guess.shape)}: the target is {tuple(target.images[0].shape)}")
        draws = [x] if again is None else [x, again]
        pyramids = [self.lpips.pyramid(draw) for draw in draws]
        finest, embeddings = self._looks(draws, target, image)
        lpips = self.lpips.compare(pyramids, target, generator, finest)
        terms = {"lpips": lpips, "l1": energy_score(l1, target.images[-1], *(levels[-1] for levels in pyramids))}
        total = terms["lpips"] + self.l1_weight * terms["l1"]
        if self.uses_identity:
            terms["identity"] = self.identity.compare(embeddings, target.identity)
            total = total + self.identity_weight * terms["identity"]
        return terms | {"total": total}

    def _looks(
        self, draws: list[Tensor], target: Target, image: Tensor | None
    ) -> tuple[list[list[Tensor]] | None, list[Tensor] | None]:
        """Features of each draw's finest level (None: not looked at yet) and embeddings of what the identity looks at
        (None: unused). One network of both terms looks once; but it must see the same: LPIPS sees noise in the holes of
        a mask, and an oracle's identity the picture before f."""
        if not self.uses_identity:
            return None, None
        network = self.identity.network
        same = image is None and target.masks is None and self.lpips.depth(draws[0].shape[2:]) > 0
        if same and network is self.lpips.network and hasattr(network, "features_and_embedding"):
            return tuple(zip(*map(network.features_and_embedding, draws), strict=True))
        return None, [network.embed(x) for x in (draws if image is None else [image])]
