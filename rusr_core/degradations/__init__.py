"""Degradations: what happened to the picture (`degrade`), and its differentiable approximation (`forward`)."""

from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Mask, Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise
from rusr_core.degradations.notation import parse
from rusr_core.degradations.operator import COMPAT, Degradation, DegradationError, TwoMethods, mask_of, shape_after
from rusr_core.degradations.resampling import Downsample, Resize

__all__ = [
    "COMPAT", "JPEG", "Compose", "Degradation", "DegradationError", "Downsample", "Mask", "PoissonBernoulliNoise",
    "Resize", "Strokes", "TwoMethods", "mask_of", "parse", "shape_after",
]  # fmt: skip
