"""Files into networks, and networks into files; nothing in a file is imported or executed."""

from rusr_core.checkpoints.generators import load_generator, save_generator
from rusr_core.checkpoints.networks import (
    load_denoiser,
    load_portrait_net,
    load_state,
    save_denoiser,
    save_portrait_net,
)
from rusr_core.checkpoints.safetensors import read_metadata
from rusr_core.checkpoints.source import CheckpointError

__all__ = [
    "CheckpointError", "load_denoiser", "load_generator", "load_portrait_net", "load_state", "read_metadata",
    "save_denoiser", "save_generator", "save_portrait_net",
]  # fmt: skip
