"""What every method is given, checked and brought into one form, and the result that it returns."""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import UnionType

import torch
from torch import Tensor

from rusr_core import arithmetic, randomness
from rusr_core.citations import cited
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.free import free_stages
from rusr_core.degradations.operator import AnyOperator, as_operator, is_random, mask_of, shape_after
from rusr_core.errors import RusrWarning
from rusr_core.losses.guess import visible
from rusr_core.prior import DiffusionPrior, Prior, prior_shape
from rusr_core.restore import Step
from rusr_core.results import Restoration
from rusr_core.search.preparation import HIDDEN, check_call, check_values, images, mask_for
from rusr_core.search.stopping import RestorationError

AnyPrior = Prior | DiffusionPrior


@dataclass(frozen=True, eq=False)
class Observation:
    """The observed images, and how a guess is degraded to be compared with them."""

    y: Tensor  # [N, 3, h, w] on the prior's device, black in the holes
    mask: Tensor | None  # 1 = visible, [N or 1, 1, h, w]
    f: Degradation
    random: bool  # whether f draws random numbers
    seed: int
    generators: tuple[torch.Generator, ...]  # of f, one an image, so that each gets what it would get alone
    notes: tuple[str, ...]  # warnings
    begun: float = field(default_factory=time.perf_counter)

    def __len__(self) -> int:
        return len(self.y)

    def degraded(self, x: Tensor) -> Tensor:
        """f(x) of images [N, 3, R, R], [N, 3, h, w], black in the holes. A random f draws anew at each call."""
        x = x.contiguous()
        if self.random:
            each = zip(x.split(1), self.generators, strict=True)
            x = torch.cat([self.f.for_image(i).forward(image, draw) for i, (image, draw) in enumerate(each)])
        else:
            x = self.f.forward(x)
        return visible(x, self.mask)

    def image(self, i: int) -> "Observation":
        """The observation of image i alone, with the random numbers that it has in the batch."""
        mask = self.mask if self.mask is None or len(self.mask) == 1 else self.mask[i : i + 1]
        draws = self.generators[i : i + 1]
        fields = (self.random, self.seed, draws, self.notes, self.begun)
        return Observation(self.y[i : i + 1], mask, self.f.for_image(i), *fields)

    def stream(self, name: int) -> list[torch.Generator]:
        """For each image a generator of the method's own draws: the same for all, and apart from those of f."""
        word = randomness.seeds(self.seed, 1, 1000 + name)[0]
        return [torch.Generator().manual_seed(word) for _ in range(len(self))]

    def result(self, prior: AnyPrior, image: Tensor, steps: list[int], networks: tuple = (), **more) -> Restoration:
        """The restoration [N, 3, R, R]; `networks` are those whose papers it rests on, `more` goes to the result.

        `info` in `more` is added to what every result records.
        """
        info = {
            "prior": prior.name,
            "degradation": str(self.f),
            "device": str(prior.device),
            "threads": torch.get_num_threads(),
            "arithmetic": arithmetic.description(),
            "torch": torch.__version__,
            "warnings": list(self.notes),
            "references": cited(*networks, *self.f.stages),
        }
        info |= more.pop("info", {})
        seconds = time.perf_counter() - self.begun
        return Restoration(image.detach().clamp(0, 1), seconds, steps, self.seed, method="", info=info, **more)


def observe(
    prior: AnyPrior,
    y: Tensor,
    f: AnyOperator,
    seed: int,
    callback: Callable[[Step], None] | None = None,
    *,
    gradient: bool = True,
    kinds: type | UnionType = Prior,
) -> Observation:
    """Check what a method is given as `restore` does.

    `gradient`: whether the method follows that of f; `kinds`: of priors that it can use. Raises RestorationError if one
    of the arguments does not fit, or if f has no gradient where one is needed.
    """
    begun = time.perf_counter()
    check_call(prior, kinds, seed, callback)
    notes: list[str] = []
    y = images(y, "y").to(prior.device)
    like = y.new_empty(prior_shape(prior, len(y)))
    f = as_operator(f, like)
    begun_at = [str(stage.f) for stage in free_stages(f)]
    if begun_at:
        notes.append(f"free numbers are found by presets only: they stay where they start, {' | '.join(begun_at)}")
    if gradient:
        mask = mask_for(f, y, like, notes)
    else:
        if shape_after(f, like) != tuple(y.shape):
            raise RestorationError(f"f(x) is {shape_after(f, like)} but y is {tuple(y.shape)}: f did not make y")
        mask = mask_of(f, like)
        if mask is not None and not (mask > 0).any():
            notes.append(HIDDEN.format(f))
    y = visible(y, mask)
    check_values(y, notes)
    for note in notes:
        warnings.warn(note, RusrWarning, stacklevel=3)
    word = randomness.seeds(seed, 1)[0]
    draws = tuple(torch.Generator().manual_seed(word) for _ in range(len(y)))
    return Observation(y, mask, f, is_random(f, like), seed, draws, tuple(notes), begun)
