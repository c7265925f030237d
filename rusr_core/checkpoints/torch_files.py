"""Files of torch.save and NVIDIA's network pickles as plain data: records, containers, tensors.

`torch.load(weights_only=True)` is not used: it refuses the names that it does not know, NVIDIA's records among them,
it takes the memory that a file declares before it looks whether the file has it, and up to torch 2.5.1 it could be
made to run code (CVE-2025-32434). The same machine (machine.py) reads the outer pickle and the tensor streams nested
in it; tensors are windows on the mapped file until they are asked for.

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

from rusr_core.checkpoints.machine import Machine
from rusr_core.checkpoints.records import Budget, Builder, Name, Record, as_key
from rusr_core.checkpoints.source import CheckpointError

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of a torch.save stream
PROTOCOL = 1001
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
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "QInt8Storage": torch.int8,
    "QUInt8Storage": torch.uint8,
    "QInt32Storage": torch.int32,
    "storage.UntypedStorage": torch.uint8,
}
NUMBERS = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b"}  # numpy's types: struct's
NUMBERS |= {"u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?"}


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
        window = self.storage.bytes()[self.offset * size : (self.offset + reach) * size]
        window = bytearray(window) if window.readonly else window  # bytes that a pickle spells out as text
        flat = torch.frombuffer(window, dtype=self.storage.dtype)  # at any byte: convolutions would round otherwise
        return flat.as_strided(self.shape, self.stride).clone(memory_format=torch.contiguous_format)


def _sizes(values: object) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > 8 or not all(type(v) is int and 0 <= v < 2**40 for v in values):
        raise CheckpointError("a tensor whose shape is not a few whole numbers: damaged")
    return values


def _tensor(storage: object, offset: int, shape: tuple, stride: tuple, *rest: object) -> LazyTensor | Record:
    """torch._utils._rebuild_tensor_v2; nothing may be declared that the storage does not hold."""
    if type(storage) is Record or (len(rest) > 2 and rest[2]):  # a foreign storage, or numbers that are to be negated
        return Record("a tensor of an unusual kind", (storage,))
    shape, stride, (offset,) = _sizes(shape), _sizes(stride), _sizes((offset,))
    if type(storage) is not Storage or len(shape) != len(stride):
        raise CheckpointError("a tensor without a storage: damaged")
    reach = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) + 1 if prod(shape) else 0
    if max(reach, prod(shape)) > storage.count:
        raise CheckpointError(f"a tensor {shape} declared over a storage of {storage.count} numbers: refused")
    return LazyTensor(storage, offset, shape, stride)


def _parameter(data: object, *_: object) -> object:
    """torch._utils._rebuild_parameter, also of what is no tensor of ours."""
    return data


def _with_attributes(rebuild: object, kind: object, args: object, *_: object) -> object:
    """torch._tensor._rebuild_from_type_v2: a tensor that somebody gave attributes, or of a class of somebody's own."""
    if type(rebuild) is Name and rebuild.build in (_tensor, _parameter) and type(args) is tuple:
        return rebuild.build(*args[:16])
    return Record("torch._tensor._rebuild_from_type_v2", (rebuild, kind, args))


def _network(meta: dict, *_: object) -> Record:
    """A persistence record. The program text inside (`module_src`) is dropped unread."""
    if type(meta) is not dict or type(meta.get("class_name")) is not str or type(meta.get("state")) is not dict:
        raise CheckpointError("a network record without class name and state: damaged")
    return Record(meta["class_name"], state=meta["state"])


def _scalar(dtype: object, raw: object = b"", *_: object) -> int | float | Record:
    """numpy scalar: type and bytes -> a Python number. NVIDIA's gains are stored so."""
    kind = dtype.args[0] if type(dtype) is Record and dtype.args else None
    if type(kind) is not str or kind not in NUMBERS or not isinstance(raw, bytes | memoryview):
        return Record("numpy.scalar", (dtype, raw))  # complex numbers, dates, texts, objects
    order = dtype.state[1] if type(dtype.state) is tuple and len(dtype.state) > 1 else "<"
    return struct.unpack((">" if order == ">" else "<") + NUMBERS[kind], raw)[0]


