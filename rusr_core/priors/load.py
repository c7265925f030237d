"""Priors by name or by path: a generator, the networks that judge its images, and the size of its W space.

The names are in data/zoo.toml, with the address that an official README publishes for each, where one does.
"""

import dataclasses
import importlib.util
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.arithmetic import gradients, usable_device
from rusr_core.checkpoints.generators import load_generator
from rusr_core.checkpoints.networks import load_portrait_net, load_state
from rusr_core.checkpoints.safetensors import read_metadata
from rusr_core.errors import RusrWarning
from rusr_core.files import data_path
from rusr_core.generator import StyleGenerator
from rusr_core.images import load_image
from rusr_core.limits import check_whole, shown
from rusr_core.networks.perceptual import LPIPSFeatures, Perceptual
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.networks.recognition import ArcFace, Embedder, FaceNet
from rusr_core.prior import Prior
from rusr_core.priors.downloads import DownloadError
from rusr_core.priors.own import is_own, own_generator
from rusr_core.priors.w_std import mapping_digest, prior_w_std
from rusr_core.priors.zoo import EMBEDDED, Entry, ZooError, at_path, fetch, find, table

GENERATOR = "portraits/generator.safetensors"  # of the embedded prior, in data/
PORTRAITS = "portraits"  # the embedded feature net
PORTRAITS_X = 100  # test portraits


@dataclass(frozen=True)
class Source:
    """The file of a prior, and what its content says: never what it is called."""

    path: Path
    name: str
    entry: Entry | None = None  # of the zoo
    portraits: bool = False  # made for the embedded feature net: the embedded prior, or one of our training scripts
    published: bool = False  # the header says that the published learning rates are those of this network


@gradients()  # weights that are made in torch.inference_mode let no gradient through
def load_prior(
    name_or_path: str | Path = EMBEDDED,
    *,
    device: str | torch.device = "cpu",
    perceptual: str | Perceptual | bool | None = None,
    identity: str | Path | Embedder | bool | None = None,
    label: int | None = None,
) -> Prior:
    """A prior, frozen, on `device`: the embedded one, one of the zoo, or a checkpoint.

    One file gives one prior, whether it is asked for by name or by path, and whatever it is called.

    Args:
        name_or_path: "portraits-128", a name in data/zoo.toml (downloaded on first use), a file that `load_generator`
            reads, or MODULE:NAME of a generator of one's own, see `priors.own`.
        perceptual: "lpips" (VGG16), "portraits" (the embedded feature net) or a network; False for none. By default the
            embedded net for the embedded prior and for priors of our training scripts, whose header says so; else
            LPIPS.
        identity: what `load_identity` takes, or a network; False for none. By default the embedded net where it is also
            the perceptual default, else none.
        label: the class of a conditional generator, from 0: mean and size of W are those of the class. By default they
            are those of all classes together, which a RusrWarning says.

    Raises ZooError for a name or network that is not known, CheckpointError for a file that cannot be read,
    DownloadError, DeviceError, RusrError for a class that the generator does not have; for a generator of one's own
    OwnCodeError where it cannot be imported, PriorError for what it lacks.
    """
    device = usable_device(device)
    if is_own(name_or_path):
        return _own_prior(name_or_path, device, perceptual, identity, label)
    source = locate(name_or_path)
    if perceptual is None:
        perceptual = PORTRAITS if source.portraits else "lpips"
    if identity is None:
        identity = PORTRAITS if source.portraits else False
    _check_networks(source, perceptual, identity)
    generator = load_generator(source.path)
    generator.choose(label)
    if label is None and generator.config.c_dim:
        words = f"{source.name} has {generator.config.c_dim} classes: a search begins at the mean of all of them"
        warnings.warn(f"{words}; label= or --class takes one", RusrWarning, stacklevel=2)
    generator.w_std = prior_w_std(generator, source.path)
    look = _perceptual(perceptual) if isinstance(perceptual, str) else perceptual
    if identity == PORTRAITS and perceptual == PORTRAITS:
        identity = look  # one net, two uses
    elif isinstance(identity, str | Path):
        identity = load_identity(identity)
    generator = generator.to(device)
    if source.portraits:  # few channels: channels-last is faster on a CPU; FFHQ's 512 are not
        generator = generator.to(memory_format=torch.channels_last)
    networks = (_to(network or None, device) for network in (look, identity))
    prior = Prior.of(generator, *networks, name=_named(source, label))
    return dataclasses.replace(prior, lr_scale=1.0) if has_published_rates(source, generator) else prior


def _own_prior(
    reference: str,
    device: torch.device,
    perceptual: str | Perceptual | bool | None,
    identity: str | Path | Embedder | bool | None,
    label: int | None,
) -> Prior:
    """The prior that MODULE:NAME names, with these networks: by default those of a whole `Prior`, else LPIPS alone."""
    if label is not None:
        raise ZooError(f"{reference}, class {label}: a generator of one's own is taken as it is, expected no class")
    found = own_generator(reference, device)
    bare = found if isinstance(found, Prior) else Prior.of(found, name=reference)  # refused before networks are loaded
    if perceptual is None:
        perceptual = (bare.perceptual or False) if bare is found else "lpips"
    if identity is None:
        identity = bare.identity or False
    _check_networks(Source(Path(reference), reference), perceptual, identity)
    look = _perceptual(perceptual) if isinstance(perceptual, str) else perceptual
    face = load_identity(identity) if isinstance(identity, str | Path) else identity
    networks = (_to(network or None, device) for network in (look, face))
    prior = Prior.of(bare.generator, *networks, name=bare.name)
    return dataclasses.replace(prior, lr_scale=bare.lr_scale)  # which a whole one may have chosen


