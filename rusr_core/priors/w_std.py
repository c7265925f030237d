"""The size of a generator's W space, computed once and kept beside the weights."""

import hashlib
import json
import os
from pathlib import Path

from rusr_core.checkpoints.safetensors import read_metadata
from rusr_core.files import cache_dir, data_path
from rusr_core.generator import Generator
from rusr_core.priors.zoo import ZooError


def prior_radius(G: Generator, path: Path) -> float:
    """W radius of the generator in `path`: from its header, from an earlier computation, or computed (10,000
    samples).

    A computed radius is kept beside the weights, in the cache folder where that is not writable; it belongs
    to the mapping network's bytes, so that replaced weights never meet an old radius.
    """
    header = read_metadata(path).get("w_radius", "")
    if header:
        radius = _positive(header)
        if radius is None:
            raise ZooError(f"{path}: w_radius {header[:40]!r} in the header, expected a positive number")
        return radius
    key = _mapping_digest(G)
    places = [cache_dir() / "radius" / f"{key}.json"]
    if not path.resolve().is_relative_to(data_path("portraits").resolve()):  # our own folder is left as it is
        places.insert(0, path.with_name(path.name + ".radius.json"))
    for place in places:
        radius = _read_radius(place, key)
        if radius is not None:
            return radius
    radius = G.mapping.measure_std()
    next((place for place in places if _write_radius(place, key, radius)), None)
    return radius


def _positive(text: str | float) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def _mapping_digest(G: Generator) -> str:
    sha = hashlib.sha256()
    for name, tensor in sorted(G.mapping.state_dict().items()):
        sha.update(name.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _read_radius(place: Path, key: str) -> float | None:
    try:
        kept = json.loads(place.read_text())
        return _positive(kept["w_radius"]) if kept["mapping_sha256"] == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or of other weights: computed again


def _write_radius(place: Path, key: str, radius: float) -> bool:
    temporary = place.with_name(f"{place.name}.{os.getpid()}.tmp")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"mapping_sha256": key, "w_radius": radius}))
        os.replace(temporary, place)
        return True
    except OSError:
        return False
