"""From the tensors of other people's checkpoints to a configuration and our names.

NVIDIA's stylegan2-ada-pytorch has our names; the configuration follows from the shapes and a few plain
attributes. rosinality's stylegan2-pytorch (StyleGAN-NADA, pSp and e4e decoders too) keeps one more leading
axis in most weights, and its constants are NVIDIA's under other names; both store the up-sampling kernel in
the same orientation.
"""

import re

import torch
from torch import Tensor

from .generator import GeneratorConfig, fir_kernel
from .torchfiles import LazyTensor
from .unpickle import Record
from .weights import CheckpointError

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


def is_rosinality(names: set[str]) -> bool:
    """Whether these are the tensors of a rosinality generator."""
    return {"input.input", "conv1.conv.weight", "style.1.weight"} <= names


def rosinality(
    state: State, latent_avg: LazyTensor | None, file_size: int
) -> tuple[GeneratorConfig, dict[str, Tensor]]:
    """Configuration and tensors of a rosinality generator; w_avg only if the file has `latent_avg`."""
    found = load_tensors(state | ({"latent_avg": latent_avg} if latent_avg is not None else {}), file_size)
    blocks = len([n for n in state if re.fullmatch(r"convs\.\d+\.conv\.weight", n)]) // 2 + 1
    depth = len([n for n in state if re.fullmatch(r"style\.\d+\.weight", n)])
    if blocks > 10:
        raise CheckpointError(f"{blocks} blocks, expected at most 10 (2048 px)")
    blur = found.get("convs.0.conv.blur.kernel")
    taps = _taps(None if blur is None else blur / blur.sum())
    out: dict[str, Tensor] = {}
    for i in range(depth):
        for part in ("weight", "bias"):
            out[f"mapping.fc{i}.{part}"] = _take(found, f"style.{i + 1}.{part}")
    if latent_avg is not None:
        out["mapping.w_avg"] = _mean_latent(found.pop("latent_avg"))
    out["synthesis.b4.const"] = _take(found, "input.input").squeeze(0)
    names = _layer_names(blocks)
    for number, (ours, theirs, side) in enumerate(names):
        _convolution(out, found, ours, theirs)
        noise = found.pop(f"noises.noise_{number}", None)
        out[f"{ours}.noise_const"] = _drawn(number, side) if noise is None else noise.reshape(noise.shape[-2:])
        out[f"{ours}.noise_strength"] = _take(found, f"{theirs}.noise.weight").reshape([])
        out[f"{ours}.bias"] = _take(found, f"{theirs}.activate.bias")
        out[f"{ours}.resample_filter"] = fir_kernel(taps)
    for i in range(blocks):
        ours, theirs = f"synthesis.b{4 * 2**i}", "to_rgb1" if i == 0 else f"to_rgbs.{i - 1}"
        _convolution(out, found, f"{ours}.torgb", theirs)
        out[f"{ours}.torgb.bias"] = _take(found, f"{theirs}.bias").flatten()
        out[f"{ours}.resample_filter"] = fir_kernel(taps)
    left = [n for n in found if not n.endswith((".blur.kernel", ".upsample.kernel"))]
    if left:
        raise CheckpointError(
            f"{left[0][:80]!r} is not a tensor of a StyleGAN2 generator of {4 * 2 ** (blocks - 1)} px"
        )
    return _rosinality_config(out, names, blocks, depth, taps), out


def _layer_names(blocks: int) -> list[tuple[str, str, int]]:
    """(our name, their name, side) of the 3 x 3 layers, in the order of their noise buffers."""
    names = [("synthesis.b4.conv1", "conv1", 4)]
    for i in range(1, blocks):
        side = 4 * 2**i
        names += [(f"synthesis.b{side}.conv{k}", f"convs.{2 * i - 2 + k}", side) for k in (0, 1)]
    return names


def _take(found: dict[str, Tensor], name: str) -> Tensor:
    if name not in found:
        raise CheckpointError(f"the tensor {name!r} is missing")
    return found.pop(name)


def _convolution(out: dict[str, Tensor], found: dict[str, Tensor], ours: str, theirs: str) -> None:
    out[f"{ours}.weight"] = _take(found, f"{theirs}.conv.weight").squeeze(0)  # [1, O, I, k, k] -> [O, I, k, k]
    out[f"{ours}.affine.weight"] = _take(found, f"{theirs}.conv.modulation.weight")
    out[f"{ours}.affine.bias"] = _take(found, f"{theirs}.conv.modulation.bias")


def _drawn(number: int, side: int) -> Tensor:
    """Noise for a file that stores none: always the same."""
    return torch.randn(side, side, generator=torch.Generator().manual_seed(number))


def _mean_latent(latent: Tensor) -> Tensor:
    """[D], or pSp's [L, D] of equal rows -> [D]."""
    if latent.ndim == 1:
        return latent
    rows = latent.reshape(-1, latent.shape[-1])
    return rows[0].clone() if torch.equal(rows, rows[:1].expand_as(rows)) else rows.mean(0)


def _rosinality_config(out: dict, names: list, blocks: int, depth: int, taps: tuple) -> GeneratorConfig:
    convs = [name for name, _, _ in names if name.endswith("conv1")]
    if depth < 1 or any(out[f"{name}.weight"].ndim != 4 for name in convs) or out["mapping.fc0.weight"].ndim != 2:
        raise CheckpointError("weights of unexpected rank: not a StyleGAN2 generator, or damaged")
    return GeneratorConfig(
        resolution=4 * 2 ** (blocks - 1),
        channels=tuple(out[f"{name}.weight"].shape[0] for name in convs),
        z_dim=out["mapping.fc0.weight"].shape[1],
        w_dim=out[f"mapping.fc{depth - 1}.weight"].shape[0],
        mapping_layers=depth,
        layer_features=out["mapping.fc0.weight"].shape[0] if depth > 1 else None,
        resample_filter=taps,
        img_channels=out["synthesis.b4.torgb.weight"].shape[0],
    )
