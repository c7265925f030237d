"""From the tensors of NVIDIA's stylegan3 (T, R) and of StyleGAN-XL to a configuration.

The names of the tensors are ours. Everything follows from names and shapes, so that a bare state dict will do: a layer
is called after its number, size and channels, its factors are told by the lengths of its filters. What the official
constructors were called with is not asked: that of a StyleGAN-XL names files of the machine that trained it.
"""

import re
import warnings
from itertools import pairwise

import torch
from torch import Tensor

from rusr_core.checkpoints.nvidia import number
from rusr_core.checkpoints.source import CheckpointError
from rusr_core.checkpoints.tensors import State, load_tensors
from rusr_core.errors import RusrWarning
from rusr_core.generator import StyleGAN3Config, StyleGANXLConfig
from rusr_core.generator.alias_free import FIRST_CUTOFF, TAPS, LayerShape

MARKS = ("mapping.fc0.weight", "synthesis.input.freqs")  # a network with these tensors is a StyleGAN3 or a descendant
ROOTS = ("mapping", "synthesis")
LAYER = re.compile(r"synthesis\.(L(\d{1,4})_(\d{1,5})_(\d{1,5}))\.weight")


def configured(state: State, attributes: dict[str, dict], file_size: int) -> tuple[StyleGAN3Config, dict[str, Tensor]]:
    """Configuration and tensors of a StyleGAN3 or StyleGAN-XL.

    `attributes` are the plain attributes of its modules by dotted name, "synthesis."; without them (a state dict) the
    published values hold. A picture that the file's own transform turns or moves is a RusrWarning.
    """
    tensors = load_tensors(state, file_size)
    for name in ("mapping.fc0.weight", "synthesis.input.affine.weight", "mapping.embed.weight"):
        if name in tensors and tensors[name].ndim != 2:
            raise CheckpointError(f"{name!r} is {tuple(tensors[name].shape)}, expected two dimensions")
    synthesis, first = attributes.get("synthesis.", {}), attributes.get("mapping.fc0.", {})
    band = number(attributes.get("synthesis.input.", {}).get("bandwidth"), FIRST_CUTOFF)
    if band != FIRST_CUTOFF:
        raise CheckpointError(f"an input of bandwidth {band:g}, expected {FIRST_CUTOFF:g}")
    layers = _layers(tensors, attributes)
    depth = sum(1 for name in tensors if re.fullmatch(r"mapping\.fc\d+\.weight", name))
    own = [attributes.get(f"synthesis.{layer.name}.", {}) for layer in layers]
    clamps = {number(layer.get("conv_clamp", layer.get("clamp", 256.0)), None) for layer in own}  # None: no clamp
    if len(clamps) > 1:
        raise CheckpointError(f"layers with the clamps {', '.join(sorted(map(str, clamps)))}: expected one for all")
    mapping = tensors["mapping.fc0.weight"]
    options = dict(
        layers=layers,
        w_dim=_weight(tensors, "synthesis.input.affine.weight").shape[1],
        mapping_layers=depth,
        layer_features=mapping.shape[0] if depth > 1 else None,
        mapping_lr=number(first.get("bias_gain"), 0.01),
        conv_clamp=clamps.pop(),
        output_scale=number(synthesis.get("output_scale"), 0.25),
    )
    transform = tensors.get("synthesis.input.transform")
    if transform is not None and transform.shape == (3, 3) and not torch.equal(transform, torch.eye(3)):
        warnings.warn("the file's own transform turns or moves the picture: it is kept", RusrWarning, stacklevel=2)
    return _with_classes(tensors, options), tensors


def _with_classes(tensors: dict[str, Tensor], options: dict) -> StyleGAN3Config:
    """The rest of the configuration: what stands beside z."""
    inputs, table = tensors["mapping.fc0.weight"].shape[1], tensors.get("mapping.embed.weight")
    if table is None:
        return StyleGAN3Config(z_dim=inputs, **options)
    if "mapping.embed.bias" in tensors:
        features, classes = table.shape
        return StyleGAN3Config(z_dim=inputs - features, c_dim=classes, embed_features=features, **options)
    table = tuple(table.shape)  # StyleGAN-XL's, which its unconditional networks carry, too
    if "mapping.embed_proj.weight" not in tensors:
        return StyleGANXLConfig(z_dim=inputs, table=table, **options)
    means = _weight(tensors, "mapping.w_avg")
    z_dim = _weight(tensors, "mapping.embed_proj.weight").shape[0]
    return StyleGANXLConfig(z_dim=z_dim, c_dim=means.shape[0], table=table, **options)


def _layers(tensors: dict[str, Tensor], attributes: dict[str, dict]) -> tuple[LayerShape, ...]:
    """The chain, by the numbers in the names: they leave some out, and L10 is not before L2."""
    found = sorted(((int(m[2]), m) for m in map(LAYER.fullmatch, tensors) if m), key=lambda pair: pair[0])
    if any(one == other for (one, _), (other, _) in pairwise(found)):
        raise CheckpointError("two layers of one number: expected a chain")
    layers: list[LayerShape] = []
    for i, (_, match) in enumerate(found):
        name, size, channels = match[1], int(match[3]), int(match[4])
        weight = tensors[match[0]]
        if weight.ndim != 4 or weight.shape[2] != weight.shape[3] or weight.shape[0] != channels:
            raise CheckpointError(f"{match[0]!r} is {tuple(weight.shape)}, expected [{channels}, I, k, k]")
        up, down = (_factor(tensors, f"synthesis.{name}.{word}_filter") for word in ("up", "down"))
        filtered = tensors.get(f"synthesis.{name}.down_filter")
        own = attributes.get(f"synthesis.{name}.", {})
        layers.append(
            LayerShape(
                name=name,
                in_channels=weight.shape[1],
                out_channels=channels,
                in_size=layers[-1].out_size if layers else size,
                out_size=size,
                kernel=weight.shape[2],
                up=up,
                down=down,
                radial=filtered is not None and filtered.ndim == 2,
                to_rgb=i == len(found) - 1,
                magnitude_beta=number(own.get("magnitude_ema_beta"), 0.999),
            )
        )
    if not layers:
        raise CheckpointError("a StyleGAN3 without layers: expected tensors such as synthesis.L0_36_512.weight")
    return tuple(layers)


def _factor(tensors: dict[str, Tensor], name: str) -> int:
    """By how much a layer changes the sampling rate before or after its activation."""
    taps = tensors.get(name)
    if taps is None:
        return 1
    if not 1 <= taps.ndim <= 2 or len(taps) % TAPS or len(taps) == TAPS or len(set(taps.shape)) > 1:
        raise CheckpointError(f"{name!r} is {tuple(taps.shape)}, expected a multiple of {TAPS} taps")
    return len(taps) // TAPS


def _weight(tensors: dict[str, Tensor], name: str) -> Tensor:
    """A matrix that must be there."""
    found = tensors.get(name)
    if found is None or found.ndim != 2:
        raise CheckpointError(f"{name!r} is {'missing' if found is None else tuple(found.shape)}, expected a matrix")
    return found
