"""Checkpoints that mean harm: calls as a pickler writes them, what no pickler writes, nested and declared sizes."""

import io
import json
import os
import pickle
import struct
import subprocess
import zipfile
from collections import OrderedDict
from pathlib import Path

import dill

from rusr_core.checkpoints.records import MAX_INSTRUCTIONS


class Call:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def canary(folder: Path) -> str:
    return f"touch {folder}/executed"


def name(full: str) -> bytes:
    module, attribute = full.rsplit(".", 1)
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def raw_pickle(*parts: bytes, protocol: int = 3) -> bytes:
    return b"\x80" + bytes([protocol]) + b"".join(parts) + b"."


def legacy_stream(value: bytes, keys: bytes = b"]") -> bytes:
    """A torch.save stream of the old kind around a hand-made pickle."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}
    head = [pickle.dumps(v, protocol=2) for v in (0x1950A86A20F9469CFC6C, 1001, system)]
    return b"".join(head) + raw_pickle(value, protocol=2) + raw_pickle(keys, protocol=2)


def storage_id(kind: str, key: str, count: int) -> bytes:
    parts = b"(" + text("storage") + name(f"torch.{kind}") + text(key) + text("cpu")
    return parts + b"\x8a\x08" + struct.pack("<q", count) + b"tQ"


def huge_stream(count: int) -> bytes:
    return legacy_stream(storage_id("FloatStorage", "0", count), b"]" + text("0") + b"a") + struct.pack("<q", count)


def nested(stream: bytes) -> bytes:
    """{"G_ema": a call of _load_from_bytes on `stream`}"""
    call = name("torch.storage._load_from_bytes") + b"B" + struct.pack("<I", len(stream)) + stream + b"\x85R"
    return raw_pickle(b"}" + text("G_ema") + call + b"s")


def network(state: bytes, class_name: str = "Generator", source: str = "") -> bytes:
    meta = b"}(" + text("type") + text("class") + text("version") + b"K\x06" + text("module_src") + text(source)
    meta += text("class_name") + text(class_name) + text("state") + state + b"u"
    call = name("torch_utils.persistence._reconstruct_persistent_obj") + meta + b"\x85R"
    return raw_pickle(b"}" + text("G_ema") + call + b"s")


def archive(entries: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for entry, content in entries.items():
            file.writestr(entry, content)
    return buffer.getvalue()


def wide_tensor(shape: int, count: int = 4) -> bytes:
    """A zip archive whose tensor declares more than its storage of four floats holds."""
    size = b"\x8a\x08" + struct.pack("<q", shape)
    tensor = name("torch._utils._rebuild_tensor_v2") + b"(" + storage_id("FloatStorage", "0", count)
    tensor += b"K\x00" + size + b"\x85" + b"K\x00\x85" + b"\x89" + b"NtR"
    state = b"}" + text("style.1.weight") + tensor + b"s"
    return archive({"a/data.pkl": raw_pickle(state, protocol=2), "a/data/0": bytes(16)})


def laughs_of_pickle(depth: int = 60) -> bytes:
    """Tuples of tuples, 2^60 leaves by reference, used as a dictionary key (its hash would take for ever)."""
    grow = b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth))
    return raw_pickle(b"}" + b")" + grow + b"K\x01s")


def laughs_of_modules(depth: int = 40) -> bytes:
    """Modules within modules, each the child of the next twice."""
    leaf = b"}" + text("_modules") + b"}s"
    state = leaf
    for i in range(depth):
        call = name("torch_utils.persistence._reconstruct_persistent_obj")
        meta = b"}(" + text("class_name") + text("A") + text("state") + state + b"u"
        children = b"}(" + text("a") + call + meta + b"\x85R" + b"q" + bytes([i])
        children += text("b") + b"h" + bytes([i]) + b"u"
        state = b"}" + text("_modules") + children + b"s"
    return network(state)


def colliding(i: int) -> bytes:
    """A whole number whose hash in Python is 0."""
    number = i * (2**61 - 1)
    return b"\x8a\x10" + number.to_bytes(16, "little", signed=True)


def many_ways(depth: int = 14, width: int = 6) -> bytes:
    """Dictionaries that hold the next one several times: 6^14 ways to the last."""
    inner = b"}" + text("x") + b"Ns"
    for level in range(depth):
        entries = b"".join(text(f"k{i}") + b"h" + bytes([level]) for i in range(width))
        inner = inner + b"q" + bytes([level]) + b"0}(" + entries + b"u"
    return raw_pickle(inner)


def calls_in_python(folder: Path) -> dict[str, bytes]:
    """What Python's own pickler makes of objects with a __reduce__."""
    command = canary(folder)
    calls = {
        "os.system": Call(os.system, command),
        "subprocess": Call(subprocess.Popen, ["sh", "-c", command]),
        "eval": Call(eval, f"__import__('os').system({command!r})"),
        "exec": Call(exec, f"import os; os.system({command!r})"),
        "getattr chain": Call(getattr, Call(__import__, "os"), "system"),
        "open": Call(open, str(folder / "executed"), "w"),
        "setstate": Call(OrderedDict, state={"__setstate__": Call(os.system, command)}),
        "in a list": [1, {"deep": (Call(os.system, command),)}],
        "globals": Call(dict, Call(globals)),
        "compile": Call(compile, "1", "x", "eval"),
    }
    return {f"{key}, protocol {p}": pickle.dumps({"G_ema": v}, protocol=p) for key, v in calls.items() for p in (2, 4)}


