"""State dicts, feature nets and denoisers from files and into files. Nothing in a file is imported or executed."""

from pathlib import Path

from torch import Tensor

from rusr_core.checkpoints.safetensors import halved, is_safetensors, read_tensors, write_tensors
from rusr_core.checkpoints.source import CheckpointError, map_file, reading
from rusr_core.checkpoints.tensors import COUNTER, load_tensors, require_floats
from rusr_core.checkpoints.torch_files import LazyTensor, read_torch
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig

FORMAT = "rusr-portrait-net"
DENOISER_FORMAT = "rusr-denoiser"


def load_state(path: str | Path) -> dict[str, Tensor]:
    """A plain state dict of any network, from torch.save or safetensors: name -> float32 on the CPU.

    Counters of batch normalisation are left out. Tensors of whole numbers, or a file that is no state dict:
    CheckpointError.
    """
    data = map_file(path)
    if is_safetensors(data):
        state = {name: t for name, t in read_tensors(path)[0].items() if not name.endswith(COUNTER)}
        with reading(path):
            for name, t in state.items():
                require_floats(name, t.dtype)
            return {name: t.float() for name, t in state.items()}
    with reading(path):
        content = read_torch(data)
        if type(content) is not dict or not all(type(k) is str for k in content):
            raise CheckpointError(f"a {type(content).__name__} where a state dict was expected")
        state = {k: v for k, v in content.items() if type(v) is LazyTensor and not k.endswith(COUNTER)}
        return load_tensors(state, len(data))


def save_portrait_net(net: PortraitNet, path: str | Path) -> None:
    """Write a feature net as float16 safetensors, batch normalisation folded, its configuration in the header.

    CheckpointError for weights that float16 cannot hold.
    """
    state = halved(net.folded().state_dict())
    write_tensors(state, path, {"format": FORMAT, "config": net.config.to_json()})


def load_portrait_net(path: str | Path) -> PortraitNet:
    """A feature net written by `save_portrait_net`: frozen, in eval mode, float32, on the CPU. Else CheckpointError."""
    state, config = _read(path, FORMAT)
    with reading(path):
        return PortraitNet.from_state(PortraitNetConfig.from_json(config), state)


def save_denoiser(denoiser: Denoiser, path: str | Path, extra: dict[str, str] | None = None) -> None:
    """Write a denoiser as float16 safetensors, its configuration in the header; `extra` is more text for the header.

    CheckpointError for weights that float16 cannot hold.
    """
    state = halved(denoiser.state_dict())
    write_tensors(state, path, {**(extra or {}), "format": DENOISER_FORMAT, "config": denoiser.config.to_json()})


def load_denoiser(path: str | Path) -> Denoiser:
    """A denoiser written by `save_denoiser`: frozen, in eval mode, float32, on the CPU. Else CheckpointError."""
    state, config = _read(path, DENOISER_FORMAT)
    with reading(path):
        return Denoiser.from_state(DenoiserConfig.from_json(config), state)


def _read(path: str | Path, expected: str) -> tuple[dict[str, Tensor], str]:
    """The tensors of a file of the expected format, and the text of its configuration."""
    state, metadata = read_tensors(path)
    with reading(path):
        if metadata.get("format") != expected:
            raise CheckpointError(f"safetensors of format {metadata.get('format')!r}, expected {expected!r}")
    return state, metadata.get("config", "")
