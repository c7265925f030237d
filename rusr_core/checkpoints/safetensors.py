"""Safetensors files, of generators and of networks: one reader, one writer, a SHA-256 in the header.

The library `safetensors` reads and writes the format (https://github.com/huggingface/safetensors) and checks that
the header fits the bytes. What is added here: `sha256` in the header covers the metadata, the names, types and
shapes, and all numbers, so that one changed byte is noticed. A file without that entry, as other tools write it, is
verified by the line for it in a `SHA256SUMS` (the format of `sha256sum`) in its folder, as the feature nets in
data/portraits are; where there is no such line either, it is taken as it is.
"""

import hashlib
import json
import struct
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from rusr_core.checkpoints.source import CheckpointError, map_file, reading
from rusr_core.files import write_atomic

NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}  # what is written
MAX_HEADER = 4 * 2**20  # bytes; a 1024 px generator has about 20 kB


def write_tensors(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str]) -> None:
    """Write `tensors` (float32, float16 or bfloat16) and text `metadata`; the same input gives the same bytes.

    The file appears complete or not at all. Another type, or metadata that is not text: CheckpointError; a place
    that cannot be written: FileError.
    """
    for name, tensor in tensors.items():
        if tensor.dtype not in NAMES:
            raise CheckpointError(f"{path}: {name} is {tensor.dtype}, expected one of {', '.join(map(str, NAMES))}")
    if not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError(f"{path}: header entries must be text, got {metadata!r}")
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    types = {name: NAMES[t.dtype] for name, t in tensors.items()}
    data = save(tensors, metadata | {"sha256": _digest(tensors, types, metadata)})
    write_atomic(path, _with_sorted_header(data))


def halved(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as float16, rounded. CheckpointError for numbers beyond its range, which would become infinite."""
    halves = {name: t.detach().half().contiguous() for name, t in tensors.items()}
    for name, t in tensors.items():
        if not torch.equal(halves[name].isfinite(), t.isfinite()):
            largest = torch.finfo(torch.float16).max
            raise CheckpointError(f"{name} holds {t.abs().max():g}: expected at most {largest:g} in float16")
    return halves


def _with_sorted_header(data: bytes) -> bytes:
    """The library orders the metadata differently in each process; sorted, equal content has equal bytes."""
    size = struct.unpack("<Q", data[:8])[0]
    text = json.dumps(json.loads(data[8 : 8 + size]), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def _digest(tensors: dict[str, Tensor], types: dict[str, str], metadata: dict[str, str]) -> str:
    described = {k: v for k, v in metadata.items() if k != "sha256"}
    shapes = {name: [types[name], list(t.shape)] for name, t in tensors.items()}
    sha = hashlib.sha256(json.dumps([described, shapes], sort_keys=True).encode())
    for name in sorted(tensors):
        sha.update(memoryview(tensors[name].contiguous().flatten().view(torch.uint8).numpy()))
    return sha.hexdigest()


def is_safetensors(data: memoryview) -> bool:
    """Whether the bytes look like safetensors: a plausible header length, then a brace."""
    return len(data) > 9 and data[8] == ord("{") and struct.unpack("<Q", data[:8])[0] <= len(data) - 8


def read_metadata(path: str | Path) -> dict[str, str]:
    """The header's metadata; {} for a file that is not safetensors. Nothing is verified."""
    data = map_file(path)
    if not is_safetensors(data):
        return {}
    with reading(path):
        return _metadata(data, path)


def _metadata(data: memoryview, path: str | Path) -> dict[str, str]:
    size = struct.unpack("<Q", data[:8])[0]
    if size > MAX_HEADER:
        raise CheckpointError(f"a header of {size} bytes, expected at most {MAX_HEADER}")
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"damaged safetensors ({str(error)[:120]})") from error


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors, as stored, and metadata of a safetensors file, verified as this module says; else CheckpointError."""
    data = map_file(path)
    with reading(path):
        if not is_safetensors(data):
            raise CheckpointError(f"begins with {bytes(data[:8])!r}, expected safetensors")
        metadata = _metadata(data, path)
        with safe_open(path, "pt") as file:
            types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            # copied: in the file they lie at any byte, and convolutions round differently where memory is not aligned
            tensors = {name: file.get_tensor(name).clone() for name in types}
        if "sha256" in metadata:
            _compare(_digest(tensors, types, metadata), metadata["sha256"])
        else:
            stated = _listed(Path(path))
            if stated:
                _compare(hashlib.sha256(data).hexdigest(), stated)
        return tensors, metadata


def _compare(found: str, expected: str) -> None:
    if found != expected:
        raise CheckpointError(f"damaged, SHA-256 is {found[:16]}..., expected {expected[:16]}...")


def _listed(path: Path) -> str:
    """The SHA-256 that a `SHA256SUMS` in the file's folder states for it; '' without one."""
    try:
        lines = path.with_name("SHA256SUMS").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    stated = (line.split(maxsplit=1) for line in lines if " " in line)
    return next((sha for sha, name in stated if name.lstrip("*") == path.name), "")
