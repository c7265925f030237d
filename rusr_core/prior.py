"""What a restoration needs to know of a prior. Where priors come from: `rusr_core.priors`."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.images import in_words
from rusr_core.limits import check_positive
from rusr_core.networks.perceptual import Perceptual
from rusr_core.networks.recognition import Embedder

PUBLISHED_PATH = 12.0  # 150 steps of 0.08: the path in FFHQ's W that the published rates span (CVPR 2023)


class PriorError(RusrError):
    """A generator or a network that lacks what the search asks of it."""


@runtime_checkable
class LatentGenerator(Protocol):
    """All that the search asks of a generator. `generator.Generator` is one; another network may stand in for it.

    It lives on the device of `w_mean`. Its parameters are frozen, and `image` is differentiable.
    """

    resolution: int  # R, the side of its images in pixels
    w_mean: Tensor  # [D], the mean of W, where a search begins
    w_std: float  # root mean square of |w - w_mean|, the size of W

    def widen(self, ws: Tensor, space: str) -> Tensor:
        """Latents of W [N, D] or W+ [N, L, D] in the `space` "W", "W+" or "W++" [N, 1, R, D]: the same images."""

    def image(self, ws: Tensor) -> Tensor:
        """Latents of any of the three spaces -> images [N, 3, R, R], nominally in [0, 1], not clamped."""


@dataclass(frozen=True)
class Prior:
    """Frozen networks, and the scale of the learning rates. `Prior.of` makes one from the networks alone."""

    name: str
    generator: LatentGenerator
    perceptual: Perceptual | None  # what looks alike; None: no LPIPS term
    identity: Embedder | None  # whose face it is; None: no identity term, as in a domain without faces
    lr_scale: float  # multiplies the rates of a preset: w_std / 12, or 1 where the rates were published for it

    def __post_init__(self) -> None:
        check_positive("lr_scale", self.lr_scale, PriorError)

    @classmethod
    def of(
        cls,
        generator: LatentGenerator,
        perceptual: Perceptual | None = None,
        identity: Embedder | None = None,
        *,
        name: str = "",
    ) -> "Prior":
        """The prior of these networks, which are used as they are: on their devices, frozen by the caller.

        The learning rates of all priors follow one rule: a row of the latent can travel as far, measured in `w_std`, as
        the published rates allow. Raises PriorError if a network lacks what `LatentGenerator`, `Perceptual` or
        `Embedder` ask for.
        """
        missing = [word for word in ("resolution", "w_mean", "w_std", "widen", "image") if not hasattr(generator, word)]
        if missing:
            raise PriorError(f"{_kind(generator)} has no {', '.join(missing)}: expected what LatentGenerator lists")
        for network, word in ((perceptual, "features"), (identity, "embed")):
            if network is not None and not hasattr(network, word):
                raise PriorError(f"{_kind(network)} has no {word}(x): expected a network that has, or None")
        check_positive(f"w_std of {_kind(generator)}", generator.w_std, PriorError)
        return cls(name or _kind(generator), generator, perceptual, identity, generator.w_std / PUBLISHED_PATH)

    @property
    def w_std(self) -> float:
        """Root mean square of |w - w_mean|: the size of the generator's W."""
        return float(self.generator.w_std)

    @property
    def device(self) -> torch.device:
        """Where the generator lives."""
        return self.generator.w_mean.device

    @property
    def resolution(self) -> int:
        """R, the side of its images in pixels."""
        return self.generator.resolution


class ImageDenoiser(Protocol):
    """All that diffusion methods ask of a denoiser; `networks.Denoiser` is one. Frozen, differentiable in x."""

    resolution: int  # R, the side of its images in pixels

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """x = x_0 + sigma n [N, 3, R, R], x_0 in [-1, 1] and n normal -> the mean of x_0, of the same shape."""


@dataclass(frozen=True)
class DiffusionPrior:
    """A prior of another kind, for the rivals that need one: a denoiser in place of a generator."""

    name: str
    denoiser: ImageDenoiser
    device: torch.device  # where the denoiser lives

    @property
    def resolution(self) -> int:
        """R, the side of its images in pixels."""
        return self.denoiser.resolution


def prior_shape(prior: Prior | DiffusionPrior, num: int) -> tuple[int, int, int, int]:
    """Shape of `num` images that the prior makes: [num, 3, R, R]."""
    return (num, 3, prior.resolution, prior.resolution)


def images_of(prior: Prior, ws: Tensor) -> Tensor:
    """G(w) [N, 3, R, R] of latents of any space. PriorError if the generator gives something else."""
    made, expected = prior.generator.image(ws), prior_shape(prior, len(ws))
    if not isinstance(made, Tensor) or tuple(made.shape) != expected:
        told = f"{in_words(made)} for latents {list(ws.shape)}, expected {list(expected)}"
        raise PriorError(f"{_kind(prior.generator)}.image gives {told}")
    return made


def _kind(thing: object) -> str:
    return type(thing).__name__
