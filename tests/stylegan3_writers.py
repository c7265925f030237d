"""StyleGAN3's and StyleGAN-XL's network files in their official layouts, written from networks of ours."""

import contextlib
import copy
import pickle
from pathlib import Path
from unittest import mock

import dill
import numpy as np
import torch
from checkpoint_writers import EasyDict, PersistentModule, nvidia_modules
from torch import nn

from rusr_core.generator import StyleGAN3, StyleGANXL
from rusr_core.generator.stylegan3 import AliasFreeLayer, AliasFreeSynthesis, FourierInput

CLASSES = {
    "FullyConnected": "FullyConnectedLayer",
    "AliasFreeLayer": "SynthesisLayer",
    "FourierInput": "SynthesisInput",
}
CLASSES |= {"AliasFreeSynthesis": "SynthesisNetwork", "Mapping": "MappingNetwork", "XLMapping": "MappingNetwork"}
CLASSES |= {"StyleGAN3": "Generator", "StyleGANXL": "SuperresGenerator"}


class OldDillScalar:
    """A numpy number as dill 0.3.4 writes it: its function by way of the module that it is an attribute of."""

    def __init__(self, value: float, module: str = "numpy.core._multiarray_umath"):
        self.value, self.module = value, module

    def __reduce__(self):
        module = _Reduced(dill._dill._import_module, self.module)
        return _Reduced(dill._dill._get_attr, module, "scalar"), (np.dtype("f8"), np.float64(self.value).tobytes())


class _Reduced:
    """Pickles as a call."""

    def __init__(self, *parts):
        self.parts = parts

    def __call__(self):
        raise AssertionError("called while it is written")

    def __reduce__(self):
        return self.parts[0], self.parts[1:]


def attributes(module: nn.Module, G: StyleGAN3) -> dict:
    """The plain attributes that the official modules keep: numpy's numbers and arrays among them."""
    if isinstance(module, AliasFreeLayer):
        shape = module.shape
        sizes = {f"{end}_size": np.array([getattr(shape, f"{end}_size")] * 2) for end in ("in", "out")}
        halves = np.bool_(module.clamp is not None)
        cutoff = dict(in_cutoff=np.float64(2.0), use_fp16=halves, padding=[int(p) for p in shape.padding] * 2)
        return sizes | cutoff | dict(conv_clamp=module.clamp, magnitude_ema_beta=shape.magnitude_beta)
    if isinstance(module, AliasFreeSynthesis):
        names = [shape.name for shape in G.config.layers]
        halves = 0 if G.config.conv_clamp is None else 4  # --fp32 leaves out both
        return dict(layer_names=names, num_layers=14, output_scale=G.config.output_scale, num_fp16_res=halves)
    if isinstance(module, FourierInput):
        return dict(size=np.array([module.size] * 2), sampling_rate=float(module.rate), bandwidth=np.float64(2))
    if isinstance(module, StyleGAN3):
        made = EasyDict(path_stem="/nobody/stem.pkl", channel_base=32768, mapping_kwargs=EasyDict(num_layers=2))
        return dict(z_dim=G.config.z_dim, _init_args=(), _init_kwargs=made)
    return dict(bias_gain=getattr(module, "bias_gain", None), weight_gain=np.float64(0.1), activation="lrelu")


def record(G: StyleGAN3, more: dict | None = None) -> PersistentModule:
    """A record for each module, but StyleGAN-XL's table of classes, which is torch's own class by reference.

    `more`: attributes of the synthesis network that the file has beside its own.
    """

    def of(module: nn.Module) -> object:
        parameters = {n: nn.Parameter(p.detach()) for n, p in module.named_parameters(recurse=False)}
        if type(module).__name__ == "ClassTable":
            return nn.Embedding(*module.weight.shape, _weight=module.weight)
        state = dict(training=False, _parameters=parameters, _buffers=dict(module._buffers))
        state["_modules"] = {n: of(m) for n, m in module.named_children()}
        extra = more or {} if isinstance(module, AliasFreeSynthesis) else {}
        state["_buffers"].pop("_class_mean", None)
        return PersistentModule(CLASSES[type(module).__name__], state | attributes(module, G) | extra)

    return of(G)


def instantaneous(G: StyleGAN3) -> StyleGAN3:
    """The network whose moving average is G, as a file holds it beside G: other weights of the same shapes."""
    raw = copy.deepcopy(G)
    for tensor in (raw.synthesis.input.phases, raw.synthesis.layers[0].bias, raw.mapping.w_avg):
        tensor.add_(0.5)
    return raw


def write_stylegan3(G: StyleGAN3, path: Path, protocol: int = 3) -> None:
    """NVIDIA's file: G, D, G_ema, the augmentation and the training set's description."""
    with nvidia_modules():
        content = dict(G=record(instantaneous(G)), D=None, G_ema=record(G), augment_pipe=None)
        content["training_set_kwargs"] = EasyDict(class_name="training.dataset.ImageFolderDataset", xflip=True)
        path.write_bytes(pickle.dumps(content, protocol=protocol))


def discriminator(canary: Path) -> nn.Module:
    """Modules by reference with hooks that are closures, as StyleGAN-XL's has; they would write `canary`."""
    activations = {}

    def hook_of(name: str):
        def hook(module, inputs, output):
            activations[name] = output
            canary.write_text("executed")

        return hook

    with torch.random.fork_rng(devices=[]):  # new layers draw
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    for i, part in enumerate(net):
        part.register_forward_hook(hook_of(f"{i}"))
    net.compute = lambda x: hook_of("x")(None, x, x)
    return net


def write_stylegan_xl(G: StyleGANXL, path: Path, more: dict | None = None) -> None:
    """StyleGAN-XL's file: dill's, the discriminator before G_ema, storages that say cuda:0."""
    with nvidia_modules(), on_a_gpu():
        content = dict(G=record(instantaneous(G), more), D=discriminator(path.with_name("executed")))
        content |= dict(
            G_ema=record(G, more),
            training_set_kwargs=EasyDict(xflip=True),
            progress={"cur_nimg": torch.tensor(3), "seen": {1, 2}},
        )
        path.write_bytes(dill.dumps(content, protocol=4, recurse=True))


@contextlib.contextmanager
def on_a_gpu():
    """What torch saves now says that it lay on a GPU."""
    with mock.patch.object(torch.serialization, "location_tag", lambda _storage: "cuda:0"):
        yield
