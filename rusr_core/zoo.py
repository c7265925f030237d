"""Priors by name or by path: a generator, the networks that judge its images, and the size of its W space.

The names are in data/zoo.toml, with the address that an official README publishes for each, where one does.
"""

import hashlib
import json
import os
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from . import downloads
from .checkpoints import load_generator, load_state, read_metadata
from .errors import RusrError
from .features import PortraitNet
from .generator import Generator
from .identity import ArcFace, Embedder, FaceNet
from .images import load_image
from .latents import w_radius
from .perceptual import LPIPSFeatures, Perceptual

EMBEDDED = "portraits-128"
FFHQ = "ffhq-1024"
FFHQ_TRAVEL = 12.0  # 150 steps of 0.08: the path in W for which the published learning rates were chosen


class ZooError(RusrError):
    """A prior or network that the zoo does not know, or cannot get."""


@dataclass(frozen=True)
class Entry:
    """One line of the table. Empty `url`: no address could be verified, supply a path."""

    name: str
    kind: str  # "prior", "identity" or "perceptual"
    title: str
    license: str
    source: str  # where the address is published
    url: str
    sha256: str  # as published, perhaps only its first digits; empty: pinned at the first download
    size: str  # as published
    domain: str = "faces"
    resolution: int | None = None
    faces: bool = True

    @property
    def path(self) -> Path:
        """Where the downloaded file lies, or would; torchvision's where torchvision puts it."""
        if self.kind == "perceptual":
            return Path(torch.hub.get_dir()) / "checkpoints" / self.url.rsplit("/", 1)[-1]
        return cache_dir() / self.name / self.url.rsplit("/", 1)[-1]


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
    raise ZooError(f"data file {relative!r} is not installed, expected it in {here / '_data'}")


def cache_dir() -> Path:
    """Downloads and computed sizes: `rusr` beside torch's own hub folder (TORCH_HOME, XDG_CACHE_HOME)."""
    return Path(torch.hub.get_dir()).parent / "rusr"


def table() -> dict[str, Entry]:
    """The zoo by name: generators, then identity networks."""
    with open(data_path("zoo.toml"), "rb") as file:
        kinds = tomllib.load(file)
    rows = [(kind, name, row) for kind, entries in kinds.items() for name, row in entries.items()]
    return {name: Entry(name=name, kind=kind, **row) for kind, name, row in rows}


def fetch(name: str) -> Path:
    """The file of an entry, downloaded on first use (see `downloads.fetch`). No address: ZooError.

    A download shows a progress bar on a terminal, and says on stderr when it pinned a hash that nobody states.
    """
    entry = find(name)
    if not entry.url:
        raise ZooError(f"{name} has no verified address: supply a path ({entry.title}; {entry.source})")
    new = not entry.path.exists()
    with tqdm(unit="B", unit_scale=True, desc=name, leave=False, disable=not new or None) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = downloads.fetch(entry.url, entry.path, entry.sha256, progress)
    if new and not entry.sha256:
        print(f"{name}: no publisher states a SHA-256; pinned {found} at this first download", file=sys.stderr)
    return entry.path


def find(name: str, kind: str = "") -> Entry:
    """One entry of the table; a name that is not in it is an error that lists those that are."""
    known = {n: e for n, e in table().items() if e.kind.startswith(kind)}
    if name not in known:
        raise ZooError(f"{name!r} is neither a file nor in the zoo: {', '.join([EMBEDDED, *known])}")
    return known[name]


