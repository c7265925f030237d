"""Weights on disk: safetensors with the configuration and a SHA-256 in the header.

The layout is https://github.com/huggingface/safetensors (README, "Format"): eight bytes of header length, a
JSON header, then the raw tensors. Everything the header declares is checked against the file before memory is
taken, and one changed byte is noticed: `sha256` covers the metadata, the names, types and shapes, and all
tensor bytes.
"""

import hashlib
import json
import mmap
import os
import struct
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.errors import RusrError

DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
MAX_HEADER = 4 * 2**20  # bytes; a 1024 px generator has about 20 kB


class CheckpointError(RusrError):
    """A file that is no checkpoint this library reads, is damaged, or asks for what is refused."""


def map_file(path: str | Path) -> memoryview:
    """The bytes of a file, read-only, mapped rather than read. Missing or empty: CheckpointError."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise CheckpointError(f"{path}: the file is empty")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path}: cannot be read ({getattr(error, 'strerror', error)})") from error


def to_tensor(raw: memoryview, dtype: torch.dtype) -> Tensor:
    """A one-dimensional tensor that owns a copy of `raw`."""
    if not len(raw):
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(bytearray(raw), dtype=dtype)


def _raw(tensor: Tensor) -> memoryview:
    return memoryview(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())


def _digest(metadata: dict[str, str], shapes: dict[str, list], parts: dict[str, memoryview]) -> str:
    described = {k: v for k, v in metadata.items() if k != "sha256"}
    sha = hashlib.sha256(json.dumps([described, shapes], sort_keys=True).encode())
    for name in sorted(parts):
        sha.update(parts[name])
    return sha.hexdigest()


def write_weights(tensors: dict[str, Tensor], path: str | Path, metadata: dict[str, str]) -> None:
    """Write `tensors` (float32, float16 or bfloat16) and text `metadata`; the same input gives the same
    bytes.

    The file appears under its name when it is complete: an interrupted write leaves nothing there.
    """
    path = Path(path)
    for name, tensor in tensors.items():
        if tensor.dtype not in NAMES:
            raise CheckpointError(f"{path}: {name} is {tensor.dtype}, expected one of {', '.join(map(str, NAMES))}")
    parts = {name: _raw(tensors[name]) for name in sorted(tensors)}
    shapes = {name: [NAMES[tensors[name].dtype], list(tensors[name].shape)] for name in parts}
    header, start = {"__metadata__": metadata | {"sha256": _digest(metadata, shapes, parts)}}, 0
    for name, part in parts.items():
        dtype, shape = shapes[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + len(part)]}
        start += len(part)
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for part in parts.values():
                file.write(part)
        os.replace(temporary, path)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def is_safetensors(data: memoryview) -> bool:
    """Whether the bytes look like safetensors: a plausible header length, then a brace."""
    return len(data) > 9 and data[8] == ord("{") and struct.unpack("<Q", data[:8])[0] <= len(data) - 8


def _header(data: memoryview) -> tuple[dict[str, str], dict[str, dict], memoryview]:
    size = struct.unpack("<Q", data[:8])[0]
    if size > MAX_HEADER:
        raise CheckpointError(f"a header of {size} bytes, expected at most {MAX_HEADER}")
    try:
        header = json.loads(bytes(data[8 : 8 + size]))
    except (ValueError, RecursionError) as error:
        raise CheckpointError("damaged safetensors header") from error
    if not isinstance(header, dict) or not all(isinstance(v, dict) for v in header.values()):
        raise CheckpointError("damaged safetensors header")
    metadata = header.pop("__metadata__", {})
    if not all(isinstance(v, str) for v in metadata.values()):
        raise CheckpointError("header metadata must be text")
    return metadata, header, data[8 + size :]


def _whole(*values: object) -> bool:
    return all(type(v) is int and v >= 0 for v in values)


def _part(name: str, entry: dict, body: memoryview) -> tuple[torch.dtype, list[int], memoryview]:
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if dtype not in DTYPES:
        raise CheckpointError(f"{name[:80]!r} is {str(dtype)[:20]}, expected one of {', '.join(DTYPES)}")
    fits = isinstance(shape, list) and len(shape) <= 8 and _whole(*shape)
    fits = fits and isinstance(offsets, list) and len(offsets) == 2 and _whole(*offsets)
    if not fits or prod(shape) * DTYPES[dtype].itemsize != offsets[1] - offsets[0] or offsets[1] > len(body):
        raise CheckpointError(f"{name[:80]!r} does not fit its bytes in the file: truncated or damaged")
    return DTYPES[dtype], shape, body[offsets[0] : offsets[1]]


def read_metadata(path: str | Path) -> dict[str, str]:
    """The header's metadata; {} for a file that is not safetensors. Nothing is verified."""
    data = map_file(path)
    return _header(data)[0] if is_safetensors(data) else {}


def read_weights(data: memoryview) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (as stored) and metadata of safetensors bytes, verified against their SHA-256; else CheckpointError."""
    metadata, header, body = _header(data)
    entries = {name: _part(name, entry, body) for name, entry in header.items()}
    if sum(len(raw) for _, _, raw in entries.values()) != len(body):
        raise CheckpointError("tensors do not cover the file exactly: truncated or damaged")
    shapes = {name: [NAMES[dtype], shape] for name, (dtype, shape, _) in entries.items()}
    digest = _digest(metadata, shapes, {name: raw for name, (_, _, raw) in entries.items()})
    if metadata.get("sha256", digest) != digest:
        raise CheckpointError(f"damaged, SHA-256 is {digest[:16]}..., expected {metadata['sha256'][:16]}...")
    return {name: to_tensor(raw, dtype).reshape(shape) for name, (dtype, shape, raw) in entries.items()}, metadata
