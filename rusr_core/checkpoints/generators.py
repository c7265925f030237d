"""Generators from files, told apart by their content. A checkpoint is data: nothing in it is imported or
executed.

| content | written by | what is read |
|---|---|---|
| safetensors | `save_generator` | configuration and SHA-256 in the header, tensors |
| pickle | NVIDIA stylegan2-ada-pytorch, stylegan3 (StyleGAN2 networks) | `G_ema` or `G`, as data |
| torch.save, zip or stream | rosinality, StyleGAN-NADA, pSp, e4e, PTI, bare state dicts | its generator |
"""

import json
import struct
import zipfile
import zlib
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints.machine import Record
from rusr_core.checkpoints.nvidia import (
    STYLEGAN1,
    STYLEGAN3,
    STYLEGAN_XL,
    load_tensors,
    network_state,
    nvidia,
    refuse_relatives,
)
from rusr_core.checkpoints.rosinality import is_rosinality, rosinality
from rusr_core.checkpoints.safetensors import (
    CheckpointError,
    is_safetensors,
    map_file,
    read_metadata,
    read_weights,
    write_weights,
)
from rusr_core.checkpoints.torch_files import LEGACY_TF, LazyTensor, read_torch
from rusr_core.errors import RusrError
from rusr_core.generator import Generator, GeneratorConfig
from rusr_core.latents import sample_w

__all__ = ["CheckpointError", "load_generator", "read_metadata", "save_generator"]

FORMAT = "rusr-generator"
LIMITS = {
    "resolution": 4096,
    "z_dim": 65536,
    "c_dim": 65536,
    "w_dim": 65536,
    "mapping_layers": 64,
    "img_channels": 64,
}


def save_generator(G: Generator, path: str | Path, extra: dict[str, str] | None = None, *, half: bool = False) -> None:
    """Write a generator as safetensors, configuration in the header; `half`: float16, half the size, rounded.

    `extra` is text for the header, such as {"w_radius": "12.0"}. An existing file is replaced at the end,
    whole.
    """
    metadata = {**(extra or {}), "format": FORMAT, "config": G.config.to_json()}
    if not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError(f"header entries must be text, got {extra!r}")
    state = {name: t.half() if half else t.float() for name, t in G.state_dict().items()}
    write_weights(state, path, metadata)


def load_generator(path: str | Path, network: str = "G_ema") -> Generator:
    """Read a generator: float32, on the CPU, frozen, in eval mode. CheckpointError says what is wrong with
    the file.

    `network` "G" takes the instantaneous weights of a training checkpoint instead of their moving average. A
    file without mean latent (StyleGAN-NADA, rosinality's training) gets the mean of 10,000 mapped samples,
    seed 0.
    """
    if network not in ("G_ema", "G"):
        raise CheckpointError(f"network {network!r}: expected 'G_ema' or 'G'")
    data, source = map_file(path), Path(path).name
    try:
        return _read(data, network)
    except CheckpointError as error:
        reason = str(error)
    except DAMAGE as error:
        reason = f"damaged ({type(error).__name__}: {str(error)[:120]})"
    raise CheckpointError(" ".join(f"{source}: {_relative(data) or reason}".split()))


