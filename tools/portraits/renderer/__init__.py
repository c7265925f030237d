"""Procedural portraits: batched, smooth in their factors, the same for a seed on every machine."""

from .factors import ID_DIM, IDENTITY, NUISANCE, Z_DIM, sample_z
from .portrait import beyond, paint, render
from .textures import textures

__all__ = ["ID_DIM", "IDENTITY", "NUISANCE", "Z_DIM", "beyond", "paint", "render", "sample_z", "textures"]
