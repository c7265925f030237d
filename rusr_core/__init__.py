"""Robust unsupervised StyleGAN image restoration: search a generator's latent space for the image that,
once degraded, matches the input.

Importing this package opens no connection, starts no device and draws no random number. Pictures (matplotlib)
are imported when they are first asked for.
"""

from importlib import import_module

from rusr_core.errors import RusrError
from rusr_core.images import load_image, resize, save_image
from rusr_core.restore import Restoration, restore  # the function; the module of that name stays in sys.modules
from rusr_core.zoo import Prior, load_prior, portraits

__version__ = "0.1.0"

_FIGURES = ("show", "compare", "timeline")

__all__ = [
    "Prior",
    "Restoration",
    "RusrError",
    "load_image",
    "load_prior",
    "portraits",
    "resize",
    "restore",
    "save_image",
    *_FIGURES,
]


def __getattr__(name: str) -> object:
    if name not in _FIGURES:
        raise AttributeError(f"module 'rusr_core' has no attribute {name!r}")
    return getattr(import_module("rusr_core.figures"), name)
