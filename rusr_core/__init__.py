"""Robust unsupervised StyleGAN image restoration: search a generator's latent space for the image that,
once degraded, matches the input.

Importing this package reads no file, opens no connection and touches no device; each name below is imported
from its module when it is first used.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "RusrError": "errors",
    "load_prior": "zoo",
    "Prior": "zoo",
    "load_image": "images",
    "save_image": "images",
    "resize": "images",
    "restore": "restore",
    "Restoration": "restore",
    "show": "figures",
    "compare": "figures",
    "timeline": "figures",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'rusr_core' has no attribute {name!r}")
    return getattr(import_module(f"rusr_core.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
