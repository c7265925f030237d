"""What training scripts keep beside the weights is not in the way of the weights."""

import argparse
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import pathlib
import pickle
import random
import types
import uuid

import numpy as np
import pytest
import torch
from checkpoint_writers import rosinality_state, torch_bytes, write_nvidia
from conftest import random_generator

from rusr_core.checkpoints import CheckpointError, load_generator, load_state
from rusr_core.checkpoints.records import Record
from rusr_core.checkpoints.source import map_file
from rusr_core.checkpoints.torch_files import read_torch

SMALL = dict(resolution=16, channels=(8, 6, 4))


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Options:
    rate: float = 0.1
    where: pathlib.Path = pathlib.Path("/tmp")


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    rate: float = 0.1


class Trainer:
    """An object that refers to itself in circles."""

    def __init__(self):
        self.parts = {"self": self, "list": [self]}
        self.options = Options()


class WithKeywords:
    def __new__(cls, *, rate):
        return super().__new__(cls)

    def __getnewargs_ex__(self):
        return (), {"rate": 1}


class Tagged(torch.Tensor):
    """Somebody's own kind of tensor."""


class Table(dict):
    """Stands for somebody's own kind of dictionary."""


def module_function(x):
    return x


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024
BESIDE = {
    "device": torch.device("cuda:0"),
    "size": torch.Size([3, 4]),
    "dtype": torch.float32,
    "path": pathlib.PurePosixPath("/a/b"),
    "defaultdict": collections.defaultdict(list, {"a": [1]}),
    "nested defaultdict": collections.defaultdict(functools.partial(collections.defaultdict, int)),
    "ordered": collections.OrderedDict(a=1),
    "counter": collections.Counter("abc"),
    "deque": collections.deque([1, 2], maxlen=3),
    "chain": collections.ChainMap({"a": 1}),
    "named tuple": Point(1, 2),
    "date": datetime.datetime(2026, 11, 27, tzinfo=datetime.UTC),
    "duration": datetime.timedelta(seconds=3),
    "decimal": decimal.Decimal("1.5"),
    "fraction": fractions.Fraction(1, 3),
    "uuid": uuid.UUID(int=2**127),
    "namespace": argparse.Namespace(a=1, b=argparse.Namespace(c=torch.device("cpu"))),
    "simple namespace": types.SimpleNamespace(a=1),
    "complex": 1 + 2j,
    "complex tensor": torch.ones(3, dtype=torch.complex64),
    "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
    "small floats": torch.ones(2).to(torch.float8_e4m3fn),
    "unsigned": torch.ones(2).to(torch.uint16),
    "sparse": torch.eye(3).to_sparse(),
    "meta": torch.ones(2, device="meta"),
    "own kind of tensor": torch.ones(2).as_subclass(Tagged),
    "storage": torch.ones(2).untyped_storage(),
    "bytes": b"abc",
    "byte array": bytearray(b"abc"),
    "set": {1, 2},
    "frozen set": frozenset({(1, 2)}),
    "range": range(3),
    "slice": slice(1, 2),
    "ellipsis": ...,
    "large number": 2**200,
    "tuple keys": {(0, 1): 2, ((1,), 2): 3, torch.float16: 4, Colour.RED: 5, 2**100: 6, b"x": 7},
    "enum": Colour.RED,
    "enum of torch": torch.Tag.core if hasattr(torch, "Tag") else None,
    "dataclass": Options(),
    "slots": Slotted(),
    "partial": functools.partial(module_function, 1, b=torch.ones(2)),
    "function": module_function,
    "builtin": len,
    "class": Options,
    "method": {}.get,
    "own dictionary": Table(a=1),
    "keywords": WithKeywords(rate=1),
    "circle": Trainer(),
    "numpy scalar": np.float64(1.5),
    "numpy 16 bit": np.uint16(7),
    "numpy complex": np.complex64(1j),
    "numpy text": np.str_("abc"),
    "numpy date": np.datetime64("2026-11-27"),
    "numpy array": np.arange(6.0).reshape(2, 3),
    "numpy fortran": np.asfortranarray(np.ones((2, 3))),
    "numpy objects": np.array([1, "a", None], dtype=object),
    "numpy record": np.zeros(2, dtype=[("a", "f4"), ("b", "i8")]),
    "numpy generator": np.random.default_rng(0),
    "numpy state": np.random.RandomState(0).get_state(),
    "python state": random.Random(0).getstate(),
    "generator of torch": torch.Generator().get_state(),
    "module": torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU()),
    "losses": [0.5] * 50_000,
    "optimiser": torch.optim.Adam([torch.nn.Parameter(torch.ones(2))]).state_dict(),
    "schedule": torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([torch.ones(1)], 0.1), 10).state_dict(),
}


def without_what_pickle_refuses(protocol: int) -> dict[str, object]:
    """Which of these a given protocol can write (methods and slots need a newer one)."""
    kept = {}
    for name, value in BESIDE.items():
        try:
            torch_bytes(value) if protocol == 2 else pickle.dumps(value, protocol)
        except Exception:  # noqa: BLE001
            continue
        kept[name] = value
    return kept