def _dill_attribute(module: object, name: object = "", *_: object) -> Name | Record:
    """dill 0.3.4's detour to a function, `_get_attr(_import_module(...), name)`: finds numpy's scalars, no other."""
    imported = type(module) is Record and module.name == "dill._dill._import_module" and module.args[:1]
    if name == "scalar" and imported in (("numpy.core._multiarray_umath",), ("numpy._core._multiarray_umath",)):
        return Name("numpy.core.multiarray.scalar", _scalar)
    return Record("dill._dill._get_attr", (module, name))


def _dictionary(pairs: object = (), *_: object) -> dict:
    """OrderedDict and its like, empty or from pairs, as Python 2 wrote it; what fills them otherwise follows."""
    if type(pairs) is dict:
        return dict(pairs)
    if type(pairs) not in (list, tuple):
        return {}  # a defaultdict's factory
    return {as_key(key): value for key, value in pairs}


class Reader:
    """One file: its bytes, the names that are built, and what it may still use up."""

    def __init__(self, data: memoryview):
        self.data = data
        self.budget = Budget(copies=2 * len(data) + 2**20)
        self.names: dict[str, Builder] = {
            "torch._utils._rebuild_tensor": _tensor,
            "torch._utils._rebuild_tensor_v2": _tensor,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch._tensor._rebuild_from_type_v2": _with_attributes,
            "torch_utils.persistence._reconstruct_persistent_obj": _network,
            "numpy.core.multiarray.scalar": _scalar,
            "numpy._core.multiarray.scalar": _scalar,
            "dill._dill._get_attr": _dill_attribute,
            "_codecs.encode": self._encode,
        }
        for name in ("collections.OrderedDict", "collections.defaultdict", "collections.Counter"):
            self.names[name] = self._container
        for name in ("dnnlib.util.EasyDict", "easydict.EasyDict"):
            self.names[name] = self._container
        for module in ("builtins", "__builtin__"):
            self.names |= {f"{module}.dict": self._container, f"{module}.bytes": self._bytes}

    def _container(self, pairs: object = (), *_: object) -> dict:
        if type(pairs) in (list, tuple, dict):
            self.budget.copy(100 * len(pairs))
        return _dictionary(pairs)

    def _bytes(self, *parts: object) -> object:
        return Record("builtins.bytes", parts) if parts else b""

    def _encode(self, text: object, encoding: object = "latin1", *_: object) -> object:
        """How protocol 2 stores bytes: as text with one character for each."""
        if type(text) is not str or encoding != "latin1":
            return Record("_codecs.encode", (text, encoding))
        self.budget.copy(len(text))
        return text.encode("latin1")

    def network_pickle(self) -> object:
        """A pickle with NVIDIA's records, each tensor a stream of its own."""
        return Machine(self.data, self.names | {"torch.storage._load_from_bytes": self._nested}, self.budget).run()

    def _nested(self, raw: memoryview | bytes, *_: object) -> Storage:
        storage = self.stream(memoryview(raw))
        if type(storage) is not Storage:
            raise CheckpointError("a nested stream that is not a tensor's storage: refused")
        return storage

    def stream(self, data: memoryview) -> object:
        """torch.save before 1.6: magic, version, system, the object, storage keys, then the storages in that order."""
        storages: dict[str, Storage] = {}

        def persistent(key: object) -> object:
            if type(key) is tuple and len(key) == 4 and key[0] == "module":
                return key[1]  # a class, with its source text, which stays unread
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
        if type(order) is not list or not all(type(k) is str for k in order) or sorted(order) != sorted(storages):
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
                declared = f"declares a storage of {storage.nbytes} bytes"
                raise CheckpointError(f"{declared}, its record has {len(part)}: refused")
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
