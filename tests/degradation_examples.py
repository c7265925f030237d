"""Images and degradations that the tests of rusr_core.degradations share."""

import torch
from conftest import golden
from torch import Tensor

from rusr_core import tasks
from rusr_core.degradations import (
    JPEG,
    Blur,
    Compose,
    Downsample,
    Fade,
    Mask,
    PoissonBernoulliNoise,
    ReadNoise,
    Resize,
    Strokes,
)
from rusr_core.images import quantize, resize
from rusr_core.randomness import normal

ARRAYS = golden("degradations")
PUBLISHED = "cvpr2023"
SIZE = 64


def picture() -> Tensor:
    return ARRAYS["in/image_u8"].float()[None] / 255


def images(num: int = 3, height: int = SIZE, width: int = SIZE) -> Tensor:
    """Different smooth pictures [N, 3, H, W] in [0, 1] with grain."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(num, 3, 5, 5, generator=generator)
    grain = 0.03 * torch.randn(num, 3, height, width, generator=generator)
    return (resize(coarse, (height, width), "bilinear") + grain).clamp(0.02, 0.98)


def half_mask(size: int = SIZE) -> Tensor:
    """The left half is visible."""
    return (torch.arange(size) < size // 2).float().expand(size, size)


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10(((a - b) ** 2).mean().clamp_min(1e-10)))


class Vignette:
    """A user's own degradation: two methods, no base class, no registration."""

    def forward(self, x: Tensor, generator=None) -> Tensor:
        height, width = x.shape[-2:]
        rows = torch.linspace(-1, 1, height).to(x)[:, None]
        columns = torch.linspace(-1, 1, width).to(x)
        return x * (1 - 0.3 * (rows**2 + columns**2))

    def degrade(self, x: Tensor, generator=None) -> Tensor:
        return quantize(self.forward(x))


class GrainAndCrop:
    """A user's own with noise, another size, and a mask that it says how to move."""

    def forward(self, x: Tensor, generator=None) -> Tensor:
        noisy = x + 0.02 * normal(x.shape, generator, x)
        return noisy[..., 8:-8, 8:-8]

    def degrade(self, x: Tensor, generator=None) -> Tensor:
        return quantize(self.forward(x, generator))

    def transform_mask(self, mask: Tensor) -> Tensor:
        return mask[..., 8:-8, 8:-8]


EVERY = {
    **{str(task): task.degradation() for task in (*tasks.SINGLE, *tasks.COMPOSED)},
    **{f"{t} {PUBLISHED}": t.degradation(compat=PUBLISHED) for t in tasks.SINGLE if t.level == "M"},
    **{f"downsample {name}": Downsample(4, name) for name in ("bilinear", "bicubic", "lanczos")},
    **{f"resize {m}": Resize((24, 40), m) for m in ("area", "bilinear", "bicubic", "lanczos", "nearest")},
    "enlarge": Resize(96, "bicubic"),
    "mask": Mask(half_mask()),
    "mask, downsample, jpeg": Compose(Mask(half_mask()), Downsample(2, "bicubic"), JPEG(12)),
    "strokes, noise, strokes, resize": Compose(Strokes(3), PoissonBernoulliNoise(96, 0.04), Strokes(2, 1), Resize(40)),
    "strokes of each image": Compose(Strokes(5, seed=(7, 8, 9)), Downsample(4)),
    "identity": Compose(),
    **{f"jpeg {s}": JPEG(q, s) for s in ("4:4:4", "4:2:2") for q in (12,)},
    "jpeg 90, 4:2:2": JPEG(90, "4:2:2"),
    "jpeg, grey": JPEG(12, "grey"),
    "jpeg, own tables": JPEG([*range(20, 84), *range(30, 158, 2), *range(200, 136, -1)], "4:2:2"),
    **{str(task): task.degradation() for task in tasks.EXTRA},
    "blur, motion": Blur(length=9.5, direction=30),
    "blur, both": Blur(0.7, 4, -75),
    "fade": Fade((0.8, 0.7, 0.6), (0.1, 0.05, -0.02), 1.2),
    "fade, one gain": Fade(0.7, 0.15),
    "read noise": ReadNoise(0.05),
    "film": Compose(Blur(1.5), Fade(0.8, 0.1), PoissonBernoulliNoise(96, 0), ReadNoise(0.02), JPEG(40)),
    "own": Compose(Vignette()),
    "own, composed": Compose(Vignette(), Downsample(2), GrainAndCrop(), Vignette()),
}
