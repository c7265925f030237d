"""Generators from files, told apart by their content. A checkpoint is data: nothing in it is imported or executed.

| file | written by | what is read |
|---|---|---|
| safetensors | `save_generator` | the configuration and a SHA-256 in the header, then the tensors |

Chapter: book/zoo.ipynb.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

from .errors import RusrError
from .generator import Generator, GeneratorConfig
from .weights import CheckpointError, is_safetensors, map_file, read_metadata, read_weights, write_weights

__all__ = ["CheckpointError", "load_generator", "read_metadata", "save_generator"]

FORMAT = "rusr-generator"
LIMITS = {"resolution": 4096, "z_dim": 65536, "c_dim": 65536, "w_dim": 65536, "mapping_layers": 64, "img_channels": 64}


def save_generator(
    G: Generator, path: str | Path, extra: dict[str, str] | None = None, *, half: bool = False
) -> None:
    """Write a generator as safetensors, configuration in the header; `half`: float16, half the size, rounded.

    `extra` is text for the header, such as {"w_radius": "12.0"}. An existing file is replaced at the end, whole.
    """
    metadata = {**(extra or {}), "format": FORMAT, "config": G.config.to_json()}
    if not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError(f"header entries must be text, got {extra!r}")
    state = {name: t.half() if half else t.float() for name, t in G.state_dict().items()}
    write_weights(state, path, metadata)


def load_generator(path: str | Path) -> Generator:
    """Read a generator: float32, on the CPU, frozen, in eval mode. CheckpointError says what is wrong with the file."""
    data, source = map_file(path), Path(path).name
    if is_safetensors(data):
        return _from_safetensors(data, source)
    raise CheckpointError(f"{source}: not a checkpoint of a kind this library reads")


def _from_safetensors(data: memoryview, source: str) -> Generator:
    state, metadata = read_weights(data, source)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{source}: format {metadata.get('format')!r}, expected {FORMAT!r}")
    return build(_config(metadata.get("config", ""), source), state, source)


def _config(text: str, source: str) -> GeneratorConfig:
    """The configuration in a header, its numbers bounded before anything is built from them."""
    try:
        fields = json.loads(text)
        channels = fields["channels"]
        sizes = [*channels, *(fields.get(k) or 1 for k in (*LIMITS, "embed_features", "layer_features"))]
        if not all(type(v) is int and 0 < v <= 65536 for v in sizes) or len(channels) > 11:
            raise ValueError("sizes out of range")
        for name, limit in LIMITS.items():
            if fields.get(name, 1) > limit:
                raise ValueError(f"{name} {fields[name]} exceeds {limit}")
        return GeneratorConfig.from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{source}: not a generator's configuration: {str(error)[:120]}") from error


def build(config: GeneratorConfig, state: dict[str, Tensor], source: str) -> Generator:
    """A frozen generator of `config` that takes exactly the tensors of `state`, as float32."""
    try:
        with torch.device("meta"):  # shapes only: no memory is taken and no random number drawn
            G = Generator(config)
    except (RusrError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(f"{source}: {str(error)[:160]}") from error
    wanted = {name: tuple(t.shape) for name, t in G.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in state.items()}
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            shape = found.get(name, "missing")
            raise CheckpointError(f"{source}: {name[:80]} is {shape}, expected {wanted.get(name, 'no such tensor')}")
    state = {name: t.float() for name, t in state.items()}
    for name, t in state.items():
        if not torch.isfinite(t).all():
            raise CheckpointError(f"{source}: {name} holds numbers that are not finite: damaged")
    G.load_state_dict(state, strict=True, assign=True)
    return G.eval().requires_grad_(False)
