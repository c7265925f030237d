"""From the tensors of NVIDIA's stylegan2-ada-pytorch and stylegan3 (their StyleGAN2 networks) to a configuration.

The names of the tensors are ours; the configuration follows from the shapes and a few plain attributes of the modules.
"""

import re

from torch import Tensor

from rusr_core.checkpoints.source import CheckpointError
from rusr_core.checkpoints.tensors import State, filter_taps, load_tensors
from rusr_core.checkpoints.torch_files import LazyTensor
from rusr_core.generator import GeneratorConfig

MARKS = ("mapping.fc0.weight", "synthesis.b4.conv1.weight")  # a network with these tensors is one of NVIDIA's
ROOTS = ("mapping", "synthesis")


def configured(state: State, attributes: dict[str, dict], file_size: int) -> tuple[GeneratorConfig, dict[str, Tensor]]:
    """Configuration and tensors of an NVIDIA generator.

    `attributes` are the plain attributes of its modules by dotted name, "mapping.fc0."; without them (a state dict)
    the published values hold.
    """
    sides = [int(m[1]) for name in state if (m := re.fullmatch(r"synthesis\.b(\d{1,4})\.conv1\.weight", name))]
    if sorted(sides) != [4 * 2**i for i in range(len(sides))]:
        raise CheckpointError(f"a generator with blocks of {sorted(sides)[:12]} px, expected 4, 8, 16, ... and no gap")
    shape = {name: _shape(t) for name, t in state.items()}
    layer, first = attributes.get("synthesis.b4.conv1.", {}), attributes.get("mapping.fc0.", {})
    for name, module in (("synthesis.b4.conv1", layer), ("mapping.fc0", first)):
        if module.get("activation", "lrelu") not in ("lrelu", True):  # True: in a pickled Generator of ours
            raise CheckpointError(f"{name} has the activation {shown(module['activation'])}, expected 'lrelu'")
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
        mapping_lr=number(first.get("bias_gain"), 0.01),
        architecture=architecture,
        conv_clamp=number(layer.get("conv_clamp", layer.get("clamp")), None),
        resample_filter=filter_taps(tensors.get("synthesis.b4.resample_filter")),
        use_noise="synthesis.b4.conv1.noise_const" in state,
        img_channels=shape[f"{last}.torgb.weight"][0],
    )
    return config, tensors


def _shape(tensor: LazyTensor) -> tuple[int, ...]:
    return (*tensor.shape, 0, 0) if len(tensor.shape) < 2 else tensor.shape


def number(value: object, default: float | None) -> float | None:
    """An option of a module, `default` where the file does not state it; CheckpointError for what is no number."""
    if value is None:
        return default
    if type(value) not in (int, float):
        raise CheckpointError(f"an option of the generator is {shown(value)}, expected a number")
    return float(value)


def shown(value: object) -> str:
    """A value of a file for a message: short texts and numbers as they are, anything else by its type."""
    return repr(value)[:80] if type(value) in (str, int, float, bool, type(None)) else f"a {type(value).__name__}"
