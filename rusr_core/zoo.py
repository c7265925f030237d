"""Priors by name or by path: a generator, the networks that judge its images, and the size of its W space.

Chapter: book/zoo.ipynb.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from .checkpoints import load_generator, read_metadata
from .errors import RusrError
from .features import PortraitNet
from .generator import Generator
from .identity import Embedder
from .latents import w_radius
from .perceptual import LPIPSFeatures, Perceptual

EMBEDDED = "portraits-128"
FFHQ_TRAVEL = 12.0  # 150 steps of 0.08: the path in W for which the published learning rates were chosen


class ZooError(RusrError):
    """A prior or network that the zoo does not know, or cannot get."""


@dataclass(frozen=True)
class Prior:
    """What a restoration needs to know: frozen networks, and the scale of the learning rates."""

    name: str
    generator: Generator
    perceptual: Perceptual  # what looks alike
    identity: Embedder | None  # who it is; None: a domain without an identity network
    w_radius: float  # root mean square of |w - w_avg|
    lr_scale: float  # w_radius / 12; FFHQ, whose rates were published, keeps 1


def data_path(relative: str) -> Path:
    """A file of the project's `data/` folder, in a checkout or in an installed wheel. Missing: ZooError."""
    here = Path(__file__).resolve().parent
    for folder in (here / "_data", here.parent / "data"):
        if (folder / relative).exists():
            return folder / relative
    raise ZooError(
        f"data file {relative!r} is not installed, expected it in {here / '_data'} or {here.parent / 'data'}"
    )


def cache_dir() -> Path:
    """Where downloads and computed sizes live: `rusr` beside torch's own hub folder (TORCH_HOME,
    XDG_CACHE_HOME).
    """
    return Path(torch.hub.get_dir()).parent / "rusr"


def load_prior(
    name_or_path: str | Path = EMBEDDED,
    *,
    device: str | torch.device = "cpu",
) -> Prior:
    """The embedded prior or a checkpoint, frozen, on `device`."""
    path = data_path("portraits/generator.safetensors") if name_or_path == EMBEDDED else Path(name_or_path)
    generator = load_generator(path)
    radius = prior_radius(generator, path)
    if name_or_path == EMBEDDED:
        net = PortraitNet.load(data_path("portraits/features_a.safetensors"), device)
        return Prior(EMBEDDED, generator.to(device), net, net, radius, radius / FFHQ_TRAVEL)
    return Prior(
        path.stem, generator.to(device), LPIPSFeatures().to(device), None, radius, radius / FFHQ_TRAVEL
    )


def prior_radius(G: Generator, path: Path) -> float:
    """W radius of the generator in `path`: from its header, from an earlier computation, or computed (10,000
    samples).

    A computed radius is kept beside the weights, in the cache folder where that is not writable; it belongs
    to the mapping network's bytes, so that replaced weights never meet an old radius.
    """
    header = read_metadata(path).get("w_radius", "")
    if header:
        try:
            return float(header)
        except ValueError as error:
            raise ZooError(f"{path}: w_radius {header!r} in the header, expected a number") from error
    key = _mapping_digest(G)
    places = [cache_dir() / "radius" / f"{key}.json"]
    if path != data_path("portraits/generator.safetensors"):  # the project's own data folder is left as it is
        places.insert(0, path.with_name(path.name + ".radius.json"))
    for place in places:
        radius = _read_radius(place, key)
        if radius is not None:
            return radius
    radius = w_radius(G)
    for place in places:
        if _write_radius(place, key, radius):
            break
    return radius


def _mapping_digest(G: Generator) -> str:
    sha = hashlib.sha256()
    for name, tensor in sorted(G.mapping.state_dict().items()):
        sha.update(name.encode())
        sha.update(tensor.cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _read_radius(place: Path, key: str) -> float | None:
    try:
        kept = json.loads(place.read_text())
        return float(kept["w_radius"]) if kept["mapping_sha256"] == key else None
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
