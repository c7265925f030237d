"""The objective: L(f(G(w)), y) of each image of a batch, as a function of their latents.

Each image of a batch gets what it would get alone: its own random numbers, its own row of everything. Networks see the
images of a group together. On a CPU a group is one image: a batch would bring little there, and rounding that depends
on its size does not stay small, since Adam normalises gradients, small ones too. On a GPU a group is the batch, and an
image gets what it would get alone up to that amplified rounding.
"""

import torch
from torch import Tensor

from rusr_core import randomness
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.free import bound, starts
from rusr_core.degradations.operator import is_random
from rusr_core.losses.guess import Guess
from rusr_core.losses.terms import RestorationLoss, Target
from rusr_core.prior import Prior, images_of, prior_shape
from rusr_core.search.sampling import Repeated

PHASES = 1000  # more than a search has


def groups_of(num: int, device: torch.device) -> list[list[int]]:
    """Which of `num` images the networks see together."""
    return [[i] for i in range(num)] if device.type == "cpu" else [list(range(num))]


class Group:
    """Some images of the batch, and what the loss keeps of them."""

    def __init__(self, rows: list[int], target: Target):
        self.rows, self.target = rows, target
        self.generator = torch.Generator()  # of the loss
        self._active, self._selected = rows, target

    def select(self, rows: list[int]) -> Target:
        """The target of those of its images that are still searched, gathered anew only when these have changed."""
        if rows != self._active:
            self._active = rows
            at = torch.tensor([self.rows.index(i) for i in rows], device=self.target.y.device)
            self._selected = self.target if rows == self.rows else self.target.select(at)
        return self._selected


class Objective:
    """`objective(latents, active)` gives the loss terms of the images that are still searched."""

    def __init__(
        self,
        prior: Prior,
        f: Degradation,
        loss: RestorationLoss,
        y: Tensor,
        mask: Tensor | None = None,
        clean: Tensor | None = None,
        draws: int = 1,
        samples: int = 1,
    ):
        """y [N, 3, h, w], mask [N or 1, 1, h, w], clean [N, 3, R, R] for an oracle; `draws` a step of a random f.

        With several `samples` the images are N samples: each of y so many times in turn, with other random numbers.
        """
        if samples > 1:
            f = Repeated(f, len(y), samples)
            y, mask, clean = (_repeated(value, len(y), samples) for value in (y, mask, clean))
        self.prior, self.f, self.loss, self.num, self.samples = prior, f, loss, len(y), samples
        self.random = is_random(f, y.new_empty(prior_shape(prior, len(y))))
        self.twice = draws > 1 and self.random
        self.operators = [f.for_image(i) for i in range(self.num)]
        self.unknown = [u.requires_grad_() for u in starts(self.operators)]  # free numbers of f: u [P] of each image
        self.images: Tensor | None = None  # [N, 3, R, R], the latest of each image, about [0, 1], not clamped
        self.groups = [
            Group(rows, loss.target(*(_rows(value, rows) for value in (y, mask, clean))))
            for rows in groups_of(self.num, y.device)
        ]
        self._index: tuple[list[int], Tensor] | None = None
        self.reseed(0, 0)

    def reseed(self, seed: int, phase: int) -> None:
        """Each phase has its own random numbers, the same for every image: what an image gets does not depend on when
        the others of its batch stop."""
        words = [randomness.seeds(seed, 1, phase + PHASES * sample)[0] for sample in range(self.samples)]
        words *= self.num // self.samples
        self.generators = [torch.Generator().manual_seed(word) for word in words]  # of f, one an image
        for group in self.groups:
            group.generator.manual_seed(words[group.rows[0]] + 1)

    def __call__(self, latents: list[Tensor], active: list[int]) -> dict[str, Tensor]:
        """Loss terms and "total", [n] each, of the images `active`, from the latents [1, ...] of each image."""
        parts = self._parts(latents, active)
        x = self._remember(torch.cat([image for *_, image in parts]), active)
        degraded = self._degraded(x, active)
        again = self._degraded(x, active) if self.twice else None
        index, end, terms = self._indices(active), 0, []
        for group, rows, ws, image in parts:
            at = slice(end, end := end + len(rows))
            other = None if again is None else again[at]
            guess = Guess(degraded[at], image, ws, other, index[at], group.generator)
            terms.append(self.loss(guess, group.select(rows)))
        return {name: torch.cat([values[name] for values in terms]) for name in terms[0]}

    @torch.no_grad()
    def render(self, latents: list[Tensor]) -> Tensor:
        """G(w) of all images, [N, 3, R, R] in [0, 1]."""
        everything = list(range(self.num))
        parts = self._parts(latents, everything)
        return self._remember(torch.cat([image for *_, image in parts]), everything).clamp(0, 1)

    def _parts(self, latents: list[Tensor], active: list[int]) -> list[tuple[Group, list[int], Tensor, Tensor]]:
        """Of each group with images still searched: these, their latents [n, ...] and G(w) [n, 3, R, R]."""
        parts = []
        for group in self.groups:
            rows = [i for i in group.rows if i in active]
            if rows:
                ws = torch.cat([latents[i] for i in rows])
                parts.append((group, rows, ws, images_of(self.prior, ws)))
        return parts

    def _degraded(self, x: Tensor, active: list[int]) -> Tensor:
        """f(x) of the images `active`, [n, 3, h, w]. Anybody's f gets the common memory layout."""
        x = x.contiguous()
        if self.random or self.unknown:  # image by image, each with its own random and free numbers
            pairs = zip(active, x.split(1), strict=True)
            return torch.cat([self._operator(i).forward(image, self.generators[i]) for i, image in pairs])
        index = self._indices(active)
        if len(active) < self.num:  # f sees all images, the stopped ones as constants: it may tell them apart
            x = self.images.index_copy(0, index, x)
        return self.f.forward(x)[index]

    def _operator(self, i: int) -> Degradation:
        """f as the search believes it to be for image i."""
        return bound(self.operators[i], self.unknown[i]) if self.unknown else self.operators[i]

    def _remember(self, x: Tensor, active: list[int]) -> Tensor:
        everything = len(active) == self.num
        self.images = x.detach() if everything else self.images.index_copy(0, self._indices(active), x.detach())
        return x

    def _indices(self, active: list[int]) -> Tensor:
        """`active` on the device, copied there only when it has changed."""
        if self._index is None or self._index[0] != active:
            self._index = list(active), torch.tensor(active, device=self.prior.device)
        return self._index[1]


def _repeated(values: Tensor | None, num: int, samples: int) -> Tensor | None:
    """What holds something of each of `num` images, for a batch of each of them `samples` times in turn."""
    return values if values is None or len(values) < num else values.repeat_interleave(samples, 0)


def _rows(values: Tensor | None, rows: list[int]) -> Tensor | None:
    """Some images of a batch; None and what all images share stay as they are."""
    return values if values is None or len(values) == 1 else values[rows]
