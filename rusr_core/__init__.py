"""Robust unsupervised StyleGAN image restoration: search a generator's latent space for the image that,
once degraded, matches the input.

Importing this package opens no connection, starts no device and draws no random number. Pictures (matplotlib)
are imported when they are first asked for.
"""

from importlib import import_module

from rusr_core.citations import citation
from rusr_core.errors import RusrError
from rusr_core.images import load_image, resize, save_image
from rusr_core.prior import Prior
from rusr_core.priors.load import load_prior, portraits
from rusr_core.restore import Restoration, Search, restore  # the function; the module of that name stays in sys.modules

__version__ = "0.1.0"

_FIGURES = ("show", "compare", "timeline")
_MODULES = {
    name: f"rusr_core.{name}"
    for name in ("degradations", "figures", "latents", "losses", "metrics", "presets", "sweeps", "tasks")
} | {"zoo": "rusr_core.priors"}

__all__ = [
    "Prior",
    "Restoration",
    "RusrError",
    "Search",
    "citation",
    "load_image",
    "load_prior",
    "portraits",
    "resize",
    "restore",
    "save_image",
    *_FIGURES,
]


def __getattr__(name: str) -> object:
    if name in _FIGURES:
        return getattr(import_module("rusr_core.figures"), name)
    if name in _MODULES:
        return import_module(_MODULES[name])
    raise AttributeError(f"module 'rusr_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
