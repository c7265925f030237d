"""Checkpoints in other people's layouts, written from a Generator of ours.

The layouts are described in rusr_core/checkpoints; pickling itself is done by the standard library and torch.
"""

import contextlib
import io
import pickle
import sys
import types
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch

from rusr_core.generator import Generator

SMALL = dict(resolution=16, channels=(8, 6, 4))
CONFIGS = {
    "32": {},
    "16": SMALL,
    "conditional": SMALL | dict(c_dim=5, embed_features=7, layer_features=11, mapping_layers=3),
    "resnet": dict(architecture="resnet"),
    "orig": SMALL | dict(architecture="orig"),
    "clamped": SMALL | dict(conv_clamp=2.5, mapping_lr=0.05, mapping_layers=1),
    "no-noise": SMALL | dict(use_noise=False),
    "filter": SMALL | dict(resample_filter=(1, 2, 2, 1)),
}
CANARY = "raise SystemExit('the program text of a checkpoint was executed')\n"


def _never(*_args, **_kwargs):
    raise AssertionError("a function named in a checkpoint was called")


class EasyDict(dict):
    """Stands for dnnlib.util.EasyDict."""


class PersistentModule:
    """Stands for an object of a class that NVIDIA's persistence decorator has wrapped."""

    def __init__(self, class_name: str, state: dict):
        self.class_name, self.state = class_name, state

    def __reduce__(self):
        meta = dict(type="class", version=6, module_src=CANARY, class_name=self.class_name, state=self.state)
        return _reconstruct_persistent_obj, (meta,)


def _reconstruct_persistent_obj(_meta):
    _never()


@contextlib.contextmanager
def nvidia_modules():
    """Let pickle find NVIDIA's names while it writes; they are gone again when a test reads."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
    persistence._reconstruct_persistent_obj, util.EasyDict = _reconstruct_persistent_obj, EasyDict
    _reconstruct_persistent_obj.__module__, EasyDict.__module__ = persistence.__name__, util.__name__
    modules = {"torch_utils": types.ModuleType("torch_utils"), "dnnlib": types.ModuleType("dnnlib")}
    modules["torch_utils"].persistence, modules["dnnlib"].util = persistence, util  # where dill looks
    modules |= {"torch_utils.persistence": persistence, "dnnlib.util": util}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def _classes(name: str) -> str:
    leaf = name.rsplit(".", 1)[-1]
    if leaf in ("mapping", "synthesis"):
        return {"mapping": "MappingNetwork", "synthesis": "SynthesisNetwork"}[leaf]
    if leaf.startswith("b") and leaf[1:].isdigit():
        return "SynthesisBlock"
    kinds = {
        "conv0": "SynthesisLayer",
        "conv1": "SynthesisLayer",
        "torgb": "ToRGBLayer",
        "skip": "Conv2dLayer",
    }
    return kinds.get(leaf, "FullyConnectedLayer" if leaf else "Generator")


def _attributes(G: Generator, name: str) -> dict:
    """The plain attributes that NVIDIA's modules keep, numpy scalars among them."""
    kind, config = _classes(name), G.config
    if kind == "FullyConnectedLayer":
        lr = config.mapping_lr if ".fc" in f".{name}" else 1
        return dict(activation="lrelu" if lr != 1 else "linear", weight_gain=lr / np.sqrt(512), bias_gain=lr)
    if kind in ("SynthesisLayer", "ToRGBLayer", "Conv2dLayer"):
        return dict(activation="lrelu", conv_clamp=config.conv_clamp, act_gain=np.sqrt(2), use_noise=config.use_noise)
    if kind == "Generator":
        options = EasyDict(z_dim=config.z_dim, synthesis_kwargs=EasyDict(channel_base=32768, num_fp16_res=4))
        return dict(z_dim=config.z_dim, _init_args=(), _init_kwargs=options)
    return {}


def nvidia_record(G: Generator, channels_last: bool = False, class_name: str = "") -> PersistentModule:
    """The generator as NVIDIA pickles it: a record for each module, state = the module's __dict__."""

    def record(module: torch.nn.Module, name: str) -> PersistentModule:
        children = {n: m for n, m in module.named_children()}
        state = dict(
            training=False,
            _parameters={n: layout(p) for n, p in module.named_parameters(recurse=False)},
            _buffers={n: b for n, b in module.named_buffers(recurse=False)},
            _non_persistent_buffers_set=set(),
            _backward_hooks=torch.nn.Module()._backward_hooks,  # an OrderedDict
            _modules={n: record(m, f"{name}.{n}".strip(".")) for n, m in children.items()},
        )
        return PersistentModule(class_name or _classes(name), state | _attributes(G, name))

    def layout(p: torch.Tensor) -> torch.nn.Parameter:
        if channels_last and p.ndim == 4:
            p = p.detach().to(memory_format=torch.channels_last)
        return torch.nn.Parameter(p.detach(), requires_grad=False)

    return record(G, "")