def greedy_by_hand(folder: Path) -> dict[str, bytes]:
    """Written by hand as well: what would take all memory, or for ever."""
    system = name("os.system") + text(canary(folder)) + b"\x85R"
    return {
        "memo of 2^32": raw_pickle(b"Nr\xff\xff\xff\xff" + b"j\xff\xff\xff\xff"),
        "too many lists": raw_pickle(b"]" * (MAX_INSTRUCTIONS + 9)),
        "too many memos": raw_pickle(b"N" + b"\x94" * (MAX_INSTRUCTIONS + 9), protocol=4),
        "byte array of 10 GB": raw_pickle(b"\x96" + struct.pack("<Q", 10**10), protocol=5),
        "bytes of 10 GB": raw_pickle(b"\x8e" + struct.pack("<Q", 10**10), protocol=4),
        "text of 10 GB": raw_pickle(b"\x8d" + struct.pack("<Q", 10**10), protocol=4),
        "number of 2 GB": raw_pickle(b"\x8b" + struct.pack("<I", 2**31 - 1)),
        "frame of 2^62": raw_pickle(b"\x95" + struct.pack("<Q", 2**62) + system, protocol=4),
        "laughs as a key": laughs_of_pickle(),
        "keys of one hash": raw_pickle(b"}(" + b"".join(colliding(i) + b"N" for i in range(100_000)) + b"u"),
        "a long chain of calls": raw_pickle(name("a.b") + b")R" * 200_000),
        "a deep list": raw_pickle(b"]" * 300_000 + b"a" * 299_999),
        "one argument list, many calls": raw_pickle(
            b"(" + b"N" * 100_000 + b"tq\x010" + (name("torch._utils._rebuild_tensor_v2") + b"h\x01R0") * 5_000
        ),
        "one dictionary on many ways": many_ways(),
        "laughs of modules": laughs_of_modules(),
        "sets of one list": raw_pickle(
            b"](" + b"K\x01" * 60_000 + b"eq\x010" + (name("builtins.set") + b"h\x01\x85R") * 20_000
        ),
        "copies of one text": raw_pickle(
            text("x" * 2**20) + b"q\x010" + (name("_codecs.encode") + b"h\x01" + text("latin1") + b"\x86R") * 10_000
        ),
    }


def written_by_hand(folder: Path) -> dict[str, bytes]:
    """What no pickler writes."""
    command = text(canary(folder))
    system = name("os.system") + command + b"\x85R"
    builtin = name("__builtin__.eval") + text("1") + b"\x85R"
    stacked = b"\x8c\x02os\x8c\x06system\x93" + command + b"\x85R"
    allowed = name("collections.OrderedDict")
    imported = name("builtins.__import__") + text("os") + b"\x85R"
    return {
        "call of a getattr": raw_pickle(
            name("builtins.getattr") + imported + text("system") + b"\x86R" + command + b"\x85R"
        ),
        "text pickle": b"cos\nsystem\n(S'" + canary(folder).encode() + b"'\ntR.",
        "builtins by alias": raw_pickle(builtin),
        "stack global": raw_pickle(stacked, protocol=4),
        "dotted name": raw_pickle(b"\x8c\x05torch\x8c\x10serialization.os\x93", protocol=4),
        "dotted allowed name": raw_pickle(b"\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93", protocol=4),
        "name of a list": raw_pickle(b"]" + text("system") + b"\x93", protocol=4),
        "state of an allowed name": raw_pickle(allowed + b"}" + text("__init__") + text("x") + b"sb)R"),
        "slots of an allowed name": raw_pickle(allowed + b"N}" + text("x") + b"K\x01s\x86b)R"),
        "call of a call": raw_pickle(allowed + b")R" + b")R"),
        "arguments that are no tuple": raw_pickle(allowed + b"]R"),
        "memo never stored": raw_pickle(b"h\x07"),
        "memo swapped": raw_pickle(allowed + b"q\x010" + system + b"q\x01h\x01)R"),
        "popped bare stack": raw_pickle(b"0000"),
        "mark without end": raw_pickle(b"t"),
        "extension registry": raw_pickle(b"\x82\x01)R"),
        "instance": raw_pickle(b"(" + command + b"ios\nsystem\n"),
        "new object with keywords": raw_pickle(allowed + b")}\x92", protocol=4),
        "persistent id": raw_pickle(text("x") + b"Q"),
        "out-of-band buffer": raw_pickle(b"\x97", protocol=5),
        "another encoding": raw_pickle(name("_codecs.encode") + text("x") + text("zlib") + b"\x86R"),
        "numpy object scalar": raw_pickle(
            name("numpy.core.multiarray.scalar") + name("numpy.dtype") + text("O8") + b"\x85R" + b"C\x00\x86R"
        ),
        "persistence source": network(b"}", source=f"import os; os.system({canary(folder)!r})"),
        "persistence without state": network(b"N"),
        "state with a call": network(b"}" + text("_modules") + system + b"s"),
        "unknown function of torch": raw_pickle(name("torch.load") + text("x") + b"\x85R"),
        "hub": raw_pickle(name("torch.hub.load") + text("x") + b"\x85R"),
    }


