"""From the tensors of rosinality's stylegan2-pytorch to a configuration and our names.

StyleGAN-NADA and the decoders of pSp and e4e are such networks, too. They keep one more leading axis in most weights,
and their constants are NVIDIA's under other names; both store the upsampling kernel in the same orientation.
"""

import re

import torch
from torch import Tensor

from rusr_core.checkpoints.source import CheckpointError
from rusr_core.checkpoints.tensors import State, filter_taps, load_tensors
from rusr_core.checkpoints.torch_files import LazyTensor
from rusr_core.generator import GeneratorConfig, fir_kernel

MARKS = ("style.1.weight", "conv1.conv.weight", "input.input")  # a network with these tensors is one of rosinality's
ROOTS = ("style", "input", "conv1", "to_rgb1", "convs", "to_rgbs", "noises")


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
    taps = filter_taps(None if blur is None else blur / blur.sum())
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
