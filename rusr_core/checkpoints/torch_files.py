"""Files of torch.save and NVIDIA's network pickles as plain data: records, containers, tensors.

`torch.load(weights_only=True)` is not used: it does not know NVIDIA's records, it takes the memory that a
file declares before it looks whether the file has it, and up to torch 2.5.1 it could be made to run code
(CVE-2025-32434). The same machine (unpickle.py) reads the outer pickle and the tensor streams nested in it;
tensors are windows on the mapped file until they are asked for.

Layouts: torch.save as a zip archive (torch 1.6 and later) and as a stream of pickles (before, and nested in
NVIDIA's files); NVIDIA's persistence records, https://github.com/NVlabs/stylegan2-ada-pytorch,
torch_utils/persistence.py.
"""

import struct
import zipfile
import zlib
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from rusr_core.checkpoints.machine import Budget, Builder, Machine, Name, Record, check_key
from rusr_core.checkpoints.safetensors import CheckpointError, to_tensor

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a torch.save stream
PROTOCOL = 1001
LEGACY_TF = (
    "a TensorFlow pickle of StyleGAN1 or StyleGAN2: convert StyleGAN2 with legacy.py of "
    "NVlabs/stylegan2-ada-pytorch, then load the result; StyleGAN1 is not supported"
)
DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass
class Storage:
    """Numbers in the file: type, how many, and the bytes (a window), whose CRC-32 is checked when they are used."""

    dtype: torch.dtype
    count: int
    raw: memoryview = memoryview(b"")
    crc: int | None = None

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize

    def bytes(self) -> memoryview:
        if self.crc is not None and zlib.crc32(self.raw) != self.crc:
            raise CheckpointError("damaged: the CRC-32 of a tensor's bytes is wrong")
        self.crc = None
        return self.raw


@dataclass(frozen=True)
class LazyTensor:
    """A tensor in the file: its storage and layout, checked to lie inside; `load` copies it out."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.storage.dtype.itemsize

    def load(self) -> Tensor:
        """A contiguous tensor of the stored type, whatever layout (such as channels-last) the file has."""
        if not prod(self.shape):
            return torch.empty(self.shape, dtype=self.storage.dtype)
        size = self.storage.dtype.itemsize
        reach = sum((n - 1) * step for n, step in zip(self.shape, self.stride, strict=True)) + 1
        flat = to_tensor(self.storage.bytes()[self.offset * size : (self.offset + reach) * size], self.storage.dtype)
        return flat.as_strided(self.shape, self.stride).contiguous()


def _sizes(values: object) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > 8 or not all(type(v) is int and 0 <= v < 2**40 for v in values):
        raise CheckpointError("a tensor whose shape is not a few whole numbers: damaged")
    return values


def _tensor(storage: Storage, offset: int, shape: tuple, stride: tuple, *_: object) -> LazyTensor:
    """torch._utils._rebuild_tensor_v2; nothing may be declared that the storage does not hold."""
    shape, stride, (offset,) = _sizes(shape), _sizes(stride), _sizes((offset,))
    if type(storage) is not Storage or len(shape) != len(stride):
        raise CheckpointError("a tensor without a storage: damaged")
    reach = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1 if prod(shape) else 0
    if max(reach, prod(shape)) > storage.count:
        raise CheckpointError(f"a tensor {shape} declared over a storage of {storage.count} numbers: refused")
    return LazyTensor(storage, offset, shape, stride)


def _parameter(data: LazyTensor, *_: object) -> LazyTensor:
    if type(data) is not LazyTensor:
        raise CheckpointError("a parameter without a tensor: damaged")
    return data


def _network(meta: dict) -> Record:
    """A persistence record. The program text inside (`module_src`) is dropped unread."""
    if type(meta) is not dict or type(meta.get("class_name")) is not str or type(meta.get("state")) is not dict:
        raise CheckpointError("a network record without class name and state: damaged")
    return Record(meta["class_name"], state=meta["state"])


def _dtype(code: object, *_: object) -> Record:
    return Record("dtype", (code,))


def _scalar(dtype: Record, raw: object) -> int | float:
    """numpy scalar: type and bytes -> a Python number. NVIDIA's gains are stored so."""
    forms = {"f8": "<d", "f4": "<f", "f2": "<e", "i8": "<q", "i4": "<i", "u1": "<B", "b1": "<?"}
    if type(dtype) is not Record or dtype.name != "dtype" or dtype.args[0] not in forms:
        raise CheckpointError("a numpy number of an unexpected type: refused")
    order = dtype.state.get("", (0, "<"))[1]
    return struct.unpack(forms[dtype.args[0]].replace("<", ">" if order == ">" else "<"), raw)[0]


def _legacy_tf(*_: object) -> None:
    raise CheckpointError(LEGACY_TF)


def _empty(kind: Builder) -> Builder:
    def build() -> object:
        return kind()

    return build


def _named(name: str) -> Builder:
    return lambda *args: Record(name, args)


