"""The tensors of a checkpoint under dotted names, wherever in its containers they lie, and the generators among them.

People wrap a network's tensors in dictionaries of all kinds ("g_ema", "state_dict", "model", "params_ema", ...), save
the module itself, or put `module.`, `decoder.` or `generator.` before every name. All of this is one thing here: a
prefix. The tensors of a generator are told by their names, and the prefix before these names is found, not assumed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rusr_core.checkpoints.records import Name, Record
from rusr_core.checkpoints.source import CheckpointError
from rusr_core.checkpoints.torch_files import LazyTensor
from rusr_core.generator import fir_kernel

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
MAX_DEPTH = 16  # containers within containers; nothing deeper is looked at
MAX_ENTRIES = 3_000_000  # twice as many as a file can write, so that some may be met on several ways
MAX_TENSORS = 100_000
MAX_NAME = 200  # letters of a key
COUNTER = "num_batches_tracked"  # of batch normalisation: whole numbers, no weights
MODULE = ("_parameters", "_buffers", "_modules")  # in the state of a pickled torch.nn.Module

State = dict[str, LazyTensor]


@dataclass
class Survey:
    """What a checkpoint holds, by dotted name."""

    tensors: dict[str, LazyTensor] = field(default_factory=dict)
    others: dict[str, Record] = field(default_factory=dict)  # objects in whose place a tensor could be
    home: dict[str, str] = field(default_factory=dict)  # of each name: the prefix of the container that it lies in
    attributes: dict[str, dict] = field(default_factory=dict)  # of each module: its plain attributes
    classes: set[str] = field(default_factory=set)  # names of all classes met on the way
    keys: list[str] = field(default_factory=list)  # of the outermost container


def survey(content: object) -> Survey:
    """Look through all containers: dictionaries, lists, objects as records, pickled modules."""
    found = Survey()
    found.keys = [key for key, _ in _entries(content)]
    pending: list[tuple[str, str, object, frozenset[int]]] = [("", "", content, frozenset())]
    objects: set[int] = set()  # looked through once, since they may refer to each other in circles
    entries = 0
    for prefix, home, container, above in pending:  # which grows meanwhile: what is near comes first
        module = _is_module(container)
        if type(container) is Record:
            found.classes.add(container.name)
            if not module and id(container) in objects:
                continue
            objects.add(id(container))
        if module:
            found.attributes[prefix] = container.state
        for key, value in _entries(container):
            name, entries = f"{prefix}{key}", entries + 1
            if type(value) is LazyTensor:
                found.tensors[name], found.home[name] = value, home
            elif _is_container(value):
                within = home if module and _is_module(value) else f"{name}."
                if len(above) < MAX_DEPTH and id(value) not in above:
                    pending.append((f"{name}.", within, value, above | {id(container)}))
            elif type(value) is Record:
                found.others[name], found.home[name] = value, home
            if entries > MAX_ENTRIES or len(found.tensors) + len(found.others) + len(pending) > MAX_TENSORS:
                raise CheckpointError("more entries than any checkpoint has: refused")
    return found


def _is_module(value: object) -> bool:
    return type(value) is Record and type(value.state) is dict and any(kind in value.state for kind in MODULE)


def _is_container(value: object) -> bool:
    if type(value) is Record:
        return bool(value.items or value.members) or type(value.state) is dict
    return type(value) in (dict, list, tuple) and bool(value)


def _entries(container: object) -> Iterator[tuple[str, object]]:
    """Keys, as text, and values; of a module its parameters, buffers and parts, of an object its attributes."""
    if _is_module(container):
        parts = [container.state.get(kind) for kind in MODULE]
    elif type(container) is Record:
        parts = [container.state, container.items, container.members]
    else:
        parts = [container]
    for part in parts:
        if type(part) is dict:
            named = ((_label(key), value) for key, value in part.items())
            yield from ((key, value) for key, value in named if key is not None)
        elif type(part) in (list, tuple):
            yield from ((str(i), value) for i, value in enumerate(part))


def _label(key: object) -> str | None:
    """A key as part of a name; None for one that is too long for any name."""
    text = key.name if type(key) in (Record, Name) else str(key)
    return text if len(text) <= MAX_NAME else None


def prefixes(found: Survey, marks: tuple[str, ...]) -> list[str]:
    """Every prefix under which all the tensors `marks` lie."""
    first = marks[0]
    ends = [n.removesuffix(first) for n in found.tensors if n == first or n.endswith(f".{first}")]
    return [prefix for prefix in ends if all(f"{prefix}{mark}" in found.tensors for mark in marks)]


def under(found: Survey, prefix: str, marks: tuple[str, ...], roots: tuple[str, ...]) -> State:
    """The tensors of one network, without their prefix: those that lie where the `marks` lie, and those of its parts.

    `roots` are the first words of the network's names; an object in the place of one of its tensors is an error.
    """
    homes = {found.home[f"{prefix}{mark}"] for mark in marks}

    def belongs(name: str) -> bool:
        return name.startswith(prefix) and name.removeprefix(prefix).split(".")[0] in roots

    for name, record in found.others.items():
        if belongs(name):
            raise CheckpointError(f"{name[:80]!r} is a {record.name[:80]!r}, where a tensor is needed")
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in found.tensors.items()
        if belongs(name) or (name.startswith(prefix) and found.home[name] in homes)
    }


def load_tensors(state: State, file_size: int) -> dict[str, Tensor]:
    """Copy tensors out of the file as float32; only floating-point types, and no more bytes than the file has."""
    if sum(t.nbytes for t in state.values()) > file_size:
        raise CheckpointError("tensors that share their numbers, declared larger than the file: refused")
    for name, tensor in state.items():
        require_floats(name, tensor.storage.dtype)
    return {name: tensor.load().float() for name, tensor in state.items()}


def require_floats(name: str, dtype: torch.dtype) -> None:
    """CheckpointError for a tensor of whole or complex numbers where weights are expected."""
    if dtype not in FLOATS:
        raise CheckpointError(f"{name[:80]!r} is of type {dtype}, expected floating point")


def filter_taps(kernel: Tensor | None) -> tuple[float, ...]:
    """One-dimensional taps of a separable low-pass kernel [k, k] of sum 1; (1, 3, 3, 1) in published networks."""
    if kernel is None:
        return (1, 3, 3, 1)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not 1 < kernel.shape[0] <= 64:
        raise CheckpointError(f"a resampling filter of shape {tuple(kernel.shape)}, expected [4, 4]")
    if len(kernel) == 4 and torch.allclose(kernel, fir_kernel((1, 3, 3, 1))):
        return (1, 3, 3, 1)
    return tuple(kernel.sum(1).tolist())