def _named(source: Source, label: int | None) -> str:
    """The prior's name in results, with the class that was chosen."""
    return source.name if label is None else f"{source.name}, class {label}"


def locate(name_or_path: str | Path) -> Source:
    """The file of a prior by name or path, downloaded if need be; a file on disk goes before a name of the zoo."""
    if not isinstance(name_or_path, str | Path):
        raise ZooError(f"prior {shown(name_or_path)}: expected {EMBEDDED!r}, a name of the zoo, or a file")
    if str(name_or_path) == EMBEDDED:
        return Source(data_path(GENERATOR), EMBEDDED, portraits=True)
    path = Path(name_or_path)
    if not path.is_file() and not path.suffix:
        entry = find(str(name_or_path), "prior")
        return Source(fetch(entry.name), entry.name, entry)
    entry = at_path(path)
    if entry is not None:  # the zoo's own download, verified again
        return Source(fetch(entry.name), entry.name, entry)
    header = read_metadata(path)
    if header.get("sha256", "") == read_metadata(data_path(GENERATOR))["sha256"]:  # verified when it is read
        return Source(path, EMBEDDED, portraits=True)
    published = header.get("rates") == "published"
    return Source(path, header.get("name", path.stem), None, header.get("networks") == PORTRAITS, published)


def has_published_rates(source: Source, G: StyleGenerator) -> bool:
    """Whether the published learning rates were chosen for this network: by the zoo's name for it, by its header, or by
    the digest of its mapping network. All other priors have their rates scaled by the size of their W.
    """
    if source.entry is not None:
        return source.entry.rates == "published"
    digests = {e.mapping_sha256 for e in table().values() if e.rates == "published" and e.mapping_sha256}
    return source.published or (bool(digests) and mapping_digest(G) in digests)


def _check_networks(source: Source, perceptual: object, identity: object) -> None:
    """Refuse what cannot be meant, before anything is loaded."""
    if isinstance(perceptual, str) and perceptual not in ("lpips", PORTRAITS):
        raise ZooError(f"perceptual network {perceptual!r}: expected 'lpips' or 'portraits'")
    for name, given in (("perceptual", perceptual), ("identity", identity)):
        if given is True:
            raise ZooError(f"{name} True: expected a name, a file, a network, or False for none")
    if identity is not False and source.entry is not None and not source.entry.faces:
        raise ZooError(f"{source.name} shows {source.entry.domain}: no identity network applies")


def _perceptual(name: str) -> Perceptual:
    try:
        return lpips_net() if name == "lpips" else portraits_net()
    except DownloadError as error:  # whoever gave a file of their own asked for no address
        told = "needed for the perceptual network 'lpips'; perceptual='portraits' or --perceptual portraits needs none"
        raise DownloadError(f"{error}; {told}") from error


def _to(network: object, device: str | torch.device) -> object:
    return network.to(device) if isinstance(network, torch.nn.Module) else network


def portraits(numbers: Iterable[int], size: int | None = None) -> Tensor:
    """Held-out test portraits by their numbers in Portraits-X, `[N, 3, size, size]` in [0, 1]; default 128 px.

    0 to 89 are new people of the kind that the prior was trained on, 90 to 99 go beyond it. ZooError for others.
    """
    numbers = list(numbers) if isinstance(numbers, Iterable) else numbers
    if not isinstance(numbers, list) or not numbers:
        raise ZooError(f"portraits {shown(numbers)}: expected one or more numbers from 0 to {PORTRAITS_X - 1}")
    for number in numbers:
        check_whole("a portrait's number", number, 0, PORTRAITS_X - 1, ZooError)
    return torch.cat([load_image(data_path(f"portraits/test/{number:03d}.png"), size=size) for number in numbers])


def lpips_net() -> LPIPSFeatures:
    """LPIPS on VGG16, whose weights are downloaded on first use."""
    return LPIPSFeatures(load_state(fetch("lpips-vgg16")), lpips_heads())


def lpips_heads() -> dict[str, Tensor]:
    """The channel weights of LPIPS v0.1 on VGG16, "lin0.model.1.weight" [1, C, 1, 1] and so on.

    They are read from the folder of the package lpips, which is not imported: it would build a whole VGG16 for them.
    """
    package = importlib.util.find_spec("lpips")
    if package is None or package.origin is None:
        raise ZooError("LPIPS needs the package lpips, which is not installed")
    return load_state(Path(package.origin).parent / "weights" / "v0.1" / "vgg.pth")


def portraits_net() -> PortraitNet:
    """The embedded feature net (net A), which the embedded profile optimises; verified by data/portraits/SHA256SUMS."""
    return load_portrait_net(data_path("portraits/features_a.safetensors"))


def load_identity(name_or_path: str | Path) -> Embedder:
    """A frozen face embedder: "portraits", "arcface", "facenet-vggface2", "facenet-casia", or a file of theirs.

    A file is an ArcFace IR-SE50 or FaceNet state dict, told apart by its tensors. ZooError for anything else.
    """
    if str(name_or_path) == PORTRAITS:
        return portraits_net()
    path = Path(name_or_path)
    if not path.is_file() and not path.suffix:
        path = fetch(find(str(name_or_path), "identity").name)
    state = load_state(path)
    for network in (ArcFace, FaceNet):
        if network.OWN_TENSOR in state:
            return network.from_state(state)
    raise ZooError(f"{path}: neither ArcFace IR-SE50 nor FaceNet (first tensor {next(iter(state), None)!r})")
