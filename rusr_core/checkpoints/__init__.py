"""Files into networks; nothing in a file is imported or executed."""

from rusr_core.checkpoints.generators import load_generator, load_state, save_generator
from rusr_core.checkpoints.safetensors import CheckpointError, read_metadata

__all__ = ["CheckpointError", "load_generator", "load_state", "read_metadata", "save_generator"]