def load_prior(
    name_or_path: str | Path = EMBEDDED,
    *,
    device: str | torch.device = "cpu",
    perceptual: str | Perceptual | None = None,
    identity: str | Path | Embedder | None = None,
) -> Prior:
    """A prior, frozen, on `device`: the embedded one, one of the zoo (downloaded on first use), or a
    checkpoint.

    Args: name_or_path: "portraits-128", a name in data/zoo.toml, or a file that `load_generator` reads.
    perceptual: "lpips" (VGG), "portraits" (the embedded net) or a network; by default the embedded net for
    the embedded prior, else LPIPS. identity: what `load_identity` takes, or a network. By default the
    embedded net for the embedded prior, else none.
    """
    embedded = str(name_or_path) == EMBEDDED
    path, name, entry = _locate(name_or_path)
    generator = load_generator(path)
    radius = prior_radius(generator, path)
    scale = 1.0 if name == FFHQ else radius / FFHQ_TRAVEL
    perceptual = perceptual or ("portraits" if embedded else "lpips")
    if embedded and identity is None:
        identity = "portraits"
    if identity is not None and entry is not None and not entry.faces:
        raise ZooError(f"{name} shows {entry.domain}: no identity network applies")
    networks = {"portraits": portraits_net, "lpips": lpips_net}
    if isinstance(perceptual, str):
        if perceptual not in networks:
            raise ZooError(f"perceptual network {perceptual!r}: expected 'lpips' or 'portraits'")
        perceptual = networks[perceptual]()
    if isinstance(identity, str | Path):
        identity = load_identity(identity)
    if embedded and isinstance(perceptual, PortraitNet) and isinstance(identity, PortraitNet):
        identity = perceptual  # one net, two uses
    generator = generator.to(device)
    if embedded:  # few channels: channels-last is faster on a CPU; FFHQ's 512 are not
        generator = generator.to(memory_format=torch.channels_last)
    return Prior(name, generator, _to(perceptual, device), _to(identity, device), radius, scale)


def _to(network: object, device: str | torch.device) -> object:
    return network.to(device) if isinstance(network, torch.nn.Module) else network


def _locate(name_or_path: str | Path) -> tuple[Path, str, Entry | None]:
    """File, name and table entry of a prior; a file on disk goes before a name."""
    if str(name_or_path) == EMBEDDED:
        return data_path("portraits/generator.safetensors"), EMBEDDED, None
    path = Path(name_or_path)
    if path.is_file() or path.suffix:
        return path, name_of(path), None
    entry = find(str(name_or_path), "prior")
    return fetch(entry.name), entry.name, entry


def name_of(path: Path) -> str:
    """A prior's name from its file: what the header says, or the zoo's for a file that is called as published, since
    rates are scaled by it (FFHQ's are those of the paper); else the file's own.
    """
    priors = [entry for entry in table().values() if entry.kind == "prior" and entry.url]
    cached = [entry.name for entry in priors if entry.path.resolve() == path.resolve()]
    alike = [entry.name for entry in priors if entry.path.name == path.name]
    return next(iter([*cached, *alike]), read_metadata(path).get("name", path.stem))


def portraits(numbers: Iterable[int], size: int | None = None) -> Tensor:
    """Held-out test portraits by their numbers in Portraits-X, `[N, 3, size, size]` in [0, 1]; default 128 px.

    0 to 89 are new people of the kind that the prior was trained on, 90 to 99 go beyond it. `ZooError` for others.
    """
    return torch.cat([load_image(data_path(f"portraits/test/{number:03d}.png"), size=size) for number in numbers])


def lpips_net() -> LPIPSFeatures:
    """LPIPS on VGG16, whose weights are downloaded on first use."""
    return LPIPSFeatures(fetch("lpips-vgg16"))


def portraits_net() -> PortraitNet:
    """The embedded feature net, which the embedded profile optimises."""
    return PortraitNet.load(data_path("portraits/features_a.safetensors"))


def load_identity(name_or_path: str | Path) -> Embedder:
    """A frozen face embedder: "portraits", "arcface", "facenet-vggface2", "facenet-casia", or a file of
    theirs.

    A file is an ArcFace IR-SE50 or FaceNet state dict, told apart by its tensors.
    """
    if str(name_or_path) == "portraits":
        return portraits_net()
    path = Path(name_or_path)
    if not path.exists() and not path.suffix:
        path = fetch(find(str(name_or_path), "identity").name)
    state = load_state(path)
    for network in (ArcFace, FaceNet):
        if network.MARK in state:
            return network.from_state(state)
    raise ZooError(f"{path}: neither ArcFace IR-SE50 nor FaceNet (first tensor {next(iter(state), None)!r})")


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
    radius = w_radius(G)
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
