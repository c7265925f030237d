"""Priors by name or by path: a generator, the networks that judge its images, and the size of its W space.

The names are in data/zoo.toml, with the address that an official README publishes for each, where one does.
"""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints.generators import load_generator, load_state
from rusr_core.checkpoints.safetensors import read_metadata
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.networks.perceptual import LPIPSFeatures, Perceptual
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.networks.recognition import ArcFace, Embedder, FaceNet
from rusr_core.prior import Prior
from rusr_core.priors import zoo
from rusr_core.priors.w_std import prior_radius
from rusr_core.priors.zoo import EMBEDDED, Entry, ZooError, fetch, find

FFHQ = "ffhq-1024"  # whose rates were published


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
    generator.w_std = prior_radius(generator, path)
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
    prior = Prior.of(generator, _to(perceptual, device), _to(identity, device), name=name)
    return dataclasses.replace(prior, lr_scale=1.0) if name == FFHQ else prior


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
    priors = [entry for entry in zoo.table().values() if entry.kind == "prior" and entry.url]
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
