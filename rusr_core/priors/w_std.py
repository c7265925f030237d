"""The size of a generator's W space, computed once and kept beside the weights."""

import hashlib
import json
from pathlib import Path

from rusr_core.checkpoints.safetensors import read_metadata
from rusr_core.files import FileError, cache_dir, data_path, json_object, write_atomic
from rusr_core.generator import StyleGenerator
from rusr_core.priors.zoo import ZooError


def prior_w_std(G: StyleGenerator, path: Path) -> float:
    """The deviation of w (`Mapping.measure_std`) of the generator in `path`: from its header, else from an earlier
    computation, else computed from 10,000 samples.

    A computed value is kept beside the weights, in the cache folder where that is not writable. It belongs to the
    mapping network's bytes, so that replaced weights never meet an old value. A header that states anything but a
    positive number is a ZooError. Where a class was chosen, the value is that of the class, and no header states it.
    """
    header = read_metadata(path) if G.label is None else {}  # which states that of all classes
    stated = header.get("w_std", header.get("w_radius", ""))  # w_radius: its older name
    if stated:
        value = _positive(stated)
        if value is None:
            raise ZooError(f"{path}: w_std {stated[:40]!r} in the header, expected a positive number")
        return value
    chosen = "" if G.label is None else f".class{G.label}"
    key = mapping_digest(G) + chosen
    places = [cache_dir() / "w_std" / f"{key}.json"]
    if not path.resolve().is_relative_to(data_path("portraits").resolve()):  # our own folder is left as it is
        places.insert(0, path.with_name(f"{path.name}{chosen}.w_std.json"))
    for place in places:
        value = _read(place, key)
        if value is not None:
            return value
    value = G.mapping.measure_std(label=G.label)
    next((place for place in places if _write(place, key, value)), None)
    return value


def _positive(text: str | float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def mapping_digest(G: StyleGenerator) -> str:
    """SHA-256 of the mapping network, names and float32 tensors: the same for the same weights in any kind of file."""
    sha = hashlib.sha256()
    for name, tensor in sorted(G.mapping.state_dict().items()):
        sha.update(name.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _read(place: Path, key: str) -> float | None:
    try:
        kept = json_object(place.read_text(encoding="utf-8"))
        return _positive(kept["w_std"]) if kept["mapping_sha256"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or of other weights: computed again


def _write(place: Path, key: str, value: float) -> bool:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(place, json.dumps({"mapping_sha256": key, "w_std": value}).encode())
        return True
    except (OSError, FileError):
        return False