@pytest.mark.parametrize(("zipped", "protocol"), [(True, 2), (False, 2), (True, 4), (False, 5)])
def test_whatever_lies_beside_the_weights(tmp_path, zipped, protocol):
    G = random_generator(**SMALL)
    beside = without_what_pickle_refuses(protocol)
    assert len(beside) > 55
    content = {"g_ema": rosinality_state(G), "latent_avg": G.mapping.w_avg, "args": beside}
    torch.save(content, tmp_path / "r.pt", pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    H = load_generator(tmp_path / "r.pt")
    assert torch.equal(H.synthesis.b8.conv0.weight, G.synthesis.b8.conv0.weight)
    assert torch.equal(H.mapping.w_avg, G.mapping.w_avg)


@pytest.mark.parametrize("name", BESIDE)
def test_each_beside_a_state_dict(tmp_path, name):
    """Among the tensors themselves, too, under a name of its own."""
    G = random_generator(**SMALL)
    torch.save(rosinality_state(G) | {"extra": BESIDE[name], "latent_avg": G.mapping.w_avg}, tmp_path / "r.pt")
    if name in ("complex tensor", "own kind of tensor", "generator of torch"):  # a tensor may mean another architecture
        with pytest.raises(CheckpointError, match="'extra'"):
            load_generator(tmp_path / "r.pt")
    else:
        assert torch.equal(load_generator(tmp_path / "r.pt").mapping.w_avg, G.mapping.w_avg)


def test_an_object_where_a_tensor_is_needed(tmp_path):
    state = rosinality_state(random_generator(**SMALL))
    for wrong, expected in (
        (state["style.2.weight"].numpy(), "'model.style.2.weight' is a 'numpy.*', where a tensor is needed"),
        (torch.device("cpu"), "'model.style.2.weight' is a 'torch.device', where a tensor is needed"),
        (state["style.2.weight"].to(torch.complex64), "complex64, expected floating point"),
        (0.5, "'mapping.fc1.weight' is missing|'style.2.weight' is missing|style.2"),
    ):
        torch.save({"model": state | {"style.2.weight": wrong}}, tmp_path / "r.pt")
        with pytest.raises(CheckpointError, match=expected):
            load_generator(tmp_path / "r.pt")


def test_an_object_where_a_number_is_needed(tmp_path):
    """An option inside the generator's modules; the same object elsewhere is not looked at."""
    G = random_generator(**SMALL)
    G.config = dataclasses.replace(G.config, conv_clamp=fractions.Fraction(1, 2))
    write_nvidia(G, tmp_path / "n.pkl")
    with pytest.raises(CheckpointError, match="an option of the generator is a Record, expected a number"):
        load_generator(tmp_path / "n.pkl")


def test_records_keep_what_the_file_says(tmp_path):
    content = {"a": Options(0.5), "b": functools.partial(module_function, 7), "c": Table(x=1), "d": {1}}
    torch.save(content, tmp_path / "r")
    found = read_torch(map_file(tmp_path / "r"))
    assert type(found["a"]) is Record and found["a"].name.endswith("Options") and found["a"].state["rate"] == 0.5
    assert found["b"].name == "functools.partial" and found["b"].state[1] == (7,)
    assert found["c"].items == {"x": 1} and found["d"].args == ([1],) and "Options" in repr(found["a"])


def test_tensors_with_attributes_and_unusual_classes(tmp_path):
    marked = torch.arange(3.0)
    marked.note = "kept by torch"
    content = {"a": marked, "b": torch.ones(2).as_subclass(Tagged), "c": torch.nn.Parameter(torch.zeros(2))}
    for zipped in (True, False):
        torch.save(content, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
        found = load_state(tmp_path / "t.pt")
        assert torch.equal(found["a"], torch.arange(3.0)) and torch.equal(found["b"], torch.ones(2)) and len(found) == 3


def test_numpy_numbers_of_all_types(tmp_path):
    kinds = "f8 f4 f2 i8 i4 i2 i1 u8 u4 u2 u1 b1 >f8 >i4".split()
    content = {kind: np.dtype(kind).type(1) if ">" not in kind else np.array(3, kind)[()] for kind in kinds}
    (tmp_path / "n").write_bytes(torch_bytes(content))
    found = read_torch(map_file(tmp_path / "n"))
    assert found == {kind: 3 if ">" in kind else 1 for kind in kinds}


def python2_pickle(state: dict[str, torch.Tensor]) -> bytes:
    """The tensors as Python 2 wrote them: strings without a type, an OrderedDict from a list of pairs."""
    data = torch_bytes(collections.OrderedDict(state), zipped=False)
    for name in state:
        text = name.encode()
        data = data.replace(b"X" + len(text).to_bytes(4, "little") + text, b"U" + bytes([len(text)]) + text)
    return data


def test_files_of_python_2(tmp_path):
    """As torchvision's VGG16 and the weights of the package lpips are."""
    state = {"features.0.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1)}
    (tmp_path / "old.pth").write_bytes(python2_pickle(state))
    assert b"U\x11features.0.weight" in (tmp_path / "old.pth").read_bytes()
    found = load_state(tmp_path / "old.pth")
    assert list(found) == list(state) and all(torch.equal(found[k], v) for k, v in state.items())