def tricks_of_dill(folder: Path) -> dict[str, bytes]:
    """Functions by value, with their code, and detours to functions by name."""
    target = folder / "executed"
    closure = dill.dumps(lambda: target.write_text("x"), protocol=4, recurse=True)
    called = closure[:-1] + b")R."
    imported = name("dill._dill._import_module")
    system = name("dill._dill._get_attr") + imported + text("os") + b"\x85R" + text("system") + b"\x86R"
    numpy = imported + text("numpy.core._multiarray_umath") + b"\x85R"
    scalar = name("dill._dill._get_attr") + numpy + text("scalar") + b"\x86R"
    objects = name("numpy.dtype") + text("O8") + b"\x85R" + text(canary(folder))
    return {
        "dill, a closure": closure,
        "dill, a closure that is called": called,
        "dill, os.system by attribute": raw_pickle(system + text(canary(folder)) + b"\x85R", protocol=4),
        "dill, a name by attribute": raw_pickle(
            name("dill._dill._get_attr") + numpy + text("eval") + b"\x86R" + text("1") + b"\x85R"
        ),
        "dill, numpy's scalar of objects": raw_pickle(scalar + objects + b"\x86R", protocol=4),
        "dill, a scalar without end": raw_pickle(
            scalar + name("numpy.dtype") + text("f8") + b"\x85R" + text("") + b"\x86R"
        ),
        "dill, a module": raw_pickle(imported + text("this") + b"\x85R"),
        "dill, a type": raw_pickle(name("dill._dill._create_type") + name("builtins.type") + text("x") + b"\x86R)R"),
        "dill, a state that is called": raw_pickle(system + b"}" + text("x") + b"K\x01sb)R", protocol=4),
        "dill, keywords of a call": raw_pickle(system + b")}\x92", protocol=4),
    }


def nested_and_zipped(folder: Path) -> dict[str, bytes]:
    """Tensor streams within pickles, archives, declared sizes."""
    system = name("os.system") + text(canary(folder)) + b"\x85R"
    inner = nested(legacy_stream(system))
    slip = {"a/data.pkl": raw_pickle(b"}", protocol=2), "../../evil": b"x"}
    return {
        "nested reduce": inner,
        "nested in nested": nested(legacy_stream(inner[2:-1])),
        "nested bare pickle": nested(raw_pickle(system)),
        "nested zip": nested(archive({"a/data.pkl": raw_pickle(system)})),
        "nested 10 GB": nested(huge_stream(10**10 // 4)),
        "stream of 10 GB": huge_stream(10**10 // 4),
        "stream of 2^62": huge_stream(2**62),
        "stream of a negative length": huge_stream(-4),
        "stream with reduce": legacy_stream(system),
        "zip slip": archive(slip),
        "zip with an absolute path": archive({"/a/data.pkl": raw_pickle(b"}")}),
        "zip with two of a name": archive({"a/data.pkl": raw_pickle(b"}"), "b/data.pkl": raw_pickle(b"}")}),
        "zip bomb": archive({"a/data.pkl": raw_pickle(b"}"), "a/data/0": bytes(2**28)}, zipfile.ZIP_DEFLATED),
        "zip with reduce": archive({"a/data.pkl": raw_pickle(system)}),
        "zip without pickle": archive({"a/readme": b"x"}),
        "tensor of 10 GB": wide_tensor(10**10 // 4),
        "tensor over 10 GB storage": wide_tensor(4, 10**10 // 4),
        "tensor of 2^39 by stride 0": wide_tensor(2**39),
        "safetensors of 10 GB": safetensors_of(10**10 // 4),
        "safetensors of 2^70": safetensors_of(2**70),
        "safetensors, deep header": b"\x10\x27\0\0\0\0\0\0{" + b"[" * 10_000,
        "safetensors, header beyond the file": b"\xff" * 7 + b"\0" + b"{}" + bytes(50),
        "tar": b"evil" + bytes(253) + b"ustar\x0000" + bytes(500),
    }


def safetensors_of(count: int) -> bytes:
    entry = {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}
    header = json.dumps({"__metadata__": {"format": "rusr-generator", "config": "{}"}, "x": entry}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(64)


def hostile(folder: Path) -> dict[str, bytes]:
    return (
        calls_in_python(folder)
        | written_by_hand(folder)
        | greedy_by_hand(folder)
        | tricks_of_dill(folder)
        | nested_and_zipped(folder)
    )
