"""Degradations, the forward operators f of y = f(x): as they truly are (`degrade`), and as differentiable surrogates
(`forward`), which is what a search needs. What one's own operator needs is told in `base.Operator`.

`x` is `[N, 3, H, W]` float in [0, 1]; `y` has the same form, perhaps another size. What a file is expected to hold,
`degrade` rounds to 8 bit. `generator` is one `torch.Generator` on the CPU, see `randomness`.

By default the published flaws are corrected; `compat="cvpr2023"` repeats the published code (robust-unsupervised
afa53685): 8 bit by truncation, noise that is half a photon too dark, JPEG tables transposed, whole-pixel brushes.
Chapter: book/degradations.ipynb.
"""

from rusr_core.degradations.base import Degradation, Operator
from rusr_core.degradations.blur import Blur
from rusr_core.degradations.checks import COMPAT, DegradationError
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.fade import Fade
from rusr_core.degradations.free import Free, free
from rusr_core.degradations.inpainting import Mask, Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise, ReadNoise
from rusr_core.degradations.notation import parse
from rusr_core.degradations.operator import (
    as_operator,
    degrade,
    for_image,
    from_deepinv,
    is_random,
    mask_of,
    shape_after,
    transform_mask,
)
from rusr_core.degradations.resampling import Downsample, Resize

__all__ = [
    "COMPAT", "JPEG", "Blur", "Compose", "Degradation", "DegradationError", "Downsample", "Fade", "Free", "Mask",
    "Operator", "PoissonBernoulliNoise", "ReadNoise", "Resize", "Strokes", "as_operator", "degrade", "for_image",
    "free", "from_deepinv", "is_random", "mask_of", "parse", "shape_after", "transform_mask",
]  # fmt: skip