def write_nvidia(G: Generator, path: Path, protocol: int = 3, raw: Generator | None = None, **options) -> None:
    """A network pickle: G, D, G_ema and the training set's description. `raw` becomes G."""
    with nvidia_modules():
        content = dict(G=nvidia_record(raw or G), D=None, G_ema=nvidia_record(G, **options))
        content["training_set_kwargs"] = EasyDict(class_name="training.dataset.ImageFolderDataset", xflip=True)
        path.write_bytes(pickle.dumps(content | {"augment_pipe": None}, protocol=protocol))


def rosinality_state(G: Generator, noises: bool = True) -> dict[str, torch.Tensor]:
    """The state dict of rosinality's Generator with the weights of `G` (architecture 'skip')."""
    state, ours = {}, G.state_dict()
    kernel = ours["synthesis.b4.resample_filter"] * 4
    for i in range(G.config.mapping_layers):
        for part in ("weight", "bias"):
            state[f"style.{i + 1}.{part}"] = ours[f"mapping.fc{i}.{part}"]
    state["input.input"] = ours["synthesis.b4.const"][None]
    for i in range(len(G.config.channels)):
        block = f"synthesis.b{4 * 2**i}"
        layers = [("conv1", "conv1")] if i == 0 else [(f"conv{k}", f"convs.{2 * i - 2 + k}") for k in (0, 1)]
        for number, (mine, theirs) in enumerate(layers, 2 * i - 1 if i else 0):
            state[f"{theirs}.conv.weight"] = ours[f"{block}.{mine}.weight"][None]
            state[f"{theirs}.conv.modulation.weight"] = ours[f"{block}.{mine}.affine.weight"]
            state[f"{theirs}.conv.modulation.bias"] = ours[f"{block}.{mine}.affine.bias"]
            state[f"{theirs}.noise.weight"] = ours[f"{block}.{mine}.noise_strength"][None]
            state[f"{theirs}.activate.bias"] = ours[f"{block}.{mine}.bias"]
            if mine == "conv0":
                state[f"{theirs}.conv.blur.kernel"] = kernel
            if noises:
                state[f"noises.noise_{number}"] = ours[f"{block}.{mine}.noise_const"][None, None]
        rgb = "to_rgb1" if i == 0 else f"to_rgbs.{i - 1}"
        state[f"{rgb}.conv.weight"] = ours[f"{block}.torgb.weight"][None]
        state[f"{rgb}.conv.modulation.weight"] = ours[f"{block}.torgb.affine.weight"]
        state[f"{rgb}.conv.modulation.bias"] = ours[f"{block}.torgb.affine.bias"]
        state[f"{rgb}.bias"] = ours[f"{block}.torgb.bias"].reshape(1, -1, 1, 1)
        if i:
            state[f"{rgb}.upsample.kernel"] = kernel
    return state


def write_rosinality(G: Generator, path: Path, kind: str = "converted", zipped: bool = True) -> None:
    """rosinality's files: 'converted' from NVIDIA, 'training', StyleGAN-'nada', a 'psp' encoder's file."""
    state, latent = rosinality_state(G), G.mapping.w_avg.clone()
    optimizer = {
        "state": {0: {"step": 7, "exp_avg": torch.zeros(3)}},
        "param_groups": [{"lr": 0.002, "betas": (0.0, 0.99)}],
    }
    content = {
        "converted": {"g_ema": state, "latent_avg": latent},
        "training": {"g": {k: v + 1 for k, v in state.items()}, "d": {}, "g_ema": state, "g_optim": optimizer}
        | {"args": Namespace(size=G.config.resolution, augment=False), "ada_aug_p": 0.0},
        "nada": {"g_ema": state, "g_optim": optimizer},
        "psp": {
            "state_dict": {"encoder.input_layer.0.weight": torch.ones(4, 3, 3, 3)}
            | {f"decoder.{k}": v for k, v in state.items()},
            "latent_avg": latent.repeat(G.num_ws, 1),
            "opts": {"dataset_type": "ffhq_encode", "lr": 0.0001, "output_size": G.config.resolution},
        },
    }[kind]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)


def torch_bytes(content: object, zipped: bool = True) -> bytes:
    """torch.save into memory."""
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def assert_same(a: Generator, b: Generator) -> None:
    """Every tensor equal, the image equal; the configurations build the same function."""
    left, right = a.state_dict(), b.state_dict()
    assert list(left) == list(right)
    for name, tensor in left.items():
        torch.testing.assert_close(tensor, right[name], rtol=0, atol=1e-7 if "resample_filter" in name else 0)
    z = torch.randn(2, a.config.z_dim, generator=torch.Generator().manual_seed(1))
    c = torch.eye(a.config.c_dim)[:2] if a.config.c_dim else None
    torch.testing.assert_close(a(z, c), b(z, c), rtol=0, atol=1e-5)
    assert a.config.conv_clamp == b.config.conv_clamp and a.config.architecture == b.config.architecture
    assert not any(p.requires_grad for p in b.parameters()) and not b.training