class Reader:
    """One file: its bytes, the allowed names, and what it may still use up."""

    def __init__(self, data: memoryview):
        self.data = data
        self.budget = Budget(copies=2 * len(data) + 2**20)
        self.names: dict[str, Builder] = {
            "collections.OrderedDict": _empty(dict),
            "dnnlib.util.EasyDict": _empty(dict),
            "argparse.Namespace": _empty(dict),
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
            "numpy.dtype": _dtype,
            "_codecs.encode": self._encode,
            "dnnlib.tflib.network.Network": _legacy_tf,
            "torch_utils.persistence._reconstruct_persistent_obj": _network,
        }
        for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            self.names |= {f"{module}.scalar": _scalar, f"{module}._reconstruct": _named("ndarray")}
        self.names["numpy.ndarray"] = _named("ndarray type")
        for module in ("builtins", "__builtin__"):
            self.names |= {f"{module}.set": self._set, f"{module}.bytes": _empty(bytes)}
        self.names |= {f"torch.{name}": _named(name) for name in DTYPES}

    def _encode(self, text: str, encoding: str = "latin1") -> bytes:
        if encoding != "latin1":
            raise CheckpointError(f"bytes encoded as {encoding!r}, expected 'latin1'")
        self.budget.copy(len(text))
        return text.encode("latin1")

    def _set(self, members: list) -> set:
        self.budget.copy(8 * len(members))
        return set(map(check_key, members))

    def network_pickle(self) -> object:
        """A pickle with NVIDIA's records, each tensor a stream of its own."""
        return Machine(self.data, self.names | {"torch.storage._load_from_bytes": self._nested}, self.budget).run()

    def _nested(self, raw: memoryview | bytes) -> Storage:
        storage = self.stream(memoryview(raw))
        if type(storage) is not Storage:
            raise CheckpointError("a nested stream that is not a tensor's storage: refused")
        return storage

    def stream(self, data: memoryview) -> object:
        """torch.save before 1.6: magic, version, system, the object, storage keys, then the storages in that order."""
        storages: dict[str, Storage] = {}

        def persistent(key: object) -> Storage:
            dtype, name, count = _storage_id(key)
            storage = storages.setdefault(name, Storage(dtype, count))
            if storage.dtype is not dtype or storage.nbytes > len(data):
                raise CheckpointError(f"declares a storage of {storage.nbytes} bytes in {len(data)}: refused")
            return storage

        machine = Machine(data, self.names, self.budget, persistent)
        magic, version, system = machine.run(), machine.run(), machine.run()
        if magic != MAGIC or version != PROTOCOL or type(system) is not dict or system.get("little_endian") is not True:
            raise CheckpointError("not a torch.save stream of this byte order: damaged")
        value, order = machine.run(), machine.run()
        if type(order) is not list or sorted(map(str, order)) != sorted(storages):
            raise CheckpointError("a tensor stream whose storages are not those it lists: damaged")
        for name in order:
            storage = storages[name]
            if machine.number("<q") != storage.count:
                raise CheckpointError("a storage of another length than declared: damaged")
            storage.raw = machine.take(storage.nbytes)
        return value

    def archive(self) -> object:
        """torch.save since 1.6: a zip archive of data.pkl and one uncompressed record for each storage."""
        records = _zip_records(self.data)
        pickles = [name for name in records if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise CheckpointError("a zip archive that is not one of torch.save (expected one data.pkl)")
        prefix = pickles[0].removesuffix("data.pkl")
        raw, crc = records[pickles[0]]
        if zlib.crc32(raw) != crc:
            raise CheckpointError("damaged: the CRC-32 of data.pkl is wrong")
        if bytes(records.get(f"{prefix}byteorder", (b"little", 0))[0]) != b"little":
            raise CheckpointError("a torch.save archive of another byte order")
        storages: dict[str, Storage] = {}

        def persistent(key: object) -> Storage:
            dtype, name, count = _storage_id(key)
            if f"{prefix}data/{name}" not in records:
                raise CheckpointError(f"a tensor whose record {name[:40]!r} is not in the archive: damaged")
            part, crc = records[f"{prefix}data/{name}"]
            storage = storages.setdefault(name, Storage(dtype, count, part, crc))
            if storage.nbytes != len(part) or storage.dtype is not dtype:
                raise CheckpointError(
                    f"declares a storage of {storage.nbytes} bytes, its record has {len(part)}: refused"
                )
            return storage

        return Machine(raw, self.names, self.budget, persistent).run()


def _storage_id(key: object) -> tuple[torch.dtype, str, int]:
    """(type, key, count) of a persistent id ('storage', torch.FloatStorage, key, device, count[, view])."""
    if type(key) is not tuple or len(key) not in (5, 6) or key[0] != "storage" or key[5:] not in ((), (None,)):
        raise CheckpointError("a persistent id that is not a tensor's storage: refused")
    _, kind, name, _, count = key[:5]
    kind = kind.name.removeprefix("torch.") if type(kind) is Name else None
    if kind not in DTYPES or type(name) is not str or type(count) is not int or not 0 <= count < 2**40:
        raise CheckpointError("a tensor storage of an unexpected type or length: refused")
    return DTYPES[kind], name, count


def _zip_records(data: memoryview) -> dict[str, tuple[memoryview, int]]:
    """Uncompressed records of a zip archive as windows, with their CRC-32. Names are labels here, never paths."""
    records: dict[str, tuple[memoryview, int]] = {}
    total = 0
    for info in zipfile.ZipFile(data.obj).infolist():
        name, at = info.filename, info.header_offset
        if name in records or name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise CheckpointError(f"a zip archive with the entry {name[:80]!r}: refused")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 1:
            raise CheckpointError("a zip archive with packed entries, which torch.save never writes: refused")
        signature, names, extra = struct.unpack("<4s22xHH", data[at : at + 30])
        start = at + 30 + names + extra
        total += info.file_size
        if signature != b"PK\x03\x04" or start + info.file_size > len(data) or total > len(data):
            raise CheckpointError("a zip archive whose entries do not fit the file: truncated or damaged")
        records[name] = (data[start : start + info.file_size], info.CRC)
    return records


def read_torch(data: memoryview) -> object:
    """The content of a torch.save file or network pickle as plain data: dict, list, Record, LazyTensor, numbers."""
    reader = Reader(data)
    if bytes(data[:4]) == b"PK\x03\x04":
        return reader.archive()
    first = reader.network_pickle()
    return reader.stream(data) if type(first) is int and first == MAGIC else first
