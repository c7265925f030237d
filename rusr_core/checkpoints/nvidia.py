"""From the tensors of other people's checkpoints to a configuration and our names.

NVIDIA's stylegan2-ada-pytorch has our names; the configuration follows from the shapes and a few plain
attributes. rosinality's stylegan2-pytorch (StyleGAN-NADA, pSp and e4e decoders too) keeps one more leading
axis in most weights, and its constants are NVIDIA's under other names; both store the up-sampling kernel in
the same orientation.
"""

import re

import torch
from torch import Tensor

from rusr_core.checkpoints.machine import Record
from rusr_core.checkpoints.safetensors import CheckpointError
from rusr_core.checkpoints.torch_files import LazyTensor
from rusr_core.generator import GeneratorConfig, fir_kernel

State = dict[str, LazyTensor]
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
STYLEGAN3 = "a StyleGAN3 network: it has no noise inputs and other layers; use a StyleGAN2 checkpoint"
STYLEGAN_XL = "a StyleGAN-XL network, a StyleGAN3 descendant: use a StyleGAN2 checkpoint"
STYLEGAN1 = "a StyleGAN1 network: it modulates by AdaIN, not by convolution weights; use a StyleGAN2 checkpoint"


def load_tensors(state: State, file_size: int) -> dict[str, Tensor]:
    """Copy tensors out of the file; only floating-point types, and no more bytes than the file has."""
    if sum(t.nbytes for t in state.values()) > file_size:
        raise CheckpointError("tensors that share their numbers, declared larger than the file: refused")
    for name, tensor in state.items():
        if tensor.storage.dtype not in FLOATS:
            raise CheckpointError(f"{name[:80]!r} is of type {tensor.storage.dtype}, expected floating point")
    return {name: tensor.load().float() for name, tensor in state.items()}


def network_state(network: Record) -> tuple[State, dict[str, dict]]:
    """Tensors of a persistence record under dotted names, and the plain attributes of each of its modules."""
    tensors: State = {}
    attributes: dict[str, dict] = {}
    pending = [("", network)]
    while pending:
        prefix, module = pending.pop()
        if type(module) is not Record or prefix.count(".") > 8 or len(attributes) > 10_000:
            raise CheckpointError(f"a network whose part {prefix[:80]!r} is not a module record: damaged")
        attributes[prefix] = module.state
        for kind in ("_parameters", "_buffers"):
            for name, tensor in _part(module, kind).items():
                if type(tensor) is LazyTensor:
                    tensors[f"{prefix}{name}"] = tensor
        pending += [(f"{prefix}{name}.", m) for name, m in _part(module, "_modules").items() if m is not None]
    return tensors, attributes


def _part(module: Record, kind: str) -> dict:
    value = module.state.get(kind, {})
    if type(value) is not dict or not all(type(name) is str for name in value):
        raise CheckpointError(f"a network whose {kind} are not a dictionary: damaged")
    return value


def refuse_relatives(names: set[str], class_name: str = "") -> None:
    """One line for what looks like StyleGAN2 and is not."""
    if class_name == "SuperresGenerator" or "mapping.embed_proj.weight" in names:
        raise CheckpointError(STYLEGAN_XL)
    if any(name.startswith("synthesis.input.") for name in names):
        raise CheckpointError(STYLEGAN3)
    if any(re.match(r"(module\.)?(generator\.)?progression\.|(g_)?synthesis\.blocks\.4x4\.", n) for n in names):
        raise CheckpointError(STYLEGAN1)


def nvidia(state: State, attributes: dict[str, dict], file_size: int) -> tuple[GeneratorConfig, dict[str, Tensor]]:
    """Configuration and tensors of an NVIDIA generator (also a bare state dict with its names)."""
    sides = [int(m[1]) for name in state if (m := re.fullmatch(r"synthesis\.b(\d{1,4})\.conv1\.weight", name))]
    if sorted(sides) != [4 * 2**i for i in range(len(sides))] or not sides or "mapping.fc0.weight" not in state:
        raise CheckpointError("no StyleGAN2 generator: blocks synthesis.b4, b8, ... or mapping.fc0 are missing")
    shape = {name: _shape(t) for name, t in state.items()}
    layer, first = attributes.get("synthesis.b4.conv1.", {}), attributes.get("mapping.fc0.", {})
    if layer.get("activation", "lrelu") != "lrelu" or first.get("activation", "lrelu") != "lrelu":
        raise CheckpointError(f"activation {layer.get('activation')!r}, expected 'lrelu'")
    last = f"synthesis.b{max(sides)}"
    depth = sum(1 for name in state if re.fullmatch(r"mapping\.fc\d+\.weight", name))
    embed = shape.get("mapping.embed.weight", (0, 0))
    architecture = "resnet" if f"{last}.skip.weight" in state else "skip"
    if architecture == "skip" and "synthesis.b4.torgb.weight" not in state:
        architecture = "orig"
    tensors = load_tensors(state, file_size)
    config = GeneratorConfig(
        resolution=max(sides),
        channels=tuple(shape[f"synthesis.b{r}.conv1.weight"][0] for r in sorted(sides)),
        z_dim=shape["mapping.fc0.weight"][1] - embed[0],
        c_dim=embed[1],
        w_dim=shape["synthesis.b4.conv1.affine.weight"][1],
        mapping_layers=depth,
        embed_features=embed[0] or None,
        layer_features=shape["mapping.fc0.weight"][0] if depth > 1 else None,
        mapping_lr=_number(first.get("bias_gain"), 0.01),
        architecture=architecture,
        conv_clamp=_number(layer.get("conv_clamp"), None),
        resample_filter=_taps(tensors.get("synthesis.b4.resample_filter")),
        use_noise="synthesis.b4.conv1.noise_const" in state,
        img_channels=shape[f"{last}.torgb.weight"][0],
    )
    return config, tensors


def _shape(tensor: LazyTensor) -> tuple[int, ...]:
    return (*tensor.shape, 0, 0) if len(tensor.shape) < 2 else tensor.shape


def _number(value: object, default: float | None) -> float | None:
    if value is None:
        return default
    if type(value) not in (int, float):
        raise CheckpointError(f"an option of type {type(value).__name__}, expected a number")
    return float(value)


def _taps(kernel: Tensor | None) -> tuple[float, ...]:
    """One-dimensional taps of a separable low-pass kernel of sum 1; (1, 3, 3, 1) in published networks."""
    if kernel is None:
        return (1, 3, 3, 1)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or not 1 < kernel.shape[0] <= 64:
        raise CheckpointError(f"a resampling filter of shape {tuple(kernel.shape)}, expected [4, 4]")
    if len(kernel) == 4 and torch.allclose(kernel, fir_kernel((1, 3, 3, 1))):
        return (1, 3, 3, 1)
    return tuple(kernel.sum(1).tolist())