# What parsers of the standard library and torch raise on bytes that make no sense
DAMAGE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    EOFError,
)
DAMAGE += (struct.error, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


def _read(data: memoryview, network: str) -> Generator:
    start = bytes(data[:512])
    if is_safetensors(data):
        return _from_safetensors(data)
    if start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"):
        return _from_torch(read_torch(data), network, len(data))
    if start.lstrip()[:1] == b"<":
        raise CheckpointError("a web page, not a checkpoint: the download was refused or needs a confirmation")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError("a Git LFS pointer, not the file itself: run `git lfs pull`")
    raise CheckpointError(f"begins with {start[:8]!r}, expected an NVIDIA pickle, a torch.save file or safetensors")


def _relative(data: memoryview) -> str:
    """Why a refused pickle cannot be read, if it is a known relative; marks of their authors' class names."""
    if bytes(data[:1]) not in (b"\x80", b"P"):
        return ""
    mapped = data.obj
    if mapped.find(b"dnnlib.tflib") >= 0:
        return f"{LEGACY_TF}" if mapped.find(b"G_style") < 0 else f"{STYLEGAN1} (TensorFlow pickle)"
    if mapped.find(b"SuperresGenerator") >= 0:
        return STYLEGAN_XL
    return STYLEGAN3 if mapped.find(b"SynthesisInput") >= 0 else ""


def _from_torch(content: object, network: str, size: int) -> Generator:
    """Pick the generator out of what a pickle or torch.save file holds."""
    if type(content) is dict:
        for name in {"G_ema": ("G_ema", "g_ema"), "G": ("G", "g")}[network]:
            if name in content:
                return _from_network(content[name], content.get("latent_avg"), size)
        if "state_dict" in content:  # pSp, e4e: encoder and decoder
            state = content["state_dict"]
            decoder = {k.removeprefix("decoder."): v for k, v in state.items() if k.startswith("decoder.")}
            return _from_network(decoder, content.get("latent_avg", state.get("latent_avg")), size)
        if not any(type(v) is LazyTensor for v in content.values()):
            found = ", ".join(str(k)[:20] for k in list(content)[:8])
            raise CheckpointError(f"no network {network!r} in a checkpoint of {found or 'nothing'}")
    return _from_network(content, None, size)


def _from_network(network: object, latent_avg: object, size: int) -> Generator:
    if type(network) is Record:
        state, attributes = network_state(network)
        refuse_relatives(set(state), network.name)
        return build(*nvidia(state, attributes, size))
    if type(network) is not dict:
        raise CheckpointError(f"a {type(network).__name__} where a network was expected")
    state = {str(k).removeprefix("module."): v for k, v in network.items()}
    wrong = [name for name, v in state.items() if type(v) is not LazyTensor]
    if wrong:
        raise CheckpointError(f"{wrong[0][:80]!r} is not a tensor: not a generator's state dict")
    refuse_relatives(set(state))
    if not is_rosinality(set(state)):
        return build(*nvidia(state, {}, size))
    return build(*rosinality(state, latent_avg if type(latent_avg) is LazyTensor else None, size))


def _from_safetensors(data: memoryview) -> Generator:
    state, metadata = read_weights(data)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"safetensors of format {metadata.get('format')!r}, expected {FORMAT!r}")
    config = _config(metadata.get("config", ""))
    if "mapping.w_avg" not in state:
        raise CheckpointError("the tensor 'mapping.w_avg' is missing")
    return build(config, state)


def _config(text: str) -> GeneratorConfig:
    """The configuration in a header, its numbers bounded before anything is built from them."""
    try:
        fields = json.loads(text)
        sizes = [
            *fields["channels"],
            *(fields.get(k) or 1 for k in (*LIMITS, "embed_features", "layer_features")),
        ]
        if not all(type(v) is int and 0 < v <= 65536 for v in sizes) or len(sizes) > 32:
            raise ValueError("sizes out of range")
        for name, limit in LIMITS.items():
            if fields.get(name, 1) > limit:
                raise ValueError(f"{name} {fields[name]} exceeds {limit}")
        return GeneratorConfig.from_json(text)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"not a generator's configuration: {str(error)[:120]}") from error


def build(config: GeneratorConfig, state: dict[str, Tensor]) -> Generator:
    """A frozen generator of `config` that takes exactly the tensors of `state`, as float32."""
    try:
        with torch.device("meta"):  # shapes only: no memory is taken and no random number drawn
            G = Generator(config)
    except RusrError as error:
        raise CheckpointError(str(error)) from error
    estimate = "mapping.w_avg" not in state
    if estimate:
        state = state | {"mapping.w_avg": torch.zeros(config.w_dim)}
    wanted = {name: tuple(t.shape) for name, t in G.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in state.items()}
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            expected = wanted.get(name, "no such tensor")
            raise CheckpointError(f"{name[:80]!r} is {found.get(name, 'missing')}, expected {expected}")
    state = {name: t.float() for name, t in state.items()}
    for name, t in state.items():
        if not torch.isfinite(t).all():
            raise CheckpointError(f"{name} holds numbers that are not finite: damaged")
    G.load_state_dict(state, strict=True, assign=True)
    G.eval().requires_grad_(False)
    if estimate:
        G.mapping.w_avg.copy_(sample_w(G, 10_000, generator=torch.Generator().manual_seed(0)).mean(0))
    return G


def load_state(path: str | Path) -> dict[str, Tensor]:
    """A plain state dict of any network from torch.save or safetensors, read as data: name -> float32."""
    data, source = map_file(path), Path(path).name
    try:
        if is_safetensors(data):
            return {name: t.float() for name, t in read_weights(data)[0].items()}
        content = read_torch(data)
        if type(content) is not dict or not all(type(k) is str for k in content):
            raise CheckpointError(f"a {type(content).__name__} where a state dict was expected")
        state = {k: v for k, v in content.items() if type(v) is LazyTensor}
        state = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}  # whole numbers
        return load_tensors(state, len(data))
    except CheckpointError as error:
        raise CheckpointError(" ".join(f"{source}: {error}".split())) from error
    except DAMAGE as error:
        raise CheckpointError(f"{source}: damaged ({type(error).__name__})") from error
